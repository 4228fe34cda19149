//! An instruction to be replaced.

use static_call_abi::Key;

use crate::arch::{Kind, WORD};

/// An instruction to be replaced, and the word that it lies in.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "breakpoints need all of it")]
pub(crate) struct Patch {
    pub(crate) key: *const Key,
    pub(crate) pc: usize,
    pub(crate) kind: Kind,
    /// Whether the old instruction jumps through the key.
    pub(crate) follows_key: bool,
    /// Where a static branch jumps.
    pub(crate) target: usize,
    pub(crate) old: [u8; WORD],
    pub(crate) new: [u8; WORD],
}

impl Patch {
    #[allow(dead_code, reason = "for breakpoints")]
    pub(crate) const NONE: Self = Self {
        key: core::ptr::null(),
        pc: 0,
        kind: Kind::Call,
        follows_key: false,
        target: 0,
        old: [0; WORD],
        new: [0; WORD],
    };

    /// The address of the word.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.pc / WORD * WORD
    }

    /// Where in the word the instruction starts.
    #[inline]
    #[allow(dead_code, reason = "for x86")]
    pub(crate) fn offset(&self) -> usize {
        self.pc % WORD
    }
}
