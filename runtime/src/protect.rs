//! Making read-only what decides where calls go: the pages of an image's keys, records and site table.
//!
//! The pass and the linker put an image's keys, records and site table on pages of their own, see
//! docs/internals/tables.md. Sealing makes them read-only, and refuses every later update. An image that
//! is loaded afterwards is sealed as soon as its calls are direct.
//!
//! # Safety
//!
//! After the seal nobody writes to these pages: updates are refused before they begin, and images that come
//! and go leave the lists of records alone, which only updates read.

use core::ops::Range;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use static_call_abi::{Image, Key};

use crate::copies::{Answer, and};
use crate::error::{Error, ErrorKind};
use crate::format::{self, Access};
use crate::image;
use crate::lock::Guard;
use crate::log::log;
use crate::os::{self, Refused, Rights};
use crate::page::PAGE;
use crate::sealed::custom;
use crate::tables;

/// Keys that lie in no registered image: the runtime knows of them only because somebody updated them or
/// asked about them.
static STRAY: [AtomicPtr<Key>; 16] = [const { AtomicPtr::new(null_mut()) }; 16];
/// There was one more.
static ARE_MORE: AtomicBool = AtomicBool::new(false);

/// Protects all images; what is protected already stays so.
pub(crate) fn protect_all(lock: &Guard) -> Result<Answer, Error> {
    let mut result = Ok(Answer::No);
    image::for_each_known(lock, |image| {
        result = and(result, log(protect(image, lock)).map(|()| Answer::Yes))
    });
    if image::are_unknown(lock) {
        log!("an image was compiled by another version of the static-call pass: its keys are not protected");
        result = and(result, Err(Error::new(ErrorKind::NotProtected)));
    }
    result
}

/// Checks that all keys which this copy knows are protected.
pub(crate) fn check_all(lock: &Guard) -> Result<Answer, Error> {
    let mut result = Ok(());
    image::for_each_known(lock, |image| result = result.and(log(find_keys(image, lock))));
    for stray in STRAY.iter().map(|stray| stray.load(Ordering::Relaxed).addr()).filter(|&stray| stray != 0) {
        // The image may have been unloaded since.
        let is_gone = matches!(
            os::rights(stray & !(os::page_size() - 1), os::page_size()),
            Some((Rights::NotMapped, _))
        );
        if !is_gone {
            result = result.and(log(find(stray, lock).map(drop)));
        }
    }
    if ARE_MORE.load(Ordering::Relaxed) {
        result = result.and(Err(Error::at(ErrorKind::NotProtected, STRAY[0].load(Ordering::Relaxed).addr())));
    }
    result.map(|()| Answer::Yes)
}

pub(crate) fn log<T>(result: Result<T, Error>) -> Result<T, Error> {
    result.inspect_err(|error| log!("not sealed: {error}"))
}

/// Remembers a key that the program updates or asks about, unless an image's pages hold it. This costs time
/// only for keys without records, before their first update. Whether another copy protects it is asked when
/// that matters: system calls are most of what a dispatched function's first call costs.
pub(crate) fn note(key: &Key, lock: &Guard) {
    let address = core::ptr::from_ref(key).addr();
    let is_known = !key.records.load(Ordering::Relaxed).is_null()
        || !key.is_new()
        || pages_around(address, lock).is_some();
    if is_known {
        return;
    }
    let key = core::ptr::from_ref(key).cast_mut();
    let has_room = STRAY.iter().any(|stray| {
        [null_mut(), key].contains(&stray.load(Ordering::Relaxed)) && {
            stray.store(key, Ordering::Relaxed);
            true
        }
    });
    if !has_room && find(address, lock).is_err() {
        ARE_MORE.store(true, Ordering::Relaxed);
    }
}

/// As if nobody had updated or asked about such keys.
#[cfg(test)]
#[allow(dead_code, reason = "for the tests that fabricate images")]
pub(crate) fn forget_strays(_lock: &Guard) {
    STRAY.iter().for_each(|stray| stray.store(null_mut(), Ordering::Relaxed));
    ARE_MORE.store(false, Ordering::Relaxed);
}

/// Seals an image that was loaded after the seal.
pub(crate) fn protect_late(image: &Image, lock: &Guard) -> Result<(), Error> {
    protect(image, lock).and_then(|()| find_keys(image, lock))
}

/// Checks that all keys which an image calls are protected.
fn find_keys(image: &Image, lock: &Guard) -> Result<(), Error> {
    // Most keys are the image's own, or lie beside the last one.
    let mut here = pages(image).unwrap_or_default();
    tables::records(image).map(|record| record.key.addr()).try_for_each(|key| {
        if !here.contains(&key) {
            here = find(key, lock)?;
        }
        Ok(())
    })
}

/// Makes an image's keys, records and sites read-only.
fn protect(image: &Image, lock: &Guard) -> Result<(), Error> {
    match pages(image) {
        Some(pages) => {
            image.text_flags.set(image.text_flags.get() | format::SEALED);
            read_only(pages.start, pages.len(), lock)
        }
        None => Err(Error::at(ErrorKind::NotProtected, image.header.get().addr())),
    }
}

/// The pages of the image that hold a key.
fn pages_around(key: usize, lock: &Guard) -> Option<Range<usize>> {
    let mut found = None;
    image::for_each_known(lock, |image| {
        found = found.take().or_else(|| pages(image).filter(|pages| pages.contains(&key)));
    });
    found
}

/// Looks for the pages of some image that hold a key, or asks the kernel: other copies of the runtime protect
/// keys, too.
fn find(key: usize, lock: &Guard) -> Result<Range<usize>, Error> {
    let page = os::page_size();
    let start = key & !(page - 1);
    let is_read_only = || matches!(os::rights(start, page), Some((Rights::Other, _)));
    pages_around(key, lock)
        .or_else(|| is_read_only().then_some(start..start + page))
        .ok_or(Error::at(ErrorKind::NotProtected, key))
}

/// The pages that hold an image's keys, records and sites and nothing else; None if the linker has put
/// anything else between or beside them.
fn pages(image: &Image) -> Option<Range<usize>> {
    let [start, end, page] = [image.keys.addr(), image.end.addr(), os::page_size()];
    let is_alone = start != 0
        && start.is_multiple_of(page)
        && image.keys_end.addr() == image.records.addr()
        && image.records_end.addr() == image.branches.addr()
        && image.branches_end.addr() == image.sites.addr()
        // The section behind the sites is one page long, and only updates use it: it lets the sites end
        // anywhere. Each further descriptor, which link-time optimization may leave, has one more page.
        && end.checked_sub(image.sites_end.addr()).is_some_and(|len| len != 0 && len.is_multiple_of(PAGE))
        && page <= PAGE;
    is_alone.then_some(start..end / page * page)
}

fn read_only(start: usize, len: usize, lock: &Guard) -> Result<(), Error> {
    let access = Access { read: true, write: false, execute: false, guarded: false };
    let result = match custom(lock) {
        Some(writer) => writer.protect(start as *mut u8, len).map_err(Refused),
        // SAFETY: whole pages of ours, to which nobody writes any more, see the module's head.
        None => unsafe { os::set_access(start, len, access) },
    };
    result.map_err(|Refused(os)| Error::with_os(ErrorKind::NotProtected, start, os))
}
