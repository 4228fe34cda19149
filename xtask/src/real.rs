//! `cargo xtask real`: builds a real program without static calls, with and without the wrapper.
//!
//! The program must be identical to the byte, pass its own tests, and take no longer to build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use object::{Object, ObjectSection};
use xtask::install::prefix;
use xtask::run::{cargo, output, processor_time_of_children, run, target};
use xtask::{install, packages};

use crate::table::Table;

/// From crates.io, with the dependencies of its own Cargo.lock.
const RIPGREP: &str = "15.2.0";

pub(crate) fn real(pairs: usize) -> Result<()> {
    packages::ensure(&packages::build(&[])?)?;
    install::install_here()?;
    compare()?;
    measure_wrapper()?;
    measure_builds(pairs)
}

/// Builds ripgrep with and without the wrapper, compares both, and runs its tests.
pub(crate) fn compare() -> Result<()> {
    let source = source()?;
    let (plain, ours) = (build(&source, false, &[])?, build(&source, true, &[])?);
    let (before, after) = (fs::read(&plain.program)?, fs::read(&ours.program)?);
    let file = object::File::parse(&*after).context("the program that was built with the wrapper")?;
    let sections = file.sections().filter_map(|section| section.name().ok().map(str::to_owned));
    let sections: Vec<String> = sections.filter(|name| name.contains("static_call")).collect();
    ensure!(sections.is_empty(), "a program without static calls has {}", sections.join(", "));
    if before != after {
        let (plain, ours) = (plain.program.display(), ours.program.display());
        bail!("the wrapper changes a program without static calls: compare {plain} with {ours}");
    }
    println!("ripgrep {RIPGREP}: {} bytes, the same with the wrapper and without", after.len());
    run(with_wrapper(true, cargo_in(&source).args(["test", "--quiet", "--locked"])).stdout(Stdio::null()))?;
    println!("ripgrep {RIPGREP}: its tests pass");
    Ok(())
}

/// One clean build.
struct Build {
    program: PathBuf,
    wall: Duration,
    processor: Duration,
}

fn build(source: &Path, wrapper: bool, flags: &[&str]) -> Result<Build> {
    let products = products();
    if products.exists() {
        fs::remove_dir_all(&products).with_context(|| format!("cannot remove {}", products.display()))?;
    }
    let mut cargo = cargo_in(source);
    cargo.args(["build", "--quiet", "--locked"]).args(flags);
    let (wall, processor) = time(with_wrapper(wrapper, &mut cargo))?;
    let profile = if flags.contains(&"--release") { "release" } else { "debug" };
    let program = directory().join(if wrapper { "rg-with-wrapper" } else { "rg" });
    fs::copy(products.join(profile).join("rg"), &program).context("cannot copy ripgrep's program")?;
    Ok(Build { program, wall, processor })
}

/// Alternates clean builds, and computes the ratio for each pair.
fn measure_builds(pairs: usize) -> Result<()> {
    let source = source()?;
    let mut rows =
        Table::new(["clean release build of ripgrep", "without, s", "with, s", "ratio", "from", "to"]);
    let mut builds = Vec::new();
    for pair in 0..pairs {
        let first = build(&source, pair % 2 == 1, &["--release"])?;
        let second = build(&source, pair % 2 == 0, &["--release"])?;
        let pair = if pair % 2 == 0 { (first, second) } else { (second, first) };
        let ratio = pair.1.processor.as_secs_f64() / pair.0.processor.as_secs_f64();
        println!("pair {}: processor time {ratio:.3}", builds.len() + 1);
        builds.push(pair);
    }
    for (name, duration) in [
        ("processor time", (|build| build.processor) as fn(&Build) -> Duration),
        ("wall time", |build| build.wall),
    ] {
        let seconds = |build: &Build| duration(build).as_secs_f64();
        let each = |value: &dyn Fn(&(Build, Build)) -> f64| {
            let mut values: Vec<f64> = builds.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let without = median(&each(&|(plain, _)| seconds(plain)));
        let with = median(&each(&|(_, ours)| seconds(ours)));
        let ratios = each(&|(plain, ours)| seconds(ours) / seconds(plain));
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        let ratios = [median(&ratios), end(ratios.first()), end(ratios.last())];
        let cells = [name.into(), format!("{without:.1}"), format!("{with:.1}")];
        rows.add(cells.into_iter().chain(ratios.map(|ratio| format!("{ratio:.3}"))));
    }
    println!("\nmedians of {pairs} pairs:\n{rows}");
    Ok(())
}

/// What the wrapper adds to one run of rustc, and the pass to its compilation.
fn measure_wrapper() -> Result<()> {
    const PAIRS: usize = 200;
    let directory = directory();
    let source = directory.join("empty.rs");
    fs::write(&source, "").with_context(|| format!("cannot write {}", source.display()))?;
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let rustc = Path::new(sysroot.trim()).join("bin/rustc"); // Not rustup's proxy.
    let wrapper = prefix().join("bin/static-call-rustc");
    let compile = |kind: &str| {
        [source.display().to_string(), "--crate-type=lib".into(), format!("--emit={kind}")]
            .into_iter()
            .chain(["--out-dir".into(), directory.display().to_string()])
            .collect::<Vec<String>>()
    };
    let mut rows = Table::new(["one call of rustc, added by the wrapper", "processor, ms", "wall, ms"]);
    for (name, arguments) in [
        ("-vV", vec!["-vV".into()]),
        ("an empty crate, checked", compile("metadata")),
        ("an empty crate, compiled with the pass", compile("link")),
    ] {
        let plain = || time(Command::new(&rustc).args(&arguments).stdout(Stdio::null()));
        let ours = || time(Command::new(&wrapper).arg(&rustc).args(&arguments).stdout(Stdio::null()));
        ours()?; // It remembers what it found out about the compiler and the pass.
        let mut pairs = Vec::new();
        for pair in 0..PAIRS {
            let (first, second) = if pair % 2 == 0 { (plain()?, ours()?) } else { (ours()?, plain()?) };
            pairs.push(if pair % 2 == 0 { (first, second) } else { (second, first) });
        }
        let added = |duration: fn((Duration, Duration)) -> Duration| {
            let milliseconds = |times| duration(times).as_secs_f64() * 1e3;
            format!(
                "{:.2}",
                median(
                    &pairs
                        .iter()
                        .map(|&(plain, ours)| milliseconds(ours) - milliseconds(plain))
                        .collect::<Vec<_>>()
                )
            )
        };
        rows.add([name.into(), added(|(_, processor)| processor), added(|(wall, _)| wall)]);
    }
    println!("\nmedians of {PAIRS} pairs:\n{rows}\n");
    Ok(())
}

/// Runs a command to its end. Returns its wall time, and its processor time including its children's.
fn time(command: &mut Command) -> Result<(Duration, Duration)> {
    let (start, before) = (Instant::now(), processor_time_of_children()?);
    run(command)?;
    Ok((start.elapsed(), processor_time_of_children()?.saturating_sub(before)))
}

/// ripgrep's source, as crates.io has it.
fn source() -> Result<PathBuf> {
    let directory = directory();
    let source = directory.join("vendor/ripgrep");
    let package = directory.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"wants-ripgrep\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath \
         = \"empty.rs\"\n\
         [dependencies]\nripgrep = \"={RIPGREP}\"\n[workspace]\n"
    );
    if fs::read_to_string(&package).is_ok_and(|before| before == text) && source.exists() {
        return Ok(source);
    }
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    fs::write(directory.join("empty.rs"), "")?;
    fs::write(&package, &text)?;
    run(cargo()
        .args(["vendor", "--quiet", "--manifest-path"])
        .arg(&package)
        .arg(directory.join("vendor"))
        .stdout(Stdio::null()))?;
    // It lies below our workspace but is not a member.
    let manifest = source.join("Cargo.toml");
    let text =
        fs::read_to_string(&manifest).with_context(|| format!("no ripgrep in {}", source.display()))?;
    fs::write(&manifest, text + "\n[workspace]\n")?;
    Ok(source)
}

fn directory() -> PathBuf {
    target().join("real")
}

/// Both builds use the same directory, because the programs contain its path.
fn products() -> PathBuf {
    directory().join("products")
}

fn cargo_in(source: &Path) -> Command {
    let mut cargo = cargo();
    cargo.current_dir(source).env("CARGO_TARGET_DIR", products()).env("CARGO_INCREMENTAL", "0");
    // Its build script asks git for a commit and would find ours.
    cargo.env("GIT_CEILING_DIRECTORIES", source.parent().unwrap_or(source));
    cargo
}

fn with_wrapper(wrapper: bool, cargo: &mut Command) -> &mut Command {
    if wrapper {
        cargo.env("RUSTC_WRAPPER", prefix().join("bin/static-call-rustc")).env("STATIC_CALL_REQUIRE", "1")
    } else {
        cargo.env_remove("RUSTC_WRAPPER")
    }
}

/// The median of an even number of values is the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
    (middle(values.len().saturating_sub(1) / 2) + middle(values.len() / 2)) / 2.0
}
