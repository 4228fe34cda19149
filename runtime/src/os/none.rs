//! No operating system: nothing may be written, and there is nobody to wait for.

use core::ffi::CStr;

use super::{Access, Refused};
use crate::sync::atomic::AtomicU32;

pub(crate) const THREADS_ARE_NUMBERED: bool = false;

pub(crate) fn thread() -> u32 {
    1
}

pub(crate) fn wait(_word: &AtomicU32, _while_it_is: u32) {
    core::hint::spin_loop();
}

pub(crate) fn wake(_word: &AtomicU32) {}

pub(crate) fn page_size() -> usize {
    4096
}

pub(crate) unsafe fn set_access(_: usize, _: usize, _: Access) -> Result<(), Refused> {
    Err(Refused(0))
}

pub(crate) unsafe fn populate(_: usize, _: usize) {}

pub(crate) fn prepare_to_serialize() -> Result<(), Refused> {
    Err(Refused(0))
}

pub(crate) fn serialize_all_threads() -> Result<(), Refused> {
    Err(Refused(0))
}

pub(crate) fn at_fork(_before: extern "C" fn(), _in_parent: extern "C" fn(), _in_child: extern "C" fn()) {}

pub(crate) fn at_exit(_function: extern "C" fn()) {}

pub(crate) fn environment(_name: &CStr) -> Option<&'static CStr> {
    None
}

pub(crate) fn elf_header(_address: usize) -> *const u8 {
    core::ptr::null()
}

pub(crate) fn print(_line: &str) {}
