//! The process's memory: pages, and what may be done with them.
//!
//! # Safety
//!
//! Functions of kernel32.dll with arguments of their documented types. None of them takes the loader's lock.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use super::kernel::{
    GetLastError, MemoryInformation, VirtualAlloc, VirtualFree, VirtualProtect, VirtualQuery, keep_error,
};
use crate::format::Access;
use crate::os::reply::{Refused, Rights};

// Memory Protection Constants.
const PAGE_READONLY: u32 = 0x02;
const PAGE_READWRITE: u32 = 0x04;
const PAGE_WRITECOPY: u32 = 0x08;
const PAGE_EXECUTE_READ: u32 = 0x20;
const PAGE_EXECUTE_READWRITE: u32 = 0x40;
const PAGE_EXECUTE_WRITECOPY: u32 = 0x80;
const PAGE_GUARD: u32 = 0x100;
/// Otherwise every address on the pages becomes a valid target of indirect calls under Control Flow Guard.
const PAGE_TARGETS_NO_UPDATE: u32 = 0x4000_0000;

/// The unit in which memory is protected: 4 KiB on each processor that Windows runs on.
pub(crate) fn page_size() -> usize {
    4096
}

/// Sets the access of whole pages.
///
/// A policy that forbids dynamic code (`ProcessDynamicCodePolicy`, Arbitrary Code Guard) refuses pages that
/// are writable and executable.
///
/// # Safety
///
/// - `start` and `len` are multiples of the page size and cover pages of one image that are mapped.
/// - No Rust reference relies on an access that is taken away.
pub(crate) unsafe fn set_access(start: usize, len: usize, access: Access) -> Result<(), Refused> {
    let protection = match (access.write, access.execute) {
        (false, false) => PAGE_READONLY,
        // An image's page becomes this process's own when it is first written to.
        (true, false) => PAGE_READWRITE,
        (false, true) => PAGE_EXECUTE_READ | PAGE_TARGETS_NO_UPDATE,
        (true, true) => PAGE_EXECUTE_READWRITE | PAGE_TARGETS_NO_UPDATE,
    };
    keep_error(|| {
        let mut before = 0;
        let start = core::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the caller's promise.
        let done = unsafe { VirtualProtect(start, len, protection, &raw mut before) };
        if done == 0 { Err(Refused(GetLastError().cast_signed())) } else { Ok(()) }
    })
}

/// What Windows knows of the page at this address.
pub(super) fn query(address: usize) -> Option<MemoryInformation> {
    let mut information = MaybeUninit::uninit();
    let at = core::ptr::without_provenance(address);
    // SAFETY: writes at most as many bytes; asks about any address.
    let written =
        keep_error(|| unsafe { VirtualQuery(at, information.as_mut_ptr(), size_of::<MemoryInformation>()) });
    // SAFETY: written.
    (written == size_of::<MemoryInformation>()).then(|| unsafe { information.assume_init() })
}

/// What may be done with the first of these pages, and for how many bytes the answer holds.
pub(crate) fn rights(start: usize, len: usize) -> Option<(Rights, usize)> {
    const MEM_COMMIT: u32 = 0x1000;
    const WRITABLE: u32 = PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;
    const READABLE: u32 = WRITABLE | PAGE_READONLY | PAGE_EXECUTE_READ;
    let information = query(start)?;
    let is_there = information.state == MEM_COMMIT && information.protection & PAGE_GUARD == 0;
    let rights = match information.protection {
        protection if !is_there || protection & READABLE == 0 => Rights::NotMapped,
        protection if protection & WRITABLE != 0 => Rights::Writable,
        _ => Rights::Other,
    };
    let end = information.base.addr().saturating_add(information.len);
    Some((rights, len.min(end.saturating_sub(start))))
}

/// Windows copies a page when it is first written to, and has nothing to do that for several at once.
///
/// # Safety
///
/// As for [`set_access`].
pub(crate) unsafe fn populate(_start: usize, _len: usize) {}

/// As nobody maps code twice here, nobody asks.
pub(crate) fn are_mapped(_start: usize, _len: usize) -> Option<bool> {
    None
}

/// Zeroed memory.
pub(crate) fn map_memory(len: usize) -> Result<*mut u8, Refused> {
    const MEM_COMMIT_AND_RESERVE: u32 = 0x3000;
    keep_error(|| {
        let anywhere = core::ptr::null_mut();
        // SAFETY: new pages.
        let memory = unsafe { VirtualAlloc(anywhere, len, MEM_COMMIT_AND_RESERVE, PAGE_READWRITE) };
        if memory.is_null() { Err(Refused(GetLastError().cast_signed())) } else { Ok(memory.cast()) }
    })
}

/// Gives back memory.
///
/// # Safety
///
/// [`map_memory`] made it, and nobody uses it any more.
pub(super) unsafe fn unmap_memory(memory: *mut c_void) {
    const MEM_RELEASE: u32 = 0x8000;
    // SAFETY: the caller's promise; the length is that of the allocation.
    keep_error(|| unsafe { VirtualFree(memory, 0, MEM_RELEASE) });
}
