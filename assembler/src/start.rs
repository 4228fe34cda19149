//! Where the program starts: before libc.
//!
//! Most files have no static calls. For these, this program costs what it takes to start it, and nearly all
//! of that is libc's start-up: page faults, and in virtual machines the traps of CPUID. So the kernel enters
//! a statically linked program here, and [`hand_over`] executes the assembler at once if that is all there
//! is to do. In every other case, also if it is not sure, libc starts and calls `main` as usual.
//!
//! `cargo xtask install` links the program like this. Built otherwise, it works the same, and starts later.
//!
//! # Safety
//!
//! libc has not started. So nothing here may call it, not even for a copy or a comparison of memory, which
//! in a static program goes through a pointer that libc's start-up writes: the crate is `no_builtins`, and
//! bytes are compared one by one. The kernel's stack has arguments and variables as C strings, which nobody
//! changes.

#![expect(unsafe_code, reason = "system calls, and the kernel's stack")]

use core::arch::{asm, naked_asm};
use core::mem::MaybeUninit;
use core::ptr::null;
use core::slice;

use crate::arguments::WITH_VALUE;
use crate::rewrite;
use crate::variables;

/// The program's entry.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn static_call_as_start() {
    naked_asm!(
        "mov rbx, rsp",
        "mov r12, rdx",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {}",
        "mov rsp, rbx",
        "mov rdx, r12",
        "xor ebp, ebp",
        "jmp _start",
        sym hand_over
    )
}

/// The program's entry.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn static_call_as_start() {
    naked_asm!("mov x19, sp", "mov x20, x0", "mov x0, sp", "bl {}", "mov x0, x20", "b _start", sym hand_over)
}

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const EXECVE: usize = 59;
    pub(super) const OPENAT: usize = 257;
    pub(super) const NEWFSTATAT: usize = 262;
    pub(super) const MMAP: usize = 9;
    pub(super) const CLOSE: usize = 3;
    /// Of `struct stat`'s mode, in units of 4 bytes.
    pub(super) const MODE: usize = 6;
}
#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const EXECVE: usize = 221;
    pub(super) const OPENAT: usize = 56;
    pub(super) const NEWFSTATAT: usize = 79;
    pub(super) const MMAP: usize = 222;
    pub(super) const CLOSE: usize = 57;
    /// Of `struct stat`'s mode, in units of 4 bytes.
    pub(super) const MODE: usize = 4;
}
const AT_FDCWD: usize = -100_isize as usize;
const AT_EMPTY_PATH: usize = 0x1000;
const O_CLOEXEC: usize = 0o200_0000;
const PROT_READ: usize = 1;
const MAP_PRIVATE: usize = 2;
const MAP_POPULATE: usize = 0x8000;

/// The result, or nothing for an error.
///
/// # Safety
///
/// The system call must be sound with these arguments.
unsafe fn system_call(number: usize, arguments: [usize; 6]) -> Option<usize> {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the caller's.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    // SAFETY: the caller's.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d,
            in("x4") e, in("x5") f, options(nostack));
    }
    usize::try_from(result).ok()
}

/// What is needed of a file's `struct stat`.
#[derive(Clone, Copy)]
struct Status {
    device: u64,
    inode: u64,
    mode: u32,
    size: u64,
}

impl Status {
    /// Of a path that ends with a zero.
    fn of(directory: usize, path: *const u8, flags: usize) -> Option<Self> {
        let mut stat = MaybeUninit::<[u64; 18]>::uninit();
        let arguments = [directory, path.addr(), stat.as_mut_ptr().addr(), flags, 0, 0];
        // SAFETY: `struct stat` has 144 bytes at most, and the kernel reports a path that is none.
        unsafe { system_call(number::NEWFSTATAT, arguments) }?;
        // SAFETY: the kernel has written what is read here.
        let stat = unsafe { stat.assume_init_ref() };
        let half = stat[number::MODE / 2] >> (32 * (number::MODE % 2));
        Some(Self { device: stat[0], inode: stat[1], mode: half as u32, size: stat[6] })
    }

    fn is_file(self) -> bool {
        self.mode & 0o17_0000 == 0o10_0000
    }
}

/// The strings of the kernel's list of pointers, which a null pointer ends.
#[derive(Clone, Copy)]
struct Strings(*const *const u8);

impl Iterator for Strings {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        // SAFETY: the list has not ended, or the iterator would not have gone on.
        let string = unsafe { *self.0 };
        if string.is_null() {
            return None;
        }
        // SAFETY: as before.
        self.0 = unsafe { self.0.add(1) };
        let mut length = 0;
        // SAFETY: the string has an end, and lives as long as the process.
        unsafe {
            while *string.add(length) != 0 {
                length += 1;
            }
            Some(slice::from_raw_parts(string, length))
        }
    }
}

fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.len() >= start.len() && is_equal(&text[..start.len()], start)
}

/// A variable's value; an empty one counts as unset.
fn variable(variables: Strings, name: &str) -> Option<&'static [u8]> {
    let mut variables = variables;
    let is_it = |text: &&[u8]| starts_with(text, name.as_bytes()) && text.get(name.len()) == Some(&b'=');
    let value = &variables.find(is_it)?[name.len() + 1..];
    (!value.is_empty()).then_some(value)
}

/// Executes the assembler if no input names a trampoline. Returns if that is not clear, with nothing changed.
///
/// # Safety
///
/// The stack is as the kernel has left it.
unsafe extern "C" fn hand_over(stack: *mut usize) {
    // SAFETY: it has the number of arguments, pointers to them, null, pointers to variables, and null.
    let (arguments, variables) = unsafe {
        let arguments = stack.add(1).cast::<*const u8>();
        (arguments, arguments.add(*stack + 1).cast_const())
    };
    if nothing_to_mark(Strings(arguments)).is_none() {
        return;
    }
    let mut path = Buffer::new();
    if find(Strings(variables), &mut path).is_none() {
        return;
    }
    let mut told = [const { MaybeUninit::<*const u8>::uninit() }; 1024];
    let mut count = 0;
    let running = concat!("STATIC_CALL_AS_RUNNING=", "1\0");
    for variable in Strings(variables) {
        // It is unset or empty.
        if !starts_with(variable, &running.as_bytes()[..running.len() - 2]) {
            let Some(place) = told[..1022].get_mut(count) else { return };
            place.write(variable.as_ptr());
            count += 1;
        }
    }
    told[count].write(running.as_ptr());
    told[count + 1].write(null());
    // SAFETY: the lists end with null pointers, and the strings end. The first argument is there, or there
    // would have been no input; and it is put back.
    unsafe {
        let first = *arguments;
        *arguments = path.start();
        let list = [path.start().addr(), arguments.addr(), told.as_ptr().addr(), 0, 0, 0];
        let _ = system_call(number::EXECVE, list);
        *arguments = first;
    }
}

/// Some if all inputs are files without trampolines.
fn nothing_to_mark(arguments: Strings) -> Option<()> {
    let mut is_value = false;
    let mut inputs = 0;
    for argument in arguments.skip(1) {
        let is_option = starts_with(argument, b"-");
        if !is_value && !is_option {
            if starts_with(argument, b"@") {
                return None;
            }
            inputs += 1;
            has_no_trampoline(argument)?;
        }
        if !is_value && is_equal(argument, b"-") {
            return None;
        }
        is_value = !is_value && WITH_VALUE.iter().any(|option| is_equal(argument, option.as_bytes()));
    }
    (inputs > 0).then_some(())
}

/// Some if a file names no trampoline.
fn has_no_trampoline(path: &'static [u8]) -> Option<()> {
    // What a pipe has is lost if this program opens it first.
    Status::of(AT_FDCWD, path.as_ptr(), 0).filter(|status| status.is_file())?;
    let open = [AT_FDCWD, path.as_ptr().addr(), O_CLOEXEC, 0, 0, 0];
    // SAFETY: arguments end with a zero.
    let file = unsafe { system_call(number::OPENAT, open) }?;
    let status = Status::of(file, c"".as_ptr().cast(), AT_EMPTY_PATH)?;
    let size = usize::try_from(status.size).ok().filter(|_| status.is_file())?;
    let mut has_one = false;
    if size > 0 {
        let map = [0, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0];
        // SAFETY: a new mapping is at nobody's place.
        let text = unsafe { system_call(number::MMAP, map) }?;
        // SAFETY: these pages are mapped, and stay it. The compiler that has written the file waits for us.
        let text = unsafe { slice::from_raw_parts(core::ptr::with_exposed_provenance(text), size) };
        has_one = rewrite::names_trampoline(text);
    }
    // SAFETY: nobody else knows it.
    let _ = unsafe { system_call(number::CLOSE, [file, 0, 0, 0, 0, 0]) };
    (!has_one).then_some(())
}

/// A path, with the zero that ends it. (Nothing is written before it is used: that might call `memset`.)
struct Buffer {
    bytes: [MaybeUninit<u8>; 1024],
    length: usize,
    /// A path did not fit, so nobody knows whether it has the assembler.
    was_too_short: bool,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: [const { MaybeUninit::uninit() }; 1024], length: 0, was_too_short: false }
    }

    fn start(&self) -> *const u8 {
        self.bytes.as_ptr().cast()
    }

    fn add(&mut self, text: &[u8]) -> Option<()> {
        for &byte in text {
            let Some(place) = self.bytes[..1023].get_mut(self.length) else {
                self.was_too_short = true;
                return None;
            };
            place.write(byte);
            self.length += 1;
        }
        self.bytes[self.length].write(0);
        Some(())
    }

    /// Some if `as` in this directory, or with this prefix, is an assembler and not this program.
    fn set(&mut self, directory: &[u8], is_directory: bool, own: Status) -> Option<()> {
        self.length = 0;
        self.add(directory)?;
        if is_directory && !directory.is_empty() && directory.last() != Some(&b'/') {
            self.add(b"/")?;
        }
        self.add(b"as")?;
        let found = Status::of(AT_FDCWD, self.start(), 0)?;
        let is_own = (found.device, found.inode) == (own.device, own.inode);
        (found.is_file() && found.mode & 0o111 != 0 && !is_own).then_some(())
    }
}

/// Finds the assembler where `real::find` would, if gcc for this machine has started this program.
fn find(variables: Strings, path: &mut Buffer) -> Option<()> {
    let get = |name| variable(variables, name);
    if get(variables::ASSEMBLER).is_some() || get(variables::RUNNING).is_some() {
        return None;
    }
    let compiler = get(variables::COLLECT_GCC)?;
    let name = compiler.rsplit(|&byte| byte == b'/').next()?;
    // A target may be in the name of a cross compiler; a version is not one.
    let mut parts = name.split(|&byte| byte == b'-').skip(1);
    if parts.any(|part| !part.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.')) {
        return None;
    }
    let own = Status::of(AT_FDCWD, c"/proc/self/exe".as_ptr().cast(), 0)?;
    let options = get(variables::COLLECT_GCC_OPTIONS).unwrap_or_default();
    for_each_prefix(options, |_| false)?;
    let mut is_found = false;
    for_each_prefix(options, |prefix| {
        is_found = is_found || path.set(prefix, true, own).is_some();
        is_found
    })?;
    let in_list = |list: &'static [u8], path: &mut Buffer| {
        list.split(|&byte| byte == b':').any(|directory| path.set(directory, true, own).is_some())
    };
    let told = get(variables::COMPILER_PATH).filter(|_| !is_found);
    is_found = is_found || told.is_some_and(|told| in_list(told, path));
    if !is_found {
        for_each_prefix(options, |prefix| {
            is_found = is_found || path.set(prefix, false, own).is_some();
            is_found
        })?;
    }
    is_found = is_found || get(variables::PATH).is_some_and(|list| in_list(list, path));
    (is_found && !path.was_too_short).then_some(())
}

/// Calls `visit` with each value of `-B`, until it is true. None if the text is not like `'-O2' '-B' '/a'`.
fn for_each_prefix(options: &'static [u8], mut visit: impl FnMut(&'static [u8]) -> bool) -> Option<()> {
    let mut rest = options;
    let mut is_value = false;
    while let Some((&first, after)) = rest.split_first() {
        if first == b' ' {
            rest = after;
            continue;
        }
        let length = after.iter().position(|&byte| byte == b'\'').filter(|_| first == b'\'')?;
        let word = &after[..length];
        rest = &after[length + 1..];
        if rest.first().is_some_and(|&byte| byte != b' ') {
            return None;
        }
        let value = match starts_with(word, b"-B") && word.len() > 2 {
            _ if is_value => Some(word),
            true => Some(&word[2..]),
            false => None,
        };
        if value.is_some_and(&mut visit) {
            return Some(());
        }
        is_value = !is_value && is_equal(word, b"-B");
    }
    Some(())
}
