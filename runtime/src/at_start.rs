//! `STATIC_CALL_ENABLE=pattern,…`: branches that are on from the start.
//!
//! When an image is loaded, before its code is patched, each of its branches' keys whose name matches is set
//! to one, as if it had been defined as `true`. What the program does with a key afterwards has the same
//! effect as on such a key. A key that was changed before is left alone: the program has the last word.
//!
//! The variable is copied when the first image is loaded. Later its memory may be another thread's that calls
//! setenv(3), or hold the title of the process.
//!
//! # Safety
//!
//! As for `image.rs`: only the holder of the lock writes the patterns, once, and reads them.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use static_call_abi::{Form, Image, Key, installation};

use crate::change::State;
use crate::image;
use crate::lock::Guard;
use crate::log::{self, log};
use crate::os;
use crate::pattern::matches;
use crate::sealed;
use crate::tables;
use crate::update;
use crate::walk::{self, Section};

/// Longer values are refused.
const LONGEST: usize = 4096;

struct Text(UnsafeCell<[u8; LONGEST]>);

// SAFETY: only the holder of the lock touches it.
unsafe impl Sync for Text {}

static TEXT: Text = Text(UnsafeCell::new([0; LONGEST]));
/// How many bytes there are, plus one; 0 before the variable was read.
static LEN: AtomicUsize = AtomicUsize::new(0);

/// Switches on what is asked for of an image that is being loaded, or was refused. None of its branches is
/// patched yet: they look at their keys.
pub(crate) fn enable(image: &Image, lock: &Guard) {
    let text = text(lock);
    if !text.is_empty() {
        enable_in(image, text, lock);
    }
}

#[cold]
#[inline(never)]
fn enable_in(image: &Image, text: &[u8], lock: &Guard) {
    if sealed::is_set(lock) {
        log!("image at {:p}: the process is sealed: STATIC_CALL_ENABLE is ignored", image.header.get());
        return;
    }
    let is_registered = image.state.get() != image::ImageState::Unregistered.to_wire();
    // Those that another image defines, which may not be registered itself. The records of an image that was
    // refused are not believed.
    let records = tables::records(image).filter(|_| is_registered);
    // SAFETY: the registration has checked the keys.
    let used = records.map(|record| unsafe { &*record.key });
    // Whoever else has a record of such a key has patched its own branches.
    let own =
        Section::of(image, lock).filter(|key| is_registered || key.records.load(Ordering::Relaxed).is_null());
    for key in own.chain(used).filter(|key| key.is_branch() && is_new(key)) {
        let name = update::name(key);
        if patterns(text).any(|pattern| matches(pattern, name.as_bytes())) && !State::of(key).is_on(key) {
            key.store(core::ptr::without_provenance(1), Form::Call);
            log!("STATIC_CALL_ENABLE: {name} is on");
        }
    }
}

/// Logs which patterns match nothing, once: when the program itself is loaded, which is last, or else when it
/// ends.
#[cold]
#[inline(never)]
pub(crate) fn report(lock: &Guard) {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    if !log::is_on() || IS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    for pattern in patterns(text(lock)) {
        let mut is_found = false;
        walk::for_each(lock, &mut |key| {
            is_found |= key.is_branch() && matches(pattern, update::name(key).as_bytes());
        });
        if !is_found {
            log!(
                "STATIC_CALL_ENABLE: no branch's key matches {} so far; patterns match whole names, paths \
                 included",
                pattern.escape_ascii()
            );
        }
    }
}

/// Whether nothing was stored into a key yet.
fn is_new(key: &Key) -> bool {
    key.form.load(Ordering::Relaxed) <= Form::OffCall as u32
}

fn patterns(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|pattern| !pattern.is_empty())
}

/// What the variable said when the first image was loaded.
#[inline(never)]
fn text(lock: &Guard) -> &[u8] {
    if LEN.load(Ordering::Relaxed) == 0 {
        set(os::environment(installation::ENABLE).map_or(b"", |value| value.to_bytes()), lock);
    }
    let len = LEN.load(Ordering::Relaxed).saturating_sub(1);
    // SAFETY: the lock is held, and nobody writes once there is a length.
    unsafe { &(&*TEXT.0.get())[..len] }
}

fn set(value: &[u8], _lock: &Guard) {
    let is_fitting = value.len() <= LONGEST;
    if !is_fitting {
        log::print(format_args!(
            "STATIC_CALL_ENABLE is ignored: it has {} bytes, and may have {LONGEST}",
            value.len()
        ));
    }
    let value = if is_fitting { value } else { b"" };
    // SAFETY: the lock is held, and without a length nobody has a reference.
    unsafe { (&mut *TEXT.0.get())[..value.len()].copy_from_slice(value) };
    // A child that inherits the length inherits the text.
    LEN.store(value.len() + 1, Ordering::Release);
}

/// As if the environment said so.
#[cfg(test)]
#[allow(dead_code, reason = "for the tests that fabricate images")]
pub(crate) fn set_for_test(value: &[u8], lock: &Guard) {
    set(value, lock);
}
