//! The lock that every update and every registration holds, and what a child of fork(2) inherits of it.
//!
//! No signal handler interrupts the thread that holds it. A handler may wait for anything: for a mutex whose
//! holder is waiting for this lock, or until a garbage collector that has stopped all threads by a signal,
//! and now wants to update, lets them go on. Handlers of faults (SIGSEGV and the like) cannot be held off. A
//! thread that waits for the lock takes signals while it sleeps: it keeps nobody waiting, and a signal can
//! still end it.
//!
//! The lock knows its holder: when such a handler interrupts an update on its own thread, it must get an
//! error instead of waiting for itself. Holder and lock are one word, so nothing can happen between taking
//! the lock and being known as its holder.
//!
//! # fork
//!
//! Nobody holds the lock for a fork, and no fork waits for it: fork(2) waits for other locks, the C library's
//! and the program's, whose holders may be waiting for this one. So a child may be made in the middle of
//! another thread's update, without that thread. Three things follow:
//!
//! 1. The lock lies on a page that is all zeros in a child (`MADV_WIPEONFORK`), so the lock is free there
//!    from the first instruction on, however the child was made.
//! 2. The holder also stands in [`Lock::busy`], which a child does inherit: a thread that takes the lock
//!    and finds a name there knows that something is half done, and finishes or undoes it first
//!    (`critical.rs`). A handler that runs in each child of fork(2) does so at once.
//! 3. A handler of a fault may fork in the middle of its own thread's update. Then that same thread runs in
//!    the child, and continues the update when the handler returns. Its name, which survives the fork,
//!    identifies it: it holds the lock again, and the handler gets the same error as before the fork.
//!
//! This module lives apart so that only [`lock`] makes a [`Guard`]; what may only be done under the
//! lock asks for one. `lock/models.rs` has loom run it in every order that the memory model allows.

use crate::error::{Error, ErrorKind};
use crate::os;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

#[cfg(all(loom, test))]
mod models;

const FREE: usize = 0;
/// Set beside the holder when somebody may be asleep; names of threads are even.
const AWAITED: usize = 1;

#[cfg(not(all(loom, test)))]
static OWN: crate::page::Page<Own> = crate::page::Page(Own {
    state: AtomicUsize::new(FREE),
    is_kept: AtomicBool::new(false),
    has_file: AtomicBool::new(false),
    has_aliases: AtomicBool::new(false),
    process: AtomicUsize::new(0),
    refused: AtomicUsize::new(0),
});
#[cfg(not(all(loom, test)))]
static LOCK: Lock = Lock { own: &OWN.0, busy: AtomicUsize::new(FREE) };
#[cfg(all(loom, test))]
loom::lazy_static! {
    static ref LOCK: Lock = Lock::new();
}

/// What a child does not inherit, if the kernel knows of that.
struct Own {
    /// [`FREE`], or the holder's name.
    state: AtomicUsize,
    /// Set once, in every process. A child that finds it set has inherited all this.
    is_kept: AtomicBool,
    /// Whether this process itself has opened the file that it writes its code through, which a child
    /// inherits.
    has_file: AtomicBool,
    /// Whether this process has mapped what `alias.rs` notes in its list, which a child inherits.
    has_aliases: AtomicBool,
    /// The process whose memory this is, by its number; 0 if it is unknown. A child of vfork(2) shares it.
    process: AtomicUsize,
    /// How many refused updates `refusal.rs` remembers. A child forgets them: it does not have the threads
    /// that were in their way.
    refused: AtomicUsize,
}

struct Lock {
    #[cfg(not(all(loom, test)))]
    own: &'static Own,
    #[cfg(all(loom, test))]
    own: Own,
    /// The thread whose work the journal describes, or [`FREE`]. A child inherits it.
    busy: AtomicUsize,
}

/// Proof that the lock is held. When it goes, it releases the lock first, and then lets signals in again.
#[derive(Debug)]
pub(crate) struct Guard {
    _no_signals: os::NoSignals,
}

/// What the new holder of the lock finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Whole,
    /// Work that a thread of the parent left half done.
    HalfMade,
}

/// Waits for the lock. Use [`critical::enter`](crate::critical::enter), which also finishes what was left
/// half made.
///
/// # Errors
///
/// [`ErrorKind::Reentrant`] if this thread holds it already.
pub(crate) fn lock() -> Result<(Guard, Found), Error> {
    prepare();
    let no_signals = os::NoSignals::new();
    let found = LOCK.acquire(os::thread(), |state, awaited| no_signals.pause(|| os::wait(state, awaited)))?;
    Ok((Guard { _no_signals: no_signals }, found))
}

impl Drop for Guard {
    fn drop(&mut self) {
        LOCK.release();
    }
}

/// Notes that this process is about to open the file of its own memory. A child inherits the file, but not
/// the note.
#[allow(dead_code, reason = "for breakpoints")]
pub(crate) fn note_file() {
    LOCK.own.has_file.store(true, Ordering::Relaxed);
}

/// Whether [`note_file`] was called in this process itself.
#[allow(dead_code, reason = "for breakpoints")]
pub(crate) fn has_file() -> bool {
    LOCK.own.has_file.load(Ordering::Relaxed)
}

/// Notes that this process is about to have aliases of its code.
#[allow(dead_code, reason = "for aliases")]
pub(crate) fn note_aliases() {
    LOCK.own.has_aliases.store(true, Ordering::Relaxed);
}

/// Whether [`note_aliases`] was called in this process itself.
#[allow(dead_code, reason = "for aliases")]
pub(crate) fn has_aliases() -> bool {
    LOCK.own.has_aliases.load(Ordering::Relaxed)
}

/// Whether this memory is another process's: a child of vfork(2) runs in its parent's.
#[allow(dead_code, reason = "for breakpoints")]
pub(crate) fn is_borrowed() -> bool {
    // In this order: a child that a handler makes in between finds zero.
    let me = os::process();
    let owner = LOCK.own.process.load(Ordering::Relaxed);
    owner != 0 && owner != me
}

/// How many refused updates are remembered.
pub(crate) fn refused(_lock: &Guard) -> usize {
    LOCK.own.refused.load(Ordering::Relaxed)
}

pub(crate) fn set_refused(count: usize, _lock: &Guard) {
    LOCK.own.refused.store(count, Ordering::Relaxed);
}

/// Makes the kernel give zeros to every child, before there is anything that a child could inherit. Doing it
/// twice is harmless.
fn prepare() {
    #[cfg(not(all(loom, test)))]
    {
        static IS_PREPARED: AtomicBool = AtomicBool::new(false);
        if !IS_PREPARED.load(Ordering::Relaxed) {
            if os::wipe_on_fork(&OWN) {
                OWN.0.process.store(os::process(), Ordering::Relaxed);
            }
            OWN.0.is_kept.store(true, Ordering::Relaxed);
            IS_PREPARED.store(true, Ordering::Relaxed);
        }
    }
}

/// In a child of fork(2), before it has another thread: whether something is half made.
#[cfg(all(feature = "os", target_os = "linux", not(all(loom, test))))]
pub(crate) fn is_inherited() -> bool {
    // Where the kernel gives no zeros, a child made by clone(2) inherits the number, and would take its own
    // memory for its parent's.
    let is_wiped = !OWN.0.is_kept.load(Ordering::Relaxed);
    OWN.0.process.store(if is_wiped { os::process() } else { 0 }, Ordering::Relaxed);
    LOCK.is_inherited()
}

/// Where a signal handler may interrupt; the models have one do so.
#[inline]
fn instant() {
    #[cfg(all(loom, test))]
    models::instant();
}

impl Lock {
    /// loom's atomics have no constant constructors.
    #[cfg(all(loom, test))]
    fn new() -> Self {
        let own = Own {
            state: AtomicUsize::new(FREE),
            is_kept: AtomicBool::new(false),
            has_file: AtomicBool::new(false),
            has_aliases: AtomicBool::new(false),
            process: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        };
        Self { own, busy: AtomicUsize::new(FREE) }
    }

    /// Waits for the lock on behalf of the thread `me`: `wait` sleeps while the word has this value.
    fn acquire(&self, me: usize, wait: impl Fn(&AtomicUsize, usize)) -> Result<Found, Error> {
        let state = &self.own.state;
        let mut mine = me;
        loop {
            match state.compare_exchange(FREE, mine, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break,
                Err(holder) if os::THREADS_HAVE_NAMES && holder & !AWAITED == me => {
                    return Err(Error::new(ErrorKind::Reentrant));
                }
                Err(holder) => {
                    // A thread that has slept cannot know whether others still sleep.
                    mine = me | AWAITED;
                    let awaited = holder | AWAITED;
                    if holder == awaited
                        || state
                            .compare_exchange(holder, awaited, Ordering::Relaxed, Ordering::Relaxed)
                            .is_ok()
                    {
                        wait(state, awaited);
                    }
                }
            }
        }
        instant();
        let busy = self.busy.load(Ordering::Relaxed);
        if busy == me && os::is_first_thread() {
            // The child goes on with what a signal handler has interrupted to fork, and releases the lock
            // then.
            return Err(Error::new(ErrorKind::Reentrant));
        }
        instant();
        self.busy.store(me, Ordering::Relaxed);
        // A child that inherits anything of what follows inherits this as well.
        fence(Ordering::Release);
        Ok(if busy == FREE { Found::Whole } else { Found::HalfMade })
    }

    fn release(&self) {
        instant();
        self.busy.store(FREE, Ordering::Release);
        instant();
        if self.own.state.swap(FREE, Ordering::Release) & AWAITED != 0 {
            os::wake(&self.own.state);
        }
    }

    /// In a child of fork(2), before it has another thread: whether something is half made.
    #[cfg(any(all(feature = "os", target_os = "linux"), all(loom, test)))]
    fn is_inherited(&self) -> bool {
        if self.own.is_kept.swap(true, Ordering::Relaxed) {
            // The kernel gives no zeros: it is older than Linux 4.14, or an emulator.
            self.own.state.store(FREE, Ordering::Relaxed);
            self.own.refused.store(0, Ordering::Relaxed);
            self.own.has_aliases.store(false, Ordering::Relaxed);
        }
        self.busy.load(Ordering::Relaxed) != FREE
    }
}
