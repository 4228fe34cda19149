//! What the operating system answers.

/// Why something was refused: an error number of the operating system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) i32);

/// What may be done with pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    any(not(all(feature = "os", any(target_os = "linux", windows))), all(loom, test)),
    allow(dead_code)
)]
pub(crate) enum Rights {
    /// Or mapped so that it may not be read.
    NotMapped,
    Writable,
    Other,
}
