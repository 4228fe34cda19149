//! A look into an ELF file: its site table, and the direct calls of trampolines in its code.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use object::{
    Endian, Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, SectionFlags, SectionKind, SymbolKind,
    elf,
};
use static_call_abi::{
    KEY_SUFFIX, RECORD_PREFIX, RECORDS_SECTION, SECTIONS, SITES_SECTION, TRAMPOLINE_PREFIX, is_entry,
};

use crate::platform::platform;

/// What a linked file holds of static calls.
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
    /// If it is none.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = object::File::parse(&*data).expect("an ELF file");
        Self { recorded: recorded(&file), branches: branches(&file) }
    }

    /// The number of sites.
    ///
    /// # Panics
    ///
    /// If a branch to a trampoline is not recorded, or something else is, or a site crosses a word.
    #[must_use]
    pub fn checked(&self) -> usize {
        assert_eq!(self.recorded, self.branches, "recorded sites and branches to trampolines");
        for site in &self.recorded {
            assert!(lies_in_a_word(*site), "the site at {site:#x} does not lie in one aligned word");
        }
        self.recorded.len()
    }
}

/// Whether an instruction at this address that may be replaced lies in one word.
#[must_use]
pub fn lies_in_a_word(site: u64) -> bool {
    let word = platform().word;
    site % word + platform().shortest_site <= word
}

/// Whether the file has a site table at all.
///
/// # Panics
///
/// If it is no ELF file.
#[must_use]
pub fn has_site_table(path: &Path) -> bool {
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = object::File::parse(&*data).expect("an ELF file");
    file.section_by_name(SITES_SECTION).is_some()
}

/// The number of keys in a linked file, which lie side by side with the records and the sites, on pages that
/// hold nothing else.
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
    let [keys, records, sites, end] = SECTIONS.map(|name| {
        let section = file.section_by_name(name).unwrap_or_else(|| panic!("{path_name} has no {name}"));
        section.address()..section.address() + section.size()
    });
    assert_eq!(keys.start % page, 0, "{path_name}: the keys start at {:#x}", keys.start);
    assert_eq!((keys.end, records.end, sites.end), (records.start, sites.start, end.start), "{path_name}");
    assert_eq!(end.end - end.start, page, "{path_name} has more than one set of anchors");
    let pages = keys.start..end.end / page * page;
    assert!(pages.end >= sites.end, "{path_name}: the last page with sites holds something else");
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            panic!("{path_name} is no ELF file")
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

/// The addresses of the keys that the records name, but for those that another image defines.
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
    records.step_by(platform().record().size).filter_map(key).collect()
}

/// mold has a section for the anchors and another one of the same name.
fn recorded(file: &object::File<'_>) -> Vec<u64> {
    let number = |entry: &[u8; 4]| file.endianness().read_i32(*entry);
    let mut sites = Vec::new();
    for section in file.sections().filter(|section| section.name() == Ok(SITES_SECTION)) {
        let data = section.data().expect("the site table");
        let (entries, rest) = data.as_chunks::<4>();
        assert_eq!(rest.len(), 0, "the site table consists of four-byte entries");
        let entries = (section.address()..).step_by(4).zip(entries);
        let entries = entries.filter(|(_, entry)| is_entry(number(entry)));
        sites.extend(entries.map(|(place, entry)| place.wrapping_add_signed(number(entry).into())));
    }
    sites.sort_unstable();
    sites
}

/// Disassembles every function, as the symbol table gives them.
fn branches(file: &object::File<'_>) -> Vec<u64> {
    let symbols = || file.symbols().filter(|symbol| symbol.is_definition());
    let trampolines: HashSet<u64> = symbols()
        .filter(|symbol| symbol.name_bytes().is_ok_and(|n| n.starts_with(TRAMPOLINE_PREFIX.as_bytes())))
        .map(|symbol| symbol.address())
        .collect();
    let mut found = HashSet::new();
    for symbol in symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
        let Some(section) = section.filter(|section| section.kind() == SectionKind::Text) else {
            continue;
        };
        let code = section.data_range(symbol.address(), symbol.size()).ok().flatten();
        let Some(code) = code else { continue };
        let branches = platform().branches(code, symbol.address());
        let to_trampolines = branches.iter().filter(|branch| trampolines.contains(&branch.target));
        found.extend(to_trampolines.map(|branch| branch.at));
    }
    let mut found: Vec<u64> = found.into_iter().collect();
    found.sort_unstable();
    found
}
