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

/// The fields of a [`Key`](crate::Key), in their order.
const KEY_FIELDS: [Field; 6] = [Pointer, Pointer, Pointer, Pointer, Number, Number];

/// The fields of a [`Branch`](crate::Branch), in their order.
const BRANCH_FIELDS: [Field; 3] = [Number; 3];

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

/// Sizes of keys, records, branches and image descriptors, and offsets in them, for pointers of this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a pointer.
    pub pointer: u64,
}

#[allow(missing_docs, reason = "named after the types and their fields")]
impl Layout {
    #[must_use]
    pub const fn key(self) -> u64 {
        self.before(&KEY_FIELDS, KEY_FIELDS.len())
    }
    #[must_use]
    pub const fn key_off(self) -> u64 {
        self.before(&KEY_FIELDS, 2)
    }
    #[must_use]
    pub const fn key_name(self) -> u64 {
        self.before(&KEY_FIELDS, 3)
    }
    #[must_use]
    pub const fn key_form(self) -> u64 {
        self.before(&KEY_FIELDS, 4)
    }
    #[must_use]
    pub const fn key_flags(self) -> u64 {
        self.before(&KEY_FIELDS, 5)
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
        self.before(&BRANCH_FIELDS, BRANCH_FIELDS.len())
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

#[cfg(test)]
mod tests {
    use super::Layout;

    /// The runtime and the inspector read images of other builds: a change of these numbers is a change of
    /// the version.
    #[test]
    fn sizes_and_offsets_stay_as_they_are() {
        let numbers = |pointer| {
            let layout = Layout { pointer };
            (
                [layout.key(), layout.key_off(), layout.key_name(), layout.key_form(), layout.key_flags()],
                [layout.record(), layout.record_next(), layout.record_sites(), layout.record_count()],
                [layout.record_trampoline(), layout.record_saved()],
                [layout.branch(), layout.image(), layout.image_reason()],
            )
        };
        assert_eq!(numbers(8), ([40, 16, 24, 32, 36], [40, 8, 16, 24], [28, 32], [12, 136, 132]));
        assert_eq!(numbers(4), ([24, 8, 12, 16, 20], [28, 4, 8, 12], [16, 20], [12, 76, 72]));
    }
}
