//! Dispatched functions: in Rust and C, in every mode, where updates are refused, by name, and where the
//! features are known when the program is compiled.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::c::{Build, Compiler, SOME_BUILDS, builds, check, in_mode};
use static_call_tests::platform::platform;
use static_call_tests::rust::{self, PLAIN};
use static_call_tests::{execute, llvm, run, stdout};

const RELEASE: rust::Build<'_> = rust::Build { name: "release", release: true, ..PLAIN };
const WITHOUT: rust::Build<'_> = rust::Build { name: "without", wrapper: None, ..PLAIN };
/// Calls load their keys, and nobody registers the image: the first call chooses.
const UNREGISTERED: rust::Build<'_> = rust::Build {
    name: "unregistered",
    wrapper: None,
    environment: &[("RUSTFLAGS", "-Ccode-model=large")],
    ..PLAIN
};

/// `STATIC_CALL_MODE` and `STATIC_CALL_WRITER`.
const RUNS: [(&str, &str); 4] =
    [("inline", "window"), ("inline", "breakpoint"), ("trampoline", "window"), ("generic", "none")];
/// How the first call may come; see the programs.
const FIRST_CALLS: [&str; 6] = ["", "threads", "signal", "sealed", "masked", "mdwe"];

/// Whether the programs have variants for this machine.
fn has_features() -> bool {
    is_x86_64() || platform().name.starts_with("aarch64-")
}

fn is_x86_64() -> bool {
    platform().name.starts_with("x86_64-")
}

fn built(build: rust::Build<'_>, name: &str) -> PathBuf {
    build.build(&["-p", "dispatch"]).join(name)
}

/// What the program says, by the first word of each line, and what it prints on standard error.
fn said(command: &mut Command) -> (HashMap<String, String>, String) {
    let output = run(command);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(said.ends_with("ok\n"), "{said}");
    let lines = said.lines().filter_map(|line| line.split_once(' '));
    let log = String::from_utf8(output.stderr).expect("UTF-8");
    (lines.map(|(word, rest)| (word.to_owned(), rest.to_owned())).collect(), log)
}

fn program(path: &Path, (mode, writer): (&str, &str)) -> Command {
    let mut command = execute(path);
    command.env("STATIC_CALL_MODE", mode).env("STATIC_CALL_WRITER", writer);
    command.env_remove("STATIC_CALL_DISPATCH").env_remove("STATIC_CALL_LOG");
    command
}

/// The runs and first calls that this machine has. Emulators are slow, and know nothing of PR_SET_MDWE.
fn cases() -> impl Iterator<Item = ((&'static str, &'static str), &'static str)> {
    let is_foreign = platform().is_foreign();
    let runs = if is_foreign { &RUNS[..1] } else { &RUNS };
    let first_calls = if is_foreign { &FIRST_CALLS[..4] } else { &FIRST_CALLS };
    runs.iter().flat_map(move |&run| first_calls.iter().map(move |&first| (run, first)))
}

/// The program itself checks that the key points at the chosen variant, and not at what chooses.
fn check_rust(build: rust::Build<'_>) {
    let path = built(build, "dispatch");
    let best = if has_features() { "by_features" } else { "by_default" };
    for (run, first) in cases() {
        let (said, _) = said(program(&path, run).arg(first));
        assert_eq!(said["chosen"], best, "{build:?}, {run:?}, {first}");
        let has_pass = build.wrapper.is_some() && has_features();
        if has_pass {
            assert_eq!(said["registered"], "true", "{build:?}, {run:?}, {first}");
            // All calls were patched when the program was loaded.
            let direct = if run.0 == "inline" { &said["sites"] } else { "0" };
            assert_ne!(said["sites"], "0");
            assert_eq!(said["direct"], *direct, "{build:?}, {run:?}, {first}: {said:?}");
        }
    }
}

#[test]
fn chosen_with_the_pass() {
    if platform().is_foreign() && !has_features() {
        eprintln!("skipped: there are no variants");
        return;
    }
    check_rust(PLAIN);
    if !platform().is_foreign() {
        check_rust(RELEASE);
    }
}

#[test]
fn chosen_without_the_pass() {
    check_rust(WITHOUT);
}

#[test]
fn chosen_by_the_first_call() {
    if !platform().is_foreign() {
        check_rust(UNREGISTERED);
    }
}

#[test]
fn variants_are_chosen_by_name() {
    if !has_features() {
        eprintln!("skipped: there are no variants");
        return;
    }
    let builds = [PLAIN, WITHOUT, UNREGISTERED];
    for build in builds.into_iter().take(if platform().is_foreign() { 1 } else { usize::MAX }) {
        let path = built(build, "dispatch");
        let with =
            |variable: &str| said(program(&path, ("inline", "window")).env("STATIC_CALL_DISPATCH", variable));
        for variable in [
            "chosen=by_default",
            "dispatch::numbers::chosen = variants::by_default",
            "other=other_first,*::chosen=by_features,cho*=by_def*",
        ] {
            let (said, log) = with(variable);
            assert_eq!((&*said["chosen"], &*log), ("by_default", ""), "{build:?}, {variable}");
            assert_eq!(said["other"], "other_first");
        }
        for (variable, message) in [
            (
                "chosen=by_defaults",
                "is ignored: the variants are variants::by_absent, variants::by_features, \
                 variants::by_default\n",
            ),
            ("chosen=by_absent", "is ignored: the processor lacks some of sse2,tbm\n"),
        ] {
            if variable.ends_with("absent") && !is_x86_64() {
                continue;
            }
            let (said, log) = with(variable);
            assert_eq!(said["chosen"], "by_features");
            let message = if is_x86_64() { message } else { "is ignored: the variants are " };
            assert!(log.starts_with("static-call: STATIC_CALL_DISPATCH: ") && log.contains(message), "{log}");
            assert_eq!(log.lines().count(), 1, "{log}");
        }
    }
}

#[test]
fn the_log_names_what_was_chosen_and_what_matches_nothing() {
    if !has_features() {
        eprintln!("skipped: there are no variants");
        return;
    }
    let mut command = program(&built(PLAIN, "dispatch"), ("inline", "window"));
    command.env("STATIC_CALL_LOG", "1").env("STATIC_CALL_DISPATCH", "other=other_second,unknown=x,chosen");
    let (said, log) = said(&mut command);
    assert_eq!((&*said["chosen"], &*said["other"]), ("by_features", "other_second"));
    for line in [
        "dispatch::numbers::chosen dispatches to variants::by_features, one of ",
        "STATIC_CALL_DISPATCH: dispatch::numbers::other dispatches to other_second\n",
        "STATIC_CALL_DISPATCH: no dispatched function matches unknown so far\n",
        "STATIC_CALL_DISPATCH: chosen is not name=variant\n",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}{log}");
    }
}

/// A plain call that is inlined: nothing of static-call is left of it, not even a key.
#[test]
fn features_that_are_known_cost_nothing() {
    if !has_features() {
        eprintln!("skipped: no feature is known");
        return;
    }
    for wrapper in [None, PLAIN.wrapper] {
        let name = if wrapper.is_some() { "release" } else { "without" };
        let program = built(rust::Build { name, release: true, wrapper, ..PLAIN }, "known");
        assert!(stdout(&mut execute(&program)).ends_with("ok\n"));
        let mut objdump = llvm("llvm-objdump");
        objdump.args(["--no-show-raw-insn", "--no-leading-addr", "-d", "--disassemble-symbols=call_scale"]);
        let listing = stdout(objdump.arg(&program));
        let code = listing.split_once("<call_scale>:\n").expect("the function").1;
        let code: Vec<_> = code.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        let addition = if is_x86_64() { "leaq\t0x3(%rdi), %rax" } else { "add\tx0, x0, #0x3" };
        assert_eq!(code[0], addition, "{code:#?}");
        assert!(code[1].starts_with("ret"), "{code:#?}");
        let symbols = stdout(llvm("llvm-nm").arg(&program));
        for part in ["STATIC_CALL_DISPATCHED", "STATIC_CALL_VARIANTS", "__static_call_trampoline"] {
            assert!(!symbols.contains(part), "{part}");
        }
        // The test can fail.
        let program = built(rust::Build { name, release: true, wrapper, ..PLAIN }, "dispatch");
        assert!(stdout(llvm("llvm-nm").arg(&program)).contains("STATIC_CALL_DISPATCHED"));
    }
}

/// The same by a compiler's flag, which makes the program one for newer processors.
#[test]
fn features_of_the_target_are_known() {
    if !has_features() || platform().is_foreign() {
        eprintln!("skipped: no feature is known");
        return;
    }
    let flags = if is_x86_64() { "-Ctarget-feature=+sse4.2,+popcnt" } else { "-Ctarget-feature=+crc" };
    let environment = &[("RUSTFLAGS", flags)][..];
    let build = rust::Build { name: "features", release: true, wrapper: None, toolchain: None, environment };
    let program = built(build, "dispatch");
    let symbols = stdout(llvm("llvm-nm").args(["-C"]).arg(&program));
    assert!(!symbols.contains("numbers::other::__STATIC_CALL_DISPATCHED"), "{symbols}");
    // The first variant of this one is not known.
    let is_left = symbols.contains("numbers::chosen::__STATIC_CALL_DISPATCHED");
    assert_eq!(is_left, is_x86_64(), "{symbols}");
}

/// Every build, in every mode, with each way to refuse updates.
#[test]
fn resolvers_of_c() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let is_foreign = platform().is_foreign();
    let all = if is_foreign { &SOME_BUILDS } else { builds() };
    for (number, &build) in all.iter().enumerate() {
        let path = directory.path().join(number.to_string());
        let program = build.link(&["dispatch.c", "dispatch_other.c"], &[], &path);
        check(build, &program, &[&program], &(0..=0));
        let hows = ["signal", "sealed", "masked", "mdwe", "seccomp"];
        for how in hows.into_iter().take(if is_foreign { 2 } else { usize::MAX }) {
            for (mode, (writer, _)) in build.runs().take(if is_foreign { 1 } else { usize::MAX }) {
                run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer).arg(how));
            }
        }
    }
}

/// Those that a shared object calls are resolved before its calls become direct; those that nobody calls, by
/// constructors, or before the seal makes them read-only.
#[test]
fn resolvers_of_c_in_shared_objects() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in SOME_BUILDS.into_iter().take(if platform().is_foreign() { 1 } else { usize::MAX }) {
        let host = build.link_exporting("dispatch_host.c", &[], &directory.path().join("host"));
        let plugin = build.shared_object("dispatch_plugin.c", &directory.path().join("plugin.so"));
        for (mode, (writer, _)) in build.runs() {
            for seal in [None, Some("sealed")] {
                let mut command = in_mode(&host, mode);
                run(command.env("STATIC_CALL_WRITER", writer).arg(&plugin).args(seal));
            }
        }
    }
}

/// Where ifuncs fail.
#[test]
fn resolvers_of_c_under_sanitizers_and_in_static_programs() {
    if platform().is_foreign() {
        eprintln!("skipped: only this machine has the libraries");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let compilers = [Compiler::Pass, Compiler::Clang, Compiler::Gcc];
    for compiler in compilers {
        for flags in [
            &["-fsanitize=address,undefined", "-fno-sanitize=function", "-fno-sanitize-recover=all"][..],
            &["-fsanitize=thread"],
            &["-static-pie"],
            &["-static"],
        ] {
            // gcc has neither the option nor the check.
            let is_known = |flag: &&&str| compiler != Compiler::Gcc || **flag != "-fno-sanitize=function";
            let flags: Vec<&str> = flags.iter().filter(is_known).copied().collect();
            let program = directory.path().join("program");
            let build = Build { compiler, level: "-O1" };
            let program = build.link(&["dispatch.c", "dispatch_other.c"], &flags, &program);
            for mode in [None, Some("generic")] {
                for how in ["", "sealed"] {
                    run(in_mode(&program, mode).args((!how.is_empty()).then_some(how)));
                }
            }
        }
    }
}

/// Nothing but the header.
#[test]
fn resolvers_of_c_without_the_library() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in SOME_BUILDS.into_iter().filter(|build| !build.has_pass()) {
        let program = directory.path().join("program");
        let flags = ["-DSTATIC_CALL_WITHOUT_LIBRARY"];
        let program = build.link(&["dispatch.c", "dispatch_other.c"], &flags, &program);
        for how in ["", "signal", "sealed", "masked"] {
            run(execute(&program).args((!how.is_empty()).then_some(how)));
        }
    }
}
