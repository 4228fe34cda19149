//! Ways to write code that may be running.
//!
//! `window` makes the pages writable and executable for the duration of an update and replaces whole
//! words; `breakpoint` leaves them as they are and writes single bytes through `/proc/self/mem`, with a
//! breakpoint in the place of every instruction that is not whole. Which one it is decides the process's
//! rights; a program without an operating system brings its own ([`CodeWriter`]), which is a window, too.

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
#[path = "no_breakpoint.rs"]
pub(crate) mod breakpoint;
#[cfg_attr(not(all(feature = "os", any(target_arch = "x86_64", target_arch = "x86"))), allow(dead_code))]
#[cfg_attr(all(loom, test), allow(dead_code))]
mod table;
pub(crate) mod window;

use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::error::{Error, ErrorKind};
use crate::image;
use crate::lock::{self, Guard};
use crate::log;
use crate::mode;
use crate::os::{self, Refused};

/// How this process writes its code.
///
/// Chosen by trying when the first image with static calls is loaded, and changed from a window to
/// breakpoints when the right to a window is lost; the variable `STATIC_CALL_WRITER` asks for one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Writer {
    /// Not at all: calls go through their key's pointer.
    None,
    /// While an update runs, the pages of code that it changes are writable and executable.
    Window,
    /// No page is ever writable and executable: threads that meet an instruction which is being changed
    /// run into a breakpoint, whose handler makes the call.
    Breakpoint,
    /// The program's own, see [`set_writer`].
    Custom,
}

impl Writer {
    const ALL: [Self; 4] = [Self::None, Self::Window, Self::Breakpoint, Self::Custom];

    /// The name in `STATIC_CALL_WRITER`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Window => "window",
            Self::Breakpoint => "breakpoint",
            Self::Custom => "custom",
        }
    }

    /// The writer with this number in `enum static_call_writer`.
    pub(crate) fn from_number(number: i32) -> Self {
        Self::ALL.into_iter().find(|&writer| writer as i32 == number).unwrap_or(Self::None)
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Writes code where there is no operating system that could be asked: in a kernel, on bare metal, in a
/// process without libc. Handed over by [`set_writer`].
///
/// An update calls, in this order: `open` for each image that it changes, `alias` for each word that it
/// replaces, `serialize`, and `close` for each image. All of them run under the runtime's lock, so never
/// twice at a time. If an `open` or `serialize` fails, so does the update, and nothing has changed.
///
/// ```
/// /// A kernel that maps its code writable a second time, and runs on one processor.
/// struct Alias { offset: isize }
///
/// // SAFETY: the code is mapped at both addresses, and `cpuid` serializes (Intel SDM volume 3, 9.3).
/// unsafe impl static_call::CodeWriter for Alias {
///     fn alias(&self, word: *mut u8) -> *mut u8 {
///         word.wrapping_offset(self.offset)
///     }
///     fn serialize(&self) -> Result<(), i32> {
///         # #[cfg(target_arch = "x86_64")]
///         core::arch::x86_64::__cpuid(0);
///         Ok(())
///     }
/// }
///
/// static WRITER: &dyn static_call::CodeWriter = &Alias { offset: 0x1000_0000 };
/// # fn main() {} fn boot() {
/// static_call::set_writer(&WRITER).expect("nothing interrupts the boot");
/// # }
/// ```
///
/// # Safety
///
/// - Between `open` and `close`, an aligned word of the opened code can be loaded and stored at
///   `alias(word)`, and processors that fetch instructions from `word` see what was stored.
/// - When `serialize` returns `Ok`, every processor that may run the code has executed a serializing
///   instruction since it was called, or does so before it runs the code again.
pub unsafe trait CodeWriter: Sync {
    /// Makes code writable. By default it is already.
    ///
    /// # Errors
    ///
    /// Any number but 0, for [`Error::raw_os_error`]: the code may not be written.
    fn open(&self, start: *mut u8, len: usize) -> Result<(), i32> {
        let _ = (start, len);
        Ok(())
    }

    /// Undoes `open`. Also called after an `open` that failed.
    fn close(&self, start: *mut u8, len: usize) {
        let _ = (start, len);
    }

    /// Where this word of code can be written. By default in its place.
    fn alias(&self, word: *mut u8) -> *mut u8 {
        word
    }

    /// Makes whole pages of data read-only for good, for [`seal`](crate::seal). By default that cannot be had.
    ///
    /// # Errors
    ///
    /// Any number but 0, for [`Error::raw_os_error`].
    fn protect(&self, start: *mut u8, len: usize) -> Result<(), i32> {
        let _ = (start, len);
        Err(ENOSYS)
    }

    /// Returns when no processor runs instructions any more that it fetched before.
    ///
    /// # Errors
    ///
    /// Any number but 0: that cannot be had. Then nothing is patched.
    fn serialize(&self) -> Result<(), i32>;
}

/// Has code written by the program's own writer, from now on and for the images that are registered
/// already: their calls become direct.
///
/// # Errors
///
/// [`ErrorKind::Reentrant`] from an interrupt or signal handler in the middle of an update. Code that the
/// writer may not write is none: it stays on its trampolines, and [`mode`](crate::mode()) tells.
pub fn set_writer(writer: &'static &'static dyn CodeWriter) -> Result<(), Error> {
    let lock = lock::lock()?;
    CUSTOM.store(core::ptr::from_ref(writer).cast_mut(), Ordering::Release);
    mode::choose_again(&lock);
    image::patch_all(&lock);
    Ok(())
}

static CUSTOM: AtomicPtr<&'static dyn CodeWriter> = AtomicPtr::new(core::ptr::null_mut());

pub(crate) fn custom() -> Option<&'static dyn CodeWriter> {
    // SAFETY: null, or what `set_writer` was given.
    unsafe { CUSTOM.load(Ordering::Acquire).as_ref() }.copied()
}

/// Returns when no thread runs instructions that it fetched before the call.
pub(crate) fn serialize() -> Result<(), Error> {
    let result =
        custom().map_or_else(os::serialize_all_threads, |writer| writer.serialize().map_err(Refused));
    result.map_err(|Refused(os)| Error::with_os(ErrorKind::NotWritable, 0, os))
}

/// The writer in use, its number plus one; 0 before one was chosen.
static CHOSEN: AtomicU32 = AtomicU32::new(0);
/// Whether `STATIC_CALL_WRITER` asked for it.
static ASKED: AtomicU32 = AtomicU32::new(0);

fn store(writer: Writer) {
    CHOSEN.store(writer as u32 + 1, Ordering::Relaxed);
}

/// The writer to try first.
pub(crate) fn wanted(_lock: &Guard) -> Writer {
    if custom().is_some() {
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
    if custom().is_some() {
        return Writer::Custom;
    }
    let number = CHOSEN.load(Ordering::Relaxed).saturating_sub(1);
    Writer::from_number(number as i32)
}

/// Whether another writer shall try what was refused to this one; then it is the one in use from now on.
pub(crate) fn steps_down(error: &Error, _lock: &Guard) -> bool {
    // The pages were refused, and not only for lack of memory.
    let is_forbidden =
        error.address() != 0 && error.raw_os_error().is_some_and(|os| ![EAGAIN, ENOMEM].contains(&os));
    let steps_down = error.kind() == ErrorKind::NotWritable
        && is_forbidden
        && breakpoint::SUPPORTED
        && of_process() == Writer::Window
        && ASKED.load(Ordering::Relaxed) == 0;
    if steps_down {
        store(Writer::Breakpoint);
        log::log!("the code may not be made writable: using breakpoints from now on");
    }
    steps_down
}

const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const ENOSYS: i32 = 38;

fn asked() -> Option<Writer> {
    let value = os::environment(c"STATIC_CALL_WRITER")?.to_bytes();
    if value.is_empty() {
        return None;
    }
    let known = [Writer::None, Writer::Window, Writer::Breakpoint];
    let writer = known.into_iter().find(|writer| writer.as_str().as_bytes() == value);
    if writer.is_none() {
        log::print(format_args!(
            "STATIC_CALL_WRITER={} is no writer; valid are window, breakpoint and none; using the default",
            value.escape_ascii()
        ));
    }
    writer
}
