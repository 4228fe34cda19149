//! What the runtime needs from the operating system.
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

mod reply;
pub(crate) use reply::{Refused, Rights};
