//! Finds debug information in the file itself, in a package beside it (`FILE.dwp`), or in the `.dwo` files
//! that it names.
//!
//! It is read unit by unit, and a unit is dropped before the next one is read.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DebugInfoOffset, Dwarf, DwarfPackage, DwoId, EndianSlice, Reader as _,
    RunTimeEndian, Section as _, SectionId, Unit, UnitHeader, UnitOffset, UnitRef,
};
use object::{Object, ObjectSection};

use crate::budget::Budget;
use crate::elf::Elf;
use crate::file::{Mapped, RELEASE};

/// The reader of debug information.
pub type Reader<'data> = EndianSlice<'data, RunTimeEndian>;

/// The sections that are read, by the last part of their names. In `.dwo` files and packages all sections are
/// read, since a package's index covers all of them.
const SECTIONS: [&str; 9] =
    ["abbrev", "addr", "info", "line", "line_str", "ranges", "rnglists", "str", "str_offsets"];

/// Whether a section is read.
fn is_wanted(name: &str) -> bool {
    let end = name.strip_prefix(".debug_");
    end.is_some_and(|end| end.ends_with(".dwo") || end.ends_with("_index") || SECTIONS.contains(&end))
}

/// The decompressed sections of one file.
#[derive(Debug)]
struct Sections<'data> {
    endian: RunTimeEndian,
    contents: HashMap<String, Cow<'data, [u8]>>,
    /// How many bytes were decompressed into memory.
    decompressed: usize,
}

impl<'data> Sections<'data> {
    /// Reads the sections of a file, except damaged ones.
    fn of(data: &'data [u8], budget: &Budget) -> Self {
        let mut sections = Self { endian: RunTimeEndian::Little, contents: HashMap::new(), decompressed: 0 };
        let Ok(file) = object::File::parse(data) else { return sections };
        if !file.is_little_endian() {
            sections.endian = RunTimeEndian::Big;
        }
        for section in file.sections() {
            let Ok(name) = section.name() else { continue };
            if is_wanted(name)
                && budget.steps(100 + name.len())
                && !sections.contents.contains_key(name)
                && let Some(contents) = decompress(&section, budget)
            {
                sections.decompressed +=
                    if let Cow::Owned(contents) = &contents { contents.len() } else { 0 };
                sections.contents.insert(name.to_owned(), contents);
            }
        }
        sections
    }

    fn get(&self, name: Option<&str>) -> Reader<'_> {
        let contents = name.and_then(|name| self.contents.get(name));
        EndianSlice::new(contents.map_or(&[], |contents| contents), self.endian)
    }

    fn dwarf(&self, name: impl Fn(SectionId) -> Option<&'static str>) -> Option<Dwarf<Reader<'_>>> {
        Dwarf::load(|id| Ok::<_, gimli::Error>(self.get(name(id)))).ok()
    }

    fn package(&self) -> Option<DwarfPackage<Reader<'_>>> {
        let section = |id: SectionId| Ok::<_, gimli::Error>(self.get(id.dwo_name()));
        DwarfPackage::load(section, self.get(None)).ok()
    }
}

/// The highest plausible compression ratio: about five is usual, and much more is an attack.
const COMPRESSION: u64 = 100;

fn decompress<'data>(section: &object::Section<'data, '_>, budget: &Budget) -> Option<Cow<'data, [u8]>> {
    let compressed = section.compressed_data().ok()?;
    let most = (compressed.data.len() as u64).saturating_mul(COMPRESSION);
    if compressed.format != object::CompressionFormat::None
        && (compressed.uncompressed_size > most || !budget.bytes(compressed.uncompressed_size as usize))
    {
        return None;
    }
    compressed.decompress().ok()
}

/// A visitor of units.
pub trait Visit {
    /// Visits a unit. After an error the visit goes on with the next unit.
    ///
    /// # Errors
    ///
    /// If the unit is damaged.
    fn visit(&mut self, place: &Place<'_, '_>) -> gimli::Result<()>;

    /// Parts of names. A file without any of them has no names that the visitor looks for.
    const NAMES: &'static [&'static str];
}

/// A unit and its context.
#[derive(Debug)]
pub struct Place<'a, 'data> {
    /// The unit with the full information: the split unit if there is one.
    pub unit: UnitRef<'a, Reader<'data>>,
    /// The unit with the line table.
    pub lines: UnitRef<'a, Reader<'data>>,
    /// The other units of the same file.
    pub units: &'a Units<'a, 'data>,
    /// Whether the file may have one of [`Visit::NAMES`].
    pub may_name: bool,
}

/// The units of one file with debug information.
#[derive(Debug)]
pub struct Units<'a, 'data> {
    dwarf: &'a Dwarf<Reader<'data>>,
    budget: &'a Budget,
    /// Their offsets, sorted.
    starts: Vec<usize>,
    cache: RefCell<Cache<'data>>,
}

/// The most recently used abbreviation tables and units that others refer to. It is emptied when it is full.
#[derive(Debug, Default)]
struct Cache<'data> {
    abbreviations: HashMap<usize, Arc<Abbreviations>>,
    units: HashMap<usize, Rc<Unit<Reader<'data>>>>,
    bytes: usize,
}

impl Cache<'_> {
    const MOST: usize = 32 << 20;
    const UNITS: usize = 64;
    /// The memory that a table of abbreviations takes for each of its bytes in the file.
    const GROWTH: usize = 16;
}

impl<'a, 'data> Units<'a, 'data> {
    fn new(dwarf: &'a Dwarf<Reader<'data>>, budget: &'a Budget) -> Self {
        Self { dwarf, budget, starts: Vec::new(), cache: RefCell::default() }
    }

    /// Their headers.
    fn headers(&self) -> impl Iterator<Item = UnitHeader<Reader<'data>>> + use<'a, 'data> {
        let (mut headers, budget) = (self.dwarf.units(), self.budget);
        std::iter::from_fn(move || if budget.steps(10) { headers.next().ok()? } else { None })
    }

    fn unit(&self, header: UnitHeader<Reader<'data>>) -> Option<Unit<Reader<'data>>> {
        let abbreviations = self.abbreviations(&header)?;
        let mut entries = header.entries(&abbreviations);
        let root = entries.next_dfs().ok()??;
        // Reading a unit also reads the names in its line table.
        let lines = match root.attr_value(gimli::DW_AT_stmt_list) {
            Some(AttributeValue::DebugLineRef(offset)) => line_header_len(self.dwarf, offset.0),
            _ => 0,
        };
        if !self.budget.steps(root.attrs().len() + lines / 4)
            || !self.budget.has_room(lines.saturating_mul(64))
        {
            return None;
        }
        Unit::new_with_abbreviations(self.dwarf, header, abbreviations).ok()
    }

    fn abbreviations(&self, header: &UnitHeader<Reader<'data>>) -> Option<Arc<Abbreviations>> {
        let offset = header.debug_abbrev_offset();
        let mut cache = self.cache.borrow_mut();
        if let Some(known) = cache.abbreviations.get(&offset.0) {
            return Some(Arc::clone(known));
        }
        let len = abbreviations_len(self.dwarf, offset.0, self.budget)?;
        let memory = len.saturating_mul(Cache::GROWTH);
        if !self.budget.steps(2 * len) || !self.budget.has_room(memory) {
            return None;
        }
        let abbreviations = Arc::new(self.dwarf.debug_abbrev.abbreviations(offset).ok()?);
        cache.bytes += memory;
        if cache.bytes > Cache::MOST {
            *cache = Cache { bytes: memory, ..Cache::default() };
        }
        cache.abbreviations.insert(offset.0, Arc::clone(&abbreviations));
        Some(abbreviations)
    }

    /// The unit that contains an entry, and the entry's offset in it.
    pub fn at(&self, offset: DebugInfoOffset) -> Option<(Rc<Unit<Reader<'data>>>, UnitOffset)> {
        let behind = self.starts.partition_point(|&start| start <= offset.0);
        let start = self.starts[behind.checked_sub(1)?];
        let known = self.cache.borrow().units.get(&start).cloned();
        let unit = match known {
            Some(known) => known,
            None => {
                let header = self.dwarf.debug_info.header_from_offset(DebugInfoOffset(start)).ok()?;
                let unit = Rc::new(self.unit(header)?);
                let mut cache = self.cache.borrow_mut();
                if cache.units.len() >= Cache::UNITS {
                    cache.units.clear();
                }
                cache.units.insert(start, Rc::clone(&unit));
                unit
            }
        };
        let offset = offset.to_unit_offset(&unit.header)?;
        Some((unit, offset))
    }
}

/// The length of a table of abbreviations.
fn abbreviations_len(dwarf: &Dwarf<Reader<'_>>, offset: usize, budget: &Budget) -> Option<usize> {
    let mut table = *dwarf.debug_abbrev.reader();
    table.skip(offset).ok()?;
    let len = table.len();
    while table.read_uleb128().ok()? != 0 {
        table.read_uleb128().ok()?;
        table.skip(1).ok()?;
        loop {
            let name = table.read_uleb128().ok()?;
            let form = table.read_uleb128().ok()?;
            if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                table.read_sleb128().ok()?;
            }
            if (name, form) == (0, 0) {
                break;
            }
        }
        if !budget.steps(1) {
            return None;
        }
    }
    Some(len - table.len())
}

/// The length of a line table's header, which has the names of files.
fn line_header_len(dwarf: &Dwarf<Reader<'_>>, offset: usize) -> usize {
    let len = || {
        let mut table = *dwarf.debug_line.reader();
        table.skip(offset).ok()?;
        let (_, format) = table.read_initial_length().ok()?;
        let version = table.read_u16().ok()?;
        table.skip(if version >= 5 { 2 } else { 0 }).ok()?;
        let len = table.read_length(format).ok()?;
        Some(len.min(table.len()))
    };
    len().unwrap_or_default()
}

/// The debug information of one program or shared object.
#[derive(Debug)]
pub struct Debug<'data> {
    own: Sections<'data>,
    mapped: Option<&'data Mapped>,
    package: PathBuf,
}

/// Split debug information that cannot be read: the first file, and the number of units.
pub type Missing = Option<(PathBuf, usize)>;

impl<'data> Debug<'data> {
    /// Finds the debug information of a file, if it has some.
    #[must_use]
    pub fn find(path: &Path, elf: &Elf<'data>, budget: &Budget) -> Option<Self> {
        let own = Sections::of(elf.data(), budget);
        let mut package = path.as_os_str().to_owned();
        package.push(".dwp");
        let is_there = !own.get(SectionId::DebugInfo.name().into()).is_empty();
        is_there.then_some(Self { own, mapped: elf.mapped, package: package.into() })
    }

    /// Whether the file has a name with one of these parts. Split units have strings of their own.
    fn may_name(&self, parts: &[&str], budget: &Budget) -> bool {
        let sections =
            [".debug_str", ".debug_info"].into_iter().filter_map(|name| self.own.contents.get(name));
        let longest = parts.iter().map(|part| part.len()).max().unwrap_or_default();
        sections.into_iter().any(|contents| {
            (0..contents.len()).step_by(RELEASE as usize).any(|start| {
                let end = contents.len().min(start + RELEASE as usize + longest);
                let has =
                    |part: &&str| memchr::memmem::find(&contents[start..end], part.as_bytes()).is_some();
                let has_one = parts.iter().any(has);
                self.release();
                budget.progress.advance(RELEASE);
                has_one
            })
        })
    }

    /// The bytes that [`visit`](Self::visit) reads: names once, and units twice.
    fn size(&self) -> u64 {
        let len =
            |name| self.own.contents.get(name).map_or(0, |contents: &Cow<'_, [u8]>| contents.len() as u64);
        len(".debug_str") + 3 * len(".debug_info")
    }

    /// Frees the pages that were read: the kernel may keep them cached, but they no longer count as this
    /// process's memory.
    fn release(&self) {
        if let Some(mapped) = self.mapped {
            mapped.release();
        }
    }

    /// Visits each unit once.
    pub fn visit<V: Visit>(&self, visitor: &mut V, budget: &Budget) -> Missing {
        budget.progress.begin("debug information", self.size());
        let may_name = self.may_name(V::NAMES, budget);
        let own = self.own.dwarf(|id| Some(id.name()))?;
        let mut units = Units::new(&own, budget);
        let mut looked_at = 0;
        let mut pass = |header: &UnitHeader<Reader<'_>>| {
            looked_at += header.length_including_self() as u64;
            if looked_at > RELEASE {
                budget.progress.advance(std::mem::take(&mut looked_at));
                self.release();
            }
        };
        for header in units.headers() {
            pass(&header);
            units.starts.extend(header.debug_info_offset().map(|offset| offset.0));
        }
        let units = units;
        // The package is opened on first use.
        let (file, sections, index) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let package = || {
            let file = file.get_or_init(|| Mapped::open(&self.package).ok()).as_ref()?;
            let sections = sections.get_or_init(|| {
                budget.add_file(file.len());
                Sections::of(file, budget)
            });
            index.get_or_init(|| sections.package()).as_ref()
        };
        let (mut seen, mut files) = (HashSet::new(), HashSet::new());
        let mut missing: Missing = None;
        for header in units.headers() {
            pass(&header);
            let Some(unit) = units.unit(header) else { continue };
            let skeleton = unit.unit_ref(&own);
            let Some((id, path)) = split(&own, &unit) else {
                let _ = visitor.visit(&Place { unit: skeleton, lines: skeleton, units: &units, may_name });
                continue;
            };
            // Units with the same number have the same content.
            if !seen.insert(id) {
                continue;
            }
            let packed = package().and_then(|package| package.find_cu(id, &own).ok()?);
            let is_read = match packed {
                Some(dwarf) => visit_split(&dwarf, id, skeleton, visitor, budget),
                None => Mapped::open(&path).is_ok_and(|file| {
                    if files.insert(file.number()) {
                        budget.add_file(file.len());
                    }
                    self.visit_object(&file, id, skeleton.header.debug_info_offset(), visitor, budget)
                }),
            };
            if !is_read {
                let _ = visitor.visit(&Place { unit: skeleton, lines: skeleton, units: &units, may_name });
                missing.get_or_insert((path, 0)).1 += 1;
            }
        }
        missing
    }
}

impl Debug<'_> {
    /// Visits a split unit in a `.dwo` file.
    fn visit_object(
        &self,
        file: &Mapped,
        id: DwoId,
        skeleton: Option<DebugInfoOffset>,
        visitor: &mut impl Visit,
        budget: &Budget,
    ) -> bool {
        let sections = Sections::of(file, budget);
        let mut visit = || {
            // Read the skeleton again, since a value that borrows from both files must not outlive the second
            // one.
            let own = self.own.dwarf(|id| Some(id.name()))?;
            let unit = Units::new(&own, budget).unit(own.debug_info.header_from_offset(skeleton?).ok()?)?;
            let mut dwarf = sections.dwarf(SectionId::dwo_name)?;
            dwarf.make_dwo(&own);
            Some(visit_split(&dwarf, id, unit.unit_ref(&own), visitor, budget))
        };
        let is_read = visit().unwrap_or(false);
        budget.give_back(sections.decompressed);
        is_read
    }
}

/// Visits a split unit if its number matches. There is one unit per file, also after link-time optimization.
fn visit_split<'data>(
    dwarf: &Dwarf<Reader<'data>>,
    id: DwoId,
    skeleton: UnitRef<'_, Reader<'data>>,
    visitor: &mut impl Visit,
    budget: &Budget,
) -> bool {
    let units = Units::new(dwarf, budget);
    let Some(mut unit) = units.headers().next().and_then(|header| units.unit(header)) else { return false };
    if unit.dwo_id != Some(id) {
        return false;
    }
    unit.copy_relocated_attributes(skeleton.unit);
    let _ =
        visitor.visit(&Place { unit: unit.unit_ref(dwarf), lines: skeleton, units: &units, may_name: true });
    true
}

/// The number and the `.dwo` file of a split unit, if this one is its skeleton.
fn split(dwarf: &Dwarf<Reader<'_>>, unit: &Unit<Reader<'_>>) -> Option<(DwoId, PathBuf)> {
    let name = dwarf.attr_string(unit, unit.dwo_name().ok()??).ok()?;
    let directory = unit.comp_dir.map_or(&[][..], |directory| directory.slice());
    Some((unit.dwo_id?, Path::new(OsStr::from_bytes(directory)).join(OsStr::from_bytes(name.slice()))))
}
