//! How the instructions that call trampolines must be placed and written.

use static_call_abi::Placement;

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
    /// See [`Placement`], here and for `max_function`.
    pub(super) log2_align: u32,
    pub(super) max_bytes: u32,
    /// The byte to pad with, which has no effect as a prefix of the instruction. Empty: no-ops.
    pub(super) padding: Text,
    /// How many of these bytes there always are, before those that align the instruction.
    pub(super) prefixes: u32,
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
    pub(super) const ANYWHERE: Self = Self::placed(Placement::ANYWHERE);

    /// Padded with no-ops.
    pub(super) const fn placed(place: Placement) -> Self {
        const NOTHING: Text = Text::new("");
        Self {
            log2_align: place.log2_align,
            max_bytes: place.max_bytes,
            padding: NOTHING,
            prefixes: 0,
            max_function: place.max_function,
            assembler: NOTHING,
            only_pairs: false,
            before: NOTHING,
            after: NOTHING,
            skip: 0,
        }
    }

    /// The same, padded with prefixes. Some of them are always there.
    pub(super) const fn prefixed(place: Placement, prefix: &'static str, prefixes: u32) -> Self {
        Self { padding: Text::new(prefix), prefixes, ..Self::placed(place) }
    }
}

impl SiteKind {
    pub(crate) fn from_u32(number: u32) -> Option<Self> {
        [Self::Call, Self::Jump, Self::ConditionalJump].get(number as usize).copied()
    }
}
