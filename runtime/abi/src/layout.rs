//! Sizes and offsets for pointers of any size: the pass and the inspector work on other machines' files,
//! where `size_of` and `offset_of` would answer for this machine.

/// Offsets in a key, a record and an image descriptor, for pointers of this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a pointer.
    pub pointer: u64,
}

#[allow(missing_docs, reason = "named after the types and their fields")]
impl Layout {
    #[must_use]
    pub const fn key(self) -> u64 {
        4 * self.pointer + 8
    }
    #[must_use]
    pub const fn key_off(self) -> u64 {
        2 * self.pointer
    }
    #[must_use]
    pub const fn key_name(self) -> u64 {
        3 * self.pointer
    }
    #[must_use]
    pub const fn key_form(self) -> u64 {
        4 * self.pointer
    }
    #[must_use]
    pub const fn key_flags(self) -> u64 {
        4 * self.pointer + 4
    }
    #[must_use]
    pub const fn record(self) -> u64 {
        3 * self.pointer + 16
    }
    #[must_use]
    pub const fn record_sites(self) -> u64 {
        2 * self.pointer
    }
    #[must_use]
    pub const fn record_count(self) -> u64 {
        3 * self.pointer
    }
    #[must_use]
    pub const fn record_trampoline(self) -> u64 {
        3 * self.pointer + 4
    }
    #[must_use]
    pub const fn record_saved(self) -> u64 {
        3 * self.pointer + 8
    }
    #[must_use]
    pub const fn branch(self) -> u64 {
        12
    }
    #[must_use]
    pub const fn image(self) -> u64 {
        15 * self.pointer + 16
    }
    #[must_use]
    pub const fn image_reason(self) -> u64 {
        15 * self.pointer + 12
    }
}
