//! Checks that an image's constructor, which registers the image with the runtime, is called.
//!
//! The constructor is in a table of functions that run when the file is loaded. A tool that edits this table
//! between compiler and linker, or a linker that splits modules, may lose the entry. Then all other tables
//! are intact, and yet no call becomes direct.

use std::collections::HashSet;
use std::ops::Range;

use object::elf;
use static_call_abi::CONSTRUCTOR;

use crate::budget::Budget;
use crate::elf::{Elf, Pointer};

/// Whether a table of constructors has the image's constructor. None: this cannot be determined.
#[must_use]
pub fn is_called(elf: &Elf<'_>, budget: &Budget) -> Option<bool> {
    let is_ours = |name: &[u8]| {
        let more = name.strip_prefix(CONSTRUCTOR.as_bytes());
        more.is_some_and(|more| more.is_empty() || more.starts_with(b"."))
    };
    let named: HashSet<u64> =
        elf.functions().iter().filter(|symbol| is_ours(symbol.name)).map(|symbol| symbol.address).collect();
    // Without symbols it looks like any other constructor: link-time optimization may have inlined the
    // runtime into it.
    if named.is_empty() {
        return None;
    }
    let entries = entries(elf, budget)?;
    let is_named = |entry: &Pointer<'_>| match *entry {
        Pointer::Null => false,
        Pointer::Address(address) => named.contains(&function(elf, address)),
        Pointer::Import(name, _) => is_ours(name),
    };
    if entries.iter().any(is_named) {
        return Some(true);
    }
    // Packed relocations (DT_RELR) are not applied here, so a null entry may stand for anything.
    let is_whole = !elf.is_relocatable || !entries.contains(&Pointer::Null);
    // A program without a dynamic linker may have a table of its own under any name.
    let is_elsewhere = || !elf.is_dynamic && is_anywhere(elf, &named, budget);
    let is_called = is_whole.then(is_elsewhere);
    is_called.filter(|_| budget.ended().is_none())
}

/// The address of a function without the Thumb bit.
fn function(elf: &Elf<'_>, address: u64) -> u64 {
    if elf.machine == elf::EM_ARM.0 { address & !1 } else { address }
}

/// The entries of all tables of constructors. None: some table may be elsewhere, or the tables are too long.
fn entries<'data>(elf: &Elf<'data>, budget: &Budget) -> Option<Vec<Pointer<'data>>> {
    // A PE file's are among other read-only data, or in code.
    if elf.has_moved_code || elf.sections.is_empty() || elf.is_pe() {
        return None;
    }
    // GCC's start files run the older table (.ctors), or have an entry in the newer one that does. A linker
    // that does not merge the two leaves an older table that nothing runs.
    let runs_ctors = elf.constructors.is_empty()
        || elf.functions().iter().any(|symbol| symbol.name == b"__do_global_ctors_aux");
    let names = [".init_array", ".preinit_array", ".ctors"].map(str::as_bytes);
    let is_table = |name: &[u8]| {
        names.iter().filter(|&&table| runs_ctors || table != b".ctors").any(|table| {
            name.strip_prefix(*table).is_some_and(|more| more.is_empty() || more.starts_with(b"."))
        })
    };
    let sections = elf.sections.iter().filter(|section| is_table(section.name));
    let sections = sections.map(|section| section.address..section.address.saturating_add(section.size));
    let symbol = |name: &str| elf.objects().iter().find(|symbol| symbol.name == name.as_bytes());
    let symbols = symbol("__init_array_start").zip(symbol("__init_array_end"));
    let symbols = symbols.map(|(start, end)| start.address..end.address);
    let ranges: HashSet<Range<u64>> =
        elf.constructors.iter().cloned().chain(sections).chain(symbols).collect();
    let mut entries = Vec::new();
    for range in ranges {
        // A damaged table may claim more than the file has.
        let end = range.end.min(range.start.saturating_add(elf.from(range.start).len() as u64));
        for place in (range.start..end).step_by(elf.pointer as usize) {
            if !budget.item::<Pointer<'_>>(&[]) || !budget.steps(16) {
                return None;
            }
            entries.extend(elf.pointer(place));
        }
    }
    Some(entries)
}

/// Whether any word of a file that is loaded at a fixed address has one of these values.
fn is_anywhere(elf: &Elf<'_>, addresses: &HashSet<u64>, budget: &Budget) -> bool {
    elf.segments.iter().any(|segment| {
        let start = segment.address.next_multiple_of(elf.pointer) - segment.address;
        let words = segment.data.get(start as usize..).unwrap_or_default();
        budget.steps(words.len())
            && words.chunks_exact(elf.pointer as usize).enumerate().any(|(number, word)| {
                elf.passed(number as u64 * elf.pointer, elf.pointer, budget);
                addresses.contains(&function(elf, elf.number(word)))
            })
    })
}
