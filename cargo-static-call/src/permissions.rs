//! Tests in this process whether the kernel permits what the runtime needs.
//!
//! # Safety
//!
//! Memory is only changed in a mapping that this module creates and nothing else uses.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// What the kernel permits this process.
#[derive(Debug)]
pub struct Permissions {
    /// Making all threads execute changed code: `membarrier(SYNC_CORE)`.
    pub membarrier: io::Result<()>,
    /// Making code writable, which the window writer needs.
    pub window: io::Result<()>,
    /// Executing memory that is mapped a second time to be written, which the alias writer needs.
    pub alias: io::Result<()>,
    /// Writing code through `/proc/self/mem`, which the breakpoint writer can use.
    pub memory_file: io::Result<()>,
    /// Whether `PR_SET_MDWE` is on.
    pub denies_write_execute: bool,
    /// Whether a seccomp filter is on.
    pub has_seccomp: bool,
}

impl Permissions {
    /// Tests each permission.
    #[must_use]
    pub fn of_this_process() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp:")).map(str::trim);
        // SAFETY: this operation only returns a number.
        let mdwe = unsafe { libc::prctl(libc::PR_GET_MDWE, 0, 0, 0, 0) };
        Self {
            membarrier: membarrier(),
            window: Code::map().and_then(|code| code.make_writable()),
            alias: alias(),
            memory_file: Code::map().and_then(|code| code.write_through_file()),
            denies_write_execute: mdwe > 0,
            has_seccomp: !matches!(seccomp, None | Some("0")),
        }
    }
}

fn membarrier() -> io::Result<()> {
    // The command with which the runtime registers before it patches anything.
    const REGISTER_SYNC_CORE: libc::c_int = 1 << 6;
    // SAFETY: the command takes no pointer.
    checked(unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_SYNC_CORE, 0, 0) })
}

/// Maps memory twice, as the runtime does.
fn alias() -> io::Result<()> {
    const MFD_EXEC: libc::c_uint = 0x10;
    let create = |flags| {
        // SAFETY: a name that ends in NUL. Whoever gets the descriptor owns it.
        let file = unsafe { libc::memfd_create(c"static-call-doctor".as_ptr(), libc::MFD_CLOEXEC | flags) };
        // SAFETY: a new descriptor, which nobody else has.
        checked(libc::c_long::from(file)).map(|()| unsafe { OwnedFd::from_raw_fd(file) })
    };
    // Before Linux 6.3 the flag is unknown.
    let file = File::from(create(MFD_EXEC).or_else(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => create(0),
        _ => Err(error),
    })?);
    file.set_len(Code::LEN as u64)?;
    // What was written before is not taken over.
    File::open("/proc/self/pagemap")?;
    let code = Code::map()?;
    let (access, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_FIXED);
    // SAFETY: in the place of this value's own mapping.
    let mapped = unsafe { libc::mmap(code.page, Code::LEN, access, flags, file.as_raw_fd(), 0) };
    if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Memory mapped from this program's file, like code.
struct Code {
    page: *mut libc::c_void,
}

impl Code {
    const LEN: usize = 65536;

    fn map() -> io::Result<Self> {
        let file = File::open("/proc/self/exe")?;
        let access = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: creates a mapping at an address that the kernel chooses, so no existing memory changes.
        let page = unsafe {
            libc::mmap(std::ptr::null_mut(), Self::LEN, access, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
        };
        if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Self { page }) }
    }

    fn make_writable(&self) -> io::Result<()> {
        let access = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        // SAFETY: the range is this value's own mapping.
        checked(unsafe { libc::mprotect(self.page, Self::LEN, access) }.into())?;
        // SAFETY: as above, and now writable. The write makes the kernel copy the page, which needs
        // permission as well.
        unsafe { self.page.cast::<u8>().write_volatile(0) };
        let access = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: the range is this value's own mapping.
        checked(unsafe { libc::mprotect(self.page, Self::LEN, access) }.into())
    }

    fn write_through_file(&self) -> io::Result<()> {
        let memory = File::options().read(true).write(true).open("/proc/self/mem")?;
        memory.write_all_at(&[0], self.page.addr() as u64)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: the range is this value's own mapping, and nothing refers to it any more.
        unsafe { libc::munmap(self.page, Self::LEN) };
    }
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
