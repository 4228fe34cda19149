//! How the instructions that call trampolines must be placed and written.

use crate::shim::Text;

/// The kinds of site that the machine stage distinguishes, numbered as in `shim.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SiteKind {
    Call,
    Jump,
    ConditionalJump,
}

/// `StaticCallSiteLayout` of `shim.h`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct SiteLayout {
    /// The instruction must not cross a multiple of this power of two.
    pub(super) log2_align: u32,
    /// The most padding that this can need: an instruction that would need more does not cross the boundary.
    pub(super) max_bytes: u32,
    /// The byte to pad with, which has no effect as a prefix of the instruction. Empty: no-ops.
    pub(super) padding: Text,
    /// How many of these bytes there always are, before those that align the instruction.
    pub(super) prefixes: u32,
    /// The longest function that may be padded: in a longer one, padding could put the target of a branch out
    /// of reach. Zero if the assembler then picks a longer branch.
    pub(super) max_function: u32,
    /// Assembler that the machine stage writes instead of the instruction, with the trampoline as `$0`.
    /// Empty: the instruction stays as it is.
    pub(super) assembler: Text,
    /// The layout is only for calls of two instructions. They are one instruction until a pass after the
    /// machine stage expands it and drops its mark. A call that stays one instruction needs no padding.
    pub(super) only_pairs: bool,
    /// Assembler before the instruction.
    pub(super) before: Text,
    /// Assembler after it, in place of a no-op that belongs to the instruction.
    pub(super) after: Text,
    /// Not zero: this is not a site, and the call enters the trampoline this many bytes after its start.
    pub(super) skip: u32,
}

impl SiteLayout {
    /// For architectures on which every instruction is in one word.
    pub(super) const ANYWHERE: Self = Self::aligned(0, 0);

    /// The instruction must not cross a multiple of this power of two, which takes at most this much padding.
    pub(super) const fn aligned(log2_align: u32, max_bytes: u32) -> Self {
        const NOTHING: Text = Text::new("");
        Self {
            log2_align,
            max_bytes,
            padding: NOTHING,
            prefixes: 0,
            max_function: 0,
            assembler: NOTHING,
            only_pairs: false,
            before: NOTHING,
            after: NOTHING,
            skip: 0,
        }
    }

    /// The same, padded with prefixes. Some of them are always there.
    pub(super) const fn prefixed(
        log2_align: u32,
        max_bytes: u32,
        prefix: &'static str,
        prefixes: u32,
    ) -> Self {
        Self { padding: Text::new(prefix), prefixes, ..Self::aligned(log2_align, max_bytes) }
    }

    /// The same, with assembler instead of the instruction.
    pub(super) const fn aligned_assembler(log2_align: u32, max_bytes: u32, assembler: &'static str) -> Self {
        Self { assembler: Text::new(assembler), ..Self::aligned(log2_align, max_bytes) }
    }

    /// A pair of instructions starts an aligned word of eight bytes. A single instruction is always in one
    /// word.
    pub(super) const PAIRS: Self = Self { only_pairs: true, ..Self::aligned(3, 4) };
}

impl SiteKind {
    pub(crate) fn from_u32(number: u32) -> Option<Self> {
        [Self::Call, Self::Jump, Self::ConditionalJump].get(number as usize).copied()
    }
}
