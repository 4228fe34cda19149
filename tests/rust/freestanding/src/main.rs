//! A program without std and libc that has its own writer, as a kernel does, but in a process.
//!
//! It is built alone (`cargo build -p freestanding`), so that no other crate enables the runtime's features,
//! and linked with `-nostartfiles -nostdlib -static`.

#![no_std]
#![no_main]

use core::arch::{asm, naked_asm};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicUsize, Ordering};

use static_call::{Batch, CodeWriter, ErrorKind, Mode, StaticCall, Writer};

static_call::define! {
    static SCALE: fn(u64) -> u64 = once;
    static SHIFT: fn(u64) -> u64 = once;
    static HOOK: Option<fn(&mut u64)> = None;
}

fn once(value: u64) -> u64 {
    value + 1
}

fn twice(value: u64) -> u64 {
    2 * value
}

fn mark(value: &mut u64) {
    *value += 1000;
}

#[inline(never)]
fn tail(value: u64) -> u64 {
    SHIFT.call(value)
}

fn all(value: u64) -> u64 {
    let mut sum = SCALE.call(value) * 100 + tail(value);
    HOOK.call(&mut sum);
    sum
}

/// Precompiled atomics ask it for the processor's features; the answer is that there are none.
#[cfg(target_arch = "aarch64")]
#[unsafe(no_mangle)]
extern "C" fn getauxval(_kind: usize) -> usize {
    0
}

/// System calls; a kernel would not need them.
struct Pages;

static OPENED: AtomicUsize = AtomicUsize::new(0);
static CLOSED: AtomicUsize = AtomicUsize::new(0);
static SERIALIZED: AtomicUsize = AtomicUsize::new(0);
/// If set, the next system call is refused.
static REFUSE_OPEN: AtomicUsize = AtomicUsize::new(0);
static REFUSE_SERIALIZE: AtomicUsize = AtomicUsize::new(0);

impl Pages {
    fn set_access(start: *mut u8, len: usize, access: usize) -> Result<(), i32> {
        let first = start.addr() & !4095;
        let end = (start.addr() + len).next_multiple_of(4096);
        // SAFETY: whole pages of the program's code, which stay readable and executable.
        match unsafe { system_call(number::MPROTECT, first, end - first, access) } {
            0 => Ok(()),
            error => Err(-error as i32),
        }
    }
}

// SAFETY: mprotect(2) makes the pages writable, and membarrier(2) serializes all threads.
unsafe impl CodeWriter for Pages {
    fn open(&self, start: *mut u8, len: usize) -> Result<(), i32> {
        if REFUSE_OPEN.swap(0, Ordering::Relaxed) != 0 {
            return Err(77);
        }
        OPENED.fetch_add(1, Ordering::Relaxed);
        Self::set_access(start, len, 7)
    }

    fn close(&self, start: *mut u8, len: usize) {
        CLOSED.fetch_add(1, Ordering::Relaxed);
        let _ = Self::set_access(start, len, 5);
    }

    fn serialize(&self) -> Result<(), i32> {
        if REFUSE_SERIALIZE.swap(0, Ordering::Relaxed) != 0 {
            return Err(78);
        }
        SERIALIZED.fetch_add(1, Ordering::Relaxed);
        // Register, then serialize.
        for command in [1 << 6, 1 << 5] {
            // SAFETY: only takes numbers.
            let result = unsafe { system_call(number::MEMBARRIER, command, 0, 0) };
            if result != 0 {
                return Err(-result as i32);
            }
        }
        Ok(())
    }
}

static WRITER: &dyn CodeWriter = &Pages;

fn check() {
    // Registered by its constructor, but there is no writer yet.
    let info = static_call::process_info();
    assert!(info.images == 1 && info.sites > 0 && info.direct == 0);
    assert!(static_call::mode() == Mode::Generic && static_call::writer() == Writer::None);
    assert!(static_call::mode_reason().contains("set_writer"));
    assert!(all(10) == 1111);
    // Without direct calls, an update only stores the key.
    SCALE.update(twice).unwrap();
    assert!(all(10) == 2011);

    static_call::set_writer(WRITER).unwrap();
    assert!(static_call::mode() == Mode::Inline && static_call::writer() == Writer::Custom);
    let info = static_call::process_info();
    assert!(info.direct == info.sites, "{info:?}");
    assert!(all(10) == 2011);

    let count = || [&OPENED, &CLOSED, &SERIALIZED].map(|counter| counter.load(Ordering::Relaxed));
    let before = count();
    HOOK.update(Some(mark)).unwrap();
    assert!(all(10) == 3011);
    assert!(count() == before.map(|number| number + 1));
    Batch::new([SCALE.change(once), SHIFT.change(twice), HOOK.change(None)]).commit().unwrap();
    assert!(all(10) == 1120);

    REFUSE_OPEN.store(1, Ordering::Relaxed);
    let error = SCALE.update(twice).unwrap_err();
    assert!(error.kind() == ErrorKind::NotWritable && error.raw_os_error() == Some(77));
    REFUSE_SERIALIZE.store(1, Ordering::Relaxed);
    let error = SCALE.update(twice).unwrap_err();
    assert!(error.kind() == ErrorKind::NotWritable && error.raw_os_error() == Some(78));
    assert!(all(10) == 1120 && SCALE.target() as usize == once as *const () as usize);
    SCALE.update(twice).unwrap();
    assert!(all(10) == 2020);
    let [opened, closed, _] = count();
    // The refused window was closed too.
    assert!(closed == opened + 1);
    let _ = writeln!(Output, "sites {} direct {} ok", info.sites, info.direct);
}

unsafe extern "C" {
    static __init_array_start: [unsafe extern "C" fn(); 0];
    static __init_array_end: [unsafe extern "C" fn(); 0];
}

unsafe extern "C" fn main() -> ! {
    // SAFETY: the linker's table of constructors, each to be called once.
    unsafe {
        let mut next = (&raw const __init_array_start).cast::<unsafe extern "C" fn()>();
        while next < (&raw const __init_array_end).cast() {
            (*next)();
            next = next.add(1);
        }
    }
    check();
    exit(0)
}

/// Aligns the stack as a call would find it.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn _start() -> ! {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("and rsp, -16", "call {main}", "ud2", main = sym main);
    #[cfg(target_arch = "x86")]
    naked_asm!("and esp, -16", "call {main}", "ud2", main = sym main);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x29, xzr", "mov x30, xzr", "b {main}", main = sym main);
    #[cfg(target_arch = "arm")]
    naked_asm!("mov fp, #0", "mov lr, #0", "b {main}", main = sym main);
    // Linkers may address data from there.
    #[cfg(target_arch = "riscv64")]
    naked_asm!(
        ".option push",
        ".option norelax",
        "lla gp, __global_pointer$",
        ".option pop",
        "li ra, 0",
        "tail {main}",
        main = sym main,
    );
    // Space for the registers that main saves.
    #[cfg(target_arch = "s390x")]
    naked_asm!("aghi %r15, -160", "jg {main}", main = sym main);
    #[cfg(target_arch = "loongarch64")]
    naked_asm!("move $fp, $zero", "move $ra, $zero", "b {main}", main = sym main);
    // Its own address is in r12; main's caller has a frame, and the same TOC.
    #[cfg(target_arch = "powerpc64")]
    naked_asm!(
        "2: addis 2, 12, .TOC.-2b@ha",
        "addi 2, 2, .TOC.-2b@l",
        "li 0, 0",
        "stdu 0, -32(1)",
        "bl {main}",
        main = sym main,
    );
}

struct Output;

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: write(2) reads the text.
        unsafe { system_call(number::WRITE, 1, text.as_ptr().addr(), text.len()) };
        Ok(())
    }
}

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const WRITE: usize = 1;
    pub(super) const MPROTECT: usize = 10;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const MEMBARRIER: usize = 324;
}

#[cfg(target_arch = "arm")]
mod number {
    pub(super) const WRITE: usize = 4;
    pub(super) const MPROTECT: usize = 125;
    pub(super) const EXIT_GROUP: usize = 248;
    pub(super) const MEMBARRIER: usize = 389;
}

#[cfg(target_arch = "s390x")]
mod number {
    pub(super) const WRITE: usize = 4;
    pub(super) const MPROTECT: usize = 125;
    pub(super) const EXIT_GROUP: usize = 248;
    pub(super) const MEMBARRIER: usize = 356;
}

#[cfg(target_arch = "x86")]
mod number {
    pub(super) const WRITE: usize = 4;
    pub(super) const MPROTECT: usize = 125;
    pub(super) const EXIT_GROUP: usize = 252;
    pub(super) const MEMBARRIER: usize = 375;
}

#[cfg(target_arch = "powerpc64")]
mod number {
    pub(super) const WRITE: usize = 4;
    pub(super) const MPROTECT: usize = 125;
    pub(super) const EXIT_GROUP: usize = 234;
    pub(super) const MEMBARRIER: usize = 365;
}

/// The numbers that Linux's newer architectures share.
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "x86",
    target_arch = "arm",
    target_arch = "s390x",
    target_arch = "powerpc64"
)))]
mod number {
    pub(super) const WRITE: usize = 64;
    pub(super) const EXIT_GROUP: usize = 94;
    pub(super) const MPROTECT: usize = 226;
    pub(super) const MEMBARRIER: usize = 283;
}

/// # Safety
///
/// See the system call.
unsafe fn system_call(number: usize, a: usize, b: usize, c: usize) -> isize {
    let result;
    // SAFETY: the caller's promise; the kernel changes rax, rcx and r11.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c,
            out("rcx") _, out("r11") _);
    }
    // SAFETY: the caller's promise; the kernel changes eax.
    #[cfg(target_arch = "x86")]
    unsafe {
        asm!("int 0x80", inout("eax") number => result, in("ebx") a, in("ecx") b, in("edx") c);
    }
    // SAFETY: the caller's promise; the kernel changes x0.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc #0", in("x8") number, inout("x0") a => result, in("x1") b, in("x2") c);
    }
    // SAFETY: the caller's promise; the kernel changes a0.
    #[cfg(target_arch = "riscv64")]
    unsafe {
        asm!("ecall", in("a7") number, inout("a0") a => result, in("a1") b, in("a2") c);
    }
    // SAFETY: the caller's promise; the kernel changes r0.
    #[cfg(target_arch = "arm")]
    unsafe {
        asm!("svc #0", in("r7") number, inout("r0") a => result, in("r1") b, in("r2") c);
    }
    // SAFETY: the caller's promise; the kernel changes r2.
    #[cfg(target_arch = "s390x")]
    unsafe {
        asm!("svc 0", in("r1") number, inout("r2") a => result, in("r3") b, in("r4") c);
    }
    // SAFETY: the caller's promise; the kernel changes $a0 and $t0 to $t8.
    #[cfg(target_arch = "loongarch64")]
    unsafe {
        asm!("syscall 0", in("$a7") number, inout("$a0") a => result, in("$a1") b, in("$a2") c,
            out("$t0") _, out("$t1") _, out("$t2") _, out("$t3") _, out("$t4") _, out("$t5") _, out("$t6") _,
            out("$t7") _, out("$t8") _);
    }
    // SAFETY: the caller's promise; the kernel changes the registers that functions may change, and CR0 says
    // whether r3 is an error.
    #[cfg(target_arch = "powerpc64")]
    unsafe {
        asm!("sc", "bns+ 2f", "neg 3, 3", "2:",
            in("r0") number, inout("r3") a => result, in("r4") b, in("r5") c, clobber_abi("C"));
    }
    result
}

fn exit(code: usize) -> ! {
    // SAFETY: exit_group(2) does not return.
    unsafe { system_call(number::EXIT_GROUP, code, 0, 0) };
    loop {}
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Output, "{info}");
    exit(1)
}

/// Functions that rustc expects from the C library or a kernel.
mod expected {
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        // SAFETY: the caller's promise. Not a loop in Rust, which would become a call of this function.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            core::arch::asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") len => _)
        };
        #[cfg(not(target_arch = "x86_64"))]
        for index in 0..len {
            // SAFETY: the caller's promise.
            unsafe { to.add(index).write_volatile(from.add(index).read_volatile()) };
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            core::arch::asm!("rep stosb", inout("rdi") to => _, in("al") byte as u8, inout("rcx") len => _)
        };
        #[cfg(not(target_arch = "x86_64"))]
        for index in 0..len {
            // SAFETY: the caller's promise.
            unsafe { to.add(index).write_volatile(byte as u8) };
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { memcmp(a, b, len) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        for index in 0..len {
            // SAFETY: the caller's promise.
            let (a, b) = unsafe { (a.add(index).read_volatile(), b.add(index).read_volatile()) };
            if a != b {
                return i32::from(a) - i32::from(b);
            }
        }
        0
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn strlen(text: *const u8) -> usize {
        let mut len = 0;
        // SAFETY: the caller's promise.
        while unsafe { text.add(len).read_volatile() } != 0 {
            len += 1;
        }
        len
    }

    /// Never called: panics abort.
    #[unsafe(no_mangle)]
    extern "C" fn rust_eh_personality() {}

    /// Never called, but Arm's unwind tables name them.
    #[cfg(target_arch = "arm")]
    mod unwinder {
        #[unsafe(no_mangle)]
        extern "C" fn __aeabi_unwind_cpp_pr0() {}
        #[unsafe(no_mangle)]
        extern "C" fn __aeabi_unwind_cpp_pr1() {}
    }
}
