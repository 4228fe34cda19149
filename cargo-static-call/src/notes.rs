//! The pass's notes about calls that it could not lower and that load their key: `INDIRECT_SECTION` in
//! `static-call-abi`.

use std::collections::HashMap;

use static_call_abi::{INDIRECT_SECTION, USED_AS_A_VALUE};

use crate::budget::Budget;
use crate::elf::Elf;
use crate::file::RELEASE;
use crate::name::printable;
use crate::tables::{Tables, key_name};

/// A load of a key that the pass has noted.
#[derive(Clone, Debug)]
pub struct Note {
    /// The load's address.
    pub address: u64,
    /// The key, as an index into [`Tables::keys`], if it is one of them.
    pub key: Option<usize>,
    /// The name of the key, if the pass knew the key.
    pub name: Option<String>,
    /// Why the pass could not lower the call.
    pub reason: String,
    /// Whether this is not a call: the function pointer is used as a value.
    pub is_value: bool,
}

/// Reads the notes about code in the file, by address. Some linkers keep the notes of functions that they
/// removed; those are skipped.
#[must_use]
pub fn read(elf: &Elf<'_>, tables: &Tables, budget: &Budget) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut rest = elf.section(INDIRECT_SECTION).map_or(&[][..], |section| section.data);
    if rest.is_empty() {
        return notes;
    }
    let word = elf.pointer as usize;
    let symbols = tables.symbols();
    let addresses: HashMap<u64, usize> =
        tables.keys.iter().enumerate().filter_map(|(number, key)| Some((key.address?, number))).collect();
    let objects: HashMap<&[u8], u64> =
        elf.objects().iter().map(|symbol| (symbol.name, symbol.address)).collect();
    // A key may be part of a larger object that has a symbol.
    let part = |symbol: &str| {
        let (whole, offset) = symbol.split_once('+')?;
        let whole = objects.get(whole.as_bytes())?;
        addresses.get(&whole.wrapping_add(offset.parse().ok()?)).copied()
    };
    while let Some((address, texts)) = rest.split_at_checked(word) {
        let mut texts_of_it = texts.splitn(3, |&byte| byte == 0);
        let (Some(symbol), Some(reason), Some(_)) =
            (texts_of_it.next(), texts_of_it.next(), texts_of_it.next())
        else {
            break;
        };
        let len = word + symbol.len() + 1 + reason.len() + 1;
        rest = rest.get(len.next_multiple_of(word)..).unwrap_or_default();
        let address = elf.number(address);
        if !elf.is_code(address) {
            continue;
        }
        let symbol = printable(&String::from_utf8_lossy(symbol));
        let reason = printable(&String::from_utf8_lossy(reason));
        if !budget.item::<[Note; 2]>(&[&symbol, &symbol, &reason, &reason]) {
            break;
        }
        notes.push(Note {
            address,
            key: symbols.get(&*symbol).copied().or_else(|| part(&symbol)),
            name: (!symbol.is_empty()).then(|| key_name(symbol.as_bytes())),
            is_value: reason == USED_AS_A_VALUE,
            reason,
        });
    }
    notes.sort_by_key(|note| note.address);
    notes
}

/// Whether the file has the note that a copy of the runtime with operating system support carries: see the
/// runtime's `copies.rs`.
#[must_use]
pub fn has_runtime(elf: &Elf<'_>, budget: &Budget) -> bool {
    const NAME: &[u8] = b"static-call\0";
    if elf.section(".note.static_call").is_some() {
        return true;
    }
    // A linker script may merge all notes into one section.
    elf.segments.iter().any(|segment| {
        let part = |start: usize| {
            elf.passed(start as u64, RELEASE, budget);
            let end = segment.data.len().min(start + RELEASE as usize + NAME.len());
            memchr::memmem::find_iter(&segment.data[start..end], NAME).map(move |at| start + at)
        };
        let mut names = (0..segment.data.len()).step_by(RELEASE as usize).flat_map(part);
        names.any(|at| {
            // Before the name are its size, that of the content, and the type.
            let sizes = at.checked_sub(12).map(|start| &segment.data[start..start + 8]);
            sizes.is_some_and(|sizes| {
                [&sizes[..4], &sizes[4..]].map(|size| elf.number(size)) == [NAME.len() as u64, 4]
            })
        })
    })
}
