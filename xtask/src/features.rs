//! Checks the published crates with each of their features, with none and with all, and with the oldest
//! dependencies that they allow.

use std::fs;

use anyhow::Result;
use xtask::run::{cargo, root, run, target};

use crate::metadata;

const CRATES: [&str; 2] = ["static-call", "static-call-abi"];

pub(crate) fn check() -> Result<()> {
    for package in
        metadata::packages("Cargo.toml")?.into_iter().filter(|package| CRATES.contains(&&*package.name))
    {
        let each =
            package.features.iter().map(|feature| vec!["--no-default-features", "--features", feature]);
        for flags in [vec!["--no-default-features"], vec!["--all-features"]].into_iter().chain(each) {
            println!("{} {}", package.name, flags.join(" "));
            run(cargo()
                .args(["check", "--quiet", "--lib", "-p", &package.name])
                .args(flags)
                .env("RUSTFLAGS", "-Dwarnings"))?;
        }
    }
    Ok(())
}

/// Uses a package outside the workspace, because cargo keeps one version of each dependency per workspace.
pub(crate) fn check_oldest_dependencies() -> Result<()> {
    let directory = target().join("oldest");
    fs::create_dir_all(&directory)?;
    let _ = fs::remove_file(directory.join("Cargo.lock"));
    fs::write(directory.join("lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"oldest\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [lib]\npath = \"lib.rs\"\n\
         [dependencies]\nstatic-call = {{ path = {:?}, features = [\"inspect\"] }}\n\
         [workspace]\n",
        root().join("runtime")
    );
    fs::write(directory.join("Cargo.toml"), manifest)?;
    let mut check = cargo();
    check.args(["check", "--quiet", "-Zminimal-versions", "--target-dir"]).arg(&directory);
    run(check.arg("--manifest-path").arg(directory.join("Cargo.toml")).env("RUSTC_BOOTSTRAP", "1"))
}
