//! What updates cost those who call meanwhile.

use std::process::Command;

use anyhow::Result;

use super::Bench;
use super::model::{Part, Table, Unit};
use super::samples::Samples;
use super::statistics::Summary;
use super::toolchain::rust_program;
use super::updates::{BREAKPOINT, WINDOW, WRITERS};

/// Percentiles, and one in how many is worse.
const PERCENTILES: [(&str, Option<f64>); 7] = [
    ("p50", Some(2.0)),
    ("p90", Some(10.0)),
    ("p99", Some(100.0)),
    ("p99.9", Some(1e3)),
    ("p99.99", Some(1e4)),
    ("p99.999", Some(1e5)),
    ("max", None),
];

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    if bench.report.machine.processors < 2 {
        bench.report.miss(
            "callers during updates: rate and pauses",
            "it takes two processors, one to call and one to update, and this machine has one",
        );
        return Ok(());
    }
    bench.step("building the programs that call during updates");
    measure_rate(bench)?;
    measure_pauses(bench)
}

fn measure_rate(bench: &mut Bench) -> Result<()> {
    let program = rust_program("static-call-bench-callers", "rust", |_| {})?;
    let about = "A thread that does nothing but call, without updates and with about 1,000 a second from another processor, in turns.";
    let mut table = Table::new(
        Part::Update,
        "callers",
        "Calls while another thread updates their key",
        "writer",
        &["benches/src/callers.rs"],
        about,
    )
    .columns([
        ("updates a second", Unit::PerSecond),
        ("a call", Unit::Nanoseconds),
        ("without updates", Unit::Nanoseconds),
        ("rate kept", Unit::Percent),
    ]);
    for writer in WRITERS {
        let mut command = Command::new(&program);
        command.env("STATIC_CALL_WRITER", writer).arg(bench.quick_or_full("40", "300"));
        let samples = bench.run(&format!("callers {writer}"), &mut command)?;
        let kept = samples.pairs("quiet", "updated", |quiet, updated| 100.0 * quiet / updated);
        let cells = [
            samples.summary("updates"),
            samples.summary("updated"),
            samples.summary("quiet"),
            Summary::of(kept),
        ];
        table.row(writer, cells);
    }
    bench.add(table);
    Ok(())
}

fn measure_pauses(bench: &mut Bench) -> Result<()> {
    let program = rust_program("static-call-bench-pauses", "rust", |_| {})?;
    let milliseconds = bench.quick_or_full("4500", "40000");
    let run = |writer: &str, sites: &str| {
        let mut command = Command::new(&program);
        command.env("STATIC_CALL_WRITER", writer).args([milliseconds, sites]);
        bench.run(&format!("pauses {writer} {sites}"), &mut command)
    };
    let window = run(WINDOW, "one")?;
    let many = run(WINDOW, "many")?;
    let breakpoint = run(BREAKPOINT, "one")?;
    let longest = "Another thread updates the key several thousand times a second. Of each period of its, the longest time that passed between two \
                   calls, the reading of the clock included; \"no updates\" is the same thread with the same periods, in turns.";
    let each = "The same for each call, however many there are in a period.";
    for (id, title, about, kind) in [
        ("pauses", "Longest pause of a caller in the period of an update", longest, "period"),
        ("pauses-call", "Time from call to call during updates", each, "call"),
    ] {
        let mut table = Table::new(Part::Update, id, title, "percentile", &["benches/src/pauses.rs"], about)
            .columns([
                ("no updates", Unit::Nanoseconds),
                ("window", Unit::Nanoseconds),
                ("window, 1,000 sites", Unit::Nanoseconds),
                ("breakpoint", Unit::Nanoseconds),
            ]);
        for (percentile, x) in PERCENTILES {
            let of =
                |samples: &Samples, slice: &str| samples.summary(&format!("{slice}/{kind}/{percentile}"));
            // What the median of several runs would be, of the quiet halves of all.
            let quiet = [&window, &many, &breakpoint]
                .map(|samples| samples.named(&format!("quiet/{kind}/{percentile}")).to_vec());
            let cells = [
                Summary::of_runs(quiet),
                of(&window, "updates"),
                of(&many, "updates"),
                of(&breakpoint, "updates"),
            ];
            table.push(percentile.into(), x, cells.into());
        }
        let counts = [&window, &window, &many, &breakpoint]
            .into_iter()
            .zip(["quiet", "updates", "updates", "updates"]);
        let counts: Vec<String> = counts
            .map(|(samples, slice)| {
                let count = samples.named(&format!("{slice}/{kind}/count"));
                Unit::Count.show(count.first().copied().unwrap_or(0.0))
            })
            .collect();
        table.about += &format!(" In the order of the columns: {} samples.", counts.join(", "));
        bench.add(table);
    }
    Ok(())
}
