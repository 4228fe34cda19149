//! Programs whose code llvm-bolt has moved after linking.

use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::c::{Build, Compiler, Report, in_mode, modes};
use static_call_tests::platform::platform;
use static_call_tests::{llvm, prefix, root, run};

/// Where BOLT puts the new code, and how much of it.
const OPTIONS: [&[&str]; 5] = [
    &[],
    &["-use-old-text"],
    &["-lite=0", "-use-gnu-stack"],
    &["-lite=0", "-reorder-blocks=ext-tsp", "-reorder-functions=cdsort", "-split-functions", "-icf=1"],
    // Replaces old code, so that executing it traps.
    &["-lite=0", "-trap-old-code"],
];

/// Whether llvm-bolt is missing for the programs' machine. Prints the reason.
fn is_missing() -> bool {
    if platform().is_foreign() || !platform().is_x86() {
        eprintln!("skipped: llvm-bolt is tested on x86-64 only");
        return true;
    }
    let is_missing = llvm("llvm-bolt").arg("--version").output().is_err();
    if is_missing {
        eprintln!("skipped: llvm-bolt-22 is not installed (Debian's package bolt-22)");
    }
    is_missing
}

/// Moves a file's code. If all of it must move, code that BOLT does not understand is an error.
fn bolt(file: &Path, options: &[&str]) -> PathBuf {
    let moved = file.with_added_extension("moved");
    let _ = std::fs::remove_file(&moved);
    run(llvm("llvm-bolt").arg(file).arg("-o").arg(&moved).args(options));
    moved
}

#[test]
fn moved_calls_go_through_their_trampolines_and_say_so() {
    if is_missing() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let builds =
        [("-O0", "lld", "-pie"), ("-O3", "bfd", "-no-pie"), ("-O3", "lld", "-pie"), ("-O0", "bfd", "-pie")];
    for (number, (level, linker, kind)) in builds.into_iter().enumerate() {
        let build = Build { compiler: Compiler::Pass, level };
        for source in ["keys.c", "off.c", "keys.cpp"] {
            let flags = [&format!("-fuse-ld={linker}"), kind, "-Wl,--emit-relocs"];
            let program = build.link(&[source], &flags, &directory.path().join(format!("{number}{source}")));
            // To move code in place, BOLT must understand all of it, but some of the runtime's code is data.
            let library = prefix().join("lib/libstatic_call.so").display().to_string();
            let path = format!("-Wl,-rpath,{}", prefix().join("lib").display());
            let shared = [&flags[..], &[&library, &path]].concat();
            let shared =
                build.link(&[source], &shared, &directory.path().join(format!("{number}{source}.shared")));
            let before = Report::find(&run(&mut in_mode(&program, None)).stdout);
            assert!(before.sites > 0 && before.sites == before.direct, "{before:?}");
            // Each program is moved in one way, and one program in every way.
            let options = if source == "keys.c" { &OPTIONS[..] } else { &OPTIONS[number..=number] };
            for options in options {
                let is_in_place = options.contains(&"-use-old-text");
                let moved = bolt(if is_in_place { &shared } else { &program }, options);
                for &mode in modes() {
                    let output = run(in_mode(&moved, mode).env("STATIC_CALL_LOG", "1"));
                    let (report, said) =
                        (Report::find(&output.stdout), String::from_utf8_lossy(&output.stderr));
                    let case = format!("{source} {level} {linker} {options:?} {mode:?}: {report:?}\n{said}");
                    assert_eq!((report.mode, report.direct), (0, 0), "{case}");
                    assert!(said.contains("its code was moved after linking"), "{case}");
                }
            }
            let mut inspect = Command::new(prefix().join("bin/static-call-inspect"));
            let output = inspect.arg("--require-all-direct").arg(bolt(&program, &[])).output();
            let output = output.expect("it runs");
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.code() == Some(1) && said.contains("its code was moved"), "{said}");
        }
    }
}

const PROGRAM: &str = r#"
#include "check.h"
static int first(int a) { return a + 1; }
static int second(int a) { return a + 2; }
DEFINE_STATIC_CALL(key, first);
int call_from_library(int a);
int main(void)
{
	CHECK(static_call(key, 1) == 2 && call_from_library(1) == 2);
	CHECK(static_call_update(key, second) == 0);
	CHECK(static_call(key, 1) == 3 && call_from_library(1) == 3);
	report();
	return 0;
}
"#;
const LIBRARY: &str = r#"
#include "check.h"
int call_from_library(int a);
DECLARE_STATIC_CALL(key, int (int));
int call_from_library(int a) { return static_call(key, a); }
"#;

/// One image was moved and another was not: the runtime tells them apart.
#[test]
fn what_was_not_moved_stays_direct_beside_it() {
    if is_missing() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let build = Build { compiler: Compiler::Pass, level: "-O3" };
    for (name, text) in [("program.c", PROGRAM), ("library.c", LIBRARY)] {
        std::fs::write(at(name), text).expect("a file");
    }
    let compile = |source: &str, flags: &[&str], output: &str| {
        let mut command = build.compiler(false);
        command.arg("-Wl,--emit-relocs").arg("-I").arg(root().join("tests/c")).args(flags).arg(at(source));
        run(command.arg("-o").arg(at(output)).arg(prefix().join("lib/libstatic_call.a")));
    };
    compile("library.c", &["-shared", "-fPIC"], "library.so");
    let library = at("library.so").display().to_string();
    compile("program.c", &["-rdynamic", &library], "program");
    let report = || Report::find(&run(&mut in_mode(&at("program"), None)).stdout);
    let sites = |images, sites| (2, images, sites);
    let found = |report: Report| (report.mode, report.images, report.sites);
    assert_eq!(found(report()), sites(2, 3));
    let whole = std::fs::read(&library).expect("the library");
    std::fs::rename(bolt(&at("library.so"), &["-lite=0", "-trap-old-code"]), &library).expect("moved");
    assert_eq!(found(report()), sites(1, 2));
    std::fs::write(&library, whole).expect("the library");
    std::fs::rename(bolt(&at("program"), &["-lite=0", "-trap-old-code"]), at("program")).expect("moved");
    assert_eq!(found(report()), sites(1, 1));
}
