//! Linux, through libc.
//!
//! # Safety
//!
//! System calls with arguments of their documented types; what else each of them relies on is said there.
#![allow(unsafe_code)]

use core::ffi::CStr;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use system_call::keep_errno;

use super::reply::Refused;
use crate::format::{self, Note};
use crate::page::Page;

#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
mod action;
mod file;
mod memory;
mod memory_file;
mod rights;
#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
mod shadow_stack;
mod signals;
mod system_call;
#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
mod threads;

#[cfg(not(target_pointer_width = "64"))]
use libc::Elf32_Phdr as ProgramHeader;
#[cfg(target_pointer_width = "64")]
use libc::Elf64_Phdr as ProgramHeader;

#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
pub(crate) use action::{Action, needs_restorer, read};
#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
pub(crate) use file::File;
#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
pub(crate) use shadow_stack::has_shadow_stack;
#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
pub(crate) use signals::Mask;
#[cfg(any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"))]
pub(crate) use threads::{Blocked, Patience, blocked, wait_until_handled, wait_until_taken};

pub(crate) use memory::{
    are_mapped, map_memory, page_size, populate, set_access, unmap_memory, wait_for_copies,
};
pub(crate) use memory_file::{MemoryFile, is_written};
pub(crate) use rights::rights;
pub(crate) use signals::NoSignals;
pub(crate) use system_call::system_call;

/// Whether the runtime itself patches code here.
pub(crate) const PATCHES: bool = true;
/// Whether [`thread`] tells threads apart.
pub(crate) const THREADS_HAVE_NAMES: bool = true;

/// Whether another process may begin with a copy of this one's memory.
pub(crate) const FORKS: bool = true;

/// Whether all images stay mapped once the destructors of the program run: glibc has added a reference to
/// each by then, and musl unloads none.
pub(crate) const EXIT_KEEPS_IMAGES: bool = true;

/// This thread's name: even, not zero, and unique in the process while the thread lives. It keeps it in a
/// child that it forks: it is the address of the C library's description of the thread.
pub(crate) fn thread() -> usize {
    // SAFETY: pthread_self(3) takes nothing and always succeeds, in signal handlers as well.
    unsafe { libc::pthread_self() as usize }
}

/// Whether this is the thread that the process began with; in a child, the one that forked.
pub(crate) fn is_first_thread() -> bool {
    // SAFETY: both take nothing and always succeed.
    unsafe { system_call(libc::SYS_gettid, []) == system_call(libc::SYS_getpid, []) }
}

/// This process's number.
pub(crate) fn process() -> usize {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { system_call(libc::SYS_getpid, []) }.unwrap_or(0)
}

/// Sleeps until [`wake`], unless the word has changed. May return early.
///
/// The kernel compares only the lower half of the word. Another holder's half may be equal. It only has to
/// differ from the half of a word for which nobody will wake us, and that one is even.
pub(crate) fn wait(word: &AtomicUsize, while_it_is: usize) {
    let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    const FOREVER: usize = 0;
    let arguments =
        [lower_half(word).expose_provenance(), operation as usize, while_it_is as u32 as usize, FOREVER];
    // SAFETY: futex(2) reads the word, which outlives the call.
    let _ = unsafe { system_call(libc::SYS_futex, arguments) };
}

fn lower_half(word: &AtomicUsize) -> *const u32 {
    let halves = size_of::<usize>() / size_of::<u32>();
    let index = if cfg!(target_endian = "big") { halves - 1 } else { 0 };
    word.as_ptr().cast::<u32>().wrapping_add(index)
}

/// Wakes the threads that sleep in [`wait`], and yields to them. Otherwise a thread that updates all the time
/// would take the lock again before anybody else could run.
///
/// It wakes all of them, because one may not come for the lock: a signal that arrived together with the
/// wake-up has its handler run first, and that may wait for another one's update.
pub(crate) fn wake(word: &AtomicUsize) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: futex(2) only takes the word's address; sched_yield(2) takes nothing.
    let _ = unsafe {
        let all = i32::MAX as usize;
        let _ = system_call(libc::SYS_futex, [lower_half(word).expose_provenance(), operation as usize, all]);
        system_call(libc::SYS_sched_yield, [])
    };
}

// linux/membarrier.h
const MEMBARRIER_QUERY: libc::c_int = 0;
const MEMBARRIER_PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 5;
const MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 6;

/// Announces [`serialize_all_threads`]. Refused where the kernel or a seccomp filter does not know it.
pub(crate) fn prepare_to_serialize() -> Result<(), Refused> {
    membarrier(MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE).or_else(flush_icache)
}

/// Whether [`prepare_to_serialize`] would succeed, without doing it.
pub(crate) fn can_serialize() -> bool {
    // SAFETY: membarrier(2) takes numbers only. Its answer is a set of commands.
    let commands = unsafe { system_call(libc::SYS_membarrier, [MEMBARRIER_QUERY as usize]) };
    let wanted = MEMBARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE as usize;
    let is_known = commands.is_ok_and(|commands| commands & wanted != 0);
    is_known || flush_icache(Refused(0)).is_ok()
}

/// Whether the process has one thread: its directory of threads has one link for each, and two more. False
/// where that is unknown.
pub(crate) fn is_single_threaded() -> bool {
    const STATX_NLINK: usize = 4;
    // struct statx (linux/stat.h): stx_mask, stx_blksize, stx_attributes of 64 bits, stx_nlink; 256 bytes
    // in all.
    let mut stat = [0u32; 64];
    let path = c"/proc/self/task".as_ptr().expose_provenance();
    let result = stat.as_mut_ptr().expose_provenance();
    // SAFETY: statx(2) reads the path and fills the structure.
    let done =
        unsafe { system_call(libc::SYS_statx, [libc::AT_FDCWD as usize, path, 0, STATX_NLINK, result]) };
    done.is_ok() && stat[0] as usize & STATX_NLINK != 0 && stat[4] == 3
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

/// The same on RISC-V, where membarrier does it since Linux 6.10: riscv_flush_icache(2), which all have,
/// orders the stores before it, and has every thread of the process run a FENCE.I, those that run at once,
/// the others before they do.
#[cfg(target_arch = "riscv64")]
fn flush_icache(_: Refused) -> Result<(), Refused> {
    // asm/unistd.h; the range is not looked at, and no flag means all threads.
    const SYS_RISCV_FLUSH_ICACHE: libc::c_long = 259;
    // SAFETY: it takes numbers only.
    unsafe { system_call(SYS_RISCV_FLUSH_ICACHE, []) }.map(drop)
}

#[cfg(not(target_arch = "riscv64"))]
fn flush_icache(refused: Refused) -> Result<(), Refused> {
    Err(refused)
}

fn membarrier(command: libc::c_int) -> Result<(), Refused> {
    // SAFETY: membarrier(2) takes numbers only.
    unsafe { system_call(libc::SYS_membarrier, [command as usize]) }.map(drop)
}

/// The time of a clock that is read without a system call, but only ticks every few milliseconds.
pub(crate) fn milliseconds() -> Option<usize> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut result = 0;
    // SAFETY: clock_gettime(2) writes the time.
    keep_errno(|| result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) });
    (result == 0)
        .then(|| (time.tv_sec as usize).wrapping_mul(1000).wrapping_add(time.tv_nsec as usize / 1_000_000))
}

/// Makes each child begin with zeros on these pages, however it is made. Linux does that since 4.14; older
/// kernels, and some emulators, let children inherit them. Whether the kernel knows this.
pub(crate) fn wipe_on_fork<T>(page: &'static Page<T>) -> bool {
    let start = core::ptr::from_ref(page).expose_provenance();
    // SAFETY: madvise(2) takes the address and the length of whole pages of ours. What they hold here stays.
    let result = unsafe {
        system_call(libc::SYS_madvise, [start, size_of::<Page<T>>(), libc::MADV_WIPEONFORK as usize])
    };
    result.is_ok()
}

/// Has `before` called by fork(2) before it makes a child, and before it returns, `after` in the parent and
/// `in_child` in the child.
pub(crate) fn at_fork(before: extern "C" fn(), after: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: pthread_atfork(3) takes functions that live as long as this image; glibc and musl drop them
    // with the image. Without memory for one more entry it fails; then the first update in a child does the
    // same.
    unsafe { libc::pthread_atfork(Some(before), Some(after), Some(in_child)) };
}

/// Has `function` called when the process exits, before the images' destructors run.
pub(crate) fn at_exit(function: extern "C" fn()) {
    // SAFETY: atexit(3) takes a function that lives as long as this image. Without memory for one more
    // entry it fails, and then images unregister one by one, which is right as well.
    unsafe { libc::atexit(function) };
}

pub(crate) fn watch_the_end() {}

/// Whether other threads were ended wherever they were, maybe with the runtime's lock. Linux lets the last
/// one run the destructors while the others go on.
pub(crate) fn is_ending() -> bool {
    false
}

/// An environment variable. Meant for constructors, where nobody writes to the environment yet. None in a
/// process with more rights than the user who started it (set-user-ID, file capabilities): that user must
/// neither choose for it nor see its addresses.
pub(crate) fn environment(name: &CStr) -> Option<&'static CStr> {
    // Asking takes as long as looking for a variable, and loading an image looks for several.
    static IS_SECURE: AtomicU8 = AtomicU8::new(2);
    let mut is_secure = IS_SECURE.load(Ordering::Relaxed);
    if is_secure > 1 {
        // SAFETY: getauxval(3) takes a number.
        is_secure = u8::from(unsafe { libc::getauxval(libc::AT_SECURE) } != 0);
        IS_SECURE.store(is_secure, Ordering::Relaxed);
    }
    if is_secure != 0 {
        return None;
    }
    // SAFETY: getenv(3) gives null or a string of the environment, which lives on.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value))
    }
}

/// The ELF header of the image that an address lies in, or null where it is not in memory. Takes a lock of
/// the dynamic linker's.
pub(crate) fn image_header(address: usize) -> *const u8 {
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

/// An address in the first page of the program that was started, behind its ELF header; or 0 where the kernel
/// does not say.
pub(crate) fn program() -> usize {
    // SAFETY: getauxval(3) takes a number.
    unsafe { libc::getauxval(libc::AT_PHDR) as usize }
}

/// Calls `visit` with each note of each image that this one's dynamic linker knows. Takes a lock of the
/// dynamic linker's; nothing is unloaded meanwhile.
pub(crate) fn for_each_note<F: FnMut(&Note<'_>)>(mut visit: F) {
    unsafe extern "C" fn visit_image<F: FnMut(&Note<'_>)>(
        image: *mut libc::dl_phdr_info,
        _size: libc::size_t,
        visit: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: dl_iterate_phdr(3) hands over an image with its program headers, and our own argument.
        let (image, visit) = unsafe { (&*image, &mut *visit.cast::<F>()) };
        // SAFETY: as above.
        let headers = unsafe { core::slice::from_raw_parts(image.dlpi_phdr, image.dlpi_phnum.into()) };
        for header in headers.iter().filter(|header| header.p_type == libc::PT_NOTE) {
            let start = image.dlpi_addr.wrapping_add(header.p_vaddr) as usize;
            let is_loaded = headers.iter().any(|segment| {
                let offset = header.p_vaddr.wrapping_sub(segment.p_vaddr);
                segment.p_type == libc::PT_LOAD
                    && offset.checked_add(header.p_memsz).is_some_and(|end| end <= segment.p_memsz)
            });
            if is_loaded && start.is_multiple_of(align_of::<u32>()) {
                let start = core::ptr::with_exposed_provenance(start);
                // SAFETY: the segment of the notes lies in one that is loaded.
                let notes = unsafe { core::slice::from_raw_parts(start, header.p_memsz as usize) };
                format::for_each_note(notes, header.p_align as usize, &mut *visit);
            }
        }
        0
    }
    // SAFETY: dl_iterate_phdr(3) calls `visit_image` with `visit`, which outlives it.
    unsafe { libc::dl_iterate_phdr(Some(visit_image::<F>), (&raw mut visit).cast()) };
}

/// Writes a line to standard error.
pub(crate) fn print(line: &str) {
    // SAFETY: write(2) reads the line's bytes.
    let _ = unsafe {
        system_call(
            libc::SYS_write,
            [libc::STDERR_FILENO as usize, line.as_ptr().expose_provenance(), line.len()],
        )
    };
}
