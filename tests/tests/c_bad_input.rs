//! What the runtime answers to a bad environment: rights that are missing, code that somebody else wrote.

use std::path::Path;
use std::process::{Command, Output};

use object::{Object, ObjectSymbol};
use static_call_tests::binary::{StaticCalls, has_site_table};
use static_call_tests::c::{Build, Compiler, MODES, Report, in_mode, source};
use static_call_tests::{failure, link_flags, llvm, plugin, prefix, run};

const PASS: Build = Build { compiler: Compiler::Pass, level: "-O2" };
const WITHOUT: Build = Build { compiler: Compiler::Gcc, level: "-O0" };
/// The test programs' exit code if the kernel does not know what they ask for.
const UNKNOWN_TO_THE_KERNEL: i32 = 77;

/// Runs a program, which has to succeed; None if the kernel does not have what it needs.
fn run_if_possible(command: &mut Command) -> Option<Output> {
    let output = command.output().expect("the program runs");
    if output.status.code() == Some(UNKNOWN_TO_THE_KERNEL) {
        eprintln!("SKIPPED: {command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    assert!(output.status.success(), "{command:?}: {output:?}");
    Some(output)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_unknown_mode_is_named_on_one_line_and_ignored() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["plain.c"], &[], &directory.path().join("plain"));
    let output = run(&mut in_mode(&program, Some("fast")));
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in ["STATIC_CALL_MODE=fast", "inline", "trampoline", "generic"] {
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
    let by_default = run(&mut in_mode(&program, None));
    assert_eq!(output.stdout, by_default.stdout);
    assert!(by_default.stderr.is_empty());
    assert!(run(&mut in_mode(&program, Some(""))).stderr.is_empty(), "empty is unset");
}

/// Without the right to write code, a program stays on its trampolines and says why.
#[test]
fn rights_missing_from_the_start() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["plain.c"], &[], &directory.path().join("plain"));
    let exec = WITHOUT.link(&["restricted_exec.c"], &[], &directory.path().join("exec"));
    for (right, reason) in
        [("seccomp", "may not be made writable"), ("mdwe", "PR_SET_MDWE"), ("membarrier", "membarrier")]
    {
        for mode in MODES {
            let mut command = in_mode(&exec, mode);
            command.arg(right).arg(&program).env("STATIC_CALL_LOG", "1");
            let Some(output) = run_if_possible(&mut command) else { continue };
            let report = Report::find(&output.stdout);
            assert_eq!((report.mode, report.direct), (0, 0), "{right} {mode:?}: {report:?}");
            assert_eq!(report.sites, StaticCalls::read(&program).checked());
            let reason = if mode == Some("generic") { "STATIC_CALL_MODE asks for it" } else { reason };
            assert!(text(&output.stdout).contains(reason), "{right} {mode:?}: {output:?}");
            assert!(text(&output.stderr).contains(reason), "{right} {mode:?}: {output:?}");
        }
    }
}

/// A right that is lost later makes updates fail, and nothing change.
#[test]
fn rights_lost_on_the_way() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (number, build) in [PASS, WITHOUT].into_iter().enumerate() {
        let program = build.link(&["restricted_later.c"], &[], &directory.path().join(number.to_string()));
        for right in ["seccomp", "mdwe", "membarrier"] {
            for mode in MODES {
                run_if_possible(in_mode(&program, mode).arg(right));
            }
        }
    }
}

/// A breakpoint in a site, or in a trampoline, stops updates of its key until it is gone.
#[test]
fn code_that_somebody_else_patched() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["foreign_patch.c"], &[], &directory.path().join("program"));
    let main = symbol(&program, "main").0;
    let (start, size) = symbol(&program, "call_second");
    let sites = StaticCalls::read(&program).recorded;
    let site = sites.into_iter().find(|site| (start..start + size).contains(site)).expect("a site");
    let trampoline = symbol(&program, "__static_call_trampoline.__static_call_key_second").0;
    for (mode, address) in [
        (None, site),
        (None, site + 1),
        (Some("trampoline"), trampoline),
        (Some("trampoline"), trampoline + 2),
    ] {
        run(in_mode(&program, mode).arg((address.cast_signed() - main.cast_signed()).to_string()));
    }
}

/// Address and size.
fn symbol(program: &Path, name: &str) -> (u64, u64) {
    let data = std::fs::read(program).expect("the program");
    let file = object::File::parse(&*data).expect("an ELF file");
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name)).expect(name);
    (symbol.address(), symbol.size())
}

/// Every clang may load the plugin, to be told that it is the wrong one.
#[test]
fn another_llvm_is_named_and_the_build_goes_on_without_the_pass() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    let compile = || {
        let mut clang = Command::new("clang-19");
        clang.arg(format!("-fpass-plugin={}", plugin().display())).arg("-I").arg(prefix().join("include"));
        clang.arg(source("proposal.c")).args(link_flags()).arg("-o").arg(&program);
        clang
    };
    let said = run(&mut compile()).stderr;
    let said = String::from_utf8_lossy(&said);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("has LLVM 19") && said.contains("built for LLVM 22"), "{said}");
    run(&mut Command::new(&program));
    assert!(!has_site_table(&program));
    let error = failure(compile().env("STATIC_CALL_REQUIRE", "1"));
    assert!(error.contains("has LLVM 19") && error.contains("STATIC_CALL_REQUIRE=1"), "{error}");
}

/// clang itself refuses a file that is no plugin, and names it.
#[test]
fn a_missing_or_damaged_plugin_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let damaged = directory.path().join("libdamaged.so");
    std::fs::write(&damaged, &std::fs::read(plugin()).expect("the plugin")[..1000]).expect("a copy");
    for file in [damaged, directory.path().join("libmissing.so")] {
        let mut clang = llvm("clang");
        clang.arg(format!("-fpass-plugin={}", file.display())).arg("-I").arg(prefix().join("include"));
        let error = failure(clang.arg("-c").arg(source("proposal.c")).arg("-o").arg("/dev/null"));
        assert!(error.contains(&*file.to_string_lossy()), "{error}");
    }
}
