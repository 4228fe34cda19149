//! Where code reads a key's pointer: how a call looks that was not lowered.
//!
//! A key's address, or that of a word that holds it (as the global offset table does), is made by an instruction or two.
//! From there it is followed through registers and the stack, up to the instructions that read through it. An address that
//! is only handed on belongs to an update.

use std::collections::{HashMap, HashSet};

use object::elf;

use crate::code::Use;
use crate::elf::{Elf, Pointer};
use crate::tables::{Layout, Tables};

mod aarch64;
mod x86_64;

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

/// Finds all loads, by address. None: it is not known how this machine's code makes addresses.
pub(crate) fn find(elf: &Elf<'_>, tables: &Tables, skip: impl Fn(u64) -> bool) -> Option<Vec<Use>> {
    let read = match (elf::Machine(elf.machine), elf.pointer) {
        (elf::EM_X86_64, 8) => x86_64::read,
        (elf::EM_AARCH64, 8) if object::Endian::is_little_endian(elf.endian()) => aarch64::read,
        _ => return None,
    };
    let keys = Keys {
        meanings: meanings(elf, tables),
        form: Layout { pointer: elf.pointer }.key_form(),
        is_relocatable: elf.is_relocatable,
    };
    let mut reads = Reads::default();
    if !keys.meanings.is_empty() {
        for segment in elf.segments.iter().filter(|segment| segment.is_executable) {
            read(segment, &keys, &skip, &mut reads);
        }
    }
    Some(reads.loads())
}

/// Where the keys are.
struct Keys {
    meanings: HashMap<u64, Meaning>,
    /// Where the form lies in a key.
    form: u64,
    /// Whether the file is loaded anywhere, so that code cannot have addresses as numbers.
    is_relocatable: bool,
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
