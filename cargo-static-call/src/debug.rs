//! What debug information says: the source line of a call, and the type of a function.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use addr2line::{Context, LookupResult};
use gimli::{
    AbbreviationsCacheStrategy, AttributeValue, DebuggingInformationEntry, Dwarf, EndianSlice, RunTimeEndian,
    Unit, UnitOffset,
};
use object::Endianness;

use crate::elf::{Elf, Section};
use crate::name::{demangle, printable};

type Reader<'data> = EndianSlice<'data, RunTimeEndian>;

/// The sections with debug information, decompressed.
#[derive(Debug)]
pub struct DebugSections<'data> {
    endian: RunTimeEndian,
    sections: Vec<(&'data [u8], Cow<'data, [u8]>)>,
}

impl<'data> DebugSections<'data> {
    /// Takes them from a file. What is damaged is left out.
    #[must_use]
    pub fn of(elf: &Elf<'data>) -> Self {
        let endian = match elf.endian() {
            Endianness::Little => RunTimeEndian::Little,
            Endianness::Big => RunTimeEndian::Big,
        };
        let sections = elf.sections.iter().filter(|section| section.name.starts_with(b".debug_"));
        let contents = |section: &Section<'data>| match section.is_compressed {
            false => Cow::Borrowed(section.data),
            true => Cow::Owned(decompress(elf, section).unwrap_or_default()),
        };
        Self { endian, sections: sections.map(|section| (section.name, contents(section))).collect() }
    }

    fn get(&self, name: &str) -> &[u8] {
        let found = self.sections.iter().find(|section| section.0 == name.as_bytes());
        found.map_or(&[], |(_, contents)| contents)
    }
}

/// A file's debug information.
pub struct DebugInfo<'data> {
    context: Context<Reader<'data>>,
    dwarf: Arc<Dwarf<Reader<'data>>>,
}

impl std::fmt::Debug for DebugInfo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DebugInfo").finish_non_exhaustive()
    }
}

/// Where in the source something is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The function as the source has it, which may be inlined into another one.
    pub function: Option<String>,
    /// The file, as the compiler was told.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
}

/// Debug information is compressed to a fifth or so. What claims to be more than this many times as long is a trap.
const COMPRESSION: u64 = 100;

impl<'data> DebugInfo<'data> {
    /// Reads it, if the file has some. None also where it is damaged: all else works without.
    #[must_use]
    pub fn read(sections: &'data DebugSections<'_>) -> Option<Self> {
        if sections.get(".debug_info").is_empty() {
            return None;
        }
        let section = |id: gimli::SectionId| {
            Ok::<_, gimli::Error>(EndianSlice::new(sections.get(id.name()), sections.endian))
        };
        let mut dwarf = Dwarf::load(section).ok()?;
        if !lines_are_disjoint(&dwarf) {
            return None;
        }
        // Units share them; each would read them for itself.
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        let dwarf = Arc::new(dwarf);
        Some(Self { context: Context::from_arc_dwarf(Arc::clone(&dwarf)).ok()?, dwarf })
    }

    /// Where the instruction at an address comes from. A call that Rust's macros make is said to be where the user
    /// wrote it.
    #[must_use]
    pub fn place(&self, address: u64) -> Place {
        let LookupResult::Output(Ok(mut frames)) = self.context.find_frames(address) else {
            return self.line(address);
        };
        let mut place = None;
        while let Ok(Some(frame)) = frames.next() {
            let function =
                frame.function.and_then(|name| name.raw_name().ok().map(|name| demangle(name.as_bytes())));
            let is_macro = function.as_deref().is_some_and(|name| {
                is_call_method(name) || is_loader(name.as_bytes()) || name == "static_call::private::load"
            });
            let location = frame.location;
            place = Some(Place {
                function,
                file: location.as_ref().and_then(|location| location.file.map(printable)),
                line: location.and_then(|location| location.line),
            });
            if !is_macro {
                break;
            }
        }
        place.unwrap_or_else(|| self.line(address))
    }

    fn line(&self, address: u64) -> Place {
        let location = self.context.find_location(address).ok().flatten();
        Place {
            function: None,
            file: location.as_ref().and_then(|location| location.file.map(printable)),
            line: location.and_then(|location| location.line),
        }
    }

    /// Where code loads a key's pointer because it was compiled without the pass: the inlined copies of what C's header
    /// and Rust's macros then call.
    #[must_use]
    pub fn inlined_loads(&self) -> Vec<u64> {
        let mut loaders = HashSet::new();
        self.for_each_unit(|unit| {
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if entry.tag() == gimli::DW_TAG_subprogram
                    && self.names_loader(unit, entry)
                    && let Some(offset) = entry.offset().to_debug_info_offset(&unit.header)
                {
                    loaders.insert(offset);
                }
            }
            Ok(())
        });
        let mut found = Vec::new();
        if loaders.is_empty() {
            return found;
        }
        self.for_each_unit(|unit| {
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if entry.tag() != gimli::DW_TAG_inlined_subroutine {
                    continue;
                }
                let origin = match entry.attr_value(gimli::DW_AT_abstract_origin) {
                    Some(AttributeValue::UnitRef(origin)) => origin.to_debug_info_offset(&unit.header),
                    Some(AttributeValue::DebugInfoRef(origin)) => Some(origin),
                    _ => None,
                };
                if !origin.is_some_and(|origin| loaders.contains(&origin)) {
                    continue;
                }
                let mut ranges = self.dwarf.die_ranges(unit, entry)?;
                if let Some(range) = ranges.next()? {
                    found.push(range.begin);
                }
            }
            Ok(())
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    fn names_loader(
        &self,
        unit: &Unit<Reader<'data>>,
        entry: &DebuggingInformationEntry<Reader<'data>>,
    ) -> bool {
        let names = [gimli::DW_AT_linkage_name, gimli::DW_AT_name];
        names
            .into_iter()
            .filter_map(|name| entry.attr_value(name))
            .any(|name| self.dwarf.attr_string(unit, name).is_ok_and(|name| is_loader(name.slice())))
    }

    /// A damaged unit hides its own contents only.
    fn for_each_unit(&self, mut visit: impl FnMut(&Unit<Reader<'data>>) -> gimli::Result<()>) {
        let mut units = self.dwarf.units();
        while let Ok(Some(header)) = units.next() {
            if let Ok(unit) = self.dwarf.unit(header) {
                let _ = visit(&unit);
            }
        }
    }

    /// The types of the functions that start at these addresses.
    #[must_use]
    pub fn function_types(&self, wanted: &HashSet<u64>) -> HashMap<u64, String> {
        let mut found = HashMap::new();
        if !wanted.is_empty() {
            self.for_each_unit(|unit| self.function_types_of_unit(unit, wanted, &mut found));
        }
        found
    }

    fn function_types_of_unit(
        &self,
        unit: &Unit<Reader<'data>>,
        wanted: &HashSet<u64>,
        found: &mut HashMap<u64, String>,
    ) -> gimli::Result<()> {
        let mut types =
            Types { dwarf: &self.dwarf, unit, is_rust: language(unit) == Some(gimli::DW_LANG_Rust) };
        let mut has_types = false;
        let mut entries = unit.entries();
        let mut without_any = Vec::new();
        while let Some(entry) = entries.next_dfs()? {
            has_types |= entry.attr_value(gimli::DW_AT_type).is_some();
            if entry.tag() != gimli::DW_TAG_subprogram {
                continue;
            }
            let Some(value) = entry.attr_value(gimli::DW_AT_low_pc) else { continue };
            let Some(address) = self.dwarf.attr_address(unit, value)? else { continue };
            if wanted.contains(&address) && !found.contains_key(&address) {
                let ty = printable(&types.function(entry.offset(), DEEPEST)?);
                if ty == "fn()" || ty == "void (void)" {
                    without_any.push((address, ty));
                } else {
                    found.insert(address, ty);
                }
            }
        }
        // With line tables alone, every function looks like that.
        found.extend(without_any.into_iter().filter(|_| has_types));
        Ok(())
    }
}

/// Whether this is the symbol of a function that returns what a key points at.
pub(crate) fn is_loader(symbol: &[u8]) -> bool {
    const RUST: &[u8] = b"static_call";
    symbol == static_call_abi::INTRINSIC.as_bytes()
        // Only few names are worth to be demangled.
        || symbol.windows(RUST.len()).any(|part| part == RUST)
            && demangle(symbol) == "static_call::private::load"
}

/// Whether this is the method `call` of a key, as `define!` makes it.
fn is_call_method(function: &str) -> bool {
    function.ends_with("::call") && (function.contains("::_::") || function.starts_with('<'))
}

fn decompress(elf: &Elf<'_>, section: &Section<'_>) -> Option<Vec<u8>> {
    let (size, start) = if elf.pointer == 8 { (8..16, 24) } else { (4..8, 12) };
    let format = match elf.number(section.data.get(..4)?) {
        1 => object::CompressionFormat::Zlib,
        2 => object::CompressionFormat::Zstandard,
        _ => return None,
    };
    let uncompressed_size = elf.number(section.data.get(size)?);
    let data = section.data.get(start..)?;
    if uncompressed_size > (data.len() as u64).saturating_mul(COMPRESSION) {
        return None;
    }
    let compressed = object::CompressedData { format, data, uncompressed_size };
    Some(compressed.decompress().ok()?.into_owned())
}

/// Whether the line programs of all units together are no longer than their section: each is read into memory once,
/// and units that share one by malice would make much of little.
fn lines_are_disjoint(dwarf: &Dwarf<Reader<'_>>) -> bool {
    let mut total = 0u64;
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        let Ok(abbreviations) = dwarf.abbreviations(&header) else { continue };
        let mut entries = header.entries(&abbreviations);
        let Ok(Some(root)) = entries.next_dfs() else { continue };
        if root.tag() != gimli::DW_TAG_compile_unit {
            continue;
        }
        let Some(AttributeValue::DebugLineRef(offset)) = root.attr_value(gimli::DW_AT_stmt_list) else {
            continue;
        };
        if let Ok(program) = dwarf.debug_line.program(offset, header.address_size(), None, None) {
            total += program.header().raw_program_buf().len() as u64;
        }
    }
    let section = gimli::Section::reader(&dwarf.debug_line);
    total <= gimli::Reader::len(section) as u64
}

fn language(unit: &Unit<Reader<'_>>) -> Option<gimli::DwLang> {
    let mut entries = unit.entries();
    let root = entries.next_dfs().ok()??;
    match root.attr_value(gimli::DW_AT_language)? {
        AttributeValue::Language(language) => Some(language),
        _ => None,
    }
}

/// Types of types of types: nobody reads on, and damaged ones go in circles.
const DEEPEST: u32 = 8;

struct Types<'a> {
    dwarf: &'a Dwarf<Reader<'a>>,
    unit: &'a Unit<Reader<'a>>,
    is_rust: bool,
}

impl Types<'_> {
    /// A function's type as its language writes it.
    fn function(&mut self, offset: UnitOffset, depth: u32) -> gimli::Result<String> {
        let mut tree = self.unit.entries_tree(Some(offset))?;
        let root = tree.root()?;
        let result = self.type_of(root.entry(), depth)?;
        let mut parameters = Vec::new();
        let mut children = root.children();
        while let Some(child) = children.next()? {
            match child.entry().tag() {
                gimli::DW_TAG_formal_parameter => {
                    let void = || "void".to_owned();
                    parameters.push(self.type_of(child.entry(), depth)?.unwrap_or_else(void));
                }
                gimli::DW_TAG_unspecified_parameters => parameters.push("...".into()),
                _ => {}
            }
            if parameters.len() > 64 {
                break;
            }
        }
        // The function's code may say less than its declaration, which it names.
        if parameters.is_empty()
            && result.is_none()
            && depth > 0
            && let Some(origin) = self.origin(offset)?
        {
            return self.function(origin, depth - 1);
        }
        let parameters = parameters.join(", ");
        Ok(match (self.is_rust, result) {
            (true, None) => format!("fn({parameters})"),
            (true, Some(result)) => format!("fn({parameters}) -> {result}"),
            (false, result) => {
                let parameters = if parameters.is_empty() { "void" } else { &parameters };
                format!("{} ({parameters})", result.as_deref().unwrap_or("void"))
            }
        })
    }

    fn origin(&self, offset: UnitOffset) -> gimli::Result<Option<UnitOffset>> {
        let entry = self.unit.entry(offset)?;
        let names = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification];
        Ok(names.into_iter().find_map(|name| match entry.attr_value(name) {
            Some(AttributeValue::UnitRef(origin)) => Some(origin),
            _ => None,
        }))
    }

    fn type_of(
        &mut self,
        entry: &DebuggingInformationEntry<Reader<'_>>,
        depth: u32,
    ) -> gimli::Result<Option<String>> {
        match entry.attr_value(gimli::DW_AT_type) {
            Some(AttributeValue::UnitRef(offset)) => Ok(Some(self.name(offset, depth)?)),
            Some(_) => Ok(Some("?".into())), // In another unit.
            None => match self.origin(entry.offset())? {
                Some(origin) if depth > 0 => {
                    let origin = self.unit.entry(origin)?;
                    self.type_of(&origin, depth - 1)
                }
                _ => Ok(None),
            },
        }
    }

    fn name(&mut self, offset: UnitOffset, depth: u32) -> gimli::Result<String> {
        let entry = self.unit.entry(offset)?;
        if let Some(name) = entry.attr_value(gimli::DW_AT_name) {
            let name = self.dwarf.attr_string(self.unit, name)?;
            let name = gimli::Reader::to_string_lossy(&name)?.into_owned();
            return Ok(match entry.tag() {
                gimli::DW_TAG_structure_type if !self.is_rust => format!("struct {name}"),
                gimli::DW_TAG_union_type if !self.is_rust => format!("union {name}"),
                gimli::DW_TAG_enumeration_type if !self.is_rust => format!("enum {name}"),
                _ => name,
            });
        }
        let Some(depth) = depth.checked_sub(1) else { return Ok("?".into()) };
        if entry.tag() == gimli::DW_TAG_subroutine_type {
            return self.function(offset, depth);
        }
        let inner = self.type_of(&entry, depth)?;
        let of = |text: &str| inner.clone().map_or_else(|| text.to_owned(), |inner| format!("{inner}{text}"));
        let void = || inner.clone().unwrap_or_else(|| "void".into());
        Ok(match entry.tag() {
            gimli::DW_TAG_pointer_type => format!("{} *", void()),
            gimli::DW_TAG_reference_type => format!("{} &", void()),
            gimli::DW_TAG_rvalue_reference_type => format!("{} &&", void()),
            gimli::DW_TAG_const_type => format!("const {}", void()),
            gimli::DW_TAG_volatile_type => format!("volatile {}", void()),
            gimli::DW_TAG_restrict_type => void(),
            gimli::DW_TAG_array_type => of("[]"),
            _ => "?".into(),
        })
    }
}
