//! How this process runs static calls, and why not better.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::arch::native;
use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::log;
use crate::os;
use crate::writer::{self, Writer};

/// How static calls run.
///
/// Chosen when the first image with static calls is loaded, by what the process may do; the variable
/// `STATIC_CALL_MODE` asks for one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// A call loads the key's pointer; nothing is patched.
    Generic,
    /// A call goes to its key's trampoline, whose first instruction is a patched jump.
    Trampoline,
    /// A call is direct, and patched at each update.
    Inline,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Inline, Self::Trampoline, Self::Generic];

    /// The name in `STATIC_CALL_MODE`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Trampoline => "trampoline",
            Self::Inline => "inline",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a process, or an image, does not run in the best mode. Numbered, since it lies in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Reason {
    None,
    Asked,
    Architecture,
    NoOs,
    Membarrier,
    NotWritable,
    Damaged,
    Foreign,
    NoHeader,
    Version,
    NoImage,
    OtherRuntime,
    NoWriter,
    SignalBlocked,
}

impl Reason {
    const ALL: [Self; 14] = [
        Self::None,
        Self::Asked,
        Self::Architecture,
        Self::NoOs,
        Self::Membarrier,
        Self::NotWritable,
        Self::Damaged,
        Self::Foreign,
        Self::NoHeader,
        Self::Version,
        Self::NoImage,
        Self::OtherRuntime,
        Self::NoWriter,
        Self::SignalBlocked,
    ];

    pub(crate) fn from_u32(number: u32) -> Self {
        Self::ALL.get(number as usize).copied().unwrap_or(Self::Damaged)
    }

    pub(crate) fn of_error(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::NotWritable => Self::NotWritable,
            ErrorKind::SignalBlocked => Self::SignalBlocked,
            _ => Self::Foreign,
        }
    }

    /// A sentence that ends in NUL, for C.
    const fn as_c_str(self) -> &'static core::ffi::CStr {
        match self {
            Self::None => c"calls are patched",
            Self::Asked => c"STATIC_CALL_MODE asks for it",
            Self::Architecture => c"this architecture has no backend that patches code",
            Self::NoOs => {
                c"this build of the runtime does not use the operating system, and set_writer was not called"
            }
            Self::Membarrier => {
                c"membarrier(SYNC_CORE) is refused: the kernel is older than 4.16, or a seccomp filter \
                  forbids it"
            }
            Self::NotWritable => {
                c"the code may not be written: PR_SET_MDWE, SELinux, mseal or a seccomp filter forbids it, and \
                  /proc/self/mem cannot be used, or STATIC_CALL_WRITER forbids that"
            }
            Self::Damaged => c"its site table is damaged: an entry does not lead to a call of a trampoline",
            Self::Foreign => c"an instruction is not what the compiler made: something else patched it",
            Self::NoHeader => c"its ELF header is not in memory",
            Self::Version => c"it was compiled by another version of the static-call pass",
            Self::NoImage => {
                c"no call in this process was made direct: nothing was compiled with the static-call pass, or \
                  nothing that it can lower"
            }
            Self::OtherRuntime => {
                c"another copy of the runtime in this process patches calls of the same keys"
            }
            Self::NoWriter => c"STATIC_CALL_WRITER asks for no writer",
            Self::SignalBlocked => {
                c"a thread or a handler blocks SIGTRAP, or a debugger is attached: no breakpoints can be taken"
            }
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.as_c_str().to_str().unwrap_or_default()
    }
}

/// The mode that images are patched in, plus one; 0 before it was chosen.
static WANTED: AtomicU32 = AtomicU32::new(0);
/// Why it is not better.
static WANTED_REASON: AtomicU32 = AtomicU32::new(0);
/// Whether some image is patched, and why the last one that is not is not.
static PATCHED: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);

/// Why the mode is what it is.
pub(crate) fn reason_of_process() -> &'static core::ffi::CStr {
    of_process().1.as_c_str()
}

/// The mode to patch images in, chosen by the first who asks.
pub(crate) fn wanted(lock: &Guard) -> Mode {
    chosen().unwrap_or_else(|| {
        let (mode, reason) = choose(lock);
        WANTED_REASON.store(reason as u32, Ordering::Relaxed);
        WANTED.store(mode as u32 + 1, Ordering::Release);
        mode
    })
}

/// Has the next who asks choose, since there is another writer.
pub(crate) fn choose_again(_lock: &Guard) {
    WANTED.store(0, Ordering::Relaxed);
}

/// As if the environment had asked for it.
#[cfg(fuzzing)]
pub(crate) fn set(mode: Mode, _lock: &Guard) {
    WANTED.store(mode as u32 + 1, Ordering::Release);
}

fn chosen() -> Option<Mode> {
    let number = WANTED.load(Ordering::Acquire);
    Mode::ALL.into_iter().find(|&mode| mode as u32 + 1 == number)
}

/// The mode that the process is in, and why not better.
pub(crate) fn of_process() -> (Mode, Reason) {
    let reason = |word: &AtomicU32| Reason::from_u32(word.load(Ordering::Relaxed));
    match chosen() {
        Some(Mode::Generic) => (Mode::Generic, reason(&WANTED_REASON)),
        Some(mode) if PATCHED.load(Ordering::Relaxed) != 0 => (mode, reason(&WANTED_REASON)),
        _ if reason(&REFUSED) != Reason::None => (Mode::Generic, reason(&REFUSED)),
        _ => (Mode::Generic, Reason::NoImage),
    }
}

/// How the images that are patched are written.
pub(crate) fn writer_of_process() -> Writer {
    if of_process().0 == Mode::Generic { Writer::None } else { writer::of_process() }
}

/// Remembers whether an image could be patched.
pub(crate) fn note_image(reason: Reason, _lock: &Guard) {
    if reason == Reason::None {
        PATCHED.store(1, Ordering::Relaxed);
    } else {
        REFUSED.store(reason as u32, Ordering::Relaxed);
    }
}

fn choose(lock: &Guard) -> (Mode, Reason) {
    let asked = asked();
    if asked == Some(Mode::Generic) {
        return (Mode::Generic, Reason::Asked);
    }
    let writer = writer::wanted(lock);
    if writer != Writer::Custom && cfg!(not(feature = "os")) {
        return (Mode::Generic, Reason::NoOs);
    }
    if !native::SUPPORTED {
        return (Mode::Generic, Reason::Architecture);
    }
    if writer == Writer::None {
        return (Mode::Generic, Reason::NoWriter);
    }
    if writer != Writer::Custom && os::prepare_to_serialize().is_err() {
        return (Mode::Generic, Reason::Membarrier);
    }
    match asked {
        Some(mode) => (mode, Reason::Asked),
        None => (Mode::Inline, Reason::None),
    }
}

fn asked() -> Option<Mode> {
    let value = os::environment(c"STATIC_CALL_MODE")?.to_bytes();
    if value.is_empty() {
        return None;
    }
    let mode = Mode::ALL.into_iter().find(|mode| mode.as_str().as_bytes() == value);
    if mode.is_none() {
        log::print(format_args!(
            "STATIC_CALL_MODE={} is no mode; valid are inline, trampoline and generic; using the default",
            value.escape_ascii()
        ));
    }
    mode
}
