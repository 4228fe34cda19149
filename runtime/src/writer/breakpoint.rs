//! Writing code byte by byte, with breakpoints: no page is ever writable and executable.
//!
//! Bytes go through `/proc/self/mem`, which writes to memory that the process itself may not. It does not
//! promise to write several bytes at once, so code that may be running changes by single bytes only:
//!
//! 1. a breakpoint (`int3`) becomes the first byte of every instruction that changes; all threads serialize;
//! 2. the other bytes become those of the new instruction; all threads serialize;
//! 3. the first byte becomes that of the new instruction; all threads serialize.
//!
//! So no processor ever executes bytes that changed since it last serialized, except that one first byte.
//! This is what Intel asks for (Software Developer's Manual, volume 3A, "Handling Self- and Cross-Modifying
//! Code"), and how Linux patches its own code (`smp_text_poke_batch_process`). Instructions need no alignment
//! for it.
//!
//! A thread that meets a breakpoint gets SIGTRAP. Our handler then does what the instruction would do if
//! it was not patched at all: it calls, or jumps to, what the key points at. So a breakpoint is correct as
//! long as the handler knows it, even if it stays for ever.
//!
//! # What the handler reads
//!
//! The handler takes no lock and may be arbitrarily late: the update that set its breakpoint may be over,
//! and another one under way. It finds instruction, key and kind in a table (`table.rs`) that is published
//! before the first breakpoint of an update is set, and withdrawn when the last one is gone.
//!
//! # Safety
//!
//! As for `update.rs`: addresses were checked against the image's code, and the lock is held.

mod code_file;
mod entries;
mod replaced;
pub(crate) mod state;
mod trap;

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::arch::{WORD, native};
use crate::code_word;
use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::log::log;
use crate::os::{self, Blocked, Patience, Refused};
use crate::patch::Patch;
use crate::sealed::{self, SEALED};
use crate::writer::breakpoint::code_file::{CodeFile, NOT_SUPPORTED};
use crate::writer::breakpoint::state::{Patches, State};
use crate::writer::serialize::serialize;
use crate::writer::table::{Table, Trapped};

pub(crate) const SUPPORTED: bool = true;

/// The breakpoints of one update.
#[derive(Debug)]
pub(crate) struct Breakpoints<'lock> {
    lock: &'lock Guard,
    file: CodeFile,
    patches: Patches<'lock>,
    len: usize,
}

static STATE: &State = &SEALED.0.breakpoints;
static STUCK: &AtomicUsize = &STATE.stuck;
static TABLE: &Table = &STATE.table;

impl<'lock> Breakpoints<'lock> {
    /// Gets everything that may be refused, for `count` instructions. If `is_again`, this update was refused
    /// before, and threads are not waited for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotWritable`], and [`ErrorKind::SignalBlocked`] if a thread could not take a breakpoint.
    ///
    /// # Safety
    ///
    /// There are no others.
    pub(crate) unsafe fn open(count: usize, is_again: bool, lock: &'lock Guard) -> Result<Self, Error> {
        let refused = |Refused(os)| Error::with_os(ErrorKind::NotWritable, 0, os);
        if os::has_shadow_stack() {
            // The handler cannot push a return address onto a shadow stack.
            return Err(refused(Refused(NOT_SUPPORTED)));
        }
        let file = CodeFile::open().map_err(refused)?;
        // SAFETY: the caller's promise. What works on an earlier update's breakpoints is over.
        let patches = unsafe { STATE.reserve(count, lock) }.map_err(refused)?;
        trap::install(lock).map_err(refused)?;
        let patience = if is_again { Patience::Short } else { Patience::Long };
        match os::blocked(trap::SIGNAL, patience).map_err(refused)? {
            Some(Blocked::Thread(thread)) => {
                return Err(Error::at(ErrorKind::SignalBlocked, thread as usize));
            }
            Some(Blocked::Handler(other)) => return Err(Error::with_os(ErrorKind::SignalBlocked, 0, other)),
            None => {}
        }
        Ok(Self { lock, file, patches, len: 0 })
    }

    /// Adds an instruction. None has been changed yet.
    pub(crate) fn add(&mut self, patch: Patch) -> Result<(), Error> {
        if patch.old != patch.new {
            // More than were counted: somebody else has changed one of them meanwhile.
            let free = self.patches.slice().get_mut(self.len);
            *free.ok_or(Error::at(ErrorKind::ForeignCode, patch.pc))? = patch;
            self.len += 1;
        }
        Ok(())
    }

    /// Round 1. When this returns, each instruction goes through its key; on an error none was changed.
    pub(crate) fn set(&mut self) -> Result<(), Error> {
        let patches = &mut self.patches.slice()[..self.len];
        patches.sort_unstable_by_key(|patch| patch.pc);
        publish(patches);
        for index in 0..self.len {
            let patch = self.patches.slice()[index];
            let result = if word(&patch) == patch.old {
                self.write(patch.pc, &[native::BREAKPOINT])
            } else {
                Err(Error::at(ErrorKind::ForeignCode, patch.pc))
            };
            if let Err(error) = result {
                self.remove(index);
                return Err(error);
            }
        }
        serialize(self.lock).inspect_err(|_| self.remove(self.len))
    }

    /// Removes the first `count` breakpoints.
    fn remove(&mut self, count: usize) {
        let mut all = true;
        for index in 0..count {
            let patch = self.patches.slice()[index];
            if word(&patch)[patch.offset()] == native::BREAKPOINT {
                all &= self.write(patch.pc, &[patch.old[patch.offset()]]).is_ok();
            }
        }
        // If that is refused, threads come around to the old code with their next interrupt, and until then
        // the handler sends them back to it.
        let _ = serialize(self.lock);
        if all {
            return withdraw();
        }
        self.patches.slice()[..count].iter_mut().for_each(|patch| patch.new = patch.old);
        STUCK.store(count, Ordering::Relaxed);
    }

    /// Rounds 2 and 3. When this returns, each instruction is the new one.
    ///
    /// If something is refused now that was permitted in the first round, breakpoints stay where they are.
    /// That is no error: calls go through their keys, and reach the right function.
    pub(crate) fn replace(mut self) {
        match self.replace_bytes() {
            Ok(()) => withdraw(),
            Err(_) => STUCK.store(self.len, Ordering::Relaxed),
        }
    }

    fn replace_bytes(&mut self) -> Result<(), Error> {
        for index in 0..self.len {
            let Patch { pc, kind, new, .. } = self.patches.slice()[index];
            let offset = pc % WORD;
            self.write(pc + 1, &new[offset + 1..offset + native::length(kind)])?;
        }
        serialize(self.lock)?;
        for index in 0..self.len {
            let Patch { pc, new, .. } = self.patches.slice()[index];
            self.write(pc, &[new[pc % WORD]])?;
        }
        serialize(self.lock)
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> Result<(), Error> {
        let mut result = self.write_once(address, bytes);
        if result.is_err()
            && let Ok(file) = CodeFile::open()
        {
            // Another thread may have closed all files that it did not know.
            self.file = file;
            result = self.write_once(address, bytes);
        }
        result.map_err(|Refused(os)| Error::with_os(ErrorKind::NotWritable, address, os))
    }

    fn write_once(&self, address: usize, bytes: &[u8]) -> Result<(), Refused> {
        // SAFETY: the bytes of an instruction that the plan has checked, in the order that the module's
        // head says.
        unsafe { self.file.write(address, bytes) }?;
        // What came to the wrong place did not come here.
        let is_there = |(index, &byte): (usize, &u8)| {
            let address = address + index;
            // SAFETY: the plan has found the word in the code of a registered image.
            (unsafe { code_word::load(address / WORD * WORD) })[address % WORD] == byte
        };
        if bytes.iter().enumerate().all(is_there) { Ok(()) } else { Err(Refused(NOT_SUPPORTED)) }
    }
}

/// Finishes an update that could not be finished.
///
/// # Errors
///
/// [`ErrorKind::NotWritable`] if it still cannot be.
pub(crate) fn finish(lock: &Guard) -> Result<(), Error> {
    let len = STUCK.load(Ordering::Relaxed);
    if len == 0 {
        return Ok(());
    }
    let refused = |Refused(os)| Error::with_os(ErrorKind::NotWritable, 0, os);
    let file = CodeFile::open().map_err(refused)?;
    // SAFETY: who calls this has no breakpoints of its own yet.
    let patches = unsafe { STATE.patches(lock) };
    let mut left = Breakpoints { lock, file, patches, len };
    left.replace_bytes()?;
    withdraw();
    STUCK.store(0, Ordering::Relaxed);
    Ok(())
}

/// In a child that has inherited breakpoints of an update, but not its thread: has each instruction be the
/// new one where `is_made`, and otherwise the old one.
pub(crate) fn recover(is_made: bool, lock: &Guard) {
    let stuck = STUCK.load(Ordering::Relaxed);
    let len = TABLE.shown();
    if stuck != 0 {
        // The next update finishes them.
        // SAFETY: the child has just got the lock, and nothing of the parent's thread runs in it.
        return publish(&unsafe { STATE.patches(lock) }.slice()[..stuck]);
    }
    if len == 0 {
        return TABLE.withdraw();
    }
    // SAFETY: as above.
    let mut patches = unsafe { STATE.patches(lock) };
    match CodeFile::open() {
        Ok(file) => {
            let mut left = Breakpoints { lock, file, patches, len };
            if is_made { left.replace() } else { left.remove(len) }
        }
        Err(Refused(os)) => {
            log!(
                "a child of fork has no file for its code ({os}): calls with a breakpoint go through their \
                 keys"
            );
            if !is_made {
                patches.slice()[..len].iter_mut().for_each(|patch| patch.new = patch.old);
            }
            STUCK.store(len, Ordering::Relaxed);
        }
    }
}

/// Forgets breakpoints in code that is being unloaded.
pub(crate) fn forget(code: Range<usize>, lock: &Guard) {
    let stuck = STUCK.load(Ordering::Relaxed);
    if stuck == 0 {
        return;
    }
    let Ok(_opened) = sealed::open(lock) else {
        log!("cannot forget breakpoints in unloaded code: the runtime's own memory cannot be made writable");
        return;
    };
    // SAFETY: the unload has replaced its breakpoints.
    let mut patches = unsafe { STATE.patches(lock) };
    let patches = patches.slice();
    let mut len = 0;
    for index in 0..stuck {
        if !code.contains(&patches[index].pc) {
            patches.swap(len, index);
            len += 1;
        }
    }
    if STUCK.swap(len, Ordering::Relaxed) != len {
        publish(&patches[..len]);
    }
}

/// Gives SIGTRAP back to the program, and frees memory that no handler can read any more.
pub(crate) fn leave(lock: &Guard) {
    let Ok(_opened) = sealed::open(lock) else { return };
    if finish(lock).is_ok() && trap::uninstall(lock) {
        // SAFETY: nobody can call our handler any more; no operation is under way.
        unsafe { STATE.free(lock) };
    }
}

fn publish(patches: &[Patch]) {
    TABLE.publish(patches.iter().map(|&Patch { pc, key, kind, target, .. }| Trapped {
        pc,
        key,
        kind,
        target,
    }));
}

/// All breakpoints are gone. The program may replace our handler from now on, so wait for threads that met
/// one.
fn withdraw() {
    TABLE.withdraw();
    // Refused if the process has no file left that it may open: then there may still be one.
    let _ = os::wait_until_taken(trap::SIGNAL);
}

/// Whether an instruction that starts with this byte is a breakpoint.
pub(crate) fn is_one(byte: u8) -> bool {
    byte == native::BREAKPOINT
}

/// The word of code, as it is now.
fn word(patch: &Patch) -> [u8; WORD] {
    // SAFETY: the plan has found it in the code of a registered image.
    unsafe { code_word::load(patch.address()) }
}
