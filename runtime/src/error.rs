//! Why an update, or the seal, was refused.

use core::fmt;

use crate::numbered::numbered;

/// Why an update, or [`seal`](crate::seal), was refused.
///
/// After a refused update nothing has changed: every call of every key of the update reaches what it reached
/// before. After [`NotProtected`](ErrorKind::NotProtected) and [`Unknown`](ErrorKind::Unknown), which only
/// `seal` returns, updates are refused, and what could be protected is.
///
/// Its text says what happened, where, and what to do.
///
/// ```
/// use static_call::{Batch, ErrorKind, StaticCall};
///
/// static_call::define! { static ADD: fn(u32, u32) -> u32 = u32::wrapping_add; }
///
/// let twice = [ADD.change(u32::saturating_add), ADD.change(u32::wrapping_mul)];
/// let error = Batch::new(twice).commit().expect_err("one key, two changes");
/// assert_eq!(error.kind(), ErrorKind::DuplicateKey);
/// eprintln!("{error}");
/// assert_eq!(ADD.call(2, 3), 5);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    /// The site, the page or the thread that stood in the way; 0 where there is none.
    address: usize,
    /// The operating system's error number, or 0.
    os: i32,
}

numbered! {
    /// The reasons of an [`Error`].
    ///
    /// ```
    /// use static_call::ErrorKind;
    ///
    /// fn may_pass_later(kind: ErrorKind) -> bool {
    ///     matches!(kind, ErrorKind::Reentrant | ErrorKind::SignalBlocked)
    /// }
    /// assert!(!may_pass_later(ErrorKind::Sealed));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ErrorKind {
        /// The update asks for "no function" or "return zero", and the key does not have it.
        NoOffState = 0,
        /// Two changes of a batch name the same key.
        DuplicateKey = 1,
        /// The handler of a fault (SIGSEGV and the like) interrupted an update on its own thread and wants to
        /// update as well. Other signals are held off until an update is over.
        Reentrant = 2,
        /// The process may no longer write its code, so direct calls would keep their old target. For updates
        /// that are attempted again and again, see [`SignalBlocked`](Self::SignalBlocked).
        NotWritable = 3,
        /// An instruction is not what was last written there: a debugger's breakpoint, another patcher.
        ForeignCode = 4,
        /// Another copy of this runtime, in another image of the process, patches calls of this key.
        OtherRuntime = 5,
        /// Code is written with breakpoints, and a thread or a signal handler blocks the signal that they
        /// raise, or a debugger is attached.
        ///
        /// The first of these errors comes when a thread has blocked the signal for a tenth of a second, so
        /// an update outwaits whatever is temporary. The next ones come sooner. From the fourth in a row on,
        /// most are immediate, without an attempt: for at most eight milliseconds and one tick of the clock
        /// after each attempt. So an update that every call attempts (until one succeeds and replaces the
        /// function that attempts it) costs a few hundred nanoseconds, and succeeds at most that much later
        /// than it could.
        SignalBlocked = 6,
        /// [`seal`](crate::seal) was called: updates are refused for good.
        Sealed = 7,
        /// Only from [`seal`](crate::seal): updates are refused from now on, but some key could not be made
        /// read-only.
        NotProtected = 8,
        /// Code that calls the key is no longer mapped, or may not be read.
        NotMapped = 9,
        /// Only from [`seal`](crate::seal): another copy of this runtime has refused, for a reason that this
        /// version does not know.
        Unknown = 10,
        /// A branch's count cannot go there: counted down at zero, or up at its largest; or disabled while
        /// others have counted it up.
        Count = 11,
        /// Calls of the key check the type of its function (`-fsanitize=kcfi`), and this one has another
        /// type, or none.
        WrongType = 12,
    }
}

/// The operating system's error number in a child of vfork(2), which may not set breakpoints (ECHILD).
pub(crate) const IS_BORROWED: i32 = 10;

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
            ErrorKind::NotMapped => -14,                            // EFAULT
            ErrorKind::Sealed => -30,                               // EROFS
            ErrorKind::Unknown => -71,                              // EPROTO
            ErrorKind::Count => -34,                                // ERANGE
            ErrorKind::WrongType => -91,                            // EPROTOTYPE
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::NoOffState => f.write_str(
                "this key cannot be switched off: define it as an `Option` (in C with \
                 DEFINE_STATIC_CALL_COND, _NULL or _RET0), or give it a function",
            ),
            ErrorKind::DuplicateKey => {
                f.write_str("two changes of one batch name the same key: keep only the one that should win")
            }
            ErrorKind::Reentrant => f.write_str(
                "this thread is in the middle of an update, which a signal handler interrupted: \
                 update after the handler has returned",
            ),
            ErrorKind::NotWritable if self.address == 0 && self.os == IS_BORROWED => f.write_str(
                "this is a child of vfork, which shares its parent's memory but not its signal handlers, and \
                 updates with breakpoints need both: update in the parent, or in a child of fork",
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
                "the handler of signal {} blocks SIGTRAP, and would end the process if it met a breakpoint: \
                 take SIGTRAP out of its sa_mask and update again",
                self.os
            ),
            ErrorKind::SignalBlocked => write!(
                f,
                "thread {} blocks SIGTRAP or is being debugged, and would end the process if it met a \
                 breakpoint: update again when it does not; in a debugger, set STATIC_CALL_WRITER=window",
                self.address
            ),
            ErrorKind::Sealed => f.write_str("the process is sealed: update before static_call::seal()"),
            ErrorKind::NotMapped => write!(
                f,
                "the code at {:#x}, which calls this key, is not mapped any more or may not be read: have \
                 dlclose unload an image as a whole, and leave its code mapped and readable until then",
                self.address
            ),
            ErrorKind::Unknown => f.write_str(
                "another copy of the static-call runtime in this process, of another version, could not \
                 protect a key: STATIC_CALL_LOG=1 has its reason; build all images with one version",
            ),
            ErrorKind::Count => f.write_str(
                "the branch's count cannot change like this: count down only what was counted up, and \
                 disable a branch only when nobody else has counted it up",
            ),
            ErrorKind::WrongType => write!(
                f,
                "calls of this key check the type of its function (-fsanitize=kcfi), and the one at {:#x} \
                 has another type, or none: give it the key's type, and compile its file with \
                 -fsanitize=kcfi; assembler has a type by __kcfi_typeid_NAME",
                self.address
            ),
            ErrorKind::NotProtected if self.address == 0 => f.write_str(
                "nothing was protected: no image of this process was compiled with the static-call pass",
            ),
            ErrorKind::NotProtected => write!(
                f,
                "the memory at {:#x} was not made read-only (error {}): a key lies in a struct of the \
                 program's own, was compiled without the static-call pass, or the linker has put something \
                 else beside it",
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
            ErrorKind::NoOffState | ErrorKind::DuplicateKey | ErrorKind::Count | ErrorKind::WrongType => {
                std::io::ErrorKind::InvalidInput
            }
            ErrorKind::Reentrant | ErrorKind::SignalBlocked => std::io::ErrorKind::WouldBlock,
            ErrorKind::NotWritable
            | ErrorKind::OtherRuntime
            | ErrorKind::Sealed
            | ErrorKind::NotProtected
            | ErrorKind::Unknown => std::io::ErrorKind::PermissionDenied,
            ErrorKind::ForeignCode | ErrorKind::NotMapped => std::io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of Linux, which `static_call.h` names.
    #[test]
    fn the_numbers_that_c_gets_stay_as_they_are() {
        let expected = [
            (ErrorKind::NoOffState, -22),
            (ErrorKind::DuplicateKey, -22),
            (ErrorKind::Reentrant, -16),
            (ErrorKind::NotWritable, -13),
            (ErrorKind::ForeignCode, -84),
            (ErrorKind::OtherRuntime, -1),
            (ErrorKind::SignalBlocked, -11),
            (ErrorKind::Sealed, -30),
            (ErrorKind::NotProtected, -13),
            (ErrorKind::NotMapped, -14),
            (ErrorKind::Unknown, -71),
            (ErrorKind::Count, -34),
            (ErrorKind::WrongType, -91),
        ];
        assert!(expected.iter().map(|(kind, _)| kind).eq(ErrorKind::ALL));
        for (kind, errno) in expected {
            assert_eq!(Error::with_os(kind, 1, 2).errno(), errno, "{kind:?}");
        }
    }
}
