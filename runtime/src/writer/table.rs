//! The table of breakpoints: written by the holder of the lock, read by signal handlers at any moment.
//!
//! A sequence number, odd while the table changes, tells a lookup whether it saw one state of it (a seqlock:
//! Boehm, "Can seqlocks get along with programming language memory models?"). Its memory stays as long as the
//! signal handler is installed, since a handler may be late.

use static_call_abi::Key;

use crate::arch::{Jumps, Kind};
use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};

/// What the table says of a breakpoint that stopped a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrapLookup {
    /// One of ours: the key and the kind of the instruction, and where a static branch jumps.
    Ours(*const Key, Kind, usize),
    /// It is gone already: execute the instruction again.
    Gone,
    /// Somebody else's.
    Foreign,
}

/// The breakpoints of the present update.
#[derive(Debug)]
pub(super) struct Table {
    /// Odd while the rest changes.
    sequence: AtomicUsize,
    /// How many of the entries are in use.
    len: AtomicUsize,
    entries: AtomicPtr<Entries>,
}

/// Where entries are, and how many there is room for.
#[derive(Debug)]
pub(super) struct Entries {
    start: *const Entry,
    capacity: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    pc: AtomicUsize,
    key: AtomicPtr<Key>,
    kind: AtomicUsize,
    target: AtomicUsize,
}

/// An instruction that has a breakpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trapped {
    pub(super) pc: usize,
    pub(super) key: *const Key,
    pub(super) kind: Kind,
    /// Where a static branch jumps.
    pub(super) target: usize,
}

impl Entries {
    pub(super) const fn new(entries: &'static [Entry]) -> Self {
        Self { start: entries.as_ptr(), capacity: entries.len() }
    }
}

impl Table {
    #[cfg(not(all(loom, test)))]
    pub(super) const fn new() -> Self {
        Self {
            sequence: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            entries: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// loom's atomics have no constant constructors.
    #[cfg(all(loom, test))]
    pub(super) fn new() -> Self {
        Self {
            sequence: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            entries: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// All entries, in use or not.
    pub(super) fn entries(&self) -> &'static [Entry] {
        // SAFETY: null, or what `move_to` was given. Entries are atomic: whatever happens to the table, they
        // can be read.
        match unsafe { self.entries.load(Ordering::Acquire).as_ref() } {
            // SAFETY: made from a slice that lives for ever.
            Some(entries) => unsafe { core::slice::from_raw_parts(entries.start, entries.capacity) },
            None => &[],
        }
    }

    /// Uses other entries from now on. Only while nothing is published.
    pub(super) fn move_to(&self, entries: &'static Entries) {
        let entries = core::ptr::from_ref(entries).cast_mut();
        self.change(|| self.entries.store(entries, Ordering::Release));
    }

    /// Drops all entries. Only while no handler can run.
    #[cfg(not(all(loom, test)))]
    pub(super) fn forget(&self) {
        self.change(|| self.entries.store(core::ptr::null_mut(), Ordering::Release));
    }

    /// Shows these instructions, sorted by address, to the handlers.
    pub(super) fn publish(&self, trapped: impl ExactSizeIterator<Item = Trapped>) {
        self.change(|| {
            self.len.store(trapped.len(), Ordering::Relaxed);
            for (entry, trapped) in self.entries().iter().zip(trapped) {
                entry.pc.store(trapped.pc, Ordering::Relaxed);
                entry.key.store(trapped.key.cast_mut(), Ordering::Relaxed);
                entry.kind.store(number(trapped.kind), Ordering::Relaxed);
                entry.target.store(trapped.target, Ordering::Relaxed);
            }
        });
    }

    /// Hides them again.
    pub(super) fn withdraw(&self) {
        self.change(|| self.len.store(0, Ordering::Relaxed));
    }

    /// How many are shown, for the holder of the lock. None while the table changes: no breakpoint is in the
    /// code then.
    pub(super) fn shown(&self) -> usize {
        if self.sequence.load(Ordering::Relaxed).is_multiple_of(2) {
            self.len.load(Ordering::Relaxed)
        } else {
            0
        }
    }

    fn change(&self, change: impl FnOnce()) {
        // It may be odd already, in a child whose parent's thread was changing the table.
        let odd = self.sequence.load(Ordering::Relaxed) | 1;
        // A thread that sees the table change also sees that the last breakpoint is gone.
        self.sequence.store(odd, Ordering::Release);
        fence(Ordering::Release);
        change();
        self.sequence.store(odd.wrapping_add(1), Ordering::Release);
    }

    /// What the table says about `pc`, or None if it has changed meanwhile.
    pub(super) fn find(&self, pc: usize, is_breakpoint: impl FnOnce() -> bool) -> Option<TrapLookup> {
        let sequence = self.sequence.load(Ordering::Acquire);
        // While the table changes, none of our breakpoints is in the code.
        let found = if sequence.is_multiple_of(2) { self.search(pc) } else { None };
        let is_breakpoint = is_breakpoint();
        fence(Ordering::Acquire);
        if self.sequence.load(Ordering::Relaxed) != sequence {
            return None;
        }
        Some(match found {
            Some(found) => found,
            None if is_breakpoint => TrapLookup::Foreign,
            None => TrapLookup::Gone,
        })
    }

    fn search(&self, pc: usize) -> Option<TrapLookup> {
        let entries = self.entries().get(..self.len.load(Ordering::Relaxed))?;
        let index = entries.binary_search_by_key(&pc, |entry| entry.pc.load(Ordering::Relaxed)).ok()?;
        let Entry { key, kind, target, .. } = &entries[index];
        let kind = self::kind(kind.load(Ordering::Relaxed))?;
        Some(TrapLookup::Ours(key.load(Ordering::Relaxed), kind, target.load(Ordering::Relaxed)))
    }
}

fn number(kind: Kind) -> usize {
    match kind {
        Kind::Call => 0,
        Kind::Jump => 1,
        Kind::StaticBranch(Jumps::WhenOn) => 2,
        Kind::StaticBranch(Jumps::WhenOff) => 3,
        Kind::ConditionalJump(condition) => 4 + usize::from(condition),
    }
}

fn kind(number: usize) -> Option<Kind> {
    match number {
        0 => Some(Kind::Call),
        1 => Some(Kind::Jump),
        2 => Some(Kind::StaticBranch(Jumps::WhenOn)),
        3 => Some(Kind::StaticBranch(Jumps::WhenOff)),
        _ => Some(Kind::ConditionalJump(u8::try_from(number - 4).ok()?)),
    }
}

#[cfg(all(test, feature = "std", not(loom)))]
mod tests {
    use std::boxed::Box;

    use super::*;

    /// A fork may come while another thread changes the table, which the child does not have.
    #[test]
    fn a_change_that_nobody_ends() {
        let zero = || AtomicUsize::new(0);
        let key = AtomicPtr::new(core::ptr::null_mut());
        let entry = Entry { pc: zero(), key, kind: zero(), target: zero() };
        let table = Table::new();
        // Leaked, as the table wants it. Where a static points at it, leak checkers do not report it.
        static ENTRIES: AtomicPtr<Entries> = AtomicPtr::new(core::ptr::null_mut());
        let entries = Box::leak(Box::new(Entries::new(Box::leak(Box::new([entry])))));
        ENTRIES.store(entries, Ordering::Relaxed);
        table.move_to(entries);
        let kind = Kind::StaticBranch(Jumps::WhenOff);
        let trapped = Trapped { pc: 10, key: core::ptr::without_provenance(64), kind, target: 20 };
        table.publish([trapped].into_iter());
        table.sequence.fetch_add(1, Ordering::Relaxed);
        assert_eq!(table.shown(), 0);
        table.publish([trapped].into_iter());
        assert_eq!(table.shown(), 1);
        assert_eq!(table.find(10, || true), Some(TrapLookup::Ours(trapped.key, kind, 20)));
    }
}

/// Every interleaving of an updater and a handler.
#[cfg(all(loom, test))]
mod models {
    extern crate std;

    use std::boxed::Box;
    use std::vec::Vec;

    use loom::sync::Arc;
    use loom::sync::atomic::AtomicBool;

    use super::*;

    fn entries(count: usize) -> &'static Entries {
        let entry = || Entry {
            pc: AtomicUsize::new(0),
            key: AtomicPtr::new(core::ptr::null_mut()),
            kind: AtomicUsize::new(0),
            target: AtomicUsize::new(0),
        };
        let entries: Vec<_> = (0..count).map(|_| entry()).collect();
        Box::leak(Box::new(Entries::new(entries.leak())))
    }

    fn trapped(pc: usize) -> Trapped {
        let kind = if pc.is_multiple_of(2) { Kind::Call } else { Kind::Jump };
        Trapped { pc, key: core::ptr::without_provenance(pc * 64), kind, target: pc * 8 }
    }

    /// A lookup of an instruction whose breakpoint is set finds it, with its own key and kind.
    #[test]
    fn a_lookup_sees_one_state_of_the_table() {
        for looked_up in [0, 1] {
            let mut model = loom::model::Builder::new();
            model.preemption_bound = Some(2);
            model.check(move || lookup_during_updates(looked_up));
        }
    }

    /// Two updates, each with one breakpoint, and the second with new memory.
    fn lookup_during_updates(looked_up: usize) {
        let table = Arc::new(Table::new());
        let breakpoints = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let handler = {
            let (table, breakpoints) = (table.clone(), breakpoints.clone());
            loom::thread::spawn(move || {
                let at = trapped(10 + looked_up);
                let mut was_there = false;
                let found = table.find(at.pc, || {
                    was_there = breakpoints[looked_up].load(Ordering::Acquire);
                    was_there
                });
                match found {
                    Some(TrapLookup::Ours(key, kind, target)) => {
                        assert_eq!((key, kind, target), (at.key, at.kind, at.target));
                    }
                    Some(TrapLookup::Foreign) => panic!("its own breakpoint is foreign"),
                    Some(TrapLookup::Gone) => assert!(!was_there),
                    None => {}
                }
            })
        };
        for (index, breakpoint) in breakpoints.iter().enumerate() {
            table.move_to(entries(1 + index));
            table.publish([trapped(10 + index)].into_iter());
            breakpoint.store(true, Ordering::Release);
            breakpoint.store(false, Ordering::Release);
            table.withdraw();
        }
        handler.join().expect("the handler");
    }
}
