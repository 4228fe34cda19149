//! Linux, through libc.
//!
//! # Safety
//!
//! System calls with arguments of their documented types; what each of them relies on stands beside it.
#![allow(unsafe_code)]

use core::ffi::CStr;
use core::sync::atomic::AtomicU32;

use super::{Access, Refused};

#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
mod code_file;
#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
pub(crate) mod trap;

#[cfg(not(target_pointer_width = "64"))]
use libc::Elf32_Phdr as ProgramHeader;
#[cfg(target_pointer_width = "64")]
use libc::Elf64_Phdr as ProgramHeader;

#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
pub(crate) use code_file::{
    Blocked, CodeFile, NOT_SUPPORTED, blocked, has_shadow_stack, map_memory, wait_until_taken,
};

pub(crate) const THREADS_ARE_NUMBERED: bool = true;

/// This thread's number: positive, and unique in the process while the thread lives.
pub(crate) fn thread() -> u32 {
    // SAFETY: gettid(2) takes nothing and always succeeds.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// Sleeps until [`wake`], unless the word has changed. May return early.
pub(crate) fn wait(word: &AtomicU32, while_it_is: u32) {
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let forever = core::ptr::null::<libc::timespec>();
    // SAFETY: futex(2) reads the word, which outlives the call.
    keep_errno(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation, while_it_is, forever);
    });
}

/// Wakes one thread that sleeps in [`wait`], and gives way to it: a thread that updates all the time would
/// otherwise have the lock again before anybody else could run.
pub(crate) fn wake(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: futex(2) only takes the word's address; sched_yield(2) takes nothing.
    keep_errno(|| unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation, 1);
        libc::sched_yield();
    });
}

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
    // SAFETY: the caller's promise.
    checked(|| unsafe { libc::mprotect(start as *mut libc::c_void, len, protection).into() })
}

/// Has the kernel copy writable pages of a file for this process, all at once instead of one trap each. Before Linux 5.14
/// it does not, and nothing is lost.
///
/// # Safety
///
/// As for [`set_access`].
pub(crate) unsafe fn populate(start: usize, len: usize) {
    // SAFETY: the caller's promise; what the pages hold stays as it is (madvise(2), MADV_POPULATE_WRITE).
    keep_errno(|| unsafe {
        libc::madvise(start as *mut libc::c_void, len, libc::MADV_POPULATE_WRITE);
    });
}

// linux/membarrier.h
const MEMBARRIER_PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 5;
const MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 6;

/// Announces [`serialize_all_threads`]. Refused where the kernel or a seccomp filter does not know it.
pub(crate) fn prepare_to_serialize() -> Result<(), Refused> {
    membarrier(MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE).or_else(flush_icache)
}

/// Returns when every running thread of the process has executed a core-serializing instruction since
/// the call (membarrier(2)): from then on none runs instructions that it fetched before.
pub(crate) fn serialize_all_threads() -> Result<(), Refused> {
    let serialize = || membarrier(MEMBARRIER_PRIVATE_EXPEDITED_SYNC_CORE);
    let again = |_| {
        // A child of fork(2) may have to announce it again.
        membarrier(MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)?;
        serialize()
    };
    serialize().or_else(again).or_else(flush_icache)
}

/// The same on RISC-V, where membarrier does it since Linux 6.10: riscv_flush_icache(2), which all have, orders the
/// stores before it, and has every thread of the process run a FENCE.I, those that run at once, the others before they do.
#[cfg(target_arch = "riscv64")]
fn flush_icache(_: Refused) -> Result<(), Refused> {
    // asm/unistd.h; the range is not looked at, and no flag means all threads.
    const SYS_RISCV_FLUSH_ICACHE: libc::c_long = 259;
    // SAFETY: it takes numbers only.
    checked(|| unsafe { libc::syscall(SYS_RISCV_FLUSH_ICACHE, 0, 0, 0) })
}

#[cfg(not(target_arch = "riscv64"))]
fn flush_icache(refused: Refused) -> Result<(), Refused> {
    Err(refused)
}

fn membarrier(command: libc::c_int) -> Result<(), Refused> {
    // SAFETY: membarrier(2) takes numbers only.
    checked(|| unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) })
}

/// Has `before` called before each fork(2), and behind it `in_parent` and `in_child`.
pub(crate) fn at_fork(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: pthread_atfork(3) takes functions that live as long as this image; glibc and musl drop them
    // with the image. Without memory for one more entry it fails, and forks are as they would be without us.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

/// Has `function` called when the process exits, before the images' destructors run.
pub(crate) fn at_exit(function: extern "C" fn()) {
    // SAFETY: atexit(3) takes a function that lives as long as this image. Without memory for one more
    // entry it fails, and then images unregister one by one, which is right as well.
    unsafe { libc::atexit(function) };
}

/// An environment variable. Meant for constructors, where nobody writes to the environment yet.
pub(crate) fn environment(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: getenv(3) gives null or a string of the environment, which lives on.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value))
    }
}

/// The ELF header of the image that an address lies in, or null where it is not in memory. Takes a lock of the dynamic
/// linker's.
pub(crate) fn elf_header(address: usize) -> *const u8 {
    struct Search {
        address: usize,
        header: *const u8,
    }
    unsafe extern "C" fn visit(
        image: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        search: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: dl_iterate_phdr(3) hands over an image with its program headers, and our own argument.
        let (image, search) = unsafe { (&*image, &mut *search.cast::<Search>()) };
        // SAFETY: as above.
        let headers = unsafe { core::slice::from_raw_parts(image.dlpi_phdr, image.dlpi_phnum.into()) };
        let start = |segment: &ProgramHeader| image.dlpi_addr.wrapping_add(segment.p_vaddr) as usize;
        let loaded = || headers.iter().filter(|segment| segment.p_type == libc::PT_LOAD);
        if loaded().any(|segment| search.address.wrapping_sub(start(segment)) < segment.p_memsz as usize) {
            let first = loaded().find(|segment| segment.p_offset == 0);
            search.header = first.map_or(core::ptr::null(), |segment| start(segment) as *const u8);
            return 1;
        }
        0
    }
    let mut search = Search { address, header: core::ptr::null() };
    // SAFETY: dl_iterate_phdr(3) calls `visit` with `search`, which outlives it.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.header
}

/// Writes a line to standard error.
pub(crate) fn print(line: &str) {
    // SAFETY: write(2) reads the line's bytes.
    keep_errno(|| unsafe {
        libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len());
    });
}

fn checked(call: impl FnOnce() -> libc::c_long) -> Result<(), Refused> {
    let mut result = Ok(());
    keep_errno(|| {
        if call() != 0 {
            // SAFETY: as in `keep_errno`.
            result = Err(Refused(unsafe { *libc::__errno_location() }));
        }
    });
    result
}

/// Leaves errno as it was: an update may run inside a function, or a signal handler, of the user's.
fn keep_errno(call: impl FnOnce()) {
    // SAFETY: errno's address is valid as long as the thread runs.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        call();
        *errno = before;
    }
}
