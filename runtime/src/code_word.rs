//! A word of code, which is only accessed as a whole.
//!
//! # Safety
//!
//! As for `text.rs`.

#[cfg(any(not(target_arch = "x86_64"), miri))]
use core::sync::atomic::Ordering;

use crate::arch::{BulkRewrite, WORD, native};
use crate::patch::Patch;

/// An aligned word in a segment of code that is mapped, or in the alias of one.
#[derive(Clone, Copy)]
pub(crate) struct CodeWord(usize);

impl CodeWord {
    /// The word at this address, which must be such a one.
    #[inline]
    pub(crate) fn at(address: usize) -> Self {
        Self(address)
    }

    #[inline]
    pub(crate) fn address(self) -> usize {
        self.0
    }
}

/// In assembler, because this is code: ThreadSanitizer would track the accesses, and has no shadow memory for
/// these addresses.
#[cfg(all(target_arch = "x86_64", not(miri)))]
impl CodeWord {
    /// What it holds.
    #[inline]
    pub(crate) fn load(self) -> [u8; WORD] {
        let word: u64;
        // SAFETY: mapped and readable; an aligned load of eight bytes is atomic (AMD64 APM volume 2, 7.3.2).
        unsafe {
            core::arch::asm!("mov {word}, [{at}]", at = in(reg) self.0, word = out(reg) word,
                options(nostack, preserves_flags, readonly));
        }
        word.to_ne_bytes()
    }

    /// # Safety
    ///
    /// The word is writable, and may become the new one at any moment. It has just been the old one.
    #[inline]
    pub(crate) unsafe fn replace(self, patch: &Patch) -> bool {
        let (old, new) = (u64::from_ne_bytes(patch.old), u64::from_ne_bytes(patch.new));
        // SAFETY: the caller's promise.
        unsafe {
            match native::only_displacement(patch.kind, patch.offset(), old ^ new) {
                Some(at) => self.store_displacement(at, (new >> (8 * at)) as u32),
                None => self.compare_exchange(patch.old, patch.new),
            }
        }
    }

    /// Replaces the instruction at `pc`.
    ///
    /// # Safety
    ///
    /// As for [`replace`](Self::replace), and `rewrite` has found its instruction there.
    #[inline]
    pub(crate) unsafe fn rewrite(self, rewrite: &impl BulkRewrite<WORD>, old: [u8; WORD], pc: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            match rewrite.only_displacement(pc) {
                Some((at, displacement)) => self.store_displacement(at, displacement),
                None => self.compare_exchange(old, rewrite.apply(old, pc)),
            }
        }
    }

    /// Stores only the displacement. That costs a third, and does not touch bytes around it that others may
    /// have changed since they were loaded, such as the first byte, where a debugger sets a breakpoint.
    ///
    /// # Safety
    ///
    /// As for [`replace`](Self::replace); the displacement lies in the word, `at` bytes from its start.
    #[inline]
    unsafe fn store_displacement(self, at: usize, displacement: u32) -> bool {
        // SAFETY: the caller's promise; a store that lies in an aligned quadword is one atomic operation,
        // whether it is aligned itself or not (AMD64 APM volume 2, 7.3.2).
        unsafe {
            core::arch::asm!("mov dword ptr [{at}], {displacement:e}", at = in(reg) self.0 + at,
                displacement = in(reg) displacement, options(nostack, preserves_flags));
        }
        true
    }

    /// # Safety
    ///
    /// As for [`replace`](Self::replace).
    #[inline]
    unsafe fn compare_exchange(self, old: [u8; WORD], new: [u8; WORD]) -> bool {
        let (old, new) = (u64::from_ne_bytes(old), u64::from_ne_bytes(new));
        let found: u64;
        // SAFETY: the caller's promise; LOCK CMPXCHG of an aligned word is one atomic operation.
        unsafe {
            core::arch::asm!("lock cmpxchg [{at}], {new}", at = in(reg) self.0, new = in(reg) new,
                inout("rax") old => found, options(nostack));
        }
        found == old
    }
}

/// Elsewhere, and in Miri, which knows no assembler: with the compiler's atomics.
#[cfg(any(not(target_arch = "x86_64"), miri))]
impl CodeWord {
    /// What it holds.
    #[cfg(not(target_arch = "x86"))]
    #[inline]
    pub(crate) fn load(self) -> [u8; WORD] {
        // SAFETY: mapped, readable and aligned; code is only accessed like this.
        unsafe { native::AtomicNumber::from_ptr(self.0 as *mut _) }.load(Ordering::Relaxed).to_ne_bytes()
    }

    /// In two halves: only floating-point and vector registers, which a kernel may not use, load eight bytes
    /// at once, and LOCK CMPXCHG8B writes them. Under the lock nobody else changes code but by single bytes,
    /// such as a debugger, and `replace` compares the whole word.
    #[cfg(target_arch = "x86")]
    /// What it holds.
    #[inline]
    pub(crate) fn load(self) -> [u8; WORD] {
        let half = |address| {
            // SAFETY: mapped, readable and aligned.
            unsafe { core::sync::atomic::AtomicU32::from_ptr(address as *mut u32) }.load(Ordering::Relaxed)
        };
        (u64::from(half(self.0)) | u64::from(half(self.0 + 4)) << 32).to_ne_bytes()
    }

    /// # Safety
    ///
    /// The word is writable, and may become the new one at any moment.
    #[inline]
    pub(crate) unsafe fn replace(self, patch: &Patch) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.compare_exchange(patch.old, patch.new) }
    }

    /// # Safety
    ///
    /// As for [`replace`](Self::replace).
    #[inline]
    pub(crate) unsafe fn rewrite(self, rewrite: &impl BulkRewrite<WORD>, old: [u8; WORD], pc: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.compare_exchange(old, rewrite.apply(old, pc)) }
    }

    /// # Safety
    ///
    /// As for [`replace`](Self::replace).
    #[inline]
    unsafe fn compare_exchange(self, old: [u8; WORD], new: [u8; WORD]) -> bool {
        // SAFETY: as above, and the caller's promise.
        let word = unsafe { native::AtomicNumber::from_ptr(self.0 as *mut _) };
        let [old, new] = [old, new].map(native::Number::from_ne_bytes);
        // What the update has written before, such as the key, is visible to every thread that sees the new
        // word.
        word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// Loads the aligned word at `address`.
///
/// # Safety
///
/// It is code of a registered image.
#[allow(dead_code, reason = "for breakpoints")]
pub(crate) unsafe fn load(address: usize) -> [u8; WORD] {
    CodeWord(address).load()
}

/// Copies whole words of code. In a child of fork(2), a thread of the parent may be replacing some of them:
/// each is copied as it was at one moment.
///
/// # Safety
///
/// They are code of a registered image; and there is room for as many at `to`, in memory that is no code yet.
#[allow(dead_code, reason = "for aliases")]
pub(crate) unsafe fn copy(code: core::ops::Range<usize>, to: usize) {
    for address in code.clone().step_by(WORD) {
        let word = CodeWord(address);
        let mut bytes = word.load();
        // On i686 a word is loaded in halves.
        while cfg!(target_arch = "x86") && bytes != word.load() {
            bytes = word.load();
        }
        let to = core::ptr::with_exposed_provenance_mut::<[u8; WORD]>(to + (address - code.start));
        // SAFETY: the caller's promise.
        unsafe { to.write_volatile(bytes) };
    }
}

/// Whether whole words of code are the same as those at `other`.
///
/// # Safety
///
/// Both are code of a registered image, or an alias of it.
#[allow(dead_code, reason = "for aliases")]
pub(crate) unsafe fn are_same(code: core::ops::Range<usize>, other: usize) -> bool {
    code.clone()
        .step_by(WORD)
        .all(|address| CodeWord(address).load() == CodeWord(other + (address - code.start)).load())
}
