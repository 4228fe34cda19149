//! Damaged files give a report or an error in bounded time and memory, and never a panic.

use std::path::Path;
use std::sync::LazyLock;

use cargo_static_call::budget::Budget;
use cargo_static_call::elf::Elf;
use cargo_static_call::schema::File;
use cargo_static_call::{print, report};
use object::{Object, ObjectSection};
use proptest::prelude::*;
use static_call_tests::{clang, link_flags, llvm, run};

const PROGRAM: &str = "#include <static_call.h>\nint one(int x) { return x + 1; }\n\
    DEFINE_STATIC_CALL(key, one);\n\
    DEFINE_STATIC_CALL_NULL(hook, one);\n\
    int caller(int x) { static_call_cond(hook, x); return static_call(key, x); }\n";

/// Real files, small enough to be read thousands of times: x86-64 with debug information and stripped, a
/// big-endian 32-bit shared object, and machines whose calls are not a single branch to a target's start.
static VICTIMS: LazyLock<Vec<Victim>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    let source = path("program.c");
    std::fs::write(&source, PROGRAM).expect("a file");
    let library = |flags: &[&str], name: &str| {
        let output = path(name);
        let mut clang = clang();
        clang.args(["-O1", "-fPIC", "-shared", "-nostdlib", "-fuse-ld=lld", "-Wl,-z,max-page-size=4096"]);
        run(clang.args(flags).arg(&source).arg("-o").arg(&output));
        Victim::read(&output)
    };
    let program = path("program");
    std::fs::write(path("main.c"), "int caller(int); int main(void) { return caller(0); }").expect("a file");
    run(clang()
        .args(["-O1", "-g"])
        .args([&source, &path("main.c")])
        .args(link_flags())
        .arg("-o")
        .arg(&program));
    let stripped = path("stripped");
    run(llvm("llvm-objcopy").arg("--strip-sections").arg(&program).arg(&stripped));
    vec![
        library(&["-g"], "debug.so"),
        library(&["-g", "-gz", "-Wl,--compress-debug-sections=zlib"], "compressed.so"),
        library(&["--target=s390x-linux-gnu", "-ffreestanding", "-g"], "big.so"),
        library(&["--target=mips-linux-gnu", "-ffreestanding"], "big32.so"),
        library(&["--target=powerpc64le-linux-gnu", "-ffreestanding"], "toc.so"),
        library(&["--target=riscv64-linux-gnu", "-ffreestanding"], "pairs.so"),
        Victim::read(&program),
        Victim::read(&stripped),
    ]
});

struct Victim {
    data: Vec<u8>,
    /// The parts to damage: headers and tables.
    places: Vec<std::ops::Range<usize>>,
}

impl Victim {
    fn read(path: &Path) -> Self {
        let data = std::fs::read(path).expect("a file");
        let file = object::File::parse(&*data).expect("an ELF file");
        let whole = 0..data.len();
        let interesting = |name: &str| {
            [".debug", "static_call", ".rela", ".dyn", ".symtab", ".strtab"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        let sections = file.sections().filter(|section| section.name().is_ok_and(interesting));
        let ranges = sections.filter_map(|section| section.file_range());
        let mut places: Vec<_> = ranges
            .map(|(start, len)| start as usize..(start + len) as usize)
            .filter(|range| !range.is_empty())
            .collect();
        let end = data.len();
        places.extend([0..64, 64..512, end - 512.min(end)..end, whole]);
        Self { data, places }
    }

    fn damaged(&self, damages: &[Damage]) -> Vec<u8> {
        let mut data = self.data.clone();
        for Damage { place, at, bytes } in damages {
            let range = place.get(&self.places);
            let start = range.start + at.index(range.len());
            for (to, from) in data[start..].iter_mut().zip(bytes) {
                *to = *from;
            }
        }
        data
    }
}

/// A program with split debug information, which is to be damaged: its directory, the program, and the split
/// file.
static SPLIT: LazyLock<(tempfile::TempDir, Vec<u8>, Victim)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("program.c"), PROGRAM).expect("a file");
    let mut clang = clang();
    clang.current_dir(directory.path()).args(["-O1", "-g", "-gsplit-dwarf", "-fPIC", "-c", "program.c"]);
    run(&mut clang);
    run(llvm("ld.lld").arg("-shared").arg(path("program.o")).arg("-o").arg(path("program")));
    let program = std::fs::read(path("program")).expect("the program");
    let victim = Victim::read(&path("program.dwo"));
    assert!(report(&path("program"), &program).keys.iter().any(|key| key.ty.is_some()));
    (directory, program, victim)
});

fn report(path: &Path, data: &[u8]) -> File {
    let budget = Budget::default();
    report::file(path, &Elf::parse(data, &budget).expect("an ELF file"), &budget)
}

/// Runs every operation on a file.
fn inspect(data: &[u8]) {
    let budget = Budget::default();
    let Ok(elf) = Elf::parse(data, &budget) else { return };
    let report = report::file(Path::new("victim"), &elf, &budget);
    let text = print::file(&report, print::Length::Full);
    assert!(!text.contains('\x1b'));
    serde_json::to_string(&report).expect("JSON");
    // Everything that is listed has a place in the file.
    let listed = report.keys.len() + report.sites + report.unrecorded.len() + report.damage.len();
    assert!(listed <= data.len() + 100, "{listed}");
}

#[derive(Clone, Debug)]
struct Damage {
    place: prop::sample::Index,
    at: prop::sample::Index,
    bytes: Vec<u8>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..=8),
        // Numbers that make arithmetic overflow.
        prop::sample::select(vec![
            vec![0xff; 8],
            vec![0xff; 4],
            vec![0; 8],
            vec![0xff, 0xff, 0xff, 0x7f],
            vec![0x80; 10]
        ]),
    ];
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), bytes)
        .prop_map(|(place, at, bytes)| Damage { place, at, bytes })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes(victim: prop::sample::Index, damages in prop::collection::vec(damage(), 1..6)) {
        inspect(&victim.get(&VICTIMS).damaged(&damages));
    }

    #[test]
    fn damaged_bytes_of_split_debug_information(damages in prop::collection::vec(damage(), 1..6)) {
        let (directory, program, victim) = &*SPLIT;
        std::fs::write(directory.path().join("program.dwo"), victim.damaged(&damages)).expect("a file");
        inspect(program);
    }

    #[test]
    fn cut_off(victim: prop::sample::Index, len: prop::sample::Index) {
        let data = &victim.get(&VICTIMS).data;
        inspect(&data[..len.index(data.len())]);
    }
}

#[test]
fn undamaged_files_are_read() {
    for victim in &*VICTIMS {
        assert_eq!(report(Path::new("victim"), &victim.data).keys.len(), 2);
    }
}

/// A compressed section that claims a gigantic size is not decompressed.
#[test]
fn a_compression_bomb() {
    let victim = &VICTIMS[1];
    let file = object::File::parse(&*victim.data).expect("an ELF file");
    let section = file.section_by_name(".debug_info").expect("debug information");
    let start = section.file_range().expect("bytes").0 as usize;
    let mut data = victim.data.clone();
    data[start + 8..start + 16].copy_from_slice(&(1u64 << 40).to_le_bytes());
    let report = report(Path::new("victim"), &data);
    assert_eq!(report.keys.len(), 2);
    assert!(report.keys.iter().all(|key| key.sites.iter().all(|site| site.place.line.is_none())));
}

/// Of a table that claims a gigantic size, only the part in the file is read.
#[test]
fn a_gigantic_table() {
    let data = &VICTIMS[0].data;
    let file = object::File::parse(&**data).expect("an ELF file");
    let headers = u64::from_le_bytes(data[40..48].try_into().expect("eight bytes")) as usize;
    for name in ["static_call_keys", "static_call_records", "static_call_sites"] {
        let section = file.section_by_name(name).expect(name);
        let size = headers + 64 * section.index().0 + 32;
        assert_eq!(data[size..size + 8], section.size().to_le_bytes());
        for claim in [1u64 << 32, 1 << 62, u64::MAX] {
            let mut data = data.clone();
            data[size..size + 8].copy_from_slice(&claim.to_le_bytes());
            inspect(&data);
        }
    }
}
