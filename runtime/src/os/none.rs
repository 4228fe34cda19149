//! No operating system: nothing may be written, and there is nobody to wait for.

use core::ffi::CStr;

use super::reply::{Refused, Rights};
use crate::format::{Access, Note};
use crate::page::Page;
use crate::sync::atomic::AtomicUsize;

pub(crate) const PATCHES: bool = false;
pub(crate) const THREADS_HAVE_NAMES: bool = false;
pub(crate) const FORKS: bool = false;
pub(crate) const EXIT_KEEPS_IMAGES: bool = true;

pub(crate) fn thread() -> usize {
    2
}

pub(crate) fn is_first_thread() -> bool {
    false
}

/// Interrupts are the program's own affair.
#[derive(Debug)]
pub(crate) struct NoSignals;

impl NoSignals {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn pause(&self, wait: impl FnOnce()) {
        wait();
    }
}

pub(crate) fn wait(_word: &AtomicUsize, _while_it_is: usize) {
    core::hint::spin_loop();
}

pub(crate) fn wake(_word: &AtomicUsize) {}

pub(crate) fn process() -> usize {
    0
}

pub(crate) fn wipe_on_fork<T>(_page: &'static Page<T>) -> bool {
    false
}

pub(crate) fn map_memory(_len: usize) -> Result<*mut u8, Refused> {
    Err(Refused(0))
}

pub(crate) fn are_mapped(_start: usize, _len: usize) -> Option<bool> {
    None
}

pub(crate) fn page_size() -> usize {
    4096
}

pub(crate) unsafe fn set_access(_: usize, _: usize, _: Access) -> Result<(), Refused> {
    Err(Refused(0))
}

pub(crate) fn rights(_: usize, _: usize) -> Option<(Rights, usize)> {
    None
}

pub(crate) unsafe fn populate(_: usize, _: usize) {}

pub(crate) fn prepare_to_serialize() -> Result<(), Refused> {
    Err(Refused(0))
}

pub(crate) fn can_serialize() -> bool {
    false
}

pub(crate) fn serialize_all_threads() -> Result<(), Refused> {
    Err(Refused(0))
}

pub(crate) fn is_single_threaded() -> bool {
    false
}

pub(crate) fn milliseconds() -> Option<usize> {
    None
}

pub(crate) fn at_exit(_function: extern "C" fn()) {}

pub(crate) fn watch_the_end() {}

pub(crate) fn is_ending() -> bool {
    false
}

pub(crate) fn environment(_name: &CStr) -> Option<&'static CStr> {
    None
}

pub(crate) fn image_header(_address: usize) -> *const u8 {
    core::ptr::null()
}

pub(crate) fn program() -> usize {
    0
}

pub(crate) fn for_each_note(_visit: impl FnMut(&Note<'_>)) {}

pub(crate) fn print(_line: &str) {}
