//! What the runtime asks of the operating system.
//!
//! `linux` does it through libc; `none` stands in where there is no operating system or no feature
//! `os`: then nothing is patched, and calls load their key.

#[cfg(all(feature = "os", target_os = "linux"))]
mod linux;
#[cfg(all(feature = "os", target_os = "linux"))]
pub(crate) use linux::*;

#[cfg(not(all(feature = "os", target_os = "linux")))]
mod none;
#[cfg(not(all(feature = "os", target_os = "linux")))]
pub(crate) use none::*;

/// Access of a range of pages, as the ELF program header has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) execute: bool,
}

/// Why something was refused: an error number of the operating system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) i32);
