//! An architecture without a backend: the pass records no sites for it, and any that were found
//! anyway would not be understood.

use core::ops::Range;

use super::{Action, Code, Kind, WORD};

pub(crate) const SUPPORTED: bool = false;

pub(crate) fn decode(_pc: usize, _bytes: &[u8]) -> Option<(Kind, Action)> {
    None
}

pub(crate) fn encode(_kind: Kind, _pc: usize, _action: Action) -> Option<Code> {
    None
}

pub(crate) fn is_trampoline_entry(_word: [u8; WORD]) -> bool {
    false
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rewrite(());

impl Rewrite {
    pub(crate) fn new(_from: Action, _to: Action, _code: &Range<usize>) -> Self {
        Self(())
    }

    pub(crate) fn apply(&self, _word: [u8; WORD], _pc: usize) -> Option<(Kind, [u8; WORD])> {
        None
    }
}
