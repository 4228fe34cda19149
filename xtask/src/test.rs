//! `cargo xtask test`: everything that is tested on this machine alone.

use anyhow::Result;

use crate::run::{cargo, run, target};
use crate::{fuzz, install, packages, real};

pub(crate) fn test(filter: Option<&str>) -> Result<()> {
    packages::ensure(packages::TEST)?;
    if filter.is_none() {
        lint()?;
    }
    // The tests use what a user would: an installed prefix.
    install::install_here()?;
    run(cargo().args(["test", "--workspace", "--no-fail-fast"]).args(filter))?;
    sanitized(filter)?;
    models(filter)?;
    if filter.is_none() {
        fuzz::fuzz(fuzz::RUNS)?;
        real::compare()?;
    }
    Ok(())
}

/// The runtime's unit tests under AddressSanitizer, which stable compilers have, and do not offer.
fn sanitized(filter: Option<&str>) -> Result<()> {
    run(cargo()
        .args(["test", "--quiet", "--lib", "-p", "static-call", "--target", &fuzz::host()?, "--target-dir"])
        .arg(target().join("asan"))
        .args(filter)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address"))
}

/// Has loom run what threads do without a lock, and the lock itself, in every order.
fn models(filter: Option<&str>) -> Result<()> {
    run(cargo()
        .args(["test", "--release", "--lib", "-p", "static-call", "-p", "static-call-abi", "--target-dir"])
        .arg(target().join("loom"))
        .args(["--", "models::"])
        .args(filter)
        .env("RUSTFLAGS", "--cfg loom"))
}

fn lint() -> Result<()> {
    if run(cargo().args(["fmt", "--version"])).is_err() {
        eprintln!("rustfmt and clippy are not installed (rustup component add rustfmt clippy): skipped");
        return Ok(());
    }
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo()
        .args(["doc", "--quiet", "--no-deps", "-p", "static-call", "-p", "static-call-abi"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}
