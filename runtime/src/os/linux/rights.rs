//! What may be done with pages at this moment, in two ways: a system call for each page, and for many pages a
//! file in /proc.
//!
//! # Safety
//!
//! Nothing here changes what a page holds, or maps a page.

use core::sync::atomic::{AtomicU32, Ordering};

use super::memory::page_size;
use super::system_call::system_call;
use crate::os::reply::{Refused, Rights};

/// What may be done with the first of these pages, and for how many bytes the answer holds. None if the
/// kernel does not tell.
pub(crate) fn rights(start: usize, len: usize) -> Option<(Rights, usize)> {
    /// From this number of pages on, opening a file is cheaper than asking for each page.
    const MANY: usize = 10;
    let page = page_size();
    let many = || in_maps(start, len);
    let of_all = if len >= MANY * page { many() } else { None };
    of_all.or_else(|| Some((of_page(start, page)?, page)))
}

/// Makes madvise(2) map a page as an access would: since Linux 5.14, and not in emulators.
fn of_page(start: usize, page: usize) -> Option<Rights> {
    const UNKNOWN: u32 = 0;
    const TELLS: u32 = 1;
    const DOES_NOT: u32 = 2;
    static STATE: AtomicU32 = AtomicU32::new(UNKNOWN);
    let ask = |start: usize, advice| {
        // SAFETY: see the module's head. A page of a file that can be written is copied for this process.
        unsafe { system_call(libc::SYS_madvise, [start, page, advice as usize]) }
    };
    if STATE.load(Ordering::Relaxed) == UNKNOWN {
        // This very code is known to be there.
        let here = (of_page as fn(_, _) -> _ as usize) / page * page;
        let tells = ask(here, libc::MADV_POPULATE_READ).is_ok()
            && ask(here, libc::MADV_POPULATE_WRITE).err() == Some(Refused(libc::EINVAL));
        STATE.store(if tells { TELLS } else { DOES_NOT }, Ordering::Relaxed);
    }
    if STATE.load(Ordering::Relaxed) != TELLS {
        return None;
    }
    match ask(start, libc::MADV_POPULATE_WRITE) {
        Ok(_) => Some(Rights::Writable),
        Err(Refused(libc::EINVAL)) if ask(start, libc::MADV_POPULATE_READ).is_ok() => Some(Rights::Other),
        // Not even readable.
        Err(Refused(libc::EINVAL)) => Some(Rights::NotMapped),
        Err(Refused(libc::ENOMEM)) => Some(Rights::NotMapped),
        Err(_) => None,
    }
}

/// `struct procmap_query` in linux/fs.h.
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    flags: u64,
    address: u64,
    start: u64,
    end: u64,
    access: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    device: [u32; 2],
    name_size: u32,
    build_id_size: u32,
    name: u64,
    build_id: u64,
}

/// By a question to /proc/self/maps, since Linux 6.11.
fn in_maps(start: usize, len: usize) -> Option<(Rights, usize)> {
    // _IOWR('f', 17, struct procmap_query), where reading and writing are not other bits, as on POWER.
    const PROCMAP_QUERY: u32 = 3 << 30 | (size_of::<Query>() as u32) << 16 | (b'f' as u32) << 8 | 17;
    const READABLE: u64 = 1;
    const WRITABLE: u64 = 2;
    let mut query = Query { size: size_of::<Query>() as u64, address: start as u64, ..Query::default() };
    let name = c"/proc/self/maps".as_ptr().expose_provenance();
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
    // SAFETY: a name that ends in NUL; a structure that outlives the call; and the file is ours.
    let result = unsafe {
        let file = system_call(libc::SYS_openat, [libc::AT_FDCWD as usize, name, flags]).ok()?;
        let query = (&raw mut query).expose_provenance();
        let result = system_call(libc::SYS_ioctl, [file, PROCMAP_QUERY as usize, query]);
        let _ = system_call(libc::SYS_close, [file]);
        result
    };
    match result {
        Ok(_) => {
            let rights = match query.access & (READABLE | WRITABLE) {
                0 => Rights::NotMapped,
                READABLE => Rights::Other,
                _ => Rights::Writable,
            };
            Some((rights, len.min((query.end as usize).saturating_sub(start))))
        }
        Err(Refused(libc::ENOENT)) => Some((Rights::NotMapped, len)),
        Err(_) => None,
    }
}
