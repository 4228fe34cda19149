//! Mach-O, which Apple's systems use: no call is recorded there, because the runtime has no way to write code
//! on these systems. Every call loads its key.

/// Names in triples of the systems that use it, and of the format itself.
pub(super) const NAMES: &[&str] =
    &["apple", "darwin", "macos", "ios", "driverkit", "tvos", "watchos", "xros", "visionos", "macho"];
