//! What the runtime needs from the operating system.
//!
//! `linux` does it through libc, `windows` through kernel32.dll; `none` stands in for every other system, and
//! where there is none or no feature `os`: then nothing is patched, and calls load their key.

#[cfg(all(feature = "os", target_os = "linux", not(all(loom, test))))]
mod linux;
#[cfg(all(feature = "os", target_os = "linux", not(all(loom, test))))]
pub(crate) use linux::*;

#[cfg(all(feature = "os", windows, not(all(loom, test))))]
mod windows;
#[cfg(all(feature = "os", windows, not(all(loom, test))))]
pub(crate) use windows::*;

#[cfg(any(not(all(feature = "os", any(target_os = "linux", windows))), all(loom, test)))]
#[cfg_attr(all(loom, test), allow(dead_code, reason = "the model has its own threads"))]
mod none;
#[cfg(not(any(all(feature = "os", any(target_os = "linux", windows)), all(loom, test))))]
pub(crate) use none::*;

#[cfg(all(loom, test))]
mod model;
#[cfg(all(loom, test))]
pub(crate) use model::*;

mod reply;
pub(crate) use reply::{Refused, Rights};
