//! Cycles and mispredicted branches of a call, where the machine has counters and lets us read them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Bench;
use super::model::{Part, Table, Unit};
use super::statistics::Summary;

/// In user mode, and the names of the columns.
const EVENTS: [(&str, &str); 4] = [
    ("cycles:u", "cycles"),
    ("instructions:u", "instructions"),
    ("branches:u", "branches"),
    ("branch-misses:u", "mispredicted"),
];
const FORMS: [&str; 6] = ["inlined", "direct", "static", "pointer", "object", "choice"];
const ROUNDS: f64 = 100.0;
/// As `benches/src/calls.rs` has them: calls of a loop, and loops of a form.
const CALLS: f64 = 16_384.0;
const PLACES: f64 = 4.0;

/// Whether `perf` counts here: in containers and virtual machines it often does not.
pub(super) fn are_there() -> bool {
    count(&mut Command::new("true")).is_ok()
}

/// Of the program in Rust, without mitigations.
pub(super) fn measure(bench: &mut Bench, program: &Path) -> Result<()> {
    if !bench.report.machine.has_counters {
        bench.report.miss(
            "cycles and mispredicted branches of a call",
            "perf may not count them on this machine, or is not installed",
        );
        return Ok(());
    }
    let about = "Counted by the processor in user mode, the dependent chain in Rust; what the program does before and after is in it.";
    let mut table = Table::new(
        Part::Calls,
        "counters",
        "One call, counted by the processor",
        "form",
        &["benches/src/calls.rs"],
        about,
    )
    .columns(EVENTS.map(|(_, name)| (name, Unit::Count)));
    for form in FORMS {
        bench.step(format!("counters {form}"));
        let mut command = Command::new(program);
        let counts = count(command.args([ROUNDS.to_string(), format!("chain/{form}/")]))?;
        table.row(form, counts.map(|count| Summary::exactly(count / (ROUNDS * CALLS * PLACES))));
    }
    bench.add(table);
    Ok(())
}

/// Runs a program and counts.
fn count(program: &mut Command) -> Result<[f64; EVENTS.len()]> {
    let mut perf = Command::new("perf");
    perf.args(["stat", "-x", ",", "-e", &EVENTS.map(|(event, _)| event).join(",")]);
    perf.arg(program.get_program()).args(program.get_args()).stdout(Stdio::null());
    let output = perf.output().context("cannot start perf")?;
    parse(&String::from_utf8_lossy(&output.stderr))
}

/// Lines of a count, a unit and an event, and more that does not matter here.
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
