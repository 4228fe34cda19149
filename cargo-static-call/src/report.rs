//! What `--json` prints, and what the table for people is made of.
//!
//! The fields' names and meanings stay as they are as long as `format` is [`FORMAT`]; there may be more of them.
//! Addresses are those in the file. Where something is `null`, it could not be found out.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use serde::Serialize;
use static_call::inspect::{Decoder, Kind};

use crate::code::{Code, Use, trampoline_size};
use crate::debug::DebugInfo;
use crate::dwarf::DebugSections;
use crate::elf::Elf;
use crate::name::{demangle, is_rust, printable};
use crate::padding;
use crate::tables::{Key, Layout, Site, Tables, Target};

/// The version of what `--json` prints.
pub const FORMAT: u32 = 1;

/// A file.
#[derive(Clone, Debug, Serialize)]
pub struct File {
    /// [`FORMAT`].
    pub format: u32,
    /// Its path.
    pub file: String,
    /// As `file(1)` would say it.
    pub kind: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it has the tables of the pass, which make it an image that the runtime knows.
    pub is_image: bool,
    /// The keys that it defines or calls.
    pub keys: Vec<KeyReport>,
    /// Recorded calls of which it cannot be said whose they are.
    pub other_sites: Vec<SiteReport>,
    /// How many calls are recorded.
    pub sites: usize,
    /// What static calls cost in the file.
    pub overhead: Overhead,
    /// Branches to trampolines that are not recorded: the runtime cannot make them direct.
    pub unrecorded: Vec<Place>,
    /// Loads of a key's pointer by other code than trampolines: calls that were not lowered, or the pointer is used as
    /// a value. `null`: this machine's code does not tell.
    pub loads: Option<Vec<Place>>,
    /// Calls that were compiled without the pass, as far as symbols and debug information tell.
    pub without_pass: Vec<Place>,
    /// The Rust crates with such loads and calls.
    pub crates_without_pass: Vec<String>,
    /// The same for C and C++: source files, or functions where no file is known.
    pub files_without_pass: Vec<String>,
    /// Why the runtime will leave the whole file to its trampolines.
    pub damage: Vec<String>,
    /// What the file cannot tell.
    pub unknown: Vec<String>,
    /// Whether `--require-all-direct` is content.
    pub all_direct: bool,
    /// Why it is not.
    pub not_direct_because: Vec<String>,
}

/// A key.
#[derive(Clone, Debug, Serialize)]
pub struct KeyReport {
    /// For people: the path of its declaration.
    pub name: String,
    /// For linkers.
    pub symbol: Option<String>,
    /// `null`: another file defines it.
    pub address: Option<u64>,
    /// Whether it lies in the section of the keys. If it does not, it was compiled without the pass, or is part of
    /// a larger object.
    pub is_in_section: bool,
    /// Its function's type, where debug information has it.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// The name of what it calls to begin with; "off", or "returns zero".
    pub default_target: Option<String>,
    /// Its recorded calls.
    pub sites: Vec<SiteReport>,
    /// Its trampolines' addresses.
    pub trampolines: Vec<u64>,
}

impl KeyReport {
    /// Whether it lies in this file, and not in the section of the keys.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        // Of a copy that the dynamic linker will make, nothing is known.
        self.address.is_some() && !self.is_in_section && self.default_target.is_some()
    }
}

/// A recorded call.
#[derive(Clone, Debug, Serialize)]
pub struct SiteReport {
    /// "call", "tail call" or "conditional tail call".
    pub kind: Option<&'static str>,
    /// Whether a linker's bridge leads from it to its trampoline: then it stays on its trampoline.
    pub is_behind_veneer: bool,
    /// Bytes of no-ops in front of it, which align it. `null`: of this machine or without symbols nobody knows.
    pub padding: Option<u64>,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
}

/// A place in the code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The instruction's address.
    pub address: u64,
    /// The key's name, where that says something new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The function as the source has it.
    pub function: Option<String>,
    /// The function that it was inlined into, if it was.
    pub inlined_into: Option<String>,
    /// The source file.
    pub file: Option<String>,
    /// The line.
    pub line: Option<u32>,
}

/// Bytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overhead {
    /// The site table.
    pub sites: u64,
    /// The records.
    pub records: u64,
    /// The keys.
    pub keys: u64,
    /// The trampolines with what stands before them. `null`: without symbols nobody knows their ends.
    pub trampolines: Option<u64>,
    /// What the four sections take beyond that: anchors, and what fills their pages.
    pub pages: u64,
    /// No-ops that align the calls. `null`: of some call it is not known.
    pub padding: Option<u64>,
}

/// What a kind of instruction is called.
#[must_use]
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Call => "call",
        Kind::Jump => "tail call",
        Kind::ConditionalJump => "conditional tail call",
    }
}

/// Names places and functions of a file.
#[derive(Debug)]
pub struct Names<'a> {
    elf: &'a Elf<'a>,
    debug: Option<DebugInfo<'a>>,
}

impl<'a> Names<'a> {
    /// With its debug information, if there is some.
    #[must_use]
    pub fn new(elf: &'a Elf<'a>, sections: &'a DebugSections<'_>) -> Self {
        Self { elf, debug: DebugInfo::read(sections) }
    }

    /// The function that starts at an address or holds it.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<String> {
        let symbol = self.elf.function(address).map(|symbol| demangle(symbol.name));
        symbol.or_else(|| self.debug.as_ref()?.place(address).function)
    }

    /// What is known of a place in the code.
    #[must_use]
    pub fn place(&self, address: u64) -> Place {
        let symbol = self.elf.function(address).map(|symbol| demangle(symbol.name));
        let source = self.debug.as_ref().map(|debug| debug.place(address)).unwrap_or_default();
        let is_inlined = source.function.as_ref().zip(symbol.as_ref()).is_some_and(|(source, symbol)| {
            // The symbol says the same in more words.
            !symbol.contains(&**source)
        });
        Place {
            address,
            key: None,
            inlined_into: if is_inlined { symbol.clone() } else { None },
            function: if is_inlined { source.function } else { symbol.or(source.function) },
            file: source.file,
            line: source.line,
        }
    }

    /// Whether a place is in code that was compiled from Rust.
    fn is_rust(&self, place: &Place) -> bool {
        let by_file = || place.file.as_ref().is_some_and(|file| file.ends_with(".rs"));
        self.elf.function(place.address).map_or_else(by_file, |symbol| is_rust(symbol.name))
    }
}

/// Reads all of a file.
#[must_use]
pub fn file(path: &Path, elf: &Elf<'_>) -> File {
    let decoder =
        Decoder::of(elf.machine, elf.pointer as u32 * 8, object::Endian::is_little_endian(elf.endian()));
    let tables = Tables::read(elf, decoder);
    let sections = DebugSections::read(path, elf);
    let names = Names::new(elf, &sections);
    let code = Code::read(elf, &tables, decoder, names.debug.as_ref());
    let types = types(&tables.keys, &names);

    let padding = padding::of(elf, &tables.sites);
    let site = |site: &Site| SiteReport {
        kind: site.kind.map(kind_name),
        is_behind_veneer: site.is_behind_veneer,
        padding: padding.get(&site.address).copied(),
        place: names.place(site.address),
    };
    let mut keys: Vec<KeyReport> = tables
        .keys
        .iter()
        .zip(types)
        .map(|(key, ty)| KeyReport {
            name: key.name.clone(),
            symbol: key.symbol.clone(),
            address: key.address,
            is_in_section: key.is_in_section,
            ty,
            default_target: default_target(key, &names),
            sites: Vec::new(),
            trampolines: Vec::new(),
        })
        .collect();
    for record in &tables.records {
        keys[record.key].trampolines.push(record.trampoline);
    }
    let mut other_sites = Vec::new();
    for found in &tables.sites {
        match found.record {
            Some(record) => keys[tables.records[record].key].sites.push(site(found)),
            None => other_sites.push(site(found)),
        }
    }
    let place = |found: &Use| Place {
        key: found.key.map(|key| tables.keys[key].name.clone()),
        ..names.place(found.address)
    };
    let places = |found: &[Use]| found.iter().map(place).collect::<Vec<_>>();
    let unrecorded = places(&code.unrecorded);
    let loads = code.knows_loads.then(|| places(&code.loads));
    let without_pass = places(&code.without_pass);
    let (mut crates, mut files) = (BTreeSet::new(), BTreeSet::new());
    for place in loads.iter().flatten().chain(&without_pass) {
        if names.is_rust(place) {
            crates.extend(place.function.as_deref().and_then(crate_of));
        } else {
            files.extend(place.file.as_ref().or(place.function.as_ref()).cloned());
        }
    }
    let mut file = File {
        format: FORMAT,
        file: printable(&path.to_string_lossy()),
        kind: elf.to_string(),
        size: elf.len(),
        is_image: tables.places.is_some(),
        keys,
        other_sites,
        sites: tables.sites.len(),
        overhead: overhead(elf, &tables, &padding),
        unrecorded,
        loads,
        without_pass,
        crates_without_pass: crates.into_iter().collect(),
        files_without_pass: files.into_iter().collect(),
        damage: tables.damage.clone(),
        unknown: unknown(elf, &tables, &code, decoder.is_some(), names.debug.as_ref()),
        all_direct: false,
        not_direct_because: Vec::new(),
    };
    let loads = code.loads.iter().chain(&code.without_pass);
    let loaded_only: HashSet<usize> = loads.filter_map(|load| load.key).collect();
    file.not_direct_because = not_direct(&file, &loaded_only, code.doubtful, decoder.is_some());
    file.all_direct = file.not_direct_because.is_empty();
    file
}

/// Why some call will not be direct, or is not known to be.
fn not_direct(file: &File, loaded: &HashSet<usize>, doubtful: usize, is_decoded: bool) -> Vec<String> {
    let mut reasons = Vec::new();
    if !file.is_image && file.keys.is_empty() {
        reasons.push(
            "it has no static call that could be seen: it calls none, or it was built without the pass and stripped"
                .into(),
        );
    }
    if !file.damage.is_empty() {
        reasons
            .push("its tables are damaged, so that the runtime leaves all of it to its trampolines".into());
    }
    if file.sites > 0 && !is_decoded {
        reasons.push("the instructions of this machine cannot be read here".into());
    }
    let mut counted = |what: &str, count: usize| {
        if count > 0 {
            reasons.push(format!("{what}: {count}"));
        }
    };
    counted("branches to trampolines are not recorded", file.unrecorded.len());
    counted("calls load their key, since they were compiled without the pass", file.without_pass.len());
    // Debug information tells which loads are calls. Sanitizers load keys for other reasons.
    counted("calls that were not lowered may be among loads of keys' pointers", doubtful);
    let veneers = file.other_sites.iter().filter(|site| site.is_behind_veneer).count();
    counted("calls reach their trampoline through a linker's bridge", veneers);
    if file.kind.ends_with("program") && file.sites == 0 && !file.keys.is_empty() {
        reasons.push("no call is recorded".into());
    }
    for (number, key) in file.keys.iter().enumerate().filter(|(_, key)| key.sites.is_empty()) {
        let name = &key.name;
        if loaded.contains(&number) {
            reasons.push(format!("{name} is only loaded from memory: no call of it is recorded"));
        } else if key.is_outside() {
            reasons.push(format!(
                "{name} has no recorded call, and was compiled without the pass or is part of a larger object"
            ));
        }
    }
    reasons
}

/// What the file cannot tell.
fn unknown(
    elf: &Elf<'_>,
    tables: &Tables,
    code: &Code,
    is_decoded: bool,
    debug: Option<&DebugInfo<'_>>,
) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    let machine = elf.machine_name();
    if !is_decoded {
        unknown.push(format!(
            "whose call a site is, and which branches are not recorded: the instructions of {machine} cannot be read \
             here"
        ));
    }
    if elf.sections.is_empty() && tables.places.is_none() {
        unknown.push(
            "whether it has static calls: it has no section headers, and no image descriptor could be found"
                .into(),
        );
    }
    if tables.places.as_ref().is_some_and(|places| places.descriptor.is_none()) {
        unknown.push("whether the runtime is told of it: its image descriptor could not be found".into());
    }
    if !code.knows_loads {
        unknown.push(format!(
            "which code calls keys through their pointer: on {machine} an address takes several instructions"
        ));
    } else if !tables.keys.is_empty() {
        unknown.push(
            "which code calls keys through their pointer in a function that was handed their address, or has it in \
             its own data: that looks like an update"
                .into(),
        );
    }
    if !elf.has_symbols() {
        unknown.push(
            "the names of its functions, and how long trampolines are: it was stripped of symbols".into(),
        );
    }
    if debug.is_none() && !tables.sites.is_empty() {
        unknown.push("source lines and types: it has no debug information (-g, or -Cdebuginfo=1)".into());
    }
    unknown.extend(debug.and_then(DebugInfo::missing));
    unknown
}

fn overhead(elf: &Elf<'_>, tables: &Tables, padding: &HashMap<u64, u64>) -> Overhead {
    let layout = Layout { pointer: elf.pointer };
    let mut overhead = Overhead {
        sites: tables.site_bytes,
        records: layout.record() * tables.records.len() as u64,
        keys: layout.key() * tables.keys.iter().filter(|key| key.address.is_some()).count() as u64,
        padding: tables.sites.iter().map(|site| padding.get(&site.address).copied()).sum(),
        ..Overhead::default()
    };
    let has_names = tables.records.iter().all(|record| {
        elf.function(record.trampoline).is_some_and(|symbol| symbol.address == record.trampoline)
    });
    overhead.trampolines = has_names
        .then(|| tables.records.iter().map(|record| 8 + trampoline_size(elf, record.trampoline)).sum());
    let end = elf.section(static_call_abi::END_SECTION).map_or(0, |section| section.size);
    let size = tables.places.as_ref().map_or(0, |places| {
        let ranges = [&places.keys, &places.records, &places.sites];
        let lengths = ranges.map(|range| range.end.saturating_sub(range.start));
        lengths.into_iter().fold(end, u64::saturating_add)
    });
    let in_sections = layout.key() * tables.keys.iter().filter(|key| key.is_in_section).count() as u64;
    overhead.pages = size.saturating_sub(overhead.sites + overhead.records + in_sections);
    overhead
}

fn default_target(key: &Key, names: &Names<'_>) -> Option<String> {
    match &key.target {
        Target::Function(address) => {
            Some(names.function(*address).unwrap_or_else(|| format!("{address:#x}")))
        }
        Target::Import(name) => Some(name.clone()),
        Target::Off => Some("off".into()),
        Target::Zero => Some("returns zero".into()),
        Target::Unknown => None,
    }
}

/// The keys' types: those of what they call to begin with; in Rust, what stands for "off" has it as well.
fn types(keys: &[Key], names: &Names<'_>) -> Vec<Option<String>> {
    let address = |target: &Target| match target {
        Target::Function(address) => Some(*address),
        _ => None,
    };
    let wanted = keys.iter().flat_map(|key| [address(&key.target), address(&key.off)]).flatten().collect();
    let types = names.debug.as_ref().map(|debug| debug.function_types(&wanted)).unwrap_or_default();
    let ty = |target: &Target| types.get(&address(target)?).cloned();
    let off = |key: &Key| ty(&key.off).filter(|ty| ty.starts_with("fn("));
    keys.iter().map(|key| ty(&key.target).or_else(|| off(key))).collect()
}

/// The crate of a Rust function, by its path.
#[must_use]
pub fn crate_of(function: &str) -> Option<String> {
    let (first, _) = function.trim_start_matches(['<', '&', '*']).split_once("::")?;
    let is_name = first.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (is_name && !first.is_empty()).then(|| first.to_owned())
}
