//! The threads, their state, and the report of an error.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// A thread that the watchdog monitors.
pub struct Thread {
    pub name: &'static str,
    /// The number of steps.
    pub steps: AtomicU64,
    pub is_over: AtomicBool,
    /// The pthread_t for pthread_kill(3); 0 before it runs.
    pub id: AtomicUsize,
    /// An index into [`DOING`].
    doing: AtomicUsize,
}

pub const READERS: usize = 4;
pub const UPDATER: usize = READERS;
pub const ALLOCATOR: usize = READERS + 1;

/// `steps::WORK` says what each of them does.
pub static THREADS: [Thread; READERS + 5] = [
    Thread::new("reader 1"),
    Thread::new("reader 2"),
    Thread::new("reader 3"),
    Thread::new("reader 4"),
    Thread::new("updater"),
    Thread::new("allocator"),
    Thread::new("loader"),
    Thread::new("forker"),
    Thread::new("signaller"),
];

/// What a thread may be doing.
#[derive(Clone, Copy)]
pub enum Doing {
    Calling,
    UpdatingOne,
    UpdatingSeveral,
    Allocating,
    Sleeping,
    Loading,
    CallingPlugin,
    WaitingForCallers,
    Unloading,
    Forking,
    Cloning,
    WaitingForChild,
    Spawning,
    Signalling,
}

const DOING: [&str; 14] = [
    "calling",
    "updating one key",
    "updating several keys",
    "allocating",
    "sleeping",
    "in dlopen",
    "calling the plugin",
    "waiting for calls to leave the plugin",
    "in dlclose",
    "in fork",
    "in clone",
    "waiting for a child",
    "in posix_spawn",
    "raising a signal",
];

impl Thread {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            steps: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            id: AtomicUsize::new(0),
            doing: AtomicUsize::new(Doing::Calling as usize),
        }
    }

    pub fn is_doing(&self, what: Doing) {
        self.doing.store(what as usize, Relaxed);
    }

    pub fn doing(&self) -> &'static str {
        DOING[self.doing.load(Relaxed)]
    }
}

/// Set when the time is up.
pub static STOP: AtomicBool = AtomicBool::new(false);

/// Counters for the last line.
pub struct Counts {
    pub calls: AtomicU64,
    pub updates: AtomicU64,
    pub loads: AtomicU64,
    pub forks: AtomicU64,
    pub signals: AtomicU64,
    /// Updates from signal handlers that interrupted another one.
    pub busy: AtomicU64,
}

impl Counts {
    /// Whether everything was done at least once.
    pub fn is_each_done(&self) -> bool {
        let counts = [&self.calls, &self.updates, &self.loads, &self.forks, &self.signals];
        counts.into_iter().all(|count| count.load(Relaxed) > 0)
    }
}

pub static COUNTS: Counts = Counts {
    calls: AtomicU64::new(0),
    updates: AtomicU64::new(0),
    loads: AtomicU64::new(0),
    forks: AtomicU64::new(0),
    signals: AtomicU64::new(0),
    busy: AtomicU64::new(0),
};

impl Counts {
    pub fn named(&self) -> [(&'static str, &AtomicU64); 6] {
        [
            ("calls", &self.calls),
            ("updates", &self.updates),
            ("loads", &self.loads),
            ("forks", &self.forks),
            ("signals", &self.signals),
            ("busy", &self.busy),
        ]
    }
}

thread_local! {
    static HERE: Cell<&'static str> = const { Cell::new("main") };
}

/// The name of the running thread, or of a child.
pub fn set_name(name: &'static str) {
    HERE.set(name);
}

/// Registers the running thread as one of [`THREADS`].
pub fn become_thread(thread: &Thread) {
    set_name(thread.name);
    // SAFETY: pthread_self(3) takes nothing.
    thread.id.store(unsafe { libc::pthread_self() } as usize, Relaxed);
}

/// Reports an error and ends the process.
macro_rules! fail {
    ($($format:tt)*) => { $crate::threads::fail_with(format_args!($($format)*)) };
}
pub(crate) use fail;

/// Neither allocates nor waits: signal handlers and children call this as well.
pub fn fail_with(what: fmt::Arguments<'_>) -> ! {
    struct Line {
        text: [u8; 400],
        len: usize,
    }
    impl Write for Line {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let len = part.len().min(self.text.len() - self.len);
            self.text[self.len..][..len].copy_from_slice(&part.as_bytes()[..len]);
            self.len += len;
            Ok(())
        }
    }
    let mut line = Line { text: [0; 400], len: 0 };
    let _ = writeln!(line, "torture: {}: {what}", HERE.get());
    // SAFETY: write(2) reads the line; _exit(2) does not return.
    unsafe {
        libc::write(libc::STDERR_FILENO, line.text.as_ptr().cast(), line.len);
        libc::_exit(1)
    }
}
