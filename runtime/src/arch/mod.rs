//! What the bytes of a site mean on each architecture.
//!
//! A backend is pure: it turns instructions into bytes and back, touches no memory and asks nothing
//! of the operating system. Every backend is compiled, and its tests run, on every host; `native` is
//! the one that this process runs on. Only what brings a replaced word to the instruction caches
//! (`publish`) is compiled on its own architecture alone.
//!
//! To add an architecture: write a file like `aarch64.rs`, give it a row below, and one in
//! `llvm-pass/src/target/`.

/// Names the backends. Those that this process does not run on are there for their tests.
macro_rules! backends {
    ($($name:ident for $target:meta;)*) => {
        $(
            #[cfg_attr(not(all($target, feature = "os")), allow(dead_code, unused_imports))]
            pub(crate) mod $name;
            #[cfg($target)]
            pub(crate) use $name as native;
        )*
        #[cfg_attr(any($($target),*), allow(dead_code, unused_imports))]
        pub(crate) mod unsupported;
        #[cfg(not(any($($target),*)))]
        pub(crate) use unsupported as native;
    };
}

backends! {
    x86_64 for target_arch = "x86_64";
    x86 for all(target_arch = "x86", target_has_atomic = "64");
    aarch64 for all(target_arch = "aarch64", target_endian = "little", target_pointer_width = "64");
    loongarch64 for target_arch = "loongarch64";
    arm for all(target_arch = "arm", target_endian = "little", target_os = "linux");
    riscv64 for target_arch = "riscv64";
    s390x for target_arch = "s390x";
    powerpc64 for all(target_arch = "powerpc64", target_endian = "little");
}

/// Only POWER's functions have two entries.
#[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
pub(crate) use powerpc64::entry;

/// Where a branch enters the function at `target`.
#[cfg(not(all(target_arch = "powerpc64", target_endian = "little")))]
#[inline]
pub(crate) fn entry(
    target: usize,
    _trampoline: usize,
    _text: &core::ops::Range<usize>,
    _load: impl Fn(usize) -> u32,
) -> Option<usize> {
    Some(target)
}

#[cfg(test)]
mod oracle;
// Like the backends that use it.
#[cfg_attr(
    not(all(any(target_arch = "riscv64", target_arch = "loongarch64"), feature = "os")),
    allow(dead_code)
)]
mod pair;

/// The unit that is replaced at once, in bytes: aligned to its size, never torn.
pub(crate) const WORD: usize = native::WORD;
/// The largest unit of any architecture.
const MAX_WORD: usize = 8;

/// What kind of instruction a site is, whatever it does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    /// A tail call.
    Jump,
    /// A tail call, and on Arm also a call, that only happens on this condition of the architecture's.
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
    bytes: [u8; MAX_WORD],
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

    #[cfg(any(test, fuzzing))]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// `word` with this instruction at `offset`, or None where it does not fit into the word.
    #[inline]
    pub(crate) fn splice<const N: usize>(&self, word: [u8; N], offset: usize) -> Option<[u8; N]> {
        if self.len == 0 || offset + self.len > N {
            return None;
        }
        // As numbers, lowest byte first: a word that is loaded while its bytes are being stored has to wait.
        let mask = u64::MAX >> (8 * (MAX_WORD - self.len)) << (8 * offset);
        let new = u64::from_le_bytes(self.bytes) << (8 * offset);
        Some(from_number(to_number(word) & !mask | new & mask))
    }
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

/// The rewrite of an architecture whose instructions are decoded and encoded as fast as they are compared:
/// there is no shorter way.
#[allow(dead_code, reason = "for those architectures")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoShortWay;

#[allow(dead_code, reason = "for those architectures")]
impl NoShortWay {
    pub(crate) fn all(_from: Action, _to: Action, _code: &core::ops::Range<usize>) -> [Option<Self>; 2] {
        [None; 2]
    }

    pub(crate) fn target(_word: [u8; WORD], _pc: usize) -> Option<usize> {
        None
    }

    pub(crate) fn is_at(&self, _word: [u8; WORD], _pc: usize) -> bool {
        false
    }

    pub(crate) fn apply(&self, word: [u8; WORD], _pc: usize) -> [u8; WORD] {
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
