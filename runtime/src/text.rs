//! Reading and writing code that may be running.
//!
//! A word of code is only accessed as a whole: loaded by one atomic load, replaced by one atomic
//! compare-exchange or, where only an instruction's own displacement changes, by one store of that. So no
//! thread ever fetches half of a change; the manuals' sections are named in `arch/`.
//!
//! # Safety
//!
//! Addresses are checked against the image's executable segment, which stays mapped while the image is
//! registered. Code is no Rust object: `code_word.rs` accesses it, and only atomically. Beside it, the kernel
//! writes bytes for breakpoints, and two others load some without knowing an image, as volatile: on POWER
//! `update.rs` looks at how a key's target starts, and the handler of SIGTRAP (`trap.rs`) at the bytes where
//! the thread was stopped.

use static_call_abi::Image;

use crate::arch::{self, BulkRewrite, WORD, native};
use crate::code_word::CodeWord;
use crate::format;
use crate::os::{self, Rights};
use crate::patch::Patch;
use crate::writer::alias;
use crate::writer::way::Way;

/// The executable segments of a registered image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    /// The one with the first trampoline, which mostly is the only one.
    start: usize,
    end: usize,
    /// The image's ELF header, which names the others.
    header: *const u8,
}

/// The longest site, less its first byte.
const LONGEST: usize = if cfg!(any(target_arch = "x86_64", target_arch = "x86")) { 6 } else { 2 * WORD };

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
    /// What was found at registration.
    pub(crate) fn of(image: &Image) -> Self {
        Self { start: image.text.get(), end: image.text_end.get(), header: image.header.get() }
    }

    /// The segment with the first trampoline.
    pub(crate) fn range(self) -> core::ops::Range<usize> {
        self.start..self.end
    }

    pub(crate) fn contains(self, address: usize) -> bool {
        self.range().contains(&address) || self.is_elsewhere(address)
    }

    /// Whether another segment has the word at `address`.
    #[inline]
    fn is_elsewhere(self, address: usize) -> bool {
        // The header alone: the rest stays in registers.
        #[cold]
        #[inline(never)]
        fn search(header: *const u8, address: usize) -> bool {
            // SAFETY: the header of an image that is being registered, or is.
            unsafe { format::code_segments(header) }.any(|segment| segment.contains(address))
        }
        search(self.header, address)
    }

    /// Whether code at `address` may be executed, but not read.
    #[cold]
    pub(crate) fn is_unreadable(self, address: usize) -> bool {
        // SAFETY: as above.
        unsafe { format::is_unreadable(self.header, address) }
    }

    /// The aligned word at `address`, if it lies in a segment.
    #[inline]
    pub(crate) fn word(self, address: usize) -> Option<[u8; WORD]> {
        Some(self.checked(address)?.load())
    }

    /// The same, if it lies in the segment with the first trampoline.
    #[inline]
    pub(crate) fn word_of_first(self, address: usize) -> Option<[u8; WORD]> {
        Some(self.in_first(address)?.load())
    }

    /// The word in which the instruction at `address` starts, and the next one if the instruction may end
    /// there and the segment has it.
    #[inline]
    pub(crate) fn fetch(self, address: usize) -> Option<Fetched> {
        let offset = address % WORD;
        let start = address - offset;
        let word = self.word(start)?;
        let may_go_on = |next: &usize| offset + LONGEST > WORD && (!is_page(*next) || goes_on(address, word));
        let next = start.checked_add(WORD).filter(may_go_on);
        let (next, len) = match next.and_then(|next| self.word(next)) {
            Some(next) => (next, 2 * WORD - offset),
            None => ([0; WORD], WORD - offset),
        };
        // As one number, lowest byte first. If the words were stored and then loaded from some byte on, each
        // load would wait for the stores, for longer than the rest of an update takes.
        let number = |word| u128::from(arch::to_number(word));
        let both = (number(word) | number(next) << (8 * WORD)) >> (8 * offset);
        let mut bytes = [0; 2 * WORD];
        bytes.copy_from_slice(&both.to_le_bytes()[..2 * WORD]);
        Some(Fetched { word, offset, bytes, len })
    }

    /// Replaces an instruction if its word is still the old one. (If only the displacement changes, x86-64
    /// does not check.)
    ///
    /// # Safety
    ///
    /// - A window ([`Windows`](crate::writer::window::Windows)) is open over the word, which has just been
    ///   loaded.
    /// - Each thread that is about to run the word's instructions may run the old or the new ones.
    #[inline]
    pub(crate) unsafe fn replace(self, patch: &Patch, way: Way) -> bool {
        let address = patch.address();
        debug_assert!(self.checked(address).is_some());
        // SAFETY: the caller's promise.
        let replace = |word: CodeWord| unsafe { word.replace(patch) };
        self.checked(address).is_some_and(|word| replace_by(way, word, replace))
    }

    /// Counts how many of these sites, from the first one on, are what their rewrites replace.
    ///
    /// Nearly all sites are, and the loop over them is short. It has its own function, where nothing else
    /// needs a register.
    #[inline(never)]
    pub(crate) fn find_run<R: BulkRewrite<WORD>>(self, sites: impl Iterator<Item = (usize, R)>) -> usize {
        self.take_while(sites, |_, _, _, _| true)
    }

    /// Rewrites these sites from the first one on, until one is something else or cannot be replaced. Returns
    /// how many it replaced.
    ///
    /// # Safety
    ///
    /// As for [`replace`](Self::replace), of the words of all these sites.
    #[inline(never)]
    pub(crate) unsafe fn replace_run<R: BulkRewrite<WORD>>(
        self,
        sites: impl Iterator<Item = (usize, R)>,
        way: Way,
    ) -> usize {
        // SAFETY: the caller's promise.
        let rewrite = |word: CodeWord, old, pc, rewrite: R| unsafe { word.rewrite(&rewrite, old, pc) };
        let in_place = |word: CodeWord, old, pc, how| rewrite(word, old, pc, how) && publish(word);
        let elsewhere = |word: CodeWord, old, pc, how| {
            let Some(place) = way.place(word.address()).map(CodeWord::at) else { return false };
            // A copy of the page ends the run, and the site is visited alone.
            rewrite(place, old, pc, how) && is_seen(way, word, place) && publish(word)
        };
        match way {
            Way::InPlace => self.take_while(sites, in_place),
            _ => self.take_while(sites, elsewhere),
        }
    }

    /// Passes the sites that are what their rewrites replace to `take`: their word, what it holds, their
    /// address, and the rewrite. Stops at the first other site, or when `take` returns false. Returns how
    /// many there were.
    #[inline]
    fn take_while<R: BulkRewrite<WORD>>(
        self,
        sites: impl Iterator<Item = (usize, R)>,
        mut take: impl FnMut(CodeWord, [u8; WORD], usize, R) -> bool,
    ) -> usize {
        let is_taken = |(pc, rewrite): (usize, R)| {
            // Sites of other segments are visited alone: the rewrite may not reach its target from there.
            let word = self.in_first(pc / WORD * WORD)?;
            let old = word.load();
            (rewrite.is_at(old, pc) && take(word, old, pc, rewrite)).then_some(())
        };
        sites.map_while(is_taken).count()
    }

    #[inline]
    fn checked(self, address: usize) -> Option<CodeWord> {
        if let Some(word) = self.in_first(address) {
            return Some(word);
        }
        (address.is_multiple_of(WORD) && self.is_elsewhere(address)).then_some(CodeWord::at(address))
    }

    /// The word, if it lies in the segment with the first trampoline.
    #[inline]
    fn in_first(self, address: usize) -> Option<CodeWord> {
        // From the start to that of the last word. In a loop over sites, only the comparison stays.
        let room = self.end.saturating_sub(self.start).checked_sub(WORD)?;
        let inside = address.is_multiple_of(WORD) && address.wrapping_sub(self.start) <= room;
        inside.then_some(CodeWord::at(address))
    }
}

/// Whether a page of any size starts here: the program may have unmapped it, but not the page before.
fn is_page(address: usize) -> bool {
    const SMALLEST: usize = 4096;
    address.is_multiple_of(SMALLEST)
}

/// Whether an instruction continues in the next word, on the next page, and that page is mapped.
#[cold]
fn goes_on(address: usize, word: [u8; WORD]) -> bool {
    let next = address / WORD * WORD + WORD;
    native::decode(address, &word[address % WORD..]).is_none()
        && !matches!(os::rights(next, os::page_size()), Some((Rights::NotMapped, _)))
}

/// Prefetches the code at this address into the data cache, where that is known to pay.
#[inline]
pub(crate) fn prefetch(_address: usize) {
    // SAFETY: it changes nothing but caches, and takes every address.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        core::arch::asm!("prefetcht0 [{}]", in(reg) _address, options(nostack, preserves_flags, readonly));
    }
}

/// Replaces a word where it is written.
fn replace_by(way: Way, word: CodeWord, replace: impl Fn(CodeWord) -> bool) -> bool {
    let place = || way.place(word.address()).map(CodeWord::at);
    let seen = |place: &CodeWord| is_seen(way, word, *place);
    let renewed = || alias::renew(word.address()).then(place).flatten();
    let Some(place) = place() else { return false };
    let Some(place) = Some(place).filter(seen).or_else(renewed) else { return false };
    if !replace(place) {
        return false;
    }
    // Somebody may copy the page between the two.
    let is_replaced = seen(&place) || renewed().is_some_and(|place| replace(place) && seen(&place));
    is_replaced && publish(word)
}

/// Whether what was written there is executed here. It is, unless somebody has made a copy of the page of an
/// alias.
#[inline]
fn is_seen(way: Way, word: CodeWord, place: CodeWord) -> bool {
    !matches!(way, Way::Alias) || word.load() == place.load()
}

/// Makes a replaced word known to caches where it is executed. True.
#[inline]
fn publish(word: CodeWord) -> bool {
    // SAFETY: the word is mapped there.
    unsafe { native::publish(word.address()) };
    true
}
