//! Which threads of the process could not take a breakpoint, and which have one before them:
//! `/proc/self/task`.

use core::ffi::{CStr, c_int, c_long};
use core::ops::ControlFlow;

use super::file::File;
use super::system_call::{keep_errno, system_call};
use crate::os::reply::Refused;

/// Why a synchronous signal would end the process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blocked {
    /// A thread blocks it, or is being debugged.
    Thread(u32),
    /// The handler of this signal blocks it.
    Handler(c_int),
}

/// How long to wait for a thread before it counts as one in the way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// A tenth of a second: longer than anything temporary.
    Long,
    /// Less than a millisecond.
    Short,
}

/// Looks for a thread or a handler that blocks this signal. A thread may block it for a moment: the C library
/// does when a thread starts or ends, sends a signal or spawns a program. So this waits until each thread was
/// seen not blocking it.
pub(crate) fn blocked(signal: c_int, patience: Patience) -> Result<Option<Blocked>, Refused> {
    if let Some(other) = handler_that_blocks(signal) {
        return Ok(Some(Blocked::Handler(other)));
    }
    Ok(lasting_thread(patience, |status| !status.can_take(signal))?.map(Blocked::Thread))
}

/// Waits, for a tenth of a second at most, until this synchronous signal is pending for no thread: a program
/// that then replaces the signal's handler gets none of our traps. (A kernel that may
/// be preempted anywhere can interrupt a thread between its trap and its signal; that one is not seen.)
///
/// # Errors
///
/// If the threads cannot be looked at.
pub(crate) fn wait_until_taken(signal: c_int) -> Result<(), Refused> {
    lasting_thread(Patience::Long, |status| status.is_pending(signal)).map(drop)
}

/// Waits, equally long, until no thread runs a handler that blocks exactly these signals. Returns whether
/// none does.
pub(crate) fn wait_until_handled(signal: c_int, blocked: u64) -> bool {
    let is_handling =
        |status: &Status| status.is_pending(signal) || (status.blocked == Some(blocked) && !status.is_dead);
    matches!(lasting_thread(Patience::Long, is_handling), Ok(None))
}

/// A thread for which this stays true. If there is none, it was false once for each thread.
fn lasting_thread(patience: Patience, is: impl Fn(&Status) -> bool) -> Result<Option<u32>, Refused> {
    const FIRST_PAUSE: c_long = 50_000;
    // First one thread, then all of them: most have moved on by then.
    let with_one: c_long = match patience {
        Patience::Long => 100_000_000,
        Patience::Short => 3 * FIRST_PAUSE,
    };
    let mut with_all = 10 * with_one;
    find_thread(|tasks, name| {
        let mut pause = FIRST_PAUSE;
        let mut left = with_one;
        while Status::read(tasks, name)?.as_ref().is_some_and(&is) {
            if left <= 0 || with_all <= 0 {
                return Ok(ControlFlow::Break(()));
            }
            sleep(pause);
            left -= pause;
            with_all -= pause;
            pause *= 2;
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Less than a second.
fn sleep(nanoseconds: c_long) {
    // The kernel's old structure, of two long numbers.
    let mut time: [c_long; 2] = [0, nanoseconds];
    // SAFETY: reads the time.
    let _ = unsafe { system_call(libc::SYS_nanosleep, [time.as_mut_ptr().expose_provenance(), 0]) };
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

/// The first thread at which the visitor stops.
fn find_thread(
    mut visit: impl FnMut(&File, &CStr) -> Result<ControlFlow<()>, Refused>,
) -> Result<Option<u32>, Refused> {
    // struct linux_dirent64: d_ino, d_off, d_reclen, d_type, d_name.
    const LENGTH: usize = 16;
    const NAME: usize = 19;
    #[repr(align(8))]
    struct Buffer([u8; 1024]);
    let tasks = File::open(None, c"/proc/self/task", libc::O_RDONLY | libc::O_DIRECTORY)?;
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
                && visit(&tasks, name)?.is_break()
            {
                return Ok(Some(thread as u32));
            }
        }
    }
}

/// What the kernel says of a thread.
#[derive(Default)]
struct Status {
    /// Sets of signals. Without this line we do not understand the file.
    blocked: Option<u64>,
    pending: u64,
    is_traced: bool,
    /// It has ended and runs no more code. A process's first thread stays listed until the last one ends.
    is_dead: bool,
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
        let file = match File::open(Some(tasks), path, libc::O_RDONLY) {
            Err(Refused(libc::ENOENT | libc::ESRCH)) => return Ok(None),
            file => file?,
        };
        let mut status = Self::default();
        // Line by line. The one with the groups may be longer than the buffer, and does not matter here.
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
        } else if let Some(state) = line.strip_prefix(b"State:") {
            self.is_dead = matches!(state.trim_ascii().first(), Some(b'Z' | b'X'));
        }
    }

    fn blocks(&self, signal: c_int) -> bool {
        self.blocked.is_none_or(|set| contains(set, signal))
    }

    /// Whether the thread does not block the signal, and no debugger comes first.
    fn can_take(&self, signal: c_int) -> bool {
        self.is_dead || (!self.is_traced && !self.blocks(signal))
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
