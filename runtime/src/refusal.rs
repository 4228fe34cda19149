//! Updates that were refused and are attempted again.
//!
//! A key whose first target chooses the real one asks for its update with every call, as long as the update
//! is refused. But an attempt takes a tenth of a millisecond, and longer when it waits for threads. So after
//! a few refusals the next ones are immediate, for some milliseconds, and for longer each time, until the
//! update succeeds. This concerns only keys with patched calls: nothing can refuse an update of any other
//! key.
//!
//! Each update is remembered separately, by its keys: what refuses one need not refuse another. A child
//! remembers nothing, since it has neither its parent's threads nor their masks. When an image goes,
//! everything is forgotten, since another key may then lie where its keys were.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};

use crate::change::Change;
use crate::error::{Error, ErrorKind, IS_BORROWED};
use crate::image::Images;
use crate::lock::{self, Guard};
use crate::os;
use crate::writer::{self, Writer};

/// After this many refusals in a row, one comes without an attempt.
const LOOKED_FOR: u32 = 3;
/// In milliseconds.
const LONGEST_PAUSE: usize = 8;

/// An update that was refused.
struct Refusal {
    /// Which one: see [`name`].
    update: AtomicUsize,
    /// How many attempts in a row have failed.
    times: AtomicU32,
    /// Until when the next one is refused without an attempt, in milliseconds.
    until: AtomicUsize,
    /// The last error.
    kind: AtomicU32,
    address: AtomicUsize,
    os: AtomicI32,
}

/// As many of them as [`lock::refused`] says.
static REFUSALS: [Refusal; 32] = [const {
    Refusal {
        update: AtomicUsize::new(0),
        times: AtomicU32::new(0),
        until: AtomicUsize::new(0),
        kind: AtomicU32::new(0),
        address: AtomicUsize::new(0),
        os: AtomicI32::new(0),
    }
}; 32];

static IS_AGAIN: AtomicBool = AtomicBool::new(false);

/// Makes an update, or refuses it as last time.
pub(crate) fn ask(
    changes: &mut [Change<'_>],
    lock: &Guard,
    update: impl FnOnce(&mut [Change<'_>]) -> Result<(), Error>,
) -> Result<(), Error> {
    let known = Refusal::find(changes, lock);
    let is_patched = || {
        let mut images = Images::new(lock);
        changes.iter().any(|change| images.patched_records_of(change.key).any(|found| found.is_ok()))
    };
    if let Some(error) = known.and_then(Refusal::error_without_a_look).filter(|_| is_patched()) {
        return Err(error);
    }
    // Nothing is known of those that have lost their place.
    IS_AGAIN.store(known.is_some() || lock::refused(lock) >= REFUSALS.len(), Ordering::Relaxed);
    let result = update(changes);
    IS_AGAIN.store(false, Ordering::Relaxed);
    match (result, known) {
        (Ok(()), Some(refusal)) => refusal.forget(lock),
        (Err(error), _) if may_last(error) => note(known, changes, error, lock),
        _ => {}
    }
    result
}

/// Whether the present update was refused before. If so, do not wait for threads.
pub(crate) fn is_again(_lock: &Guard) -> bool {
    IS_AGAIN.load(Ordering::Relaxed)
}

/// Forgets all updates: an image goes away.
pub(crate) fn forget_all(lock: &Guard) {
    lock::set_refused(0, lock);
}

/// A number for an update's keys, in any order. Two updates with the same number share a pause.
fn name(changes: &[Change<'_>]) -> usize {
    const ODD: usize = 0x9e37_79b9_7f4a_7c15_u64 as usize;
    let mixed = |address: usize| {
        let product = address.wrapping_mul(ODD);
        (product ^ product >> (usize::BITS / 2)).wrapping_mul(ODD)
    };
    changes.iter().fold(0, |sum, change| sum.wrapping_add(mixed(core::ptr::from_ref(change.key).addr())))
}

impl Refusal {
    /// What is remembered of this update.
    fn find(changes: &[Change<'_>], lock: &Guard) -> Option<&'static Self> {
        let count = lock::refused(lock);
        if count == 0 {
            return None;
        }
        let name = name(changes);
        REFUSALS.iter().take(count).find(|refusal| refusal.update.load(Ordering::Relaxed) == name)
    }

    fn error_without_a_look(&self) -> Option<Error> {
        let is_pause = || {
            let until = self.until.load(Ordering::Relaxed);
            // The clock may have wrapped around.
            os::milliseconds().is_some_and(|now| (1..=LONGEST_PAUSE).contains(&until.wrapping_sub(now)))
        };
        (self.times.load(Ordering::Relaxed) >= LOOKED_FOR && is_pause()).then(|| {
            let kind = ErrorKind::from_wire(self.kind.load(Ordering::Relaxed)).unwrap_or(ErrorKind::Unknown);
            Error::with_os(kind, self.address.load(Ordering::Relaxed), self.os.load(Ordering::Relaxed))
        })
    }

    /// The last one takes its place.
    #[cold]
    fn forget(&self, lock: &Guard) {
        let Some(count) = lock::refused(lock).checked_sub(1) else { return };
        if let Some(last) = REFUSALS.get(count) {
            self.update.store(last.update.load(Ordering::Relaxed), Ordering::Relaxed);
            self.times.store(last.times.load(Ordering::Relaxed), Ordering::Relaxed);
            self.until.store(last.until.load(Ordering::Relaxed), Ordering::Relaxed);
            self.kind.store(last.kind.load(Ordering::Relaxed), Ordering::Relaxed);
            self.address.store(last.address.load(Ordering::Relaxed), Ordering::Relaxed);
            self.os.store(last.os.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        lock::set_refused(count, lock);
    }
}

/// Whether the error may last. A lack of memory does not, nor does a file that another thread closed.
/// What refuses a child of vfork(2) does not refuse its parent.
pub(crate) fn may_last(error: Error) -> bool {
    const FOR_NOW: [i32; 7] = [EIO, EBADF, IS_BORROWED, EAGAIN, ENOMEM, ENFILE, EMFILE];
    match error.kind() {
        ErrorKind::SignalBlocked => true,
        ErrorKind::NotWritable => !error.raw_os_error().is_some_and(|os| FOR_NOW.contains(&os)),
        _ => false,
    }
}

const EIO: i32 = 5;
const EBADF: i32 = 9;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

#[cold]
fn note(known: Option<&'static Refusal>, changes: &[Change<'_>], error: Error, lock: &Guard) {
    // The program's own writer, and it alone, knows when it would permit the update.
    let Some(now) = os::milliseconds().filter(|_| writer::of_process() != Writer::Custom) else { return };
    let refusal = known.unwrap_or_else(|| {
        let name = name(changes);
        let count = lock::refused(lock);
        let new = REFUSALS.get(count).unwrap_or(&REFUSALS[name % REFUSALS.len()]);
        new.update.store(name, Ordering::Relaxed);
        new.times.store(0, Ordering::Relaxed);
        lock::set_refused((count + 1).min(REFUSALS.len()), lock);
        new
    });
    let times = refusal.times.load(Ordering::Relaxed);
    let doubled = times.saturating_sub(LOOKED_FOR - 1).min(LONGEST_PAUSE.ilog2());
    refusal.until.store(now.wrapping_add(1 << doubled), Ordering::Relaxed);
    refusal.times.store(times.saturating_add(1), Ordering::Relaxed);
    refusal.kind.store(error.kind().to_wire(), Ordering::Relaxed);
    refusal.address.store(error.address(), Ordering::Relaxed);
    refusal.os.store(error.raw_os_error().unwrap_or(0), Ordering::Relaxed);
}
