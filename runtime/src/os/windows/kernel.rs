//! The functions of kernel32.dll that the runtime calls, which every program for Windows is linked with.

use core::ffi::{CStr, c_char, c_void};

/// `MEMORY_BASIC_INFORMATION`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryInformation {
    pub(super) base: *mut c_void,
    pub(super) allocation: *mut c_void,
    pub(super) allocation_protection: u32,
    /// Beside it is a partition's number, where pointers have 64 bits.
    pub(super) len: usize,
    pub(super) state: u32,
    pub(super) protection: u32,
    pub(super) kind: u32,
}

/// `SRWLOCK` and `CONDITION_VARIABLE`, both a pointer that is null at first.
#[repr(transparent)]
#[derive(Debug)]
pub(super) struct Word(pub(super) core::cell::UnsafeCell<*mut c_void>);

// SAFETY: only the functions below look into it, from any thread.
unsafe impl Sync for Word {}

impl Word {
    pub(super) const fn new() -> Self {
        Self(core::cell::UnsafeCell::new(core::ptr::null_mut()))
    }
}

#[link(name = "kernel32")]
unsafe extern "system" {
    pub(super) safe fn GetCurrentThreadId() -> u32;
    pub(super) safe fn GetCurrentProcessId() -> u32;
    pub(super) safe fn GetCurrentProcess() -> *mut c_void;
    pub(super) safe fn GetLastError() -> u32;
    pub(super) safe fn SetLastError(error: u32);
    pub(super) safe fn GetTickCount64() -> u64;
    pub(super) safe fn SwitchToThread() -> i32;

    pub(super) safe fn AcquireSRWLockExclusive(lock: &Word);
    pub(super) fn ReleaseSRWLockExclusive(lock: &Word);
    pub(super) fn SleepConditionVariableSRW(
        condition: &Word,
        lock: &Word,
        milliseconds: u32,
        flags: u32,
    ) -> i32;
    pub(super) safe fn WakeAllConditionVariable(condition: &Word);

    pub(super) fn VirtualAlloc(at: *mut c_void, len: usize, kind: u32, protection: u32) -> *mut c_void;
    pub(super) fn VirtualFree(start: *mut c_void, len: usize, kind: u32) -> i32;
    pub(super) fn VirtualProtect(start: *mut c_void, len: usize, protection: u32, old: *mut u32) -> i32;
    pub(super) fn VirtualQuery(at: *const c_void, to: *mut MemoryInformation, len: usize) -> usize;
    pub(super) fn FlushInstructionCache(process: *mut c_void, start: *const c_void, len: usize) -> i32;
    pub(super) safe fn FlushProcessWriteBuffers();

    pub(super) fn GetModuleHandleA(name: *const c_char) -> *mut c_void;
    pub(super) fn GetModuleHandleExA(flags: u32, name: *const c_void, module: *mut *mut c_void) -> i32;
    pub(super) fn FreeLibrary(module: *mut c_void) -> i32;
    pub(super) fn GetProcAddress(module: *mut c_void, name: *const c_char) -> *const c_void;
    pub(super) fn K32EnumProcessModules(
        process: *mut c_void,
        modules: *mut *mut c_void,
        len: u32,
        needed: *mut u32,
    ) -> i32;

    pub(super) safe fn GetEnvironmentStrings() -> *const c_char;
    pub(super) safe fn GetStdHandle(which: u32) -> *mut c_void;
    pub(super) fn WriteFile(
        file: *mut c_void,
        bytes: *const u8,
        len: u32,
        written: *mut u32,
        overlapped: *mut c_void,
    ) -> i32;
}

/// A function of a DLL that is always loaded. Takes the loader's lock.
pub(super) fn function(module: &CStr, name: &CStr) -> *const c_void {
    // SAFETY: two names; kernel32.dll and ntdll.dll are in every process to its end.
    unsafe {
        let module = GetModuleHandleA(module.as_ptr());
        if module.is_null() { core::ptr::null() } else { GetProcAddress(module, name.as_ptr()) }
    }
}

/// Leaves the thread's last error as it was: an update may run inside one of the user's functions.
pub(super) fn keep_error<T>(call: impl FnOnce() -> T) -> T {
    let before = GetLastError();
    let result = call();
    SetLastError(before);
    result
}
