//! An architecture without a backend. The pass records no sites for it, and none can be decoded.

pub(crate) use super::site::NoBulkRewrite as Rewrite;
use super::site::{Action, Code, Kind};

pub(crate) const SUPPORTED: bool = false;
pub(crate) const ARCHITECTURE: static_call_abi::Architecture = static_call_abi::OTHER;
/// Every architecture has atomic pointers.
pub(crate) type Number = usize;
pub(crate) type AtomicNumber = core::sync::atomic::AtomicUsize;
pub(crate) const WORD: usize = size_of::<Number>();
/// Calls reach all of an image: linkers put nothing between them and their targets.
pub(crate) const HAS_VENEERS: bool = false;
/// The offset in a trampoline of the instruction that a jump replaces.
pub(crate) const TRAMPOLINE_JUMP: usize = 0;
/// There are no static branches.
pub(crate) const CHECK: &[u8] = &[];

pub(crate) fn decode(_pc: usize, _bytes: &[u8]) -> Option<(Kind, Action)> {
    None
}

pub(crate) fn encode(_kind: Kind, _pc: usize, _action: Action) -> Option<Code> {
    None
}

/// The same for a site that holds `_old`, which makes no difference here.
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, _old: &[u8]) -> Option<Code> {
    encode(kind, pc, action)
}

pub(crate) fn is_trampoline_entry(_word: [u8; WORD]) -> bool {
    false
}

/// Nothing was replaced.
///
/// # Safety
///
/// None is needed.
pub(crate) unsafe fn publish(_address: usize) {}
