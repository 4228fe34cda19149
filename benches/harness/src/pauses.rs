//! What updates cost concurrent callers.

use std::process::Command;

use anyhow::Result;

use crate::bench::Bench;
use crate::model::{Part, Table, Unit};
use crate::samples::{Runs, Samples};
use crate::statistics::Summary;
use crate::toolchain::rust_program;
use crate::updates::{ALIAS, BREAKPOINT, WINDOW, WRITERS};

/// The goal concerns one period in 10,000, so ten of those are needed.
const PERIODS: usize = 100_000;
/// Percentiles, each with the number of samples of which one is worse.
const PERCENTILES: [(&str, Option<f64>); 7] = [
    ("p50", Some(2.0)),
    ("p90", Some(10.0)),
    ("p99", Some(100.0)),
    ("p99.9", Some(1e3)),
    ("p99.99", Some(1e4)),
    ("p99.999", Some(1e5)),
    ("max", None),
];

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
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
    let about = "A thread that does nothing but call, alternating between no updates and about 1,000 or \
                 10,000 per second from another processor.";
    let mut table = Table::new(
        Part::Update,
        "callers",
        "Calls while another thread updates their key",
        "writer, updates a second",
        &["benches/src/callers.rs"],
        about,
    )
    .columns([
        ("updates a second", Unit::PerSecond),
        ("a call", Unit::Nanoseconds),
        ("without updates", Unit::Nanoseconds),
        ("rate kept", Unit::Percent),
    ]);
    let rates = [("1000", "1,000"), ("10000", "10,000")];
    let rows: Vec<_> = WRITERS.into_iter().flat_map(|writer| rates.map(|rate| (writer, rate))).collect();
    let commands: Vec<_> = rows
        .iter()
        .map(|(writer, (rate, _))| {
            let mut command = Command::new(&program);
            command.env("STATIC_CALL_WRITER", writer).args([bench.quick_or_full("8", "20"), rate]);
            (format!("callers {writer} {rate}"), command)
        })
        .collect();
    for ((writer, (_, rate)), runs) in rows.into_iter().zip(bench.in_turns(bench.processes(), commands)?) {
        let kept = runs.pairs("quiet", "updated", |quiet, updated| 100.0 * quiet / updated);
        table.row(
            format!("{writer}, {rate}"),
            [runs.summary("updates"), runs.summary("updated"), runs.summary("quiet"), kept],
        );
    }
    bench.add(table);
    Ok(())
}

fn measure_pauses(bench: &mut Bench) -> Result<()> {
    let program = rust_program("static-call-bench-pauses", "rust", |_| {})?;
    let run = |writer: &str, sites: &str, periods: usize, times| {
        let mut command = Command::new(&program);
        command.env("STATIC_CALL_WRITER", writer).args([&periods.to_string(), sites]);
        bench.repeat(times, &format!("pauses {writer} {sites}"), command)
    };
    let window = run(WINDOW, "one", PERIODS, bench.quick_or_full(1, 5))?;
    let many = run(WINDOW, "many", bench.quick_or_full(10_000, PERIODS), 1)?;
    let alias = run(ALIAS, "one", bench.quick_or_full(10_000, PERIODS), 1)?;
    let breakpoint = run(BREAKPOINT, "one", bench.quick_or_full(10_000, PERIODS), 1)?;
    let fewest = window.of(|samples| samples.named("updates/period/count").to_vec());
    if let Some(fewest) = fewest.filter(|count| count.low < PERIODS as f64) {
        let why = format!(
            "the machine was too busy: of a process's periods, {} count",
            Unit::Count.show(fewest.low)
        );
        bench.report.miss("pauses at p99.99, which take 100,000 periods", why);
    }
    let writers = [&window, &many, &alias, &breakpoint];
    let longest = "Another thread updates the key about ten thousand times per second. For each of its \
                   periods, this is the longest time between two calls, including reading the clock. Periods \
                   in which the scheduler took the processor from the caller are left out. \"No updates\" \
                   alternates with the others and has the same periods. The last column is how long the \
                   update took in the thread that made it.";
    let each = "The time between every two consecutive calls, however many a period has.";
    let pauses = "The times of 2 µs or more among those, in the periods of the first table: no call takes so \
                  long, so something else ran.";
    for (id, title, about, kind) in [
        ("pauses", "Longest pause of a caller per update", longest, "period"),
        ("pauses-call", "Time from call to call during updates", each, "call"),
        ("pauses-single", "Single pauses of a caller during updates", pauses, "pause"),
    ] {
        let mut table = Table::new(Part::Update, id, title, "percentile", &["benches/src/pauses.rs"], about)
            .columns([
                ("no updates", Unit::Nanoseconds),
                ("window", Unit::Nanoseconds),
                ("window, 1,000 sites", Unit::Nanoseconds),
                ("alias", Unit::Nanoseconds),
                ("breakpoint", Unit::Nanoseconds),
            ]);
        let has_update = kind == "period";
        if has_update {
            table = table.columns([("the update itself, window", Unit::Nanoseconds)]);
        }
        for (percentile, x) in PERCENTILES {
            let of = |runs: &Runs, what: &str| runs.of(|samples| percentile_of(samples, what, percentile, x));
            let mut cells = vec![of(&window, &format!("quiet/{kind}"))];
            cells.extend(writers.map(|runs| of(runs, &format!("updates/{kind}"))));
            cells.extend(has_update.then(|| of(&window, "updates/update")));
            if cells.iter().any(Option::is_some) {
                table.push(percentile.into(), x, cells);
            }
        }
        let counts = [&window, &window, &many, &alias, &breakpoint]
            .into_iter()
            .zip(["quiet", "updates", "updates", "updates", "updates"]);
        let counts: Vec<String> = counts
            .map(|(runs, slice)| Unit::Count.show(runs.sum(&format!("{slice}/{kind}/count"))))
            .collect();
        table.about += &format!(
            " In the order of the columns: {} samples in all (without updates: those measured with the \
             window writer). A percentile is that of one process, and is shown if at least ten of its \
             samples exceed it.",
            counts.join(", ")
        );
        bench.add(table);
    }
    bench.add(table_of_numbers(writers));
    Ok(())
}

/// How often an update interrupts a caller.
fn table_of_numbers([window, many, alias, breakpoint]: [&Runs; 4]) -> Table {
    let about = "The share of periods with this many pauses of 2 µs or more. On Linux and x86-64, an update \
                 by the window writer interrupts each processor that runs a thread of the process three \
                 times, as /proc/interrupts counts them: twice for the TLB shootdowns of mprotect, and once \
                 for membarrier. With an alias only membarrier does.";
    let mut table = Table::new(
        Part::Update,
        "pauses-number",
        "Number of pauses of a caller per update",
        "pauses",
        &["benches/src/pauses.rs"],
        about,
    )
    .columns([
        ("no updates", Unit::Percent),
        (WINDOW, Unit::Percent),
        ("window, 1,000 sites", Unit::Percent),
        (ALIAS, Unit::Percent),
        (BREAKPOINT, Unit::Percent),
    ]);
    let names = ["none", "1", "2", "3", "4", "5 and more"];
    for (number, name) in names.into_iter().enumerate() {
        let share = |(runs, slice): (&Runs, &str)| {
            let periods = |number: usize| runs.sum(&format!("{slice}/number/{number}"));
            let all: f64 = (0..names.len()).map(periods).sum();
            if all > 0.0 { Summary::exactly(100.0 * periods(number) / all) } else { None }
        };
        let cells = [
            (window, "quiet"),
            (window, "updates"),
            (many, "updates"),
            (alias, "updates"),
            (breakpoint, "updates"),
        ]
        .map(share);
        table.row(name, cells);
    }
    table
}

/// A percentile that a program printed, if at least ten samples exceed it; otherwise one or two of them would
/// decide it. The greatest sample is always kept.
fn percentile_of(samples: &Samples, what: &str, percentile: &str, one_in: Option<f64>) -> Vec<f64> {
    let count = samples.named(&format!("{what}/count")).iter().sum::<f64>();
    let has_enough = count > 0.0 && one_in.is_none_or(|one_in| count / one_in >= 10.0);
    if has_enough { samples.named(&format!("{what}/{percentile}")).to_vec() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_has_samples_above_it() {
        let samples = Samples::parse("a/count 9999\na/p99 7\na/p99.9 8\na/max 9\nb/count 0\nb/max 0\n");
        let samples = samples.expect("samples");
        assert_eq!(percentile_of(&samples, "a", "p99", Some(100.0)), [7.0]);
        assert!(percentile_of(&samples, "a", "p99.9", Some(1e3)).is_empty());
        assert_eq!(percentile_of(&samples, "a", "max", None), [9.0]);
        assert!(percentile_of(&samples, "b", "max", None).is_empty());
    }

    #[test]
    fn numbers_of_pauses_are_shares() {
        let samples = Samples::parse("quiet/number/0 4\nupdates/number/3 3\nupdates/number/5 1\n");
        let mut runs = Runs::default();
        runs.push(samples.expect("samples"));
        let table = table_of_numbers([&runs; 4]);
        let share = |row, column| table.cell(row, column).map(|share| share.median);
        assert_eq!([share("none", "no updates"), share("3", WINDOW)], [Some(100.0), Some(75.0)]);
        assert_eq!(share("5 and more", BREAKPOINT), Some(25.0));
    }
}
