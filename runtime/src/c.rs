//! The symbols behind `static_call.h`, and those that the pass calls.
//!
//! # Safety
//!
//! C passes keys that its macros defined; each function lists what else it relies on.

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

use static_call_abi::{Form, Image, Key};

use crate::change::{Change, State, Wish};
use crate::error::{Error, ErrorKind};
use crate::info;
use crate::listing;
use crate::log::log;
use crate::mode;
use crate::operations;
use crate::seal;
use crate::update;
pub use crate::wire::{CChange, CEntry, CError, CInfo};

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

/// Registers an image. The image's constructor calls this.
///
/// # Safety
///
/// `image` is the descriptor that the pass made for the image that is being loaded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __static_call_register(image: *mut Image) {
    // SAFETY: the caller's promise.
    unsafe { operations::register(image) }
}

/// Forgets an image. The image's destructor calls this.
///
/// # Safety
///
/// As for [`__static_call_register`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __static_call_unregister(image: *mut Image) {
    // SAFETY: the caller's promise.
    unsafe { operations::unregister(image) }
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
    // All are checked before the first one is rewritten: an array that is refused stays as it is.
    for c in checked.iter() {
        // SAFETY: the caller's promise.
        if let Err(error) = unsafe { normalized(c) } {
            return error.errno();
        }
    }
    for c in checked {
        // SAFETY: the caller's promise.
        if let Ok((State { target, form }, wish)) = unsafe { normalized(c) } {
            (c.target, c.form, c.wish) = (target.cast(), form as u32, wish.to_wire());
        }
    }
    // SAFETY: the same layout, see above; keys are not null, and the forms are valid now.
    errno(operations::update(unsafe { core::slice::from_raw_parts_mut(changes.cast(), count) }))
}

/// The state and the wish that a change of C's asks for.
///
/// # Safety
///
/// As for one of the changes of [`static_call_update_batch`].
unsafe fn normalized(c: &CChange) -> Result<(State, Wish), Error> {
    // SAFETY: the caller's promise; keys live as long as their images, whose code is calling.
    let key = unsafe { &*c.key };
    let target = c.target.cast();
    if key.is_branch() {
        let wish = Wish::from_wire(c.wish).ok_or(Error::new(ErrorKind::NoOffState))?;
        return Ok((State { target, form: Form::Call }, wish));
    }
    // Of the last update, which this one undoes.
    let again = key.off_form().filter(|&off| c.target == key.off && c.form == off as u32);
    if let Some(form) = again {
        return Ok((State { target, form }, Wish::State));
    }
    let change = change(key, target, c.form == Form::Zero as u32)?;
    Ok((change.state(), Wish::State))
}

/// `static_branch_enable(key)` and the like: a change of a branch's key, by the number of what it asks for.
///
/// # Safety
///
/// `key` points to a branch's key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __static_call_branch(key: *const Key, wish: u32) -> c_int {
    let wish = Wish::from_wire(wish).filter(|&wish| wish != Wish::State);
    let wish = wish.ok_or(Error::new(ErrorKind::NoOffState));
    // SAFETY: the caller's promise; a key lives as long as its image, whose code is calling.
    commit(wish.map(|wish| Change::branch(unsafe { &*key }, wish)))
}

/// `static_call_make_pointer(key)`, and the same for Rust, which wants to know more.
///
/// # Safety
///
/// `key` points to a key, and `error` may be written or is null.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn __static_call_make_pointer(key: *const Key, error: *mut CError) -> c_int {
    // SAFETY: the caller's promise; a key lives as long as its image, whose code is calling.
    let result = operations::make_pointer(unsafe { &*key });
    if !error.is_null() {
        // SAFETY: the caller's promise.
        unsafe { to_wire(result, error) };
    }
    errno(result)
}

/// An update or a batch from Rust; see `primary.rs`.
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
    // SAFETY: the caller's promise; they come from Rust, so their keys and forms are valid.
    let changes = unsafe { core::slice::from_raw_parts_mut(changes.cast(), count) };
    // SAFETY: the caller's promise.
    unsafe { to_wire(operations::update(changes), error) }
}

/// `static_call_seal()`.
#[unsafe(no_mangle)]
pub extern "C" fn static_call_seal() -> c_int {
    errno(seal::seal())
}

/// The same for Rust; see `primary.rs`.
///
/// # Safety
///
/// `error` may be written.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn __static_call_seal(error: *mut CError) -> bool {
    // SAFETY: the caller's promise.
    unsafe { to_wire(seal::seal(), error) }
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
    mode::of_process().0.to_wire().cast_signed()
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
    mode::writer_of_process().to_wire().cast_signed()
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

/// `static_call_next(pattern, entry)`: the next key, 0 behind the last one, or a negative errno.
///
/// # Safety
///
/// `pattern` points to `len` bytes, or to a C string if `len` is [`usize::MAX`]; `entry` to an entry that
/// another call of this function has written, or to zeros.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn __static_call_next(pattern: *const c_char, len: usize, entry: *mut CEntry) -> c_int {
    // SAFETY: the caller's promise.
    let (pattern, entry) = unsafe { (text(pattern, len), &mut *entry) };
    listing::next(pattern, entry).map_or_else(|error| error.errno(), c_int::from)
}

/// `static_branch_enable_matching(pattern, failed)` and the like: how many branches there are, or a negative
/// errno.
///
/// # Safety
///
/// `pattern` as for [`__static_call_next`]; `failed` and `error` may be written, or are null.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn __static_call_switch_matching(
    pattern: *const c_char,
    len: usize,
    wish: u32,
    failed: *mut CEntry,
    error: *mut CError,
) -> isize {
    let mut own = CEntry::EMPTY;
    let failed = if failed.is_null() { &raw mut own } else { failed };
    // SAFETY: the caller's promise.
    let (pattern, failed) = unsafe {
        failed.write(CEntry::EMPTY);
        (text(pattern, len), &mut *failed)
    };
    let wish = Wish::from_wire(wish).filter(|&wish| wish != Wish::State);
    let wish = wish.ok_or(Error::new(ErrorKind::NoOffState));
    match wish.and_then(|wish| listing::switch(pattern, wish, failed)) {
        Ok(count) => count.cast_signed(),
        Err(refused) => {
            if !error.is_null() {
                // SAFETY: the caller's promise.
                unsafe { error.write(refused.into()) };
            }
            refused.errno() as isize
        }
    }
}

/// So many bytes, or all of a C string.
///
/// # Safety
///
/// They are there.
unsafe fn text<'text>(start: *const c_char, len: usize) -> &'text [u8] {
    // SAFETY: the caller's promise.
    unsafe {
        if len == usize::MAX {
            core::ffi::CStr::from_ptr(start).to_bytes()
        } else {
            core::slice::from_raw_parts(start.cast(), len)
        }
    }
}

/// What C asks for, if the key has it.
fn change(key: &'static Key, target: *const (), return_zero: bool) -> Result<Change<'static>, Error> {
    let refused = || {
        let (name, asked) = (update::name(key), if return_zero { "return 0" } else { "NULL" });
        let error = Error::new(ErrorKind::NoOffState);
        log!("key {name}: an update to {asked} failed: {error}");
        Err(error)
    };
    match key.off_form() {
        _ if !target.is_null() => Ok(Change::new(key, target, Form::Call)),
        Some(Form::Zero) if return_zero => Ok(Change::off(key)),
        Some(Form::Nop | Form::OffCall) if !return_zero => Ok(Change::off(key)),
        _ => refused(),
    }
}

/// Makes one change.
fn commit(change: Result<Change<'static>, Error>) -> c_int {
    errno(change.and_then(|change| operations::update(&mut [change])))
}

/// Returns whether there was no error. Otherwise writes it.
///
/// # Safety
///
/// `error` may be written.
unsafe fn to_wire(result: Result<(), Error>, error: *mut CError) -> bool {
    // SAFETY: the caller's promise.
    result.map_err(|refused| unsafe { error.write(refused.into()) }).is_ok()
}

fn errno(result: Result<(), Error>) -> c_int {
    result.map_or_else(|error| error.errno(), |()| 0)
}
