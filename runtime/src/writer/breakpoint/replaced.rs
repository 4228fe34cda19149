//! The handlers of SIGTRAP that ours has replaced and passes signals on to.

use core::iter;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::entries::{ENTRIES, Entries, Replaced, Slot};
use crate::lock::Guard;
use crate::os::{self, Action, Refused, map_memory, unmap_memory};

/// The handlers that ours passes signals on to. They are trusted, so they and their memory lie where the seal
/// protects them.
///
/// The holder of the lock writes it, and handlers read it at any moment.
#[derive(Debug)]
pub(crate) struct State {
    /// What each entry has replaced.
    pub(super) slots: [Slot; ENTRIES],
    /// How many entries have been given something to replace.
    pub(super) given: AtomicUsize,
    /// How many updates have looked at the signal's action, and when each entry was seen on the way from
    /// there to us.
    pub(super) looks: AtomicU32,
    pub(super) seen: [AtomicU32; ENTRIES],
    memory: AtomicPtr<Memory>,
}

/// A page of what was replaced. It only grows, since a handler may read it at any moment.
#[repr(C)]
#[derive(Debug)]
struct Memory {
    before: *mut Self,
    len: usize,
    replaced: [Replaced; Self::CAPACITY],
}

impl Memory {
    const CAPACITY: usize = (4096 - 2 * size_of::<usize>()) / size_of::<Replaced>();
}

/// A handler that [`State::remember`] has come by.
pub(super) struct Outer<'outer> {
    handler: usize,
    next: Option<&'outer Self>,
}

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            slots: [const { AtomicPtr::new(null_mut()) }; ENTRIES],
            given: AtomicUsize::new(0),
            looks: AtomicU32::new(0),
            seen: [const { AtomicU32::new(0) }; ENTRIES],
            memory: AtomicPtr::new(null_mut()),
        }
    }

    /// An action, with what follows if its handler is unloaded, and so on until the copies' entries end, or
    /// are in a circle. It is the same one if it is known already. Only for the holder of the lock.
    pub(super) fn remember(
        &self,
        action: Action,
        entries: Entries,
        outer: Option<&Outer<'_>>,
    ) -> Result<&'static Replaced, Refused> {
        let is_circle =
            iter::successors(outer, |outer| outer.next).any(|outer| outer.handler == action.handler);
        let instead = match entries.replaced_by_other(action.handler) {
            Some(instead) if !is_circle => {
                let outer = Outer { handler: action.handler, next: outer };
                core::ptr::from_ref(self.remember(instead, entries, Some(&outer))?)
            }
            _ => null(),
        };
        let replaced = Replaced { action, instead };
        let mut memory = self.memory.load(Ordering::Relaxed);
        // SAFETY: pages that `add` has made, which the lock's holder may read.
        while let Some(page) = unsafe { memory.as_ref() } {
            if let Some(known) = page.replaced[..page.len].iter().find(|&known| *known == replaced) {
                return Ok(known);
            }
            memory = page.before;
        }
        self.add(replaced)
    }

    fn add(&self, replaced: Replaced) -> Result<&'static Replaced, Refused> {
        let mut memory = self.memory.load(Ordering::Relaxed);
        // SAFETY: null, or a page that was made here.
        if unsafe { memory.as_ref() }.is_none_or(|page| page.len == Memory::CAPACITY) {
            let page: *mut Memory = map_memory(size_of::<Memory>())?.cast();
            // SAFETY: just mapped, and nobody else knows it.
            unsafe { (*page).before = memory };
            memory = page;
            self.memory.store(memory, Ordering::Relaxed);
        }
        // SAFETY: this one was not used yet, so that nobody reads it; the lock is held.
        unsafe {
            let new = (&raw mut (*memory).replaced).cast::<Replaced>().add((*memory).len);
            new.write(replaced);
            (*memory).len += 1;
            Ok(&*new)
        }
    }

    /// Gives all of it back.
    ///
    /// # Safety
    ///
    /// Nobody can call our handler any more, which reads it.
    pub(super) unsafe fn free(&self, _lock: &Guard) {
        let mut memory = self.memory.swap(null_mut(), Ordering::Relaxed);
        while !memory.is_null() {
            // SAFETY: `add` has made it; the caller's promise.
            unsafe {
                let before = (*memory).before;
                unmap_memory(memory.cast(), size_of::<Memory>());
                memory = before;
            }
        }
    }

    /// Visits the pages of what was replaced: where they start, and how many bytes they have. All of them are
    /// visited.
    pub(super) fn for_each_memory(
        &self,
        mut visit: impl FnMut(usize, usize) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let mut result = Ok(());
        let mut next = self.memory.load(Ordering::Relaxed);
        // SAFETY: null, or a page that `add` has made.
        while let Some(page) = unsafe { next.as_ref() } {
            let visited = visit(next.addr(), size_of::<Memory>().next_multiple_of(os::page_size()));
            (result, next) = (result.and(visited), page.before);
        }
        result
    }
}
