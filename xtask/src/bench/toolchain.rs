//! How the programs that measure are built: as a user of the installed prefix would do it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use super::output_directory;
use crate::fuzz::host;
use crate::install::{cargo_with_pass, prefix};
use crate::run::{root, run};

/// A Rust program of `benches/src`, built with the pass. Each way to build has a directory of its own, so that cargo
/// builds it only once.
pub(crate) fn rust_program(name: &str, way: &str, adapt: impl FnOnce(&mut Command)) -> Result<PathBuf> {
    let directory = output_directory()?.join(way);
    // With the target named, flags are for the program and not for build scripts.
    let host = host()?;
    let mut cargo = cargo_with_pass(&directory)?;
    // Also the flags of a configuration file in the user's home are not for these; `adapt` may say which are.
    cargo.env("RUSTFLAGS", "");
    cargo.args([
        "build",
        "--quiet",
        "--release",
        "-p",
        "static-call-benches",
        "--bin",
        name,
        "--target",
        &host,
    ]);
    adapt(&mut cargo);
    run(&mut cargo)?;
    Ok(directory.join(host).join("release").join(name))
}

pub(crate) fn wrapper() -> PathBuf {
    prefix().join("bin/static-call-rustc")
}

/// A program of `benches/c`.
pub(crate) fn c_program(source: &str, name: &str, flags: &[&str]) -> Result<PathBuf> {
    let program = output_directory()?.join(name);
    let mut clang = clang(true);
    clang.args(flags).arg(c_source(source)).arg("-o").arg(&program).args(link_flags());
    run(&mut clang)?;
    Ok(program)
}

pub(crate) fn c_source(name: &str) -> PathBuf {
    root().join("benches/c").join(name)
}

/// clang with the header and, if wanted, the pass.
pub(crate) fn clang(with_pass: bool) -> Command {
    let prefix = prefix();
    let mut clang = Command::new("clang-22");
    clang.arg("-I").arg(prefix.join("include"));
    if with_pass {
        let plugin = prefix.join("lib/static-call/libstatic_call_pass.so");
        clang.arg(format!("-fpass-plugin={}", plugin.display()));
    }
    clang
}

/// The flags that link the C library.
pub(crate) fn link_flags() -> [String; 3] {
    let library = prefix().join("lib").display().to_string();
    [format!("-L{library}"), "-lstatic_call".into(), format!("-Wl,-rpath,{library}")]
}

/// Runs commands, as many at a time as there are processors.
pub(crate) fn run_all(commands: impl IntoIterator<Item = Command>) -> Result<()> {
    let commands = Mutex::new(commands.into_iter().collect::<VecDeque<_>>());
    let work = || {
        loop {
            let next = commands.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(mut command) = next else { return Ok(()) };
            run(&mut command)?;
        }
    };
    let workers = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })
}
