//! The names of table rows that goals refer to, or their beginnings and ends.

pub(crate) const WITHOUT_PASS: &str = "static call, without the pass";
pub(crate) const POINTER_WITHOUT_PASS: &str = "pointer, without the pass, retpolines";
/// Code of gcc, whose calls `static-call-as` records.
pub(crate) const STATIC_OF_GCC: &str = "static call, inline, gcc";
pub(crate) const POINTER_OF_GCC: &str = "pointer, gcc, retpolines";
/// Code of gcc with the header alone.
pub(crate) const POINTER_OF_GCC_ALONE: [&str; 2] = ["pointer, gcc alone", "pointer, gcc alone, retpolines"];
/// A dispatched function's programs, and what they do before the first call.
pub(crate) const PASS: &str = "the pass";
pub(crate) const NO_PASS: &str = "no pass";
pub(crate) const NO_TRAMPOLINES: &str = "no trampolines";
pub(crate) const SEALED: &str = ", sealed";
pub(crate) const FORBIDDEN: &str = ", no memory becomes executable";
