//! The runtime's own words that decide where a call goes, or what is written where: the program's writer, the
//! list of aliases, the breakpoints that the handler of SIGTRAP answers, the handlers that it passes other
//! signals to, and the journal. They lie on a page that the seal protects.
//!
//! After the seal the page, and the memory that these words point at, are *open* only while an image is being
//! loaded, or when an unloaded one leaves something to do. Everything else that the runtime keeps may be
//! overwritten, and is not trusted:
//!
//! - The lock: loads, unloads and updates are refused, or wait for ever. Calls do not take it.
//! - Mode, writer and environment (`mode.rs`, `writer/mod.rs`, `log.rs`): later images are patched in another
//!   way, or not at all.
//! - Refused updates (`refusal.rs`), noted changes (`journal.rs`), variables (`variable.rs`), room for
//!   changes (`listing.rs`), keys outside of any image (`protect.rs`): only updates read them, and the seal,
//!   whose result may be wrong.
//! - Actions that were for one signal only (`trap.rs`): the next such signal ends the process.
//! - The list of images, their descriptors, the maps of their pages: queries, loading, unloading and another
//!   seal may report nonsense, or crash. They never write code because of it: an image's code is written only
//!   while that image is loaded, and according to what its registration has just found.
//!
//! No such write undoes the seal: the runtime makes no pages writable except this one, that memory, and the
//! code of the image that is being loaded.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use crate::format::Access;
use crate::lock::Guard;
use crate::log::log;
use crate::os::{self, Refused};
use crate::page::Page;
use crate::steps::Journal;
use crate::writer::aliases::Aliases;
use crate::writer::breakpoint::state::State;
use crate::writer::code_writer::CodeWriter;

/// See the module's head. Each module says what its own words are.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// Whether updates are refused.
    pub(crate) is_sealed: AtomicU32,
    /// After the seal: whether these words may be written.
    is_open: AtomicU32,
    writer: CustomWriter,
    pub(crate) journal: Journal,
    #[allow(dead_code, reason = "used where there are aliases")]
    pub(crate) aliases: Aliases,
    #[allow(dead_code, reason = "empty where no writer has breakpoints")]
    pub(crate) breakpoints: State,
}

pub(crate) static SEALED: Page<Sealed> = Page(Sealed {
    is_sealed: AtomicU32::new(0),
    is_open: AtomicU32::new(0),
    writer: CustomWriter { is_set: AtomicU32::new(0), writer: UnsafeCell::new(None) },
    journal: Journal::new(),
    aliases: Aliases::new(),
    breakpoints: State::new(),
});

/// Whether updates are refused.
pub(crate) fn is_set(_lock: &Guard) -> bool {
    is_sealed()
}

/// The same without the lock.
pub(crate) fn is_sealed() -> bool {
    SEALED.0.is_sealed.load(Ordering::Relaxed) != 0
}

/// Whether the words must not be written: the process is sealed, and they are not open.
pub(crate) fn is_closed() -> bool {
    is_sealed() && SEALED.0.is_open.load(Ordering::Relaxed) == 0
}

/// The program's own writer. Only the lock's holder reads and replaces it; anybody may ask whether there is
/// one.
#[derive(Debug)]
struct CustomWriter {
    is_set: AtomicU32,
    writer: UnsafeCell<Option<&'static dyn CodeWriter>>,
}

// SAFETY: the cell is touched under the lock alone, by `set_custom` and `custom`, which ask for it; a writer
// is `Sync`.
unsafe impl Sync for CustomWriter {}

/// Lets the program's own writer write code.
pub(crate) fn set_custom(writer: &'static dyn CodeWriter, _lock: &Guard) {
    let CustomWriter { is_set, writer: cell } = &SEALED.0.writer;
    // A child that is forked between these stores has no writer, rather than half of one.
    is_set.store(0, Ordering::Release);
    fence(Ordering::Release);
    // SAFETY: the lock is held, and nobody keeps a reference to the cell.
    unsafe { *cell.get() = Some(writer) };
    is_set.store(1, Ordering::Release);
}

/// As if the program had none of its own.
#[cfg(test)]
#[allow(dead_code, reason = "for the tests that fabricate images")]
pub(crate) fn unset_custom(_lock: &Guard) {
    SEALED.0.writer.is_set.store(0, Ordering::Release);
}

/// The program's own writer.
pub(crate) fn custom(_lock: &Guard) -> Option<&'static dyn CodeWriter> {
    // SAFETY: the lock is held.
    if has_custom() { unsafe { *SEALED.0.writer.writer.get() } } else { None }
}

/// Whether there is one, without the lock.
pub(crate) fn has_custom() -> bool {
    SEALED.0.writer.is_set.load(Ordering::Acquire) != 0
}

/// While this lives, the words may be written.
#[derive(Debug)]
pub(crate) struct Opened<'lock> {
    lock: &'lock Guard,
    /// Whether somebody has to close them.
    is_mine: bool,
}

/// Opens the words. Before the seal they are open.
///
/// With the program's own writer they stay closed, since its protection is permanent; nothing has to be
/// written then, because its windows need neither breakpoints nor a journal.
pub(crate) fn open(lock: &Guard) -> Result<Opened<'_>, Refused> {
    let is_mine = is_closed() && !has_custom();
    if is_mine {
        set_access(true, lock)?;
        SEALED.0.is_open.store(1, Ordering::Relaxed);
    }
    Ok(Opened { lock, is_mine })
}

/// Marks the process as sealed, if it is not. The words stay open until they are closed.
pub(crate) fn seal(_lock: &Guard) {
    if !is_sealed() {
        SEALED.0.is_open.store(1, Ordering::Relaxed);
        SEALED.0.is_sealed.store(1, Ordering::Relaxed);
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if self.is_mine
            && let Err(Refused(os)) = close(self.lock)
        {
            log!("the runtime's own memory stays writable: protecting it is refused (error {os})");
        }
    }
}

/// Makes the words of a sealed process read-only, whether they are open or not.
pub(crate) fn close(lock: &Guard) -> Result<(), Refused> {
    if !is_closed() {
        SEALED.0.journal.end();
        SEALED.0.is_open.store(0, Ordering::Relaxed);
    }
    set_access(false, lock)
}

fn set_access(is_open: bool, lock: &Guard) -> Result<(), Refused> {
    let own = || set_access_of((&raw const SEALED).addr(), size_of::<Page<Sealed>>(), is_open, lock);
    let memory =
        || SEALED.0.breakpoints.for_each_memory(|start, len| set_access_of(start, len, is_open, lock));
    // The memory is found by what the page says.
    if is_open { own().and_then(|()| memory()) } else { memory().and(own()) }
}

fn set_access_of(start: usize, len: usize, is_open: bool, lock: &Guard) -> Result<(), Refused> {
    let access = Access { read: true, write: is_open, execute: false, guarded: false };
    match custom(lock) {
        Some(writer) if !is_open => writer.protect(start as *mut u8, len).map_err(Refused),
        Some(_) => Err(Refused(0)),
        // SAFETY: whole pages of ours, which only the lock's holder writes to, while they are open.
        None => unsafe { os::set_access(start, len, access) },
    }
}
