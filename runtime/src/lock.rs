//! The lock that every update and every registration holds.
//!
//! It knows its holder: a signal handler that interrupts an update on its own thread must get an error
//! instead of waiting for itself. Holder and lock are one word, so there is no instant between taking
//! the lock and being known as its holder.
//!
//! This module lives apart so that only [`lock`] makes a [`Guard`]; what may only be done under the
//! lock asks for one.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::error::{Error, ErrorKind};
use crate::os;

const FREE: u32 = 0;
/// Set beside the holder when somebody may be asleep; thread numbers are smaller.
const AWAITED: u32 = 1 << 31;

/// [`FREE`], or the holder's thread number.
static STATE: AtomicU32 = AtomicU32::new(FREE);

/// Proof that the lock is held.
#[derive(Debug)]
pub(crate) struct Guard(());

/// Waits for the lock.
///
/// # Errors
///
/// [`ErrorKind::Reentrant`] if this thread holds it already.
pub(crate) fn lock() -> Result<Guard, Error> {
    if !FORKS_WAIT.load(Ordering::Relaxed) && !FORKS_WAIT.swap(true, Ordering::Relaxed) {
        hold_across_forks();
    }
    let me = os::thread();
    let mut mine = me;
    loop {
        match STATE.compare_exchange(FREE, mine, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Ok(Guard(())),
            Err(state) if os::THREADS_ARE_NUMBERED && state & !AWAITED == me => {
                return Err(Error::new(ErrorKind::Reentrant));
            }
            Err(state) => {
                // Whoever has slept cannot know whether others still do.
                mine = me | AWAITED;
                let awaited = state | AWAITED;
                if state == awaited
                    || STATE.compare_exchange(state, awaited, Ordering::Relaxed, Ordering::Relaxed).is_ok()
                {
                    os::wait(&STATE, awaited);
                }
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        release();
    }
}

fn release() {
    if STATE.swap(FREE, Ordering::Release) & AWAITED != 0 {
        os::wake(&STATE);
    }
}

/// Whether [`hold_across_forks`] was called.
static FORKS_WAIT: AtomicBool = AtomicBool::new(false);

/// Whether a fork(2) that is under way has taken the lock.
static HELD_ACROSS_FORK: AtomicBool = AtomicBool::new(false);

/// Has every fork(2) wait for the lock: a child has only the thread that forked, and must inherit neither
/// another one's lock nor its half-made update.
fn hold_across_forks() {
    extern "C" fn before() {
        // A signal handler that interrupted an update may fork: then the child goes on with that update.
        if let Ok(guard) = lock() {
            core::mem::forget(guard);
            HELD_ACROSS_FORK.store(true, Ordering::Relaxed);
        }
    }
    extern "C" fn after() {
        if HELD_ACROSS_FORK.swap(false, Ordering::Relaxed) {
            release();
        }
    }
    os::at_fork(before, after);
}
