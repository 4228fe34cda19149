//! Why an update was refused.

use core::fmt;

/// Why an update was refused. Whatever the reason, nothing has changed: every call of every key of the
/// update reaches what it reached before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    /// The site, the page or the thread that stood in the way; 0 where there is none.
    address: usize,
    /// The operating system's error number, or 0.
    os: i32,
}

/// The reasons of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum ErrorKind {
    /// The key has no "no function" or no "return zero", and the update asks for it.
    NoOffState,
    /// Two changes of a batch name the same key.
    DuplicateKey,
    /// A signal handler interrupted an update on its own thread and wants to update as well.
    Reentrant,
    /// The process may not write its code any more, and calls that are direct would stay as they are.
    NotWritable,
    /// An instruction is not what was last written there: a debugger's breakpoint, another patcher.
    ForeignCode,
    /// Another copy of this runtime, in another image of the process, patches calls of this key.
    OtherRuntime,
    /// Code is written with breakpoints, and a thread or a signal handler blocks the signal that they raise, or a
    /// debugger is attached.
    SignalBlocked,
    /// [`seal`](crate::seal) was called: no update is accepted any more.
    Sealed,
    /// From [`seal`](crate::seal) alone: updates are refused from now on, but some key could not be made
    /// read-only.
    NotProtected,
}

impl ErrorKind {
    /// The kind with this number; one that another version of the runtime knows comes as the last.
    pub(crate) fn from_u32(number: u32) -> Self {
        let all = [
            Self::NoOffState,
            Self::DuplicateKey,
            Self::Reentrant,
            Self::NotWritable,
            Self::ForeignCode,
            Self::SignalBlocked,
            Self::Sealed,
            Self::NotProtected,
        ];
        all.into_iter().find(|&kind| kind as u32 == number).unwrap_or(Self::OtherRuntime)
    }
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind) -> Self {
        Self { kind, address: 0, os: 0 }
    }

    pub(crate) const fn at(kind: ErrorKind, address: usize) -> Self {
        Self { kind, address, os: 0 }
    }

    pub(crate) const fn with_os(kind: ErrorKind, address: usize, os: i32) -> Self {
        Self { kind, address, os }
    }

    /// The reason.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) const fn address(&self) -> usize {
        self.address
    }

    /// The operating system's error number behind [`ErrorKind::NotWritable`], if it gave one.
    #[must_use]
    pub const fn raw_os_error(&self) -> Option<i32> {
        if self.os == 0 { None } else { Some(self.os) }
    }

    /// The negative errno of the C interface.
    pub(crate) const fn errno(&self) -> i32 {
        match self.kind {
            ErrorKind::NoOffState | ErrorKind::DuplicateKey => -22, // EINVAL
            ErrorKind::Reentrant => -16,                            // EBUSY
            ErrorKind::NotWritable | ErrorKind::NotProtected => -13, // EACCES
            ErrorKind::ForeignCode => -84,                          // EILSEQ
            ErrorKind::OtherRuntime => -1,                          // EPERM
            ErrorKind::SignalBlocked => -11,                        // EAGAIN
            ErrorKind::Sealed => -30,                               // EROFS
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::NoOffState => f.write_str(
                "this key cannot be switched off: define it as an `Option` (in C with \
                 DEFINE_STATIC_CALL_NULL or DEFINE_STATIC_CALL_RET0), or give it a function",
            ),
            ErrorKind::DuplicateKey => {
                f.write_str("two changes of one batch name the same key: keep only the one that shall win")
            }
            ErrorKind::Reentrant => f.write_str(
                "this thread is in the middle of an update, which a signal handler interrupted: \
                 update after the handler has returned",
            ),
            ErrorKind::NotWritable if self.address == 0 => write!(
                f,
                "the means to write code is refused (error {}), so direct calls would keep their old target: \
                 update before the process gives it up, or run with STATIC_CALL_MODE=generic",
                self.os
            ),
            ErrorKind::NotWritable => {
                write!(
                    f,
                    "the code at {:#x} may not be written (error {}), so its direct calls would keep \
                     their old target: update before the process gives up the right to do so, or run \
                     with STATIC_CALL_MODE=generic",
                    self.address, self.os
                )
            }
            ErrorKind::ForeignCode => write!(
                f,
                "the instruction at {:#x} is not what was last written there: remove the breakpoint, \
                 or whatever else patched it, and update again",
                self.address
            ),
            ErrorKind::OtherRuntime => f.write_str(
                "another copy of the static-call runtime in this process patches calls of this key: update \
                 it from the image that has that copy, or link all images with one libstatic_call.so",
            ),
            ErrorKind::SignalBlocked if self.address == 0 => write!(
                f,
                "the handler of signal {} blocks SIGTRAP, and would end the process if it met a breakpoint: take \
                 SIGTRAP out of its sa_mask and update again",
                self.os
            ),
            ErrorKind::SignalBlocked => write!(
                f,
                "thread {} blocks SIGTRAP or is being debugged, and would end the process if it met a \
                 breakpoint: update again when it does not; in a debugger, set STATIC_CALL_WRITER=window",
                self.address
            ),
            ErrorKind::Sealed => f.write_str("the process is sealed: update before static_call::seal()"),
            ErrorKind::NotProtected if self.address == 0 => f.write_str(
                "nothing was protected: no image of this process was compiled with the static-call pass",
            ),
            ErrorKind::NotProtected => write!(
                f,
                "the memory at {:#x} was not made read-only (error {}): a key lies in a struct of the program's \
                 own, was compiled without the static-call pass, or the linker has put something else beside it",
                self.address, self.os
            ),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl core::error::Error for Error {}

#[cfg(feature = "std")]
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::NoOffState | ErrorKind::DuplicateKey => std::io::ErrorKind::InvalidInput,
            ErrorKind::Reentrant | ErrorKind::SignalBlocked => std::io::ErrorKind::WouldBlock,
            ErrorKind::NotWritable
            | ErrorKind::OtherRuntime
            | ErrorKind::Sealed
            | ErrorKind::NotProtected => std::io::ErrorKind::PermissionDenied,
            ErrorKind::ForeignCode => std::io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
