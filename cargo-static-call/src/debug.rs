//! What debug information says: the source line of a call, and the type of a function.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use addr2line::{Context, LookupContinuation as _, LookupResult};
use gimli::{AttributeValue, DebuggingInformationEntry, UnitRef};

use crate::dwarf::{DebugSections, DebugUnits, Reader};
use crate::name::{demangle, printable};
use crate::text::counted;
use crate::types::Types;

/// A file's debug information.
pub struct DebugInfo<'data> {
    context: Context<Reader<'data>>,
    units: DebugUnits<'data>,
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

impl Place {
    fn is_rust(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.ends_with(".rs"))
    }

    /// Whether this is in the method `call` of a key, as `define!` makes it. Line tables alone do not have the path of
    /// a function.
    fn is_call_method(&self) -> bool {
        self.function.as_ref().is_some_and(|name| match name.strip_suffix("::call") {
            Some(path) => path.contains("::_::") || path.starts_with('<'),
            None => name == "call" && self.is_rust(),
        })
    }
}

impl<'data> DebugInfo<'data> {
    /// Reads it, if the file has some.
    #[must_use]
    pub fn read(sections: &'data DebugSections<'_>) -> Option<Self> {
        let units = DebugUnits::new(sections)?;
        Some(Self { context: Context::from_arc_dwarf(Arc::clone(&units.own)).ok()?, units })
    }

    /// What it lacks, in words.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let (path, count) = self.units.missing.as_ref()?;
        Some(format!(
            "types, inlined functions and Rust's source lines of {}: that was split off, and cannot be \
             read (the first is {})",
            counted(*count, "compilation unit"),
            printable(&path.to_string_lossy())
        ))
    }

    /// Where the instruction at an address comes from. A call that Rust's macros make is said to be where the user
    /// wrote it, or nowhere.
    #[must_use]
    pub fn place(&self, address: u64) -> Place {
        let mut places = self.places(address);
        let is_load = |place: &Place| {
            let name = place.function.as_deref();
            name.is_some_and(|name| is_loader(name.as_bytes()) || name == "static_call::private::load")
        };
        let macros =
            places.iter().position(Place::is_call_method).or_else(|| places.iter().rposition(is_load));
        let place = places.drain(macros.map_or(0, |last| last + 1)..).next().unwrap_or_default();
        // Without functions that is the line of the macro.
        if place.function.is_none() && place.is_rust() { Place::default() } else { place }
    }

    /// Whether an instruction comes from a key's method `call` in Rust. None: it is not known which function it is in.
    #[must_use]
    pub fn is_in_call_method(&self, address: u64) -> Option<bool> {
        let places = self.places(address);
        let is_known = places.iter().any(|place| place.function.is_some());
        is_known.then(|| places.iter().any(Place::is_call_method))
    }

    /// The inlined functions that an instruction comes from, the innermost first, and the one that they are in.
    fn places(&self, address: u64) -> Vec<Place> {
        let mut lookup = self.context.find_frames(address);
        let mut frames = loop {
            match lookup {
                LookupResult::Output(Ok(frames)) => break frames,
                LookupResult::Output(Err(_)) => return Vec::new(),
                LookupResult::Load { load, continuation } => {
                    lookup = continuation.resume(self.units.split(load.dwo_id));
                }
            }
        };
        let mut places = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|name| name.raw_name().ok());
            places.push(Place {
                function: name.map(|name| demangle(name.as_bytes())),
                file: frame.location.as_ref().and_then(|location| location.file.map(printable)),
                line: frame.location.and_then(|location| location.line),
            });
        }
        places
    }

    /// Where code loads a key's pointer because it was compiled without the pass: the inlined copies of what C's header
    /// and Rust's macros then call, each with at least one range of addresses.
    #[must_use]
    pub fn inlined_loads(&self) -> Vec<Vec<gimli::Range>> {
        // Units refer to each other's functions, but not those that were split off.
        let mut loaders = HashSet::new();
        self.units.for_each(|unit| {
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if entry.tag() == gimli::DW_TAG_subprogram && names_loader(unit, entry) {
                    loaders.insert((unit.dwo_id, entry.offset().to_debug_info_offset(&unit.header)));
                }
            }
            Ok(())
        });
        let mut found = Vec::new();
        if loaders.is_empty() {
            return found;
        }
        self.units.for_each(|unit| {
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if entry.tag() != gimli::DW_TAG_inlined_subroutine {
                    continue;
                }
                let origin = match entry.attr_value(gimli::DW_AT_abstract_origin) {
                    Some(AttributeValue::UnitRef(origin)) => origin.to_debug_info_offset(&unit.header),
                    Some(AttributeValue::DebugInfoRef(origin)) => Some(origin),
                    _ => continue,
                };
                if loaders.contains(&(unit.dwo_id, origin)) {
                    let mut ranges = unit.die_ranges(entry)?;
                    let ranges: Vec<_> =
                        std::iter::from_fn(|| ranges.next().transpose()).collect::<Result<_, _>>()?;
                    found.extend((!ranges.is_empty()).then_some(ranges));
                }
            }
            Ok(())
        });
        found.sort_unstable_by_key(|ranges| ranges[0].begin);
        found.dedup();
        found
    }

    /// The types of the functions that start at these addresses.
    #[must_use]
    pub fn function_types(&self, wanted: &HashSet<u64>) -> HashMap<u64, String> {
        let mut found = HashMap::new();
        if !wanted.is_empty() {
            self.units.for_each(|unit| function_types(unit, wanted, &mut found));
        }
        found
    }
}

fn function_types(
    unit: UnitRef<'_, Reader<'_>>,
    wanted: &HashSet<u64>,
    found: &mut HashMap<u64, String>,
) -> gimli::Result<()> {
    let types = Types::of(unit);
    let mut has_types = false;
    let mut entries = unit.entries();
    let mut without_any = Vec::new();
    while let Some(entry) = entries.next_dfs()? {
        has_types |= entry.attr_value(gimli::DW_AT_type).is_some();
        if entry.tag() != gimli::DW_TAG_subprogram {
            continue;
        }
        let Some(value) = entry.attr_value(gimli::DW_AT_low_pc) else { continue };
        let Some(address) = unit.attr_address(value)? else { continue };
        if wanted.contains(&address) && !found.contains_key(&address) {
            let ty = printable(&types.of_function(entry.offset())?);
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

fn names_loader<'a>(unit: UnitRef<'_, Reader<'a>>, entry: &DebuggingInformationEntry<Reader<'a>>) -> bool {
    let names = [gimli::DW_AT_linkage_name, gimli::DW_AT_name];
    let mut names = names.into_iter().filter_map(|name| entry.attr_value(name));
    names.any(|name| unit.attr_string(name).is_ok_and(|name| is_loader(name.slice())))
}

/// Whether this is the symbol of a function that returns what a key points at.
pub(crate) fn is_loader(symbol: &[u8]) -> bool {
    const RUST: &[u8] = b"static_call";
    symbol == static_call_abi::INTRINSIC.as_bytes()
        // Only few names are worth to be demangled.
        || symbol.windows(RUST.len()).any(|part| part == RUST)
            && demangle(symbol) == "static_call::private::load"
}
