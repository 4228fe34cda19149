//! Programs for Windows, under Wine: those of `tests/c` that use nothing of POSIX but threads, and what only
//! Windows has.
//!
//! `cargo xtask test --target x86_64-pc-windows-gnu` runs them; for other machines there is nothing to do.

use std::path::PathBuf;
use std::process::Command;

use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{Build, Compiler, Report, check_all, in_mode, modes};
use static_call_tests::platform::platform;
use static_call_tests::rust::{self, PLAIN, behaves_in_all_modes};
use static_call_tests::{prefix, run, stdout};

/// Whether the tests are for another machine.
fn skips() -> bool {
    let skips = !platform().is_windows();
    if skips {
        eprintln!("skipped: for Windows");
    }
    skips
}

/// With the pass, and the DLL of the library.
const SHARED: Build = Build { compiler: Compiler::PassShared, level: "-O2" };
/// With the pass, and the static library.
const STATIC: Build = Build { compiler: Compiler::Pass, level: "-O2" };

/// A program and its DLLs, in a directory of their own.
struct Programs(tempfile::TempDir);

impl Programs {
    /// With the DLL of `pe_keys.c`.
    fn new() -> Self {
        let programs = Self(tempfile::tempdir().expect("a temporary directory"));
        let implib = format!("-Wl,--out-implib={}", programs.at("keys.a").display());
        let _ = SHARED.link(&["pe_keys.c"], &["-shared", &implib], &programs.at("keys.dll"));
        programs
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program that imports the keys.
    fn link(&self, source: &str, output: &str, flags: &[&str]) -> PathBuf {
        let keys = self.at("keys.a");
        let flags = [flags, &[keys.to_str().expect("UTF-8")]].concat();
        SHARED.link(&[source], &flags, &self.at(output))
    }
}

/// One test for all: each program is built in each way, and run in each mode.
#[test]
fn programs_that_use_no_posix() {
    if skips() {
        return;
    }
    for sources in [
        &["proposal.c"][..],
        &["keys.c"],
        &["two_files.c", "two_files_other.c"],
        &["off.c"],
        &["signatures.c"],
        &["batch.c"],
        &["lifecycle.c"],
    ] {
        check_all(sources);
    }
}

#[test]
fn programs_in_cpp() {
    if skips() {
        return;
    }
    for sources in [["proposal.cpp"], ["keys.cpp"], ["scopes.cpp"], ["exceptions.cpp"]] {
        check_all(&sources);
    }
}

/// `tests/rust/behaviour`, with its C: every recorded call is direct in mode inline, and calls in threads
/// follow updates.
#[test]
fn programs_in_rust() {
    if skips() {
        return;
    }
    behaves_in_all_modes(&rust::Build { name: "debug", ..PLAIN }.behaviour());
    let release = rust::Build { name: "release", release: true, ..PLAIN }.behaviour();
    behaves_in_all_modes(&release);
    let seconds = std::env::var("TORTURE_SECONDS").unwrap_or_else(|_| "2".into());
    let torture = |mode, more: Option<&str>| {
        let said = stdout(in_mode(&release, mode).args(["torture", &seconds]).args(more));
        println!("torture: Rust under Wine, {mode:?}, {more:?}: {said}");
        let [calls, updates, wrong] = numbers(said.lines().last().expect("a line"))[..] else {
            panic!("{said}")
        };
        assert!(calls > 0 && updates > 1, "{said}");
        wrong
    };
    for &mode in modes() {
        assert_eq!(torture(mode, None), 0, "{mode:?}");
    }
    // The checks find what they look for.
    assert!(torture(None, Some("early")) > 0, "an update that is said to be over too early is not noticed");
}

/// The numbers of a line such as `calls 3, updates 4`.
fn numbers(line: &str) -> Vec<u64> {
    let fields = line.trim().split(", ");
    fields.map(|field| field.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number")).collect()
}

/// Readers of a key of a DLL and of one of the program, updates of both at once, and a DLL that comes and
/// goes. `TORTURE_SECONDS` is the time for each mode.
#[test]
fn calls_in_threads_and_dlls_follow_updates() {
    if skips() {
        return;
    }
    let programs = Programs::new();
    let plugin = programs.link("pe_plugin.c", "plugin.dll", &["-shared"]);
    let program = programs.link("pe_torture.c", "torture.exe", &[]);
    let seconds = std::env::var("TORTURE_SECONDS").unwrap_or_else(|_| "2".into());
    let torture = |mode, more: Option<&str>| {
        let output =
            run(in_mode(&program, mode).args([&seconds, plugin.to_str().expect("UTF-8")]).args(more));
        let said = String::from_utf8(output.stdout.clone()).expect("UTF-8");
        println!("torture: C under Wine, {mode:?}, {more:?}: {said}");
        let [calls, updates, loads, stale, wrong] = numbers(said.lines().next().expect("a line"))[..] else {
            panic!("{said}")
        };
        assert!(calls > 0 && updates > 1 && loads > 0 && wrong == 0, "{said}");
        (stale, Report::find(&output.stdout))
    };
    for &mode in modes() {
        let (stale, report) = torture(mode, None);
        assert_eq!(stale, 0, "{mode:?}");
        let expected = [("trampoline", 1), ("generic", 0)].into_iter().find(|(name, _)| mode == Some(name));
        assert_eq!(report.mode, expected.map_or(2, |(_, number)| number), "{mode:?}");
        assert_eq!((report.direct > 0, report.images), (report.mode == 2, 2), "{mode:?}: {report:?}");
    }
    // The checks find what they look for.
    assert!(torture(None, Some("early")).0 > 0, "an update that is said to be over too early is not noticed");
}

/// The inspector runs on this machine. It finds the calls, the places in the source, and keys of other DLLs.
#[test]
fn the_inspector_reads_programs_and_dlls() {
    if skips() {
        return;
    }
    let programs = Programs::new();
    let plugin = programs.link("pe_plugin.c", "plugin.dll", &["-shared", "-g"]);
    let program = programs.link("pe_torture.c", "torture.exe", &["-g"]);
    let inspect = |path: &PathBuf| {
        let mut inspector = Command::new(prefix().join("bin/static-call-inspect"));
        stdout(inspector.args(["--json", "--require-all-direct"]).arg(path))
    };
    for (path, kind, keys) in
        [(&program, "Windows program", ["local", "shared"]), (&plugin, "Windows DLL", ["own", "shared"])]
    {
        let sites = StaticCalls::read(path).checked();
        let said = inspect(path);
        let has = |what: &str| assert!(said.contains(what), "{what}: {said}");
        has(&format!("x86-64, 64 bits, {kind}"));
        has(&format!("\"sites\": {sites},"));
        keys.iter().for_each(|key| has(&format!("\"name\": \"{key}\"")));
        // The key of the DLL, which the program imports.
        assert_eq!(said.matches("\"address\": null").count(), 1, "{said}");
        let others = ["__imp_", "__IAT_", "the feature"];
        assert!(!others.iter().any(|other| said.contains(other)), "{said}");
        let file = if kind.ends_with("DLL") { "pe_plugin.c" } else { "pe_torture.c" };
        assert!(said.matches(&format!("{file}\"")).count() >= sites, "{said}");
    }
    // The half of a file is none.
    let whole = std::fs::read(&program).expect("the program");
    let half = programs.at("half.exe");
    std::fs::write(&half, &whole[..whole.len() / 2]).expect("a file");
    let refused =
        static_call_tests::failure(Command::new(prefix().join("bin/static-call-inspect")).arg(&half));
    assert!(refused.contains("is truncated or damaged"), "{refused}");
}

#[test]
fn a_policy_against_dynamic_code_leaves_calls_right() {
    if skips() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = STATIC.link(&["pe_refused.c"], &[], &directory.path().join("refused.exe"));
    for (when, mode) in [("early", 0), ("later", 2)] {
        let output = run(in_mode(&program, None).arg(when));
        assert_eq!(Report::find(&output.stdout).mode, mode, "{when}");
    }
}

#[test]
fn sealed_keys_are_read_only() {
    if skips() {
        return;
    }
    let programs = Programs::new();
    let program = programs.link("pe_sealed.c", "sealed.exe", &[]);
    for &mode in modes() {
        run(&mut in_mode(&program, mode));
    }
}

/// Windows ends the other threads first: one of them may hold the library's lock for ever.
#[test]
fn a_program_ends_in_the_middle_of_an_update() {
    if skips() {
        return;
    }
    let programs = Programs::new();
    let program = programs.link("pe_exit.c", "exit.exe", &[]);
    for _ in 0..10 {
        assert_eq!(stdout(&mut in_mode(&program, None)).trim(), "ended");
    }
}
