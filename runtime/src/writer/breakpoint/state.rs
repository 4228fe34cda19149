//! The state of the breakpoint writer that outlives an update, and its memory.
//!
//! # Who may hold what
//!
//! The state itself is atomic. Its memory is a header and entries, which handlers read at any moment and
//! which are atomic as well; and patches, which only the lock's holder uses. A [`Patches`] leads to them. Who
//! gets one promises that there is no other: each
//! [`Breakpoints`](crate::writer::breakpoint::Breakpoints), and each function that works on what an earlier
//! update left, gets one and drops it.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::lock::Guard;
use crate::os::{self, Refused};
use crate::patch::Patch;
use crate::writer::breakpoint::replaced;
use crate::writer::table::{Entries, Entry, Table};

/// What outlives an update. Handlers and the next update trust it, so it and its memory lie where the seal
/// protects them.
#[derive(Debug)]
pub(crate) struct State {
    /// How many breakpoints stayed where they are, since an update could not be finished; the next one begins
    /// with them. Until then they are in the table, and their patches hold the new instructions.
    pub(super) stuck: AtomicUsize,
    pub(super) table: Table,
    memory: AtomicPtr<Memory>,
    pub(super) trap: replaced::State,
}

/// The updater's memory: entries for the handler, and as many patches.
#[repr(C)]
#[derive(Debug)]
struct Memory {
    entries: Entries,
    /// What became too small. Handlers may still read it.
    before: *mut Self,
    capacity: usize,
    /// In bytes.
    size: usize,
}

impl Memory {
    const fn size(capacity: usize) -> usize {
        size_of::<Self>() + capacity * (size_of::<Entry>() + size_of::<Patch>())
    }
}

/// The patches of the present memory, in its holder's hand alone: see the module's head.
#[derive(Debug)]
pub(super) struct Patches<'lock> {
    start: *mut Patch,
    len: usize,
    _lock: &'lock Guard,
}

impl Patches<'_> {
    pub(super) fn slice(&mut self) -> &mut [Patch] {
        if self.start.is_null() {
            return &mut [];
        }
        // SAFETY: `reserve` has initialized as many behind the entries. Nobody else has them, and no memory
        // is given back while this lives: `patches` and `free` ask for that.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl State {
    pub(crate) const fn new() -> Self {
        Self {
            stuck: AtomicUsize::new(0),
            table: Table::new(),
            memory: AtomicPtr::new(null_mut()),
            trap: replaced::State::new(),
        }
    }

    /// Room for `count` instructions; what it held before is forgotten. Each new memory is at least twice as
    /// large as the last one.
    ///
    /// # Safety
    ///
    /// As for [`patches`](Self::patches).
    pub(super) unsafe fn reserve<'lock>(
        &self,
        count: usize,
        lock: &'lock Guard,
    ) -> Result<Patches<'lock>, Refused> {
        let present = self.table.entries().len();
        if present < count {
            let capacity = count.max(2 * present).next_power_of_two().max(64);
            let size = Memory::size(capacity);
            let memory: *mut Memory = os::map_memory(size)?.cast();
            // SAFETY: just mapped, large enough, and nobody else knows it. Zeros are entries.
            unsafe {
                let start = memory.add(1).cast::<Entry>();
                let patches = start.add(capacity).cast::<Patch>();
                (0..capacity).for_each(|index| patches.add(index).write(Patch::NONE));
                let entries = Entries::new(core::slice::from_raw_parts(start, capacity));
                let before = self.memory.load(Ordering::Relaxed);
                memory.write(Memory { entries, before, capacity, size });
                self.table.move_to(&(*memory).entries);
            }
            self.memory.store(memory, Ordering::Relaxed);
        }
        // SAFETY: the caller's promise.
        Ok(Patches { len: count, ..unsafe { self.patches(lock) } })
    }

    /// As many patches as there are entries.
    ///
    /// # Safety
    ///
    /// While it is used, no other [`Patches`] is.
    pub(super) unsafe fn patches<'lock>(&self, lock: &'lock Guard) -> Patches<'lock> {
        let memory = self.memory.load(Ordering::Relaxed);
        if memory.is_null() {
            return Patches { start: null_mut(), len: 0, _lock: lock };
        }
        // SAFETY: `reserve` has made it.
        let len = unsafe { (*memory).capacity };
        // SAFETY: entries follow the header, and patches the entries.
        let start = unsafe { memory.add(1).cast::<Entry>().add(len) }.cast();
        Patches { start, len, _lock: lock }
    }

    /// Gives all of it back.
    ///
    /// # Safety
    ///
    /// No handler runs, and none will. There is no [`Patches`].
    pub(super) unsafe fn free(&self, _lock: &Guard) {
        self.table.forget();
        let mut memory = self.memory.swap(null_mut(), Ordering::Relaxed);
        while !memory.is_null() {
            // SAFETY: `reserve` has made it, and nobody reads it any more: the caller's promise.
            unsafe {
                let Memory { before, size, .. } = *memory;
                os::unmap_memory(memory.cast(), size);
                memory = before;
            }
        }
    }

    /// Visits the pages of all this memory: where they start, and how many bytes they have. All of them are
    /// visited.
    pub(crate) fn for_each_memory(
        &self,
        mut visit: impl FnMut(usize, usize) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let mut result = self.trap.for_each_memory(&mut visit);
        let mut next = self.memory.load(Ordering::Relaxed);
        // SAFETY: `reserve` has made them.
        while let Some(memory) = unsafe { next.as_ref() } {
            let visited = visit(next.addr(), memory.size.next_multiple_of(os::page_size()));
            (result, next) = (result.and(visited), memory.before);
        }
        result
    }
}
