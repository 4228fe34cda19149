//! The machine stage: sites and trampolines in machine code, with every flag that changes code.
//!
//! The tests call the linkers directly, so that instrumentation needs no runtime library.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Endian, Object, ObjectKind, ObjectSection, ObjectSymbol, SectionFlags, elf};
use static_call_abi::{SIGNATURE, SIGNATURE_CALL_ONLY, SITES_SECTION, TRAMPOLINE_PREFIX};
use static_call_tests::binary::{StaticCalls, lies_in_a_word};
use static_call_tests::platform::{Kind, platform};
use static_call_tests::{Scratch, clang, execute, link_flags, plain_clang, plugin, root, run};

const LEVELS: &[&str] = &["-O0", "-O1", "-O2", "-O3", "-Os", "-Oz"];

/// Compiles a file of `tests/ir`.
fn object(scratch: &Scratch, source: &str, flags: &[&str]) -> PathBuf {
    let object = scratch.path(&format!("{source}.o"));
    run(clang().arg("-c").args(flags).arg(root().join("tests/ir").join(source)).arg("-o").arg(&object));
    object
}

/// One of the linkers `ld` and `ld.lld-22`.
fn gnu_or_lld(name: &str) -> Command {
    if name == "ld" { platform().gnu_program(name) } else { Command::new(name) }
}

fn shared(scratch: &Scratch, objects: &[&Path]) -> PathBuf {
    let shared = scratch.path("shared.so");
    run(platform().gnu_program("ld").arg("-shared").args(objects).arg("-o").arg(&shared));
    shared
}

/// An executable with undefined symbols, which is never run.
fn executable(scratch: &Scratch, linker: &str, objects: &[&Path], flags: &[&str]) -> PathBuf {
    let executable = scratch.path("executable");
    run(gnu_or_lld(linker)
        .args(["--unresolved-symbols=ignore-all", "-e", "call"])
        // GNU ld for LoongArch (2.44) fails an assertion on calls of undefined functions.
        .args(
            ["__static_call_register", "__static_call_unregister", "__addtf3", "memcpy"]
                .map(|name| format!("--defsym={name}=call")),
        )
        .args(flags)
        .args(objects)
        .arg("-o")
        .arg(&executable));
    executable
}

/// Checks all sites, and counts the calls, jumps and conditional jumps among them.
fn kinds(linked: &Path) -> (usize, usize, usize) {
    let sites = StaticCalls::read(linked);
    assert_eq!(sites.checked(), sites.recorded.len());
    let data = fs::read(linked).expect("the linked file");
    let file = object::File::parse(&*data).expect("an ELF file");
    let mut kinds = (0, 0, 0);
    for site in sites.recorded {
        let code = bytes_at(&file, site, 8);
        let branch = platform().branches(&code, site)[0];
        assert_eq!(branch.at, site);
        let word = platform().word;
        assert!(site % word + branch.len <= word, "the site at {site:#x} does not lie in one word");
        match branch.kind {
            Kind::Call => kinds.0 += 1,
            Kind::Jump => kinds.1 += 1,
            Kind::ConditionalJump => kinds.2 += 1,
        }
    }
    kinds
}

fn bytes_at(file: &object::File<'_>, address: u64, length: u64) -> Vec<u8> {
    let section = file.sections().find(|section| {
        let start = section.address();
        start != 0 && (start..start + section.size()).contains(&address)
    });
    let section = section.unwrap_or_else(|| panic!("{address:#x} lies in a section"));
    let data = section.data().expect("the section's bytes");
    let start = (address - section.address()) as usize;
    data[start..data.len().min(start + length as usize)].to_vec()
}

/// The trampolines by address. Each is aligned, has its prefix, and starts with an instruction that the
/// runtime may patch.
fn checked_trampolines(linked: &Path) -> BTreeMap<u64, String> {
    let data = fs::read(linked).expect("the linked file");
    let file = object::File::parse(&*data).expect("an ELF file");
    let mut found = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
        let name = symbol.name().expect("UTF-8");
        if !name.starts_with(TRAMPOLINE_PREFIX) {
            continue;
        }
        let entry = symbol.address();
        assert_eq!(entry % 8, 0, "{name} is aligned");
        let prefix = bytes_at(&file, entry - 8, 8);
        let signature = file.endianness().read_u32(prefix[..4].try_into().expect("four bytes"));
        let is_ours = [SIGNATURE, SIGNATURE_CALL_ONLY].contains(&signature);
        assert!(is_ours, "{name} has a prefix: {prefix:02x?}");
        let code = bytes_at(&file, entry, 8);
        assert_eq!(code.len(), 8, "{name}: the first word belongs to the trampoline");
        let is_known = (platform().is_trampoline_entry)(&code);
        assert!(is_known, "{name} starts with {code:02x?}");
        found.insert(entry, name.to_owned());
    }
    found
}

/// Whether clang and its optimizer have these flags for the machine.
fn has_flags(flags: &[&str]) -> bool {
    let mut clang = plain_clang("clang");
    let output = clang.args(["-c", "-o", "/dev/null", "-x", "c", "/dev/null"]).args(flags).output();
    let said = output.expect("clang runs").stderr;
    let is_unknown = platform().is_foreign() && String::from_utf8_lossy(&said).contains("unsupported")
        || flags.iter().any(|flag| platform().broken_flags.contains(flag));
    if is_unknown {
        eprintln!("skipped: {flags:?}: clang does not have that for this machine");
    }
    !is_unknown
}

/// Checks all sites of `machine.c` compiled with `flags`, and counts their kinds.
fn check(flags: &[&str]) -> (usize, usize, usize) {
    let scratch = Scratch::new();
    let linked = shared(&scratch, &[&object(&scratch, "machine.c", &[&["-fPIC"], flags].concat())]);
    assert_eq!(checked_trampolines(&linked).len(), 9, "{flags:?}: keys with sites");
    let kinds = kinds(&linked);
    assert!(kinds.0 + kinds.1 + kinds.2 >= 11, "{flags:?}: all sites are there: {kinds:?}");
    kinds
}

#[test]
fn every_kind_of_site_at_every_level() {
    for level in LEVELS {
        let (calls, jumps, conditional_jumps) = check(&[level]);
        assert!(calls >= 8, "{level}: calls");
        assert_eq!(jumps > 0, *level != "-O0" && platform().has_tail_calls, "{level}: tail calls");
        let expected = platform().has_conditional_tail_calls && ["-Os", "-Oz"].contains(level);
        assert!(conditional_jumps > 0 || !expected, "{level}: conditional tail calls");
    }
}

#[test]
fn flags_that_move_or_pad_code() {
    for &flags in [
        &["-ffunction-sections"] as &[_],
        &["-falign-functions=64", "-falign-loops=32"],
        &["-mllvm", "-enable-machine-outliner=always"],
        &["-mllvm", "-enable-machine-outliner=always", "-Oz"],
        &["-fno-plt"],
        &["-fno-integrated-as"],
        &["-mllvm", "-trap-unreachable"],
        &["-g", "-gdwarf-5"],
        &["-fno-omit-frame-pointer", "-fstack-protector-all"],
        &["-std=c2x", "-fno-asynchronous-unwind-tables"],
        &["-fsemantic-interposition"],
    ]
    .iter()
    .chain(platform().own_flags)
    .filter(|flags| has_flags(flags))
    {
        check(&[&["-O2"], flags].concat());
        check(&[&["-O0"], flags].concat());
    }
}

/// The outliner moves calls and turns some into jumps.
#[test]
fn outlined_calls_are_recorded_once() {
    if !platform().has_outliner {
        eprintln!("skipped: LLVM outlines nothing on this machine");
        return;
    }
    for flags in [&["-Oz"] as &[_], &["-Os"], &["-O2"]] {
        let scratch = Scratch::new();
        let outline = ["-fPIC", "-mllvm", "-enable-machine-outliner=always"];
        let object = object(&scratch, "outlined.c", &[flags, &outline].concat());
        let linked = shared(&scratch, &[&object]);
        let data = fs::read(&linked).expect("the linked file");
        let file = object::File::parse(&*data).expect("an ELF file");
        let is_outlined = |name: &[u8]| name.windows(8).any(|part| part == b"OUTLINED");
        assert!(file.symbols().any(|symbol| symbol.name_bytes().is_ok_and(is_outlined)), "{flags:?}");
        assert!(StaticCalls::read(&linked).checked() > 0, "{flags:?}");
    }
}

#[test]
fn instrumentation_leaves_the_trampolines_alone() {
    for &flags in [
        &["-pg"] as &[_],
        &["-fpatchable-function-entry=4,2"],
        &["-fprofile-instr-generate"],
        &["-fprofile-instr-generate", "-fcoverage-mapping"],
        &["-fprofile-generate"],
        &["--coverage"],
        &["-fsanitize=address"],
        &["-fsanitize=thread"],
        &["-fsanitize=memory"],
        &["-fsanitize=undefined", "-fno-sanitize=function"],
        &["-fsanitize=function"],
        &["-fsanitize-coverage=trace-pc-guard"],
        &["-fsanitize-coverage=inline-8bit-counters,trace-cmp,indirect-calls"],
        &["-finstrument-functions"],
        &["-fstack-size-section"],
        &["-fbasic-block-address-map"],
        &["-ftrivial-auto-var-init=pattern"],
        &["-fzero-call-used-regs=all"],
    ]
    .iter()
    .chain(platform().own_instrumentation)
    .filter(|flags| has_flags(flags))
    {
        check(&[&["-O2"], flags].concat());
        check(&[&["-O0"], flags].concat());
    }
}

/// The assembler may put padding between a site's label and the instruction. Then jumps stay on their
/// trampolines, and calls too, if the assembler pads calls.
#[test]
fn branches_padded_by_the_assembler() {
    if !platform().is_x86() {
        eprintln!("skipped: only x86's assembler pads branches");
        return;
    }
    let scratch = Scratch::new();
    let mut text = "#include \"static_call.h\"\nint f(int);\nDEFINE_STATIC_CALL(key, f);\n".to_owned();
    // Sites at every distance from a boundary of 32 bytes.
    for distance in 0..64 {
        let skip = format!("__asm__ volatile(\".skip {distance}, 0x90\");");
        text += &format!("int call{distance}(int x) {{ {skip} return static_call(key, x) + 1; }}\n");
        text += &format!("int jump{distance}(int x) {{ {skip} return static_call(key, x); }}\n");
        text += &format!("void jcc{distance}(int x) {{ {skip} if (x) static_call(key, x); }}\n");
    }
    let source = scratch.path("distances.c");
    fs::write(&source, text).expect("the source");
    for (flags, sites) in [
        (&["-O2"] as &[_], 3 * 64),
        (&["-Os"], 3 * 64),
        (&["-O2", "-mbranches-within-32B-boundaries"], 64),
        (&["-Os", "-mbranches-within-32B-boundaries"], 64),
        (&["-Os", "-malign-branch-boundary=32", "-malign-branch=fused,jcc,jmp,call,ret,indirect"], 0),
    ] {
        let object = scratch.path("distances.o");
        run(clang().args(["-c", "-fPIC"]).args(flags).arg(&source).arg("-o").arg(&object));
        let StaticCalls { recorded, branches } = StaticCalls::read(&shared(&scratch, &[&object]));
        assert_eq!(branches.len(), 3 * 64, "{flags:?}");
        assert_eq!(recorded.len(), sites, "{flags:?}");
        assert!(recorded.iter().all(|site| branches.contains(site) && lies_in_a_word(*site)), "{flags:?}");
    }
}

/// If the assembler does not relax branches, padding must not put their targets out of reach.
#[test]
fn long_functions() {
    let scratch = Scratch::new();
    let source = scratch.path("long.c");
    for calls in [3000, 6500, 9000] {
        let calls_of_it: String = (0..calls).map(|number| format!("static_call(key, {number});\n")).collect();
        let text = format!(
            "#include \"static_call.h\"\nvoid f(int);\nDEFINE_STATIC_CALL(key, f);\n\
             void function(int *x) {{ if (*x) {{ {calls_of_it} }} *x = 0; }}\n"
        );
        fs::write(&source, text).expect("the source");
        let object = scratch.path("long.o");
        run(clang().args(["-c", "-fPIC", "-O2"]).arg(&source).arg("-o").arg(&object));
        let StaticCalls { recorded, branches } = StaticCalls::read(&shared(&scratch, &[&object]));
        assert_eq!(branches.len(), calls);
        let most = match platform().name {
            name if name.starts_with("s390x") => 5000,
            name if name.starts_with("loongarch64") => 8000,
            _ => usize::MAX,
        };
        let expected = if calls > most { Vec::new() } else { branches };
        assert!(
            recorded == expected,
            "{} of {calls} calls, and should be {}",
            recorded.len(),
            expected.len()
        );
    }
}

/// Under XRay a tail call and the sled before it are one instruction, so tail calls stay on their
/// trampolines.
#[test]
fn xray_leaves_the_trampolines_alone() {
    if !platform().has_xray {
        eprintln!("skipped: no XRay on this machine");
        return;
    }
    for level in LEVELS {
        let scratch = Scratch::new();
        let flags = ["-fPIC", "-fxray-instrument", "-fxray-instruction-threshold=1", level];
        let linked = shared(&scratch, &[&object(&scratch, "machine.c", &flags)]);
        assert_eq!(checked_trampolines(&linked).len(), 9);
        let StaticCalls { recorded, branches } = StaticCalls::read(&linked);
        assert!(recorded.len() >= 8 && branches.len() >= 11, "{level}");
        assert!(recorded.iter().all(|site| branches.contains(site) && lies_in_a_word(*site)), "{level}");
    }
}

/// A block in a section of its own has no function symbol, so this test finds its branches in another way.
#[test]
fn sections_of_basic_blocks() {
    if !platform().is_x86() {
        eprintln!("skipped: clang has no such flag for this machine");
        return;
    }
    for level in LEVELS {
        let scratch = Scratch::new();
        let object = object(&scratch, "machine.c", &["-fPIC", "-fbasic-block-sections=all", level]);
        let linked = shared(&scratch, &[&object]);
        let StaticCalls { recorded, branches } = StaticCalls::read(&linked);
        assert!(recorded.len() >= 11 && branches.iter().all(|branch| recorded.contains(branch)), "{level}");
        assert!(recorded.iter().all(|site| lies_in_a_word(*site)), "{level}");
    }
}

/// The greatest length of a trampoline with a thunk. It has one more instruction, which takes one more word
/// on i686.
fn size_with_thunk() -> u64 {
    platform().trampoline_sizes[1] + 8
}

#[test]
fn hardened_code_has_hardened_trampolines() {
    for (flag, thunk) in [
        ("-mretpoline", Some(["__llvm_retpoline_r11", "__llvm_retpoline_eax"])),
        ("-mlvi-cfi", Some(["__llvm_lvi_thunk_r11", ""])),
        ("-mharden-sls=all", None),
        ("-fPIC", None),
    ] {
        // On x86-64, and on i686 if it has the thunk.
        let thunk = thunk.map(|[long, short]: [&str; 2]| if platform().pointer == 8 { long } else { short });
        if thunk.is_some_and(|name| !platform().is_x86() || name.is_empty()) || !has_flags(&[flag]) {
            continue;
        }
        for level in LEVELS {
            check(&[flag, level]);
            let scratch = Scratch::new();
            let linked = shared(&scratch, &[&object(&scratch, "machine.c", &["-fPIC", flag, level])]);
            let data = fs::read(&linked).expect("the linked file");
            let file = object::File::parse(&*data).expect("an ELF file");
            let thunk = thunk.map(|name| {
                let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
                symbol.unwrap_or_else(|| panic!("{flag}: the thunk is there")).address()
            });
            for (entry, name) in checked_trampolines(&linked) {
                let size = if thunk.is_some() { size_with_thunk() } else { platform().trampoline_sizes[1] };
                let code = bytes_at(&file, entry, size - 8);
                if let Some(thunk) = thunk {
                    let jumps = platform().branches(&code, entry);
                    assert!(jumps.iter().any(|jump| jump.target == thunk), "{flag} {level}: {name}");
                }
                let barrier = platform().barrier;
                let stops = barrier.is_empty() || code.windows(barrier.len()).any(|code| code == barrier);
                assert!(stops, "{flag} {level}: {name}: nothing stops speculation behind its jump");
            }
        }
    }
}

#[test]
fn position_dependent_code() {
    let models: &[&str] =
        if platform().is_x86() { &["-mcmodel=kernel"] } else { &["-mcmodel=tiny", "-mcmodel=normal"] };
    let models: Vec<[&str; 2]> = models.iter().map(|model| ["-fno-pic", model]).collect();
    let ways = [&["-fno-pic"] as &[_], &["-fpie"]].into_iter().chain(models.iter().map(|way| way as &[_]));
    for flags in ways.filter(|flags| has_flags(flags)) {
        for level in LEVELS {
            for linker in ["ld", "ld.lld-22"] {
                let scratch = Scratch::new();
                let object = object(&scratch, "machine.c", &[&[*level], flags].concat());
                let linked = executable(&scratch, linker, &[&object], &[]);
                checked_trampolines(&linked);
                assert!(StaticCalls::read(&linked).checked() >= 11, "{flags:?} {level} {linker}");
            }
        }
    }
}

#[test]
fn functions_that_several_files_define() {
    for level in LEVELS {
        let scratch = Scratch::new();
        let flags = [*level, "-fPIC", "-std=c++17"];
        let build = |name: &str, other: &str| {
            let object = scratch.path(name);
            let defines = [
                format!("-D{other}=unused_{name}").replace('.', "_"),
                format!("-Dunwinds=unwinds_{name}").replace('.', "_"),
            ];
            run(clang()
                .arg("-c")
                .args(flags)
                .args(defines)
                .arg(root().join("tests/ir/comdat.cpp"))
                .arg("-o")
                .arg(&object));
            object
        };
        let (first, second) = (build("first.o", "SECOND"), build("second.o", "FIRST"));
        for linker in ["ld", "ld.lld-22"] {
            let linked = scratch.path("linked.so");
            run(gnu_or_lld(linker).arg("-shared").args([&first, &second]).arg("-o").arg(&linked));
            assert_eq!(checked_trampolines(&linked).len(), 1, "one trampoline survives");
            let sites = StaticCalls::read(&linked).checked();
            assert_eq!(sites, 1 + 2 + 2, "{level} {linker}: inline function, two instances, two unwinding");
        }
    }
}

#[test]
fn the_table_is_small_and_needs_no_relocation() {
    let scratch = Scratch::new();
    let object = object(&scratch, "machine.c", &["-O2", "-fPIC", "-ffunction-sections"]);
    let data = fs::read(&object).expect("the object");
    let file = object::File::parse(&*data).expect("an ELF file");
    let wanted = elf::SHF_ALLOC | elf::SHF_WRITE | elf::SHF_LINK_ORDER;
    // The other sections hold the anchor, or nothing at all.
    let flags = |section: &object::Section<'_, '_>| match section.flags() {
        SectionFlags::Elf { sh_flags, .. } => sh_flags,
        other => panic!("{other:?} in an ELF file"),
    };
    let tables: Vec<_> = file
        .sections()
        .filter(|section| section.name() == Ok(SITES_SECTION))
        .filter(|section| flags(section) & elf::SHF_LINK_ORDER == elf::SHF_LINK_ORDER)
        .collect();
    assert!(tables.len() >= 8, "each function has its own");
    for table in &tables {
        assert_eq!(flags(table), wanted, "WAL, and in no group of its own");
        assert_eq!(table.align(), 1);
    }

    let linked = shared(&scratch, &[&object]);
    let data = fs::read(&linked).expect("the shared object");
    let file = object::File::parse(&*data).expect("an ELF file");
    let table = file.section_by_name(SITES_SECTION).expect("a site table");
    let sites = StaticCalls::read(&linked).checked() as u64;
    assert_eq!(table.size(), platform().entry * sites + 4, "entries and an anchor");
    let table = table.address()..table.address() + table.size();
    let relocations = file.dynamic_relocations().expect("the keys need some");
    assert_eq!(relocations.filter(|(place, _)| table.contains(place)).count(), 0);
    assert_eq!(file.kind(), ObjectKind::Dynamic);
}

#[test]
fn a_trampoline_takes_whole_words() {
    let [fixed, anywhere] = platform().trampoline_sizes;
    let mut ways = vec![(&["-fno-pic"] as &[_], fixed), (&["-fPIC"], anywhere)];
    if platform().is_x86() {
        ways.push((&["-fPIC", "-mretpoline"], size_with_thunk()));
    }
    for (flags, size) in ways {
        let scratch = Scratch::new();
        let object = object(&scratch, "machine.c", &[&["-O2"], flags].concat());
        let data = fs::read(&object).expect("the object");
        let file = object::File::parse(&*data).expect("an ELF file");
        let trampolines = file
            .sections()
            .filter(|section| section.name().is_ok_and(|name| name.starts_with(".text.static_call.")));
        let sizes: Vec<u64> = trampolines.map(|section| section.size()).collect();
        assert_eq!(sizes.len(), 9);
        assert!(
            sizes.iter().all(|size| size % platform().word == 0),
            "{flags:?}: no other code in a word that is patched"
        );
        assert_eq!(sizes.iter().max(), Some(&size), "{flags:?}");
    }
}

#[test]
fn garbage_collection_drops_the_sites_of_dropped_functions() {
    // By default GNU ld keeps every section that `__start_` symbols may name.
    for (linker, flags) in [
        ("ld", &["--gc-sections", "-z", "start-stop-gc"] as &[_]),
        ("ld.lld-22", &["--gc-sections"]),
        ("ld.lld-22", &["--gc-sections", "-z", "nostart-stop-gc"]),
    ] {
        let scratch = Scratch::new();
        let object = object(&scratch, "machine.c", &["-O2", "-fPIC", "-ffunction-sections"]);
        let linked = executable(&scratch, linker, &[&object], flags);
        // Only `call` remains.
        assert_eq!(StaticCalls::read(&linked).checked(), 3, "{linker} {flags:?}");
        assert_eq!(checked_trampolines(&linked).len(), 3, "{linker} {flags:?}");
        let all = executable(&scratch, linker, &[&object], &[]);
        assert!(StaticCalls::read(&all).checked() > 3);
    }
}

#[test]
fn link_time_optimization_loses_no_site() {
    for kind in ["-flto=full", "-flto=thin"] {
        for level in LEVELS {
            let scratch = Scratch::new();
            let objects = [
                object(&scratch, "machine.c", &["-fPIC", kind, level]),
                object(&scratch, "comdat.cpp", &["-fPIC", kind, level, "-std=c++17"]),
                // This module has no sites of its own, but inlines another module's.
                object(&scratch, "importer.c", &["-fPIC", kind, level]),
            ];
            let linked = scratch.path("linked.so");
            // LLD defines POWER's TOC if an object needs it, and cannot know that bitcode will.
            let toc: &[&str] = if is_power() { &["-u", ".TOC."] } else { &[] };
            run(Command::new("ld.lld-22")
                .arg("-shared")
                .args(toc)
                .arg(format!("--load-pass-plugin={}", plugin().display()))
                .args(&objects)
                .arg("-o")
                .arg(&linked));
            checked_trampolines(&linked);
            assert!(StaticCalls::read(&linked).checked() >= 15, "{kind} {level}");
        }
    }
}

fn is_power() -> bool {
    platform().name.starts_with("powerpc64le")
}

/// Code for POWER10 has no TOC pointer: its calls enter trampolines after the first instruction, which may be
/// a branch to a function that needs the TOC. All calls are right in a program that mixes both kinds of code.
#[test]
fn code_without_a_toc() {
    if !is_power() {
        eprintln!("skipped: only POWER's code has a TOC");
        return;
    }
    for level in LEVELS {
        let scratch = Scratch::new();
        let linked = shared(&scratch, &[&object(&scratch, "machine.c", &["-fPIC", "-mcpu=power10", level])]);
        let sites = StaticCalls::read(&linked);
        assert_eq!((sites.recorded, sites.branches), (Vec::new(), Vec::new()), "{level}");
        let trampolines = checked_trampolines(&linked);
        let data = fs::read(&linked).expect("the linked file");
        let file = object::File::parse(&*data).expect("an ELF file");
        let text = file.section_by_name(".text").expect("code");
        let branches = platform().branches(text.data().expect("its bytes"), text.address());
        let skipping =
            branches.iter().filter(|branch| trampolines.contains_key(&branch.target.wrapping_sub(4)));
        assert!(skipping.count() >= 11, "{level}");
    }
    let other = "#include <static_call.h>\n\
         int one(int);\n\
         DECLARE_STATIC_CALL(key, one);\n\
         int without(int x) { return static_call(key, x) + 100; }\n";
    let main = "#include <static_call.h>\n\
         int global = 1, without(int);\n\
         int one(int x) { return x + global; }\n\
         int two(int x) { return x + 2 * global; }\n\
         DEFINE_STATIC_CALL(key, one);\n\
         __attribute__((noinline)) int with(int x) { return static_call(key, x) + 10 * global; }\n\
         int main(void) {\n\
         \tif (with(0) != 11 || without(0) != 101 || static_call_update(key, two) ||\n\
         \t    with(0) != 12 || without(0) != 102)\n\
         \t\treturn 1;\n\
         \tstruct static_call_info info;\n\
         \tstatic_call_process_info(&info);\n\
         \treturn info.sites != 1;\n\
         }\n";
    let scratch = Scratch::new();
    let object = |name: &str, text: &str, flag: &str| {
        let (source, object) = (scratch.path(name).with_extension("c"), scratch.path(name));
        fs::write(&source, text).expect("the source");
        run(clang().args(["-c", "-O2", "-fPIE", flag]).arg(&source).arg("-o").arg(&object));
        object
    };
    let main = object("main.o", main, "-mcpu=power9");
    let other = object("other.o", other, "-mcpu=power10");
    for (objects, linker) in [([&main, &other], "bfd"), ([&other, &main], "bfd"), ([&other, &main], "lld")] {
        let program = scratch.path("program");
        let mut link = plain_clang("clang");
        link.arg("-pie").arg(format!("-fuse-ld={linker}")).args(objects).args(link_flags());
        run(link.arg("-o").arg(&program));
        for mode in ["inline", "trampoline", "generic"] {
            run(execute(&program).env("STATIC_CALL_MODE", mode).env("QEMU_CPU", "power10"));
        }
    }
}

/// Where calls do not reach all of a large program, linkers insert veneers between calls and trampolines.
/// Such calls do not change, and the others are direct. On other machines, calls are pairs of instructions,
/// which always reach their trampolines. A call stays on its trampoline if its target is out of reach.
/// Whether a distant pair reaches a target beside its trampoline depends on where the linker has placed both,
/// so only the near call is certain to be direct.
#[test]
fn calls_of_trampolines_that_are_out_of_reach() {
    const GAP: u64 = 140 << 20;
    if platform().reach > GAP {
        eprintln!("skipped: calls reach the whole program on this machine");
        return;
    }
    let scratch = Scratch::new();
    let source = |name: &str, text: &str| {
        let path = scratch.path(name);
        fs::write(&path, text).expect("the source");
        path
    };
    let near = "#include <static_call.h>\n\
         int one(int x) { return x + 1; }\n\
         int two(int x) { return x + 2; }\n\
         DEFINE_STATIC_CALL(key, one);\n\
         int far(int);\n\
         int three(int);\n\
         __attribute__((noinline)) int near(int x) { return static_call(key, x) + 10; }\n\
         int main(void) {\n\
         \tstruct static_call_info info;\n\
         \tstatic_call_process_info(&info);\n\
         \tif (near(0) != 11 || far(0) != 101 || static_call_update(key, two) ||\n\
         \t    near(0) != 12 || far(0) != 102)\n\
         \t\treturn 1;\n\
         \tif (static_call_mode() != STATIC_CALL_MODE_INLINE || info.sites != SITES ||\n\
         \t    info.direct < 1)\n\
         \t\treturn 2;\n\
         \tif (static_call_update(key, three) || near(0) != 13 || far(0) != 103)\n\
         \t\treturn 3;\n\
         \tstatic_call_process_info(&info);\n\
         \treturn info.direct == SITES - 1 ? 0 : 4;\n\
         }\n";
    let far = "#include <static_call.h>\n\
         int one(int);\n\
         DECLARE_STATIC_CALL(key, one);\n\
         int three(int x) { return x + 3; }\n\
         int far(int x) { return static_call(key, x) + 100; }\n";
    let sources =
        [source("near.c", near), source("gap.s", &format!(".text\n.space {GAP}\n")), source("far.c", far)];
    for linker in ["bfd", "lld"] {
        for kind in ["-pie", "-no-pie"] {
            let program = scratch.path("program");
            let mut clang = clang();
            clang.args(["-O2", "-fPIE", kind, "-Wno-unused-command-line-argument"]);
            clang.arg(if platform().has_veneers { "-DSITES=1" } else { "-DSITES=2" });
            // The linker would place an archive, and so the runtime, last.
            clang.arg(format!("-fuse-ld={linker}")).arg(&sources[0]).args(link_flags()).args(&sources[1..]);
            run(clang.arg("-o").arg(&program));
            run(execute(&program).env("STATIC_CALL_LOG", "1"));
        }
    }
}

#[test]
fn far_code_models_load_their_keys() {
    if !platform().has_far_calls {
        eprintln!("skipped: calls are direct in all code models of this machine");
        return;
    }
    let mut ways = vec![&["-mcmodel=large", "-fno-pic", "-no-pie"] as &[_]];
    if platform().is_x86() {
        ways.extend([&["-mcmodel=medium"] as &[_], &["-mcmodel=large", "-fPIC", "-pie"]]);
    } else {
        ways.push(&["-mcmodel=extreme", "-fno-plt", "-fno-pic", "-no-pie"]);
    }
    for flags in ways.into_iter().filter(|flags| has_flags(flags)) {
        for level in ["-O0", "-O2"] {
            let scratch = Scratch::new();
            let object = object(
                &scratch,
                "machine.c",
                &[&[level, "-Wno-unused-command-line-argument"], flags].concat(),
            );
            let data = fs::read(&object).expect("the object");
            let file = object::File::parse(&*data).expect("an ELF file");
            assert!(file.section_by_name(SITES_SECTION).is_none(), "{flags:?}: no site table");
            assert!(
                !file
                    .symbols()
                    .any(|symbol| symbol.name().is_ok_and(|name| name.starts_with(TRAMPOLINE_PREFIX))),
                "{flags:?}: no trampoline"
            );
            let program = scratch.path("program");
            run(clang()
                .args(flags)
                .arg(level)
                .arg(root().join("tests/c/proposal.c"))
                .args(link_flags())
                .arg("-o")
                .arg(&program));
            run(&mut execute(&program));
        }
    }
}

#[test]
fn code_without_static_calls_stays_byte_for_byte() {
    let scratch = Scratch::new();
    let source = scratch.path("plain.c");
    let text = "#include \"static_call.h\"\n\
                int other(int);\n\
                int f(int x) { return other(x) + 1; }\n\
                int g(int x) { return x ? other(x) : 0; }\n";
    fs::write(&source, text).expect("the source");
    let include = root().join("runtime/include");
    for level in LEVELS {
        for flags in [&[] as &[&str], &["-g"], &["-fPIC", "-ffunction-sections"]] {
            let compile = |mut compiler: Command, name: &str| {
                let object = scratch.path(name);
                run(compiler
                    .arg("-c")
                    .arg(level)
                    .args(flags)
                    .arg("-I")
                    .arg(&include)
                    .arg(&source)
                    .arg("-o")
                    .arg(&object));
                fs::read(object).expect("the object")
            };
            let mut with = plain_clang("clang");
            with.arg(format!("-fpass-plugin={}", plugin().display()));
            assert!(compile(with, "a.o") == compile(plain_clang("clang"), "a.o"), "{level} {flags:?}");
        }
    }
}
