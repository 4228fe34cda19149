//! The one copy of the runtime that answers for the process.
//!
//! A process may hold several: one in each Rust `cdylib`, one in `libstatic_call.so`. Their constructors all
//! register with the same one, since the dynamic linker gives every image the first definition of an exported
//! symbol that it sees. So whatever concerns registered images has to go through exported symbols, also when
//! Rust calls Rust; a plain call would reach this copy, which may not know a single image.
//!
//! # Safety
//!
//! The functions are those of `c.rs`, in this or another copy, of the same layout version.

use core::ffi::{CStr, c_char, c_int};
use core::mem::MaybeUninit;

use static_call_abi::Key;

use crate::change::{Change, Wish};
use crate::error::{Error, ErrorKind};
use crate::info::Info;
use crate::mode::Mode;
use crate::wire::{CEntry, CError, CInfo};
use crate::writer::Writer;

#[allow(clashing_extern_declarations)]
unsafe extern "C" {
    fn __static_call_commit(changes: *mut Change<'_>, count: usize, error: *mut CError) -> bool;
    fn __static_call_make_pointer(key: *const Key, error: *mut CError) -> c_int;
    fn __static_call_seal(error: *mut CError) -> bool;
    fn __static_call_info(key: *const Key, info: *mut CInfo);
    fn static_call_process_info(info: *mut CInfo);
    fn __static_call_next(pattern: *const c_char, len: usize, entry: *mut CEntry) -> c_int;
    fn __static_call_switch_matching(
        pattern: *const c_char,
        len: usize,
        wish: u32,
        failed: *mut CEntry,
        error: *mut CError,
    ) -> isize;
    safe fn static_call_mode() -> c_int;
    safe fn static_call_mode_reason() -> *const c_char;
    safe fn static_call_writer() -> c_int;
}

/// Makes all changes or none.
pub(crate) fn commit(changes: &mut [Change<'_>]) -> Result<(), Error> {
    // SAFETY: a slice of changes; the error is written where there is one.
    unsafe { from_wire(|error| __static_call_commit(changes.as_mut_ptr(), changes.len(), error)) }
}

/// Has all calls of a key go through its pointer, for good.
pub(crate) fn make_pointer(key: &Key) -> Result<(), Error> {
    // SAFETY: the key is alive; the error is written where there is one.
    unsafe { from_wire(|error| __static_call_make_pointer(key, error) == 0) }
}

/// The result of a function that says whether there was no error, and writes it otherwise.
///
/// # Safety
///
/// It does.
unsafe fn from_wire(function: impl FnOnce(*mut CError) -> bool) -> Result<(), Error> {
    let mut error = MaybeUninit::uninit();
    if function(error.as_mut_ptr()) {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    Err(unsafe { error.assume_init() }.into())
}

/// Counts the sites of one key.
pub(crate) fn key_info(key: &Key) -> Info {
    let mut info = MaybeUninit::uninit();
    // SAFETY: the key is alive, and the information is written.
    unsafe {
        __static_call_info(key, info.as_mut_ptr());
        info.assume_init().into()
    }
}

/// Counts the sites of the whole process. All numbers are zero in a signal handler that interrupted an update
/// on its own thread.
///
/// ```
/// let info = static_call::process_info();
/// assert_eq!(info.sites, info.direct + info.through_trampoline);
/// ```
#[must_use]
pub fn process_info() -> Info {
    let mut info = MaybeUninit::uninit();
    // SAFETY: the information is written.
    unsafe {
        static_call_process_info(info.as_mut_ptr());
        info.assume_init().into()
    }
}

/// Puts the next key whose name matches into `entry`, which holds the last one. Returns whether there is one.
pub(crate) fn next_key(pattern: &str, entry: &mut CEntry) -> Result<bool, Error> {
    // SAFETY: so many bytes, and an entry.
    match unsafe { __static_call_next(pattern.as_ptr().cast(), pattern.len(), entry) } {
        found @ 0.. => Ok(found != 0),
        _ => Err(Error::new(ErrorKind::Reentrant)),
    }
}

/// Makes the same change of all branches whose names match, or none. Returns how many there are; after an
/// error `failed` is the key that was in the way.
pub(crate) fn switch(pattern: &str, wish: Wish, failed: &mut CEntry) -> Result<usize, Error> {
    let mut count = 0;
    let switch = |error| {
        // SAFETY: so many bytes, and an entry; the error may be written.
        count = unsafe {
            __static_call_switch_matching(
                pattern.as_ptr().cast(),
                pattern.len(),
                wish.to_wire(),
                failed,
                error,
            )
        };
        count >= 0
    };
    // SAFETY: the error is written if there is no count.
    unsafe { from_wire(switch) }.map(|()| count.unsigned_abs())
}

/// How this process runs static calls: the mode of its images. Where none of them may be patched, or has a
/// recorded call, that is [`Mode::Generic`], whatever was asked for.
///
/// ```
/// println!("static calls: {} ({})", static_call::mode(), static_call::mode_reason());
/// ```
#[must_use]
pub fn mode() -> Mode {
    Mode::from_wire(static_call_mode().cast_unsigned()).unwrap_or(Mode::Generic)
}

/// Why [`mode`] is what it is, in a sentence for people.
///
/// ```
/// assert!(!static_call::mode_reason().is_empty());
/// ```
#[must_use]
pub fn mode_reason() -> &'static str {
    // SAFETY: a constant string of the copy that answers.
    unsafe { CStr::from_ptr(static_call_mode_reason()) }.to_str().unwrap_or_default()
}

/// How this process writes its code. [`Writer::None`] where [`mode`] is [`Mode::Generic`].
///
/// ```
/// println!("code is written by: {}", static_call::writer());
/// ```
#[must_use]
pub fn writer() -> Writer {
    Writer::from_wire(static_call_writer().cast_unsigned()).unwrap_or(Writer::None)
}

/// Refuses every update from now on, for good, and makes the keys, records and site tables of all images
/// read-only. From then on only read-only memory decides where a static call goes. If the process has several
/// copies of this runtime, all of them are sealed.
///
/// Images that are loaded later are sealed as well, once their calls are direct. If one of their keys cannot
/// be protected, `STATIC_CALL_LOG=1` says so. A second call of this function checks everything again, and its
/// result covers all images that are loaded by then.
///
/// # What it protects against
///
/// A stray or hostile write to memory cannot redirect a static call: a direct call has no pointer, and
/// a call through a trampoline, or of a key by pointer in [`Mode::Generic`], reads a sealed key. A write that
/// tries to change a key faults. What the runtime itself believes (the writer, breakpoints that an update has
/// left behind, the handlers of SIGTRAP that ours has replaced) is read-only too, except while an image is
/// being loaded, and then only the code of that image is written.
///
/// # What it does not protect against
///
/// - Code of an attacker in the process: system calls make the pages writable again, unless `mseal` or a
///   seccomp filter forbids it.
/// - Writes to an image while it is being loaded: its tables are writable until they are sealed.
/// - The program's other pointers: return addresses, virtual tables, function pointers. A key that lies in
///   another image is reached through an entry in the global offset table, which is read-only under
///   `-z relro -z now`.
/// - Waiting: a write to the runtime's lock can make later updates, and loads of images, wait for ever. Calls
///   never wait.
///
/// # What the result covers
///
/// All images that were compiled with the pass, even those whose calls could not be made direct, and keys
/// without the pass that the program has tried to update or has asked about
/// ([`StaticCall::info`](crate::StaticCall::info)). The runtime does not know of a key that was compiled
/// without the pass and whose pointer is only loaded, nor of images in another namespace of the dynamic
/// linker (dlmopen(3)) that do not share this copy of the runtime: these keys stay writable.
///
/// # Errors
///
/// [`ErrorKind::NotProtected`](crate::ErrorKind::NotProtected) if some key could not be made read-only: it
/// lies in one of the program's own structs, or was compiled without the pass, or with another version of it,
/// or the operating system refused. Updates are refused all the same, and what can be protected is;
/// `STATIC_CALL_LOG=1` names what is not. [`ErrorKind::Reentrant`](crate::ErrorKind::Reentrant) from a signal
/// handler in the middle of an update; then this copy of the runtime is not sealed.
///
/// ```no_run
/// // Once the program knows its processor and has read its configuration:
/// static_call::seal()?;
/// # Ok::<(), static_call::Error>(())
/// ```
pub fn seal() -> Result<(), Error> {
    // SAFETY: the error is written where there is one.
    unsafe { from_wire(|error| __static_call_seal(error)) }
}
