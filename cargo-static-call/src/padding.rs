//! What aligns recorded calls.
//!
//! On x86-64 the pass has a call fill no two words of eight bytes; where it would, padding makes it start the second one. So a
//! padded call starts a word, and one no-op ends there. The same no-op in front of a loop that starts with a call aligns the
//! loop: then some branch leads to the call itself.

use std::collections::{HashMap, HashSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Mnemonic};
use object::elf;

use crate::elf::{Elf, Symbol};
use crate::tables::Site;

/// A conditional tail call has six bytes: at offset 3 of its word it needs five more.
const LONGEST: u64 = 5;

/// The bytes of padding that belong to each call, by its address. It misses those of which nobody can tell: where the
/// function has no symbol, or the machine is another one.
#[must_use]
pub fn of(elf: &Elf<'_>, sites: &[Site]) -> HashMap<u64, u64> {
    match elf::Machine(elf.machine) {
        // Every instruction lies in one word.
        elf::EM_AARCH64 | elf::EM_ARM => sites.iter().map(|site| (site.address, 0)).collect(),
        elf::EM_X86_64 => {
            let function = |site: &Site| elf.function(site.address).map(|symbol| symbol.address);
            let functions = sites.chunk_by(|site, next| function(site) == function(next));
            functions.filter_map(|sites| in_function(elf, sites)).flatten().collect()
        }
        _ => HashMap::new(),
    }
}

/// The same of calls that are in one function.
fn in_function(elf: &Elf<'_>, sites: &[Site]) -> Option<Vec<(u64, u64)>> {
    let &Symbol { address, size, .. } = elf.function(sites.first()?.address)?;
    let next = elf.functions().partition_point(|symbol| symbol.address <= address);
    let most = elf.functions().get(next).map_or(u64::MAX, |next| next.address - address);
    let code = elf.read(address, size.min(most))?;
    let (mut starts, mut targets, mut padding) = (HashSet::new(), HashSet::new(), HashMap::new());
    for instruction in &mut Decoder::with_ip(64, code, address, DecoderOptions::NONE) {
        starts.insert(instruction.ip());
        match instruction.flow_control() {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                targets.insert(instruction.near_branch_target());
            }
            _ if instruction.mnemonic() == Mnemonic::Nop && instruction.next_ip() % 8 == 0 => {
                padding.insert(instruction.next_ip(), instruction.len() as u64);
            }
            _ => {}
        }
    }
    let known = sites.iter().filter(|site| starts.contains(&site.address));
    let bytes = |site: &Site| match padding.get(&site.address) {
        Some(&bytes) if bytes <= LONGEST && !targets.contains(&site.address) => (site.address, bytes),
        _ => (site.address, 0),
    };
    Some(known.map(bytes).collect())
}
