//! Memory that is a file, so that it can be mapped twice.
//!
//! # Safety
//!
//! System calls with arguments of their documented types.

use super::file::File;
use super::memory::{page_size, protection};
use super::system_call::system_call;
use crate::format::Access;
use crate::os::reply::Refused;

/// A file that lives in memory, and is gone when nobody has it open or mapped any more.
#[derive(Debug)]
pub(crate) struct MemoryFile(File);

impl MemoryFile {
    /// An empty one of this length, which may be executed: where the system forbids that
    /// (`vm.memfd_noexec`), this fails.
    pub(crate) fn new(len: usize) -> Result<Self, Refused> {
        const MFD_EXEC: usize = 0x10;
        let create = |flags| {
            let name = c"static-call".as_ptr().expose_provenance();
            // SAFETY: memfd_create(2) reads a name that ends in NUL.
            unsafe { system_call(libc::SYS_memfd_create, [name, libc::MFD_CLOEXEC as usize | flags]) }
        };
        // Before Linux 6.3 the flag is unknown, and all such files may be executed.
        let file = create(MFD_EXEC).or_else(|refused| match refused {
            Refused(libc::EINVAL) => create(0),
            _ => Err(refused),
        })?;
        let file = File::from_number(file);
        if !may_be_so_long(len) {
            return Err(Refused(libc::EFBIG));
        }
        // SAFETY: ftruncate(2) takes numbers; the descriptor is ours.
        unsafe { system_call(libc::SYS_ftruncate, [file.number(), len]) }?;
        Ok(Self(file))
    }

    /// Maps all of it, to be written; children do not inherit that.
    pub(crate) fn map_shared(&self, len: usize) -> Result<*mut u8, Refused> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: new pages, wherever the kernel likes.
        let memory = unsafe { self.map(core::ptr::null_mut(), len, protection, libc::MAP_SHARED, 0) }?;
        let start = memory.expose_provenance();
        // SAFETY: madvise(2) of the pages that were just mapped.
        let advised = unsafe { system_call(libc::SYS_madvise, [start, len, libc::MADV_DONTFORK as usize]) };
        match advised {
            Ok(_) => Ok(memory),
            Err(refused) => {
                // SAFETY: nobody knows of them yet.
                let _ = unsafe { system_call(libc::SYS_munmap, [start, len]) };
                Err(refused)
            }
        }
    }

    /// Maps it in the place of some pages of code: what their process writes there (a debugger's breakpoint)
    /// does not reach the file, but what is written to the file is executed there.
    ///
    /// # Safety
    ///
    /// The pages lie in a segment of code with this access, and the file holds at `at` what they hold.
    pub(crate) unsafe fn map_code(
        &self,
        start: usize,
        len: usize,
        access: Access,
        at: usize,
    ) -> Result<(), Refused> {
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_POPULATE;
        let start = core::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the caller's promise. Threads that run the pages meanwhile wait in a page fault until they
        // are mapped again.
        unsafe { self.map(start, len, protection(access), flags, at) }.map(drop)
    }

    /// # Safety
    ///
    /// With `MAP_FIXED`, as for [`map_code`](Self::map_code).
    unsafe fn map(
        &self,
        start: *mut u8,
        len: usize,
        protection: libc::c_int,
        flags: libc::c_int,
        at: usize,
    ) -> Result<*mut u8, Refused> {
        let (file, access, flags) = (self.0.number(), protection as usize, flags as usize);
        // Past the C library's function where the arguments are passed as they are: ThreadSanitizer replaces
        // that one, and would write to the shadow of code, which is read-only.
        #[cfg(all(target_pointer_width = "64", not(target_arch = "s390x")))]
        {
            let arguments = [start.expose_provenance(), len, access, flags, file, at];
            // SAFETY: the caller's promise.
            unsafe { system_call(libc::SYS_mmap, arguments) }.map(core::ptr::with_exposed_provenance_mut)
        }
        #[cfg(not(all(target_pointer_width = "64", not(target_arch = "s390x"))))]
        {
            let mut result = Err(Refused(0));
            let (access, flags, at) = (access as libc::c_int, flags as libc::c_int, at as libc::off_t);
            // SAFETY: the caller's promise, and as in `map_memory`.
            super::system_call::keep_errno(|| unsafe {
                let memory = libc::mmap(start.cast(), len, access, flags, file as libc::c_int, at);
                result = if memory == libc::MAP_FAILED {
                    Err(Refused(*libc::__errno_location()))
                } else {
                    Ok(memory.cast())
                };
            });
            result
        }
    }
}

/// Whether the process may make files of this length (RLIMIT_FSIZE). If it makes a longer one, in memory or
/// not, it gets SIGXFSZ, which ends it. No if the kernel does not say.
fn may_be_so_long(len: usize) -> bool {
    const MYSELF: usize = 0;
    const KEEP: usize = 0;
    // As prlimit(2) takes it on all machines: the limit at present, and the highest one.
    let mut limits = [0u64; 2];
    let result = limits.as_mut_ptr().expose_provenance();
    // SAFETY: it fills the limits.
    let asked =
        unsafe { system_call(libc::SYS_prlimit64, [MYSELF, libc::RLIMIT_FSIZE as usize, KEEP, result]) };
    asked.is_ok() && len as u64 <= limits[0]
}

/// Whether a page of a file that is mapped privately has been written, so that this process has a copy of its
/// own (Documentation/admin-guide/mm/pagemap.rst in Linux). None if the kernel does not say.
pub(crate) fn is_written(address: usize) -> Option<bool> {
    const IS_OF_FILE: u64 = 1 << 61;
    const IS_SWAPPED: u64 = 1 << 62;
    const IS_PRESENT: u64 = 1 << 63;
    let file = File::open(None, c"/proc/self/pagemap", libc::O_RDONLY).ok()?;
    let mut entry = 0u64;
    let piece = libc::iovec { iov_base: (&raw mut entry).cast(), iov_len: size_of::<u64>() };
    let piece = (&raw const piece).expose_provenance();
    let offset = address / page_size() * size_of::<u64>();
    // preadv(2), because its arguments are the same on all machines: the offset is two words, of which a
    // 64-bit machine ignores the second.
    // SAFETY: it fills the number.
    let read = unsafe { system_call(libc::SYS_preadv, [file.number(), piece, 1, offset, 0]) };
    let is_there = entry & (IS_PRESENT | IS_SWAPPED) != 0;
    (read == Ok(size_of::<u64>())).then_some(is_there && entry & IS_OF_FILE == 0)
}
