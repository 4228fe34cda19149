//! The prefixes that align recorded calls.
//!
//! On x86 a call must not cross a boundary of eight bytes. The pass adds instruction prefixes to move it past
//! the boundary; one prefix is always there.

use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, Instruction};
use object::elf;
use static_call_abi::{X86_64_PREFIX, X86_PREFIX};

use crate::elf::{Elf, Symbol};
use crate::tables::Site;

/// The maximum length of an instruction.
const LONGEST: usize = 15;

/// The number of prefix bytes of each call, by its address. Calls in functions without symbols, and on other
/// machines, are left out.
#[must_use]
pub fn of(elf: &Elf<'_>, sites: &[Site]) -> HashMap<u64, u64> {
    let (bits, prefix) = match elf::Machine(elf.machine) {
        // Instructions are aligned words.
        elf::EM_AARCH64 | elf::EM_ARM => return sites.iter().map(|site| (site.address, 0)).collect(),
        elf::EM_X86_64 => (64, X86_64_PREFIX.byte),
        elf::EM_386 => (32, X86_PREFIX.byte),
        _ => return HashMap::new(),
    };
    let function = |site: &Site| elf.function(site.address).map(|symbol| symbol.address);
    let functions = sites.chunk_by(|site, next| function(site) == function(next));
    functions.filter_map(|sites| in_function(elf, (bits, prefix), sites)).flatten().collect()
}

/// The prefixes of the calls in one function.
fn in_function(elf: &Elf<'_>, (bits, prefix): (u32, u8), sites: &[Site]) -> Option<Vec<(u64, u64)>> {
    let &Symbol { address, size, .. } = elf.function(sites.first()?.address)?;
    let next = elf.functions().partition_point(|symbol| symbol.address <= address);
    let most = elf.functions().get(next).map_or(u64::MAX, |next| next.address - address);
    let code = elf.read(address, size.min(most))?;
    let mut padding = HashMap::new();
    let mut decoder = Decoder::with_ip(bits, code, address, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        let bytes = code[decoder.position()..].iter().take(LONGEST);
        let bytes = bytes.take_while(|&&byte| byte == prefix).count() as u64;
        padding.insert(decoder.ip() + bytes, bytes);
        decoder.decode_out(&mut instruction);
    }
    Some(sites.iter().filter_map(|site| Some((site.address, *padding.get(&site.address)?))).collect())
}
