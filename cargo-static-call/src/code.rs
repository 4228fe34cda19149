//! What the code of a file does with keys beside its recorded calls: what was not lowered.
//!
//! Branches to trampolines are looked for at every place where an instruction may start, without a disassembly of
//! what lies between: that some other bytes look like a branch to just this address is as good as impossible. How code
//! loads a key is read on x86-64 and AArch64 ([`crate::loads`]).

use std::collections::HashSet;

use static_call::inspect::{Action, Decoder};

use crate::debug::{DebugInfo, is_loader};
use crate::elf::{Elf, Pointer};
use crate::loads;
use crate::tables::Tables;

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The instruction's address.
    pub address: u64,
    /// The key that it is about, by its number in [`Tables::keys`], if that is known.
    pub key: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Branches to trampolines that the site table does not have.
    pub unrecorded: Vec<Use>,
    /// Calls through a key's pointer, or loads of it that may be such.
    pub loads: Vec<Use>,
    /// How many of them are in functions that debug information does not know.
    pub doubtful: usize,
    /// Calls that were compiled without the pass: they call the function that loads a key, or have it inlined.
    pub without_pass: Vec<Use>,
    /// Whether loads were looked for.
    pub knows_loads: bool,
    /// Whether branches were.
    pub knows_branches: bool,
}

/// The longest trampoline of any machine with what stands before it; nothing else is that close to its start.
const TRAMPOLINE: u64 = 32;

impl Code {
    /// Reads all code of a file.
    #[must_use]
    pub fn read(
        elf: &Elf<'_>,
        tables: &Tables,
        decoder: Option<&Decoder>,
        debug: Option<&DebugInfo<'_>>,
    ) -> Self {
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
                    let address = segment.address.wrapping_add(offset);
                    let bytes = &segment.data[offset as usize..];
                    let Some((_, Action::Go(target))) = decoder.decode(address, bytes) else { continue };
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
        if let Some(loads) = loads::find(elf, tables, is_in_trampoline) {
            code.knows_loads = true;
            code.loads = loads;
        }
        if elf.machine == object::elf::EM_X86_64.0 && elf.pointer == 8 {
            find_indirect_calls(elf, &loaders, &mut code.without_pass);
        }
        let Some(debug) = debug else {
            code.doubtful = code.loads.len();
            return code;
        };
        let mut is_call = vec![None; code.loads.len()];
        for ranges in debug.inlined_loads() {
            // Of a load that was found the key is known.
            let loads = ranges.iter().flat_map(|range| {
                let first = code.loads.partition_point(|load| load.address < range.begin);
                (first..code.loads.len()).take_while(|&number| code.loads[number].address < range.end)
            });
            match loads.into_iter().find(|&number| is_call[number].is_none()) {
                Some(number) => is_call[number] = Some(true),
                None => code.without_pass.push(Use { address: ranges[0].begin, key: None }),
            }
        }
        for (is_call, load) in is_call.iter_mut().zip(&code.loads) {
            *is_call = is_call.or_else(|| debug.is_in_call_method(load.address));
        }
        code.doubtful = is_call.iter().filter(|is_call| is_call.is_none()).count();
        let mut is_call = is_call.into_iter();
        let calls = code.loads.extract_if(.., |_| is_call.next() == Some(Some(true)));
        code.without_pass.extend(calls);
        code.without_pass.sort_unstable_by_key(|call| call.address);
        code
    }
}

/// A trampoline's length: what its symbol says, or the most that it can be.
#[must_use]
pub fn trampoline_size(elf: &Elf<'_>, trampoline: u64) -> u64 {
    let symbol = elf.function(trampoline);
    let symbol =
        symbol.filter(|symbol| symbol.address == trampoline && (1..=TRAMPOLINE).contains(&symbol.size));
    symbol.map_or(TRAMPOLINE, |symbol| symbol.size)
}

/// The functions that return what a key points at.
fn loaders(elf: &Elf<'_>) -> HashSet<u64> {
    elf.functions().iter().filter(|symbol| is_loader(symbol.name)).map(|symbol| symbol.address).collect()
}

/// Finds calls of these functions through the global offset table, as rustc makes them: `call *slot(%rip)`.
fn find_indirect_calls(elf: &Elf<'_>, functions: &HashSet<u64>, calls: &mut Vec<Use>) {
    for segment in elf.segments.iter().filter(|segment| segment.is_executable) {
        for (offset, bytes) in segment.data.windows(6).enumerate() {
            if !matches!(bytes[..2], [0xff, 0x15 | 0x25]) {
                continue;
            }
            let address = segment.address.wrapping_add(offset as u64);
            let slot = address.wrapping_add(6).wrapping_add_signed(displacement(&bytes[2..]));
            let is_loader = match elf.pointer(slot) {
                Some(Pointer::Address(target)) => functions.contains(&target),
                Some(Pointer::Import(name, 0)) => name == static_call_abi::INTRINSIC.as_bytes(),
                _ => false,
            };
            if is_loader {
                calls.push(Use { address, key: None });
            }
        }
    }
}

fn displacement(bytes: &[u8]) -> i64 {
    bytes.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes).into())
}
