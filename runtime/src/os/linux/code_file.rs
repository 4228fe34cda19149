//! What the breakpoint writer needs of Linux: `/proc/self/mem`, memory of its own, and to know which
//! threads could not take a breakpoint.

use core::ffi::{CStr, c_int};

use super::{Refused, checked, keep_errno};

pub(crate) const NOT_SUPPORTED: i32 = libc::EOPNOTSUPP;

/// The process's own memory, as a file. Opened for each update: a child of fork(2) must not write to its
/// parent's.
#[derive(Debug)]
pub(crate) struct CodeFile(File);

impl CodeFile {
    pub(crate) fn open() -> Result<Self, Refused> {
        /// What nobody's file has at this address.
        static MARK: [u8; 16] = *b"static-call mark";
        let file = File::open(libc::AT_FDCWD, c"/proc/self/mem", libc::O_RDWR)?.move_up();
        // Before it got its high number, another thread may have closed it and opened something else.
        let mut found = [0; MARK.len()];
        let address = MARK.as_ptr().addr() as i64;
        checked(|| {
            // SAFETY: writes to the buffer only.
            let read = unsafe { libc::pread64(file.0, found.as_mut_ptr().cast(), found.len(), address) };
            if read < 0 { -1 } else { 0 }
        })?;
        if found == MARK { Ok(Self(file)) } else { Err(Refused(libc::EBADF)) }
    }

    /// Writes bytes, whatever access their pages have.
    ///
    /// # Safety
    ///
    /// These bytes may change, one by one and in any order, whoever runs them.
    pub(crate) unsafe fn write(&self, address: usize, bytes: &[u8]) -> Result<(), Refused> {
        let len = bytes.len();
        let mut written = 0;
        let result = checked(|| {
            // SAFETY: reads the bytes; what it does to memory is the caller's promise.
            written = unsafe { libc::pwrite64(self.0.0, bytes.as_ptr().cast(), len, address as i64) };
            if written < 0 { -1 } else { 0 }
        });
        if result.is_ok() && written as usize != len { Err(Refused(libc::EIO)) } else { result }
    }
}

/// A file descriptor that is closed when this goes.
#[derive(Debug)]
struct File(c_int);

impl File {
    fn open(directory: c_int, path: &CStr, flags: c_int) -> Result<Self, Refused> {
        let mut file = -1;
        checked(|| {
            // SAFETY: a path that ends in NUL.
            file = unsafe { libc::openat(directory, path.as_ptr(), flags | libc::O_CLOEXEC) };
            if file < 0 { -1 } else { 0 }
        })?;
        Ok(Self(file))
    }

    /// The same file with a high number. A program that closes files which it does not know may close ours;
    /// the kernel gives the lowest number that is free, so that ours does not become another file's.
    fn move_up(self) -> Self {
        const HIGH: c_int = 1000;
        let mut file = -1;
        let result = checked(|| {
            // SAFETY: makes another descriptor.
            file = unsafe { libc::fcntl(self.0, libc::F_DUPFD_CLOEXEC, HIGH) };
            if file < 0 { -1 } else { 0 }
        });
        // Not more than a thousand files may be open: then it stays where it is.
        if result.is_ok() { Self(file) } else { self }
    }

    /// Reads as much as there is and as fits.
    fn read<'buffer>(&self, buffer: &'buffer mut [u8]) -> Result<&'buffer [u8], Refused> {
        let mut len = 0;
        checked(|| {
            // SAFETY: writes to the buffer only.
            len = unsafe { libc::read(self.0, buffer.as_mut_ptr().cast(), buffer.len()) };
            if len < 0 { -1 } else { 0 }
        })?;
        Ok(&buffer[..len as usize])
    }

    /// Reads entries of a directory; none at its end.
    fn entries<'buffer>(&self, buffer: &'buffer mut [u8]) -> Result<&'buffer [u8], Refused> {
        let mut len = 0;
        checked(|| {
            // SAFETY: writes to the buffer only.
            len = unsafe { libc::syscall(libc::SYS_getdents64, self.0, buffer.as_mut_ptr(), buffer.len()) };
            if len < 0 { -1 } else { 0 }
        })?;
        Ok(&buffer[..len as usize])
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: our own descriptor.
        keep_errno(|| unsafe {
            libc::close(self.0);
        });
    }
}

/// Zeroed memory that stays.
pub(crate) fn map_memory(len: usize) -> Result<*mut u8, Refused> {
    let mut memory = libc::MAP_FAILED;
    checked(|| {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: new pages, wherever the kernel likes.
        memory = unsafe { libc::mmap(core::ptr::null_mut(), len, protection, flags, -1, 0) };
        if memory == libc::MAP_FAILED { -1 } else { 0 }
    })?;
    Ok(memory.cast())
}

/// Linux has shadow stacks for programs of 64 bits alone.
#[cfg(target_arch = "x86")]
pub(crate) fn has_shadow_stack() -> bool {
    false
}

/// Whether this thread has a shadow stack (Intel CET), which nobody but a call instruction may write to.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_shadow_stack() -> bool {
    // linux/arch/x86/include/uapi/asm/prctl.h
    const ARCH_SHSTK_STATUS: libc::c_long = 0x5005;
    let mut features: u64 = 0;
    // SAFETY: arch_prctl(2) writes the features; older kernels do not know it, and have none.
    let status =
        checked(|| unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SHSTK_STATUS, &raw mut features) });
    status.is_ok() && features != 0
}

/// Why a synchronous signal would end the process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blocked {
    /// A thread blocks it, or is being debugged.
    Thread(u32),
    /// The handler of this signal blocks it.
    Handler(c_int),
}

/// Looks for whoever blocks this signal, for some hundredths of a second, since a thread may do so for a moment.
///
/// The C library blocks all signals for moments, when a thread starts or ends, sends a signal or spawns a
/// program; no code of the program's runs then. Such a thread is known by it that signal 33 is blocked as well,
/// which glibc and musl use themselves and do not let programs block.
pub(crate) fn blocked(signal: c_int) -> Result<Option<Blocked>, Refused> {
    if let Some(other) = handler_that_blocks(signal) {
        return Ok(Some(Blocked::Handler(other)));
    }
    Ok(lasting_thread(|status| !status.can_take(signal))?.map(Blocked::Thread))
}

/// Waits until no thread has this synchronous signal before it, for some hundredths of a second at the most: who
/// replaces the signal's handler after that replaces it for signals that come after that. (A kernel that may be
/// preempted anywhere can interrupt a thread between its trap and its signal; that one is not seen.)
///
/// # Errors
///
/// If the threads cannot be looked at.
pub(crate) fn wait_until_taken(signal: c_int) -> Result<(), Refused> {
    lasting_thread(|status| status.is_pending(signal)).map(drop)
}

/// A thread of which this is true, and remains true for some hundredths of a second.
fn lasting_thread(is: impl Fn(&Status) -> bool) -> Result<Option<u32>, Refused> {
    const TRIES: u32 = 10;
    let mut pause = libc::timespec { tv_sec: 0, tv_nsec: 50_000 };
    for _ in 1..TRIES {
        if first_thread(&is)?.is_none() {
            return Ok(None);
        }
        // SAFETY: reads the time.
        keep_errno(|| unsafe {
            libc::nanosleep(&raw const pause, core::ptr::null_mut());
        });
        pause.tv_nsec *= 2;
    }
    first_thread(&is)
}

/// A signal whose handler blocks this one while it runs.
fn handler_that_blocks(signal: c_int) -> Option<c_int> {
    const SIGNALS: c_int = 64;
    (1..=SIGNALS).find(|&other| {
        let mut action = core::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: sigaction(2) writes the present action; zeros are one as well.
        let action = unsafe {
            keep_errno(|| {
                libc::sigaction(other, core::ptr::null(), action.as_mut_ptr());
            });
            action.assume_init()
        };
        let has_handler = ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction);
        // SAFETY: reads the set.
        other != signal && has_handler && unsafe { libc::sigismember(&raw const action.sa_mask, signal) } == 1
    })
}

fn first_thread(is: impl Fn(&Status) -> bool) -> Result<Option<u32>, Refused> {
    // struct linux_dirent64: d_ino, d_off, d_reclen, d_type, d_name.
    const LENGTH: usize = 16;
    const NAME: usize = 19;
    #[repr(align(8))]
    struct Buffer([u8; 1024]);
    let tasks = File::open(libc::AT_FDCWD, c"/proc/self/task", libc::O_RDONLY | libc::O_DIRECTORY)?;
    let mut buffer = Buffer([0; 1024]);
    loop {
        let mut entries = tasks.entries(&mut buffer.0)?;
        if entries.is_empty() {
            return Ok(None);
        }
        while let Some(&[low, high]) = entries.get(LENGTH..LENGTH + 2) {
            let Some((entry, rest)) = entries.split_at_checked(u16::from_le_bytes([low, high]).into()) else {
                break;
            };
            entries = rest;
            let name = entry.get(NAME..).and_then(|name| CStr::from_bytes_until_nul(name).ok());
            if let Some(name) = name
                && let Some(thread) = number(name.to_bytes(), 10)
                && let Some(status) = Status::read(&tasks, name)?
                && is(&status)
            {
                return Ok(Some(thread as u32));
            }
        }
    }
}

/// SIGSETXID (glibc), SIGCANCEL (musl): not in their headers.
const C_LIBRARYS_OWN: c_int = 33;

/// What the kernel says of a thread.
#[derive(Default)]
struct Status {
    /// Sets of signals. Without this line it is none that we understand.
    blocked: Option<u64>,
    pending: u64,
    is_traced: bool,
}

impl Status {
    /// None if the thread is gone.
    fn read(tasks: &File, thread: &CStr) -> Result<Option<Self>, Refused> {
        let mut path = [0; 32];
        let mut end = 0;
        for part in [thread.to_bytes(), b"/status\0"] {
            let Some(room) = path.get_mut(end..end + part.len()) else { return Ok(None) };
            room.copy_from_slice(part);
            end += part.len();
        }
        let Ok(path) = CStr::from_bytes_until_nul(&path) else { return Ok(None) };
        let file = match File::open(tasks.0, path, libc::O_RDONLY) {
            Err(Refused(libc::ENOENT | libc::ESRCH)) => return Ok(None),
            file => file?,
        };
        let mut status = Self::default();
        // Line by line. The one with the groups may be longer than the buffer, and says nothing to us.
        let mut buffer = [0; 1024];
        let mut len = 0;
        loop {
            let more = match file.read(&mut buffer[len..]) {
                Err(Refused(libc::ESRCH)) => return Ok(None),
                more => more?.len(),
            };
            if more == 0 {
                return Ok(Some(status));
            }
            len += more;
            while let Some(end) = buffer[..len].iter().position(|&byte| byte == b'\n') {
                status.take(&buffer[..end]);
                buffer.copy_within(end + 1..len, 0);
                len -= end + 1;
            }
            if len == buffer.len() {
                len = 0;
            }
        }
    }

    fn take(&mut self, line: &[u8]) {
        if let Some(digits) = line.strip_prefix(b"SigBlk:") {
            self.blocked = number(digits.trim_ascii(), 16);
        } else if let Some(digits) = line.strip_prefix(b"SigPnd:") {
            self.pending = number(digits.trim_ascii(), 16).unwrap_or(0);
        } else if let Some(tracer) = line.strip_prefix(b"TracerPid:") {
            self.is_traced = tracer.trim_ascii() != b"0";
        }
    }

    fn blocks(&self, signal: c_int) -> bool {
        self.blocked.is_none_or(|set| contains(set, signal))
    }

    /// Whether the thread itself does not block the signal, and no debugger comes first.
    fn can_take(&self, signal: c_int) -> bool {
        let by_program = self.blocks(signal) && !(self.blocked.is_some() && self.blocks(C_LIBRARYS_OWN));
        !self.is_traced && !by_program
    }

    /// Whether the thread will take the signal before it does anything else.
    fn is_pending(&self, signal: c_int) -> bool {
        contains(self.pending, signal) && !self.blocks(signal) && !self.is_traced
    }
}

fn contains(set: u64, signal: c_int) -> bool {
    set >> (signal - 1) & 1 != 0
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    u64::from_str_radix(core::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicBool, Ordering};
    use std::io::{Read, Write, pipe};
    use std::os::fd::AsRawFd;
    use std::thread;

    use super::*;

    /// A thread that waits for its child, which sleeps (`vfork`), takes no signal before that.
    #[test]
    fn signals_that_are_on_their_way_are_waited_for() {
        const SIGNAL: c_int = libc::SIGUSR2;
        static IS_TAKEN: AtomicBool = AtomicBool::new(false);
        extern "C" fn take(_: c_int) {
            IS_TAKEN.store(true, Ordering::Relaxed);
        }
        let (mut started, start) = pipe().expect("a pipe");
        let (sent, mut send) = pipe().expect("a pipe");
        // SAFETY: the handler sets a flag; what the child calls may be called behind fork(2).
        let parent = thread::spawn(move || unsafe {
            libc::signal(SIGNAL, take as *const () as libc::sighandler_t);
            let mut thread = (libc::gettid() as u32).to_ne_bytes();
            if libc::syscall(libc::SYS_clone, libc::CLONE_VFORK | libc::SIGCHLD, 0, 0, 0, 0) == 0 {
                libc::write(start.as_raw_fd(), thread.as_ptr().cast(), thread.len());
                // However long the other thread takes to send the signal, its receiver is there.
                libc::read(sent.as_raw_fd(), thread.as_mut_ptr().cast(), 1);
                libc::usleep(5_000);
                libc::_exit(0);
            }
        });
        let mut thread = [0; 4];
        started.read_exact(&mut thread).expect("the child says whose it is");
        // SAFETY: signals a thread of ours that has a handler.
        let result =
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), u32::from_ne_bytes(thread), SIGNAL) };
        assert_eq!(result, 0);
        send.write_all(&[1]).expect("the child waits for it");
        wait_until_taken(SIGNAL).expect("/proc");
        assert!(IS_TAKEN.load(Ordering::Relaxed));
        parent.join().expect("no panic");
    }
}
