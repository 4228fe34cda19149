//! The format of an image's file, as far as the runtime reads it in memory: where its code lies, what may be
//! done with it, and notes.
//!
//! A format is one file here, with the functions that `elf` exports. Which one an image has depends on its
//! system alone; the system's own part (`os`) finds the images.

#[cfg_attr(
    any(windows, target_vendor = "apple"),
    allow(dead_code, reason = "the inspector reads ELF anywhere")
)]
pub(crate) mod elf;
#[cfg(any(target_vendor = "apple", test))]
#[cfg_attr(not(target_vendor = "apple"), allow(dead_code, reason = "for its unit tests"))]
pub(crate) mod mach_o;
mod note;
#[cfg(any(windows, test))]
#[cfg_attr(not(windows), allow(dead_code, reason = "for its unit tests"))]
pub(crate) mod pe;
mod segment;

#[cfg(not(any(windows, target_vendor = "apple")))]
pub(crate) use elf as native;
#[cfg(target_vendor = "apple")]
pub(crate) use mach_o as native;
#[cfg(windows)]
pub(crate) use pe as native;

pub(crate) use native::{code_segments, imported, is_in_memory, is_unreadable, was_moved};
#[allow(unused_imports, reason = "without an operating system, nobody lists the images")]
pub(crate) use note::{Note, for_each_note};
pub(crate) use segment::{Access, SEALED, Segment, access, unit, with_unit};
#[cfg(test)]
pub(crate) use segment::{GUARDED, UNIT};
