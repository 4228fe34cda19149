//! Cycles and mispredicted branches per call, if the machine has counters and lets us read them.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::bench::Bench;
use crate::machine::{EVENTS, count};
use crate::model::{Part, Table, Unit};
use crate::statistics::Summary;

const FORMS: [&str; 6] = ["inlined", "direct", "static", "pointer", "object", "choice"];
const ROUNDS: f64 = 100.0;
/// As in `benches/src/calls.rs`: calls per loop, and loops per form.
const CALLS: f64 = 16_384.0;
const PLACES: f64 = 4.0;

/// For the Rust program without mitigations.
pub(crate) fn measure(bench: &mut Bench, program: &Path) -> Result<()> {
    if !bench.report.machine.has_counters {
        bench.report.miss(
            "cycles and mispredicted branches of a call",
            "perf may not count them on this machine, or is not installed",
        );
        return Ok(());
    }
    let about = "Counted by the processor in user mode, the dependent chain in Rust; what the program does \
                 before and after is in it.";
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
