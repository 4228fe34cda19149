//! Finds loads of a key's pointer, which calls that were not lowered contain.
//!
//! One or two instructions compute the address of a key, or of a word that holds it, as in the global offset
//! table. From there the address is followed through registers and the stack to the instructions that load
//! through it. An address that is only passed on belongs to an update.

use object::elf;

use crate::budget::Budget;
use crate::elf::Elf;
use crate::tables::{Tables, Use};
use keys::{Keys, Reads};

mod aarch64;
mod keys;
mod x86_64;

/// Finds all loads, by address. None: loads are not recognized on this machine.
pub(crate) fn find(
    elf: &Elf<'_>,
    tables: &Tables,
    skip: impl Fn(u64) -> bool,
    budget: &Budget,
) -> Option<Vec<Use>> {
    let read = match (elf::Machine(elf.machine), elf.pointer) {
        (elf::EM_X86_64, 8) => x86_64::read,
        (elf::EM_AARCH64, 8) if object::Endian::is_little_endian(elf.endian()) => aarch64::read,
        _ => return None,
    };
    let keys = Keys::of(elf, tables, budget);
    let mut reads = Reads::default();
    if !keys.meanings.is_empty() {
        for segment in elf.segments.iter().filter(|segment| segment.is_executable) {
            read(elf, segment, &keys, &skip, &mut reads, budget);
        }
    }
    Some(reads.loads())
}
