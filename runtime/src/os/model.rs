//! What loom runs instead of an operating system: threads have numbers, and the futex is a condition
//! variable. Everything else is as without one: nothing is patched, and the models fork themselves.

use core::cell::Cell;

use loom::sync::{Condvar, Mutex};

pub(crate) use super::none::{
    EXIT_KEEPS_IMAGES, NoSignals, PATCHES, are_mapped, at_exit, can_serialize, environment, for_each_note,
    image_header, is_ending, is_single_threaded, map_memory, milliseconds, page_size, populate,
    prepare_to_serialize, print, process, program, rights, serialize_all_threads, set_access, watch_the_end,
};
use crate::sync::atomic::{AtomicUsize, Ordering};

pub(crate) const THREADS_HAVE_NAMES: bool = true;
pub(crate) const FORKS: bool = true;

loom::thread_local! {
    static NAME: Cell<usize> = Cell::new(0);
    static IS_FIRST: Cell<bool> = Cell::new(false);
}

loom::lazy_static! {
    /// The kernel's queue of those who sleep, and its lock.
    static ref QUEUE: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
}

/// Gives this thread its number; each model does so first.
pub(crate) fn set_thread(number: usize) {
    NAME.with(|mine| mine.set(2 * number));
}

/// Whether this thread is the first one of the process that it runs in, as in a child that it has forked.
pub(crate) fn set_first(is_first: bool) {
    IS_FIRST.with(|mine| mine.set(is_first));
}

pub(crate) fn thread() -> usize {
    let name = NAME.with(Cell::get);
    assert_ne!(name, 0, "a thread of a model has no number");
    name
}

pub(crate) fn is_first_thread() -> bool {
    IS_FIRST.with(Cell::get)
}

/// The kernel compares the word under the queue's lock, which [`wake`] takes as well: nobody falls asleep
/// between a change and the wake-up that follows it.
pub(crate) fn wait(word: &AtomicUsize, while_it_is: usize) {
    let (lock, sleepers) = &*QUEUE;
    let queue = lock.lock().unwrap();
    if word.load(Ordering::Relaxed) == while_it_is {
        drop(sleepers.wait(queue));
    }
}

pub(crate) fn wake(_word: &AtomicUsize) {
    let (lock, sleepers) = &*QUEUE;
    let _queue = lock.lock().unwrap();
    sleepers.notify_all();
}
