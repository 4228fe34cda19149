//! Builds the programs that measure, as a user of the installed prefix would.

use std::collections::VecDeque;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::directories::output_directory;
use xtask::install::{PLUGIN, cargo_with_pass, hash, prefix};
use xtask::run::host;
use xtask::run::{output, root, run};

/// A Rust program of `benches/src`, built with the pass. Each variant has its own directory, so that cargo
/// builds it only once.
pub(crate) fn rust_program(name: &str, way: &str, adapt: impl FnOnce(&mut Command)) -> Result<PathBuf> {
    let directory = output_directory()?.join(way);
    // With an explicit target, flags affect the program and not build scripts.
    let host = host()?;
    let mut cargo = cargo_with_pass(&directory)?;
    // This also overrides flags from a configuration file in the user's home; `adapt` may set others.
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

/// The same program with its functions in a random order, which `seed` chooses.
pub(crate) fn placed_rust_program(
    name: &str,
    way: &str,
    seed: usize,
    adapt: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let directory = output_directory()?.join(way);
    let host = host()?;
    let mut cargo = cargo_with_pass(&directory)?;
    cargo.env("RUSTFLAGS", "");
    cargo.args(["rustc", "--quiet", "--release", "-p", "static-call-benches", "--bin", name]);
    cargo.args(["--target", &host]);
    adapt(&mut cargo);
    cargo.args(["--", "-Clinker=clang-22", "-Clink-arg=-fuse-ld=lld"]);
    run(cargo.arg(format!("-Clink-arg=-Wl,--shuffle-sections=.text*={seed}")))?;
    let program = directory.join(host).join("release").join(name);
    let kept = directory.join(format!("{name}-{seed}"));
    fs::copy(&program, &kept).with_context(|| format!("cannot copy {}", program.display()))?;
    Ok(kept)
}

/// An `adapt` that builds without the pass.
pub(crate) fn without_pass(cargo: &mut Command) {
    cargo.env_remove("RUSTC_WRAPPER").env_remove("STATIC_CALL_REQUIRE");
}

pub(crate) fn wrapper() -> PathBuf {
    prefix().join("bin/static-call-rustc")
}

/// A program of `benches/c`.
pub(crate) fn c_program(mut compiler: Command, source: &str, name: &str, flags: &[&str]) -> Result<PathBuf> {
    let program = output_directory()?.join(name);
    compiler.args(flags).arg(c_source(source)).arg("-o").arg(&program).args(link_flags());
    // All files that it may include.
    let mut sources: Vec<PathBuf> =
        fs::read_dir(c_source("."))?.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    sources.sort();
    let stamp = Stamp::new(&program, &[&compiler], &sources)?;
    if stamp.is_stale()? {
        run(&mut compiler)?;
        stamp.set()?;
    }
    Ok(program)
}

/// What a file was made from. The file is remade only if this changes.
pub(crate) struct Stamp {
    product: PathBuf,
    made_of: String,
}

impl Stamp {
    /// Records the commands and sources of `product`, the installation, and the compiler.
    pub(crate) fn new(product: &Path, commands: &[&Command], sources: &[PathBuf]) -> Result<Self> {
        let installed = [
            "include/static_call.h",
            "include/static_call_trampoline.h",
            "include/static_branch.h",
            "lib/libstatic_call.a",
            "lib/libstatic_call.so.0",
            PLUGIN,
            RECORDER,
        ];
        let installed = installed.iter().map(|file| prefix().join(file));
        let mut hasher = DefaultHasher::new();
        for file in sources.iter().cloned().chain(installed) {
            hasher.write(hash(&file)?.as_bytes());
        }
        for command in commands {
            hasher.write(format!("{command:?}").as_bytes());
        }
        for compiler in ["clang-22", "gcc"] {
            hasher.write(output(Command::new(compiler).arg("--version"))?.as_bytes());
        }
        Ok(Self { product: product.into(), made_of: format!("{:016x}", hasher.finish()) })
    }

    fn path(&self) -> PathBuf {
        self.product.with_added_extension("made-of")
    }

    /// Whether the file must be made. Until it is, an existing file counts as incomplete.
    pub(crate) fn is_stale(&self) -> Result<bool> {
        let made_of = fs::read_to_string(self.path()).ok();
        let is_stale = !self.product.exists() || made_of.as_ref() != Some(&self.made_of);
        if is_stale && made_of.is_some() {
            fs::remove_file(self.path())
                .with_context(|| format!("cannot remove {}", self.path().display()))?;
        }
        Ok(is_stale)
    }

    /// Records that the file is complete.
    pub(crate) fn set(&self) -> Result<()> {
        fs::write(self.path(), &self.made_of)
            .with_context(|| format!("cannot write {}", self.path().display()))
    }
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
        let plugin = prefix.join(PLUGIN);
        clang.arg(format!("-fpass-plugin={}", plugin.display())).arg("-DSTATIC_CALL_WITH_PASS");
    }
    clang
}

/// The assembler that gcc runs instead of its own.
const RECORDER: &str = "lib/static-call/as/as";

/// gcc with the header and, if wanted, the assembler that records calls.
pub(crate) fn gcc(with_recorder: bool) -> Command {
    let prefix = prefix();
    let mut gcc = Command::new("gcc");
    gcc.arg("-I").arg(prefix.join("include"));
    let directory = prefix.join(RECORDER).with_file_name("");
    gcc.args(with_recorder.then(|| format!("-B{}", directory.display())));
    gcc
}

/// The flags that link the C library.
pub(crate) fn link_flags() -> [String; 3] {
    let library = prefix().join("lib").display().to_string();
    [format!("-L{library}"), "-lstatic_call".into(), format!("-Wl,-rpath,{library}")]
}

/// Runs commands, one per processor at a time.
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
