//! What loom runs instead of an operating system: threads have numbers, and the futex is a condition
//! variable. Everything else is as without one: nothing is patched, and the models call the lock's hooks
//! for forks themselves.

use core::cell::Cell;

use loom::sync::{Condvar, Mutex};

pub(crate) use super::none::{
    at_exit, at_fork, elf_header, environment, page_size, populate, prepare_to_serialize, print,
    serialize_all_threads, set_access,
};
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
