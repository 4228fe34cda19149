//! What aligns recorded calls.
//!
//! On x86 the pass has a call fill no two words of eight bytes: prefixes make it start the second one.

use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, Instruction};
use object::elf;

use crate::elf::{Elf, Symbol};
use crate::tables::Site;

/// The `cs` prefix.
const PADDING: u8 = 0x2e;

/// The bytes of padding that belong to each call, by its address. It misses those of which nobody can tell: where the
/// function has no symbol, or the machine is another one.
#[must_use]
pub fn of(elf: &Elf<'_>, sites: &[Site]) -> HashMap<u64, u64> {
    let bits = match elf::Machine(elf.machine) {
        // Every instruction lies in one word.
        elf::EM_AARCH64 | elf::EM_ARM => return sites.iter().map(|site| (site.address, 0)).collect(),
        elf::EM_X86_64 => 64,
        elf::EM_386 => 32,
        _ => return HashMap::new(),
    };
    let function = |site: &Site| elf.function(site.address).map(|symbol| symbol.address);
    let functions = sites.chunk_by(|site, next| function(site) == function(next));
    functions.filter_map(|sites| in_function(elf, bits, sites)).flatten().collect()
}

/// The same of calls that are in one function.
fn in_function(elf: &Elf<'_>, bits: u32, sites: &[Site]) -> Option<Vec<(u64, u64)>> {
    let &Symbol { address, size, .. } = elf.function(sites.first()?.address)?;
    let next = elf.functions().partition_point(|symbol| symbol.address <= address);
    let most = elf.functions().get(next).map_or(u64::MAX, |next| next.address - address);
    let code = elf.read(address, size.min(most))?;
    let mut padding = HashMap::new();
    let mut decoder = Decoder::with_ip(bits, code, address, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        let bytes = code[decoder.position()..].iter().take_while(|&&byte| byte == PADDING).count() as u64;
        padding.insert(decoder.ip() + bytes, bytes);
        decoder.decode_out(&mut instruction);
    }
    Some(sites.iter().filter_map(|site| Some((site.address, *padding.get(&site.address)?))).collect())
}
