//! `cargo xtask lint`: the static checks of the sources.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use xtask::packages;
use xtask::run::{cargo, root, run, tracked_files};

use crate::steps::Steps;
use crate::{features, imports, lines, pypi};

/// All C and C++.
const C_FILES: [&str; 4] = ["*.c", "*.h", "*.cpp", "*.cppm"];

pub(crate) fn lint() -> Result<()> {
    packages::ensure(&packages::build(&[])?)?;
    packages::ensure(packages::LINT)?;
    let mut steps = Steps::new();
    add_steps(&mut steps)?;
    steps.finish()
}

pub(crate) fn add_steps(steps: &mut Steps) -> Result<()> {
    steps.run("rustfmt", rustfmt)?;
    steps.run("clang-format", clang_format)?;
    steps.run("long lines", lines::check)?;
    steps.run("imports", imports::check)?;
    add_check(steps, "spelling", "typos", spelling)?;
    add_check(steps, "dependencies", "cargo-deny", dependencies)?;
    steps.run("clippy", || {
        run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    steps.run("rustdoc", || {
        run(cargo()
            .args(["doc", "--quiet", "--no-deps", "-p", "static-call", "-p", "static-call-abi"])
            .env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    steps.run("features", features::check)?;
    steps.run("oldest dependencies", features::check_oldest_dependencies)
}

/// `cargo fmt` misses other workspaces and modules that a macro declares.
fn rustfmt() -> Result<()> {
    let mut format = Command::new("rustfmt");
    run(format.args(["--check", "--edition", "2024"]).args(tracked_files(&["*.rs"])?).current_dir(root()))
        .context("format it with rustfmt --edition 2024")
}

fn clang_format() -> Result<()> {
    let mut format = Command::new("clang-format-22");
    run(format.args(["--dry-run", "--Werror"]).args(tracked_files(&C_FILES)?).current_dir(root()))
        .context("format it with clang-format-22 -i")
}

/// Runs a check with a program from PyPI. It is skipped where the program cannot be installed, because this
/// machine is offline or has another architecture; the table at the end says so.
fn add_check(steps: &mut Steps, name: &str, program: &str, check: fn(&Path) -> Result<()>) -> Result<()> {
    match pypi::program(program).with_context(|| format!("{program} cannot be installed")) {
        Ok(found) => steps.run(name, || check(&found)),
        Err(error) => {
            steps.skip(name, &error);
            Ok(())
        }
    }
}

fn spelling(typos: &Path) -> Result<()> {
    run(Command::new(typos).args(["--format", "brief"]).current_dir(root()))
        .context("a word that is right goes into typos.toml")
}

fn dependencies(deny: &Path) -> Result<()> {
    run(Command::new(deny)
        .args(["--all-features", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
        .current_dir(root()))
}
