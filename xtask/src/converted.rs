//! Crates from crates.io that `tests/real` converts to static calls: the sources, and how they are built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSymbol};
use serde_json::Value;

use crate::install::cargo_with_pass;
use crate::run::{cargo, output, root, run, target, tracked_files};

/// A crate. `tests/real/NAME.patch` converts it, and `tests/real/originals` names its version.
pub struct Crate {
    /// Its name on crates.io.
    pub name: &'static str,
    /// The features that its tests need.
    features: &'static [&'static str],
    /// The part of its tests that reaches what was converted.
    pub filter: &'static str,
}

const fn of(name: &'static str, features: &'static [&'static str], filter: &'static str) -> Crate {
    Crate { name, features, filter }
}

/// All of them.
pub const CRATES: [Crate; 5] = [
    of("bytecount", &["runtime-dispatch-simd"], ""),
    of("crc32fast", &[], ""),
    // A shared object needs the standard library's panic handler.
    of("log", &["std"], ""),
    // Most of its time goes into the search for substrings, whose choice a searcher keeps.
    of("memchr", &[], "memchr::"),
    of("simdutf8", &[], ""),
];

/// The program that compares the crates with their originals.
const PROGRAM: &str = "static-call-real";

impl Crate {
    /// A command of cargo for this crate alone.
    pub fn cargo(&self, with_pass: bool, command: &str) -> Result<Command> {
        let mut cargo = cargo_in(with_pass)?;
        cargo.args([command, "--quiet", "--manifest-path"]).arg(sources().join(self.name).join("Cargo.toml"));
        if !self.features.is_empty() {
            cargo.args(["--features", &self.features.join(",")]);
        }
        Ok(cargo)
    }

    /// A command of cargo that makes an optimized build of the original library alone.
    pub fn build_original(&self) -> Result<Command> {
        let mut cargo = cargo_in(false)?;
        let version = packages()?.into_iter().find(|package| package.name == self.name);
        let version = version.with_context(|| format!("no {} among the originals", self.name))?.version;
        let package = format!("https://github.com/rust-lang/crates.io-index#{}@{version}", self.name);
        cargo.args(["build", "--quiet", "--release", "--package", &package]);
        Ok(cargo)
    }

    /// The symbols that a shared object exports because this crate is in it, built without the wrapper.
    pub fn exported_symbols(&self) -> Result<Vec<String>> {
        run(self.cargo(false, "rustc")?.args(["--lib", "--crate-type=cdylib"]))?;
        let path = build_directory(false).join("debug").join(format!("lib{}.so", self.name));
        let data = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = object::File::parse(&*data).with_context(|| format!("in {}", path.display()))?;
        let names = file.dynamic_symbols().filter(ObjectSymbol::is_definition);
        Ok(names.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).collect())
    }

    /// What the compiler warns of when the library is built without the wrapper.
    pub fn warnings(&self) -> Result<Vec<String>> {
        // Those of an earlier build are repeated.
        let text = output(self.cargo(false, "check")?.args(["--lib", "--message-format=json"]))?;
        let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let messages = messages.filter(|message| message["reason"] == "compiler-message");
        Ok(messages.map(|message| message["message"]["rendered"].to_string()).collect())
    }
}

/// Builds the program that compares the crates with their originals. With a `placement` it is optimized, and
/// the linker puts its functions in a random order, which this number chooses.
pub fn program(with_pass: bool, placement: Option<usize>) -> Result<PathBuf> {
    let mut cargo = cargo_in(with_pass)?;
    cargo.args(["rustc", "--quiet", "--package", PROGRAM, "--bin", PROGRAM]);
    let directory = build_directory(with_pass);
    let Some(seed) = placement else {
        run(&mut cargo)?;
        return Ok(directory.join("debug").join(PROGRAM));
    };
    cargo.args(["--release", "--", "-Clinker=clang-22", "-Clink-arg=-fuse-ld=lld"]);
    run(cargo.arg(format!("-Clink-arg=-Wl,--shuffle-sections=.text*={seed}")))?;
    let kept = directory.join(format!("{PROGRAM}-{seed}"));
    fs::copy(directory.join("release").join(PROGRAM), &kept).context("cannot copy the program")?;
    Ok(kept)
}

/// The directory of the products, with the pass and without the wrapper.
pub fn build_directory(with_pass: bool) -> PathBuf {
    directory().join(if with_pass { "converted-with-pass" } else { "converted" })
}

fn cargo_in(with_pass: bool) -> Result<Command> {
    let directory = build_directory(with_pass);
    let mut cargo = if with_pass { cargo_with_pass(&directory)? } else { cargo() };
    cargo.current_dir(sources()).env("CARGO_TARGET_DIR", directory).env("CARGO_INCREMENTAL", "0");
    for (name, path) in [("static-call", "runtime"), ("static-call-abi", "runtime/abi")] {
        cargo.arg("--config").arg(format!("patch.crates-io.{name}.path={:?}", root().join(path)));
    }
    Ok(cargo)
}

fn directory() -> PathBuf {
    target().join("real")
}

/// A copy of `tests/real`, with the converted crates.
fn sources() -> PathBuf {
    directory().join("crates")
}

/// Downloads the originals, whose checksums are in Cargo.lock, and applies the patches.
pub fn prepare() -> Result<()> {
    let mut made_of = String::new();
    let files = tracked_files(&["tests/real"])?;
    let text =
        |file: &str| fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {file}"));
    for file in &files {
        made_of += &format!("{file}\n{}", text(file)?);
    }
    let stamp = sources().join("made-of");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == made_of) {
        return Ok(());
    }
    for old in [sources(), originals()] {
        if old.exists() {
            fs::remove_dir_all(&old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    let write = |path: &Path, text: &str| {
        fs::create_dir_all(path.parent().expect("a file in a directory"))?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    for file in &files {
        let name = Path::new(file).strip_prefix("tests/real")?;
        write(&sources().join(name), &text(file)?)?;
        // The same versions, in a workspace of their own.
        if let Ok(name) = name.strip_prefix("originals") {
            let end = if name == "Cargo.toml" { "\n[workspace]\n" } else { "" };
            write(&originals().join(name), &(text(file)? + end))?;
        }
    }
    fs::copy(sources().join("Cargo.lock"), originals().join("Cargo.lock"))?;
    for package in packages()? {
        let Some(known) = CRATES.iter().find(|known| known.name == package.name) else { continue };
        let there = sources().join(known.name);
        run(Command::new("cp").arg("-a").arg(&package.directory).arg(&there))?;
        let mut git = Command::new("git");
        // It would look for the files in our repository.
        git.current_dir(&there).env("GIT_CEILING_DIRECTORIES", sources());
        run(git.arg("apply").arg(sources().join(format!("{}.patch", known.name))))
            .with_context(|| format!("tests/real/{}.patch does not fit", known.name))?;
    }
    for known in &CRATES {
        ensure!(sources().join(known.name).exists(), "{} is not among tests/real/originals", known.name);
    }
    write(&stamp, &made_of)
}

fn originals() -> PathBuf {
    directory().join("originals")
}

struct Package {
    name: String,
    version: String,
    directory: PathBuf,
}

/// The originals and their dependencies, unpacked by cargo.
fn packages() -> Result<Vec<Package>> {
    let manifest = originals().join("Cargo.toml");
    let mut metadata = cargo();
    metadata.args(["metadata", "--quiet", "--format-version=1", "--manifest-path"]).arg(manifest);
    let metadata: Value = serde_json::from_str(&output(&mut metadata)?)?;
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let package = |package: &Value| {
        let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
        let manifest = PathBuf::from(text("manifest_path"));
        let directory = manifest.parent().context("a manifest lies in a directory")?.to_owned();
        Ok(Package { name: text("name"), version: text("version"), directory })
    };
    packages.iter().map(package).collect()
}
