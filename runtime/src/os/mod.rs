//! What the runtime asks of the operating system.
//!
//! `linux` does it through libc; `none` stands in where there is no operating system or no feature
//! `os`: then nothing is patched, and calls load their key.

#[cfg(all(feature = "os", target_os = "linux", not(all(loom, test))))]
mod linux;
#[cfg(all(feature = "os", target_os = "linux", not(all(loom, test))))]
pub(crate) use linux::*;

#[cfg(any(not(all(feature = "os", target_os = "linux")), all(loom, test)))]
#[cfg_attr(all(loom, test), allow(dead_code, reason = "the model has its own threads"))]
mod none;
#[cfg(not(any(all(feature = "os", target_os = "linux"), all(loom, test))))]
pub(crate) use none::*;

#[cfg(all(loom, test))]
mod model;
#[cfg(all(loom, test))]
pub(crate) use model::*;

/// Access of a range of pages, as the ELF program header has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) execute: bool,
    /// Indirect branches may only enter it at landing pads, where the processor knows that.
    pub(crate) guarded: bool,
}

/// Why something was refused: an error number of the operating system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) i32);
