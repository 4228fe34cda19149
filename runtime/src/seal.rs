//! Sealing: no update any more, and nothing writable decides where a call goes.
//!
//! The pass and the linker put an image's keys, records and site table on pages of their own, see
//! ARCHITECTURE.md, "In memory". Sealing makes them read-only, and refuses every later update. An image that is
//! loaded afterwards is sealed as soon as its calls are direct.
//!
//! # Safety
//!
//! After the seal nobody writes to these pages: updates are refused before they begin, and images that come
//! and go leave the lists of records alone, which only updates read.

use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use static_call_abi::Image;

use crate::arch::native;
use crate::error::{Error, ErrorKind};
use crate::image;
use crate::lock::{self, Guard};
use crate::os::{self, Access, Refused};
use crate::writer;

/// The largest unit in which memory is protected here.
const PAGE: usize = native::ARCHITECTURE.page_size;

/// Whether the process is sealed, on a page that is sealed with it.
#[cfg_attr(
    any(target_arch = "x86_64", target_arch = "x86", target_arch = "riscv64", target_arch = "s390x"),
    repr(C, align(4096))
)]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "riscv64", target_arch = "s390x")),
    repr(C, align(65536))
)]
struct Seal {
    is_set: AtomicU32,
    _rest: [u8; PAGE - size_of::<AtomicU32>()],
}

const _: () = assert!(align_of::<Seal>().is_multiple_of(PAGE), "the page is sealed alone");

static SEAL: Seal = Seal { is_set: AtomicU32::new(0), _rest: [0; PAGE - size_of::<AtomicU32>()] };

/// Whether updates are refused.
pub(crate) fn is_set(_lock: &Guard) -> bool {
    SEAL.is_set.load(Ordering::Relaxed) != 0
}

/// Refuses updates from now on, and protects what decides where calls go.
pub(crate) fn seal() -> Result<(), Error> {
    let lock = lock::lock()?;
    if !is_set(&lock) {
        SEAL.is_set.store(1, Ordering::Relaxed);
    }
    let mut result = read_only((&raw const SEAL).addr(), PAGE);
    let mut is_any = false;
    image::for_each(&lock, |image| {
        is_any = true;
        result = result.and(protect(image));
    });
    if !is_any {
        // Whatever keys there are, nobody has told us where.
        return Err(Error::new(ErrorKind::NotProtected));
    }
    image::for_each(&lock, |image| result = result.and_then(|()| find_keys(image, &lock)));
    result
}

/// Seals an image that was loaded after the seal.
pub(crate) fn protect_late(image: &Image, lock: &Guard) -> Result<(), Error> {
    protect(image).and_then(|()| find_keys(image, lock))
}

/// Looks whether all keys that an image calls are protected.
fn find_keys(image: &Image, lock: &Guard) -> Result<(), Error> {
    image::records(image).try_for_each(|record| find(record.key.addr(), lock))
}

/// Makes an image's keys, records and sites read-only.
fn protect(image: &Image) -> Result<(), Error> {
    match pages(image) {
        Some(pages) => read_only(pages.start, pages.len()),
        None => Err(Error::at(ErrorKind::NotProtected, image.header.addr())),
    }
}

/// Looks for the pages of some image that hold a key.
fn find(key: usize, lock: &Guard) -> Result<(), Error> {
    let mut result = Err(Error::at(ErrorKind::NotProtected, key));
    image::for_each(lock, |image| {
        if pages(image).is_some_and(|pages| pages.contains(&key)) {
            result = Ok(());
        }
    });
    result
}

/// The pages that hold an image's keys, records and sites and nothing else; None if the linker has put anything
/// else between or beside them.
fn pages(image: &Image) -> Option<Range<usize>> {
    let [start, end, page] = [image.keys.addr(), image.end.addr(), os::page_size()];
    let is_alone = start != 0
        && start.is_multiple_of(page)
        && image.keys_end.addr() == image.records.addr()
        && image.records_end.addr() == image.sites.addr()
        // The section behind the sites is one page long and never used: it lets the sites end anywhere.
        && end.checked_sub(image.sites_end.addr()) == Some(PAGE)
        && page <= PAGE;
    is_alone.then_some(start..end / page * page)
}

fn read_only(start: usize, len: usize) -> Result<(), Error> {
    let access = Access { read: true, write: false, execute: false, guarded: false };
    let result = match writer::custom() {
        Some(writer) => writer.protect(start as *mut u8, len).map_err(Refused),
        // SAFETY: whole pages of ours, to which nobody writes any more, see the module's head.
        None => unsafe { os::set_access(start, len, access) },
    };
    result.map_err(|Refused(os)| Error::with_os(ErrorKind::NotProtected, start, os))
}
