//! Writing code through a second mapping of it: no page is ever writable where it is executed, nobody has to
//! take a breakpoint, and an update interrupts the other processors once, for membarrier(2).
//!
//! The pages of code that updates change become a private, executable mapping of a file in memory, which is
//! also mapped to be written elsewhere: the *alias*. A word that is stored in the alias is executed in the
//! code. Other pages stay what they are. An image is taken over when it is written for the first time; a
//! thread that runs its code meanwhile waits in a page fault.
//!
//! What may go wrong, and why it does not:
//!
//! - *A debugger's breakpoint* copies the page where it is executed, and the alias leads to the page before.
//!   So each word is read back where it is executed. If it is not there, the image is taken over once more,
//!   with what its pages hold by then (a breakpoint included), and the word is stored again. A copy may be
//!   under way while the word is stored; so in the end an update waits for copies, and compares the pages.
//! - *A probe of the kernel's* (uprobe) is known by the file that is mapped. If its page became another
//!   file's, the kernel would end the process there. So a page that somebody has written before is not taken
//!   over, and the next writer is tried.
//! - *A child of fork(2)* executes the same pages, and must not follow its parent's updates. It does not
//!   inherit the alias; and the parent leaves the file to the child: each fork makes all aliases invalid
//!   ([`before_fork`]), and the next update takes the images over once more. An update that may meet a fork
//!   notes that it writes ([`Step::Writing`](crate::journal::Step::Writing)) before it takes them over
//!   ([`confirm`]). A child that was made before shares nothing with the new alias; one that is made later
//!   sees the note, and writes back all that this update may change, in pages of its own ([`take_back`]).
//! - *After the seal* there is no alias, except while an image is being loaded.
//!
//! # Safety
//!
//! As for `window.rs`: the holder of the lock alone uses this. An entry's memory is mapped until
//! [`forget`] takes it out of the list.

use core::cell::Cell;
use core::num::NonZero;
use core::ops::Range;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};

use crate::code_word;
use crate::format::Access;
use crate::lock::{self, Guard};
use crate::log::log;
use crate::os::{self, MemoryFile, Refused};
use crate::sealed::SEALED;

pub(crate) const SUPPORTED: bool = true;

/// Where the list of segments with an alias begins.
static FIRST: &AtomicPtr<u8> = &SEALED.0.aliases.0;

/// A segment of code with an alias. Behind it in memory lies one byte for each of its pages.
#[derive(Debug)]
struct Entry {
    next: Cell<*mut Entry>,
    /// In whole pages.
    start: usize,
    end: usize,
    /// The page size is two to this power. Asking for it takes longer than the rest of [`of`].
    shift: u32,
    access: Access,
    /// Where the first page is mapped to be written, or 0.
    alias: Cell<usize>,
    /// The [`generation`] that the alias belongs to.
    made: Cell<Option<NonZero<usize>>>,
    /// Whether an update that has begun writes here.
    is_open: Cell<bool>,
    /// Why a word could not be written.
    refused: Cell<Option<Refused>>,
}

/// What is known of a page.
const WANTED: u8 = 1;
/// It is mapped from a file of ours. What somebody else writes to it is a debugger's.
const OWN: u8 = 2;

/// How many threads are inside of fork(2).
static FORKING: AtomicUsize = AtomicUsize::new(0);
/// How often one went in, plus one.
static FORKS: AtomicUsize = AtomicUsize::new(1);

/// Makes all aliases invalid, since a child is about to share what they write. Without the lock: fork(2)
/// never waits for it.
pub(crate) fn before_fork() {
    FORKING.fetch_add(1, Ordering::SeqCst);
    FORKS.fetch_add(1, Ordering::SeqCst);
}

/// In the parent: no child will share the aliases that are made from now on.
pub(crate) fn after_fork() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// In the child, whose only thread comes out of fork(2).
pub(crate) fn in_child() {
    FORKING.store(0, Ordering::SeqCst);
}

/// What an alias belongs to that no child shares: none while a thread forks.
fn generation() -> Option<NonZero<usize>> {
    let forks = FORKS.load(Ordering::SeqCst);
    NonZero::new(forks).filter(|_| FORKING.load(Ordering::SeqCst) == 0)
}

impl Entry {
    /// # Errors
    ///
    /// There is no memory.
    fn new(segment: Range<usize>, access: Access, _lock: &Guard) -> Result<&'static Self, Refused> {
        let page = os::page_size();
        let (start, end) = (segment.start & !(page - 1), segment.end.next_multiple_of(page));
        let memory: *mut Self = os::map_memory(size_of::<Self>() + (end - start) / page)?.cast();
        let entry = Self {
            next: Cell::new(FIRST.load(Ordering::Relaxed).cast()),
            start,
            end,
            shift: page.trailing_zeros(),
            access,
            alias: Cell::new(0),
            made: Cell::new(None),
            is_open: Cell::new(false),
            refused: Cell::new(None),
        };
        // SAFETY: new memory, on pages of its own, and large enough.
        unsafe { memory.write(entry) };
        // A child that is forked in between has one entry less.
        FIRST.store(memory.cast(), Ordering::Release);
        // SAFETY: just written.
        Ok(unsafe { &*memory })
    }

    fn pages(&self) -> &[Cell<u8>] {
        let count = (self.end - self.start) >> self.shift;
        // SAFETY: they lie behind the entry, and were zeros at first.
        unsafe {
            let behind = core::ptr::from_ref(self).add(1).cast::<Cell<u8>>();
            core::slice::from_raw_parts(behind, count)
        }
    }

    /// What is known of some of its pages.
    fn states(&self, pages: Range<usize>) -> &[Cell<u8>] {
        &self.pages()[(pages.start - self.start) >> self.shift..(pages.end - self.start) >> self.shift]
    }

    fn contains(&self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }

    fn is_valid(&self) -> bool {
        self.alias.get() != 0 && self.made.get().is_some() && self.made.get() == generation()
    }

    /// Gives an alias back, if there is one.
    ///
    /// # Safety
    ///
    /// `take_over` has mapped it for this entry, in this process (see `settle`), and nobody uses it any more.
    unsafe fn unmap(&self, alias: usize) {
        if alias != 0 {
            // SAFETY: the caller's promise.
            unsafe { os::unmap_memory(core::ptr::with_exposed_provenance_mut(alias), self.end - self.start) };
        }
    }

    /// Calls `visit` with each run of pages that updates change, as addresses, until it fails.
    fn for_each_run(
        &self,
        mut visit: impl FnMut(Range<usize>) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let (page, pages) = (os::page_size(), self.pages());
        let mut from = 0;
        while let Some(first) = pages[from..].iter().position(|state| state.get() != 0) {
            let first = from + first;
            let len = pages[first..].iter().take_while(|state| state.get() != 0).count();
            from = first + len;
            visit(self.start + first * page..self.start + from * page)?;
        }
        Ok(())
    }

    /// Maps all pages that updates change from a new file, with what they hold, and makes their alias.
    ///
    /// # Errors
    ///
    /// Then all pages hold what they held, and the alias is the one from before, which may not lead to all of
    /// them. `EBUSY`: somebody has written to the code.
    fn take_over(&self) -> Result<(), Refused> {
        let (page, len) = (os::page_size(), self.end - self.start);
        let generation = generation();
        for (index, _) in self.pages().iter().enumerate().filter(|(_, state)| state.get() == WANTED) {
            match os::is_written(self.start + index * page) {
                Some(false) => {}
                _ => return Err(Refused(EBUSY)),
            }
        }
        let file = MemoryFile::new(len)?;
        let alias = file.map_shared(len)?.expose_provenance();
        // A child has all this without the mapping, and no note.
        lock::note_aliases();
        let copy_and_map = |run: Range<usize>| {
            let offset = run.start - self.start;
            // SAFETY: the pages belong to a segment of a registered image, and the plan has read them; those
            // of the file are new. Only the lock's holder changes code, and the file holds what the pages
            // hold.
            unsafe {
                code_word::copy(run.clone(), alias + offset);
                file.map_code(run.start, run.len(), self.access, offset)
            }
        };
        let mapped = self.for_each_run(copy_and_map);
        let unused = if mapped.is_ok() {
            self.made.set(generation);
            self.alias.replace(alias)
        } else {
            alias
        };
        // SAFETY: nothing is written through this one any more.
        unsafe { self.unmap(unused) };
        mapped?;
        self.pages().iter().filter(|state| state.get() != 0).for_each(|state| state.set(OWN));
        Ok(())
    }
}

const EBUSY: i32 = 16;

/// All entries. Who asks holds the lock; those who write single words know it without a guard.
fn entries() -> impl Iterator<Item = &'static Entry> {
    let mut next: *mut Entry = FIRST.load(Ordering::Relaxed).cast();
    core::iter::from_fn(move || {
        // SAFETY: null or an entry in the list; whoever takes one out holds the lock.
        let entry = unsafe { next.as_ref() }?;
        next = entry.next.get();
        Some(entry)
    })
}

/// The segment that an address lies in, if it has an alias or shall have one.
#[inline]
fn entry_of(address: usize) -> Option<&'static Entry> {
    entries().find(|entry| entry.contains(address))
}

/// In a child, which has the entries but not the aliases: forgets these. Their addresses may be something
/// else's there.
fn settle(_lock: &Guard) {
    if !lock::has_aliases() {
        entries().for_each(|entry| entry.alias.set(0));
    }
}

/// Notes that an update is going to change these pages of a segment.
///
/// # Errors
///
/// There is no memory.
pub(crate) fn want(
    segment: Range<usize>,
    pages: Range<usize>,
    access: Access,
    lock: &Guard,
) -> Result<(), Refused> {
    if access.write {
        // The program writes there, and others would execute what it has not written.
        return Err(Refused(EBUSY));
    }
    settle(lock);
    let entry = match entry_of(segment.start) {
        Some(entry) => entry,
        None => Entry::new(segment, access, lock)?,
    };
    entry.is_open.set(true);
    for state in entry.states(pages).iter().filter(|state| state.get() == 0) {
        state.set(WANTED);
        entry.made.set(None);
    }
    Ok(())
}

/// Whether these pages, all of one segment, can be written through a valid alias.
pub(crate) fn has(pages: Range<usize>, _lock: &Guard) -> bool {
    let is_own = |entry: &Entry| entry.states(pages.clone()).iter().all(|state| state.get() == OWN);
    lock::has_aliases() && entry_of(pages.start).is_some_and(|entry| entry.is_valid() && is_own(entry))
}

/// Makes the aliases of those segments of an update that have none, or an invalid one.
///
/// # Errors
///
/// With an address of the segment that was refused.
pub(crate) fn make(lock: &Guard) -> Result<(), (usize, Refused)> {
    settle(lock);
    for entry in entries().filter(|entry| entry.is_open.get() && !entry.is_valid()) {
        if let Err(refused) = entry.take_over() {
            // What was never ours is not asked for again: another writer may change it.
            let wanted = entry.pages().iter().filter(|state| state.get() == WANTED);
            wanted.for_each(|state| state.set(0));
            return Err((entry.start, refused));
        }
    }
    Ok(())
}

/// After [`Step::Writing`](crate::journal::Step::Writing) is noted, and before anything is written: makes
/// the aliases once more if the process has forked since, or is forking.
///
/// # Errors
///
/// As for [`make`].
pub(crate) fn confirm(lock: &Guard) -> Result<(), (usize, Refused)> {
    // A child that `is_valid` does not see coming must see the note.
    fence(Ordering::SeqCst);
    make(lock)
}

/// Waits for those who copy pages of an alias' code.
pub(crate) fn wait_for_copies(_lock: &Guard) {
    if let Some(alias) = entries().map(|entry| entry.alias.get()).find(|&alias| alias != 0) {
        os::wait_for_copies(alias);
    }
}

/// Whether all that an update has written to these pages of a segment is executed there. If the kernel was
/// copying a page for somebody while a word was written, the word may have been seen, and be gone with the
/// old page ([`os::wait_for_copies`]). Then the segment is taken over once more.
///
/// # Errors
///
/// It cannot be.
pub(crate) fn are_whole(pages: Range<usize>, _lock: &Guard) -> Result<bool, Refused> {
    let Some(entry) = entry_of(pages.start) else { return Ok(true) };
    let alias = entry.alias.get();
    if alias == 0 {
        return Ok(true);
    }
    // SAFETY: code of a registered image, which the update has read, and its alias.
    let is_same = unsafe { code_word::are_same(pages.clone(), alias + (pages.start - entry.start)) };
    if !is_same {
        entry.take_over()?;
    }
    Ok(is_same)
}

/// An update is over.
pub(crate) fn close(_lock: &Guard) {
    entries().for_each(|entry| entry.is_open.set(false));
}

/// In a child that was forked in the middle of an update: makes pages and aliases of its own, before it
/// writes back what the update has changed. Its parent goes on with that update in the pages which they have
/// shared so far.
pub(crate) fn take_back(lock: &Guard) {
    settle(lock);
    if let Err((address, Refused(os))) = make(lock) {
        log!("the code at {address:#x} follows an update of the parent's: it cannot be mapped (error {os})");
    }
}

/// Where a word of code can be written: in place if its page is not one that was wanted, since the program
/// has made that one writable. None if it has no alias.
// If other crates could inline this, a Rust `dylib` would export the list's page, and the handler of SIGTRAP
// could not reach it by distance.
#[inline(never)]
pub(crate) fn of(word: usize) -> Option<usize> {
    let Some(entry) = entry_of(word) else { return Some(word) };
    let (alias, offset) = (entry.alias.get(), word - entry.start);
    match entry.pages()[offset >> entry.shift].get() {
        0 => Some(word),
        _ => (alias != 0).then(|| alias.wrapping_add(offset)),
    }
}

/// After a word was stored in the alias, but is not executed in the code: somebody has made a copy of that
/// page. Takes the segment over once more. Whether it has an alias now.
#[cold]
pub(crate) fn renew(word: usize) -> bool {
    let Some(entry) = entry_of(word) else { return false };
    entry.refused.set(entry.take_over().err());
    entry.refused.get().is_none()
}

/// Why the last word that could not be written was not.
pub(crate) fn refused(_lock: &Guard) -> Option<Refused> {
    entries().find_map(|entry| entry.refused.take())
}

/// Gives back the aliases of segments that begin in a range, and forgets these segments.
pub(crate) fn forget(range: Range<usize>, lock: &Guard) {
    settle(lock);
    let mut before: Option<&Entry> = None;
    for entry in entries() {
        if !range.contains(&entry.start) && !(entry.start..entry.end).contains(&range.start) {
            before = Some(entry);
            continue;
        }
        let next = entry.next.get();
        match before {
            Some(before) => before.next.set(next),
            None => FIRST.store(next.cast(), Ordering::Release),
        }
        // SAFETY: nothing is written now.
        unsafe { entry.unmap(entry.alias.get()) };
        let len = size_of::<Entry>() + entry.pages().len();
        let memory = core::ptr::from_ref(entry).cast_mut().cast();
        // SAFETY: `Entry::new` made it with this length; it is in no list, and the iterator is past it.
        unsafe { os::unmap_memory(memory, len) };
    }
}
