//! Flags that add code before and after calls, before returns, and at the start of functions. Trampolines do
//! not change, sites do not cross words, and programs are right in every mode.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use object::{Object, ObjectSection};
use static_call_abi::TRAMPOLINE_SECTION_PREFIX;
use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{Build, Compiler, Report, in_mode, modes_and_writers};
use static_call_tests::platform::{Kind, platform};
use static_call_tests::{clang, plugin, root, run};

/// The effect of a flag on calls of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sites {
    /// All calls are recorded.
    All,
    /// Jumps are not recorded, because a jump might become a return.
    NoJumps,
    /// Calls load their keys.
    None,
}

struct Row {
    flags: &'static [&'static str],
    sites: Sites,
    /// Flags that give trampolines the same thunk.
    thunk: &'static [&'static str],
}

const fn row(flags: &'static [&'static str], sites: Sites) -> Row {
    Row { flags, sites, thunk: &[] }
}

const fn with_thunk(flags: &'static [&'static str], sites: Sites, thunk: &'static [&'static str]) -> Row {
    Row { flags, sites, thunk }
}

fn rows() -> Vec<Row> {
    use Sites::{All, NoJumps, None};
    const LVI: &[&str] = &["-mlvi-cfi"];
    const RETPOLINE: &[&str] = &["-mretpoline"];
    let mut rows = vec![
        row(&["-fstack-protector-all"], All),
        row(&["-fpatchable-function-entry=5,2"], All),
        row(&["-finstrument-functions-after-inlining"], All),
        row(&["-mllvm", "-verify-machineinstrs"], All),
    ];
    if platform().is_x86() {
        rows.extend([
            row(&["-mspeculative-load-hardening"], None),
            row(&["-fcf-protection=full"], All),
            row(&["-mllvm", "-x86-indirect-branch-tracking"], All),
            row(&["-fzero-call-used-regs=all"], NoJumps),
            row(&["-fzero-call-used-regs=skip"], All),
            row(&["-mharden-sls=all"], All),
            row(&["-fstack-clash-protection"], All),
            row(&["-fbasic-block-sections=all"], All),
            row(&["-mllvm", "-x86-pad-for-align"], All),
            with_thunk(&["-mretpoline", "-mharden-sls=all"], All, RETPOLINE),
            with_thunk(&["-mretpoline", "-mindirect-branch-cs-prefix"], All, RETPOLINE),
        ]);
    }
    if platform().is_x86() && platform().pointer == 8 {
        rows.extend([
            row(&["-mllvm", "-x86-speculative-load-hardening"], None),
            row(&["-mllvm", "-x86-speculative-load-hardening", "-mllvm", "-x86-slh-lfence"], None),
            row(&["-mllvm", "-x86-seses-enable-without-lvi-cfi"], All),
            with_thunk(&["-mseses"], NoJumps, LVI),
            with_thunk(&["-mlvi-cfi"], NoJumps, LVI),
            with_thunk(&["-mlvi-hardening"], NoJumps, LVI),
            with_thunk(
                &["-mlvi-hardening", "-mllvm", "-x86-experimental-lvi-inline-asm-hardening"],
                NoJumps,
                LVI,
            ),
        ]);
    }
    if platform().name.starts_with("aarch64") {
        rows.extend([
            row(&["-mspeculative-load-hardening"], None),
            row(&["-mharden-sls=all"], All),
            row(&["-mbranch-protection=standard"], All),
            row(&["-fzero-call-used-regs=all"], All),
        ]);
    }
    if platform().name.starts_with("riscv64") {
        const LANDING_PADS: &[&str] =
            &["-march=rv64gc_zicfilp1p0", "-menable-experimental-extensions", "-fcf-protection=branch"];
        rows.push(row(LANDING_PADS, All));
    }
    rows
}

const LEVELS: [&str; 2] = ["-O0", "-O2"];

/// The bytes of each trampoline, with its prefix, in an object file of `machine.c`.
fn trampolines(directory: &Path, flags: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let object = directory.join("machine.o");
    let source = root().join("tests/ir/machine.c");
    run(clang().args(["-c", "-fPIC"]).args(flags).arg(source).arg("-o").arg(&object));
    let data = fs::read(&object).expect("the object file");
    let file = object::File::parse(&*data).expect("an ELF file");
    let found = file.sections().filter_map(|section| {
        let name = section.name().expect("UTF-8").strip_prefix(TRAMPOLINE_SECTION_PREFIX)?;
        Some((name.to_owned(), section.data().expect("its bytes").to_vec()))
    });
    found.collect()
}

#[test]
fn trampolines_are_their_assembler() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    for Row { flags, sites, thunk } in rows() {
        let wanted = trampolines(directory.path(), thunk);
        assert_eq!(wanted.len(), 9);
        for level in LEVELS {
            let found = trampolines(directory.path(), &[flags, &[level]].concat());
            if sites == Sites::None {
                assert!(found.is_empty(), "{flags:?} {level}");
            } else {
                assert_eq!(found, wanted, "{flags:?} {level}");
            }
        }
    }
}

/// A program that checks itself is right, and each call is made as recorded in its file.
#[test]
fn programs_are_right() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    for (Row { flags, sites, .. }, level) in rows().iter().flat_map(|row| LEVELS.map(|level| (row, level))) {
        let build = Build { compiler: Compiler::Pass, level };
        let program = build.link(&["behind.c"], flags, &directory.path().join("program"));
        let how = format!("{flags:?} {level}");
        if flags.contains(&"-fbasic-block-sections=all") {
            // Branches are found by function symbols, and blocks have none.
            assert!(!StaticCalls::read(&program).recorded.is_empty(), "{how}");
        } else {
            check_sites(&program, *sites, &how);
        }
        check_modes(&program, *sites == Sites::None, &how);
    }
}

fn check_sites(program: &Path, sites: Sites, how: &str) {
    let calls = StaticCalls::read(program);
    assert_eq!(calls.checked() > 0, sites != Sites::None, "{how}");
    if sites == Sites::NoJumps {
        let data = fs::read(program).expect("the program");
        let file = object::File::parse(&*data).expect("an ELF file");
        let text = file.section_by_name(".text").expect("code");
        for site in calls.recorded {
            let code = &text.data().expect("its bytes")[(site - text.address()) as usize..];
            assert_eq!(platform().branches(&code[..8], site)[0].kind, Kind::Call, "{how}: {site:#x}");
        }
    }
}

fn check_modes(program: &Path, is_generic: bool, how: &str) {
    for (mode, (writer, _)) in modes_and_writers() {
        let output = run(in_mode(program, mode).env("STATIC_CALL_WRITER", writer));
        let report = Report::find(&output.stdout);
        assert_eq!(report.sites == 0, is_generic, "{how}");
        let wanted = if matches!(mode, None | Some("inline")) { report.sites } else { 0 };
        assert_eq!(report.direct, wanted, "{how} {mode:?} {writer}");
    }
}

/// An option that only the linker gets, after trampolines were made: they do not change, and no call is
/// recorded.
#[test]
fn an_option_that_only_the_linker_has() {
    if !platform().is_x86() || platform().pointer != 8 {
        eprintln!("skipped: no such option for this machine");
        return;
    }
    let directory = tempfile::tempdir().expect("a scratch directory");
    let pass = format!("-Wl,--load-pass-plugin={}", plugin().display());
    for level in LEVELS {
        let build = Build { compiler: Compiler::Pass, level };
        let option = "-Wl,-mllvm,-x86-speculative-load-hardening";
        let flags = ["-flto", "-fuse-ld=lld", &pass, option];
        let program = build.link(&["behind.c"], &flags, &directory.path().join("program"));
        let StaticCalls { recorded, branches } = StaticCalls::read(&program);
        assert!(recorded.is_empty() && !branches.is_empty(), "{level}");
        check_modes(&program, true, level);
    }
}
