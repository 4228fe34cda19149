//! `STATIC_CALL_ENABLE=pattern,…`: branches that are on from the start.
//!
//! When an image is loaded, before its code is patched, each of its branches' keys whose name matches is set
//! to one, as if it had been defined as `true`. What the program does with a key afterwards has the same
//! effect as on such a key. A key that was changed before is left alone: the program has the last word.

use core::sync::atomic::{AtomicBool, Ordering};

use static_call_abi::{Form, Image};

use crate::change::State;
use crate::lock::Guard;
use crate::log::{self, log};
use crate::pattern::matches;
use crate::sealed;
use crate::update;
use crate::variable::ENABLE;
use crate::walk;

/// Switches on what is asked for of an image that is being loaded, or was refused. None of its branches is
/// patched yet: they look at their keys.
pub(crate) fn enable(image: &Image, lock: &Guard) {
    if !ENABLE.text(lock).is_empty() {
        enable_in(image, lock);
    }
}

#[cold]
#[inline(never)]
fn enable_in(image: &Image, lock: &Guard) {
    if sealed::is_set(lock) {
        log!("image at {:p}: the process is sealed: STATIC_CALL_ENABLE is ignored", image.header.get());
        return;
    }
    for key in walk::of_image(image, lock).filter(|key| key.is_branch() && key.is_new()) {
        let name = update::name(key);
        if ENABLE.entries(lock).any(|pattern| matches(pattern, name.as_bytes())) && !State::of(key).is_on(key)
        {
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
    for pattern in ENABLE.entries(lock) {
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
