//! A look into an x86-64 ELF file: its site table, and the direct calls of trampolines in its code.

use std::collections::HashSet;
use std::path::Path;

use iced_x86::{Decoder, DecoderOptions, FlowControl};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use static_call_abi::{SITE_ANCHOR, SITES_SECTION, TRAMPOLINE_PREFIX};

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
            assert!(site % 8 <= 3, "the site at {site:#x} does not lie in one aligned word");
        }
        self.recorded.len()
    }
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

fn recorded(file: &object::File<'_>) -> Vec<u64> {
    let Some(section) = file.section_by_name(SITES_SECTION) else { return Vec::new() };
    let data = section.data().expect("the site table");
    let (entries, rest) = data.as_chunks::<4>();
    assert_eq!(rest.len(), 0, "the site table consists of four-byte entries");
    let mut sites: Vec<u64> = (section.address()..)
        .step_by(4)
        .zip(entries)
        .filter(|(_, entry)| i32::from_le_bytes(**entry) != SITE_ANCHOR)
        .map(|(place, entry)| place.wrapping_add_signed(i32::from_le_bytes(*entry).into()))
        .collect();
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
        for instruction in Decoder::with_ip(64, code, symbol.address(), DecoderOptions::NONE) {
            let is_branch = matches!(
                instruction.flow_control(),
                FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
            );
            if is_branch && trampolines.contains(&instruction.near_branch_target()) {
                found.insert(instruction.ip());
            }
        }
    }
    let mut found: Vec<u64> = found.into_iter().collect();
    found.sort_unstable();
    found
}
