//! What loom runs instead of an operating system: threads have numbers, and the futex is a condition
//! variable. Nothing is patched.

use core::cell::Cell;
use core::ffi::CStr;

use loom::sync::{Condvar, Mutex};

use super::{Access, Refused};
use crate::sync::atomic::{AtomicU32, Ordering};

pub(crate) const THREADS_ARE_NUMBERED: bool = true;

loom::thread_local! {
    static NUMBER: Cell<u32> = Cell::new(0);
}

loom::lazy_static! {
    /// The kernel's queue of those who sleep, and its lock.
    static ref QUEUE: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
}

/// Gives this thread its number; each model does so first.
pub(crate) fn set_thread(number: u32) {
    NUMBER.with(|mine| mine.set(number));
}

pub(crate) fn thread() -> u32 {
    let number = NUMBER.with(Cell::get);
    assert_ne!(number, 0, "a thread of a model has no number");
    number
}

/// The kernel compares the word under the queue's lock, which [`wake`] takes as well: nobody falls asleep
/// between a change and the wake-up that follows it.
pub(crate) fn wait(word: &AtomicU32, while_it_is: u32) {
    let (lock, sleepers) = &*QUEUE;
    let queue = lock.lock().unwrap();
    if word.load(Ordering::Relaxed) == while_it_is {
        drop(sleepers.wait(queue));
    }
}

pub(crate) fn wake(_word: &AtomicU32) {
    let (lock, sleepers) = &*QUEUE;
    let _queue = lock.lock().unwrap();
    sleepers.notify_one();
}

pub(crate) fn page_size() -> usize {
    4096
}

pub(crate) unsafe fn set_access(_: usize, _: usize, _: Access) -> Result<(), Refused> {
    Err(Refused(0))
}

pub(crate) fn prepare_to_serialize() -> Result<(), Refused> {
    Err(Refused(0))
}

pub(crate) fn serialize_all_threads() -> Result<(), Refused> {
    Err(Refused(0))
}

/// The models call the lock's hooks themselves.
pub(crate) fn at_fork(_before: extern "C" fn(), _in_parent: extern "C" fn(), _in_child: extern "C" fn()) {}

pub(crate) fn at_exit(_function: extern "C" fn()) {}

pub(crate) fn environment(_name: &CStr) -> Option<&'static CStr> {
    None
}

pub(crate) fn print(_line: &str) {}
