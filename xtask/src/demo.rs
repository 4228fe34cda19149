//! `cargo xtask demo`: static calls at work on a large real file, and what a call costs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use xtask::run::{output, run, target, without_foreign_settings};
use xtask::{install, packages};

use crate::bench;

pub(crate) fn demo() -> Result<()> {
    without_foreign_settings()?;
    packages::ensure(packages::TEST)?;
    install::install_here()?;

    let built = target().join("static-call");
    let file = compiler_library()?;
    println!("\n$ RUSTC_WRAPPER=static-call-rustc cargo build --release -p checksum");
    run(install::cargo_with_pass(&built)?.args(["build", "--quiet", "--release", "-p", "checksum"]))?;
    println!("$ checksum {}\n", file.display());
    run(Command::new(built.join("release/checksum")).arg(&file))?;

    println!("\nwhat a call costs:");
    bench::run_harness(&["--calls-only".into()])
}

/// A large file that every Rust installation has: the compiler's own driver library.
fn compiler_library() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = output(Command::new(rustc).args(["--print", "sysroot"]))?;
    let library = PathBuf::from(sysroot.trim()).join("lib");
    let entries =
        std::fs::read_dir(&library).with_context(|| format!("cannot look into {}", library.display()))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("librustc_driver") && name.ends_with(".so")
        })
        .with_context(|| format!("no librustc_driver-*.so in {}", library.display()))
}
