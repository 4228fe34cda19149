//! `cargo xtask bench`: what static calls cost, and whether that is as little as promised.
//!
//! Machines are noisy. So nothing is measured alone: what is compared takes turns within one process, the
//! ratio is taken pair by pair, and the tables show medians over all pairs of several processes.

mod calls;
mod code;
mod images;
mod updates;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};

use crate::install::{self, prefix};
use crate::packages;
use crate::run::{cargo, output, run, target};

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Nanoseconds a call
    Calls,
    /// Nanoseconds a site for an update, and what it costs those who call meanwhile
    Update,
    /// Nanoseconds a site for loading an image
    Load,
    /// Bytes a site and a key
    Size,
}

pub(crate) fn bench(only: Option<Part>) -> Result<()> {
    prepare()?;
    println!("{}\n", machine()?);
    let is_wanted = |part| only.is_none_or(|only| only == part);
    if is_wanted(Part::Calls) {
        calls::measure()?;
    }
    if is_wanted(Part::Update) {
        updates::measure()?;
    }
    if is_wanted(Part::Load) {
        images::measure_loads()?;
    }
    if is_wanted(Part::Size) {
        images::measure_sizes()?;
    }
    Ok(())
}

/// Prints the cost of a call of each form side by side, in Rust and in C. The prefix has to be installed.
pub(crate) fn call_table() -> Result<()> {
    calls::print_side_by_side()
}

/// Sees to the packages and to an installed prefix.
fn prepare() -> Result<()> {
    packages::ensure(packages::TEST)?;
    install::install(&prefix())
}

/// Where everything that is built for measuring goes.
fn directory() -> Result<PathBuf> {
    let directory = target().join("bench");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Builds a program of `benches/src` with the pass. Each way to build has a directory of its own, so that cargo
/// builds it only once.
fn rust_program(name: &str, directory: &Path, adapt: impl FnOnce(&mut Command)) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo
        .args(["build", "--quiet", "--release", "-p", "static-call-benches", "--bin", name, "--target-dir"])
        .arg(directory)
        .env("RUSTC_WRAPPER", prefix().join("bin/static-call-rustc"))
        .env("STATIC_CALL_REQUIRE", "1");
    adapt(&mut cargo);
    run(&mut cargo)?;
    Ok(directory.join("release").join(name))
}

/// clang with the header and, if wanted, the pass.
fn clang(with_pass: bool) -> Command {
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
fn link_flags() -> [String; 3] {
    let library = prefix().join("lib").display().to_string();
    [format!("-L{library}"), "-lstatic_call".into(), format!("-Wl,-rpath,{library}")]
}

fn machine() -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let models = || cpus.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = models().next().map_or("unknown processor", |(_, model)| model);
    let kernel = output(Command::new("uname").args(["-s", "-r", "-m"]))?;
    Ok(format!("{} × {model}, {}", models().count(), kernel.trim()))
}

/// The middle one; NaN of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// One tenth of them is better: on a machine that is busy with something else, closer to the truth.
fn best_tenth(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.1)
}

/// The value that this part of them does not exceed.
fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((part * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
}

fn minimum(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::INFINITY, f64::min)
}

fn maximum(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NEG_INFINITY, f64::max)
}

/// An empty table; every column but the first holds numbers.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Says whether what was promised is true here.
fn goal(what: &str, is_met: bool, measured: impl Display) {
    println!("{} {what}: {measured}", if is_met { "met:   " } else { "MISSED:" });
}
