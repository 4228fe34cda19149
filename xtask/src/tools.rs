//! `cargo xtask tools`: the tests with the newest versions of cargo's tools from crates.io. Debian has only
//! some of them.

use anyhow::Result;
use xtask::run::{cargo, run, target};
use xtask::{install, packages};

/// Without sccache's remote caches, which the tests do not need.
const TOOLS: [&[&str]; 3] = [&["sccache", "--no-default-features"], &["cargo-llvm-cov"], &["cargo-nextest"]];

pub(crate) fn tools() -> Result<()> {
    packages::ensure(packages::TEST)?;
    install::install_here()?;
    let directory = target().join("tools");
    for tool in TOOLS {
        run(cargo().args(["install", "--locked", "--root"]).arg(&directory).args(tool))?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [directory.join("bin")].into_iter().chain(std::env::split_paths(&path));
    run(cargo()
        .args(["test", "-p", "static-call-tests", "--test", "tools"])
        .env("PATH", std::env::join_paths(path)?))
}
