//! What the bytes of a site mean on each architecture.
//!
//! A backend is pure: it turns instructions into bytes and back, touches no memory and asks nothing
//! of the operating system. Every backend is compiled, and its tests run, on every host; `native` is
//! the one that this process runs on. To add an architecture: write a file like `x86_64.rs`, name it
//! below, and give it a row in `llvm-pass/src/target.rs`.

#[cfg_attr(target_arch = "x86_64", expect(dead_code, reason = "for the others"))]
pub(crate) mod unsupported;
#[cfg_attr(not(all(target_arch = "x86_64", feature = "os")), allow(dead_code))]
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

    #[cfg(any(test, fuzzing))]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// `word` with this instruction at `offset`, or None where it does not fit into the word.
    pub(crate) fn splice(&self, word: [u8; WORD], offset: usize) -> Option<[u8; WORD]> {
        if self.len == 0 || offset + self.len > WORD {
            return None;
        }
        // As numbers, lowest byte first: a word that is loaded while its bytes are being stored has to wait.
        let mask = u64::MAX >> (8 * (WORD - self.len)) << (8 * offset);
        let new = u64::from_le_bytes(self.bytes) << (8 * offset);
        Some((u64::from_le_bytes(word) & !mask | new & mask).to_le_bytes())
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
}
