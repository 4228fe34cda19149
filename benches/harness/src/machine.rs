//! The machine and the tools of a measurement.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use xtask::run::root;

/// The events that `perf` counts in user mode, and their column names.
pub(crate) const EVENTS: [(&str, &str); 4] = [
    ("cycles:u", "cycles"),
    ("instructions:u", "instructions"),
    ("branches:u", "branches"),
    ("branch-misses:u", "mispredicted"),
];

#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Machine {
    pub(crate) processors: usize,
    pub(crate) processor: String,
    pub(crate) architecture: String,
    pub(crate) is_virtual: bool,
    pub(crate) memory: u64,
    pub(crate) kernel: String,
    /// The kernel's statement about each vulnerability of the processor.
    pub(crate) mitigations: BTreeMap<String, String>,
    pub(crate) versions: BTreeMap<String, String>,
    /// Whether `perf` may count cycles and branches.
    pub(crate) has_counters: bool,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            cpus.lines().find_map(|line| Some(line.strip_prefix(name)?.split_once(':')?.1.trim().to_owned()))
        };
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory =
            memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            processor: frequency(
                field("model name").unwrap_or_else(|| "unknown processor".into()),
                field("cpu MHz"),
            ),
            architecture: std::env::consts::ARCH.into(),
            is_virtual: field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            memory: memory.and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) * 1024,
            kernel: first_line("uname", &["-s", "-r"]).unwrap_or_else(|| "unknown kernel".into()),
            mitigations: mitigations(),
            versions: versions(),
            has_counters: has_counters(),
        }
    }

    /// A one-line description.
    pub(crate) fn summary(&self) -> String {
        let kind = if self.is_virtual { ", virtual" } else { "" };
        format!("{} × {}{kind}, {}", self.processors, self.processor, self.kernel)
    }
}

/// A virtual machine's processor may not have its frequency in its name.
fn frequency(name: String, megahertz: Option<String>) -> String {
    match megahertz.and_then(|text| text.parse::<f64>().ok()) {
        Some(megahertz) if !name.contains("Hz") => format!("{name} at {:.1} GHz", megahertz / 1e3),
        _ => name,
    }
}

fn mitigations() -> BTreeMap<String, String> {
    let files = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").into_iter().flatten().flatten();
    let entry = |file: fs::DirEntry| {
        let text = fs::read_to_string(file.path()).ok()?;
        Some((file.file_name().to_string_lossy().into_owned(), text.trim().to_owned()))
    };
    files.filter_map(entry).collect()
}

fn versions() -> BTreeMap<String, String> {
    let commit = || {
        let mut git = Command::new("git");
        let output = git.args(["describe", "--always", "--dirty"]).current_dir(root()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|commit| !commit.is_empty())
    };
    let versions = [
        ("static-call", Some(commit().unwrap_or_else(|| env!("CARGO_PKG_VERSION").into()))),
        ("rustc", first_line("rustc", &["--version"])),
        ("clang", first_line("clang-22", &["--version"])),
        ("linker", first_line("ld", &["--version"])),
        ("C library", first_line("ldd", &["--version"])),
        ("valgrind", first_line("valgrind", &["--version"])),
    ];
    versions.into_iter().filter_map(|(name, version)| Some((name.into(), version?))).collect()
}

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}

/// Whether `perf` can count. In containers and virtual machines it often cannot.
fn has_counters() -> bool {
    count(&mut Command::new("true")).is_ok()
}

/// Runs a program under `perf stat`.
pub(crate) fn count(program: &mut Command) -> Result<[f64; EVENTS.len()]> {
    let mut perf = Command::new("perf");
    perf.args(["stat", "-x", ",", "-e", &EVENTS.map(|(event, _)| event).join(",")]);
    perf.arg(program.get_program()).args(program.get_args()).stdout(Stdio::null());
    let output = perf.output().context("cannot start perf")?;
    parse(&String::from_utf8_lossy(&output.stderr))
}

/// Reads lines of a count, a unit, an event and more.
fn parse(text: &str) -> Result<[f64; EVENTS.len()]> {
    let mut counts = [0.0; EVENTS.len()];
    for ((event, _), count) in EVENTS.into_iter().zip(&mut counts) {
        let fields = || text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let line = fields().find(|fields| fields.get(2) == Some(&event));
        let line = line.with_context(|| format!("perf says nothing of {event}"))?;
        *count = line[0].parse().with_context(|| format!("perf says of {event}: {}", line[0]))?;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_perf() {
        let counted = "8461523,,cycles:u,1000,100.00,,\n1000,,instructions:u,1000,100.00,0.1,insn per cycle\n\
                       200,,branches:u,1000,100.00,,\n7,,branch-misses:u,1000,100.00,3.5,of all branches\n";
        assert_eq!(parse(counted).expect("counts"), [8_461_523.0, 1_000.0, 200.0, 7.0]);
        assert!(parse("<not supported>,,cycles:u,0,100.00,,\n").is_err());
        assert!(parse("").is_err());
    }
}
