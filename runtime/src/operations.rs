//! The runtime's operations, each of which takes the lock first.

use core::sync::atomic::{AtomicBool, Ordering};

use static_call_abi::{Image, Key};

use crate::at_start;
use crate::change::Change;
use crate::critical;
use crate::error::{Error, ErrorKind};
use crate::load;
use crate::log::{self, log};
use crate::mode;
use crate::os;
use crate::resolve;
use crate::seal;
use crate::sealed;
use crate::update;
use crate::writer::CodeWriter;
use crate::writer::breakpoint;

/// Set when the process exits, or when the image with this code is unloaded.
static LEAVING: AtomicBool = AtomicBool::new(false);

/// Makes all changes or none.
pub(crate) fn update(changes: &mut [Change<'_>]) -> Result<(), Error> {
    seal::inherit();
    let result = critical::enter().and_then(|lock| update::update(changes, &lock));
    // C gets only a number.
    result.inspect_err(|error| log!("an update failed: {error}"))
}

/// Has all calls of a key go through its pointer, for good.
pub(crate) fn make_pointer(key: &Key) -> Result<(), Error> {
    seal::inherit();
    let result = critical::enter().and_then(|lock| {
        // Nothing is stored into it after the seal.
        if !sealed::is_set(&lock) {
            resolve::resolve_key(key, &lock);
        }
        update::make_pointer(key, &lock)
    });
    result.inspect_err(|error| log!("{} is not made a pointer: {error}", update::name(key)))
}

/// Registers an image, and makes its calls direct where the process may do that.
///
/// # Safety
///
/// `image` is a descriptor made by the pass, see the head of `image.rs`.
pub(crate) unsafe fn register(image: *mut Image) {
    static WATCHING_EXIT: AtomicBool = AtomicBool::new(false);
    // SAFETY: the caller's promise. Only the registration writes the header's address, and this is the thread
    // that registers the image.
    let mut header = unsafe { (*image).header.get() };
    if header.is_null() {
        // GNU ld drops its address where it packs relative relocations. The lock is taken later, because this
        // takes the dynamic linker's.
        header = os::image_header(image.addr());
    }
    seal::inherit();
    os::watch_the_end();
    let Ok(lock) = critical::enter() else { return };
    if !WATCHING_EXIT.swap(true, Ordering::Relaxed) {
        os::at_exit(exiting);
    }
    // SAFETY: the caller's promise.
    unsafe { load::register(image, header, &lock) }
}

/// Forgets an image that is about to be unloaded, or whose process ends: the destructor cannot know which.
///
/// # Safety
///
/// As for [`register`].
pub(crate) unsafe fn unregister(image: *mut Image) {
    if os::is_ending() {
        return;
    }
    let Ok(lock) = critical::enter() else { return };
    // SAFETY: the caller's promise.
    unsafe { load::unregister(image, &lock) };
    drop(lock);
    if LEAVING.load(Ordering::Relaxed) {
        // Putting its calls back may have needed breakpoints.
        leave();
    }
}

/// Called when the process exits, and when the image with this code is unloaded.
extern "C" fn exiting() {
    LEAVING.store(true, Ordering::Relaxed);
    if log::is_on()
        && let Ok(lock) = critical::enter()
    {
        at_start::report(&lock);
        resolve::report(&lock);
    }
    leave();
}

/// Gives SIGTRAP back to the program; not in a signal handler that interrupted an update, which still needs
/// it.
fn leave() {
    if let Ok(lock) = critical::enter() {
        breakpoint::leave(&lock);
    }
}

/// Makes the program's own writer write code from now on. Images that are registered already become direct
/// too. [`CodeWriter`] has an example of one.
///
/// ```no_run
/// fn boot(writer: &'static dyn static_call::CodeWriter) {
///     static_call::set_writer(writer).expect("nothing interrupts the boot");
/// }
/// ```
///
/// # Errors
///
/// [`ErrorKind::Reentrant`] from an interrupt or signal handler in the middle of an update, and
/// [`ErrorKind::Sealed`] after [`seal`](crate::seal()). Code that the writer cannot write is not an error:
/// its calls stay on their trampolines, and [`mode`](crate::mode()) says so.
pub fn set_writer(writer: &'static dyn CodeWriter) -> Result<(), Error> {
    let lock = critical::enter()?;
    if sealed::is_set(&lock) {
        return Err(Error::new(ErrorKind::Sealed));
    }
    sealed::set_custom(writer, &lock);
    mode::choose_again(&lock);
    load::patch_all(&lock);
    Ok(())
}
