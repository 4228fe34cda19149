//! The lock that every update and every registration holds.
//!
//! It knows its holder: a signal handler that interrupts an update on its own thread must get an error
//! instead of waiting for itself. Holder and lock are one word, so there is no instant between taking
//! the lock and being known as its holder.
//!
//! This module lives apart so that only [`lock`] makes a [`Guard`]; what may only be done under the
//! lock asks for one.

use core::sync::atomic::{AtomicU32, Ordering};

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
        if STATE.swap(FREE, Ordering::Release) & AWAITED != 0 {
            os::wake(&STATE);
        }
    }
}
