//! Control-flow integrity: a direct call checks nothing, its trampoline checks what the call would have, and
//! an update refuses a function of another type.

use std::path::{Path, PathBuf};

use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{Build, Compiler, Report, in_mode, modes_and_writers, source};
use static_call_tests::platform::platform;
use static_call_tests::rust::{self, PLAIN};
use static_call_tests::{llvm, plugin, run, stdout};

const KCFI: &str = "-fsanitize=kcfi";
/// No-ops between the type and the function. The program has to know, for its assembler.
const NO_OPS: [&str; 2] = ["-fpatchable-function-entry=2,2", "-DWITH_NO_OPS"];

/// Whether there are trampolines that check.
fn is_supported() -> bool {
    ["x86_64-", "aarch64-"].iter().any(|start| platform().name.starts_with(start))
}

/// Builds the program, one file of which checks no types.
fn build(build: Build, flags: &[&str], directory: &Path) -> PathBuf {
    let other = directory.join("other.o");
    let other_flags = flags.iter().filter(|flag| ["-flto", "-fPIC", "-mretpoline"].contains(flag));
    run(build.compiler(false).args(other_flags).arg("-c").arg(source("kcfi_other.c")).arg("-o").arg(&other));
    let mut flags = [&[KCFI], flags].concat();
    flags.push(other.to_str().expect("UTF-8"));
    build.link(&["kcfi.c"], &flags, &directory.join("kcfi"))
}

/// The disassembly of the function whose name starts like this.
fn disassembly(program: &Path, name: &str) -> String {
    let listing = stdout(llvm("llvm-objdump").args(["-d", "--no-show-raw-insn"]).arg(program));
    let mut functions = listing.split("\n\n");
    let heading = format!(" <{name}");
    let function = functions
        .find(|function| function.lines().any(|line| line.contains(&heading) && line.ends_with(">:")));
    function.unwrap_or_else(|| panic!("{name} is in {listing}")).to_owned()
}

/// How often a function looks at what stands before another one, this many bytes. Without optimization, its
/// variables lie below the frame pointer.
fn checks(code: &str, distance: u32) -> usize {
    let (load, frame) = match platform().is_x86() {
        true => (format!("-{distance:#x}(%"), "(%rbp)"),
        false => (format!(", #-{distance:#x}]"), "[x29,"),
    };
    code.lines().filter(|line| line.contains(&load) && !line.contains(frame)).count()
}

#[test]
fn updates_check_types_in_place_of_calls() {
    if !is_supported() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let with_no_ops = if platform().is_x86() { 4 + 2 } else { 4 + 2 * 4 };
    let load = format!("-Wl,--load-pass-plugin={}", plugin().display());
    let lto = ["-flto", "-fuse-ld=lld", &load];
    let mut cases = vec![
        (Compiler::Pass, "-O0", &[][..], 4),
        (Compiler::PassShared, "-O2", &NO_OPS, with_no_ops),
        (Compiler::Pass, "-O2", &lto, 4),
    ];
    if platform().is_x86() {
        cases.push((Compiler::Pass, "-Os", &["-mretpoline", "-fPIC", "-fsanitize-kcfi-arity"], 4));
    }
    for (compiler, level, flags, distance) in cases {
        let program = build(Build { compiler, level }, flags, directory.path());
        let sites = StaticCalls::read(&program).checked();
        for (mode, (writer, _)) in modes_and_writers() {
            let output = run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer));
            let report = Report::find(&output.stdout);
            let direct = if matches!(mode, None | Some("inline")) { sites } else { 0 };
            assert_eq!((report.sites, report.direct), (sites, direct), "{flags:?} {mode:?} {writer}");
        }
        let checks = |name: &str| checks(&disassembly(&program, name), distance);
        for caller in ["call_key", "call_local", "call_hook", "call_zero", "call_unchecked"] {
            assert_eq!(checks(&format!("{caller}>")), 0, "{caller}, {flags:?}");
        }
        for key in ["key", "local", "hook", "cond", "zero", "mistaken"] {
            let trampoline = format!("__static_call_trampoline.{key}__static_call_key");
            assert_eq!(checks(&format!("{trampoline}..xkcfi.{distance}.")), 1, "{trampoline}, {flags:?}");
        }
        assert_eq!(checks("__static_call_trampoline.key__static_call_key>"), 0, "{flags:?}");
    }
}

/// Without the pass, each call checks what it has loaded.
#[test]
fn calls_check_types_without_the_pass() {
    if !is_supported() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = build(Build { compiler: Compiler::Clang, level: "-O2" }, &[], directory.path());
    let checks = |name: &str| checks(&disassembly(&program, name), 4);
    for caller in ["call_key", "call_local", "call_hook", "call_zero"] {
        assert_eq!(checks(&format!("{caller}>")), 1, "{caller}");
    }
    assert_eq!(checks("call_unchecked>"), 0);
}

/// rustc makes hashes of its own.
#[test]
fn updates_check_types_in_rust() {
    if !platform().name.starts_with("x86_64-") {
        return;
    }
    const KCFI: rust::Build<'_> = rust::Build {
        name: "kcfi",
        // The standard library is not checked, which the program's calls do not need.
        environment: &[
            ("RUSTC_BOOTSTRAP", "1"),
            ("RUSTFLAGS", "-Zsanitizer=kcfi -Cpanic=abort -Cunsafe-allow-abi-mismatch=sanitizer"),
            ("CARGO_BUILD_TARGET", "x86_64-unknown-linux-gnu"),
        ],
        ..PLAIN
    };
    let output = KCFI.build(&["-p", "kcfi"]);
    let program = output.with_file_name("x86_64-unknown-linux-gnu").join("debug/kcfi");
    for (mode, direct) in [("inline", 1), ("trampoline", 0), ("generic", 0)] {
        let said = stdout(&mut in_mode(&program, Some(mode)));
        assert!(said.contains(&format!("{mode} Info {{ keys: 1, sites: 1, direct: {direct},")), "{said}");
    }
    assert_eq!(checks(&disassembly(&program, "call_key>"), 4), 0);
    assert_eq!(checks(&disassembly(&program, "__static_call_trampoline._RNvNvCs"), 4), 1);
}
