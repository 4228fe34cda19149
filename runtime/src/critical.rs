//! The critical section of every operation: takes the lock, and first finishes or undoes what a fork left
//! half done.
//!
//! # Safety
//!
//! As for `update.rs` and `load.rs`, whose parts are done here once more.

use core::ops::Deref;

use crate::change::State;
use crate::error::Error;
use crate::image;
use crate::journal::{self, Operation, Step};
use crate::load;
use crate::lock::{self, Found, Guard};
use crate::log::log;
use crate::protect;
use crate::sealed;
use crate::steps::Noted;
use crate::update;
use crate::windows;
use crate::writer::alias;
use crate::writer::breakpoint;
use crate::writer::serialize::serialize_at_last;

/// While this lives, nobody else loads, unloads, updates or seals.
#[derive(Debug)]
pub(crate) struct Section(Guard);

impl Deref for Section {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.0
    }
}

impl Drop for Section {
    /// The journal is closed before the lock is released.
    fn drop(&mut self) {
        journal::end(&self.0);
    }
}

/// Waits for the lock.
///
/// # Errors
///
/// [`ErrorKind::Reentrant`](crate::ErrorKind::Reentrant) if this thread holds it already.
pub(crate) fn enter() -> Result<Section, Error> {
    let (guard, found) = lock::lock()?;
    let section = Section(guard);
    if found == Found::HalfMade {
        recover(&section);
    }
    Ok(section)
}

/// Leaves nothing half done in a child of fork(2): calls reach one state of a batch, and no page stays
/// writable. This does not wait for the first thread to lock, which may be a signal handler that interrupts
/// fork(2) itself.
#[cfg(all(feature = "os", target_os = "linux", not(all(loom, test))))]
#[used]
#[unsafe(link_section = ".init_array")]
static WATCH_FORKS: extern "C" fn() = {
    extern "C" fn before() {
        alias::before_fork();
    }
    extern "C" fn after() {
        alias::after_fork();
    }
    extern "C" fn in_child() {
        alias::in_child();
        if lock::is_inherited() {
            drop(enter());
        }
    }
    extern "C" fn watch() {
        crate::os::at_fork(before, after, in_child);
    }
    watch
};

/// In a child: finishes or undoes what a thread of the parent was doing; the child does not have that thread.
fn recover(lock: &Guard) {
    if !sealed::is_closed() {
        recover_all(lock);
    }
    if sealed::is_set(lock) {
        let _ = sealed::close(lock);
    }
}

fn recover_all(lock: &Guard) {
    let inherited = journal::inherited(lock);
    let is_step = |step| inherited.is_step(step);
    let is_operation = |operation| inherited.is_operation(operation);
    let image = inherited.image;
    let is_made = is_step(Step::Replacing);
    if !is_step(Step::Preparing) {
        for Noted { key, before, after } in inherited.changes() {
            let State { target, form } = if is_made { after } else { before };
            // SAFETY: a key lives as long as its image, in which the parent's thread was updating it.
            unsafe { (*key).store(target, form) };
        }
    }
    image::note_loading(image, lock);
    breakpoint::recover(is_made, lock);
    if is_step(Step::Writing) {
        alias::take_back(lock);
        for Noted { key, before, after } in inherited.changes() {
            // SAFETY: as above.
            update::write_back(unsafe { &*key }, (after, before), lock);
        }
        if !is_operation(Operation::Update) {
            // SAFETY: the image is mapped in the child as it was in the parent.
            update::leave(unsafe { &*image }, lock);
        }
        serialize_at_last(lock);
    }
    windows::recover(lock);
    // The lists of an image that was just being linked are not whole yet.
    let is_linking = is_step(Step::Storing) && is_operation(Operation::Load);
    if !is_step(Step::Preparing) {
        log!(
            "a fork came in the middle of another thread's update: the child has {} it",
            if is_made { "finished" } else { "undone" }
        );
    }
    if !is_linking {
        journal::step(Step::Preparing, lock);
    }
    journal::forget_changes(lock);
    if is_operation(Operation::Load) {
        load::recover(image, is_linking, lock);
    } else if is_operation(Operation::Unload) {
        load::release(image, lock);
    } else if is_operation(Operation::Seal) {
        let _ = protect::protect_all(lock);
    }
    journal::end(lock);
}
