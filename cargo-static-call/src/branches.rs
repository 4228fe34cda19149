//! The static branches of a file: their keys, records and table, and its defects.
//!
//! They are read after everything else in [`Tables`]: a branch may also ask whether a key that calls
//! functions has one (a lazy hook).

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use static_call::inspect::{Action, Decoder, Fate};
use static_call_abi::{BRANCH, BRANCH_RECORD, JUMPS_WHEN_OFF, Layout, VERSION};

use crate::branch::{Branch, BranchKey, Branches, Stays};
use crate::budget::Budget;
use crate::elf::{Elf, Pointer};
use crate::name::{demangle, is_rust, printable};
use crate::tables::{Counted, Tables, Target, is_key, key_name};

/// Reads a file's tables.
#[must_use]
pub fn read_tables(elf: &Elf<'_>, decoder: Option<&Decoder>, budget: &Budget) -> Tables {
    let mut tables = Tables::read_calls(elf, decoder, budget);
    read(elf, &mut tables, decoder, budget);
    tables
}

/// Reads the branches of a file whose other tables have been read.
fn read(elf: &Elf<'_>, tables: &mut Tables, decoder: Option<&Decoder>, budget: &Budget) {
    let layout = Layout { pointer: elf.pointer };
    let mut reader = Reader { elf, budget, layout, known: HashMap::new(), branches: Branches::default() };
    reader.read_keys(tables);
    reader.read_records(tables);
    reader.read_table(tables, decoder);
    reader.tell_names_apart();
    tables.branches = reader.branches;
}

/// What identifies a key: its address, or another file's symbol and an offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Here(u64),
    Elsewhere(Vec<u8>, i64),
}

struct Reader<'elf, 'data> {
    elf: &'elf Elf<'data>,
    budget: &'elf Budget,
    layout: Layout,
    known: HashMap<Place, usize>,
    branches: Branches,
}

impl Reader<'_, '_> {
    /// Finds the keys in their section, and everything else that looks like one.
    fn read_keys(&mut self, tables: &Tables) {
        if let Some(places) = &tables.places {
            self.find_keys(places.keys.clone(), true);
        }
        let elf = self.elf;
        for segment in elf.segments.iter().filter(|segment| segment.is_writable && !segment.is_executable) {
            let end = segment.address.saturating_add(segment.data.len() as u64);
            self.find_keys(segment.address..end, false);
        }
    }

    fn find_keys(&mut self, range: Range<u64>, is_in_section: bool) {
        let Some(mut place) = range.start.checked_next_multiple_of(self.elf.pointer) else { return };
        // A damaged section may claim more than the file has.
        let has = self.elf.from(range.start).len() as u64;
        let end = range.end.min(range.start.saturating_add(has));
        while place.checked_add(self.layout.key()).is_some_and(|behind| behind <= end) {
            self.elf.passed(place - range.start, self.elf.pointer, self.budget);
            let key = self.key_at(place, is_in_section);
            match key.filter(|_| !self.known.contains_key(&Place::Here(place))) {
                Some(key) => {
                    if self.push(Place::Here(place), key).is_none() {
                        break;
                    }
                    place += self.layout.key();
                }
                None => place += self.elf.pointer,
            }
        }
    }

    /// The key at an address, if one is there in its initial state: its flags, which nothing else has, a
    /// count of 0 or 1, and no pointers but that to its name.
    fn key_at(&self, place: u64, is_in_section: bool) -> Option<BranchKey> {
        let (elf, layout) = (self.elf, self.layout);
        elf.read(place, layout.key())?;
        let is_null = |offset| elf.pointer(place + offset) == Some(Pointer::Null);
        if elf.u32(place + layout.key_flags())? != BRANCH | VERSION << 16
            || elf.u32(place + layout.key_form())? != 0
            || !is_null(elf.pointer)
            || !is_null(layout.key_off())
        {
            return None;
        }
        let is_on = match elf.pointer(place)? {
            Pointer::Null => false,
            Pointer::Address(1) => true,
            _ => return None,
        };
        let symbol = elf.object(place).map(|symbol| symbol.name);
        let name = match elf.pointer(place + layout.key_name())? {
            Pointer::Null => None,
            Pointer::Address(name) => Some(elf.string(name)?),
            Pointer::Import(..) => return None,
        };
        let name = name_of(name, symbol, place);
        Some(BranchKey {
            address: Some(place),
            name,
            symbol: symbol.map(|symbol| printable(&String::from_utf8_lossy(symbol))),
            is_on: Some(is_on),
            is_hook: false,
            is_in_section,
        })
    }

    /// None: the memory budget is used up.
    fn push(&mut self, place: Place, key: BranchKey) -> Option<usize> {
        let symbol = key.symbol.as_deref().unwrap_or_default();
        // The report will hold a copy.
        if !self.budget.item::<[BranchKey; 4]>(&[&key.name, &key.name, symbol, symbol]) {
            return None;
        }
        self.branches.keys.push(key);
        self.known.insert(place, self.branches.keys.len() - 1);
        Some(self.branches.keys.len() - 1)
    }

    fn read_records(&mut self, tables: &mut Tables) {
        let Some(places) = tables.places.clone() else { return };
        let (elf, layout) = (self.elf, self.layout);
        let mut damaged = Counted::default();
        for record in &tables.records {
            let address = tables.keys[record.key].address;
            if address.is_some_and(|address| self.known.contains_key(&Place::Here(address))) {
                damaged.add(|| format!("the record at {:#x} calls the key of a branch", record.address));
            }
        }
        let has = elf.from(places.records.start).len() as u64;
        let len = places.records.end.saturating_sub(places.records.start);
        for number in 0..len.min(has) / layout.record() {
            let address = places.records.start + number * layout.record();
            if elf.u32(address + layout.record_trampoline()) != Some(BRANCH_RECORD.cast_unsigned()) {
                continue;
            }
            let place = match elf.pointer(address) {
                Some(Pointer::Address(key)) => Place::Here(key),
                Some(Pointer::Import(symbol, offset)) => Place::Elsewhere(symbol.to_vec(), offset),
                _ => {
                    damaged.add(|| format!("the record at {address:#x} refers to no key"));
                    continue;
                }
            };
            let key = match self.known.get(&place) {
                Some(&key) => Some(key),
                None => {
                    let key = self.key_elsewhere(tables, &place);
                    self.push(place, key)
                }
            };
            let Some(key) = key.filter(|_| self.budget.item::<(u64, usize)>(&[])) else { break };
            self.branches.records.push((address, key));
        }
        damaged.report(&mut tables.damage, "records");
    }

    /// A key that calls functions, or one that does not look like a branch's in the file: another file may
    /// define it, or it is copied by the dynamic linker.
    fn key_elsewhere(&self, tables: &Tables, place: &Place) -> BranchKey {
        let (address, symbol, offset) = match place {
            Place::Here(address) => {
                (Some(*address), self.elf.object(*address).map(|symbol| symbol.name.to_vec()), 0)
            }
            Place::Elsewhere(symbol, offset) => (None, Some(symbol.clone()), *offset),
        };
        let printed = symbol.as_ref().map(|symbol| printable(&String::from_utf8_lossy(symbol)));
        let same = tables.keys.iter().find(|key| match address {
            Some(_) => key.address == address,
            None => key.address.is_none() && key.symbol == printed && offset == 0,
        });
        let is_hook = same.is_some() || symbol.as_deref().is_some_and(is_key);
        let name = match (same, &symbol, address) {
            (Some(key), ..) => key.name.clone(),
            (None, Some(symbol), _) if offset == 0 => key_name(symbol),
            (None, Some(symbol), _) => format!("{}{offset:+}", key_name(symbol)),
            (None, None, address) => format!("branch key at {:#x}", address.unwrap_or_default()),
        };
        let is_on = same.and_then(|key| match key.target {
            Target::Off => Some(false),
            Target::Unknown => None,
            _ => Some(true),
        });
        let is_in_section = same.is_some_and(|key| key.is_in_section);
        BranchKey { address, name, symbol: printed, is_on, is_hook, is_in_section }
    }

    fn read_table(&mut self, tables: &mut Tables, decoder: Option<&Decoder>) {
        let Some(places) = tables.places.clone() else { return };
        let (elf, size) = (self.elf, self.layout.branch());
        let has = elf.from(places.branches.start).len() as u64;
        let len = places.branches.end.saturating_sub(places.branches.start);
        if len > has || len % size != 0 {
            let start = places.branches.start;
            tables.damage.push(format!("the branch table ({len} bytes at {start:#x}) is truncated"));
        }
        let records: HashMap<u64, usize> = self.branches.records.iter().copied().collect();
        let mut damaged = Counted::default();
        for number in 0..len.min(has) / size {
            let place = places.branches.start + number * size;
            let field = |index: u64| elf.u32(place + 4 * index).unwrap_or_default().cast_signed();
            if field(0) == 0 {
                continue; // The anchor.
            }
            self.branches.bytes += size;
            let [address, target] =
                [0, 1].map(|index| (place + 4 * index).wrapping_add_signed(field(index).into()));
            let record = (place + 8).wrapping_add_signed((field(2) & !JUMPS_WHEN_OFF).into());
            // The place of a field is a multiple of four, so the lowest bit is that of the field.
            let is_likely = field(2) & JUMPS_WHEN_OFF != 0;
            let Some(&key) = records.get(&record) else {
                damaged.add(|| format!("the entry at {place:#x} refers to {record:#x}, no branch's record"));
                continue;
            };
            if !self.budget.item::<Branch>(&[]) {
                break;
            }
            let bytes = elf.from(address);
            let decoded = decoder.and_then(|decoder| decoder.decode_branch(address, bytes));
            let check = match decoded {
                Some(Action::Branch(check)) if elf.is_code(address) && elf.is_code(check) => Some(check),
                _ => None,
            };
            if decoder.is_some() && (check.is_none_or(|check| check == target || check == address)) {
                damaged.add(|| {
                    format!("the entry at {place:#x} refers to {address:#x}, which does not look at its key")
                });
            } else if !elf.is_code(target) {
                damaged.add(|| format!("the entry at {place:#x} jumps to {target:#x}, which is no code"));
            }
            let is_readable = elf.segment(address).is_none_or(|segment| segment.is_readable);
            let stays = match decoder.map(|decoder| decoder.fate_of_branch(address, bytes, target)) {
                _ if !is_readable => Some(Stays::Unreadable),
                Some(Fate::AcrossWords) => Some(Stays::AcrossWords),
                Some(Fate::OutOfReach) => Some(Stays::OutOfReach),
                Some(Fate::Direct) | None => None,
            };
            let jumps = self.branches.keys[key].is_on.map(|is_on| is_on != is_likely);
            let after = decoder.zip(jumps).filter(|_| stays.is_none());
            let after = after.and_then(|(decoder, jumps)| decoder.branch(address, bytes, target, jumps));
            self.branches.branches.push(Branch { address, check, is_likely, key, stays, after });
        }
        damaged.report(&mut tables.damage, "entries of the branch table");
        self.branches.branches.sort_by_key(|branch| branch.address);
        let distinct: HashSet<u64> = self.branches.branches.iter().map(|branch| branch.address).collect();
        if distinct.len() != self.branches.branches.len() {
            tables.damage.push("the branch table lists a branch twice".into());
        }
    }

    /// A macro may define many keys with one path.
    fn tell_names_apart(&mut self) {
        let mut count: HashMap<String, usize> = HashMap::new();
        for key in &self.branches.keys {
            *count.entry(key.name.clone()).or_default() += 1;
        }
        for key in &mut self.branches.keys {
            if let Some(address) = key.address.filter(|_| count[&key.name] > 1) {
                key.name = format!("{} (at {address:#x})", key.name);
            }
        }
    }
}

impl Stays {
    /// Completes a sentence that starts with "the branch".
    #[must_use]
    pub const fn of_branch(self) -> &'static str {
        match self {
            Self::OutOfReach => "cannot reach its target",
            Self::Unreadable => "is in code that is not readable",
            Self::AcrossWords | Self::Veneer => self.as_str(),
        }
    }
}

/// What people call a key: by the name that it has itself, which patterns match. C++'s macros know only the
/// last part of the path.
fn name_of(name: Option<&[u8]>, symbol: Option<&[u8]>, place: u64) -> String {
    match (name.filter(|name| !name.is_empty()), symbol) {
        (_, Some(symbol)) if symbol.starts_with(b"_Z") && !is_rust(symbol) => demangle(symbol),
        (Some(name), _) => printable(&String::from_utf8_lossy(name)),
        (None, Some(symbol)) => demangle(symbol),
        (None, None) => format!("branch key at {place:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rust's older symbols begin as C++'s do.
    #[test]
    fn a_key_has_the_name_that_patterns_match() {
        let of = |name: &str, symbol: &str| {
            let symbol = Some(symbol.as_bytes()).filter(|symbol| !symbol.is_empty());
            name_of(Some(name.as_bytes()), symbol, 16)
        };
        assert_eq!(of("calc::net::TRACE", "_ZN4calc3net1_5TRACE17h0123456789abcdefE"), "calc::net::TRACE");
        assert_eq!(of("calc::net::TRACE", "_RNvCskwGfYPst2Cb_3foo3bar"), "calc::net::TRACE");
        assert_eq!(of("trace", "_ZN3net5traceE"), "net::trace");
        assert_eq!((of("trace", "trace"), of("", "trace")), ("trace".into(), "trace".into()));
        assert_eq!(of("", ""), "branch key at 0x10");
    }
    use crate::fabricated::{CODE, DESCRIPTOR, KEYS, LAYOUT, Memory, NAME, RECORDS, SITES, file, image};

    /// Behind everything that the image without branches has, in the order that the runtime wants.
    const KEY: u64 = KEYS + LAYOUT.key();
    const RECORD: u64 = KEY + LAYOUT.key() + LAYOUT.record();
    const TABLE: u64 = RECORD + LAYOUT.record();
    const SITE: u64 = CODE + 0x20;
    const TARGET: u64 = CODE + 0x30;
    const CHECK: u64 = CODE + 0x38;

    /// An image with a function's key and call, and a branch's key that is on, with a likely branch.
    fn with(change: impl FnOnce(&mut Memory, &mut Memory)) -> Tables {
        let [mut code, old] = image();
        let shift = LAYOUT.key();
        let mut data = Memory { start: KEYS, data: vec![0; 0x300] };
        let part = |from: u64, len: u64| {
            let start = (from - KEYS) as usize;
            old.data[start..start + len as usize].to_vec()
        };
        const MOVED: u64 = 0x100;
        data.put(KEYS, &part(KEYS, LAYOUT.key()));
        data.put(NAME + MOVED, &part(NAME, 9));
        data.word(KEYS + LAYOUT.key_name(), NAME + MOVED);
        data.put(RECORDS + shift, &part(RECORDS, LAYOUT.record()));
        let trampoline = crate::fabricated::TRAMPOLINE;
        data.half(
            RECORDS + shift + LAYOUT.record_trampoline(),
            trampoline.wrapping_sub(RECORDS + shift) as u32,
        );
        code.half(trampoline - 4, (RECORDS + shift).wrapping_sub(trampoline) as u32);
        data.word(KEY, 1);
        data.half(KEY + LAYOUT.key_flags(), BRANCH | VERSION << 16);
        data.word(RECORD, KEY);
        data.half(RECORD + LAYOUT.record_trampoline(), BRANCH_RECORD.cast_unsigned());
        data.distance(TABLE, SITE);
        data.distance(TABLE + 4, TARGET);
        data.half(TABLE + 8, RECORD.wrapping_sub(TABLE + 8) as u32 | 1);
        code.branch(SITE, 0xe9, CHECK);
        let sites = TABLE + 2 * LAYOUT.branch();
        data.distance(sites, CODE + 0x18);
        data.distance(sites + 4, CODE + 0x10);
        let descriptor = DESCRIPTOR + MOVED;
        data.half(descriptor, VERSION);
        let (records, end) = (KEY + LAYOUT.key(), sites + 8);
        for (number, field) in
            [sites, end, records, TABLE, KEYS, records, TABLE, sites, CODE].into_iter().enumerate()
        {
            data.word(descriptor + 8 + 8 * number as u64, field);
        }
        assert!(SITES < sites && end < descriptor);
        change(&mut code, &mut data);
        let bytes = file([code, data], true);
        let budget = Budget::default();
        let elf = Elf::parse(&bytes, &budget).expect("an ELF file");
        read_tables(&elf, Decoder::of(elf.machine, 64, true), &budget)
    }

    #[test]
    fn a_branch_beside_a_call() {
        let tables = with(|_, _| {});
        assert_eq!(tables.damage, [""; 0]);
        assert_eq!((tables.keys.len(), tables.records.len(), tables.sites.len()), (1, 1, 2));
        let Branches { keys, records, branches, bytes } = &tables.branches;
        let key = &keys[0];
        assert_eq!((keys.len(), key.address, key.is_on, key.is_hook), (1, Some(KEY), Some(true), false));
        assert_eq!((&key.name, key.is_in_section), (&format!("branch key at {KEY:#x}"), true));
        assert_eq!((&records[..], *bytes), (&[(RECORD, 0)][..], 12));
        let branch = branches[0];
        assert_eq!((branches.len(), branch.address, branch.check), (1, SITE, Some(CHECK)));
        assert!(branch.is_likely && branch.key == 0 && branch.stays.is_none());
    }

    #[test]
    fn a_branch_is_unlikely_and_its_key_is_off() {
        let tables = with(|_, data| {
            data.word(KEY, 0);
            data.half(TABLE + 8, RECORD.wrapping_sub(TABLE + 8) as u32);
        });
        let (key, branch) = (&tables.branches.keys[0], tables.branches.branches[0]);
        assert_eq!((key.is_on, branch.is_likely, tables.damage.len()), (Some(false), false, 0));
    }

    #[test]
    fn a_lazy_hook() {
        let tables = with(|_, data| data.word(RECORD, KEYS));
        assert_eq!(tables.damage, [""; 0]);
        let hook = tables.branches.keys.iter().find(|key| key.is_hook).expect("the hook");
        assert_eq!((&*hook.name, hook.address, hook.is_on), ("app::KEY", Some(KEYS), Some(true)));
        assert!(tables.branches.keys[tables.branches.branches[0].key].is_hook);
    }

    #[test]
    fn a_branch_that_does_not_lie_in_one_word() {
        let tables = with(|code, data| {
            code.branch(SITE + 6, 0xe9, CHECK);
            data.distance(TABLE, SITE + 6);
        });
        assert_eq!(tables.branches.branches[0].stays, Some(Stays::AcrossWords));
    }

    #[test]
    fn every_link_of_the_branch_table_is_checked() {
        let damage = |change: fn(&mut Memory, &mut Memory)| with(change).damage.join("; ");
        for (expected, change) in [
            ("refers to no key", (|_, data| data.word(RECORD, 0)) as fn(&mut Memory, &mut Memory)),
            ("calls the key of a branch", |_, data| data.word(RECORDS + LAYOUT.key(), KEY)),
            ("no branch's record", |_, data| data.half(TABLE + 8, 8)),
            ("no branch's record", |_, data| data.distance(TABLE + 8, RECORDS + LAYOUT.key())),
            ("does not look at its key", |code, _| code.branch(SITE, 0xe8, CHECK)),
            ("does not look at its key", |code, _| code.branch(SITE, 0xe9, TARGET)),
            ("does not look at its key", |code, _| code.branch(SITE, 0xe9, SITE)),
            ("does not look at its key", |code, _| code.put(SITE, &[0x0f, 0x1f, 0x44, 0, 0])),
            ("does not look at its key", |_, data| data.distance(TABLE, KEYS)),
            ("is no code", |_, data| data.distance(TABLE + 4, KEYS)),
            ("truncated", |_, data| data.word(DESCRIPTOR + 0x100 + 8 + 7 * 8, TABLE + 13)),
            ("lists a branch twice", |_, data| {
                data.distance(TABLE + 12, SITE);
                data.distance(TABLE + 16, TARGET);
                data.half(TABLE + 20, RECORD.wrapping_sub(TABLE + 20) as u32);
            }),
        ] {
            let damage = damage(change);
            assert!(damage.contains(expected), "{expected}: {damage:?}");
        }
    }

    #[test]
    fn a_key_is_recognized_by_each_of_its_fields() {
        let count = |change: fn(&mut Memory, &mut Memory)| {
            let tables = with(|code, data| {
                change(code, data);
                data.word(RECORD, 0);
            });
            tables.branches.keys.len()
        };
        assert_eq!(count(|_, _| {}), 1);
        for change in [
            (|_, data| data.word(KEY, 2)) as fn(&mut Memory, &mut Memory),
            |_, data| data.word(KEY + 8, 1),
            |_, data| data.word(KEY + LAYOUT.key_off(), CODE),
            |_, data| data.word(KEY + LAYOUT.key_name(), 1),
            |_, data| data.half(KEY + LAYOUT.key_form(), 1),
            |_, data| data.half(KEY + LAYOUT.key_flags(), BRANCH | (VERSION + 1) << 16),
        ] {
            assert_eq!(count(change), 0);
        }
    }
}
