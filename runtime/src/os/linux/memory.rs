//! The process's memory: pages, and what may be done with them.
//!
//! # Safety
//!
//! System calls with arguments of their documented types.

use super::system_call::{keep_errno, system_call};
use crate::format::Access;
use crate::os::reply::Refused;

pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf(3) takes a constant; a page size is always known.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// Sets the access of whole pages.
///
/// # Safety
///
/// - `start` and `len` are multiples of the page size and cover pages that are mapped.
/// - No Rust reference relies on an access that is taken away.
pub(crate) unsafe fn set_access(start: usize, len: usize, access: Access) -> Result<(), Refused> {
    // SAFETY: the caller's promise.
    unsafe { system_call(libc::SYS_mprotect, [start, len, protection(access) as usize]) }.map(drop)
}

/// As mprotect(2) and mmap(2) take it.
pub(super) fn protection(access: Access) -> libc::c_int {
    let mut protection = libc::PROT_NONE;
    for (wanted, bit) in
        [(access.read, libc::PROT_READ), (access.write, libc::PROT_WRITE), (access.execute, libc::PROT_EXEC)]
    {
        if wanted {
            protection |= bit;
        }
    }
    // A processor, and a kernel, that do not know of landing pads refuse the bit.
    #[cfg(target_arch = "aarch64")]
    if access.guarded {
        const PROT_BTI: libc::c_int = 0x10;
        const HWCAP2_BTI: libc::c_ulong = 1 << 17;
        // SAFETY: getauxval(3) takes a number.
        let knows_it = unsafe { libc::getauxval(libc::AT_HWCAP2) } & HWCAP2_BTI != 0;
        protection |= if knows_it { PROT_BTI } else { 0 };
    }
    protection
}

/// Has the kernel copy writable pages of a file for this process, all at once instead of one trap each.
/// Before Linux 5.14 it does not, and nothing is lost.
///
/// # Safety
///
/// As for [`set_access`].
pub(crate) unsafe fn populate(start: usize, len: usize) {
    // SAFETY: the caller's promise; what the pages hold stays as it is (madvise(2), MADV_POPULATE_WRITE).
    let _ = unsafe { system_call(libc::SYS_madvise, [start, len, libc::MADV_POPULATE_WRITE as usize]) };
}

/// Whether all of these pages are mapped and can be read. None if the kernel does not tell: before Linux
/// 5.14.
pub(crate) fn are_mapped(start: usize, len: usize) -> Option<bool> {
    // SAFETY: reads the pages as an access would (madvise(2), MADV_POPULATE_READ).
    match unsafe { system_call(libc::SYS_madvise, [start, len, libc::MADV_POPULATE_READ as usize]) } {
        Ok(_) => Some(true),
        Err(Refused(libc::ENOMEM | libc::EFAULT)) => Some(false),
        Err(_) => None,
    }
}

/// Returns when the kernel has finished the copies of pages that it was making for others when this was
/// called (a debugger's, say): it makes them while it holds the memory's lock for reading, and this takes it
/// for writing. `page` is one that children do not inherit (`MADV_DONTFORK`), and stays so.
pub(crate) fn wait_for_copies(page: usize) {
    // SAFETY: madvise(2) changes nothing of what the page holds.
    let _ = unsafe { system_call(libc::SYS_madvise, [page, page_size(), libc::MADV_DONTFORK as usize]) };
}

/// Zeroed memory.
pub(crate) fn map_memory(len: usize) -> Result<*mut u8, Refused> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let mut result = Err(Refused(0));
    // SAFETY: new pages, wherever the kernel likes. This does not use `system_call`, because mmap(2)'s
    // arguments differ between machines, and the C library's function is no cancellation point. errno's
    // address is valid as long as the thread runs.
    keep_errno(|| unsafe {
        let memory = libc::mmap(core::ptr::null_mut(), len, protection, flags, -1, 0);
        result = if memory == libc::MAP_FAILED {
            Err(Refused(*libc::__errno_location()))
        } else {
            Ok(memory.cast())
        };
    });
    result
}

/// Gives back memory.
///
/// # Safety
///
/// [`map_memory`] made it with this length, and nobody uses it any more.
pub(crate) unsafe fn unmap_memory(memory: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    let _ = unsafe { system_call(libc::SYS_munmap, [memory.expose_provenance(), len]) };
}
