//! Where x86-64 code reads a key's pointer: how a call looks that was not lowered.
//!
//! What an instruction says of a key's address, or of a word that holds it (as the global offset table does), is found
//! at every place where one may start. From there the address is followed through registers and the stack, up to the
//! instructions that read through it. An address that is only handed on belongs to an update.

use std::collections::{HashMap, HashSet};

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind,
    Register,
};

use crate::code::Use;
use crate::elf::{Elf, Pointer};
use crate::tables::{Layout, Tables};

/// How far an address is followed.
const INSTRUCTIONS: usize = 64;

/// Who reads a key's form this close to its pointer asks what the key calls, and does not call it.
const NEAR: u64 = 64;

/// What lies at an address.
#[derive(Clone, Copy)]
enum Meaning {
    /// This key's pointer, which is what its address leads to.
    Key(usize),
    /// Its form.
    Form(usize),
    /// A pointer at the key.
    Pointer(usize),
}

/// Finds all loads, by address.
pub(crate) fn find(elf: &Elf<'_>, tables: &Tables, skip: impl Fn(u64) -> bool) -> Vec<Use> {
    let meanings = meanings(elf, tables);
    let form = Layout { pointer: elf.pointer }.key_form();
    let mut reads = Reads::default();
    for segment in elf.segments.iter().filter(|segment| segment.is_executable && !meanings.is_empty()) {
        for offset in 0..segment.data.len() {
            let code = &segment.data[offset..];
            let address = segment.address + offset as u64;
            let Some(names) = names(code, address, elf.is_relocatable) else { continue };
            if !meanings.contains_key(&names) {
                continue;
            }
            let has_prefix = offset > 0 && matches!(segment.data[offset - 1], 0x48..=0x4f);
            let start = offset - usize::from(has_prefix);
            let start_address = segment.address + start as u64;
            if !skip(start_address) {
                let decoder =
                    Decoder::with_ip(64, &segment.data[start..], start_address, DecoderOptions::NONE);
                Trace { meanings: &meanings, form, holders: HashMap::new() }.run(decoder, &mut reads);
            }
        }
    }
    reads.loads()
}

fn meanings(elf: &Elf<'_>, tables: &Tables) -> HashMap<u64, Meaning> {
    let layout = Layout { pointer: elf.pointer };
    let (mut meanings, mut symbols) = (HashMap::new(), HashMap::new());
    for (number, key) in tables.keys.iter().enumerate() {
        match (key.address, &key.symbol) {
            (Some(address), _) => {
                meanings.insert(address, Meaning::Key(number));
                meanings.insert(address.wrapping_add(layout.key_form()), Meaning::Form(number));
            }
            (None, Some(symbol)) => _ = symbols.insert(symbol.as_bytes(), number),
            (None, None) => {}
        }
    }
    if meanings.is_empty() && symbols.is_empty() {
        return meanings;
    }
    for segment in elf.segments.iter().filter(|segment| segment.is_writable && !segment.is_executable) {
        let first = segment.address.next_multiple_of(elf.pointer);
        let end = segment.address + segment.data.len() as u64;
        for place in (first..end).step_by(elf.pointer as usize) {
            let key = match elf.pointer(place) {
                Some(Pointer::Address(address)) => match meanings.get(&address) {
                    Some(Meaning::Key(key)) => Some(*key),
                    _ => None,
                },
                Some(Pointer::Import(name, 0)) => symbols.get(name).copied(),
                _ => None,
            };
            if let Some(key) = key {
                meanings.insert(place, Meaning::Pointer(key));
            }
        }
    }
    meanings
}

/// The address that an instruction with its opcode here reads (`mov`, `call`, `jmp`), computes (`lea`) or has as a
/// number (`mov`).
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

/// What was read of keys, and where.
#[derive(Default)]
struct Reads {
    pointers: HashSet<(u64, usize)>,
    forms: Vec<(u64, usize)>,
}

impl Reads {
    fn loads(mut self) -> Vec<Use> {
        self.forms.sort_unstable();
        let asks = |&(address, key): &(u64, usize)| {
            let from = self.forms.partition_point(|form| form.0 < address.saturating_sub(NEAR));
            let near = self.forms[from..].iter().take_while(|form| form.0 <= address.saturating_add(NEAR));
            near.into_iter().any(|form| form.1 == key)
        };
        let loads = self.pointers.iter().filter(|load| !asks(load));
        let mut loads: Vec<Use> = loads.map(|&(address, key)| Use { address, key: Some(key) }).collect();
        loads.sort_unstable_by_key(|load| load.address);
        loads
    }
}

/// What may hold a key's address: a register, or a word at so many bytes from where a register points.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Register(Register),
    Memory(Register, u64),
}

/// The registers that functions keep.
const KEPT: [Register; 6] =
    [Register::RBX, Register::RBP, Register::R12, Register::R13, Register::R14, Register::R15];

struct Trace<'a> {
    meanings: &'a HashMap<u64, Meaning>,
    /// Where the form lies in a key.
    form: u64,
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
        // The key whose address it moves.
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
            (Mnemonic::Mov, ..) => match self.meanings.get(&instruction.try_immediate(1).unwrap_or_default())
            {
                Some(Meaning::Key(key)) => Some(*key),
                _ => None,
            },
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

    /// What the memory operand is.
    fn memory(&self, instruction: &Instruction) -> Option<Meaning> {
        let (base, displacement) = (instruction.memory_base(), instruction.memory_displacement64());
        if instruction.memory_index() != Register::None {
            return None;
        }
        match self.holders.get(&Holder::Register(base)) {
            Some(&key) if displacement == 0 => Some(Meaning::Key(key)),
            Some(&key) if displacement == self.form => Some(Meaning::Form(key)),
            Some(_) => None,
            None if matches!(base, Register::None | Register::RIP) => {
                self.meanings.get(&displacement).copied()
            }
            None => self.holders.get(&Holder::Memory(base, displacement)).copied().map(Meaning::Pointer),
        }
    }
}
