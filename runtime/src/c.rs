//! The symbols behind `static_call.h`, and those that the pass calls.
//!
//! # Safety
//!
//! C passes keys that its macros defined; each function lists what else it relies on.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

use static_call_abi::{Form, Image, Key};

use crate::error::{Error, ErrorKind};
use crate::image;
use crate::info::{self, Info};
use crate::key::Change;
use crate::mode::{self, Mode};
use crate::seal;
use crate::update::{self, State};

/// The intrinsic, for code that was compiled without the pass, or where the pass could not lower it.
///
/// # Safety
///
/// `key` points to a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __static_call_target(key: *const Key) -> *const () {
    // SAFETY: the caller's promise.
    let key = unsafe { &*key };
    update::note_not_lowered(key);
    key.target.load(core::sync::atomic::Ordering::Acquire)
}

/// Takes an image in; called by the constructor that the pass makes.
///
/// # Safety
///
/// `image` is the descriptor that the pass made for the image that is being loaded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __static_call_register(image: *mut Image) {
    // SAFETY: the caller's promise.
    unsafe { image::register(image) }
}

/// Lets go of an image; called by the destructor that the pass makes.
///
/// # Safety
///
/// As for [`__static_call_register`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __static_call_unregister(image: *mut Image) {
    // SAFETY: the caller's promise.
    unsafe { image::unregister(image) }
}

/// `static_call_update(key, target)`.
///
/// # Safety
///
/// `key` points to a key, and `target` to a function of its type, or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __static_call_update(key: *const Key, target: *const c_void) -> c_int {
    // SAFETY: the caller's promise; a key lives as long as its image, whose code is calling.
    commit(change(unsafe { &*key }, target.cast(), false))
}

/// `static_call_update_ret0(key)`.
///
/// # Safety
///
/// `key` points to a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __static_call_update_ret0(key: *const Key) -> c_int {
    // SAFETY: the caller's promise; a key lives as long as its image, whose code is calling.
    commit(change(unsafe { &*key }, core::ptr::null(), true))
}

#[allow(missing_docs, reason = "the header has them")]
/// `struct static_call_change`; once it is checked, an `update::Change`.
#[repr(C)]
#[derive(Debug)]
pub struct CChange {
    pub key: *const Key,
    pub target: *const c_void,
    pub form: u32,
}

const _: () = assert!(
    size_of::<CChange>() == size_of::<update::Change<'_>>()
        && core::mem::offset_of!(CChange, target) == core::mem::offset_of!(update::Change<'_>, state)
        && core::mem::offset_of!(State, target) == 0
        && core::mem::offset_of!(CChange, form) - core::mem::offset_of!(CChange, target)
            == core::mem::offset_of!(State, form)
);

/// `static_call_update_batch(changes, count)`.
///
/// # Safety
///
/// `changes` points to `count` changes, each with a key and a target as for [`__static_call_update`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn static_call_update_batch(changes: *mut CChange, count: usize) -> c_int {
    if count == 0 {
        return 0;
    }
    // SAFETY: the caller's promise.
    let checked = unsafe { core::slice::from_raw_parts_mut(changes, count) };
    for c in checked {
        // SAFETY: the caller's promise; keys live as long as their images, whose code is calling.
        let key = unsafe { &*c.key };
        let again = key.off_form().is_some_and(|off| c.target == key.off && c.form == off as u32);
        if again {
            continue;
        }
        match change(key, c.target.cast(), c.form == Form::Zero as u32) {
            Ok(change) => {
                let State { target, form } = change.into_inner().state;
                (c.target, c.form) = (target.cast(), form as u32);
            }
            Err(error) => return error.errno(),
        }
    }
    // SAFETY: the same layout, see above; keys are not null, and the forms are valid now.
    errno(update::update(unsafe { core::slice::from_raw_parts_mut(changes.cast(), count) }))
}

/// An [`Error`], as one copy of the runtime hands it to another.
#[repr(C)]
#[derive(Debug)]
pub struct CError {
    kind: u32,
    address: usize,
    os: i32,
}

impl From<Error> for CError {
    fn from(error: Error) -> Self {
        Self { kind: error.kind() as u32, address: error.address(), os: error.raw_os_error().unwrap_or(0) }
    }
}

impl From<CError> for Error {
    fn from(error: CError) -> Self {
        Self::with_os(ErrorKind::from_u32(error.kind), error.address, error.os)
    }
}

/// An update or a batch of Rust's; see `process.rs`.
///
/// # Safety
///
/// `changes` points to `count` changes, and `error` may be written.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn __static_call_commit(
    changes: *mut CChange,
    count: usize,
    error: *mut CError,
) -> bool {
    // SAFETY: the caller's promise; they come from Rust, so that their keys and forms are valid.
    let changes = unsafe { core::slice::from_raw_parts_mut(changes.cast(), count) };
    // SAFETY: the caller's promise.
    unsafe { hand_over(update::update(changes), error) }
}

/// `static_call_seal()`.
#[unsafe(no_mangle)]
pub extern "C" fn static_call_seal() -> c_int {
    errno(seal::seal())
}

/// The same for Rust; see `process.rs`.
///
/// # Safety
///
/// `error` may be written.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn __static_call_seal(error: *mut CError) -> bool {
    // SAFETY: the caller's promise.
    unsafe { hand_over(seal::seal(), error) }
}

/// `static_call_query(key)`: the function, or null if the key is off.
///
/// # Safety
///
/// `key` points to a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __static_call_query(key: *const Key) -> *mut c_void {
    // SAFETY: the caller's promise.
    let (target, form) = unsafe { (*key).load() };
    if form.is_none() { null_mut() } else { target.cast_mut().cast() }
}

/// `static_call_mode()`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn static_call_mode() -> c_int {
    match mode::of_process().0 {
        Mode::Generic => 0,
        Mode::Trampoline => 1,
        Mode::Inline => 2,
    }
}

/// `static_call_mode_reason()`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn static_call_mode_reason() -> *const c_char {
    mode::reason_of_process().as_ptr()
}

/// `static_call_writer()`.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn static_call_writer() -> c_int {
    mode::writer_of_process() as c_int
}

#[allow(missing_docs, reason = "the header has them")]
/// `struct static_call_info`.
#[repr(C)]
#[derive(Debug)]
pub struct CInfo {
    pub keys: usize,
    pub sites: usize,
    pub direct: usize,
    pub through_trampoline: usize,
    pub images: usize,
}

impl From<CInfo> for Info {
    fn from(CInfo { keys, sites, direct, through_trampoline, images }: CInfo) -> Self {
        Self { keys, sites, direct, through_trampoline, images }
    }
}

impl From<Info> for CInfo {
    fn from(Info { keys, sites, direct, through_trampoline, images }: Info) -> Self {
        Self { keys, sites, direct, through_trampoline, images }
    }
}

/// `static_call_key_info(key, info)`.
///
/// # Safety
///
/// `key` points to a key, and `info` may be written.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn __static_call_info(key: *const Key, info: *mut CInfo) {
    // SAFETY: the caller's promise.
    unsafe { info.write(info::of_key(&*key).into()) }
}

/// `static_call_process_info(info)`.
///
/// # Safety
///
/// `info` may be written.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn static_call_process_info(info: *mut CInfo) {
    // SAFETY: the caller's promise.
    unsafe { info.write(info::of_process().into()) }
}

/// What C asks for, if the key has it.
fn change(key: &'static Key, target: *const (), return_zero: bool) -> Result<Change, Error> {
    let refused = Err(Error::new(ErrorKind::NoOffState));
    match key.off_form() {
        _ if !target.is_null() => Ok(Change::new(key, target, Form::Call)),
        Some(Form::Zero) if return_zero => Ok(Change::off(key)),
        Some(Form::Nop | Form::OffCall) if !return_zero => Ok(Change::off(key)),
        _ => refused,
    }
}

/// Makes one change.
fn commit(change: Result<Change, Error>) -> c_int {
    errno(change.and_then(|change| update::update(&mut [change.into_inner()])))
}

/// Whether there was no error; otherwise it is written.
///
/// # Safety
///
/// `error` may be written.
unsafe fn hand_over(result: Result<(), Error>, error: *mut CError) -> bool {
    // SAFETY: the caller's promise.
    result.map_err(|refused| unsafe { error.write(refused.into()) }).is_ok()
}

fn errno(result: Result<(), Error>) -> c_int {
    result.map_or_else(|error| error.errno(), |()| 0)
}
