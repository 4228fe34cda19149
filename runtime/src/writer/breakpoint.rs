//! Writing code byte by byte, with breakpoints: no page is ever writable and executable.
//!
//! Bytes go through `/proc/self/mem`, which writes to memory that the process itself may not. It does not
//! promise to write several bytes at once, so code that may be running changes by single bytes only:
//!
//! 1. a breakpoint (`int3`) becomes the first byte of every instruction that changes; all threads serialize;
//! 2. the other bytes become those of the new instruction; all threads serialize;
//! 3. the first byte becomes that of the new instruction; all threads serialize.
//!
//! So no processor ever executes bytes that changed since it last serialized, but for the one first byte:
//! what Intel asks for (Software Developer's Manual, volume 3A, "Handling Self- and Cross-Modifying Code"),
//! and how Linux patches its own code (`smp_text_poke_batch_process`). Instructions need no alignment for it.
//!
//! A thread that meets a breakpoint gets SIGTRAP. Our handler then does what the instruction would do if
//! it was not patched at all: it calls, or jumps to, what the key points at. So a breakpoint is correct as
//! long as the handler knows it, even if it stayed for ever.
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

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::arch::{WORD, native};
use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::os::{self, Blocked, Refused, trap};
use crate::text::{self, Text};
use crate::update::Patch;
use crate::writer;
use crate::writer::table::{Entries, Entry, Table, Trapped};

pub(crate) use crate::writer::table::Met;

pub(crate) const SUPPORTED: bool = true;

/// The breakpoints of one update.
#[derive(Debug)]
pub(crate) struct Breakpoints {
    file: os::CodeFile,
    patches: &'static mut [Patch],
    len: usize,
}

/// How many breakpoints stayed where they are, since an update could not be finished; the next one begins with
/// them. Until then they are in the table, and their patches say what shall stand there.
static STUCK: AtomicUsize = AtomicUsize::new(0);

impl Breakpoints {
    /// Gets everything that may be refused, for `count` instructions.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotWritable`], and [`ErrorKind::SignalBlocked`] if a thread could not take a breakpoint.
    pub(crate) fn open(count: usize, lock: &Guard) -> Result<Self, Error> {
        let refused = |Refused(os)| Error::with_os(ErrorKind::NotWritable, 0, os);
        if os::has_shadow_stack() {
            // The handler cannot push a return address onto a shadow stack.
            return Err(refused(Refused(os::NOT_SUPPORTED)));
        }
        let file = os::CodeFile::open().map_err(refused)?;
        let patches = Memory::reserve(count, lock).map_err(refused)?;
        trap::install(lock).map_err(refused)?;
        match os::blocked(trap::SIGNAL).map_err(refused)? {
            Some(Blocked::Thread(thread)) => {
                return Err(Error::at(ErrorKind::SignalBlocked, thread as usize));
            }
            Some(Blocked::Handler(other)) => return Err(Error::with_os(ErrorKind::SignalBlocked, 0, other)),
            None => {}
        }
        Ok(Self { file, patches, len: 0 })
    }

    /// Adds an instruction, none of which was touched yet.
    pub(crate) fn add(&mut self, patch: Patch) -> Result<(), Error> {
        if patch.old != patch.new {
            // More than were counted: somebody else has changed one of them meanwhile.
            let free = self.patches.get_mut(self.len);
            *free.ok_or(Error::at(ErrorKind::ForeignCode, patch.pc))? = patch;
            self.len += 1;
        }
        Ok(())
    }

    /// Round 1. When this returns, each instruction goes through its key; on an error none was changed.
    pub(crate) fn set(&mut self) -> Result<(), Error> {
        let patches = &mut self.patches[..self.len];
        patches.sort_unstable_by_key(|patch| patch.pc);
        publish(patches);
        for index in 0..self.len {
            let patch = self.patches[index];
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
        writer::serialize().inspect_err(|_| self.remove(self.len))
    }

    /// Takes back the first of the breakpoints.
    fn remove(&mut self, count: usize) {
        let mut all = true;
        for index in 0..count {
            let patch = self.patches[index];
            if word(&patch)[patch.offset()] == native::BREAKPOINT {
                all &= self.write(patch.pc, &[patch.old[patch.offset()]]).is_ok();
            }
        }
        // If that is refused, threads come around to the old code with their next interrupt, and until then
        // the handler sends them back to it.
        let _ = writer::serialize();
        if all {
            return withdraw();
        }
        self.patches[..count].iter_mut().for_each(|patch| patch.new = patch.old);
        STUCK.store(count, Ordering::Relaxed);
    }

    /// Rounds 2 and 3. When this returns, each instruction is the new one.
    ///
    /// If something is refused now that was permitted in the first round, breakpoints stay where they are. That
    /// is no error: calls go through their keys, to where they shall.
    pub(crate) fn replace(mut self) {
        match self.replace_bytes() {
            Ok(()) => withdraw(),
            Err(_) => STUCK.store(self.len, Ordering::Relaxed),
        }
    }

    fn replace_bytes(&mut self) -> Result<(), Error> {
        for index in 0..self.len {
            let Patch { pc, kind, new, .. } = self.patches[index];
            let offset = pc % WORD;
            self.write(pc + 1, &new[offset + 1..offset + native::length(kind)])?;
        }
        writer::serialize()?;
        for index in 0..self.len {
            let Patch { pc, new, .. } = self.patches[index];
            self.write(pc, &[new[pc % WORD]])?;
        }
        writer::serialize()
    }

    fn write(&mut self, address: usize, bytes: &[u8]) -> Result<(), Error> {
        let mut result = self.write_once(address, bytes);
        if result.is_err()
            && let Ok(file) = os::CodeFile::open()
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
            (unsafe { text::load(address / WORD * WORD) })[address % WORD] == byte
        };
        if bytes.iter().enumerate().all(is_there) { Ok(()) } else { Err(Refused(os::NOT_SUPPORTED)) }
    }
}

/// Finishes an update that could not be finished.
///
/// # Errors
///
/// [`ErrorKind::NotWritable`] if it still cannot be.
pub(crate) fn finish(_lock: &Guard) -> Result<(), Error> {
    let len = STUCK.load(Ordering::Relaxed);
    if len == 0 {
        return Ok(());
    }
    let refused = |Refused(os)| Error::with_os(ErrorKind::NotWritable, 0, os);
    let file = os::CodeFile::open().map_err(refused)?;
    let mut left = Breakpoints { file, patches: Memory::patches(), len };
    left.replace_bytes()?;
    withdraw();
    STUCK.store(0, Ordering::Relaxed);
    Ok(())
}

/// Forgets the breakpoints that were left in code that goes away.
pub(crate) fn forget(code: Range<usize>, _lock: &Guard) {
    let patches = Memory::patches();
    let mut len = 0;
    for index in 0..STUCK.load(Ordering::Relaxed) {
        if !code.contains(&patches[index].pc) {
            patches.swap(len, index);
            len += 1;
        }
    }
    if STUCK.swap(len, Ordering::Relaxed) != len {
        publish(&patches[..len]);
    }
}

/// Leaves SIGTRAP to the program again.
pub(crate) fn leave() {
    trap::uninstall();
}

fn publish(patches: &[Patch]) {
    TABLE.publish(patches.iter().map(|&Patch { pc, key, kind, .. }| Trapped { pc, key, kind }));
}

/// All breakpoints are gone. The program may now replace our handler, so those who have met one shall be through.
fn withdraw() {
    TABLE.withdraw();
    // Refused if the process has no file left that it may open: then there may still be one.
    let _ = os::wait_until_taken(trap::SIGNAL);
}

/// Whether somebody else has set a breakpoint at `pc`, where none of ours can be.
#[cold]
pub(crate) fn stands_at(pc: usize, text: Text) -> bool {
    text.fetch(pc).is_some_and(|fetched| fetched.bytes().first() == Some(&native::BREAKPOINT))
}

/// The word of code, as it is now.
fn word(patch: &Patch) -> [u8; WORD] {
    // SAFETY: the plan has found it in the code of a registered image.
    unsafe { text::load(patch.address()) }
}

/// What stands for the breakpoint at `pc`. Takes no lock: for the signal handler.
///
/// # Safety
///
/// This thread was stopped by a breakpoint instruction at `pc`.
pub(crate) unsafe fn meet(pc: usize) -> Met {
    let mut spin = 0;
    loop {
        // SAFETY: the byte was executed.
        let is_breakpoint = || unsafe { (pc as *const u8).read_volatile() } == native::BREAKPOINT;
        match TABLE.find(pc, is_breakpoint) {
            Some(met) => return met,
            None => spin += 1,
        }
        debug_assert!(spin < 1_000_000, "updates follow each other too fast");
    }
}

static TABLE: Table = Table::new();

/// The updater's memory: entries for the handler, and as many patches.
#[repr(C)]
struct Memory {
    entries: Entries,
}

impl Memory {
    const fn size(capacity: usize) -> usize {
        size_of::<Self>() + capacity * (size_of::<Entry>() + size_of::<Patch>())
    }

    /// Room for `count` instructions, of which nothing is known any more. Memory that has become too small stays for handlers that still read it;
    /// each is at least twice as large as the last.
    fn reserve(count: usize, _lock: &Guard) -> Result<&'static mut [Patch], Refused> {
        let present = TABLE.entries().len();
        if present < count {
            let capacity = count.max(2 * present).next_power_of_two().max(64);
            let memory: *mut Self = os::map_memory(Self::size(capacity))?.cast();
            // SAFETY: just mapped, large enough, and nobody else knows it. Zeros are entries.
            unsafe {
                let start = memory.add(1).cast::<Entry>();
                let patches = start.add(capacity).cast::<Patch>();
                (0..capacity).for_each(|index| patches.add(index).write(Patch::NONE));
                (*memory).entries = Entries::new(core::slice::from_raw_parts(start, capacity));
                TABLE.move_to(&(*memory).entries);
            }
        }
        Ok(&mut Self::patches()[..count])
    }

    /// As many patches as there are entries. Only for the holder of the lock.
    fn patches() -> &'static mut [Patch] {
        let Range { start, end } = TABLE.entries().as_ptr_range();
        // SAFETY: `start` is not behind `end`.
        let capacity = unsafe { end.offset_from_unsigned(start) };
        // SAFETY: they follow the entries, and `reserve` has initialized them.
        unsafe { core::slice::from_raw_parts_mut(end.cast::<Patch>().cast_mut(), capacity) }
    }
}
