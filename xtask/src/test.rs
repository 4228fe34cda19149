//! `cargo xtask test`: the tests of this machine, and with `--all` everything that CI runs.

use std::env;
use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context, Result, ensure};
use xtask::machines::{MACHINES, Machine};
use xtask::run::{cargo, host, run, target};
use xtask::{install, packages};

use crate::metadata::{self, Kind};
use crate::steps::Steps;
use crate::{book, crates, cross, dist, fuzz, imports, lint, real, real_crates};

/// The suites that a change is most likely to break, in a few minutes.
const QUICK: [&str; 17] = [
    "wrapper",
    "crafted",
    "inspect",
    "process",
    "snapshot",
    "layout",
    "documents",
    "ir",
    "notes",
    "targets",
    "compile_fail",
    "c_header",
    "c_programs",
    "c_bad_input",
    "c_damaged",
    "c_shared",
    "rust_programs",
];

/// The parts that run beside other machines' tests. Each builds into its own directory.
const PARTS: [&str; 8] =
    ["ripgrep", ARCHIVE, CONVERTED, "fuzzing", "crates", "models", "AddressSanitizer", BOOK];
const ARCHIVE: &str = "archive";
const BOOK: &str = "book";
const CONVERTED: &str = "converted crates";

/// The unit tests and the quick suites.
pub(crate) fn test_quick() -> Result<()> {
    packages::ensure(packages::TEST)?;
    let (quick, others): (Vec<_>, Vec<_>) =
        suites()?.into_iter().partition(|suite| QUICK.contains(&suite.as_str()));
    ensure!(quick.len() == QUICK.len(), "a suite has another name now; there are: {}", quick.join(", "));
    let mut steps = Steps::new();
    steps.run("imports", imports::check)?;
    if add_installation(&mut steps)? {
        add_tests(&mut steps, &quick)?;
    }
    let result = steps.finish();
    println!(
        "\nNot run: the suites {}; the other lints; sanitizers, models and fuzzing; ripgrep, built with the \
         wrapper; converted crates; the book, in a browser; and other machines, by emulators.\nOne suite: \
         cargo test --workspace --test NAME. The lints: cargo xtask lint. Everything: cargo xtask test \
         --all (three quarters of an hour on two processors).",
        others.join(", ")
    );
    result
}

/// Everything.
pub(crate) fn test_all() -> Result<()> {
    packages::ensure(packages::TEST)?;
    packages::ensure(packages::LINT)?;
    let mut steps = Steps::new();
    lint::add_steps(&mut steps)?;
    // The tests use an installed prefix, as users do.
    if add_installation(&mut steps)? {
        add_tests(&mut steps, &suites()?)?;
        remove_matrix()?;
        // Two machines would compete for apt's lock.
        // Windows is not among them yet: `cargo xtask test --target x86_64-pc-windows-gnu`.
        let machines = || MACHINES.iter().filter(|machine| !machine.is_windows());
        steps.run("tools of other machines", || machines().try_for_each(Machine::ensure_tools))?;
        // Each gets half of the processors.
        let threads = (available_parallelism()?.get() / 2).max(1).to_string();
        let program = env::current_exe()?;
        let machines = machines().map(|machine| machine.name);
        // Debian's archive and PyPI may be out of reach, or have dropped what is needed.
        let mut parts = PARTS.to_vec();
        for (part, prepared) in [(ARCHIVE, dist::prepare()), (BOOK, book::prepare())] {
            if let Err(error) = prepared {
                steps.skip(part, &error);
                parts.retain(|other| *other != part);
            }
        }
        // The longest parts come first, so that the last two end at nearly the same time.
        steps.run_at_once(machines.into_iter().chain(parts).map(|name| {
            let mut command = Command::new(&program);
            command.args(["part", name]).env("RUST_TEST_THREADS", &threads);
            (name.to_owned(), command)
        }))?;
    }
    steps.finish()
}

/// One of [`PARTS`], or the tests of another machine.
pub(crate) fn test_part(name: &str) -> Result<()> {
    match name {
        "AddressSanitizer" => sanitized(None),
        "models" => models(None),
        "fuzzing" => fuzz::fuzz(fuzz::RUNS),
        ARCHIVE => dist::test(),
        BOOK => book::test(),
        "crates" => crates::test(),
        "ripgrep" => real::compare(),
        CONVERTED => real_crates::test(),
        machine => {
            cross::test(machine, None)?;
            cross::remove_programs(machine)
        }
    }
}

/// The tests of this machine whose name contains the filter.
pub(crate) fn test_some(filter: &str) -> Result<()> {
    packages::ensure(packages::TEST)?;
    install::install_here()?;
    run(cargo().args(["test", "--workspace", "--no-fail-fast", filter]))?;
    sanitized(Some(filter))?;
    models(Some(filter))
}

/// Installs the prefix that the tests use. They cannot run without it.
fn add_installation(steps: &mut Steps) -> Result<bool> {
    steps.run("installation", install::install_here)?;
    Ok(!steps.has_last_failed())
}

fn add_tests(steps: &mut Steps, suites: &[String]) -> Result<()> {
    let targets: Vec<&str> = suites.iter().flat_map(|suite| ["--test", suite.as_str()]).collect();
    // One build, because the end of each build leaves processors idle.
    steps.run("build of the tests", || {
        run(test_command().args(["--no-run", "--lib", "--bins"]).args(&targets))
    })?;
    steps.run("unit tests", || run(test_command().args(["--lib", "--bins"])))?;
    steps.run("examples in documents", || run(test_command().arg("--doc")))?;
    for suite in suites {
        steps.run(suite, || run(test_command().args(["--test", suite])))?;
    }
    Ok(())
}

/// Removes what the matrix has built: three gigabytes, and CI's disk may not have them for the rest.
fn remove_matrix() -> Result<()> {
    // There is none if the tests did not compile.
    for build in fs::read_dir(target().join("tests")).into_iter().flatten().flatten() {
        if build.file_name().to_string_lossy().starts_with("matrix-") {
            let path = build.path();
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// The whole workspace: for fewer packages, cargo would rebuild their dependencies with fewer features.
fn test_command() -> Command {
    let mut test = cargo();
    test.args(["test", "--quiet", "--workspace", "--no-fail-fast"]);
    test
}

/// The workspace's integration tests.
fn suites() -> Result<Vec<String>> {
    let targets = metadata::packages("Cargo.toml")?.into_iter().flat_map(|package| package.targets);
    Ok(targets.filter(|target| target.kind == Kind::Test).map(|target| target.name).collect())
}

/// The runtime's unit tests under AddressSanitizer, which stable compilers contain but do not offer.
fn sanitized(filter: Option<&str>) -> Result<()> {
    run(cargo()
        .args(["test", "--quiet", "--lib", "-p", "static-call", "--target", &host()?, "--target-dir"])
        .arg(target().join("asan"))
        .args(filter)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address"))
}

/// loom runs the lock, and what threads do without a lock, in every order.
fn models(filter: Option<&str>) -> Result<()> {
    run(cargo()
        .args(["test", "--release", "--lib", "-p", "static-call", "-p", "static-call-abi", "--target-dir"])
        .arg(target().join("loom"))
        .args(["--", "models::"])
        .args(filter)
        .env("RUSTFLAGS", "--cfg loom"))
}
