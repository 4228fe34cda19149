//! Every offset is decoded as the start of an instruction that may refer to a key.

use std::collections::HashMap;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};

use super::keys::{INSTRUCTIONS, Keys, Meaning, Reads};
use crate::budget::Budget;
use crate::elf::{Elf, Segment};

/// Reads a segment's code.
pub(super) fn read(
    elf: &Elf<'_>,
    segment: &Segment<'_>,
    keys: &Keys,
    skip: &dyn Fn(u64) -> bool,
    reads: &mut Reads,
    budget: &Budget,
) {
    for offset in 0..segment.data.len() {
        elf.passed(offset as u64, 1, budget);
        let code = &segment.data[offset..];
        let Some(names) = names(code, segment.address + offset as u64, keys.is_relocatable) else { continue };
        if !keys.meanings.contains_key(&names) {
            continue;
        }
        let has_prefix = offset > 0 && matches!(segment.data[offset - 1], 0x48..=0x4f);
        let start = offset - usize::from(has_prefix);
        let address = segment.address + start as u64;
        if !budget.steps(INSTRUCTIONS) {
            return;
        }
        if !skip(address) {
            let decoder = Decoder::with_ip(64, &segment.data[start..], address, DecoderOptions::NONE);
            Trace { keys, holders: HashMap::new() }.run(decoder, reads);
        }
    }
}

/// The address that an instruction with its opcode here loads from (`mov`, `call`, `jmp`), computes (`lea`)
/// or has as an immediate (`mov`).
fn names(code: &[u8], address: u64, is_relocatable: bool) -> Option<u64> {
    let number = |at: usize| Some(i32::from_le_bytes(*code.get(at..)?.first_chunk()?));
    let (&opcode, &operand) = (code.first()?, code.get(1)?);
    match opcode {
        0x8b | 0x8d | 0xff if opcode != 0xff || matches!(operand >> 3 & 7, 2 | 4) => match operand & 0xc7 {
            0x05 => Some(address.wrapping_add(6).wrapping_add_signed(number(2)?.into())),
            0x04 if code.get(2) == Some(&0x25) => Some(i64::from(number(3)?).cast_unsigned()),
            _ => None,
        },
        0xc7 if !is_relocatable => {
            let instruction = Decoder::with_ip(64, code, address, DecoderOptions::NONE).decode();
            (instruction.mnemonic() == Mnemonic::Mov).then(|| instruction.immediate32().into())
        }
        _ => None,
    }
}

/// A place that may hold a key's address: a register, or a word at an offset from a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Register(Register),
    Memory(Register, u64),
}

/// The callee-saved registers.
const KEPT: [Register; 6] =
    [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];

struct Trace<'a> {
    keys: &'a Keys,
    holders: HashMap<Holder, usize>,
}

impl Trace<'_> {
    fn run(mut self, decoder: Decoder<'_>, reads: &mut Reads) {
        let mut info = InstructionInfoFactory::new();
        for (count, instruction) in decoder.into_iter().take(INSTRUCTIONS).enumerate() {
            if instruction.is_invalid() || count > 0 && self.holders.is_empty() {
                break;
            }
            self.step(&instruction, &mut info, reads);
            match instruction.flow_control() {
                FlowControl::Next | FlowControl::ConditionalBranch => {}
                FlowControl::Call | FlowControl::IndirectCall => {
                    self.holders.retain(|holder, _| match holder {
                        Holder::Register(register) => KEPT.contains(register),
                        Holder::Memory(..) => true,
                    })
                }
                _ => break,
            }
        }
    }

    fn step(&mut self, instruction: &Instruction, info: &mut InstructionInfoFactory, reads: &mut Reads) {
        let mnemonic = instruction.mnemonic();
        let is_branch = matches!(mnemonic, Mnemonic::Call | Mnemonic::Jmp);
        // The key whose address the instruction moves.
        let moved = match (mnemonic, instruction.op0_kind(), instruction.op1_kind()) {
            (Mnemonic::Lea | Mnemonic::Mov, _, OpKind::Memory) | (_, OpKind::Memory, _)
                if is_branch || instruction.op1_kind() == OpKind::Memory =>
            {
                match self.memory(instruction) {
                    Some(Meaning::Key(key)) if mnemonic == Mnemonic::Lea => Some(key),
                    Some(Meaning::Pointer(key)) if mnemonic == Mnemonic::Mov => Some(key),
                    Some(Meaning::Key(key)) => {
                        reads.pointers.insert((instruction.ip(), key));
                        None
                    }
                    Some(Meaning::Form(key)) if mnemonic == Mnemonic::Mov => {
                        reads.forms.push((instruction.ip(), key));
                        None
                    }
                    _ => None,
                }
            }
            (Mnemonic::Mov, _, OpKind::Register) => {
                self.holders.get(&Holder::Register(instruction.op1_register())).copied()
            }
            (Mnemonic::Mov, ..) => {
                match self.keys.meanings.get(&instruction.try_immediate(1).unwrap_or_default()) {
                    Some(Meaning::Key(key)) => Some(*key),
                    _ => None,
                }
            }
            _ => None,
        };
        for register in info.info(instruction).used_registers() {
            if !matches!(register.access(), OpAccess::Read | OpAccess::CondRead) {
                self.holders.remove(&Holder::Register(register.register().full_register()));
            }
        }
        let to = match instruction.op0_kind() {
            OpKind::Register => Holder::Register(instruction.op0_register().full_register()),
            OpKind::Memory => Holder::Memory(instruction.memory_base(), instruction.memory_displacement64()),
            _ => return,
        };
        match moved {
            Some(key) => _ = self.holders.insert(to, key),
            None if mnemonic == Mnemonic::Mov => _ = self.holders.remove(&to),
            None => {}
        }
    }

    /// What the memory operand refers to.
    fn memory(&self, instruction: &Instruction) -> Option<Meaning> {
        let (base, displacement) = (instruction.memory_base(), instruction.memory_displacement64());
        if instruction.memory_index() != Register::None {
            return None;
        }
        match self.holders.get(&Holder::Register(base)) {
            Some(&key) if displacement == 0 => Some(Meaning::Key(key)),
            Some(&key) if displacement == self.keys.form => Some(Meaning::Form(key)),
            Some(_) => None,
            None if matches!(base, Register::None | Register::RIP) => {
                self.keys.meanings.get(&displacement).copied()
            }
            None => self.holders.get(&Holder::Memory(base, displacement)).copied().map(Meaning::Pointer),
        }
    }
}
