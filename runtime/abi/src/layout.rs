//! Sizes and offsets for pointers of any size: the pass and the inspector work on other machines' files,
//! where `size_of` and `offset_of` would answer for this machine.

/// What a field of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// An address.
    Pointer,
    /// A number as wide as an address.
    Word,
    /// A number of 32 bits.
    Number,
    /// An aligned word of code.
    Code,
}

use Field::{Code, Number, Pointer, Word};

/// The fields of a [`Record`](crate::Record), in their order.
pub const RECORD_FIELDS: [Field; 6] = [Pointer, Pointer, Pointer, Number, Number, Code];
/// The places of those that the compiler fills: the key and the distance to the trampoline.
pub const RECORD_KEY: usize = 0;
/// See [`RECORD_KEY`].
pub const RECORD_TRAMPOLINE: usize = 4;

/// The fields of an [`Image`](crate::Image), in their order.
pub const IMAGE_FIELDS: [Field; 19] = [
    Number, Number, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer,
    Pointer, Word, Word, Word, Word, Number, Number,
];

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
        self.before(&RECORD_FIELDS, RECORD_FIELDS.len())
    }
    #[must_use]
    pub const fn record_next(self) -> u64 {
        self.before(&RECORD_FIELDS, 1)
    }
    #[must_use]
    pub const fn record_sites(self) -> u64 {
        self.before(&RECORD_FIELDS, 2)
    }
    #[must_use]
    pub const fn record_count(self) -> u64 {
        self.before(&RECORD_FIELDS, 3)
    }
    #[must_use]
    pub const fn record_trampoline(self) -> u64 {
        self.before(&RECORD_FIELDS, RECORD_TRAMPOLINE)
    }
    #[must_use]
    pub const fn record_saved(self) -> u64 {
        self.before(&RECORD_FIELDS, 5)
    }
    #[must_use]
    pub const fn branch(self) -> u64 {
        12
    }
    #[must_use]
    pub const fn image(self) -> u64 {
        self.before(&IMAGE_FIELDS, IMAGE_FIELDS.len())
    }
    #[must_use]
    pub const fn image_reason(self) -> u64 {
        self.before(&IMAGE_FIELDS, IMAGE_FIELDS.len() - 1)
    }
    /// The size of the first fields of a table. None needs padding before it.
    const fn before(self, fields: &[Field], count: usize) -> u64 {
        let (mut size, mut at) = (0, 0);
        while at < count {
            size += match fields[at] {
                Pointer | Word => self.pointer,
                Number => 4,
                Code => 8,
            };
            at += 1;
        }
        size
    }
}
