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
//! and another one under way. It finds instruction, key and kind in a table that is published before the
//! first breakpoint of an update is set, and withdrawn when the last one is gone. A sequence number, odd
//! while the table changes, tells whether a lookup saw one state of it; its memory is never unmapped.
//!
//! # Safety
//!
//! As for `update.rs`: addresses were checked against the image's code, and the lock is held.

use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};

use static_call_abi::Key;

use crate::arch::{Kind, WORD, native};
use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::os::{self, Refused, trap};
use crate::text;
use crate::update::Patch;
use crate::writer;

pub(crate) const SUPPORTED: bool = true;

/// The breakpoints of one update.
#[derive(Debug)]
pub(crate) struct Breakpoints {
    file: os::CodeFile,
    patches: &'static mut [Patch],
    len: usize,
}

/// Set when an update could not be finished: its breakpoints stay, and so does the table.
static STUCK: AtomicUsize = AtomicUsize::new(0);

impl Breakpoints {
    /// Gets everything that may be refused, for `count` instructions.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotWritable`], and [`ErrorKind::SignalBlocked`] if a thread could not take a breakpoint.
    pub(crate) fn open(count: usize, lock: &Guard) -> Result<Self, Error> {
        let refused = |Refused(os)| Error::with_os(ErrorKind::NotWritable, 0, os);
        if STUCK.load(Ordering::Relaxed) != 0 || os::has_shadow_stack() {
            // The handler cannot push a return address onto a shadow stack.
            return Err(refused(Refused(os::NOT_SUPPORTED)));
        }
        let file = os::CodeFile::open().map_err(refused)?;
        let patches = TABLE.reserve(count, lock).map_err(refused)?;
        trap::install(lock).map_err(refused)?;
        if let Some(thread) = os::thread_that_blocks(trap::SIGNAL).map_err(refused)? {
            return Err(Error::at(ErrorKind::SignalBlocked, thread as usize));
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
        TABLE.publish(patches);
        for index in 0..self.len {
            let patch = &self.patches[index];
            let result = if word(patch) == patch.old {
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
        for patch in &self.patches[..count] {
            if word(patch)[patch.offset()] == native::BREAKPOINT {
                all &= self.write(patch.pc, &[patch.old[patch.offset()]]).is_ok();
            }
        }
        // If that is refused, threads come around to the old code with their next interrupt, and until then
        // the handler sends them back to it.
        let _ = writer::serialize();
        if all { TABLE.withdraw() } else { STUCK.store(1, Ordering::Relaxed) }
    }

    /// Rounds 2 and 3. When this returns, each instruction is the new one.
    ///
    /// # Errors
    ///
    /// If something is refused that was permitted in the first round. Then breakpoints stay where they are,
    /// and calls go through their keys, which is right whatever these point at.
    pub(crate) fn replace(self) -> Result<(), Error> {
        let result = self.replace_bytes();
        if result.is_ok() {
            TABLE.withdraw()
        } else {
            STUCK.store(1, Ordering::Relaxed)
        }
        result
    }

    fn replace_bytes(&self) -> Result<(), Error> {
        let patches = &self.patches[..self.len];
        for patch in patches {
            let rest = &patch.new[patch.offset() + 1..patch.offset() + native::length(patch.kind)];
            self.write(patch.pc + 1, rest)?;
        }
        writer::serialize()?;
        for patch in patches {
            self.write(patch.pc, &[patch.new[patch.offset()]])?;
        }
        writer::serialize()
    }

    fn write(&self, address: usize, bytes: &[u8]) -> Result<(), Error> {
        // SAFETY: the bytes of an instruction that the plan has checked, in the order that the module's
        // head says.
        let written = unsafe { self.file.write(address, bytes) };
        written.map_err(|Refused(os)| Error::with_os(ErrorKind::NotWritable, address, os))
    }
}

/// The word of code, as it is now.
fn word(patch: &Patch) -> [u8; WORD] {
    // SAFETY: the plan has found it in the code of a registered image.
    unsafe { text::load(patch.address()) }
}

/// What a thread has met that was stopped by a breakpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// One of ours: the key and the kind of the instruction.
    Ours(*const Key, Kind),
    /// It is gone already: the instruction can be executed now.
    Gone,
    /// Somebody else's.
    Foreign,
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

/// The breakpoints of the present update.
struct Table {
    /// Odd while the rest changes.
    sequence: AtomicUsize,
    len: AtomicUsize,
    memory: AtomicPtr<Memory>,
}

/// A mapping of this size for the handler, and behind it one [`Patch`] an entry for the updater alone.
#[repr(C)]
struct Memory {
    /// As many entries follow.
    capacity: usize,
}

#[repr(C)]
struct Entry {
    pc: AtomicUsize,
    key: AtomicPtr<Key>,
    kind: AtomicUsize,
}

impl Memory {
    const fn size(capacity: usize) -> usize {
        size_of::<Self>() + capacity * (size_of::<Entry>() + size_of::<Patch>())
    }

    /// # Safety
    ///
    /// `this` was mapped by [`Table::reserve`], or is null.
    unsafe fn entries(this: *const Self) -> &'static [Entry] {
        if this.is_null() {
            return &[];
        }
        // SAFETY: so many entries follow; they are atomic, and any bytes are one.
        unsafe { core::slice::from_raw_parts(this.add(1).cast(), (*this).capacity) }
    }
}

impl Table {
    const fn new() -> Self {
        Self {
            sequence: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            memory: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Room for `count` instructions. A mapping that has become too small stays for handlers that still
    /// read it; each is twice as large as the last one.
    fn reserve(&self, count: usize, _lock: &Guard) -> Result<&'static mut [Patch], Refused> {
        let mut memory = self.memory.load(Ordering::Relaxed);
        // SAFETY: null or our mapping.
        let mut capacity = unsafe { Memory::entries(memory) }.len();
        if capacity < count {
            capacity = count.max(2 * capacity).next_power_of_two().max(64);
            memory = os::map_memory(Memory::size(capacity))?.cast();
            // SAFETY: just mapped, nobody else knows it.
            unsafe { (*memory).capacity = capacity };
            self.change(|| self.memory.store(memory, Ordering::Relaxed));
        }
        // SAFETY: so many patches follow the entries; mapped memory is zero, or holds the last update's, and
        // only the holder of the lock uses it.
        let patches = unsafe { memory.add(1).cast::<Entry>().add(capacity).cast::<Patch>() };
        for index in 0..count {
            // SAFETY: inside the mapping.
            unsafe { patches.add(index).write(Patch::NONE) };
        }
        // SAFETY: just written.
        Ok(unsafe { core::slice::from_raw_parts_mut(patches, count) })
    }

    /// Shows these instructions, sorted by address, to the handler.
    fn publish(&self, patches: &[Patch]) {
        // SAFETY: our mapping.
        let entries = unsafe { Memory::entries(self.memory.load(Ordering::Relaxed)) };
        self.change(|| {
            for (entry, patch) in entries.iter().zip(patches) {
                entry.pc.store(patch.pc, Ordering::Relaxed);
                entry.key.store(patch.key.cast_mut(), Ordering::Relaxed);
                entry.kind.store(number(patch.kind), Ordering::Relaxed);
            }
            self.len.store(patches.len(), Ordering::Relaxed);
        });
    }

    fn withdraw(&self) {
        self.change(|| self.len.store(0, Ordering::Relaxed));
    }

    fn change(&self, change: impl FnOnce()) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        change();
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// What stands for `pc`, or None if the table has changed meanwhile.
    fn find(&self, pc: usize, is_breakpoint: impl FnOnce() -> bool) -> Option<Met> {
        let sequence = self.sequence.load(Ordering::Acquire);
        // While the table changes, none of our breakpoints is in the code.
        let found = if sequence.is_multiple_of(2) { self.search(pc) } else { None };
        let is_breakpoint = is_breakpoint();
        fence(Ordering::Acquire);
        if self.sequence.load(Ordering::Relaxed) != sequence {
            return None;
        }
        Some(match found {
            Some(met) => met,
            None if is_breakpoint => Met::Foreign,
            None => Met::Gone,
        })
    }

    fn search(&self, pc: usize) -> Option<Met> {
        // SAFETY: null or our mapping, whose entries can be read whatever happens to the table.
        let entries = unsafe { Memory::entries(self.memory.load(Ordering::Acquire)) };
        let entries = entries.get(..self.len.load(Ordering::Relaxed))?;
        let index = entries.binary_search_by_key(&pc, |entry| entry.pc.load(Ordering::Relaxed)).ok()?;
        let kind = kind(entries[index].kind.load(Ordering::Relaxed))?;
        Some(Met::Ours(entries[index].key.load(Ordering::Relaxed), kind))
    }
}

fn number(kind: Kind) -> usize {
    match kind {
        Kind::Call => 0,
        Kind::Jump => 1,
        Kind::ConditionalJump(condition) => 2 + usize::from(condition),
    }
}

fn kind(number: usize) -> Option<Kind> {
    match number {
        0 => Some(Kind::Call),
        1 => Some(Kind::Jump),
        _ => Some(Kind::ConditionalJump(u8::try_from(number - 2).ok()?)),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::sync::atomic::AtomicBool;

    use super::*;
    use crate::lock;

    /// Whoever looks up an instruction while its breakpoint is there finds it, with its own key and kind; and
    /// nobody finds one that is gone, or anything else's.
    #[test]
    fn a_lookup_sees_one_state_of_the_table() {
        const INSTRUCTIONS: usize = 200;
        let rounds = if cfg!(miri) { 20 } else { 20_000 };
        let table = Table::new();
        let breakpoints = [const { AtomicBool::new(false) }; INSTRUCTIONS];
        let is_over = AtomicBool::new(false);
        let pc = |index: usize| 0x1000 + 8 * index;
        let key = |index: usize| core::ptr::without_provenance::<Key>(0x10_0000 + 64 * index);
        let kind = |index: usize| match index % 3 {
            0 => Kind::Call,
            1 => Kind::Jump,
            _ => Kind::ConditionalJump((index % 16) as u8),
        };
        std::thread::scope(|scope| {
            for reader in 0..2 {
                let (table, breakpoints, is_over) = (&table, &breakpoints, &is_over);
                scope.spawn(move || {
                    let mut index = reader;
                    while !is_over.load(Ordering::Relaxed) {
                        index = (index * 7 + 3) % INSTRUCTIONS;
                        let mut was_there = false;
                        let met = table.find(pc(index), || {
                            was_there = breakpoints[index].load(Ordering::SeqCst);
                            was_there
                        });
                        match met {
                            Some(Met::Ours(found, of)) => assert_eq!((found, of), (key(index), kind(index))),
                            Some(Met::Foreign) => panic!("its own breakpoint is foreign"),
                            Some(Met::Gone) => assert!(!was_there),
                            None => {}
                        }
                    }
                });
            }
            let lock = lock::lock().expect("nobody updates in a handler");
            for round in 0..rounds {
                // A different part each time, and now and then a larger table than before.
                let (step, count) = (1 + round % 7, INSTRUCTIONS.min(8 + round / 50));
                let patches = table.reserve(count, &lock).expect("memory");
                let mut len = 0;
                for index in (0..INSTRUCTIONS).step_by(step).take(count) {
                    patches[len] = Patch { pc: pc(index), key: key(index), kind: kind(index), ..Patch::NONE };
                    len += 1;
                }
                table.publish(&patches[..len]);
                let set = |is_set| {
                    for patch in &patches[..len] {
                        breakpoints[(patch.pc - 0x1000) / 8].store(is_set, Ordering::SeqCst);
                    }
                };
                set(true);
                set(false);
                table.withdraw();
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
