//! What the holder of the lock is doing. A child of fork(2) does not have that thread, and uses this to
//! finish or undo its work (`critical.rs`).
//!
//! A child sees memory as it was at one moment, because the kernel write-protects all pages before it copies
//! them. If a store is there, all earlier stores of the same thread are. Each step is noted before its first
//! store, so a child always finds one of these:
//!
//! | step | keys and code of the operation | what a child does |
//! | --- | --- | --- |
//! | [`Step::Preparing`] | as before it, or as after it | nothing |
//! | [`Step::Storing`] | some keys are stored; no code changes | stores them as they were |
//! | [`Step::Writing`] | some keys, and some words of open windows | writes all as they were |
//! | [`Step::Trapping`] | some instructions have a breakpoint | takes the breakpoints away |
//! | [`Step::Replacing`] | some keys; every instruction has a breakpoint, or is the new one | finishes it |
//!
//! Then windows are closed, and the load or unload of an image is completed. All of this may be done twice,
//! since a child's child may find it half done.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{Ordering, fence};

use static_call_abi::Image;

use crate::change::{Change, State};
use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::os::{self, Refused};
use crate::sealed::{self, SEALED};
use crate::steps::{Journal, Noted};

pub(crate) use crate::steps::{Operation, Step};

static JOURNAL: &Journal = &SEALED.0.journal;

/// Room for most batches.
struct Room(UnsafeCell<[MaybeUninit<Noted>; ROOM]>);
const ROOM: usize = 16;

// SAFETY: only the holder of the lock touches it.
unsafe impl Sync for Room {}

static FIRST_ROOM: Room = Room(UnsafeCell::new([MaybeUninit::uninit(); ROOM]));

/// Notes an operation on an image, or on all of them.
pub(crate) fn begin(operation: Operation, image: *mut Image, _lock: &Guard) {
    if sealed::is_closed() {
        return;
    }
    JOURNAL.image.store(image, Ordering::Relaxed);
    JOURNAL.operation.store(operation.to_wire(), Ordering::Release);
    fence(Ordering::Release);
}

/// Notes which keys an update is about to change.
///
/// # Errors
///
/// [`ErrorKind::NotWritable`] if there is no memory for so many.
pub(crate) fn changes(changes: &[Change<'_>], lock: &Guard) -> Result<(), Error> {
    if !os::FORKS {
        return Ok(());
    }
    let noted = room(changes.len(), lock)?;
    for (index, change) in changes.iter().enumerate() {
        let (before, after) = (State::of(change.key), change.state());
        // SAFETY: there is room for as many.
        unsafe { noted.add(index).write(Noted { key: change.key, before, after }) };
    }
    JOURNAL.count.store(changes.len(), Ordering::Release);
    Ok(())
}

/// Notes what comes next. Everything stored before is there when this is.
pub(crate) fn step(step: Step, _lock: &Guard) {
    if sealed::is_closed() {
        return;
    }
    JOURNAL.step.store(step.to_wire(), Ordering::Release);
    fence(Ordering::Release);
}

/// The operation is over.
pub(crate) fn end(_lock: &Guard) {
    if sealed::is_closed() {
        return;
    }
    JOURNAL.end();
}

/// Room for this many changes. Memory that has become too small is not given back; each new piece is at least
/// twice as large.
fn room(count: usize, _lock: &Guard) -> Result<*mut Noted, Error> {
    if count <= ROOM {
        let first: *mut Noted = FIRST_ROOM.0.get().cast();
        JOURNAL.changes.store(first, Ordering::Relaxed);
        return Ok(first);
    }
    if JOURNAL.capacity.load(Ordering::Relaxed) < count {
        let capacity = count.next_power_of_two();
        let memory = os::map_memory(capacity * size_of::<Noted>())
            .map_err(|Refused(os)| Error::with_os(ErrorKind::NotWritable, 0, os))?;
        JOURNAL.large.store(memory.cast(), Ordering::Relaxed);
        JOURNAL.capacity.store(capacity, Ordering::Relaxed);
    }
    let large = JOURNAL.large.load(Ordering::Relaxed);
    JOURNAL.changes.store(large, Ordering::Relaxed);
    Ok(large)
}

/// What a child has inherited of the journal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inherited {
    operation: u32,
    step: u32,
    pub(crate) image: *mut Image,
    changes: *const Noted,
    count: usize,
}

impl Inherited {
    pub(crate) fn is_step(&self, step: Step) -> bool {
        self.step == step.to_wire()
    }

    pub(crate) fn is_operation(&self, operation: Operation) -> bool {
        self.operation == operation.to_wire()
    }

    pub(crate) fn changes(&self) -> impl Iterator<Item = Noted> + use<> {
        let Self { changes, count, .. } = *self;
        // SAFETY: as many were written there before the count was.
        (0..count).map(move |index| unsafe { *changes.add(index) })
    }
}

/// In a child: what its parent's thread was doing.
pub(crate) fn inherited(_lock: &Guard) -> Inherited {
    Inherited {
        operation: JOURNAL.operation.load(Ordering::Relaxed),
        step: JOURNAL.step.load(Ordering::Relaxed),
        image: JOURNAL.image.load(Ordering::Relaxed),
        changes: JOURNAL.changes.load(Ordering::Relaxed),
        count: JOURNAL.count.load(Ordering::Relaxed),
    }
}

/// Forgets the noted changes, which are finished or undone.
pub(crate) fn forget_changes(_lock: &Guard) {
    JOURNAL.count.store(0, Ordering::Relaxed);
}
