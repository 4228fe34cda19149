//! Ways to write code that may be running.
//!
//! `window` makes the pages writable and executable for the duration of an update and replaces whole
//! words; `breakpoint` leaves them as they are and writes single bytes through `/proc/self/mem`, with a
//! breakpoint in place of every instruction that is incomplete; `alias` replaces whole words through a second
//! mapping of the pages. The process's permissions decide which one is
//! used. A program without an operating system brings its own ([`CodeWriter`]), which is a window too.

#[cfg(all(
    feature = "os",
    target_os = "linux",
    any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"),
    not(all(loom, test))
))]
pub(crate) mod breakpoint;
#[cfg(not(all(
    feature = "os",
    target_os = "linux",
    any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"),
    not(all(loom, test))
)))]
pub(crate) mod no_breakpoint;
#[cfg(not(all(
    feature = "os",
    target_os = "linux",
    any(all(target_arch = "x86_64", target_pointer_width = "64"), target_arch = "x86"),
    not(all(loom, test))
)))]
pub(crate) use no_breakpoint as breakpoint;
#[cfg(all(feature = "os", target_os = "linux", not(all(loom, test))))]
pub(crate) mod alias;
#[cfg(not(all(feature = "os", target_os = "linux", not(all(loom, test)))))]
pub(crate) mod no_alias;
#[cfg(not(all(feature = "os", target_os = "linux", not(all(loom, test)))))]
pub(crate) use no_alias as alias;
pub(crate) mod aliases;
pub(crate) mod code_writer;
pub(crate) mod serialize;
#[cfg_attr(
    not(all(feature = "os", target_os = "linux", any(target_arch = "x86_64", target_arch = "x86"))),
    allow(dead_code)
)]
#[cfg_attr(all(loom, test), allow(dead_code))]
mod table;
pub(crate) mod way;
pub(crate) mod window;

pub use code_writer::CodeWriter;

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use static_call_abi::installation;

use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::log;
use crate::numbered::numbered;
use crate::os;
use crate::sealed::{custom, has_custom};
use crate::writer::way::Way;

numbered! {
    /// How this process writes its code.
    ///
    /// Chosen by trying when the first image with static calls is loaded, and changed from a window to an
    /// alias, and from that to breakpoints, when the right to it is lost; the variable `STATIC_CALL_WRITER`
    /// asks for one of them.
    ///
    /// ```
    /// use static_call::Writer;
    ///
    /// if static_call::writer() == Writer::Breakpoint {
    ///     eprintln!("no thread may block SIGTRAP");
    /// }
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Writer {
        /// Not at all: calls go through their key's pointer.
        None = 0,
        /// While an update runs, the pages of code that it changes are writable and executable.
        Window = 1,
        /// No page is ever writable and executable: a thread that reaches an instruction that is being
        /// changed hits a breakpoint, whose handler makes the call.
        ///
        /// So every stack that runs static calls needs room for a signal frame, below what the code itself
        /// uses: `getauxval(AT_MINSIGSTKSZ)` bytes (some 3,600 with AVX-512, 11,000 with AMX),
        /// and half a KiB for the red zone and the handler. Where a thread has an alternate stack
        /// (sigaltstack(2)), that one is used; so a signal handler that makes static calls on it needs that
        /// room there.
        Breakpoint = 2,
        /// The program's own, see [`set_writer`](crate::set_writer).
        Custom = 3,
        /// The pages of code that updates change are mapped a second time, and stay writable there until the
        /// process is sealed: no page is ever writable where it is executed, and an update makes two system
        /// calls beside its serialization.
        ///
        /// Calls in a child that is made without fork(3), by clone(2) or `_Fork`, follow its parent's
        /// updates; and a tool that knows code by its file (perf, uprobes) sees these pages as
        /// `/memfd:static-call`.
        Alias = 4,
    }
}

impl Writer {
    /// The name in `STATIC_CALL_WRITER`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Window => "window",
            Self::Breakpoint => "breakpoint",
            Self::Custom => "custom",
            Self::Alias => "alias",
        }
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The writer in use, its number plus one; 0 before one was chosen.
static CHOSEN: AtomicU32 = AtomicU32::new(0);
/// Whether `STATIC_CALL_WRITER` asked for it.
static ASKED: AtomicU32 = AtomicU32::new(0);

fn store(writer: Writer) {
    CHOSEN.store(writer.to_wire() + 1, Ordering::Relaxed);
}

/// As if it had been chosen.
#[cfg(test)]
#[allow(dead_code, reason = "for the tests that fabricate images")]
pub(crate) fn set(writer: Writer, _lock: &Guard) {
    store(writer);
}

/// The writer to try first.
pub(crate) fn preferred(_lock: &Guard) -> Writer {
    if has_custom() {
        return Writer::Custom;
    }
    if CHOSEN.load(Ordering::Relaxed) == 0 {
        let asked = asked();
        ASKED.store(asked.is_some().into(), Ordering::Relaxed);
        store(asked.unwrap_or(Writer::Window));
    }
    of_process()
}

/// The writer in use.
pub(crate) fn of_process() -> Writer {
    if has_custom() {
        return Writer::Custom;
    }
    Writer::from_wire(CHOSEN.load(Ordering::Relaxed).wrapping_sub(1)).unwrap_or(Writer::None)
}

/// How the writer in use reaches the words that it replaces.
pub(crate) fn way(lock: &Guard) -> Way {
    match custom(lock) {
        Some(writer) => Way::Custom(writer),
        None if of_process() == Writer::Alias => Way::Alias,
        None => Way::InPlace,
    }
}

/// Whether another writer should try what this one was refused. If so, that one is in use from now on.
pub(crate) fn steps_down(error: &Error, lock: &Guard) -> bool {
    let next = next(error, lock);
    if let Some(next) = next {
        store(next);
        match next {
            Writer::Alias => {
                log::log!("the code may not be made writable: writing through an alias from now on")
            }
            _ => log::log!("the code may not be made writable: using breakpoints from now on"),
        }
    }
    next.is_some()
}

/// The writer to try after this one was refused.
pub(crate) fn next(error: &Error, _lock: &Guard) -> Option<Writer> {
    let is_free = ASKED.load(Ordering::Relaxed) == 0 && is_forbidden(error);
    let next = match of_process() {
        Writer::Window if alias::SUPPORTED => Writer::Alias,
        Writer::Window | Writer::Alias if breakpoint::SUPPORTED => Writer::Breakpoint,
        _ => return None,
    };
    is_free.then_some(next)
}

/// Whether the pages were refused, and not only for lack of memory or files.
fn is_forbidden(error: &Error) -> bool {
    error.kind() == ErrorKind::NotWritable
        && error.address() != 0
        && error.raw_os_error().is_some_and(|os| ![EAGAIN, ENOMEM, ENFILE, EMFILE].contains(&os))
}

const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

fn asked() -> Option<Writer> {
    let value = os::environment(installation::WRITER)?.to_bytes();
    if value.is_empty() {
        return None;
    }
    let known = [Writer::None, Writer::Window, Writer::Alias, Writer::Breakpoint];
    let writer = known.into_iter().find(|writer| writer.as_str().as_bytes() == value);
    if writer.is_none() {
        log::print(format_args!(
            "STATIC_CALL_WRITER={} is not a writer (window, alias, breakpoint, none): using the default",
            value.escape_ascii()
        ));
    }
    writer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_that_are_forbidden_let_a_writer_step_down() {
        const EACCES: i32 = 13;
        const EPERM: i32 = 1;
        let cases = [
            (ErrorKind::NotWritable, 0x1000, EACCES, true),
            (ErrorKind::NotWritable, 0x1000, EPERM, true),
            (ErrorKind::NotWritable, 0x1000, ENOMEM, false),
            (ErrorKind::NotWritable, 0x1000, EAGAIN, false),
            // Not the pages, but membarrier(2).
            (ErrorKind::NotWritable, 0, EPERM, false),
            (ErrorKind::NotWritable, 0x1000, 0, false),
            (ErrorKind::ForeignCode, 0x1000, EACCES, false),
            (ErrorKind::SignalBlocked, 0x1000, EACCES, false),
            (ErrorKind::NotMapped, 0x1000, EACCES, false),
        ];
        for (kind, address, os, expected) in cases {
            let error = Error::with_os(kind, address, os);
            assert_eq!(is_forbidden(&error), expected, "{kind:?} {address:#x} {os}");
        }
    }
}
