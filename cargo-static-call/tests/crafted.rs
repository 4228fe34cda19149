//! Valid files that are crafted so that a few bytes demand much work.

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use cargo_static_call::budget::Budget;
use cargo_static_call::elf::Elf;
use cargo_static_call::schema::File;
use cargo_static_call::{print, report};
use object::{Object, ObjectSection, ObjectSymbol};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use static_call_tests::{clang, run, stdout};

/// A shared object with debug information, two keys, and calls of both.
static VICTIM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [source, library] = ["victim.c", "victim.so"].map(|name| directory.path().join(name));
    let text = "#include <static_call.h>\nint one(int x) { return x + 1; }\nDEFINE_STATIC_CALL(key, one);\n\
        DEFINE_STATIC_CALL_NULL(hook, one);\n\
        int caller(int x) { static_call_cond(hook, x); return static_call(key, x) + 1; }\n";
    std::fs::write(&source, text).expect("a file");
    let mut clang = clang();
    clang.args(["-O1", "-g", "-gdwarf-4", "-fPIC", "-shared", "-nostdlib", "-fuse-ld=lld"]);
    run(clang.arg(&source).arg("-o").arg(&library));
    std::fs::read(&library).expect("the library")
});

/// The addresses of a function.
fn function(name: &str) -> Range<u64> {
    let file = object::File::parse(&**VICTIM).expect("an ELF file");
    let symbol = file.symbol_by_name(name).expect(name);
    symbol.address()..symbol.address() + symbol.size()
}

/// The victim with other content for these sections, which is appended to the file.
fn with(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let file = object::File::parse(&**VICTIM).expect("an ELF file");
    let mut data = VICTIM.clone();
    let headers = u64::from_le_bytes(data[40..48].try_into().expect("eight bytes")) as usize;
    for (name, contents) in sections {
        let index = file.section_by_name(name).unwrap_or_else(|| panic!("{name}")).index().0;
        let (offset, header) = (data.len() as u64, headers + 64 * index);
        data.extend_from_slice(contents);
        data[header + 24..header + 32].copy_from_slice(&offset.to_le_bytes());
        data[header + 32..header + 40].copy_from_slice(&(contents.len() as u64).to_le_bytes());
    }
    data
}

/// Reports on a file, within this time.
fn inspect(data: &[u8], longest: Duration) -> File {
    let budget = Budget::default();
    budget.add_file(data.len());
    inspect_within(budget, data, longest)
}

/// The same with a budget. Without optimization, a step takes thirty times as long.
fn inspect_within(budget: Budget, data: &[u8], longest: Duration) -> File {
    let start = Instant::now();
    let elf = Elf::parse(data, &budget).expect("an ELF file");
    let file = report::file(Path::new("victim"), &elf, &budget);
    let text = print::file(&file, print::Length::Full);
    assert!(!text.contains('\x1b'));
    serde_json::to_string(&file).expect("JSON");
    assert!(start.elapsed() < longest, "{:?}", start.elapsed());
    file
}

fn small() -> Budget {
    Budget::new(3_000_000, 1 << 26, Duration::from_secs(60))
}

fn is_told_to_be_incomplete(file: &File) -> bool {
    let is_told = file.unknown.iter().any(|line| line.contains("the rest of the file: "));
    assert_eq!(
        is_told,
        file.not_direct_because.iter().any(|line| line.contains("the file was not read to its end"))
    );
    assert!(!is_told || !file.all_direct);
    is_told
}

/// Handwritten debug information, whose entries refer to each other by number.
#[derive(Default)]
struct Dwarf {
    info: Vec<u8>,
    /// The offsets of entries in their unit.
    entries: Vec<u32>,
    /// Where the numbers of entries must be replaced by their offsets.
    references: Vec<(usize, usize)>,
    start: usize,
}

/// The content of an entry.
#[derive(Clone, Debug)]
enum Entry {
    Function { range: (u64, u32), ty: usize },
    Copy { origin: usize, range: (u64, u32), line: u8 },
    Block,
    Parameter { ty: usize },
    Pointer { ty: usize },
    Const { ty: usize },
    FunctionType { ty: usize },
    Struct { name: u8 },
    Typedef { name: u8, ty: usize },
    Variable { name: u8, address: u64, line: u8 },
    Array { ty: usize },
}

/// Each abbreviation: (tag, has children, (attribute, form)...). The numbers start at 2; 1 is the unit.
type Abbreviation = (u8, bool, &'static [(u8, u8)]);
const ABBREVIATIONS: &[Abbreviation] = &[
    (0x11, true, &[(0x13, 0x05), (0x10, 0x17), (0x11, 0x01), (0x12, 0x07), (0x1b, 0x08)]),
    (0x2e, true, &[(0x03, 0x08), (0x11, 0x01), (0x12, 0x06), (0x49, 0x13)]),
    (0x1d, true, &[(0x31, 0x13), (0x11, 0x01), (0x12, 0x06), (0x58, 0x0b), (0x59, 0x0b)]),
    (0x0b, true, &[]),
    (0x05, false, &[(0x49, 0x13)]),
    (0x0f, false, &[(0x49, 0x13)]),
    (0x26, false, &[(0x49, 0x13)]),
    (0x15, true, &[(0x49, 0x13)]),
    (0x13, false, &[(0x03, 0x08)]),
    (0x16, false, &[(0x03, 0x08), (0x49, 0x13)]),
    (0x34, false, &[(0x03, 0x08), (0x02, 0x18), (0x3b, 0x0b)]),
    (0x01, false, &[(0x49, 0x13)]),
];

fn abbreviations() -> Vec<u8> {
    let mut table = Vec::new();
    for (code, (tag, has_children, attributes)) in ABBREVIATIONS.iter().enumerate() {
        table.extend([code as u8 + 1, *tag, u8::from(*has_children)]);
        table.extend(attributes.iter().flat_map(|&(name, form)| [name, form]));
        table.extend([0, 0]);
    }
    table.push(0);
    table
}

const NAMES: [&str; 6] =
    ["one", "key__static_call_key", "key__static_call_type", "__static_call_target", "\x1b[1m", "call"];

impl Dwarf {
    fn unit(&mut self, language: u16, lines: u32, range: Range<u64>) {
        self.start = self.info.len();
        self.entries.clear();
        self.info.extend([0; 4]);
        self.info.extend([4, 0, 0, 0, 0, 0, 8, 1]);
        self.info.extend(language.to_le_bytes());
        self.info.extend(lines.to_le_bytes());
        self.info.extend(range.start.to_le_bytes());
        self.info.extend((range.end - range.start).to_le_bytes());
        self.info.extend(*b"/d\0");
    }

    fn reference(&mut self, entry: usize) {
        self.references.push((self.info.len(), entry));
        self.info.extend([0; 4]);
    }

    /// Adds an entry. One with children must be closed later.
    fn entry(&mut self, entry: &Entry) -> bool {
        self.entries.push((self.info.len() - self.start) as u32);
        let name = |name: u8| [NAMES[usize::from(name) % NAMES.len()].as_bytes(), &[0]].concat();
        let (code, ty) = match entry {
            Entry::Function { range: (start, len), ty } => {
                self.info.push(2);
                self.info.extend(*b"f\0");
                self.info.extend(start.to_le_bytes());
                self.info.extend(len.to_le_bytes());
                self.reference(*ty);
                return true;
            }
            Entry::Copy { origin, range: (start, len), line } => {
                self.info.push(3);
                self.reference(*origin);
                self.info.extend(start.to_le_bytes());
                self.info.extend(len.to_le_bytes());
                self.info.extend([1, *line]);
                return true;
            }
            Entry::Block => {
                self.info.push(4);
                return true;
            }
            Entry::Struct { name: number } => {
                self.info.push(9);
                self.info.extend(name(*number));
                return false;
            }
            Entry::Typedef { name: number, ty } => {
                self.info.push(10);
                self.info.extend(name(*number));
                self.reference(*ty);
                return false;
            }
            Entry::Variable { name: number, address, line } => {
                self.info.push(11);
                self.info.extend(name(*number));
                self.info.extend([9, 3]);
                self.info.extend(address.to_le_bytes());
                self.info.push(*line);
                return false;
            }
            Entry::Parameter { ty } => (5, ty),
            Entry::Pointer { ty } => (6, ty),
            Entry::Const { ty } => (7, ty),
            Entry::FunctionType { ty } => (8, ty),
            Entry::Array { ty } => (12, ty),
        };
        self.info.push(code);
        self.reference(*ty);
        code == 8
    }

    fn close(&mut self) {
        self.info.push(0);
    }

    fn end_unit(&mut self) {
        self.close();
        for (place, entry) in self.references.drain(..) {
            let to = self.entries.get(entry % self.entries.len().max(1)).copied().unwrap_or(u32::MAX);
            self.info[place..place + 4].copy_from_slice(&to.to_le_bytes());
        }
        let len = (self.info.len() - self.start - 4) as u32;
        self.info[self.start..self.start + 4].copy_from_slice(&len.to_le_bytes());
    }
}

fn entries() -> impl Strategy<Value = Vec<(Entry, u8)>> {
    let (code, calls) = (function("one").start, function("caller"));
    let file = object::File::parse(&**VICTIM).expect("an ELF file");
    let key = file.symbol_by_name("key__static_call_key").expect("a key").address();
    let ranges = || (code - 8..calls.end + 8, prop_oneof![0u32..80, Just(u32::MAX)]);
    let number = || 0usize..40;
    let entry = prop_oneof![
        2 => (ranges(), number()).prop_map(|(range, ty)| Entry::Function { range, ty }),
        1 => number().prop_map(move |ty| Entry::Function { range: (code, 4), ty }),
        4 => (number(), ranges(), any::<u8>())
            .prop_map(|(origin, range, line)| Entry::Copy { origin, range, line }),
        1 => Just(Entry::Block),
        3 => number().prop_map(|ty| Entry::Parameter { ty }),
        2 => number().prop_map(|ty| Entry::Pointer { ty }),
        1 => number().prop_map(|ty| Entry::Const { ty }),
        2 => number().prop_map(|ty| Entry::FunctionType { ty }),
        1 => any::<u8>().prop_map(|name| Entry::Struct { name }),
        1 => (any::<u8>(), number()).prop_map(|(name, ty)| Entry::Typedef { name, ty }),
        1 => (any::<u8>(), prop_oneof![Just(key), any::<u64>()], any::<u8>())
            .prop_map(|(name, address, line)| Entry::Variable { name, address, line }),
        1 => number().prop_map(|ty| Entry::Array { ty }),
    ];
    prop::collection::vec((entry, 0u8..4), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: RngSeed::Fixed(64),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Entries of all kinds that are nested and refer to each other, even in circles.
    #[test]
    fn whole_debug_information_that_makes_no_sense(
        units in prop::collection::vec((prop::sample::select(vec![0x1c_u16, 0x0c]), entries()), 1..4),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut dwarf = Dwarf::default();
        for (language, entries) in units {
            dwarf.unit(language, 0, function("one").start..function("caller").end);
            let mut open = 0;
            for (entry, closed) in entries {
                open += usize::from(dwarf.entry(&entry));
                for _ in 0..closed.min(open as u8) {
                    dwarf.close();
                    open -= 1;
                }
            }
            (0..open).for_each(|_| dwarf.close());
            dwarf.end_unit();
        }
        if let Some((place, byte)) = damage {
            let place = place.index(dwarf.info.len());
            dwarf.info[place] = byte;
        }
        let data = with(&[(".debug_info", &dwarf.info), (".debug_abbrev", &abbreviations())]);
        let file = inspect(&data, Duration::from_secs(30));
        assert!(!is_told_to_be_incomplete(&file));
        assert_eq!((file.keys.len(), file.sites), (2, 2));
        for site in file.keys.iter().flat_map(|key| &key.sites) {
            assert!(site.place.inlined_at.len() <= 64);
        }
    }
}

/// The parameters of each function type are many copies of the previous type.
#[test]
fn types_that_grow() {
    let mut dwarf = Dwarf::default();
    dwarf.unit(0x0c, 0, function("one").start..function("caller").end);
    dwarf.entry(&Entry::Function { range: (function("one").start, 4), ty: 1 });
    dwarf.close();
    for level in 1..100 {
        dwarf.entry(&Entry::FunctionType { ty: level + 1 });
        for _ in 0..60 {
            dwarf.entry(&Entry::Parameter { ty: 0 });
            let reference = dwarf.references.last_mut().expect("a type");
            reference.1 = level * 61 + 1;
        }
        dwarf.close();
    }
    dwarf.end_unit();
    let data = with(&[(".debug_info", &dwarf.info), (".debug_abbrev", &abbreviations())]);
    let file = inspect(&data, Duration::from_secs(10));
    let ty = file.keys.iter().find(|key| key.name == "key").and_then(|key| key.ty.as_ref()).expect("a type");
    assert!(ty.len() <= 1024 && ty.contains("(*") || ty.contains('?') || ty.len() == 1024, "{ty}");
}

/// Each unit's table of abbreviations is another part of one long table.
#[test]
fn abbreviations_that_are_read_again() {
    let mut table = Vec::new();
    for code in 0..40_000u32 {
        // A three-byte code, and an entry without attributes.
        table.extend([code as u8 | 0x80, (code >> 7) as u8 | 0x80, (code >> 14) as u8 & 3, 0x0b, 0, 0, 0]);
    }
    table.push(0);
    let mut info = Vec::new();
    for unit in 0..10_000u32 {
        info.extend(8u32.to_le_bytes());
        info.extend([4, 0]);
        info.extend((unit * 7).to_le_bytes());
        info.extend([8, 0]);
    }
    let data = with(&[(".debug_info", &info), (".debug_abbrev", &table)]);
    let file = inspect_within(small(), &data, Duration::from_secs(60));
    assert!(is_told_to_be_incomplete(&file), "{:?}", file.unknown);
    assert_eq!((file.keys.len(), file.sites), (2, 2));
}

/// Names without terminators, so each symbol's name is the whole rest of the table.
#[test]
fn names_without_an_end() {
    let names = vec![b'n'; 1 << 20];
    let mut symbols = vec![0; 24];
    for number in 1..20_000u32 {
        symbols.extend(number.to_le_bytes());
        symbols.extend([2, 0, 1, 0]);
        symbols.extend([0; 16]);
    }
    let data = with(&[(".strtab", &[&names[..], &[0]].concat()), (".symtab", &symbols)]);
    let file = inspect_within(small(), &data, Duration::from_secs(60));
    assert!(is_told_to_be_incomplete(&file));
}

/// Many segments with the same bytes of the file.
#[test]
fn segments_that_overlap() {
    let mut data = VICTIM.clone();
    let headers = u64::from_le_bytes(data[32..40].try_into().expect("eight bytes")) as usize;
    let count = usize::from(u16::from_le_bytes([data[56], data[57]]));
    let load = (0..count).map(|number| headers + 56 * number).find(|&at| {
        u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes")) == 1
            && u32::from_le_bytes(data[at + 4..at + 8].try_into().expect("four bytes")) & 1 != 0
    });
    let load = load.expect("a segment of code");
    let mut segment = data[load..load + 56].to_vec();
    // The whole file.
    let size = data.len() as u64;
    segment[8..16].fill(0);
    segment[32..40].copy_from_slice(&size.to_le_bytes());
    segment[40..48].copy_from_slice(&size.to_le_bytes());
    let offset = data.len() as u64;
    for _ in 0..20_000 {
        data.extend_from_slice(&segment);
    }
    data[32..40].copy_from_slice(&offset.to_le_bytes());
    data[56..58].copy_from_slice(&20_000u16.to_le_bytes());
    let error = Elf::parse(&data, &Budget::default()).expect_err("damaged");
    assert!(error.to_string().contains("overlap in the file"), "{error}");
}

/// A long run of prefixes without an instruction.
#[test]
fn prefixes_without_end() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [source, library] = ["victim.c", "victim.so"].map(|name| directory.path().join(name));
    let text = "#include <static_call.h>\nint one(int x) { return x + 1; }\nDEFINE_STATIC_CALL(key, one);\n\
        int caller(int x) { if (x) asm volatile(\".fill 1000000, 1, 0x67\\n nop\"); \
        return static_call(key, x) + 1; }\n";
    std::fs::write(&source, text).expect("a file");
    let mut clang = clang();
    clang.args(["-O1", "-g", "-fPIC", "-shared", "-nostdlib", "-fuse-ld=lld"]);
    run(clang.arg(&source).arg("-o").arg(&library));
    let data = std::fs::read(&library).expect("the library");
    assert_eq!(inspect(&data, Duration::from_secs(30)).sites, 1);
}

/// Many units that name the same split file by different paths. It is read once for each, and dropped again.
#[test]
fn one_file_of_many_names() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("x.c"), "int x;").expect("a file");
    let mut clang = clang();
    clang.current_dir(directory.path()).args(["-g", "-gdwarf-5", "-gsplit-dwarf", "-c", "x.c", "-o", "x.o"]);
    run(&mut clang);
    let other = directory.path().join("x.dwo");
    let mut large = std::fs::read(&other).expect("a file");
    let number = {
        let file = object::File::parse(&*large).expect("an ELF file");
        let info = file.section_by_name(".debug_info.dwo").expect("units").data().expect("bytes").to_vec();
        u64::from_le_bytes(info[12..20].try_into().expect("eight bytes"))
    };
    large.extend(vec![0; 32 << 20]);
    std::fs::write(&other, &large).expect("a file");
    let mut table = vec![1, 0x11, 0];
    // DW_AT_GNU_dwo_name, DW_AT_GNU_dwo_id, DW_AT_comp_dir
    table.extend([0xb0, 0x42, 0x08, 0xb1, 0x42, 0x07, 0x1b, 0x08, 0, 0, 0]);
    let mut info = Vec::new();
    for unit in 0..400u64 {
        let name = format!("{}x.dwo\0", "./".repeat(unit as usize));
        let mut contents = vec![4, 0, 0, 0, 0, 0, 8, 1];
        contents.extend(name.as_bytes());
        // The last unit has the number of the file.
        contents.extend(if unit == 399 { number } else { unit }.to_le_bytes());
        contents.extend(directory.path().to_str().expect("a path").as_bytes());
        contents.push(0);
        info.extend((contents.len() as u32).to_le_bytes());
        info.extend(contents);
    }
    let data = with(&[(".debug_info", &info), (".debug_abbrev", &table)]);
    let path = directory.path().join("program");
    std::fs::write(&path, data).expect("a file");
    let mut inspector = Command::new("sh");
    let inspector = inspector.args(["-c", "ulimit -v 400000; exec \"$0\" \"$1\""]);
    let text = stdout(inspector.arg(env!("CARGO_BIN_EXE_static-call-inspect")).arg(&path));
    assert!(text.contains("399 compilation units"), "{text}");
}
