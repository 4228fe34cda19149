//! What the bytes of a site mean on each architecture.
//!
//! A backend is pure: it turns instructions into bytes and back, touches no memory and asks nothing
//! of the operating system. Every backend is compiled, and its tests run, on every host; `native` is
//! the one that this process runs on. To add an architecture: write a file like `x86_64.rs`, name it
//! below, and give it a row in `llvm-pass/src/target.rs`.

#[cfg_attr(target_arch = "x86_64", expect(dead_code, reason = "for the others"))]
pub(crate) mod unsupported;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) mod x86_64;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use unsupported as native;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64 as native;

/// The unit that is replaced at once: aligned to its size, never torn.
pub(crate) const WORD: usize = 8;

/// What kind of instruction a site is, whatever it does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    /// A tail call.
    Jump,
    /// A tail call that only happens on this condition of the architecture's.
    ConditionalJump(u8),
}

/// What a site does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Calls (or jumps to) this address.
    Go(usize),
    /// Nothing; a tail call just returns.
    Nop,
    /// Returns zero.
    Zero,
}

/// An instruction's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    bytes: [u8; WORD],
    len: usize,
}

impl Code {
    pub(crate) const fn new<const N: usize>(instruction: [u8; N]) -> Self {
        assert!(N <= WORD);
        let mut bytes = [0; WORD];
        let mut i = 0;
        while i < N {
            bytes[i] = instruction[i];
            i += 1;
        }
        Self { bytes, len: N }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// `word` with this instruction at `offset`, or None where it does not fit into the word.
    pub(crate) fn splice(&self, word: [u8; WORD], offset: usize) -> Option<[u8; WORD]> {
        let mut spliced = word;
        spliced.get_mut(offset..offset + self.len)?.copy_from_slice(self.as_bytes());
        Some(spliced)
    }
}
