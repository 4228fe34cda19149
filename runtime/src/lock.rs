//! The lock that every update and every registration holds.
//!
//! It knows its holder: a signal handler that interrupts an update on its own thread must get an error
//! instead of waiting for itself. Holder and lock are one word, so there is no instant between taking
//! the lock and being known as its holder.
//!
//! This module lives apart so that only [`lock`] makes a [`Guard`]; what may only be done under the
//! lock asks for one. `lock/models.rs` has loom run it in every order that the memory model allows.

use crate::error::{Error, ErrorKind};
use crate::os;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};

#[cfg(all(loom, test))]
mod models;

const FREE: u32 = 0;
/// Set beside the holder when somebody may be asleep; thread numbers are smaller.
const AWAITED: u32 = 1 << 31;

#[cfg(not(all(loom, test)))]
static LOCK: Lock = Lock::new();
#[cfg(all(loom, test))]
loom::lazy_static! {
    static ref LOCK: Lock = Lock::new();
}

struct Lock {
    /// [`FREE`], or the holder's thread number.
    state: AtomicU32,
    /// Whether every fork(2) was made to wait for the lock.
    forks_wait: AtomicBool,
    /// How many forks that are under way hold the lock: more than one where a signal handler, which
    /// interrupted a fork, forks as well. Only the holder changes it.
    forks: AtomicU32,
}

/// Proof that the lock is held.
#[derive(Debug)]
pub(crate) struct Guard(());

/// Waits for the lock.
///
/// # Errors
///
/// [`ErrorKind::Reentrant`] if this thread holds it already.
pub(crate) fn lock() -> Result<Guard, Error> {
    if !LOCK.forks_wait.load(Ordering::Relaxed) && !LOCK.forks_wait.swap(true, Ordering::Relaxed) {
        hold_across_forks();
    }
    LOCK.acquire(os::thread()).map(|()| Guard(()))
}

impl Drop for Guard {
    fn drop(&mut self) {
        LOCK.release();
    }
}

/// Has every fork(2) wait for the lock: a child has only the thread that forked, and must inherit neither
/// another one's lock nor its half-made update.
fn hold_across_forks() {
    extern "C" fn before() {
        LOCK.before_fork(os::thread());
    }
    extern "C" fn in_parent() {
        LOCK.after_fork();
    }
    extern "C" fn in_child() {
        LOCK.after_fork_in_child(os::thread());
    }
    os::at_fork(before, in_parent, in_child);
}

impl Lock {
    #[cfg(not(all(loom, test)))]
    const fn new() -> Self {
        Self { state: AtomicU32::new(FREE), forks_wait: AtomicBool::new(false), forks: AtomicU32::new(0) }
    }

    /// loom's atomics are not made by constant functions.
    #[cfg(all(loom, test))]
    fn new() -> Self {
        Self { state: AtomicU32::new(FREE), forks_wait: AtomicBool::new(false), forks: AtomicU32::new(0) }
    }

    /// Waits for the lock on behalf of the thread `me`.
    fn acquire(&self, me: u32) -> Result<(), Error> {
        let mut mine = me;
        loop {
            match self.state.compare_exchange(FREE, mine, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(state) if os::THREADS_ARE_NUMBERED && state & !AWAITED == me => {
                    return Err(Error::new(ErrorKind::Reentrant));
                }
                Err(state) => {
                    // Whoever has slept cannot know whether others still do.
                    mine = me | AWAITED;
                    let awaited = state | AWAITED;
                    if state == awaited
                        || self
                            .state
                            .compare_exchange(state, awaited, Ordering::Relaxed, Ordering::Relaxed)
                            .is_ok()
                    {
                        os::wait(&self.state, awaited);
                    }
                }
            }
        }
    }

    fn release(&self) {
        if self.state.swap(FREE, Ordering::Release) & AWAITED != 0 {
            os::wake(&self.state);
        }
    }

    fn before_fork(&self, me: u32) {
        // A signal handler that interrupted an update may fork: then the child goes on with that update. One
        // that interrupted a fork leaves the lock to that fork.
        if self.acquire(me).is_ok() || self.forks.load(Ordering::Relaxed) != 0 {
            self.forks.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn after_fork(&self) {
        if self.forks.load(Ordering::Relaxed) != 0 && self.forks.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.release();
        }
    }

    fn after_fork_in_child(&self, me: u32) {
        // Whatever holds the lock now is done by this thread, the child's only one, which has a new number.
        // Nobody else is there to wait for it.
        if self.state.load(Ordering::Relaxed) != FREE {
            self.state.store(me, Ordering::Relaxed);
        }
        self.after_fork();
    }
}
