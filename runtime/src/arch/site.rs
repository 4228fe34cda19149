//! What a site is and does, and the bytes of its instruction: the terms that all backends share.

use static_call_abi::Form;

/// The largest unit of any architecture.
const MAX_WORD: usize = 8;

/// What kind of instruction a site is, whatever its current action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    /// A tail call.
    Jump,
    /// A tail call, and on Arm also a call, that depends on this condition, in the architecture's own
    /// numbering.
    ConditionalJump(u8),
    /// A static branch: a jump, or nothing.
    StaticBranch(Jumps),
}

/// When a static branch jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jumps {
    WhenOn,
    WhenOff,
}

impl Jumps {
    /// Whether it jumps while its key is on, or is off.
    #[inline]
    pub(crate) fn jumps(self, is_on: bool) -> bool {
        is_on == (self == Self::WhenOn)
    }
}

/// What a site does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Calls (or jumps to) this address.
    Branch(usize),
    /// Nothing; a tail call just returns.
    Nop,
    /// Returns zero.
    Zero,
}

/// An instruction's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(super) bytes: [u8; MAX_WORD],
    len: usize,
}

impl Code {
    pub(crate) const fn new<const N: usize>(instruction: [u8; N]) -> Self {
        assert!(N <= MAX_WORD);
        let mut bytes = [0; MAX_WORD];
        let mut i = 0;
        while i < N {
            bytes[i] = instruction[i];
            i += 1;
        }
        Self { bytes, len: N }
    }

    #[cfg(any(test, fuzzing, feature = "inspect"))]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Whether it lies in one word of this many bytes, if it starts `offset` bytes from the word's start.
    #[inline]
    pub(crate) const fn fits(&self, word: usize, offset: usize) -> bool {
        self.len != 0 && offset + self.len <= word
    }

    /// `word` with this instruction at `offset`, or None if it does not fit into the word.
    #[inline]
    pub(crate) fn splice<const N: usize>(&self, word: [u8; N], offset: usize) -> Option<[u8; N]> {
        if !self.fits(N, offset) {
            return None;
        }
        // As numbers, lowest byte first: a word that is loaded while its bytes are being stored has to wait.
        let mask = u64::MAX >> (8 * (MAX_WORD - self.len)) << (8 * offset);
        let new = u64::from_le_bytes(self.bytes) << (8 * offset);
        Some(from_number(to_number(word) & !mask | new & mask))
    }
}

impl Action {
    /// The best action for a call while its key is in this form; `call` is the action that calls the key's
    /// function.
    #[inline]
    pub(crate) const fn at_best(form: Form, may_be_nop: bool, call: Self) -> Self {
        match form {
            Form::Nop if may_be_nop => Self::Nop,
            Form::Zero if may_be_nop => Self::Zero,
            _ => call,
        }
    }
}

/// The first of these actions that has an instruction, and that instruction.
#[inline]
pub(crate) fn first(actions: [Action; 3], encode: impl Fn(Action) -> Option<Code>) -> Option<(Action, Code)> {
    let encoded = |action| Some((action, encode(action)?));
    let [best, call, trampoline] = actions;
    encoded(best).or_else(|| encoded(call)).or_else(|| encoded(trampoline))
}

/// A word as a number, lowest byte first.
#[inline]
pub(crate) fn to_number<const N: usize>(word: [u8; N]) -> u64 {
    let mut bytes = [0; MAX_WORD];
    bytes[..N].copy_from_slice(&word);
    u64::from_le_bytes(bytes)
}

#[inline]
fn from_number<const N: usize>(number: u64) -> [u8; N] {
    let mut word = [0; N];
    word.copy_from_slice(&number.to_le_bytes()[..N]);
    word
}

/// What one of many instructions becomes, where it is what it usually is. `N` is the size of a word.
pub(crate) trait BulkRewrite<const N: usize> {
    /// Whether the instruction at `pc` lies in this word, and is of those that this replaces. Otherwise it
    /// has to be decoded.
    fn is_at(&self, word: [u8; N], pc: usize) -> bool;

    /// The word with the new instruction at `pc`.
    fn apply(&self, word: [u8; N], pc: usize) -> [u8; N];

    /// If nothing but a displacement changes: where in its word that of the instruction at `pc` starts, and
    /// the new one.
    #[inline]
    #[allow(dead_code, reason = "for x86-64")]
    fn only_displacement(&self, _pc: usize) -> Option<(usize, u32)> {
        None
    }
}

/// One instruction that becomes another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(super) from: Code,
    pub(super) to: Code,
}

impl<const N: usize> BulkRewrite<N> for Exchange {
    #[inline]
    fn is_at(&self, word: [u8; N], pc: usize) -> bool {
        self.to.fits(N, pc % N) && self.from.splice(word, pc % N) == Some(word)
    }

    #[inline]
    fn apply(&self, word: [u8; N], pc: usize) -> [u8; N] {
        self.to.splice(word, pc % N).unwrap_or(word)
    }
}

/// The rewrite of an architecture whose instructions are decoded and encoded as fast as they are compared:
/// there is no shorter way.
#[allow(dead_code, reason = "for those architectures")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoBulkRewrite;

#[allow(dead_code, reason = "for those architectures")]
impl NoBulkRewrite {
    pub(crate) fn all(_from: Action, _to: Action, _code: &core::ops::Range<usize>) -> [Option<Self>; 2] {
        [None; 2]
    }

    pub(crate) fn target<const N: usize>(_word: [u8; N], _pc: usize) -> Option<usize> {
        None
    }
}

impl<const N: usize> BulkRewrite<N> for NoBulkRewrite {
    fn is_at(&self, _word: [u8; N], _pc: usize) -> bool {
        false
    }

    fn apply(&self, word: [u8; N], _pc: usize) -> [u8; N] {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_spliced_where_it_fits_into_the_word() {
        let word = [1, 2, 3, 4, 5, 6, 7, 8];
        let code = Code::new([0xaa, 0xbb, 0xcc, 0xdd, 0xee]);
        for offset in 0..=3 {
            let mut expected = word;
            expected[offset..offset + 5].copy_from_slice(code.as_bytes());
            assert_eq!(code.splice(word, offset), Some(expected));
        }
        assert_eq!(code.splice(word, 4), None);
        assert_eq!(Code::new(word).splice([0; 8], 0), Some(word));
        assert_eq!(Code::new([]).splice(word, 0), None);
    }

    #[test]
    fn a_word_of_four_bytes_is_one_instruction() {
        let code = Code::new([0xaa, 0xbb, 0xcc, 0xdd]);
        assert_eq!(code.splice([1, 2, 3, 4], 0), Some([0xaa, 0xbb, 0xcc, 0xdd]));
        assert_eq!(code.splice([1, 2, 3, 4], 1), None);
        assert_eq!(Code::new([0xaa, 0xbb]).splice([1, 2, 3, 4], 2), Some([1, 2, 0xaa, 0xbb]));
    }
}
