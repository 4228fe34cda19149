//! Everything at once, in every mode: threads call while others update, load and unload a plugin, fork and
//! raise signals (`tests/c/torture.c`, `tests/rust/torture`).
//!
//! `TORTURE_SECONDS` is the time for each mode and language. `cargo xtask torture` sets it, and tabulates the
//! lines that these tests print.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use static_call_tests::c;
use static_call_tests::execute;
use static_call_tests::platform::platform;
use static_call_tests::rust::{self, PLAIN};

/// `STATIC_CALL_MODE` and `STATIC_CALL_WRITER`.
const MATRIX: [(&str, &str); 6] = [
    ("inline", "window"),
    ("inline", "alias"),
    ("inline", "breakpoint"),
    ("trampoline", "window"),
    ("trampoline", "breakpoint"),
    ("generic", "none"),
];

/// Runs the program once for each row of the matrix, even if one fails.
fn torture(language: &str, program: &Path, arguments: &[&Path]) {
    // Each has more threads than a small machine has processors, and runs for a fixed time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let seconds = std::env::var("TORTURE_SECONDS").unwrap_or_else(|_| "2".into());
    let mut failures = Vec::new();
    let is_there = |writer| c::writers().iter().any(|(known, _)| *known == writer);
    let rows = MATRIX.into_iter().filter(|row| row.1 == "none" || is_there(row.1));
    for (mode, writer) in rows {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = execute(program);
        command.args(["--seconds", &seconds]).args(arguments).envs(platform().strict().iter().copied());
        command.env_remove("STATIC_CALL_LOG");
        command.env("STATIC_CALL_MODE", mode).env("STATIC_CALL_WRITER", writer);
        let cell = format!("mode {mode}, writer {writer}");
        match verdict(&mut command, &cell) {
            Ok(line) => println!("torture: {language}, {line}"),
            Err(why) => {
                println!("torture: {language}, {cell}, FAILED");
                failures.push(format!("{language}, {cell}: {why}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The line that the program prints, which must show that everything was done at least once; or an error.
fn verdict(command: &mut Command, cell: &str) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}\n{complaint}", output.status));
    }
    let line = printed.trim_end();
    let counts = line.strip_prefix(cell).and_then(|rest| rest.strip_suffix(", none wrong or stale"));
    let has = |what: &str| {
        let count = counts?.split(", ").find_map(|field| field.strip_prefix(what)?.strip_prefix(' '));
        count?.parse::<u64>().ok().filter(|&count| count > 0)
    };
    let is_complete =
        ["calls", "updates", "loads", "forks", "signals"].into_iter().all(|what| has(what).is_some());
    if is_complete { Ok(line.into()) } else { Err(format!("it printed: {printed}{complaint}")) }
}

#[test]
fn rust() {
    let build = rust::Build { name: "release", release: true, ..PLAIN };
    torture("Rust", &build.build(&["-p", "torture"]).join("torture"), &[]);
}

#[test]
fn c() {
    let build = c::Build { compiler: c::Compiler::Pass, level: "-O2" };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let shared = build.shared_object("torture_shared.c", &at("libtorture_shared.so"));
    let plugin = build.shared_object("torture_plugin.c", &at("torture_plugin.so"));
    torture("C", &build.link_exporting("torture.c", &[&shared], &at("torture")), &[&plugin]);
}
