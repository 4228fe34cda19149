//! Debug information, wherever compilers have put it: into the file itself, into a package beside it (`FILE.dwp`), or
//! into the `.dwo` files that it names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gimli::{
    AbbreviationsCacheStrategy, Dwarf, DwarfPackage, DwoId, EndianSlice, RunTimeEndian, Section as _,
    SectionId, Unit, UnitRef,
};
use object::{Object, ObjectSection};

use crate::elf::Elf;
use crate::process::read_file;

/// What debug information is read by.
pub type Reader<'data> = EndianSlice<'data, RunTimeEndian>;

/// The sections with debug information of one file, decompressed.
#[derive(Debug)]
struct Sections<'data> {
    endian: RunTimeEndian,
    contents: HashMap<String, Cow<'data, [u8]>>,
}

impl<'data> Sections<'data> {
    /// Takes them from a file. What is damaged is left out.
    fn of(data: &'data [u8]) -> Self {
        let Ok(file) = object::File::parse(data) else {
            return Self { endian: RunTimeEndian::Little, contents: HashMap::new() };
        };
        let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let contents = file.sections().filter_map(|section| {
            let name = section.name().ok().filter(|name| name.starts_with(".debug_"))?;
            Some((name.to_owned(), decompress(&section)?))
        });
        Self { endian, contents: contents.collect() }
    }

    fn read(path: &Path) -> Option<Sections<'static>> {
        // The file says which: some of the kernel's have no length, and reading them does not end.
        fs::metadata(path).ok().filter(|data| data.len() > 0)?;
        let data = read_file(path).ok()?;
        let Sections { endian, contents } = Sections::of(&data);
        let contents = contents.into_iter().map(|(name, data)| (name, Cow::Owned(data.into_owned())));
        Some(Sections { endian, contents: contents.collect() })
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

    /// What was split off from a unit, if it has the same number. Also link-time optimization makes one file of one.
    fn unit(&'data self, id: DwoId, parent: &Dwarf<Reader<'data>>) -> Option<Dwarf<Reader<'data>>> {
        let mut dwarf = self.dwarf(SectionId::dwo_name)?;
        dwarf.make_dwo(parent);
        let has_number = units(&dwarf).next().is_some_and(|unit| unit.dwo_id == Some(id));
        has_number.then_some(dwarf)
    }
}

/// Debug information is compressed to a fifth or so. What claims to be more than this many times as long is a trap.
const COMPRESSION: u64 = 100;

fn decompress<'data>(section: &object::Section<'data, '_>) -> Option<Cow<'data, [u8]>> {
    let compressed = section.compressed_data().ok()?;
    let most = (compressed.data.len() as u64).saturating_mul(COMPRESSION);
    if compressed.uncompressed_size > most { None } else { compressed.decompress().ok() }
}

/// All files with debug information of one program or shared object.
#[derive(Debug)]
pub struct DebugSections<'data> {
    own: Sections<'data>,
    package: Option<Sections<'static>>,
    /// What the file names, and the package does not have. None: it cannot be read.
    objects: HashMap<PathBuf, Option<Sections<'static>>>,
}

impl<'data> DebugSections<'data> {
    /// Reads them.
    #[must_use]
    pub fn read(path: &Path, elf: &Elf<'data>) -> Self {
        let own = Sections::of(elf.data());
        let (mut package, mut objects) = (None, HashMap::new());
        if let Some(dwarf) = own.dwarf(own_name) {
            let skeletons = skeletons(&dwarf);
            if !skeletons.is_empty() {
                let mut name = path.as_os_str().to_owned();
                name.push(".dwp");
                package = Sections::read(Path::new(&name));
            }
            let packed = package.as_ref().and_then(Sections::package);
            for (id, path) in skeletons {
                if packed.as_ref().is_none_or(|packed| !matches!(packed.find_cu(id, &dwarf), Ok(Some(_)))) {
                    objects.entry(path).or_insert_with_key(|path| Sections::read(path));
                }
            }
        }
        Self { own, package, objects }
    }
}

/// The debug information of one program or shared object.
pub struct DebugUnits<'data> {
    /// What the file itself has.
    pub own: Arc<Dwarf<Reader<'data>>>,
    split: HashMap<DwoId, Arc<Dwarf<Reader<'data>>>>,
    /// The first file that cannot be read or is another one, and how many units are missing.
    pub missing: Option<(PathBuf, usize)>,
}

impl<'data> DebugUnits<'data> {
    /// Puts it together, if there is some. None also where it is damaged: all else works without.
    #[must_use]
    pub fn new(sections: &'data DebugSections<'_>) -> Option<Self> {
        let mut own = sections.own.dwarf(own_name)?;
        if own.debug_info.reader().is_empty() || !lines_are_disjoint(&own) {
            return None;
        }
        let package = sections.package.as_ref().and_then(Sections::package);
        let (mut split, mut missing) = (HashMap::new(), Vec::new());
        for (id, path) in skeletons(&own) {
            let packed = package.as_ref().and_then(|package| package.find_cu(id, &own).ok()?);
            let object = || sections.objects.get(&path)?.as_ref()?.unit(id, &own);
            match packed.or_else(object) {
                Some(unit) => _ = split.insert(id, Arc::new(unit)),
                None => missing.push(path),
            }
        }
        // Units share them; each would read them for itself.
        own.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        let count = missing.len();
        let missing = missing.into_iter().next().map(|path| (path, count));
        Some(Self { own: Arc::new(own), split, missing })
    }

    /// What was split from the unit that has this number.
    #[must_use]
    pub fn split(&self, id: DwoId) -> Option<Arc<Dwarf<Reader<'data>>>> {
        self.split.get(&id).cloned()
    }

    /// Visits each unit once, wherever it is. A damaged one hides its own contents only.
    pub fn for_each(&self, mut visit: impl FnMut(UnitRef<'_, Reader<'data>>) -> gimli::Result<()>) {
        let mut seen = HashSet::new();
        for unit in units(&self.own) {
            let split = unit.dwo_id.and_then(|id| Some((id, self.split.get(&id)?)));
            let _ = match split {
                None => visit(unit.unit_ref(&self.own)),
                Some((id, dwarf)) if seen.insert(id) => units(dwarf).next().map_or(Ok(()), |mut other| {
                    other.copy_relocated_attributes(&unit);
                    visit(other.unit_ref(dwarf))
                }),
                Some(_) => Ok(()),
            };
        }
    }
}

fn own_name(id: SectionId) -> Option<&'static str> {
    Some(id.name())
}

fn units<'a>(dwarf: &Dwarf<Reader<'a>>) -> impl Iterator<Item = Unit<Reader<'a>>> {
    let mut headers = dwarf.units();
    std::iter::from_fn(move || headers.next().ok()?).filter_map(|header| dwarf.unit(header).ok())
}

/// The units that say of themselves no more than where the rest is: their numbers, and the files with the rest.
fn skeletons(dwarf: &Dwarf<Reader<'_>>) -> Vec<(DwoId, PathBuf)> {
    let skeleton = |unit: Unit<Reader<'_>>| {
        let name = dwarf.attr_string(&unit, unit.dwo_name().ok()??).ok()?;
        let directory = unit.comp_dir.map_or(&[][..], |directory| directory.slice());
        Some((unit.dwo_id?, Path::new(OsStr::from_bytes(directory)).join(OsStr::from_bytes(name.slice()))))
    };
    units(dwarf).filter_map(skeleton).collect()
}

/// Whether the line programs of all units together are no longer than their section: each is read into memory once,
/// and units that share one by malice would make much of little.
fn lines_are_disjoint(dwarf: &Dwarf<Reader<'_>>) -> bool {
    let length = |unit: Unit<Reader<'_>>| {
        unit.line_program.map_or(0, |program| program.header().raw_program_buf().len())
    };
    units(dwarf).map(length).sum::<usize>() <= dwarf.debug_line.reader().len()
}
