//! Reading and writing code that may be running.
//!
//! A word of code is only ever touched as a whole: loaded by one atomic load, replaced by one atomic
//! compare-exchange. Both are aligned, so no thread ever fetches half of a change (AMD64 APM volume 2,
//! section 7.6.1).
//!
//! # Safety
//!
//! Addresses are checked against the image's executable segment, which stays mapped while the image is
//! registered. Code is no Rust object: nothing but this module accesses it, and only atomically.

use static_call_abi::Image;

use crate::arch::WORD;
use crate::writer;

/// The executable segment of a registered image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    start: usize,
    end: usize,
}

/// Code around an instruction, as it was at one moment for each of its words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetched {
    word: [u8; WORD],
    offset: usize,
    /// What stands from the instruction on, `len` bytes of it.
    bytes: [u8; 2 * WORD],
    len: usize,
}

impl Fetched {
    /// The bytes from the instruction on.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The word that the instruction starts in.
    pub(crate) fn word(&self) -> [u8; WORD] {
        self.word
    }

    /// Where in that word it starts.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }
}

impl Text {
    /// The segment that was found at registration.
    pub(crate) fn of(image: &Image) -> Self {
        Self { start: image.text, end: image.text_end }
    }

    pub(crate) fn range(self) -> core::ops::Range<usize> {
        self.start..self.end
    }

    pub(crate) fn contains(self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// The aligned word at `address`, if it lies in the segment.
    pub(crate) fn word(self, address: usize) -> Option<[u8; WORD]> {
        Some(self.checked(address)?.load().to_ne_bytes())
    }

    /// The words around the instruction at `address`: the one that it starts in, and the next one where
    /// the segment has it.
    #[inline]
    pub(crate) fn fetch(self, address: usize) -> Option<Fetched> {
        let offset = address % WORD;
        let start = address - offset;
        let word = self.word(start)?;
        let (next, len) = match start.checked_add(WORD).and_then(|next| self.word(next)) {
            Some(next) => (next, 2 * WORD - offset),
            None => ([0; WORD], WORD - offset),
        };
        // As one number, lowest byte first. Stored word by word and loaded again from some byte on, every
        // load would wait for the stores, for longer than all the rest of an update takes.
        let number = |word| u128::from(u64::from_le_bytes(word));
        let both = number(word) | number(next) << (8 * WORD);
        Some(Fetched { word, offset, bytes: (both >> (8 * offset)).to_le_bytes(), len })
    }

    /// Replaces the aligned word at `address`, unless it is not `old`.
    ///
    /// # Safety
    ///
    /// - A window ([`Windows`](crate::writer::window::Windows)) is open over the word.
    /// - Each thread that is about to run the word's instructions may run the old or the new ones.
    pub(crate) unsafe fn replace(self, address: usize, old: [u8; WORD], new: [u8; WORD]) -> bool {
        debug_assert!(self.checked(address).is_some());
        let (old, new) = (u64::from_ne_bytes(old), u64::from_ne_bytes(new));
        let word = self.checked(address);
        let word = word.map(|word| writer::custom().map_or(word, |writer| word.at_alias(writer)));
        // SAFETY: the caller's promise.
        word.is_some_and(|word| unsafe { word.replace(old, new) })
    }

    fn checked(self, address: usize) -> Option<CodeWord> {
        let inside = address.is_multiple_of(WORD) && self.contains(address) && self.end - address >= WORD;
        inside.then_some(CodeWord(address))
    }
}

/// Loads the aligned word at `address`.
///
/// # Safety
///
/// It is code of a registered image.
#[allow(dead_code, reason = "for breakpoints")]
pub(crate) unsafe fn load(address: usize) -> [u8; WORD] {
    CodeWord(address).load().to_ne_bytes()
}

/// An aligned word in a segment of code that is mapped.
#[derive(Clone, Copy)]
struct CodeWord(usize);

impl CodeWord {
    /// The word where it can be written.
    fn at_alias(self, writer: &dyn writer::CodeWriter) -> Self {
        Self(writer.alias(self.0 as *mut u8).addr())
    }
}

/// In assembler, since it is about code: ThreadSanitizer would look up and keep what threads did to these
/// addresses, and has no place for that.
#[cfg(target_arch = "x86_64")]
impl CodeWord {
    #[inline]
    fn load(self) -> u64 {
        let word;
        // SAFETY: mapped and readable; an aligned load of eight bytes is atomic (AMD64 APM volume 2, 7.3.2).
        unsafe {
            core::arch::asm!("mov {word}, [{at}]", at = in(reg) self.0, word = out(reg) word,
                options(nostack, preserves_flags, readonly));
        }
        word
    }

    /// # Safety
    ///
    /// The word is writable, and may become `new` at any moment.
    #[inline]
    unsafe fn replace(self, old: u64, new: u64) -> bool {
        let found: u64;
        // SAFETY: the caller's promise; LOCK CMPXCHG of an aligned word is one atomic operation.
        unsafe {
            core::arch::asm!("lock cmpxchg [{at}], {new}", at = in(reg) self.0, new = in(reg) new,
                inout("rax") old => found, options(nostack));
        }
        found == old
    }
}

/// No other architecture has a backend yet: there is no word to be had, and none to be replaced.
#[cfg(not(target_arch = "x86_64"))]
impl CodeWord {
    fn load(self) -> u64 {
        0
    }

    unsafe fn replace(self, _old: u64, _new: u64) -> bool {
        false
    }
}
