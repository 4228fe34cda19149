//! One walk through the units of debug information, which answers all questions at once.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::rc::Rc;

use gimli::{AttributeValue, DebuggingInformationEntry, UnitOffset, UnitRef};

use crate::answers::{Answers, Load, Place, Questions, Variable, is_loader};
use crate::budget::Budget;
use crate::dwarf::{self, Reader, Units, Visit};
use crate::lines::{Line, file_name, lines};
use crate::name::{compiler, demangle, printable};
use crate::types::Types;

/// A walk through all units.
pub(crate) struct Walk<'b> {
    budget: &'b Budget,
    questions: Questions,
    pub(crate) answers: Answers,
    /// For each place, whether a function that contains it was found.
    is_claimed: Vec<bool>,
}

type Entry<'data> = DebuggingInformationEntry<Reader<'data>>;

/// A function, or an inlined copy of one, that encloses the current entry.
struct Level<'data> {
    depth: isize,
    /// Its offset in the unit.
    offset: UnitOffset,
    /// Where the function was called, if it was inlined.
    call: Option<Call>,
    origin: Option<AttributeValue<Reader<'data>>>,
    /// The places in it, as sorted indices.
    places: Vec<usize>,
}

/// The number of a file, and a line.
#[derive(Clone, Copy, Debug)]
struct Call {
    file: Option<u64>,
    line: Option<u32>,
}

/// A function that contains a place, and where it was called, if it was inlined.
#[derive(Clone, Debug, Default)]
struct Frame {
    function: Option<String>,
    call: Option<Call>,
}

/// The variable of a key.
struct Key {
    address: u64,
    name: Option<String>,
    file: Option<u64>,
    line: Option<u32>,
}

/// The walk through one unit.
struct UnitWalk<'w, 'b, 'u, 'data> {
    walk: &'w mut Walk<'b>,
    place: &'w dwarf::Place<'u, 'data>,
    /// Which compiler made the unit, once somebody asked.
    compiler: OnceCell<Option<Rc<str>>>,
    levels: Vec<Level<'data>>,
    /// For each place, by index: the functions that contain it, the outermost first.
    chains: BTreeMap<usize, Vec<Frame>>,
    /// Whether inlined functions load keys, by their offsets in the unit (true) or in the section (false).
    loaders: HashMap<(bool, usize), bool>,
    has_types: bool,
    /// Functions that seem to have no parameters and no result.
    without_any: Vec<(u64, String)>,
    variables: Vec<Key>,
    /// The typedefs of keys, by the name of the key's variable.
    typedefs: HashMap<String, UnitOffset>,
}

/// The maximum depth of inlined functions and of references between entries. Damaged ones may be circular.
const DEEPEST: usize = 64;

/// The end of the name of the typedef that C's macros make for a key's type.
const TYPE: &str = "__static_call_type";

impl Visit for Walk<'_> {
    /// The names of functions that load keys, and of types.
    const NAMES: &'static [&'static str] = &[static_call_abi::INTRINSIC, "static_call7private4load", TYPE];

    fn visit(&mut self, place: &dwarf::Place<'_, '_>) -> gimli::Result<()> {
        let mut unit = UnitWalk {
            walk: self,
            place,
            compiler: OnceCell::new(),
            levels: Vec::new(),
            chains: BTreeMap::new(),
            loaders: HashMap::new(),
            has_types: false,
            without_any: Vec::new(),
            variables: Vec::new(),
            typedefs: HashMap::new(),
        };
        // What was found before an error is valid.
        let result = unit.entries();
        unit.finish();
        result
    }
}

impl<'b> Walk<'b> {
    /// The places in the questions must be sorted.
    pub(crate) fn new(questions: Questions, budget: &'b Budget) -> Self {
        Self {
            budget,
            is_claimed: vec![false; questions.places.len()],
            questions,
            answers: Answers::default(),
        }
    }

    /// The places in these ranges, as sorted indices.
    fn places_in(&self, ranges: &[Range<u64>]) -> Vec<usize> {
        let all = &self.questions.places;
        let mut places = Vec::new();
        for range in ranges {
            let first = all.partition_point(|&place| place < range.start);
            let found = (first..all.len()).take_while(|&number| all[number] < range.end);
            places.extend(found.take_while(|_| self.budget.steps(1)));
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The places whose lines a unit may have, sorted. `chains` has the places that are certainly in it.
    fn own_places(&self, unit: UnitRef<'_, Reader<'_>>, chains: &BTreeMap<usize, Vec<Frame>>) -> Vec<u64> {
        let root = unit.entry(unit.header.root_offset());
        let ranges = root.and_then(|root| ranges(unit, &root, self.budget)).unwrap_or_default();
        let mut numbers = match &ranges[..] {
            // The unit does not say where its code is.
            [] => (0..self.questions.places.len()).filter(|&number| !self.is_claimed[number]).collect(),
            ranges => self.places_in(ranges),
        };
        numbers.extend(chains.keys());
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().map(|number| self.questions.places[number]).collect()
    }
}

impl<'data> UnitWalk<'_, '_, '_, 'data> {
    fn entries(&mut self) -> gimli::Result<()> {
        let has_code =
            self.place.may_name || !self.walk.own_places(self.place.lines, &BTreeMap::new()).is_empty();
        let mut entries = self.place.unit.entries_raw(None)?;
        let mut entry = Entry::null();
        while !entries.is_empty() {
            let mut ahead = entries.clone();
            // Other entries, such as blocks, may be between nested functions.
            while self.levels.last().is_some_and(|level| level.depth >= entries.next_depth()) {
                self.levels.pop();
            }
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            if !self.walk.budget.steps(1 + abbreviation.attributes().len()) {
                break;
            }
            let tag = abbreviation.tag();
            let is_wanted = match tag {
                gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine => has_code,
                gimli::DW_TAG_variable => !self.walk.questions.keys.is_empty(),
                gimli::DW_TAG_typedef => self.place.may_name,
                _ => false,
            };
            if !is_wanted {
                self.has_types |= matches!(tag, gimli::DW_TAG_base_type | gimli::DW_TAG_formal_parameter);
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            ahead.read_entry(&mut entry)?;
            entries = ahead;
            match entry.tag() {
                gimli::DW_TAG_subprogram => self.subprogram(&entry)?,
                gimli::DW_TAG_inlined_subroutine => self.inlined(&entry)?,
                gimli::DW_TAG_variable => self.variable(&entry)?,
                _ => self.typedef(&entry)?,
            }
        }
        Ok(())
    }

    fn subprogram(&mut self, entry: &Entry<'data>) -> gimli::Result<()> {
        let (unit, budget) = (self.place.unit, self.walk.budget);
        let ranges = ranges(unit, entry, budget)?;
        let Some(start) = ranges.first().map(|range| range.start) else { return Ok(()) };
        // After identical code folding, one range of code belongs to several functions.
        let mut places = self.walk.places_in(&ranges);
        places.retain(|&place| !std::mem::replace(&mut self.walk.is_claimed[place], true));
        self.enter(entry, None, places);
        if self.walk.questions.functions.contains(&start) && !self.walk.answers.functions.contains_key(&start)
        {
            let ty = printable(&Types::of(unit, budget).of_function(entry.offset())?);
            if ty == "fn()" || ty == "void (void)" {
                self.without_any.push((start, ty));
            } else {
                self.walk.answers.functions.insert(start, ty);
            }
        }
        Ok(())
    }

    fn inlined(&mut self, entry: &Entry<'data>) -> gimli::Result<()> {
        let (unit, budget) = (self.place.unit, self.walk.budget);
        let origin = entry.attr_value(gimli::DW_AT_abstract_origin);
        let is_loader = origin.as_ref().is_some_and(|origin| {
            let key = match *origin {
                AttributeValue::UnitRef(offset) => (true, offset.0),
                AttributeValue::DebugInfoRef(offset) => (false, offset.0),
                _ => return false,
            };
            *self.loaders.entry(key).or_insert_with(|| {
                let name = name_of(unit, Some(*origin), self.place.units, DEEPEST, budget);
                name.is_some_and(is_loader)
            })
        });
        let outer = self.levels.last();
        if outer.is_none_or(|outer| outer.places.is_empty()) && !is_loader {
            // This contains no place, so only loads inlined into it matter.
            let call = Some(call(entry));
            self.enter(entry, call, Vec::new());
            return Ok(());
        }
        let ranges = ranges(unit, entry, budget)?;
        let mut places = self.walk.places_in(&ranges);
        let outer = self.levels.last();
        places.retain(|place| outer.is_some_and(|outer| outer.places.binary_search(place).is_ok()));
        self.enter(entry, Some(call(entry)), places);
        if is_loader && !ranges.is_empty() && budget.item::<Load>(&[]) {
            let chain = self
                .levels
                .iter()
                .map(|level| Frame { function: self.name(level), call: level.call })
                .collect();
            let places = source_of(self.place, chain, (None, None));
            let compiler = self.compiler();
            self.walk.answers.loads.push(Load { ranges, places, compiler });
        }
        Ok(())
    }

    /// Records that the following entries are inside of this function.
    fn enter(&mut self, entry: &Entry<'data>, call: Option<Call>, places: Vec<usize>) {
        if call.is_none() {
            // A nested function is a function of its own, not an inlined one.
            self.levels.clear();
        }
        if self.levels.len() >= DEEPEST || !self.walk.budget.steps(1 + places.len()) {
            return;
        }
        let origin = entry.attr_value(gimli::DW_AT_abstract_origin);
        let level = Level { depth: entry.depth(), offset: entry.offset(), call, origin, places };
        if !level.places.is_empty() {
            let name = self.name(&level);
            for &number in &level.places {
                if self.walk.budget.item::<Place>(&[name.as_deref().unwrap_or_default()]) {
                    self.chains.entry(number).or_default().push(Frame { function: name.clone(), call });
                }
            }
        }
        self.levels.push(level);
    }

    /// Which compiler made the unit.
    fn compiler(&self) -> Option<Rc<str>> {
        self.compiler.get_or_init(|| compiler_of(self.place, self.walk.budget)).clone()
    }

    fn name(&self, level: &Level<'data>) -> Option<String> {
        let (place, budget) = (self.place, self.walk.budget);
        let own = Some(AttributeValue::UnitRef(level.offset));
        let name = name_of(place.unit, own, place.units, DEEPEST, budget);
        let name = name.or_else(|| name_of(place.unit, level.origin, place.units, DEEPEST, budget));
        name.map(demangle)
    }

    fn variable(&mut self, entry: &Entry<'data>) -> gimli::Result<()> {
        let (unit, budget) = (self.place.unit, self.walk.budget);
        let Some(AttributeValue::Exprloc(location)) = entry.attr_value(gimli::DW_AT_location) else {
            return Ok(());
        };
        let address = match location.operations(unit.encoding()).next() {
            Ok(Some(gimli::Operation::Address { address })) => address,
            Ok(Some(gimli::Operation::AddressIndex { index })) => unit.address(index)?,
            _ => return Ok(()),
        };
        if self.walk.questions.keys.contains(&address) && budget.item::<Variable>(&[]) {
            // A definition apart from its declaration leaves the name and the line to it.
            let specification = match entry.attr_value(gimli::DW_AT_specification) {
                Some(AttributeValue::UnitRef(offset)) => unit.entry(offset).ok(),
                _ => None,
            };
            let attribute = |name| {
                let other = || specification.as_ref()?.attr_value(name);
                entry.attr_value(name).or_else(other)
            };
            let name = attribute(gimli::DW_AT_name).and_then(|name| unit.attr_string(name).ok());
            let name = name.map(|name| printable(&String::from_utf8_lossy(name.slice())));
            let (file, line) = (attribute(gimli::DW_AT_decl_file), attribute(gimli::DW_AT_decl_line));
            let line = line.and_then(|line| line.udata_value()?.try_into().ok());
            self.variables.push(Key { address, name, file: file.and_then(number), line });
        }
        Ok(())
    }

    fn typedef(&mut self, entry: &Entry<'data>) -> gimli::Result<()> {
        let (unit, budget) = (self.place.unit, self.walk.budget);
        let Some(name) = entry.attr_value(gimli::DW_AT_name) else { return Ok(()) };
        let name = unit.attr_string(name)?;
        if let Ok(name) = str::from_utf8(name.slice())
            && let Some(key) = name.strip_suffix(TYPE)
            && budget.item::<(String, UnitOffset)>(&[name])
        {
            self.typedefs.insert(format!("{key}{}", static_call_abi::KEY_SUFFIX), entry.offset());
        }
        Ok(())
    }

    /// Adds the answers that need the whole unit.
    fn finish(self) {
        let Self { walk, place, compiler, chains, has_types, without_any, variables, typedefs, .. } = self;
        let budget = walk.budget;
        // With line tables alone, every function seems to have no parameters.
        walk.answers.functions.extend(without_any.into_iter().filter(|_| has_types));
        let mut types: HashMap<String, String> = HashMap::new();
        for (name, offset) in typedefs {
            if let Ok(Some(ty)) = Types::of(place.unit, budget).of_typedef(offset) {
                types.insert(name, printable(&ty));
            }
        }
        for Key { address, name, file, line } in variables {
            let ty = name.and_then(|name| types.get(&name).cloned());
            let file = file.and_then(|file| file_name(place, file));
            walk.answers.keys.entry(address).or_insert(Variable { file, line, ty });
        }
        for (name, ty) in types {
            if budget.item::<(String, String)>(&[&name, &ty]) {
                walk.answers.types.entry(name).or_insert(ty);
            }
        }
        let wanted: Vec<u64> = walk.own_places(place.lines, &chains);
        let mut lines = lines(place, &wanted, budget).unwrap_or_default();
        for &address in &wanted {
            let Ok(number) = walk.questions.places.binary_search(&address) else { continue };
            let own = lines.remove(&address);
            let chain = chains.get(&number).cloned();
            if chain.is_none() && own.is_none() {
                continue;
            }
            let compiler = compiler.get_or_init(|| compiler_of(place, budget)).clone();
            // A unit without functions may still have lines.
            let has_functions = chain.is_some();
            let chain = chain.unwrap_or_else(|| vec![Frame::default()]);
            let own = own.unwrap_or_default();
            let places = source_of(place, chain, own);
            if has_functions || !walk.answers.places.contains_key(&address) {
                walk.answers.places.insert(address, places);
                walk.answers.compilers.extend(compiler.map(|compiler| (address, compiler)));
            }
        }
    }
}

/// Which compiler made a unit. A skeleton may leave that to the split unit.
fn compiler_of(place: &dwarf::Place<'_, '_>, budget: &Budget) -> Option<Rc<str>> {
    let of = |unit: UnitRef<'_, Reader<'_>>| {
        let root = unit.entry(unit.header.root_offset()).ok()?;
        let producer = unit.attr_string(root.attr_value(gimli::DW_AT_producer)?).ok()?;
        Some(compiler(producer.slice())).filter(|name| !name.is_empty() && budget.bytes(name.len()))
    };
    of(place.unit).or_else(|| of(place.lines)).map(Rc::from)
}

/// The places of a chain of functions, the innermost first. `own` is the line of the instruction itself.
fn source_of(unit: &dwarf::Place<'_, '_>, chain: Vec<Frame>, own: Line) -> Vec<Place> {
    let mut next = own;
    let mut places = Vec::new();
    for Frame { function, call } in chain.into_iter().rev() {
        let (file, line) = next;
        places.push(Place { function, file, line });
        next = match call {
            Some(Call { file, line }) => (file.and_then(|file| file_name(unit, file)), line),
            None => (None, None),
        };
    }
    places
}

fn number(value: AttributeValue<Reader<'_>>) -> Option<u64> {
    match value {
        AttributeValue::FileIndex(file) => Some(file),
        value => value.udata_value(),
    }
}

/// Where an inlined function was called.
fn call(entry: &Entry<'_>) -> Call {
    let line = entry.attr_value(gimli::DW_AT_call_line).and_then(|line| line.udata_value()?.try_into().ok());
    Call {
        file: entry.attr_value(gimli::DW_AT_call_file).and_then(number),
        line: line.filter(|&line| line != 0),
    }
}

/// The addresses of an entry.
fn ranges<'data>(
    unit: UnitRef<'_, Reader<'data>>,
    entry: &Entry<'data>,
    budget: &Budget,
) -> gimli::Result<Vec<Range<u64>>> {
    let mut found = Vec::new();
    if let Some(list) = entry.attr_value(gimli::DW_AT_ranges)
        && let Some(mut list) = unit.attr_ranges(list)?
    {
        while let Some(range) = list.next()?
            && budget.steps(1)
        {
            if range.begin < range.end {
                found.push(range.begin..range.end);
            }
        }
        return Ok(found);
    }
    let Some(low) = entry.attr_value(gimli::DW_AT_low_pc) else { return Ok(found) };
    let Some(start) = unit.attr_address(low)? else { return Ok(found) };
    let end = match entry.attr_value(gimli::DW_AT_high_pc) {
        Some(AttributeValue::Udata(size)) => start.checked_add(size),
        Some(value) => unit.attr_address(value)?,
        None => None,
    };
    if let Some(end) = end.filter(|&end| start < end) {
        found.push(start..end);
    }
    Ok(found)
}

/// The linkage name of a function or else its name, from its entry or the entries that this refers to.
fn name_of<'data>(
    unit: UnitRef<'_, Reader<'data>>,
    entry: Option<AttributeValue<Reader<'data>>>,
    units: &Units<'_, 'data>,
    depth: usize,
    budget: &Budget,
) -> Option<&'data [u8]> {
    if depth == 0 || !budget.steps(10) {
        return None;
    }
    let offset = match entry? {
        AttributeValue::UnitRef(offset) => offset,
        AttributeValue::DebugInfoRef(offset) => {
            let (other, offset) = units.at(offset)?;
            let other = UnitRef::new(unit.dwarf, &other);
            return name_of(other, Some(AttributeValue::UnitRef(offset)), units, depth - 1, budget);
        }
        _ => return None,
    };
    let entry = unit.entry(offset).ok()?;
    if !budget.steps(entry.attrs().len()) {
        return None;
    }
    let names = [gimli::DW_AT_linkage_name, gimli::DW_AT_MIPS_linkage_name, gimli::DW_AT_name];
    let name = |name| unit.attr_string(entry.attr_value(name)?).ok();
    if let Some(name) = names.into_iter().find_map(name) {
        return Some(name.slice());
    }
    let origins = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification];
    let origin = origins.into_iter().find_map(|name| entry.attr_value(name));
    name_of(unit, origin, units, depth - 1, budget)
}
