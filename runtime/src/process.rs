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

use crate::c::{CError, CInfo};
use crate::error::Error;
use crate::info::Info;
use crate::mode::Mode;
use crate::update::Change;
use crate::writer::Writer;

#[allow(clashing_extern_declarations)]
unsafe extern "C" {
    fn __static_call_commit(changes: *mut Change<'_>, count: usize, error: *mut CError) -> bool;
    fn __static_call_seal(error: *mut CError) -> bool;
    fn __static_call_info(key: *const Key, info: *mut CInfo);
    fn static_call_process_info(info: *mut CInfo);
    safe fn static_call_mode() -> c_int;
    safe fn static_call_mode_reason() -> *const c_char;
    safe fn static_call_writer() -> c_int;
}

/// Makes all changes or none.
pub(crate) fn commit(changes: &mut [Change<'_>]) -> Result<(), Error> {
    // SAFETY: a slice of changes; the error is written where there is one.
    unsafe { taken_over(|error| __static_call_commit(changes.as_mut_ptr(), changes.len(), error)) }
}

/// The result of a function that says whether there was no error, and writes it otherwise.
///
/// # Safety
///
/// It does.
unsafe fn taken_over(function: impl FnOnce(*mut CError) -> bool) -> Result<(), Error> {
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

/// Counts the sites of the whole process.
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

/// How this process runs static calls: the mode of its images. Where none of them may be patched that is
/// [`Mode::Generic`], whatever was asked for.
///
/// ```
/// println!("static calls: {} ({})", static_call::mode(), static_call::mode_reason());
/// ```
#[must_use]
pub fn mode() -> Mode {
    match static_call_mode() {
        2 => Mode::Inline,
        1 => Mode::Trampoline,
        _ => Mode::Generic,
    }
}

/// Why [`mode`] is what it is, in a sentence for people.
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
    Writer::from_number(static_call_writer())
}

/// Refuses every update from now on, for good, and makes the keys, records and site tables of all images
/// read-only: what remains that decides where a static call goes is code, and read-only.
///
/// Images that are loaded later are sealed as well, once their calls are direct.
///
/// # What that protects from
///
/// A stray or hostile write to memory cannot turn a static call elsewhere: a direct call has no pointer, and a
/// call through a trampoline, or of a key by pointer in [`Mode::Generic`], reads a sealed key. A write that
/// tries to change a key faults. It does not protect from who can run code in the process (the pages can be
/// made writable again by system calls, unless `mseal` or a seccomp filter forbids these), nor other
/// pointers of the program's: return addresses, virtual tables, function pointers. A key that lies in another
/// image is reached through that image's entry in the global offset table, which is read-only under
/// `-z relro -z now`.
///
/// # Errors
///
/// [`ErrorKind::NotProtected`](crate::ErrorKind::NotProtected) if some key could not be made read-only: it lies in
/// a struct of the program's own, or was compiled without the pass, or the operating system refused. Updates
/// are refused all the same. [`ErrorKind::Reentrant`](crate::ErrorKind::Reentrant) from a signal handler in the
/// middle of an update; then nothing has changed.
///
/// ```no_run
/// // Once the program knows its processor and has read its configuration:
/// static_call::seal()?;
/// # Ok::<(), static_call::Error>(())
/// ```
pub fn seal() -> Result<(), Error> {
    // SAFETY: the error is written where there is one.
    unsafe { taken_over(|error| __static_call_seal(error)) }
}
