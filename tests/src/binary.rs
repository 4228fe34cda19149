//! Reads an ELF file's site table, and finds the direct calls of trampolines in its code.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use object::{
    BinaryFormat, Endian, Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, SectionFlags, SectionKind,
    SymbolKind, elf,
};
use static_call_abi::{
    ANCHOR_PREFIX, BRANCHES_SECTION, Branch, KEY_SUFFIX, RECORD_PREFIX, RECORDS_SECTION, SECTIONS,
    SITES_SECTION, TRAMPOLINE_PREFIX, is_entry,
};

use crate::platform::platform;

/// The static calls of a linked file.
#[derive(Debug, PartialEq, Eq)]
pub struct StaticCalls {
    /// The addresses in the site table, sorted.
    pub recorded: Vec<u64>,
    /// The addresses of all calls, jumps and conditional jumps to a trampoline, sorted.
    pub branches: Vec<u64>,
}

impl StaticCalls {
    /// Reads a linked file.
    ///
    /// # Panics
    ///
    /// If the file is not an ELF file.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = object::File::parse(&*data).expect("an ELF file");
        Self { recorded: entries::<4>(&file, SITES_SECTION), branches: branches(&file) }
    }

    /// The number of sites.
    ///
    /// # Panics
    ///
    /// If a branch to a trampoline is not recorded, if anything else is, or if a site crosses a word.
    #[must_use]
    pub fn checked(&self) -> usize {
        assert_eq!(self.recorded, self.branches, "recorded sites and branches to trampolines");
        for site in &self.recorded {
            assert!(lies_in_a_word(*site), "the site at {site:#x} does not lie in one aligned word");
        }
        self.recorded.len()
    }
}

/// Whether a linked file has a table of records, and so registers itself.
///
/// # Panics
///
/// If the file is not an ELF file.
#[must_use]
pub fn is_registered(path: &Path) -> bool {
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = object::File::parse(&*data).expect("an ELF file");
    [RECORDS_SECTION, ".scall"].iter().any(|section| file.section_by_name(section).is_some())
}

/// How a program that was compiled without the pass calls its keys.
#[derive(Debug)]
pub struct Trampolines {
    /// How many trampolines its records name.
    pub count: usize,
    /// How many direct calls and jumps lead to a trampoline.
    pub branches: usize,
    /// The names of the trampolines whose address some pointer holds: a call could go through it instead.
    pub by_pointer: Vec<String>,
    /// The calls that go through a key directly, where the tests can tell.
    pub through_keys: Vec<String>,
}

impl Trampolines {
    /// Reads a linked file.
    ///
    /// # Panics
    ///
    /// If it is not linked, or has no records.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = object::File::parse(&*data).expect("an ELF file");
        let records = file.section_by_name(RECORDS_SECTION).expect("the records");
        let table = records.data().expect("a section");
        let layout = platform().layout();
        let (size, trampoline) = (layout.record() as usize, layout.record_trampoline() as usize);
        let field = |record: &[u8]| {
            let bytes = record[trampoline..].first_chunk().expect("a field");
            file.endianness().read_i32(*bytes)
        };
        let trampolines: HashSet<u64> = (records.address()..)
            .step_by(size)
            .zip(table.chunks_exact(size))
            .filter(|(_, record)| field(record) != 0)
            .map(|(place, record)| place.wrapping_add_signed(field(record).into()))
            .collect();
        let keys = called_keys(&file, records.address()..records.address() + records.size());
        let addends = file.dynamic_relocations().into_iter().flatten().map(|(place, relocation)| {
            let word = || file.sections().find_map(|section| section.data_range(place, 4).ok().flatten());
            let number = |word: &[u8]| file.endianness().read_u32(*word.first_chunk().expect("four bytes"));
            match relocation.has_implicit_addend() {
                true => word().map_or(0, number).into(),
                false => relocation.addend().cast_unsigned(),
            }
        });
        let pointers: HashSet<u64> = addends.filter(|addend| trampolines.contains(addend)).collect();
        let names = file.symbols().filter(|symbol| pointers.contains(&symbol.address()));
        let names = names.filter(|symbol| symbol.kind() == SymbolKind::Text);
        Self {
            count: trampolines.len(),
            branches: branches_to(&file, &trampolines).len(),
            by_pointer: names.map(|symbol| symbol.name().expect("UTF-8").to_owned()).collect(),
            through_keys: through_keys(path, &keys, &trampolines),
        }
    }
}

/// The calls and jumps through a key's target. Only for x86-64, whose disassembly shows an operand's address.
fn through_keys(path: &Path, keys: &BTreeSet<u64>, trampolines: &HashSet<u64>) -> Vec<String> {
    if platform().name != "x86_64-unknown-linux-gnu" {
        return Vec::new();
    }
    let listing = crate::stdout(crate::llvm("llvm-objdump").args(["-d", "--no-show-raw-insn"]).arg(path));
    let (mut function, mut is_trampoline) = ("", false);
    // The register that currently holds a key's target.
    let mut loaded = None;
    let mut found = Vec::new();
    for line in listing.lines() {
        if line.ends_with(">:") {
            let address = line.split(' ').next().and_then(|number| u64::from_str_radix(number, 16).ok());
            is_trampoline = address.is_some_and(|address| trampolines.contains(&address));
            (function, loaded) = (line, None);
        }
        let (instruction, comment) = line.split_once("# 0x").unwrap_or((line, ""));
        let number = comment.split(' ').next().unwrap_or_default();
        let is_key = u64::from_str_radix(number, 16).is_ok_and(|address| keys.contains(&address));
        let is_branch = instruction.contains("call") || instruction.contains("jmp");
        let is_through_key = match loaded {
            _ if is_key => is_branch,
            Some(register) => is_branch && instruction.ends_with(&format!("*{register}")),
            None => false,
        };
        if is_through_key && !is_trampoline {
            found.push(format!("{function} {line}"));
        }
        if is_key && instruction.contains("mov") {
            loaded = instruction.split_once("(%rip), ").map(|(_, register)| register.trim());
        } else if is_branch || loaded.is_some_and(|register| instruction.ends_with(&format!(", {register}")))
        {
            loaded = None;
        }
    }
    found
}

/// Whether a replaceable instruction at this address lies in one word.
#[must_use]
pub fn lies_in_a_word(site: u64) -> bool {
    let word = platform().word;
    site % word + platform().shortest_site <= word
}

/// The number of sites in all sections of an object file.
///
/// # Panics
///
/// If it is not an object file.
#[must_use]
pub fn sites_of_object(path: &Path) -> usize {
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = object::File::parse(&*data).expect("an ELF file");
    let tables = file.sections().filter(|section| section.name() == Ok(SITES_SECTION));
    tables.map(|table| table.relocations().count()).sum()
}

/// Whether the file has a site table at all.
///
/// # Panics
///
/// If it is not an ELF file.
#[must_use]
pub fn has_site_table(path: &Path) -> bool {
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = object::File::parse(&*data).expect("an ELF file");
    file.section_by_name(SITES_SECTION).is_some()
}

/// The number of keys in a linked file. Checks that keys, records and sites lie side by side, on pages that
/// contain nothing else.
///
/// # Panics
///
/// If they do not.
#[must_use]
pub fn keys_on_pages_of_their_own(path: &Path) -> usize {
    let path_name = path.display();
    let page = platform().page;
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{path_name}: {error}"));
    let file = object::File::parse(&*data).expect("an ELF file");
    let [keys, records, branches, sites, end] = SECTIONS.map(|name| {
        let section = file.section_by_name(name).unwrap_or_else(|| panic!("{path_name} has no {name}"));
        section.address()..section.address() + section.size()
    });
    assert_eq!(keys.start % page, 0, "{path_name}: the keys start at {:#x}", keys.start);
    assert_eq!(
        (keys.end, records.end, branches.end, sites.end),
        (records.start, branches.start, sites.start, end.start),
        "{path_name}"
    );
    assert_eq!(end.end - end.start, page, "{path_name} has more than one set of anchors");
    let pages = keys.start..end.end / page * page;
    assert!(pages.end >= sites.end, "{path_name}: the last page with sites holds something else");
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            panic!("{path_name} is not an ELF file")
        };
        let has = |flag: elf::SectionFlags| sh_flags & flag == flag;
        let is_in_memory = has(elf::SHF_ALLOC) && !has(elf::SHF_TLS);
        let name = section.name().expect("UTF-8");
        let is_elsewhere =
            section.address() >= pages.end || section.address() + section.size() <= pages.start;
        assert!(
            !is_in_memory || section.size() == 0 || is_elsewhere || SECTIONS.contains(&name),
            "{path_name}: {name} lies on the keys' pages",
        );
    }
    for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
        let name = symbol.name().expect("UTF-8");
        if symbol.kind() == SymbolKind::Data && name.contains(KEY_SUFFIX) && !name.starts_with(RECORD_PREFIX)
        {
            assert!(keys.contains(&symbol.address()), "{path_name}: {name} lies elsewhere");
        }
    }
    let called = called_keys(&file, records);
    for key in &called {
        assert!(keys.contains(key), "{path_name}: a key lies elsewhere, at {key:#x}");
    }
    called.len()
}

/// The addresses of the keys that the records name, except those that another image defines.
fn called_keys(file: &object::File<'_>, records: Range<u64>) -> BTreeSet<u64> {
    let table = file.section_by_name(RECORDS_SECTION).expect("the records");
    let word = |place| {
        let bytes = table.data_range(place, platform().pointer).expect("a section").expect("a word of it");
        match *bytes {
            [a, b, c, d] => file.endianness().read_u32([a, b, c, d]).into(),
            _ => file.endianness().read_u64(bytes.try_into().expect("eight bytes")),
        }
    };
    let symbols = file.dynamic_symbol_table();
    let relocations: HashMap<u64, object::Relocation> =
        file.dynamic_relocations().into_iter().flatten().collect();
    let key = |place: u64| {
        let Some(relocation) = relocations.get(&place) else {
            return Some(word(place)).filter(|&key| key != 0);
        };
        let addend =
            if relocation.has_implicit_addend() { word(place) } else { relocation.addend().cast_unsigned() };
        let object::RelocationTarget::Symbol(index) = relocation.target() else { return Some(addend) };
        let symbol = symbols.as_ref()?.symbol_by_index(index).ok()?;
        symbol.is_definition().then(|| symbol.address().wrapping_add(addend))
    };
    records.step_by(platform().layout().record() as usize).filter_map(key).collect()
}

/// A table of a PE file: between its own anchor and the next table's, in one section for all.
fn table_of_pe<'data>(file: &object::File<'data>, table: &str) -> Option<(u64, &'data [u8])> {
    let at = SECTIONS.iter().position(|&section| section == table).expect("one of our tables");
    let anchor = |section: &str| {
        let name = format!("{ANCHOR_PREFIX}{section}");
        file.symbols().find(|symbol| symbol.name() == Ok(&*name)).map(|symbol| symbol.address())
    };
    let section = file.section_by_name(".scall")?;
    let (start, end) = (anchor(table)?, anchor(SECTIONS[at + 1])?);
    Some((start, section.data_range(start, end - start).ok()??))
}

/// The addresses that the entries of a table start with, sorted. mold puts the anchors into a section of
/// their own, with the same name.
fn entries<const SIZE: usize>(file: &object::File<'_>, table: &str) -> Vec<u64> {
    let number = |entry: &[u8; SIZE]| file.endianness().read_i32(*entry.first_chunk().expect("four bytes"));
    let mut sites = Vec::new();
    if file.format() == BinaryFormat::Pe {
        let Some((start, entries)) = table_of_pe(file, table) else { return sites };
        let entries = (start..).step_by(SIZE).zip(entries.as_chunks::<SIZE>().0);
        let entries = entries.filter(|(_, entry)| is_entry(number(entry)));
        sites.extend(entries.map(|(place, entry)| place.wrapping_add_signed(number(entry).into())));
    }
    for section in file.sections().filter(|section| section.name() == Ok(table)) {
        let (entries, rest) = section.data().expect("a table").as_chunks::<SIZE>();
        assert_eq!(rest.len(), 0, "{table} consists of entries of {SIZE} bytes");
        let entries = (section.address()..).step_by(SIZE).zip(entries);
        let entries = entries.filter(|(_, entry)| is_entry(number(entry)));
        sites.extend(entries.map(|(place, entry)| place.wrapping_add_signed(number(entry).into())));
    }
    sites.sort_unstable();
    sites
}

/// The number of branches in a linked file's table.
///
/// # Panics
///
/// If it is not an ELF file.
#[must_use]
pub fn recorded_branches(path: &Path) -> usize {
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = object::File::parse(&*data).expect("an ELF file");
    entries::<{ size_of::<Branch>() }>(&file, BRANCHES_SECTION).len()
}

/// Disassembles every function of the symbol table.
fn branches(file: &object::File<'_>) -> Vec<u64> {
    let symbols = || file.symbols().filter(|symbol| symbol.is_definition());
    // In C++, the header makes trampolines with a template: of a class for clang, of a function for gcc.
    let starts = [TRAMPOLINE_PREFIX, "_ZN24__static_call_trampolineI", "_Z24__static_call_trampolineI"];
    let trampolines: HashSet<u64> = symbols()
        .filter(|symbol| {
            symbol
                .name_bytes()
                .is_ok_and(|name| starts.iter().any(|start| name.starts_with(start.as_bytes())))
        })
        .map(|symbol| symbol.address())
        .collect();
    branches_to(file, &trampolines)
}

/// The addresses of all direct branches to one of these functions, sorted.
fn branches_to(file: &object::File<'_>, trampolines: &HashSet<u64>) -> Vec<u64> {
    let symbols = || file.symbols().filter(|symbol| symbol.is_definition());
    let mut found = HashSet::new();
    // Symbols of PE have no sizes: each function ends where the next symbol is.
    let starts: BTreeSet<u64> = symbols().map(|symbol| symbol.address()).collect();
    for symbol in symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
        let Some(section) = section.filter(|section| section.kind() == SectionKind::Text) else {
            continue;
        };
        let size = if file.format() == BinaryFormat::Pe {
            let next = starts.range(symbol.address() + 1..).next().copied();
            let end = section.address() + section.size();
            next.map_or(end, |next| next.min(end)) - symbol.address()
        } else {
            symbol.size()
        };
        let code = section.data_range(symbol.address(), size).ok().flatten();
        // The entries of the breakpoint handler begin with text and an offset, which are no instructions.
        let Some(code) = code.filter(|code| !code.starts_with(b"static-call int")) else { continue };
        let branches = platform().branches(code, symbol.address());
        let to_trampolines = branches.iter().filter(|branch| trampolines.contains(&branch.target));
        found.extend(to_trampolines.map(|branch| branch.at));
    }
    let mut found: Vec<u64> = found.into_iter().collect();
    found.sort_unstable();
    found
}
