//! How this process runs static calls, and why not better.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use static_call_abi::installation;

use crate::arch::native;
use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::log;
use crate::numbered::numbered;
use crate::os;
use crate::sealed::has_custom;
use crate::writer::{self, Writer};

numbered! {
    /// How static calls run.
    ///
    /// Chosen when the first image with static calls is loaded, by what the process may do; the variable
    /// `STATIC_CALL_MODE` asks for one of them.
    ///
    /// ```
    /// use static_call::Mode;
    ///
    /// if static_call::mode() < Mode::Inline {
    ///     eprintln!("calls are not direct: {}", static_call::mode_reason());
    /// }
    /// assert_eq!(Mode::Inline.as_str(), "inline");
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum Mode {
        /// A call loads the key's pointer; nothing is patched.
        Generic = 0,
        /// A call goes to its key's trampoline, whose first instruction is a patched jump. Without the pass,
        /// the key's first update patches it.
        Trampoline = 1,
        /// A call is direct, and patched at each update.
        Inline = 2,
    }
}

impl Mode {
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

numbered! {
    /// Why a process, or an image, does not run in the best mode.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Reason {
        None = 0,
        Asked = 1,
        Architecture = 2,
        NoOs = 3,
        Membarrier = 4,
        NotWritable = 5,
        Damaged = 6,
        Foreign = 7,
        NoHeader = 8,
        Version = 9,
        NoImage = 10,
        OtherRuntime = 11,
        NoWriter = 12,
        SignalBlocked = 13,
        NoSites = 14,
        NoSystem = 15,
        Moved = 16,
        Unreadable = 17,
        DynamicCode = 18,
    }
}

impl Reason {
    /// The reason that an image carries. Its descriptor is data of the program's, which may hold any number.
    pub(crate) fn of_image(number: u32) -> Self {
        Self::from_wire(number).unwrap_or(Self::Damaged)
    }

    pub(crate) fn of_error(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::NotWritable if cfg!(windows) => Self::DynamicCode,
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
                c"membarrier(SYNC_CORE) is refused: the kernel is older than 4.16, or does not have it for \
                  this processor, or a seccomp filter forbids it"
            }
            Self::NotWritable => {
                c"the code may not be written: PR_SET_MDWE, SELinux, mseal or a seccomp filter forbids it, \
                  and /proc/self/mem cannot be used, or STATIC_CALL_WRITER forbids that"
            }
            Self::Damaged => c"its site table is damaged: an entry does not lead to a call of a trampoline",
            Self::Foreign => c"an instruction is not what the compiler made: something else patched it",
            Self::NoHeader => c"its header is not in memory",
            Self::Version => c"it was compiled by another version of the static-call pass",
            Self::NoImage => {
                c"no call in this process was made direct: nothing was compiled with the static-call pass \
                  or static-call-as, or nothing that they can lower"
            }
            Self::OtherRuntime => {
                c"another copy of the runtime in this process patches calls of the same keys"
            }
            Self::NoWriter => c"STATIC_CALL_WRITER asks for no writer",
            Self::SignalBlocked => {
                c"a thread or a handler blocks SIGTRAP, or a debugger is attached: no breakpoints can be \
                  taken"
            }
            Self::Moved => c"its code was moved after linking (by BOLT, say), and its site table was not",
            Self::NoSites => {
                c"no call is recorded, so all go through trampolines: they were compiled without \
                  the pass or static-call-as, or the pass was missing where the linker compiled \
                  (link-time optimization)"
            }
            Self::Unreadable => {
                c"its code may be executed, but not read, so that its calls cannot be \
                                  checked"
            }
            Self::DynamicCode => {
                c"the code may not be written: a policy of the process forbids dynamic code (Arbitrary Code \
                  Guard)"
            }
            Self::NoSystem => {
                c"the runtime itself patches code on Linux and Windows alone, and set_writer was not called"
            }
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.as_c_str().to_str().unwrap_or_default()
    }
}

/// The mode in which images are patched, plus one; 0 before it was chosen.
static FOR_IMAGES: AtomicU32 = AtomicU32::new(0);
/// Why it is not better.
static REASON: AtomicU32 = AtomicU32::new(0);
/// The best mode of the images that are patched, as a number; and why the last one that is not patched is
/// not.
static PATCHED: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU32 = AtomicU32::new(0);

/// Why the mode is what it is.
pub(crate) fn reason_of_process() -> &'static core::ffi::CStr {
    of_process().1.as_c_str()
}

/// The mode in which images are patched, chosen at the first call. Choosing prepares nothing in the operating
/// system, because maybe nothing will ever be patched.
pub(crate) fn for_images(lock: &Guard) -> Mode {
    chosen().unwrap_or_else(|| {
        let (mode, reason) = choose(lock);
        REASON.store(reason.to_wire(), Ordering::Relaxed);
        FOR_IMAGES.store(mode.to_wire() + 1, Ordering::Release);
        mode
    })
}

/// The mode for an update.
pub(crate) fn for_update(lock: &Guard) -> Mode {
    let mode = for_images(lock);
    // Without an image there is nothing to patch.
    if PATCHED.load(Ordering::Relaxed) == 0 { Mode::Generic } else { mode }
}

/// What an update that would write code may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// It writes, and then waits until no thread runs the old instructions.
    Write,
    /// It writes, and does not wait.
    WriteAtOnce,
    /// It only stores the keys.
    Store,
}

/// Whether [`prepare`] has succeeded.
static IS_PREPARED: AtomicBool = AtomicBool::new(false);
/// Whether code was patched.
static HAS_PATCHED: AtomicBool = AtomicBool::new(false);

/// Whether code may be patched without [`prepare`]: the program's own writer needs nothing from the operating
/// system.
pub(crate) fn is_prepared(lock: &Guard) -> bool {
    IS_PREPARED.load(Ordering::Relaxed) || writer::preferred(lock) == Writer::Custom
}

/// Decides how an update writes code.
///
/// Preparing takes milliseconds in a process with several threads ([`prepare`]). The first update of a
/// trampoline can do without: its old instructions jump through the key, so a thread that still runs them
/// reaches the new target as well. `follow_keys` says that this is true of all that the update replaces.
///
/// # Errors
///
/// The process cannot be prepared, and threads might run instructions that lead to an old target.
pub(crate) fn permit(follow_keys: bool, lock: &Guard) -> Result<Permit, Error> {
    if !follow_keys {
        let refused = |_| Error::new(ErrorKind::NotWritable);
        return prepare(lock).map(|()| Permit::Write).map_err(refused);
    }
    if is_prepared(lock) {
        return Ok(Permit::WriteAtOnce);
    }
    if os::is_single_threaded() {
        return Ok(if prepare(lock).is_ok() { Permit::WriteAtOnce } else { Permit::Store });
    }
    // The next update of the same trampoline has to prepare. Breakpoints serialize in between.
    let is_permitted =
        matches!(writer::preferred(lock), Writer::Window | Writer::Alias) && os::can_serialize();
    Ok(if is_permitted { Permit::WriteAtOnce } else { Permit::Store })
}

/// Remembers that code was patched, which has to follow its key from now on.
pub(crate) fn note_patched(_lock: &Guard) {
    HAS_PATCHED.store(true, Ordering::Relaxed);
}

/// Notes that the process may not patch. If it never has, it need not try again.
pub(crate) fn note_refused(reason: Reason, lock: &Guard) {
    if !HAS_PATCHED.load(Ordering::Relaxed) && writer::preferred(lock) != Writer::Custom {
        REASON.store(reason.to_wire(), Ordering::Relaxed);
        FOR_IMAGES.store(Mode::Generic.to_wire() + 1, Ordering::Release);
    }
}

/// Prepares the process for patching.
///
/// In a process with several threads the kernel then waits until each processor has switched to another task,
/// which takes milliseconds. So this is done when an image with something to patch is loaded, which is before
/// the first thread starts unless dlopen(3) loads it; or else at an update ([`permit`]); and never in a
/// process that needs neither.
pub(crate) fn prepare(lock: &Guard) -> Result<(), Reason> {
    if is_prepared(lock) {
        return Ok(());
    }
    if os::prepare_to_serialize().is_err() {
        note_refused(Reason::Membarrier, lock);
        return Err(Reason::Membarrier);
    }
    IS_PREPARED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Makes the next call of [`for_images`] choose again, because the writer has changed.
pub(crate) fn choose_again(_lock: &Guard) {
    FOR_IMAGES.store(0, Ordering::Relaxed);
}

/// As if the environment had asked for it.
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(fuzzing), allow(dead_code, reason = "for the tests that fabricate images"))]
pub(crate) fn set(mode: Mode, _lock: &Guard) {
    FOR_IMAGES.store(mode.to_wire() + 1, Ordering::Release);
}

fn chosen() -> Option<Mode> {
    let number = FOR_IMAGES.load(Ordering::Acquire);
    Mode::from_wire(number.wrapping_sub(1))
}

/// The mode that the process is in, and why not better.
pub(crate) fn of_process() -> (Mode, Reason) {
    let reason = |word: &AtomicU32| Reason::of_image(word.load(Ordering::Relaxed));
    match chosen() {
        Some(Mode::Generic) => (Mode::Generic, reason(&REASON)),
        Some(Mode::Inline) if PATCHED.load(Ordering::Relaxed) == Mode::Trampoline.to_wire() => {
            (Mode::Trampoline, Reason::NoSites)
        }
        Some(mode) if PATCHED.load(Ordering::Relaxed) != 0 => (mode, reason(&REASON)),
        _ if reason(&REFUSED) != Reason::None => (Mode::Generic, reason(&REFUSED)),
        // No image asks for what this build or this system does not have.
        _ if !has_custom() => (Mode::Generic, MEANS.lack().unwrap_or(Reason::NoImage)),
        _ => (Mode::Generic, Reason::NoImage),
    }
}

/// How the images that are patched are written.
pub(crate) fn writer_of_process() -> Writer {
    if of_process().0 == Mode::Generic { Writer::None } else { writer::of_process() }
}

/// Remembers whether an image could be patched, and the mode it is in then.
pub(crate) fn note_image(reason: Reason, mode: Mode, _lock: &Guard) {
    if reason == Reason::None {
        PATCHED.fetch_max(mode.to_wire(), Ordering::Relaxed);
    } else {
        REFUSED.store(reason.to_wire(), Ordering::Relaxed);
    }
}

/// What the build and the machine have, beside what was asked for.
#[derive(Clone, Copy, Debug)]
struct Means {
    /// Whether the runtime asks the operating system.
    os: bool,
    /// Whether that system lets the runtime itself patch code.
    system: bool,
    /// Whether the architecture has a backend.
    backend: bool,
}

fn choose(lock: &Guard) -> (Mode, Reason) {
    choose_from(asked(), || writer::preferred(lock), MEANS)
}

const MEANS: Means = Means { os: cfg!(feature = "os"), system: os::PATCHES, backend: native::SUPPORTED };

impl Means {
    /// What is missing for the runtime itself to patch code.
    fn lack(self) -> Option<Reason> {
        match self {
            Self { os: false, .. } => Some(Reason::NoOs),
            Self { system: false, .. } => Some(Reason::NoSystem),
            Self { backend: false, .. } => Some(Reason::Architecture),
            _ => None,
        }
    }
}

fn choose_from(asked: Option<Mode>, writer: impl FnOnce() -> Writer, means: Means) -> (Mode, Reason) {
    if asked == Some(Mode::Generic) {
        return (Mode::Generic, Reason::Asked);
    }
    match writer() {
        Writer::Custom => {}
        writer => match means.lack() {
            Some(reason) => return (Mode::Generic, reason),
            None if writer == Writer::None => return (Mode::Generic, Reason::NoWriter),
            None => {}
        },
    }
    match asked {
        _ if !means.backend => (Mode::Generic, Reason::Architecture),
        Some(mode) => (mode, Reason::Asked),
        None => (Mode::Inline, Reason::None),
    }
}

fn asked() -> Option<Mode> {
    let value = os::environment(installation::MODE)?.to_bytes();
    if value.is_empty() {
        return None;
    }
    let mode = Mode::ALL.iter().copied().find(|mode| mode.as_str().as_bytes() == value);
    if mode.is_none() {
        log::print(format_args!(
            "STATIC_CALL_MODE={} is not a mode (inline, trampoline, generic): using the default",
            value.escape_ascii()
        ));
    }
    mode
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_the_best_one_that_build_and_machine_allow() {
        const ALL: Means = Means { os: true, system: true, backend: true };
        let no_os = Means { os: false, ..ALL };
        let no_system = Means { system: false, ..ALL };
        let no_backend = Means { backend: false, ..ALL };
        let (generic, trampoline, inline) = (Mode::Generic, Mode::Trampoline, Mode::Inline);
        let cases = [
            (None, Writer::Window, ALL, inline, Reason::None),
            (None, Writer::Breakpoint, ALL, inline, Reason::None),
            (Some(trampoline), Writer::Window, ALL, trampoline, Reason::Asked),
            (Some(inline), Writer::Window, ALL, inline, Reason::Asked),
            (Some(generic), Writer::Custom, no_os, generic, Reason::Asked),
            (None, Writer::None, ALL, generic, Reason::NoWriter),
            (Some(inline), Writer::None, ALL, generic, Reason::NoWriter),
            (None, Writer::Window, no_os, generic, Reason::NoOs),
            (None, Writer::None, no_os, generic, Reason::NoOs),
            (None, Writer::Window, no_system, generic, Reason::NoSystem),
            (None, Writer::Window, no_backend, generic, Reason::Architecture),
            // The program's own writer needs neither.
            (None, Writer::Custom, no_os, inline, Reason::None),
            (Some(trampoline), Writer::Custom, no_system, trampoline, Reason::Asked),
            (None, Writer::Custom, no_backend, generic, Reason::Architecture),
        ];
        for (asked, writer, means, mode, reason) in cases {
            let chosen = choose_from(asked, || writer, means);
            assert_eq!(chosen, (mode, reason), "{asked:?} {writer:?} {means:?}");
        }
    }
}
