//! The notes about calls that load their key (`abi::INDIRECT_SECTION`), through assemblers, optimizers and
//! linkers.

use std::fs;
use std::path::Path;

use object::{Endian, Endianness, Object, ObjectSection, ObjectSymbol, SectionFlags, elf};
use static_call_abi::INDIRECT_SECTION;
use static_call_tests::platform::platform;
use static_call_tests::{clang, execute, link_flags, plugin, root, run};

const NOT_CONSTANT: &str = "the key is not a constant at this place";
const VALUE: &str = "the function pointer is used as a value";

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Note {
    function: String,
    key: String,
    reason: String,
}

fn note(function: &str, key: &str, reason: &str) -> Note {
    Note { function: function.to_owned(), key: key.to_owned(), reason: reason.to_owned() }
}

/// The notes of an executable, each with the function that contains its address. Notes outside functions are
/// omitted.
fn notes(linked: &Path) -> Vec<Note> {
    let data = fs::read(linked).expect("the linked file");
    let file = object::File::parse(&*data).expect("an ELF file");
    let Some(section) = file.section_by_name(INDIRECT_SECTION) else { return Vec::new() };
    let SectionFlags::Elf { sh_flags, .. } = section.flags() else { panic!("an ELF file") };
    assert!(!sh_flags.contains(elf::SHF_ALLOC), "it is not loaded");
    let mut rest = section.data().expect("the section's bytes");
    let mut notes = Vec::new();
    while !rest.is_empty() {
        let address = match platform().pointer {
            8 => endianness(&file).read_u64(rest[..8].try_into().expect("eight bytes")),
            _ => endianness(&file).read_u32(rest[..4].try_into().expect("four bytes")).into(),
        };
        let mut strings = rest[platform().pointer as usize..].split(|&byte| byte == 0);
        let mut string = || String::from_utf8(strings.next().expect("a string").to_vec()).expect("UTF-8");
        let (key, reason) = (string(), string());
        let length = platform().pointer as usize + key.len() + 1 + reason.len() + 1;
        rest = &rest[length.next_multiple_of(platform().pointer as usize).min(rest.len())..];
        let holds = |symbol: &object::Symbol<'_, '_>| {
            symbol.kind() == object::SymbolKind::Text
                && (symbol.address()..symbol.address() + symbol.size()).contains(&address)
        };
        if let Some(function) = file.symbols().find(holds) {
            notes.push(note(function.name().expect("UTF-8"), &key, &reason));
        }
    }
    notes.sort();
    notes
}

fn endianness(file: &object::File<'_>) -> Endianness {
    file.endianness()
}

/// Builds and runs `indirect.c`.
fn build(flags: &[&str]) -> Vec<Note> {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let program = directory.path().join("program");
    let source = root().join("tests/ir/indirect.c");
    run(clang().args(flags).arg(source).args(link_flags()).args(["-pthread", "-o"]).arg(&program));
    run(&mut execute(&program));
    notes(&program)
}

/// The notes of the unchanged program.
fn ordinary() -> Vec<Note> {
    vec![
        note("indexed", "", NOT_CONSTANT),
        note("left_out", "", NOT_CONSTANT),
        note("value", "ordinary__static_call_key", VALUE),
    ]
}

#[test]
fn calls_that_load_their_key_are_noted() {
    for flags in [
        &["-O0"] as &[_],
        &["-O3"],
        &["-Oz", "-g"],
        &["-O2", "-fno-integrated-as"],
        &["-O2", "-ffunction-sections", "-Wl,-O1"],
        &["-O2", "-Wl,-S"],
        &["-O2", "-fuse-ld=lld"],
        &["-O2", "-fuse-ld=lld", "-Wl,-S"],
    ] {
        assert_eq!(build(flags), ordinary(), "{flags:?}");
    }
}

/// A linker that drops a function drops its notes. gold keeps them, and links nevertheless.
#[test]
fn notes_of_dropped_functions() {
    let mut linkers = vec!["-fuse-ld=bfd", "-fuse-ld=lld"];
    if platform().has_gold() {
        linkers.push("-fuse-ld=gold");
    }
    let without: Vec<Note> = ordinary().into_iter().filter(|note| note.function != "left_out").collect();
    for linker in linkers {
        let flags = ["-O2", "-ffunction-sections", "-Wl,--gc-sections", linker];
        // Without this flag GNU ld keeps sections whose names are C identifiers.
        let own = if linker.ends_with("bfd") { "-Wl,-z,start-stop-gc" } else { "-Wl,-O1" };
        assert_eq!(build(&[&flags[..], &[own]].concat()), without, "{linker}");
    }
}

#[test]
fn notes_survive_link_time_optimization() {
    for flags in [&["-flto", "-O2"] as &[_], &["-flto=thin", "-O2"]] {
        let pass = format!("-Wl,--load-pass-plugin={}", plugin().display());
        let notes = build(&[flags, &["-fuse-ld=lld", &pass]].concat());
        let without = ordinary().into_iter().filter(|note| note.function != "left_out");
        assert_eq!(notes, without.collect::<Vec<_>>(), "{flags:?}");
    }
}

/// If no call of a build can be direct, every call has a note with the reason.
#[test]
fn builds_without_direct_calls() {
    let mut builds = vec![(
        &["-O2", "-mllvm", "-enable-ipra"] as &[_],
        "registers are allocated across functions (-enable-ipra)",
    )];
    if platform().is_x86() && platform().pointer == 8 {
        let large = "this target or code model has no recorded call sites";
        builds.push((&["-O2", "-mcmodel=large", "-fno-pic", "-no-pie"], large));
    }
    for (flags, reason) in builds {
        let mut expected = ordinary();
        let value = if reason.starts_with("this target") { reason } else { VALUE };
        expected[2].reason = value.to_owned();
        expected.push(note("direct", "ordinary__static_call_key", reason));
        expected.sort();
        assert_eq!(build(flags), expected, "{flags:?}");
    }
}
