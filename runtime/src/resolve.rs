//! Keys that dispatch: their function is chosen when an image is loaded that calls them, before its code is
//! patched. So no code has to change for the choice, and nothing can refuse it. A key that nobody resolved by
//! then is resolved by its first call (`dispatch.rs`), or in C by a constructor: no image is known to call
//! it, so it is only stored into.
//!
//! # Safety
//!
//! A key's resolver is as the key says. It runs under the lock, as a signal handler may run in the middle of
//! an update: what it asks of the runtime is refused.

use core::sync::atomic::{AtomicBool, Ordering};

use static_call_abi::{Form, Image, Key};

use crate::lock::Guard;
use crate::log::log;
use crate::pattern::matches;
use crate::sealed;
use crate::tables;
use crate::update;
use crate::variable::DISPATCH;
use crate::walk;

/// Whether a key's function is still to be chosen.
pub(crate) fn is_unresolved(key: &Key) -> bool {
    key.is_new() && key.is_dispatched()
}

/// Chooses the functions of the keys that an image calls which is being loaded. None of its calls is patched
/// yet. If its own keys are about to become read-only, no later call could have them chosen.
pub(crate) fn resolve(image: &Image, lock: &Guard) {
    if sealed::is_set(lock) {
        walk::of_image(image, lock).for_each(|key| resolve_key(key, lock));
    } else {
        // SAFETY: the registration has checked the keys.
        tables::records(image).for_each(|record| resolve_key(unsafe { &*record.key }, lock));
    }
}

/// Chooses the functions of all keys that are about to become read-only.
pub(crate) fn resolve_all(lock: &Guard) {
    walk::for_each(lock, &mut |key| resolve_key(key, lock));
}

#[inline]
pub(crate) fn resolve_key(key: &Key, lock: &Guard) {
    if key.is_dispatched() && key.is_new() {
        choose(key, lock);
    }
}

#[cold]
#[inline(never)]
fn choose(key: &Key, lock: &Guard) {
    let target = key.resolve(wanted(key, lock));
    let is_chosen = !target.is_null();
    let target = if is_chosen { target } else { key.target.load(Ordering::Relaxed).cast_const() };
    key.store(target, Form::Call);
    log!("{} is resolved to {target:p}{}", update::name(key), if is_chosen { "" } else { ", as before" });
}

/// The variant of a key that the environment asks for.
pub(crate) fn wanted<'lock>(key: &Key, lock: &'lock Guard) -> Option<&'lock [u8]> {
    // What the variable said may have been overwritten since.
    if sealed::is_set(lock) {
        return None;
    }
    let name = update::name(key).as_bytes();
    let entries = DISPATCH.entries(lock).filter_map(split);
    entries.filter(|(pattern, _)| is_meant(pattern, name)).last().map(|(_, variant)| variant)
}

/// Logs, once, which entries of the variable are of no use: when the program itself is loaded, which is last,
/// or else when it ends.
#[cold]
#[inline(never)]
pub(crate) fn report(lock: &Guard) {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    if IS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    for entry in DISPATCH.entries(lock) {
        let Some((pattern, _)) = split(entry) else {
            log!("STATIC_CALL_DISPATCH: {} is not name=variant", entry.escape_ascii());
            continue;
        };
        let mut is_found = false;
        walk::for_each(lock, &mut |key| {
            is_found |= key.is_dispatched() && is_meant(pattern, update::name(key).as_bytes());
        });
        if !is_found {
            log!("STATIC_CALL_DISPATCH: no dispatched function matches {} so far", pattern.escape_ascii());
        }
    }
}

/// An entry's pattern and variant.
fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let place = entry.iter().position(|&byte| byte == b'=')?;
    Some((entry[..place].trim_ascii(), entry[place + 1..].trim_ascii()))
}

/// Whether a pattern matches a name, or its last part.
pub(crate) fn is_meant(pattern: &[u8], name: &[u8]) -> bool {
    matches(pattern, name) || matches(pattern, last(name))
}

/// What follows the last `::`.
fn last(name: &[u8]) -> &[u8] {
    name.rsplit(|&byte| byte == b':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{is_meant, split};

    #[test]
    fn an_entry_names_a_function_by_its_path_or_its_name() {
        assert_eq!(split(b" crc32c = by_table "), Some((&b"crc32c"[..], &b"by_table"[..])));
        assert_eq!(split(b"crc32c=a=b"), Some((&b"crc32c"[..], &b"a=b"[..])));
        assert_eq!(split(b"crc32c"), None);
        for (pattern, expected) in
            [("crc32c", true), ("sums::crc32c", true), ("sums::*", true), ("crc*", true), ("32c", false)]
        {
            assert_eq!(is_meant(pattern.as_bytes(), b"sums::crc32c"), expected, "{pattern}");
        }
    }
}
