//! `adrp` computes the address of a page, and the next instruction adds the offset of a key or of a word that
//! holds its address. Linkers may relax the two to one `adr`.

use std::collections::{HashMap, HashSet};

use super::keys::{INSTRUCTIONS, Keys, Meaning, Reads};
use crate::budget::Budget;
use crate::elf::{Elf, Segment};

/// The offset in a page, which `adrp` leaves zero.
const PAGE: u64 = 0xfff;

/// Reads a segment's code.
pub(super) fn read(
    elf: &Elf<'_>,
    segment: &Segment<'_>,
    keys: &Keys,
    skip: &dyn Fn(u64) -> bool,
    reads: &mut Reads,
    budget: &Budget,
) {
    let pages: HashSet<u64> = keys.meanings.keys().map(|address| address & !PAGE).collect();
    let words = segment.data.as_chunks().0;
    for (number, &word) in words.iter().enumerate() {
        elf.passed(4 * number as u64, 4, budget);
        let address = segment.address + 4 * number as u64;
        let made = made(u32::from_le_bytes(word), address);
        if made.is_some_and(|made| pages.contains(&(made & !PAGE))) && !skip(address) {
            if !budget.steps(INSTRUCTIONS) {
                return;
            }
            let mut trace = Trace { keys, registers: [None; 32], stack: HashMap::new() };
            for (number, &word) in words[number..].iter().take(INSTRUCTIONS).enumerate() {
                if !trace.step(u32::from_le_bytes(word), address + 4 * number as u64, reads) {
                    break;
                }
            }
        }
    }
}

/// What a register or a word of the stack holds.
#[derive(Clone, Copy)]
enum Value {
    /// An address in the file.
    Address(u64),
    /// This offset from the start of a key, whose address is unknown.
    Key(usize, u64),
}

struct Trace<'a> {
    keys: &'a Keys,
    registers: [Option<Value>; 32],
    stack: HashMap<(usize, i64), Value>,
}

/// Arm Architecture Reference Manual for A-profile (DDI 0487), section C6.2: the encodings of `adr`, `adrp`,
/// `add`, `mov`, `ldr`, `ldur`, `str`, `stur`, `ldar` and `ldapr` that compilers use here. Any other
/// instruction is assumed to overwrite the register in its lowest bits.
impl Trace<'_> {
    /// Whether to go on.
    fn step(&mut self, word: u32, address: u64, reads: &mut Reads) -> bool {
        let field = |at: u32, bits: u32| (word >> at & ((1 << bits) - 1)) as usize;
        let (to, base) = (field(0, 5), field(5, 5));
        let scaled = |size: u32| (field(10, 12) as i64) << size;
        let unscaled = i64::from((word << 11).cast_signed() >> 23);
        let is = |mask: u32, form: u32| word & mask == form;
        let moved = if let Some(made) = made(word, address) {
            Some(Value::Address(made))
        } else if is(0xff80_0000, 0x9100_0000) {
            self.at(base, (field(10, 12) << (12 * field(22, 1))) as i64)
        } else if is(0xffe0_ffe0, 0xaa00_03e0) {
            self.registers[field(16, 5)]
        } else if is(0xffc0_0000, 0xf940_0000) {
            self.load(base, scaled(3), address, reads)
        } else if is(0xffe0_0c00, 0xf840_0000) {
            self.load(base, unscaled, address, reads)
        } else if is(0xffff_fc00, 0xc8df_fc00) || is(0xffff_fc00, 0xf8bf_c000) {
            self.load(base, 0, address, reads)
        } else if is(0xffc0_0000, 0xb940_0000) {
            self.load(base, scaled(2), address, reads);
            None
        } else if is(0xffff_fc00, 0x88df_fc00) || is(0xffff_fc00, 0xb8bf_c000) {
            self.load(base, 0, address, reads);
            None
        } else if is(0xffc0_0000, 0xf900_0000) || is(0xffe0_0c00, 0xf800_0000) {
            let offset = if is(0xffc0_0000, 0xf900_0000) { scaled(3) } else { unscaled };
            match self.registers[to] {
                Some(value) => _ = self.stack.insert((base, offset), value),
                None => _ = self.stack.remove(&(base, offset)),
            }
            return true;
        } else if is(0xfc00_0000, 0x9400_0000) || is(0xffff_fc1f, 0xd63f_0000) {
            // A call preserves the other registers and the stack.
            self.registers[..19].fill(None);
            return true;
        } else if is(0xfc00_0000, 0x1400_0000) || is(0xfe00_0000, 0xd600_0000) {
            return false;
        } else {
            None
        };
        self.registers[to] = moved;
        true
    }

    fn at(&self, register: usize, offset: i64) -> Option<Value> {
        Some(match self.registers[register]? {
            Value::Address(address) => Value::Address(address.wrapping_add_signed(offset)),
            Value::Key(key, start) => Value::Key(key, start.wrapping_add_signed(offset)),
        })
    }

    fn load(&self, base: usize, offset: i64, address: u64, reads: &mut Reads) -> Option<Value> {
        let meaning = match self.at(base, offset) {
            Some(Value::Address(place)) => self.keys.meanings.get(&place).copied(),
            Some(Value::Key(key, 0)) => Some(Meaning::Key(key)),
            Some(Value::Key(key, place)) if place == self.keys.form => Some(Meaning::Form(key)),
            Some(Value::Key(..)) => None,
            None => return self.stack.get(&(base, offset)).copied(),
        };
        match meaning {
            Some(Meaning::Key(key)) => _ = reads.pointers.insert((address, key)),
            Some(Meaning::Form(key)) => reads.forms.push((address, key)),
            Some(Meaning::Pointer(key)) => return Some(Value::Key(key, 0)),
            None => {}
        }
        None
    }
}

/// The address that `adr` or `adrp` computes.
fn made(word: u32, address: u64) -> Option<u64> {
    let high = i64::from((word << 8).cast_signed() >> 13) << 2;
    let distance = high | i64::from(word >> 29 & 3);
    match word >> 24 & 0x9f {
        0x10 => Some(address.wrapping_add_signed(distance)),
        0x90 => Some((address & !PAGE).wrapping_add_signed(distance << 12)),
        _ => None,
    }
}
