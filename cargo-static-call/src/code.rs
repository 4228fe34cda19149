//! Finds uses of keys other than recorded calls, which show calls that were not lowered.
//!
//! Branches to trampolines are found by decoding every place where an instruction may start, without a full
//! disassembly: other bytes practically never look like a branch to exactly that address. Loads of keys are
//! found on x86-64 and AArch64 ([`crate::loads`]).

use std::collections::HashSet;

use static_call::inspect::{Action, Decoder};

use crate::answers::{Answers, is_loader};
use crate::budget::Budget;
use crate::elf::{Elf, Pointer};
use crate::loads;
use crate::notes::Note;
use crate::tables::{Tables, Use};

/// The uses of keys in the code of a file.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Branches to trampolines that are missing in the site table.
    pub unrecorded: Vec<Use>,
    /// Loads of a key's pointer, by calls or for other purposes.
    pub loads: Vec<Use>,
    /// How many of them may be calls, because debug information does not cover their functions.
    pub doubtful: usize,
    /// Calls that were compiled without the pass: they call the function that loads a key, or inline it.
    pub without_pass: Vec<Use>,
    /// Whether loads can be found on this machine.
    pub knows_loads: bool,
    /// Whether branches can be.
    pub knows_branches: bool,
}

/// An upper bound for the size of a trampoline with its prefix on any machine.
const TRAMPOLINE: u64 = 32;

impl Code {
    /// Reads the code of a file.
    #[must_use]
    pub fn read(elf: &Elf<'_>, tables: &Tables, decoder: Option<&Decoder>, budget: &Budget) -> Self {
        let trampolines = tables.trampolines();
        let mut starts: Vec<u64> = trampolines.keys().copied().collect();
        starts.sort_unstable();
        let is_in_trampoline = |address: u64| {
            let behind = starts.partition_point(|&start| start <= address);
            behind > 0 && address - starts[behind - 1] < trampoline_size(elf, starts[behind - 1])
        };
        let recorded: HashSet<u64> = tables.sites.iter().map(|site| site.address).collect();
        let loaders = loaders(elf);
        let mut code = Self { knows_branches: decoder.is_some(), ..Self::default() };
        if let Some(decoder) = decoder
            && !(trampolines.is_empty() && loaders.is_empty())
        {
            for segment in elf.segments.iter().filter(|segment| segment.is_executable) {
                let first = segment.address.next_multiple_of(decoder.step as u64) - segment.address;
                for offset in (first..segment.data.len() as u64).step_by(decoder.step) {
                    if !budget.steps(1) {
                        break;
                    }
                    elf.passed(offset, decoder.step as u64, budget);
                    let address = segment.address.wrapping_add(offset);
                    let bytes = &segment.data[offset as usize..];
                    let Some((_, Action::Branch(target))) = decoder.decode(address, bytes) else { continue };
                    if loaders.contains(&target) {
                        code.without_pass.push(Use { address, key: None });
                    } else if let Some(&record) = trampolines.get(&target)
                        && !recorded.contains(&address)
                        && !is_in_trampoline(address)
                    {
                        code.unrecorded.push(Use { address, key: Some(tables.records[record].key) });
                    }
                }
            }
        }
        if let Some(loads) = loads::find(elf, tables, is_in_trampoline, budget) {
            code.knows_loads = true;
            code.loads = loads;
        }
        if elf.machine == object::elf::EM_X86_64.0 && elf.pointer == 8 {
            let trampoline = static_call_abi::TRAMPOLINE_PREFIX.trim_end_matches('.').as_bytes();
            for_each_call_by_slot(elf, budget, |address, slot| match slot {
                Pointer::Address(target) if loaders.contains(&target) => {
                    code.without_pass.push(Use { address, key: None });
                }
                Pointer::Address(target) => {
                    if let Some(&record) = trampolines.get(&target) {
                        code.unrecorded.push(Use { address, key: Some(tables.records[record].key) });
                    }
                }
                Pointer::Import(name, 0) if name == static_call_abi::INTRINSIC.as_bytes() => {
                    code.without_pass.push(Use { address, key: None });
                }
                // Another file's, which Rust's macros have written there.
                Pointer::Import(name, 0) if name.ends_with(trampoline) => {
                    code.unrecorded.push(Use { address, key: None });
                }
                _ => {}
            });
            code.unrecorded.sort_unstable_by_key(|call| call.address);
        }
        code.doubtful = code.loads.len();
        code
    }

    /// Removes the loads that the pass has noted, since the notes explain them.
    pub fn forget_noted(&mut self, elf: &Elf<'_>, notes: &[Note]) {
        let function = |address| elf.function(address).map(|symbol| symbol.address);
        let noted: HashSet<_> = notes.iter().map(|note| (function(note.address), note.key)).collect();
        self.loads.retain(|load| {
            let function = function(load.address);
            function.is_none() || !noted.contains(&(function, load.key))
        });
        self.doubtful = self.loads.len();
    }

    /// Separates calls from other loads with the help of debug information.
    pub fn tell_calls(&mut self, answers: &Answers) {
        let mut is_call = vec![None; self.loads.len()];
        for load in &answers.loads {
            // A load that was also found in the code has a known key.
            let loads = load.ranges.iter().flat_map(|range| {
                let first = self.loads.partition_point(|load| load.address < range.start);
                (first..self.loads.len()).take_while(|&number| self.loads[number].address < range.end)
            });
            match loads.into_iter().find(|&number| is_call[number].is_none()) {
                Some(number) => is_call[number] = Some(true),
                None => self.without_pass.push(Use { address: load.ranges[0].start, key: None }),
            }
        }
        for (is_call, load) in is_call.iter_mut().zip(&self.loads) {
            *is_call = is_call.or_else(|| answers.is_in_call_method(load.address));
        }
        self.doubtful = is_call.iter().filter(|is_call| is_call.is_none()).count();
        let mut is_call = is_call.into_iter();
        let calls = self.loads.extract_if(.., |_| is_call.next() == Some(Some(true)));
        self.without_pass.extend(calls);
        self.without_pass.sort_unstable_by_key(|call| call.address);
    }
}

/// The size of a trampoline according to its symbol, or else its upper bound.
#[must_use]
pub fn trampoline_size(elf: &Elf<'_>, trampoline: u64) -> u64 {
    let symbol = elf.function(trampoline);
    let symbol =
        symbol.filter(|symbol| symbol.address == trampoline && (1..=TRAMPOLINE).contains(&symbol.size));
    symbol.map_or(TRAMPOLINE, |symbol| symbol.size)
}

/// The functions that return the pointer in a key.
fn loaders(elf: &Elf<'_>) -> HashSet<u64> {
    elf.functions().iter().filter(|symbol| is_loader(symbol.name)).map(|symbol| symbol.address).collect()
}

/// Visits the calls and jumps through the global offset table, by which rustc calls public functions:
/// `call *slot(%rip)`. Passes on what the slot holds.
fn for_each_call_by_slot(elf: &Elf<'_>, budget: &Budget, mut visit: impl FnMut(u64, Pointer<'_>)) {
    for segment in elf.segments.iter().filter(|segment| segment.is_executable) {
        for (offset, bytes) in segment.data.windows(6).enumerate() {
            elf.passed(offset as u64, 1, budget);
            if !matches!(bytes[..2], [0xff, 0x15 | 0x25]) {
                continue;
            }
            // The symbol in the slot may have a long name.
            if !budget.steps(100) {
                return;
            }
            let address = segment.address.wrapping_add(offset as u64);
            let slot = address.wrapping_add(6).wrapping_add_signed(displacement(&bytes[2..]));
            if let Some(pointer) = elf.pointer(slot) {
                visit(address, pointer);
            }
        }
    }
}

fn displacement(bytes: &[u8]) -> i64 {
    bytes.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes).into())
}
