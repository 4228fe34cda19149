//! The tables of static calls in a file: keys, records and sites, and what is wrong with them.
//!
//! The layout is that of `static-call-abi`, for pointers of any size and byte order. Nothing in the file is believed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use static_call::inspect::{Action, Decoder, Kind};
use static_call_abi::{
    Form, IMAGE, KEY_SUFFIX, KEYS_SECTION, RECORD_PREFIX, RECORDS_SECTION, RESERVED_PREFIX, SIGNATURE,
    SIGNATURE_CALL_ONLY, SITE_ANCHOR, SITES_SECTION, VERSION, is_entry,
};

use crate::elf::{Elf, Pointer};
use crate::name::{demangle, printable};

/// Where the tables lie, before the file is moved as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The keys.
    pub keys: Range<u64>,
    /// The records.
    pub records: Range<u64>,
    /// The site table.
    pub sites: Range<u64>,
    /// The image descriptor, if it could be found.
    pub descriptor: Option<u64>,
}

/// Offsets in a key, a record and an image descriptor, for pointers of this size.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Bytes of a pointer.
    pub pointer: u64,
}

#[allow(missing_docs, reason = "named after the fields of static-call-abi")]
impl Layout {
    #[must_use]
    pub const fn key(self) -> u64 {
        4 * self.pointer + 8
    }
    #[must_use]
    pub const fn key_off(self) -> u64 {
        2 * self.pointer
    }
    #[must_use]
    pub const fn key_name(self) -> u64 {
        3 * self.pointer
    }
    #[must_use]
    pub const fn key_form(self) -> u64 {
        4 * self.pointer
    }
    #[must_use]
    pub const fn key_flags(self) -> u64 {
        4 * self.pointer + 4
    }
    #[must_use]
    pub const fn record(self) -> u64 {
        3 * self.pointer + 16
    }
    #[must_use]
    pub const fn record_sites(self) -> u64 {
        2 * self.pointer
    }
    #[must_use]
    pub const fn record_count(self) -> u64 {
        3 * self.pointer
    }
    #[must_use]
    pub const fn record_trampoline(self) -> u64 {
        3 * self.pointer + 4
    }
    #[must_use]
    pub const fn record_saved(self) -> u64 {
        3 * self.pointer + 8
    }
    #[must_use]
    pub const fn image(self) -> u64 {
        13 * self.pointer + 16
    }
    #[must_use]
    pub const fn image_reason(self) -> u64 {
        13 * self.pointer + 12
    }
}

/// A key that a file defines or calls.
#[derive(Clone, Debug)]
pub struct Key {
    /// None: another file defines it.
    pub address: Option<u64>,
    /// For people.
    pub name: String,
    /// For linkers, if it is known.
    pub symbol: Option<String>,
    /// Whether it lies among the keys; otherwise it is part of a larger object, or was compiled without the pass.
    pub is_in_section: bool,
    /// What it calls to begin with.
    pub target: Target,
    /// The function that stands for "off".
    pub off: Target,
}

/// What a key points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A function of this file.
    Function(u64),
    /// A function of another file.
    Import(String),
    /// The key is off: nothing is called.
    Off,
    /// The key is off: its calls return zero.
    Zero,
    /// Another file knows, or nobody does.
    Unknown,
}

/// A file's use of a key.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it lies.
    pub address: u64,
    /// Its key, by its number in [`Tables::keys`].
    pub key: usize,
    /// Its trampoline's address.
    pub trampoline: u64,
}

/// A recorded call.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The instruction's address.
    pub address: u64,
    /// What it is; None if this machine's instructions cannot be read here, or it is no call at all.
    pub kind: Option<Kind>,
    /// Its record, by its number in [`Tables::records`].
    pub record: Option<usize>,
    /// Whether a linker has put a bridge between it and its trampoline: then the runtime leaves it alone.
    pub is_behind_veneer: bool,
}

/// All there is of static calls in a file.
#[derive(Clone, Debug)]
pub struct Tables {
    /// None if there are no tables.
    pub places: Option<Places>,
    /// The keys.
    pub keys: Vec<Key>,
    /// The records.
    pub records: Vec<Record>,
    /// The recorded calls, by address.
    pub sites: Vec<Site>,
    /// The size of their entries in all: of four bytes each, or of eight.
    pub site_bytes: u64,
    /// What the runtime will refuse the file for.
    pub damage: Vec<String>,
}

impl Tables {
    /// Reads a file's tables.
    #[must_use]
    pub fn read(elf: &Elf<'_>, decoder: Option<&Decoder>) -> Self {
        let places = Places::find(elf);
        let mut tables = Self {
            places,
            keys: Vec::new(),
            records: Vec::new(),
            sites: Vec::new(),
            site_bytes: 0,
            damage: Vec::new(),
        };
        let mut reader = Reader {
            elf,
            layout: Layout { pointer: elf.pointer },
            known: HashMap::new(),
            imported: BTreeMap::new(),
        };
        reader.read_keys(&mut tables);
        reader.read_records(&mut tables);
        reader.read_sites(&mut tables, decoder);
        tables
    }

    /// The records by their trampolines' addresses.
    #[must_use]
    pub fn trampolines(&self) -> HashMap<u64, usize> {
        self.records.iter().enumerate().map(|(number, record)| (record.trampoline, number)).collect()
    }
}

impl Places {
    /// Finds the tables by what the image descriptor says, which is what the runtime is told, or else by the names of
    /// their sections.
    fn find(elf: &Elf<'_>) -> Option<Self> {
        if let Some(places) = descriptor(elf) {
            return Some(places);
        }
        let section = |name| {
            elf.section(name).map(|section| section.address..section.address.saturating_add(section.size))
        };
        let [keys, records, sites] = [KEYS_SECTION, RECORDS_SECTION, SITES_SECTION].map(section);
        if keys.is_none() && records.is_none() && sites.is_none() {
            return None;
        }
        let nothing = || 0..0;
        Some(Self {
            keys: keys.unwrap_or_else(nothing),
            records: records.unwrap_or_else(nothing),
            sites: sites.unwrap_or_else(nothing),
            descriptor: None,
        })
    }
}

/// Finds the image descriptor: by its name, or else by what stands in it. It names the tables, which lie side by side
/// in their order (mold leaves their anchors between them), and the file's own header.
fn descriptor(elf: &Elf<'_>) -> Option<Places> {
    if let Some(symbol) = elf.objects().iter().find(|symbol| symbol.name == IMAGE.as_bytes()) {
        return descriptor_at(elf, symbol.address);
    }
    let writable = elf.segments.iter().filter(|segment| segment.is_writable);
    writable
        .flat_map(|segment| {
            let end = segment.address.saturating_add(segment.data.len() as u64);
            (segment.address.next_multiple_of(elf.pointer)..end).step_by(elf.pointer as usize)
        })
        .find_map(|place| descriptor_at(elf, place))
}

fn descriptor_at(elf: &Elf<'_>, place: u64) -> Option<Places> {
    if elf.u32(place)? != VERSION || elf.u32(place.checked_add(4)?)? != 0 {
        return None;
    }
    let field = |index| elf.pointer(place.checked_add(8 + index * elf.pointer)?)?.address();
    let [sites, records, keys] = [0, 2, 4].map(|first| Some(field(first)?..field(first + 1)?));
    let (sites, records, keys) = (sites?, records?, keys?);
    let layout = Layout { pointer: elf.pointer };
    let gap = records.start.checked_sub(keys.end)?;
    let other_gap = sites.start.checked_sub(records.end)?;
    let are_side_by_side = keys.start < keys.end
        && gap <= layout.record()
        && records.start < records.end
        && other_gap <= layout.record()
        && sites.start < sites.end
        && field(6).is_some();
    are_side_by_side.then_some(Places { keys, records, sites, descriptor: Some(place) })
}

struct Reader<'elf, 'data> {
    elf: &'elf Elf<'data>,
    layout: Layout,
    /// The keys that were found, by address.
    known: HashMap<u64, usize>,
    /// Those of other files, by symbol and distance from there.
    imported: BTreeMap<(Vec<u8>, i64), usize>,
}

impl Reader<'_, '_> {
    /// The keys in their section, and whatever else looks like one.
    fn read_keys(&mut self, tables: &mut Tables) {
        if let Some(places) = tables.places.clone() {
            self.find_keys(tables, places.keys, true);
        }
        let elf = self.elf;
        for segment in elf.segments.iter().filter(|segment| segment.is_writable && !segment.is_executable) {
            let end = segment.address.saturating_add(segment.data.len() as u64);
            self.find_keys(tables, segment.address..end, false);
        }
        for symbol in elf.imports().filter(|symbol| is_key(symbol)) {
            self.add_imported(tables, symbol, 0);
        }
        // The dynamic linker's copies of other files' keys have no contents here.
        for symbol in elf.objects() {
            if is_key(symbol.name) && !self.known.contains_key(&symbol.address) {
                self.add_key_elsewhere(tables, symbol.address, symbol.address);
            }
        }
    }

    fn add_imported(&mut self, tables: &mut Tables, symbol: &[u8], offset: i64) -> usize {
        *self.imported.entry((symbol.to_vec(), offset)).or_insert_with(|| {
            tables.keys.push(imported_key(symbol, offset));
            tables.keys.len() - 1
        })
    }

    /// Looks at every place that may hold a key.
    fn find_keys(&mut self, tables: &mut Tables, range: Range<u64>, is_in_section: bool) {
        let Some(mut place) = range.start.checked_next_multiple_of(self.elf.pointer) else { return };
        // The section may claim more than the file has.
        let has = self.elf.from(range.start).len() as u64;
        let end = range.end.min(range.start.saturating_add(has));
        while place.checked_add(self.layout.key()).is_some_and(|behind| behind <= end) {
            if !self.known.contains_key(&place) && self.is_key(place) {
                self.add_key(tables, place, is_in_section);
                place += self.layout.key();
            } else {
                place += self.elf.pointer;
            }
        }
    }

    /// Whether there is a key that no program has touched yet. That takes a version and two forms, and pointers at
    /// code and at a string: nothing else looks like that.
    fn is_key(&self, place: u64) -> bool {
        let (elf, layout) = (self.elf, self.layout);
        if elf.read(place, layout.key()).is_none() {
            return false;
        }
        let Some(flags) = elf.u32(place + layout.key_flags()) else { return false };
        let is_form = |form| Form::from_u32(form).is_some();
        if flags >> 16 != VERSION
            || !is_form(flags & 0xffff)
            || !elf.u32(place + layout.key_form()).is_some_and(is_form)
        {
            return false;
        }
        let is_code = |pointer, or_null| match pointer {
            Some(Pointer::Null) => or_null,
            Some(Pointer::Address(address)) => elf.is_code(address) || !self.has_code(),
            Some(Pointer::Import(..)) => true,
            None => false,
        };
        is_code(elf.pointer(place), false)
            && elf.pointer(place + layout.pointer) == Some(Pointer::Null)
            && is_code(elf.pointer(place + layout.key_off()), true)
            && match elf.pointer(place + layout.key_name()) {
                Some(Pointer::Null) => true,
                Some(Pointer::Address(name)) => elf.string(name).is_some(),
                _ => false,
            }
    }

    /// Function pointers of POWER's older interface point at data. Where that is, nothing is known of code.
    fn has_code(&self) -> bool {
        self.elf.machine != object::elf::EM_PPC64.0 || object::Endian::is_little_endian(self.elf.endian())
    }

    fn add_key(&mut self, tables: &mut Tables, place: u64, is_in_section: bool) -> usize {
        let (elf, layout) = (self.elf, self.layout);
        let symbol = elf.object(place).map(|symbol| symbol.name);
        let name = match elf.pointer(place + layout.key_name()) {
            Some(Pointer::Address(name)) => elf.string(name).filter(|name| !name.is_empty()),
            _ => None,
        };
        let name = match (name, symbol) {
            // What C++'s macros know is the last part.
            (_, Some(symbol)) if is_cpp_key(symbol) => key_name(symbol),
            (Some(name), _) => printable(&String::from_utf8_lossy(name)),
            (None, Some(symbol)) => demangle(symbol),
            (None, None) => format!("key at {place:#x}"),
        };
        let form = elf.u32(place + layout.key_form()).and_then(|form| Form::from_u32(form & 3));
        let target = match form {
            Some(Form::Nop | Form::OffCall) => Target::Off,
            Some(Form::Zero) => Target::Zero,
            _ => points_at(elf.pointer(place)),
        };
        let number = tables.keys.len();
        tables.keys.push(Key {
            address: Some(place),
            name,
            symbol: symbol.map(|symbol| printable(&String::from_utf8_lossy(symbol))),
            is_in_section,
            target,
            off: points_at(elf.pointer(place + layout.key_off())),
        });
        self.known.insert(place, number);
        number
    }

    fn read_records(&mut self, tables: &mut Tables) {
        let Some(places) = tables.places.clone() else { return };
        let (elf, layout) = (self.elf, self.layout);
        let has = elf.from(places.records.start).len() as u64;
        let len = places.records.end.saturating_sub(places.records.start);
        if len > has || len % layout.record() != 0 {
            tables.damage.push(format!(
                "the records ({len} bytes at {:#x}) are cut off, or of another version of the pass",
                places.records.start
            ));
        }
        let mut damaged = Counted::default();
        for number in 0..len.min(has) / layout.record() {
            let place = places.records.start + number * layout.record();
            let key = elf.pointer(place);
            let distance = elf.u32(place + layout.record_trampoline()).unwrap_or_default().cast_signed();
            if key == Some(Pointer::Null) && distance == 0 {
                continue; // The anchor.
            }
            let trampoline = place.wrapping_add_signed(distance.into());
            let key = match key {
                Some(Pointer::Address(address)) => match self.known.get(&address) {
                    Some(&key) => key,
                    // In a struct or of another version, or a copy that the dynamic linker makes.
                    None => self.add_key_elsewhere(tables, address, place),
                },
                Some(Pointer::Import(symbol, offset)) => self.add_imported(tables, symbol, offset),
                _ => {
                    damaged.add(|| format!("the record at {place:#x} names no key"));
                    continue;
                }
            };
            if !self.is_trampoline(trampoline, place) {
                damaged.add(|| {
                    format!("the record at {place:#x} leads to {trampoline:#x}, where there is no trampoline of its own")
                });
                continue;
            }
            tables.records.push(Record { address: place, key, trampoline });
        }
        damaged.report(&mut tables.damage, "records");
    }

    /// A key that does not look like one in this file.
    fn add_key_elsewhere(&mut self, tables: &mut Tables, address: u64, record: u64) -> usize {
        let elf = self.elf;
        if self.is_key(address) {
            return self.add_key(tables, address, false);
        }
        let named = elf.object(address).map(|symbol| symbol.name).or_else(|| {
            elf.object(record).and_then(|symbol| symbol.name.strip_prefix(RECORD_PREFIX.as_bytes()))
        });
        let number = tables.keys.len();
        tables.keys.push(Key {
            address: Some(address),
            name: named.map_or_else(|| format!("key at {address:#x}"), key_name),
            symbol: named.map(|symbol| printable(&String::from_utf8_lossy(symbol))),
            is_in_section: false,
            target: Target::Unknown,
            off: Target::Unknown,
        });
        self.known.insert(address, number);
        number
    }

    /// Whether there is a trampoline that names this record: what the runtime checks.
    fn is_trampoline(&self, trampoline: u64, record: u64) -> bool {
        let Some(prefix) = trampoline.checked_sub(8).filter(|&prefix| self.elf.read(prefix, 8).is_some())
        else {
            return false;
        };
        let (Some(signature), Some(distance)) = (self.elf.u32(prefix), self.elf.u32(prefix + 4)) else {
            return false;
        };
        [SIGNATURE, SIGNATURE_CALL_ONLY].contains(&signature)
            && trampoline.wrapping_add_signed(distance.cast_signed().into()) == record
            && self.elf.is_code(trampoline)
    }

    fn read_sites(&mut self, tables: &mut Tables, decoder: Option<&Decoder>) {
        let Some(places) = tables.places.clone() else { return };
        let elf = self.elf;
        let table = elf.from(places.sites.start);
        let len = places.sites.end.saturating_sub(places.sites.start);
        if len > table.len() as u64 || len % 4 != 0 {
            tables
                .damage
                .push(format!("the site table ({len} bytes at {:#x}) is cut off", places.sites.start));
        }
        let trampolines = tables.trampolines();
        let mut damaged = Counted::default();
        for number in 0..len.min(table.len() as u64) / 4 {
            let place = places.sites.start + number * 4;
            let distance = elf.u32(place).unwrap_or_default().cast_signed();
            tables.site_bytes += if distance == SITE_ANCHOR { 0 } else { 4 };
            if !is_entry(distance) {
                continue;
            }
            let address = place.wrapping_add_signed(distance.into());
            let Some(decoder) = decoder else {
                tables.sites.push(Site { address, kind: None, record: None, is_behind_veneer: false });
                continue;
            };
            let decoded = decoder.decode(address, elf.from(address)).filter(|_| elf.is_code(address));
            let (record, is_behind_veneer) = match decoded {
                Some((_, Action::Go(target))) => match trampolines.get(&target) {
                    Some(&record) => (Some(record), false),
                    None => (None, decoder.has_veneers && elf.is_code(target)),
                },
                _ => (None, false),
            };
            if record.is_none() && !is_behind_veneer {
                damaged.add(|| {
                    format!("the entry at {place:#x} leads to {address:#x}, which is no call of a trampoline")
                });
            }
            let kind = decoded.map(|(kind, _)| kind);
            tables.sites.push(Site { address, kind, record, is_behind_veneer });
        }
        tables.sites.sort_by_key(|site| site.address);
        damaged.report(&mut tables.damage, "entries of the site table");
        let distinct: HashSet<u64> = tables.sites.iter().map(|site| site.address).collect();
        if distinct.len() != tables.sites.len() {
            tables.damage.push("the site table names some call twice".into());
        }
    }
}

fn points_at(pointer: Option<Pointer<'_>>) -> Target {
    match pointer {
        Some(Pointer::Address(address)) => Target::Function(address),
        Some(Pointer::Import(symbol, _)) => Target::Import(demangle(symbol)),
        _ => Target::Unknown,
    }
}

fn imported_key(symbol: &[u8], offset: i64) -> Key {
    let mut name = key_name(symbol);
    if offset != 0 {
        name = format!("{name}+{offset}");
    }
    Key {
        address: None,
        name,
        symbol: Some(printable(&String::from_utf8_lossy(symbol))),
        is_in_section: false,
        target: Target::Unknown,
        off: Target::Unknown,
    }
}

/// A key's name from its symbol.
fn key_name(symbol: &[u8]) -> String {
    demangle(symbol).replace(KEY_SUFFIX, "").replace("::_::", "::")
}

/// Whether this is the symbol of a key in C or C++, or of one in Rust that those see. Trampolines and records have the same
/// name behind a prefix.
fn is_key(symbol: &[u8]) -> bool {
    let suffix = KEY_SUFFIX.as_bytes();
    !symbol.starts_with(RESERVED_PREFIX.as_bytes()) && symbol.windows(suffix.len()).any(|part| part == suffix)
}

/// Whether this is the symbol of a C++ key in a namespace, a class or a function.
fn is_cpp_key(symbol: &[u8]) -> bool {
    symbol.starts_with(b"_Z") && is_key(symbol)
}

/// Many things of one kind, of which the first ones are said in full.
#[derive(Debug, Default)]
struct Counted {
    first: Vec<String>,
    count: usize,
}

impl Counted {
    const SAID: usize = 5;

    fn add(&mut self, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < Self::SAID {
            self.first.push(text());
        }
    }

    fn report(self, to: &mut Vec<String>, what: &str) {
        let more = self.count - self.first.len();
        to.extend(self.first);
        if more > 0 {
            to.push(format!("the same of other {what}: {more}"));
        }
    }
}
