//! What the fuzz targets of `fuzz/` need of the inside.

#![allow(missing_docs, reason = "for the fuzz targets alone")]

use std::vec::Vec;

use crate::arch::{Action, Code, Kind, WORD, native};
use crate::mode::{self, Mode};
use crate::{critical, os};

/// What a site is and does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction(Kind, Action);

impl Instruction {
    /// `action`: none returns zero, none in it does nothing.
    #[must_use]
    pub fn new(kind: u8, condition: u8, action: Option<Option<usize>>) -> Self {
        let kind = match kind % 3 {
            0 => Kind::Call,
            1 => Kind::Jump,
            _ => Kind::ConditionalJump(condition & 0x0f),
        };
        Self(kind, action.map_or(Action::Zero, |to| to.map_or(Action::Nop, Action::Branch)))
    }

    #[must_use]
    pub fn decode(pc: usize, bytes: &[u8]) -> Option<Self> {
        native::decode(pc, bytes).map(|(kind, action)| Self(kind, action))
    }

    #[must_use]
    pub fn encode(&self, pc: usize) -> Option<Vec<u8>> {
        Some(native::encode(self.0, pc, self.1)?.as_bytes().to_vec())
    }

    #[must_use]
    pub fn target(&self) -> Option<usize> {
        if let Action::Branch(target) = self.1 { Some(target) } else { None }
    }
}

#[must_use]
pub fn splice(bytes: &[u8], word: [u8; WORD], offset: usize) -> Option<[u8; WORD]> {
    let code = match *bytes {
        [a, b, c, d, e] => Code::new([a, b, c, d, e]),
        [a, b, c, d, e, f] => Code::new([a, b, c, d, e, f]),
        _ => return None,
    };
    code.splice(word, offset)
}

#[must_use]
pub fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    native::is_trampoline_entry(word)
}

/// Has images that are registered from now on run in this mode.
pub fn set_mode(mode: Mode) {
    os::prepare_to_serialize().expect("membarrier");
    mode::set(mode, &critical::enter().expect("no update is under way"));
}
