//! Windows, through kernel32.dll alone: no C runtime.
//!
//! # The loader's lock
//!
//! Images register and unregister while their thread holds the loader's lock, and then wait for the
//! runtime's. So nothing that runs under the runtime's lock may take the loader's. The functions that do say
//! so, and are called before.
//!
//! # Safety
//!
//! Functions of kernel32.dll with arguments of their documented types; what else each relies on is said
//! there.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

mod kernel;
mod memory;

use kernel::{
    AcquireSRWLockExclusive, FlushInstructionCache, FlushProcessWriteBuffers, FreeLibrary, GetCurrentProcess,
    GetCurrentProcessId, GetCurrentThreadId, GetEnvironmentStrings, GetModuleHandleA, GetModuleHandleExA,
    GetStdHandle, GetTickCount64, K32EnumProcessModules, ReleaseSRWLockExclusive, SleepConditionVariableSRW,
    SwitchToThread, WakeAllConditionVariable, Word, WriteFile, function, keep_error,
};
pub(crate) use memory::{are_mapped, map_memory, page_size, populate, rights, set_access};

use super::reply::Refused;
use crate::format::{self, Note};
use crate::page::Page;

pub(crate) const PATCHES: bool = true;
pub(crate) const THREADS_HAVE_NAMES: bool = true;
/// No process begins with a copy of another one's memory.
pub(crate) const FORKS: bool = false;
/// Until ExitProcess has ended all other threads, one of them may still unload images.
pub(crate) const EXIT_KEEPS_IMAGES: bool = false;

/// This thread's name: even, not zero, and unique in the process while the thread lives.
pub(crate) fn thread() -> usize {
    // Windows never gives out zero.
    (GetCurrentThreadId() as usize) << 1
}

/// Only a fork makes one thread continue as another process's first.
pub(crate) fn is_first_thread() -> bool {
    false
}

/// This process's number.
pub(crate) fn process() -> usize {
    GetCurrentProcessId() as usize
}

/// Nothing interrupts a thread to run a handler on its stack, but for exceptions, which are its own.
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

/// Those who sleep, and the lock that keeps a wake-up from coming before the sleep. (WaitOnAddress would need
/// neither, but programs would have to be linked with a library of its own.)
static SLEEPERS: Word = Word::new();
static QUEUE: Word = Word::new();

/// Sleeps until [`wake`], unless the word has changed. May return early.
pub(crate) fn wait(word: &core::sync::atomic::AtomicUsize, while_it_is: usize) {
    const FOREVER: u32 = u32::MAX;
    keep_error(|| {
        AcquireSRWLockExclusive(&QUEUE);
        // SAFETY: this thread holds the lock, which the function gives back while it sleeps.
        unsafe {
            if word.load(Ordering::Relaxed) == while_it_is {
                SleepConditionVariableSRW(&SLEEPERS, &QUEUE, FOREVER, 0);
            }
            ReleaseSRWLockExclusive(&QUEUE);
        }
    });
}

/// Wakes the threads that sleep in [`wait`], and yields to them. Otherwise a thread that updates all the time
/// would take the lock again before anybody else could run.
pub(crate) fn wake(_word: &AtomicUsize) {
    keep_error(|| {
        // Whoever has seen the word as it was sleeps by now.
        AcquireSRWLockExclusive(&QUEUE);
        // SAFETY: this thread holds the lock.
        unsafe { ReleaseSRWLockExclusive(&QUEUE) };
        WakeAllConditionVariable(&SLEEPERS);
        SwitchToThread();
    });
}

pub(crate) fn wipe_on_fork<T>(_page: &'static Page<T>) -> bool {
    false
}

pub(crate) fn prepare_to_serialize() -> Result<(), Refused> {
    Ok(())
}

/// Whether [`prepare_to_serialize`] would succeed, without doing it.
pub(crate) fn can_serialize() -> bool {
    true
}

/// Nothing says so without a list of all threads of the system.
pub(crate) fn is_single_threaded() -> bool {
    false
}

/// Returns when every running thread of the process has executed a core-serializing instruction since the
/// call.
///
/// `FlushInstructionCache` is what Windows asks of code that changes code. `FlushProcessWriteBuffers`
/// interrupts each processor that runs a thread of this process (its documentation: "The function generates
/// an interprocessor interrupt (IPI) to all processors that are part of the current process affinity"); the
/// return from an interrupt serializes (Intel SDM, volume 3, "Serializing Instructions"; AMD64 APM, volume 2,
/// "Serializing Instructions"; Arm ARM, "Context synchronization event": an exception return). A thread that
/// does not run at the time starts by a return from the kernel.
pub(crate) fn serialize_all_threads() -> Result<(), Refused> {
    keep_error(|| {
        // SAFETY: of the whole process.
        unsafe { FlushInstructionCache(GetCurrentProcess(), core::ptr::null(), 0) };
        FlushProcessWriteBuffers();
    });
    Ok(())
}

/// The time of a clock that is read without a system call, but only ticks every few milliseconds.
pub(crate) fn milliseconds() -> Option<usize> {
    Some(GetTickCount64() as usize)
}

/// What the runtime does at the exit is for breakpoints, and there are none here. A C runtime would call the
/// function when the DLL with this code is unloaded, too late for an EXE's report.
pub(crate) fn at_exit(_function: extern "C" fn()) {}

/// `RtlDllShutdownInProgress`, once it was looked for.
static IS_ENDING: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// Finds what [`is_ending`] asks. Takes the loader's lock.
pub(crate) fn watch_the_end() {
    if IS_ENDING.load(Ordering::Relaxed).is_null() {
        let found = keep_error(|| function(c"ntdll.dll", c"RtlDllShutdownInProgress"));
        IS_ENDING.store(found.cast_mut(), Ordering::Relaxed);
    }
}

/// Whether the process ends, and this is its last thread. The others were ended wherever they were: one may
/// have held the runtime's lock.
pub(crate) fn is_ending() -> bool {
    let found = IS_ENDING.load(Ordering::Relaxed);
    if found.is_null() {
        return false;
    }
    // SAFETY: the function of ntdll.dll, `BOOLEAN RtlDllShutdownInProgress(void)`.
    let is_ending: extern "system" fn() -> u8 = unsafe { core::mem::transmute(found) };
    is_ending() != 0
}

/// An environment variable. Windows has no programs with more rights than the user who started them.
pub(crate) fn environment(name: &CStr) -> Option<&'static CStr> {
    /// A copy of the environment as it was at the first question. It is never given back: those who ask keep
    /// what they get.
    static STRINGS: AtomicPtr<core::ffi::c_char> = AtomicPtr::new(core::ptr::null_mut());
    let mut strings = STRINGS.load(Ordering::Acquire).cast_const();
    if strings.is_null() {
        strings = GetEnvironmentStrings();
        STRINGS.store(strings.cast_mut(), Ordering::Release);
    }
    if strings.is_null() {
        return None;
    }
    loop {
        // SAFETY: strings that end in NUL each, and an empty one behind the last.
        let variable = unsafe { CStr::from_ptr(strings) };
        let bytes = variable.to_bytes_with_nul();
        let (start, len) = (bytes.as_ptr(), bytes.len());
        if len == 1 {
            return None;
        }
        let value = name.to_bytes().len() + 1;
        // Windows' names of variables have no case.
        let is_it =
            bytes.get(value - 1) == Some(&b'=') && bytes[..value - 1].eq_ignore_ascii_case(name.to_bytes());
        if is_it {
            // SAFETY: behind the equals sign, still in the string.
            return Some(unsafe { CStr::from_ptr(start.add(value).cast()) });
        }
        // SAFETY: as above.
        strings = unsafe { start.add(len).cast() };
    }
}

/// The header of the image that an address lies in, or null. Takes no lock.
pub(crate) fn image_header(address: usize) -> *const u8 {
    const MEM_IMAGE: u32 = 0x100_0000;
    let found = memory::query(address).filter(|information| information.kind == MEM_IMAGE);
    // An image is one allocation, which begins with its header.
    found.map_or(core::ptr::null(), |information| information.allocation.cast_const().cast())
}

/// The header of the program that was started. Takes no lock: the handle of no name stands in the process's
/// own description (its PEB).
pub(crate) fn program() -> usize {
    // SAFETY: null is the program.
    keep_error(|| unsafe { GetModuleHandleA(core::ptr::null()) }).addr()
}

/// Calls `visit` with each note of ours in each image of the process. Takes the loader's lock.
pub(crate) fn for_each_note<F: FnMut(&Note<'_>)>(mut visit: F) {
    /// The section of the notes. (Names of sections have eight bytes.)
    const SECTION: &[u8; 8] = b".scnote\0";
    for_each_module(|module| {
        // SAFETY: the header of an image that stays loaded until this returns. Nobody writes to notes.
        if let Some(notes) = unsafe { format::native::section(module.cast(), SECTION) } {
            format::for_each_note(notes, align_of::<u32>(), &mut visit);
        }
    });
}

/// Calls `visit` with each image of the process, which stays loaded meanwhile. Takes the loader's lock.
fn for_each_module(mut visit: impl FnMut(*const c_void)) {
    const GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS: u32 = 4;
    // Room for 8192 of them; Windows says how many there are, not only how many have fit.
    const ROOM: usize = 1 << 16;
    let Ok(memory) = map_memory(ROOM) else { return };
    let modules: *mut *mut c_void = memory.cast();
    let mut needed = 0;
    // SAFETY: room for as many bytes.
    let is_known = keep_error(|| unsafe {
        K32EnumProcessModules(GetCurrentProcess(), modules, ROOM as u32, &raw mut needed)
    });
    let count = if is_known == 0 { 0 } else { (needed as usize).min(ROOM) / size_of::<*mut c_void>() };
    for index in 0..count {
        // SAFETY: one of those that were written.
        let module = unsafe { *modules.add(index) };
        let mut held = core::ptr::null_mut();
        keep_error(|| {
            // It may have been unloaded since; if not, it has one more reference while it is visited.
            // SAFETY: takes any address, and writes a handle.
            let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
            if unsafe { GetModuleHandleExA(flags, module, &raw mut held) } != 0 {
                visit(held);
                // SAFETY: gives back the reference.
                unsafe { FreeLibrary(held) };
            }
        });
    }
    // SAFETY: from `map_memory`, and nobody uses it any more.
    unsafe { memory::unmap_memory(memory.cast()) };
}

pub(crate) fn print(line: &str) {
    const STD_ERROR_HANDLE: u32 = (-12_i32).cast_unsigned();
    keep_error(|| {
        let mut written = 0;
        let overlapped = core::ptr::null_mut();
        // SAFETY: reads the line's bytes.
        unsafe {
            let file = GetStdHandle(STD_ERROR_HANDLE);
            WriteFile(file, line.as_ptr(), line.len() as u32, &raw mut written, overlapped);
        }
    });
}
