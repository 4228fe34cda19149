//! The addresses that belong to keys, and the loads from them.

use std::collections::{HashMap, HashSet};

use static_call_abi::Layout;

use crate::budget::Budget;
use crate::elf::{Elf, Pointer};
use crate::tables::{Tables, Use};

/// The number of instructions over which an address is followed.
pub(super) const INSTRUCTIONS: usize = 64;

/// Code that loads a key's form this close to its pointer asks for the key's target, and does not call it.
const NEAR: u64 = 64;

/// What is at an address.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// The pointer in this key, which is at the key's own address.
    Key(usize),
    /// The form of this key.
    Form(usize),
    /// A pointer to this key.
    Pointer(usize),
}

/// The addresses that belong to keys.
pub(super) struct Keys {
    pub(super) meanings: HashMap<u64, Meaning>,
    /// The offset of the form in a key.
    pub(super) form: u64,
    /// Whether the file can be loaded at any address, so code has no absolute addresses.
    pub(super) is_relocatable: bool,
}

impl Keys {
    pub(super) fn of(elf: &Elf<'_>, tables: &Tables, budget: &Budget) -> Self {
        Self {
            meanings: meanings(elf, tables, budget),
            form: Layout { pointer: elf.pointer }.key_form(),
            is_relocatable: elf.is_relocatable,
        }
    }
}

fn meanings(elf: &Elf<'_>, tables: &Tables, budget: &Budget) -> HashMap<u64, Meaning> {
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
            if !budget.steps(4) {
                break;
            }
            elf.passed(place - first, elf.pointer, budget);
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

/// The loads found so far: addresses of instructions, and keys.
#[derive(Default)]
pub(super) struct Reads {
    pub(super) pointers: HashSet<(u64, usize)>,
    pub(super) forms: Vec<(u64, usize)>,
}

impl Reads {
    pub(super) fn loads(mut self) -> Vec<Use> {
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
