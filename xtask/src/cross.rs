//! `cargo xtask test --target NAME`: builds the test programs for another machine, and runs them in an
//! emulator unless this machine can run them.
//!
//! The tests and the pass run on this machine; the C library and the test programs are built for the other
//! one. To add a machine, add a row to `machines.rs` and a file to `tests/src/platform/`.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use xtask::machines::MACHINES;
use xtask::run::{cargo, run, target};
use xtask::{install, packages};

/// The tests that build programs for the machine. All others test only this machine's compilers.
const TESTS: [&str; 14] = [
    "branches",
    "c_programs",
    "c_shared",
    "c_bad_input",
    "c_damaged",
    "c_hardened",
    "c_trampolines",
    "dispatch",
    "gcc_inline",
    "machine",
    "pages",
    "registry",
    "rust_programs",
    "torture",
];

/// The same for Windows, whose programs use nothing of POSIX.
const TESTS_OF_WINDOWS: [&str; 1] = ["windows"];

/// Runs the tests on one machine.
pub(crate) fn test(name: &str, filter: Option<&str>) -> Result<()> {
    let Some(machine) = MACHINES.into_iter().find(|machine| machine.name == name) else {
        let known = MACHINES.map(|machine| machine.name).join(", ");
        bail!("there is no test for {name}; there is one for: {known}");
    };
    let started = Instant::now();
    packages::ensure(packages::TEST)?;
    machine.ensure_tools()?;
    let rustc = machine.rustc()?;
    install::install_for(&machine.directory().join("prefix"), Some((&machine, rustc.as_deref())))?;
    let mut tests = cargo();
    tests.args(["test", "--no-fail-fast", "--workspace"]);
    let suites = if machine.is_windows() { &TESTS_OF_WINDOWS[..] } else { &TESTS };
    tests.args(suites.iter().flat_map(|test| ["--test", test])).args(filter);
    tests.env("STATIC_CALL_TEST_TARGET", machine.name);
    if let Some(rustc) = rustc {
        tests.env("STATIC_CALL_TEST_RUSTC", rustc);
    }
    let _services = machine.keep_services()?;
    run(&mut tests)?;
    println!("{name}: passed in {} s", started.elapsed().as_secs());
    Ok(())
}

/// Removes what the tests have built for a machine: most of a gigabyte, and CI's disk may not have that for
/// each.
pub(crate) fn remove_programs(name: &str) -> Result<()> {
    for build in fs::read_dir(target().join("tests")).context("cannot list the tests' builds")? {
        let programs = build?.path().join(name);
        if programs.is_dir() {
            fs::remove_dir_all(&programs).with_context(|| format!("cannot remove {}", programs.display()))?;
        }
    }
    Ok(())
}
