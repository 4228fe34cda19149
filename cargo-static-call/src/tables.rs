//! The tables of static calls in a file: keys, records, sites, and their defects.
//!
//! The layout is that of `static-call-abi`, for pointers of any size and byte order. Nothing in the file is
//! trusted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use static_call::inspect::{Action, Decoder, Fate, Instruction, Kind, Start};
use static_call_abi::{
    BEHIND, BRANCH_RECORD, BRANCHES_SECTION, CHECK_INFIX, DISPATCH, Form, IMAGE, KEY_SUFFIX, KEYS_SECTION,
    Layout, PLAIN_RESOLVER, POINTER, RECORD_PREFIX, RECORDS_SECTION, RESERVED_PREFIX, SIGNATURE,
    SIGNATURE_CALL_ONLY, SIGNATURE_CHECKED, SIGNATURE_CHECKED_CALL_ONLY, SIGNATURE_THUNK,
    SIGNATURE_WITHOUT_SITES, SITE_ANCHOR, SITES_SECTION, TypeCheck, VERSION, is_entry,
};

use crate::branch::{Branches, Stays};
use crate::budget::Budget;
use crate::elf::{Elf, Pointer};
use crate::name::{demangle, printable};

/// The addresses of the tables before the file is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The keys.
    pub keys: Range<u64>,
    /// The records.
    pub records: Range<u64>,
    /// The branch table.
    pub branches: Range<u64>,
    /// The site table.
    pub sites: Range<u64>,
    /// The image descriptor, if it was found.
    pub descriptor: Option<u64>,
}

/// A key that a file defines or calls.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its address. None: another file defines the key.
    pub address: Option<u64>,
    /// The path of its declaration.
    pub name: String,
    /// Its symbol, if it has one.
    pub symbol: Option<String>,
    /// Whether it is in the section for keys. If not, it is part of a larger object or was compiled without
    /// the pass.
    pub is_in_section: bool,
    /// Its initial target.
    pub target: Target,
    /// The initial target's address and form, if it is a function of this file.
    pub start: Option<(u64, Form)>,
    /// The function that stands for "off".
    pub off: Target,
    /// Whether its function is chosen when its image is loaded.
    pub is_dispatched: bool,
}

/// What a key calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A function of this file.
    Function(u64),
    /// A function of another file.
    Import(String),
    /// The key is off: its calls do nothing.
    Off,
    /// The key is off: its calls return zero.
    Zero,
    /// Not known from this file.
    Unknown,
}

/// A file's use of a key.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its address.
    pub address: u64,
    /// Its key, as an index into [`Tables::keys`].
    pub key: usize,
    /// The address of its trampoline.
    pub trampoline: u64,
    /// Whether its calls may become no-ops, which the trampoline's signature says.
    pub may_be_nop: bool,
    /// Whether its calls were compiled without the pass, so that none of them has a site.
    pub is_without_pass: bool,
    /// How many bytes beside its code the trampoline has.
    pub prefix: u64,
}

/// A recorded call.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The instruction's address.
    pub address: u64,
    /// The kind of instruction. None: it could not be decoded, or is not a call.
    pub kind: Option<Kind>,
    /// Its record, as an index into [`Tables::records`].
    pub record: Option<usize>,
    /// Why the runtime will leave it on its trampoline. None: it can become direct.
    pub stays: Option<Stays>,
    /// What the runtime writes while the key calls its initial target; of a call that stays, what it is.
    /// None: not known.
    pub after: Option<Instruction>,
}

/// An instruction that uses a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The instruction's address.
    pub address: u64,
    /// The key, as an index into [`Tables::keys`], if it is known.
    pub key: Option<usize>,
}

/// The static calls of a file.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Where the tables are. None: the file has none.
    pub places: Option<Places>,
    /// The keys.
    pub keys: Vec<Key>,
    /// The records.
    pub records: Vec<Record>,
    /// The recorded calls, by address.
    pub sites: Vec<Site>,
    /// The total size of the site table's entries without its anchor.
    pub site_bytes: u64,
    /// The static branches.
    pub branches: Branches,
    /// Defects for which the runtime will refuse the image.
    pub damage: Vec<String>,
}

impl Tables {
    /// Reads a file's tables, but for the branches.
    #[must_use]
    pub fn read_calls(elf: &Elf<'_>, decoder: Option<&Decoder>, budget: &Budget) -> Self {
        let places = Places::find(elf, budget);
        let mut tables = Self {
            places,
            keys: Vec::new(),
            records: Vec::new(),
            sites: Vec::new(),
            site_bytes: 0,
            branches: Branches::default(),
            damage: Vec::new(),
        };
        let mut reader = Reader {
            elf,
            budget,
            layout: Layout { pointer: elf.pointer },
            known: HashMap::new(),
            imported: BTreeMap::new(),
        };
        reader.read_keys(&mut tables);
        reader.read_records(&mut tables);
        reader.read_sites(&mut tables, decoder);
        tables
    }

    /// Makes the names of keys unique, since a macro may define many keys with one path. `place` gives a
    /// key's place in the source.
    pub fn tell_names_apart(&mut self, place: impl Fn(usize) -> Option<String>) {
        let mut same: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, key) in self.keys.iter().enumerate() {
            same.entry(key.name.clone()).or_default().push(number);
        }
        for numbers in same.into_values().filter(|numbers| numbers.len() > 1) {
            let keys = &self.keys;
            let path = |number: usize| Some(key_name(keys[number].symbol.as_ref()?.as_bytes()));
            let symbol = |number: usize| keys[number].symbol.clone();
            let address = |number: usize| Some(format!("at {:#x}", keys[number].address?));
            let ways: [&dyn Fn(usize) -> Option<String>; 4] = [&place, &path, &symbol, &address];
            // The first way that makes all of them different.
            let more = ways.into_iter().find_map(|way| {
                let more: Option<Vec<String>> = numbers.iter().map(|&number| way(number)).collect();
                more.filter(|more| more.iter().collect::<HashSet<_>>().len() == numbers.len())
            });
            for (number, more) in numbers.into_iter().zip(more.into_iter().flatten()) {
                let key = &mut self.keys[number];
                key.name = format!("{} ({more})", key.name);
            }
        }
    }

    /// The keys by their symbols.
    #[must_use]
    pub fn symbols(&self) -> HashMap<&str, usize> {
        let symbols =
            self.keys.iter().enumerate().filter_map(|(number, key)| Some((key.symbol.as_deref()?, number)));
        symbols.collect()
    }

    /// The records by their trampolines' addresses.
    #[must_use]
    pub fn trampolines(&self) -> HashMap<u64, usize> {
        self.records.iter().enumerate().map(|(number, record)| (record.trampoline, number)).collect()
    }
}

impl Places {
    /// Finds the tables through the image descriptor, as the runtime does, or else by the names of their
    /// sections.
    fn find(elf: &Elf<'_>, budget: &Budget) -> Option<Self> {
        if let Some(places) = descriptor(elf, budget) {
            return Some(places);
        }
        let section = |name| {
            elf.section(name).map(|section| section.address..section.address.saturating_add(section.size))
        };
        let sections = [KEYS_SECTION, RECORDS_SECTION, BRANCHES_SECTION, SITES_SECTION].map(section);
        let [keys, records, branches, sites] = sections;
        if keys.is_none() && records.is_none() && branches.is_none() && sites.is_none() {
            return None;
        }
        let nothing = || 0..0;
        Some(Self {
            keys: keys.unwrap_or_else(nothing),
            records: records.unwrap_or_else(nothing),
            branches: branches.unwrap_or_else(nothing),
            sites: sites.unwrap_or_else(nothing),
            descriptor: None,
        })
    }
}

/// Finds the image descriptor by its symbol or else by its content: pointers to the tables, which are
/// adjacent and in this order, and to the file's ELF header. (mold leaves their anchors between them, and
/// puts the branches first.)
fn descriptor(elf: &Elf<'_>, budget: &Budget) -> Option<Places> {
    // Without the pass the symbol is undefined, which mold makes an absolute one.
    let mut symbols = elf.objects().iter().filter(|symbol| symbol.name == IMAGE.as_bytes());
    symbols.find_map(|symbol| descriptor_at(elf, symbol.address)).or_else(|| {
        let writable = elf.segments.iter().filter(|segment| segment.is_writable);
        writable
            .flat_map(|segment| {
                let end = segment.address.saturating_add(segment.data.len() as u64);
                (segment.address.next_multiple_of(elf.pointer)..end).step_by(elf.pointer as usize)
            })
            .find_map(|place| {
                elf.passed(place, elf.pointer, budget);
                descriptor_at(elf, place)
            })
    })
}

fn descriptor_at(elf: &Elf<'_>, place: u64) -> Option<Places> {
    if elf.u32(place)? != VERSION || elf.u32(place.checked_add(4)?)? != 0 {
        return None;
    }
    let field = |index| match elf.pointer(place.checked_add(8 + index * elf.pointer)?)? {
        Pointer::Null => Some(0),
        pointer => pointer.address(),
    };
    let table = |first| Some(field(first)?..field(first + 1)?);
    let (sites, records, keys, branches) = (table(0)?, table(2)?, table(4)?, table(6)?);
    let most = Layout { pointer: elf.pointer }.record();
    let follows = |end: u64, start: u64| start.checked_sub(end).is_some_and(|gap| gap <= most);
    // Without the pass there may be no sites.
    let ends_with_sites =
        |end| sites.start == sites.end || sites.start < sites.end && follows(end, sites.start);
    let is_one = keys.start < keys.end
        && follows(keys.end, records.start)
        && records.start < records.end
        && branches.start <= branches.end
        && (follows(records.end, branches.start) && ends_with_sites(branches.end)
            || branches.end <= keys.start && ends_with_sites(records.end))
        && field(8)? != 0;
    is_one.then_some(Places { keys, records, branches, sites, descriptor: Some(place) })
}

struct Reader<'elf, 'data> {
    elf: &'elf Elf<'data>,
    budget: &'elf Budget,
    layout: Layout,
    /// The keys found so far, by address.
    known: HashMap<u64, usize>,
    /// The keys of other files, by symbol and offset.
    imported: BTreeMap<(Vec<u8>, i64), usize>,
}

impl Reader<'_, '_> {
    /// Finds the keys in their section, and everything else that looks like a key.
    fn read_keys(&mut self, tables: &mut Tables) {
        if let Some(places) = tables.places.clone() {
            self.find_keys(tables, places.keys, true);
        }
        let elf = self.elf;
        for segment in elf.segments.iter().filter(|segment| segment.is_writable && !segment.is_executable) {
            let end = segment.address.saturating_add(segment.data.len() as u64);
            self.find_keys(tables, segment.address..end, false);
        }
        for symbol in elf.imports() {
            // Every relocation may name the same symbol, which may be long.
            if !self.budget.steps(1 + symbol.len()) {
                break;
            }
            if is_key(symbol) {
                self.add_imported(tables, symbol, 0);
            }
        }
        // A key that the dynamic linker will copy from another file (a copy relocation) has no content in
        // this file.
        for symbol in elf.objects() {
            if is_key(symbol.name) && !self.known.contains_key(&symbol.address) {
                self.add_key_elsewhere(tables, symbol.address, symbol.address);
            }
        }
    }

    /// None: the memory budget is used up.
    fn add_imported(&mut self, tables: &mut Tables, symbol: &[u8], offset: i64) -> Option<usize> {
        let known = (symbol.to_vec(), offset);
        if let Some(&number) = self.imported.get(&known) {
            return Some(number);
        }
        let number = self.push(tables, imported_key(symbol, offset))?;
        self.imported.insert(known, number);
        Some(number)
    }

    fn push(&self, tables: &mut Tables, key: Key) -> Option<usize> {
        let symbol = key.symbol.as_deref().unwrap_or_default();
        // The report will hold a copy.
        if !self.budget.item::<[Key; 4]>(&[&key.name, &key.name, symbol, symbol]) {
            return None;
        }
        tables.keys.push(key);
        Some(tables.keys.len() - 1)
    }

    /// Checks every address that may hold a key.
    fn find_keys(&mut self, tables: &mut Tables, range: Range<u64>, is_in_section: bool) {
        let Some(mut place) = range.start.checked_next_multiple_of(self.elf.pointer) else { return };
        // A damaged section may claim more than the file has.
        let has = self.elf.from(range.start).len() as u64;
        let end = range.end.min(range.start.saturating_add(has));
        while place.checked_add(self.layout.key()).is_some_and(|behind| behind <= end) {
            self.elf.passed(place - range.start, self.elf.pointer, self.budget);
            if self.is_key(place) && !self.known.contains_key(&place) {
                if self.add_key(tables, place, is_in_section).is_none() {
                    break;
                }
                place += self.layout.key();
            } else {
                place += self.elf.pointer;
            }
        }
    }

    /// Whether there is a key in its initial state: a version, two forms, and pointers to code and to a
    /// string. Nothing else looks like that.
    fn is_key(&self, place: u64) -> bool {
        let (elf, layout) = (self.elf, self.layout);
        if elf.read(place, layout.key()).is_none() {
            return false;
        }
        let Some(flags) = elf.u32(place + layout.key_flags()) else { return false };
        let is_form = |form| Form::from_u32(form).is_some();
        if flags >> 16 != VERSION
            || !(is_form(flags & 0xffff) || is_dispatched(flags))
            || !elf.u32(place + layout.key_form()).is_some_and(|form| is_form(form & !POINTER))
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

    /// Whether function pointers point to code. Those of POWER's older ABI (ELFv1) point to descriptors in
    /// data.
    fn has_code(&self) -> bool {
        self.elf.machine != object::elf::EM_PPC64.0 || object::Endian::is_little_endian(self.elf.endian())
    }

    fn add_key(&mut self, tables: &mut Tables, place: u64, is_in_section: bool) -> Option<usize> {
        let (elf, layout) = (self.elf, self.layout);
        let symbol = elf.object(place).map(|symbol| symbol.name);
        let name = match elf.pointer(place + layout.key_name()) {
            Some(Pointer::Address(name)) => elf.string(name).filter(|name| !name.is_empty()),
            _ => None,
        };
        let name = match (name, symbol) {
            // C++'s macros know only the last part of the path.
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
        let is_dispatched = elf.u32(place + layout.key_flags()).is_some_and(is_dispatched);
        let key = Key {
            address: Some(place),
            name,
            symbol: symbol.map(|symbol| printable(&String::from_utf8_lossy(symbol))),
            is_in_section,
            target,
            start: elf.pointer(place).and_then(Pointer::address).zip(form),
            // A resolver says nothing about the key's functions.
            off: if is_dispatched {
                Target::Unknown
            } else {
                points_at(elf.pointer(place + layout.key_off()))
            },
            is_dispatched,
        };
        let number = self.push(tables, key)?;
        self.known.insert(place, number);
        Some(number)
    }

    fn read_records(&mut self, tables: &mut Tables) {
        let Some(places) = tables.places.clone() else { return };
        let (elf, layout) = (self.elf, self.layout);
        if elf.has_moved_code {
            tables
                .damage
                .push("its code was moved after linking (by BOLT, say), and its tables were not".into());
        }
        let has = elf.from(places.records.start).len() as u64;
        let len = places.records.end.saturating_sub(places.records.start);
        if len > has || len % layout.record() != 0 {
            tables.damage.push(format!(
                "the records ({len} bytes at {:#x}) are truncated, or of another version of the pass",
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
            if distance == BRANCH_RECORD {
                continue; // `branches` reads it.
            }
            let trampoline = place.wrapping_add_signed(distance.into());
            let key = match key {
                Some(Pointer::Address(address)) => match self.known.get(&address) {
                    Some(&key) => Some(key),
                    // It is part of a struct, of another version, or copied by the dynamic linker.
                    None => self.add_key_elsewhere(tables, address, place),
                },
                Some(Pointer::Import(symbol, offset)) => self.add_imported(tables, symbol, offset),
                _ => {
                    damaged.add(|| format!("the record at {place:#x} refers to no key"));
                    continue;
                }
            };
            let Some(key) = key.filter(|_| self.budget.item::<Record>(&[])) else { break };
            let Some(signature) = self.signature(trampoline, place) else {
                damaged.add(|| {
                    format!("the record at {place:#x} refers to {trampoline:#x}, which is not its trampoline")
                });
                continue;
            };
            let may_be_nop = [SIGNATURE, SIGNATURE_CHECKED].contains(&signature);
            let is_without_pass = [SIGNATURE_WITHOUT_SITES, SIGNATURE_THUNK].contains(&signature);
            let is_checked = [SIGNATURE_CHECKED, SIGNATURE_CHECKED_CALL_ONLY].contains(&signature);
            let prefix = if is_checked { 8 + size_of::<TypeCheck>() as u64 } else { 8 };
            tables.records.push(Record {
                address: place,
                key,
                trampoline,
                may_be_nop,
                is_without_pass,
                prefix,
            });
        }
        damaged.report(&mut tables.damage, "records");
    }

    /// A key that does not look like one in the file.
    fn add_key_elsewhere(&mut self, tables: &mut Tables, address: u64, record: u64) -> Option<usize> {
        let elf = self.elf;
        if self.is_key(address) {
            return self.add_key(tables, address, false);
        }
        let named = elf.object(address).map(|symbol| symbol.name).or_else(|| {
            let name = elf.object(record)?.name.strip_prefix(RECORD_PREFIX.as_bytes())?;
            let infix = CHECK_INFIX.as_bytes();
            let end = name.windows(infix.len()).position(|part| part == infix);
            Some(&name[..end.unwrap_or(name.len())])
        });
        let key = Key {
            address: Some(address),
            name: named.map_or_else(|| format!("key at {address:#x}"), key_name),
            symbol: named.map(|symbol| printable(&String::from_utf8_lossy(symbol))),
            is_in_section: false,
            target: Target::Unknown,
            start: None,
            off: Target::Unknown,
            is_dispatched: false,
        };
        let number = self.push(tables, key)?;
        self.known.insert(address, number);
        Some(number)
    }

    /// The signature of the trampoline if it refers back to this record, which the runtime checks as well.
    fn signature(&self, trampoline: u64, record: u64) -> Option<u32> {
        const OF_THE_PASS: [u32; 4] =
            [SIGNATURE, SIGNATURE_CALL_ONLY, SIGNATURE_CHECKED, SIGNATURE_CHECKED_CALL_ONLY];
        let at = |place: u64, signatures: &[u32]| {
            let (signature, distance) = (self.elf.u32(place)?, self.elf.u32(place.checked_add(4)?)?);
            let is_one = signatures.contains(&signature)
                && trampoline.wrapping_add_signed(distance.cast_signed().into()) == record
                && self.elf.is_code(trampoline);
            is_one.then_some(signature)
        };
        let behind = (1..=BEHIND as u64).filter_map(|index| trampoline.checked_add(8 * index));
        at(trampoline.checked_sub(8)?, &OF_THE_PASS).or_else(|| {
            behind.into_iter().find_map(|place| at(place, &[SIGNATURE_WITHOUT_SITES, SIGNATURE_THUNK]))
        })
    }

    /// Why the runtime will leave a site of this record on its trampoline, and what it makes of it.
    fn fate(
        &self,
        tables: &Tables,
        decoder: &Decoder,
        address: u64,
        record: usize,
    ) -> (Option<Stays>, Option<Instruction>) {
        let Record { key, trampoline, may_be_nop, .. } = tables.records[record];
        let start = tables.keys[key].start;
        let start = start.map(|(target, form)| Start { target, form, may_be_nop });
        let [site, first] = [address, tables.records[0].trampoline].map(|address| self.elf.segment(address));
        let (Some(site), Some(first)) = (site, first) else { return (None, None) };
        if !site.is_readable || !first.is_readable {
            return (Some(Stays::Unreadable), None);
        }
        let text = first.range();
        let load = |address| self.elf.u32(address).unwrap_or_default();
        let fate = decoder.fate(address, self.elf.from(address), trampoline, start, &text, &load);
        let Some((fate, instruction)) = fate else { return (None, None) };
        let stays = match fate {
            Fate::Direct => None,
            Fate::AcrossWords => Some(Stays::AcrossWords),
            Fate::OutOfReach => Some(Stays::OutOfReach),
        };
        // What another file's key starts with is not known here.
        (stays, Some(instruction).filter(|_| start.is_some() || stays.is_some()))
    }

    fn read_sites(&mut self, tables: &mut Tables, decoder: Option<&Decoder>) {
        let Some(places) = tables.places.clone() else { return };
        let elf = self.elf;
        let table = elf.from(places.sites.start);
        let len = places.sites.end.saturating_sub(places.sites.start);
        if len > table.len() as u64 || len % 4 != 0 {
            tables
                .damage
                .push(format!("the site table ({len} bytes at {:#x}) is truncated", places.sites.start));
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
            if !self.budget.item::<Site>(&[]) {
                break;
            }
            let address = place.wrapping_add_signed(distance.into());
            let Some(decoder) = decoder else {
                tables.sites.push(Site { address, kind: None, record: None, stays: None, after: None });
                continue;
            };
            let decoded = decoder.decode(address, elf.from(address)).filter(|_| elf.is_code(address));
            let (record, is_behind_veneer) = match decoded {
                Some((_, Action::Branch(target))) => match trampolines.get(&target) {
                    Some(&record) => (Some(record), false),
                    None => (None, decoder.has_veneers && elf.is_code(target)),
                },
                _ => (None, false),
            };
            if record.is_none() && !is_behind_veneer {
                damaged.add(|| {
                    format!(
                        "the entry at {place:#x} refers to {address:#x}, which does not call a trampoline"
                    )
                });
            }
            let kind = decoded.map(|(kind, _)| kind);
            let (stays, after) = match record {
                Some(record) => self.fate(tables, decoder, address, record),
                None => (is_behind_veneer.then_some(Stays::Veneer), None),
            };
            tables.sites.push(Site { address, kind, record, stays, after });
        }
        tables.sites.sort_by_key(|site| site.address);
        damaged.report(&mut tables.damage, "entries of the site table");
        let distinct: HashSet<u64> = tables.sites.iter().map(|site| site.address).collect();
        if distinct.len() != tables.sites.len() {
            tables.damage.push("the site table lists a call twice".into());
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
        name = format!("{name}{offset:+}");
    }
    Key {
        address: None,
        name,
        symbol: Some(printable(&String::from_utf8_lossy(symbol))),
        is_in_section: false,
        target: Target::Unknown,
        start: None,
        off: Target::Unknown,
        is_dispatched: false,
    }
}

/// Whether these are the flags of a key whose function is chosen by a resolver.
fn is_dispatched(flags: u32) -> bool {
    flags & 0xffff & !PLAIN_RESOLVER == DISPATCH
}

/// A key's name from its symbol.
pub(crate) fn key_name(symbol: &[u8]) -> String {
    demangle(symbol).replace(KEY_SUFFIX, "").replace("::_::", "::")
}

/// Whether this is the symbol of a key in C or C++, or of a Rust key that they can see. The symbols of its
/// trampoline and record are the same with a prefix.
pub(crate) fn is_key(symbol: &[u8]) -> bool {
    let suffix = KEY_SUFFIX.as_bytes();
    // mold names the entries of its tables.
    let is_entry = symbol.ends_with(b"$got") || symbol.ends_with(b"$plt") || symbol.ends_with(b"$pltgot");
    !symbol.starts_with(RESERVED_PREFIX.as_bytes())
        && !is_entry
        && symbol.windows(suffix.len()).any(|part| part == suffix)
}

/// Whether this is the symbol of a C++ key in a namespace, a class or a function.
fn is_cpp_key(symbol: &[u8]) -> bool {
    symbol.starts_with(b"_Z") && is_key(symbol)
}

/// Messages of one kind. Only the first ones are kept.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    first: Vec<String>,
    count: usize,
}

impl Counted {
    const SAID: usize = 5;

    pub(crate) fn add(&mut self, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < Self::SAID {
            self.first.push(text());
        }
    }

    pub(crate) fn report(self, to: &mut Vec<String>, what: &str) {
        let more = self.count - self.first.len();
        to.extend(self.first);
        if more > 0 {
            to.push(format!("more {what} with such defects: {more}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabricated::{
        CODE, DESCRIPTOR, KEYS, LAYOUT, Memory, RECORDS, SITES, TRAMPOLINE, file, image,
    };

    fn read(image: [Memory; 2]) -> Tables {
        let bytes = file(image, true);
        let budget = Budget::default();
        let elf = Elf::parse(&bytes, &budget).expect("an ELF file");
        Tables::read_calls(&elf, Decoder::of(elf.machine, 64, true), &budget)
    }

    /// Reads an image with a change.
    fn with(change: impl FnOnce(&mut Memory, &mut Memory)) -> Tables {
        let [mut code, mut data] = image();
        change(&mut code, &mut data);
        read([code, data])
    }

    #[test]
    fn an_image_without_section_headers() {
        let tables = read(image());
        assert_eq!(tables.damage, [""; 0]);
        assert_eq!(tables.places.map(|places| places.descriptor), Some(Some(DESCRIPTOR)));
        let key = &tables.keys[0];
        assert_eq!((&*key.name, key.address, tables.keys.len()), ("app::KEY", Some(KEYS), 1));
        assert_eq!((key.is_in_section, &key.target), (true, &Target::Function(CODE)));
        assert_eq!(tables.records.len(), 1, "the anchor is not a record");
        let record = &tables.records[0];
        assert_eq!((record.address, record.key, record.trampoline), (RECORDS, 0, TRAMPOLINE));
        assert!(record.may_be_nop);
        let sites: Vec<_> = tables.sites.iter().map(|site| (site.address, site.kind, site.record)).collect();
        let (call, tail) =
            ((CODE + 0x10, Some(Kind::Call), Some(0)), (CODE + 0x18, Some(Kind::Jump), Some(0)));
        assert_eq!(sites, [call, tail], "sorted by address");
        assert!(tables.sites.iter().all(|site| site.stays.is_none()));
        assert_eq!(tables.site_bytes, 8, "the anchor does not count");
    }

    #[test]
    fn every_link_of_the_tables_is_checked() {
        let damage = |change: fn(&mut Memory, &mut Memory)| with(change).damage.join("; ");
        for (expected, change) in [
            ("refers to no key", (|_, data| data.word(RECORDS, 0)) as fn(&mut Memory, &mut Memory)),
            ("is not its trampoline", |code, _| code.half(TRAMPOLINE - 8, SIGNATURE + 1)),
            ("is not its trampoline", |code, _| code.half(TRAMPOLINE - 4, 0)),
            ("is not its trampoline", |_, data| data.half(RECORDS + LAYOUT.record_trampoline(), 8)),
            ("lists a call twice", |_, data| data.distance(SITES + 4, CODE + 0x10)),
            ("does not call a trampoline", |code, _| code.put(CODE + 0x10, &[0x90])),
            ("does not call a trampoline", |code, _| code.branch(CODE + 0x10, 0xe8, TRAMPOLINE + 1)),
            ("does not call a trampoline", |_, data| data.distance(SITES + 8, KEYS)),
            ("the site table", |_, data| data.word(DESCRIPTOR + 16, SITES + 11)),
            ("the records", |_, data| data.word(DESCRIPTOR + 32, RECORDS + LAYOUT.record() + 8)),
        ] {
            let damage = damage(change);
            assert!(damage.contains(expected), "{expected}: {damage:?}");
        }
    }

    #[test]
    fn a_descriptor_of_another_version_or_order_is_none() {
        for change in [
            (|_, data| data.half(DESCRIPTOR, VERSION + 1)) as fn(&mut Memory, &mut Memory),
            |_, data| data.half(DESCRIPTOR + 4, 1),
            |_, data| data.word(DESCRIPTOR + 8, KEYS),
            |_, data| data.word(DESCRIPTOR + 8 + 6 * 8, 0),
            |_, data| data.word(DESCRIPTOR + 8 + 2 * 8, SITES),
        ] {
            let tables = with(change);
            assert!(tables.places.is_none() && tables.sites.is_empty() && tables.records.is_empty());
            // The key is recognized by its content.
            assert_eq!(tables.keys.iter().map(|key| key.is_in_section).collect::<Vec<_>>(), [false]);
        }
    }

    /// mold sorts sections by their names.
    #[test]
    fn a_descriptor_whose_branches_come_first() {
        let tables =
            with(|_, data| [6, 7].into_iter().for_each(|at| data.word(DESCRIPTOR + 8 + at * 8, KEYS)));
        assert_eq!(tables.places.map(|places| places.descriptor), Some(Some(DESCRIPTOR)));
    }

    /// Calls of trampolines that were compiled without the pass.
    #[test]
    fn an_image_without_sites() {
        for change in [
            (|_, data| data.word(DESCRIPTOR + 16, SITES + 4)) as fn(&mut Memory, &mut Memory),
            |_, data| data.word(DESCRIPTOR + 16, SITES),
            |_, data| [8, 16].into_iter().for_each(|field| data.word(DESCRIPTOR + field, 0)),
        ] {
            let tables = with(change);
            assert_eq!(tables.damage, [""; 0]);
            assert_eq!((tables.records.len(), tables.sites.len(), tables.site_bytes), (1, 0, 0));
            assert_eq!(tables.places.map(|places| places.descriptor), Some(Some(DESCRIPTOR)));
        }
    }

    #[test]
    fn a_key_is_recognized_by_each_of_its_fields() {
        let count = |change: fn(&mut Memory, &mut Memory)| {
            with(|code, data| {
                change(code, data);
                // Otherwise the record would name a key here in any case.
                data.word(RECORDS, 0);
            })
            .keys
            .len()
        };
        assert_eq!(count(|_, _| {}), 1);
        for change in [
            (|_, data| data.word(KEYS, 0)) as fn(&mut Memory, &mut Memory),
            |_, data| data.word(KEYS, KEYS),
            |_, data| data.word(KEYS + 8, 1),
            |_, data| data.word(KEYS + LAYOUT.key_off(), KEYS),
            |_, data| data.word(KEYS + LAYOUT.key_name(), 1),
            |_, data| data.half(KEYS + LAYOUT.key_form(), 4),
            |_, data| data.half(KEYS + LAYOUT.key_flags(), VERSION << 16 | 4),
            |_, data| data.half(KEYS + LAYOUT.key_flags(), (VERSION + 1) << 16),
        ] {
            assert_eq!(count(change), 0);
        }
    }

    #[test]
    fn a_key_may_be_off_at_first() {
        let target = |form: Form| {
            with(|_, data| data.half(KEYS + LAYOUT.key_form(), form as u32)).keys[0].target.clone()
        };
        assert_eq!(target(Form::Call), Target::Function(CODE));
        assert_eq!((target(Form::Nop), target(Form::OffCall)), (Target::Off, Target::Off));
        assert_eq!(target(Form::Zero), Target::Zero);
    }

    #[test]
    fn calls_that_stay_on_their_trampolines() {
        // Five bytes from 0x1e on cross two words.
        let across = with(|code, data| {
            code.branch(CODE + 0x1e, 0xe8, TRAMPOLINE);
            data.distance(SITES + 4, CODE + 0x1e);
        });
        assert_eq!(
            across.sites.iter().map(|site| site.stays).collect::<Vec<_>>(),
            [None, Some(Stays::AcrossWords)]
        );
        let bytes = file(image(), false);
        let budget = Budget::default();
        let elf = Elf::parse(&bytes, &budget).expect("an ELF file");
        let tables = Tables::read_calls(&elf, Decoder::of(elf.machine, 64, true), &budget);
        assert!(tables.sites.iter().all(|site| site.stays == Some(Stays::Unreadable)));
        let tables = Tables::read_calls(&elf, None, &budget);
        assert!(tables.sites.iter().all(|site| site.kind.is_none() && site.record.is_none()));
        assert_eq!((tables.sites.len(), tables.damage.len()), (2, 0));
    }

    #[test]
    fn equal_names_are_told_apart() {
        let key = |symbol: Option<&str>, address| Key {
            address,
            name: "app::KEY".into(),
            symbol: symbol.map(str::to_owned),
            is_in_section: true,
            target: Target::Unknown,
            start: None,
            off: Target::Unknown,
            is_dispatched: false,
        };
        let names = |keys: [Key; 2], places: [Option<&str>; 2]| {
            let mut tables = read(image());
            tables.keys = keys.into();
            tables.tell_names_apart(|number| places[number].map(str::to_owned));
            [0, 1].map(|number| tables.keys[number].name.clone())
        };
        let named = || [key(Some("a__static_call_key"), Some(1)), key(Some("b__static_call_key"), Some(2))];
        assert_eq!(names(named(), [Some("f:1"), Some("f:2")]), ["app::KEY (f:1)", "app::KEY (f:2)"]);
        // The places are the same, or one is unknown: the symbols differ.
        for places in [[Some("f:1"); 2], [Some("f:1"), None]] {
            assert_eq!(names(named(), places), ["app::KEY (a)", "app::KEY (b)"]);
        }
        // Without symbols, addresses remain; without those, the names stay equal.
        let addresses = [key(None, Some(16)), key(None, Some(32))];
        assert_eq!(names(addresses, [None; 2]), ["app::KEY (at 0x10)", "app::KEY (at 0x20)"]);
        assert_eq!(names([key(None, None), key(None, None)], [None; 2]), ["app::KEY"; 2]);
    }

    #[test]
    fn symbols_of_keys() {
        assert!(is_key(b"key__static_call_key") && is_key(b"_ZN1a3key17__static_call_keyE"));
        assert!(!is_key(b"__static_call_record.key__static_call_key") && !is_key(b"key"));
        assert!(!is_key(b"key__static_call_key$got"));
        assert!(is_cpp_key(b"_ZN1aL20key__static_call_keyE") && !is_cpp_key(b"key__static_call_key"));
        assert_eq!(key_name(b"_ZN1aL20key__static_call_keyE"), "a::key");
        assert_eq!(imported_key(b"key__static_call_key", -8).name, "key-8");
        assert_eq!(imported_key(b"key__static_call_key", 0).name, "key");
    }

    #[test]
    fn many_defects_are_counted() {
        let mut counted = Counted::default();
        (0..7).for_each(|number| counted.add(|| format!("defect {number}")));
        let mut damage = Vec::new();
        counted.report(&mut damage, "records");
        assert_eq!(damage[4..], ["defect 4", "more records with such defects: 2"]);
    }
}
