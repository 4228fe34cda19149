//! What was promised, and whether it is true here.

use super::model::{Report, Table, Unit};
use super::statistics::{Summary, slope};

pub(crate) struct Goal {
    pub(crate) figure: String,
    pub(crate) wanted: String,
    pub(crate) measured: String,
    /// Nothing where it was not measured.
    pub(crate) is_met: Option<bool>,
    /// What stands in the way where it is missed, as far as we know.
    pub(crate) obstacle: Option<&'static str>,
}

const TOO_SLOW: &str = "the range in parentheses says what pairs can tell: where it reaches down to the goal, a quieter machine or a full run may \
     say more. What the two stages take themselves is in the tables of compile times; the rest is loading the plugin, code that \
     differs from an indirect call's, and with rustc the wrapper.";

impl Goal {
    /// `measured` is a value and its text.
    fn new(
        figure: &str,
        wanted: &str,
        measured: Option<(f64, String)>,
        is_met: impl Fn(f64) -> bool,
    ) -> Self {
        let met = measured.as_ref().map(|(value, _)| is_met(*value));
        let measured = measured.map_or_else(|| "not measured".into(), |(_, text)| text);
        Self { figure: figure.into(), wanted: wanted.into(), measured, is_met: met, obstacle: None }
    }

    fn because(mut self, obstacle: &'static str) -> Self {
        self.obstacle = (self.is_met == Some(false)).then_some(obstacle);
        self
    }

    pub(crate) fn verdict(&self) -> &'static str {
        match self.is_met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "unknown",
        }
    }
}

pub(crate) fn goals(report: &Report) -> Vec<Goal> {
    vec![
        Goal::new(
            "static call, inline / direct: the worst of all work loads",
            "≤ 1.02",
            worst_to_direct(work_loads(&report.tables)),
            |ratio| ratio <= 1.02,
        )
        .because(
            "the loops are the same instructions (checked; target/bench/raw/code-*.txt), but for up to 4 prefixes, since a static call's word \
             must not cross a boundary of 8 bytes: code behind them lies a few bytes further on (`neighbours_direct_16` and \
             `neighbours_static_16`, code-c-o3-retpoline.txt). A second copy of the direct loop differs from the first one by nothing but its \
             address: where its ratio is as far from 1, so much is what an address does. Of one without a second copy, that is not known.",
        ),
        Goal::new(
            "the same, dependent chain: the worst place in a cache line",
            "≤ 1.02",
            worst_to_direct(places(&report.tables)),
            |ratio| ratio <= 1.02,
        )
        .because(
            "the loops are the same instructions, and start at the same place in a cache line (both is checked; `chain_direct_*` and \
             `chain_static_*`, target/bench/raw/code-*-o3-plain.txt). What is left are the rest of their addresses, and what ran before: \
             a processor may run such a loop at one of two speeds (table One call, dependent chain).",
        ),
        Goal::new(
            "the same, whole programs: the worst input",
            "≤ 1.02",
            worst_to_direct(programs(&report.tables, false)),
            |ratio| ratio <= 1.02,
        )
        .because("there is no second copy of a program, so that the noise of an address is not known here."),
        Goal::new(
            "retpolined pointer / static call, dependent chain",
            "≥ 7",
            extreme(
                ["Rust to static", "C to static"].iter().filter_map(|column| {
                    named(column, report.cell("calls-chain", "pointer, retpolines", column))
                }),
                |worst, other| other < worst,
            ),
            |ratio| ratio >= 7.0,
        )
        .because("the wrong guess that a retpoline makes of its return is what it costs, and how dear that is depends on the processor."),
        Goal::new(
            "hook that is off / no hook",
            "≤ 1.02",
            extreme(columns(report, "hooks", "static call, off", " to none").into_iter(), |worst, other| {
                other > worst
            }),
            |ratio| ratio <= 1.02,
        )
        .because(
            "a nop of 5 bytes with up to 4 prefixes that align it, and two moves that keep the argument: the loop is about twice as long, \
             and may lie in two cache lines where the other lies in one (`hook_none_*` and `hook_static_*`, target/bench/raw/code-c-o3-plain.txt; \
             `hook_static-keys_*`, code-rust-o3-plain.txt).",
        ),
        Goal::new(
            "the same, whole programs: the worst input",
            "≤ 1.02",
            worst_to_direct(programs(&report.tables, true)),
            |ratio| ratio <= 1.02,
        )
        .because(
            "where it is the interpreter, whose loop does about six things besides: the arguments are put into registers whether or not \
             the hook is on, and nothing may stay in a register that a call changes. The table An interpreter with its hook off says how much \
             of it is that and not the nop, and what a branch in its place costs.",
        ),
        Goal::new(
            "update, window writer, a site of 1,000 to 100,000 that do not run in between, in a process with no other thread",
            "≤ 20 ns",
            worst_update(report),
            |ns| ns <= 20.0,
        )
        .because(
            "an update's system calls take as much as an update of one site does (table Update of one key), which is little for each of 1,000. The rest \
             is what each site takes: it is looked up, compared and written, in code that is in no cache if it has not run.",
        ),
        Goal::new(
            "its slope (1 is linear; less where a part does not depend on the sites)",
            "≤ 1.05",
            slope_of(report, "update-sites", "window"),
            |slope| slope <= 1.05,
        )
        .because("something takes longer with each further site: a cache that is too small by then, if it is the last step that is steeper."),
        Goal::new(
            "static-keys / static call, update of 1,000 sites",
            "≥ 100",
            cell(report, "update-peers", "1,000", "static-keys to static-call", Unit::Ratio),
            |ratio| ratio >= 100.0,
        )
        .because("static-keys takes a few system calls for each site, and we take a few for all: how dear these are depends on the machine."),
        Goal::new(
            "longest pause of a caller during an update, window writer, p99.99",
            "≤ 50 µs",
            pause(report),
            |nanoseconds| nanoseconds <= 50_000.0,
        )
        .because(
            "an update interrupts the processor of a caller three times (table Pauses of a caller in the period of an update), in a virtual machine with the \
             help of its host. Half of these \
             pauses are no longer than the median in the table Single pauses, which is far from the goal; the few that are above the goal \
             took so long each, since the longest single one of a period is what counts here. The thread waits for nobody meanwhile. \
             How long the machine's own pauses are, the column without updates says; what the others have above it comes with the updates, \
             and what the machine did in that time cannot be seen from inside the program.",
        ),
        Goal::new(
            "start-up, 100,000 sites, a site",
            "≤ 30 ns",
            cell(report, "start", "100,000", "a site", Unit::Nanoseconds),
            |nanoseconds| nanoseconds <= 30.0,
        )
        .because(
            "each entry is checked against the code, the trampoline and the record before the site is patched (so many \
             instructions a site: table Instructions), and each page of code with sites is copied (table Start-up: page faults).",
        ),
        Goal::new(
            "its slope (1 is linear; less where a part does not depend on the sites)",
            "≤ 1.05",
            slope_of(report, "start", "more"),
            |slope| slope <= 1.05,
        )
        .because("something takes longer with each further site: a cache that is too small by then, if it is the last step that is steeper."),
        Goal::new(
            "start-up of a program with one key, over none",
            "≤ 100 µs",
            cell(report, "start", "1", "more", Unit::Nanoseconds),
            |nanoseconds| nanoseconds <= 100_000.0,
        )
        .because("the runtime finds the image, and makes its pages writable for the time of a patch: that is system calls and page faults (table Start-up)."),
        Goal::new(
            "bytes a site in the file, table and padding",
            "≤ 6",
            cell(report, "size", "a site: table and padding", "bytes", Unit::Bytes),
            |bytes| bytes <= 6.0,
        )
        .because("each site has an entry of 4 bytes, and prefixes that align it: as many as the code before it needs."),
        Goal::new(
            "bytes a site in memory, 100,000 sites, none of which has run",
            "≤ 6",
            cell(report, "start", "100,000", "more memory a site", Unit::Bytes),
            |bytes| bytes <= 6.0,
        )
        .because(
            "4 bytes are its entry in the table. The rest is code: a page with sites is patched when the program starts, and then is a private \
             copy in memory, whereas without the pass it is not read before it runs, and shared then (table Start-up of a program: \"its own\" and page faults; \
             a page of 4,096 bytes is shared by all sites in it, about 300 in this program of nothing but calls).",
        ),
        Goal::new("compile time with 1,000 sites", "≤ 1 % more", compile_time(report, "1,000"), |more| {
            more <= 1.0
        })
        .because(TOO_SLOW),
        Goal::new("compile time without static calls", "< 0.5 % more", compile_time(report, "0"), |more| {
            more < 0.5
        })
        .because(TOO_SLOW),
    ]
}

fn cell(report: &Report, table: &str, row: &str, column: &str, unit: Unit) -> Option<(f64, String)> {
    let summary = report.cell(table, row, column)?;
    Some((summary.median, unit.show_range(summary)))
}

/// A ratio, and where it comes from.
fn named(name: &str, summary: Option<&Summary>) -> Option<(f64, String)> {
    let summary = summary?;
    Some((summary.median, format!("{} ({name})", Unit::Ratio.show(summary.median))))
}

/// The one that is worse than all others.
fn extreme(
    values: impl Iterator<Item = (f64, String)>,
    is_worse: impl Fn(f64, f64) -> bool,
) -> Option<(f64, String)> {
    values.reduce(|worst, other| if is_worse(worst.0, other.0) { other } else { worst })
}

/// A row's values in the columns whose name ends so.
fn columns(report: &Report, table: &str, row: &str, end: &str) -> Vec<(f64, String)> {
    let Some(table) = report.table(table) else { return Vec::new() };
    let columns = table.columns.iter().filter(|column| column.name.ends_with(end));
    columns
        .filter_map(|column| named(column.name.trim_end_matches(end), table.cell(row, &column.name)))
        .collect()
}

/// What a static call's time is to a direct one's, where that is, and the same of a second copy of the direct call, if there is
/// one: as much as that is off is what another address does.
struct ToDirect {
    place: String,
    ratio: f64,
    copy: Option<f64>,
}

impl ToDirect {
    fn new(place: String, ratio: Option<&Summary>, copy: Option<&Summary>) -> Option<Self> {
        Some(Self { place, ratio: ratio?.median, copy: copy.map(|copy| copy.median) })
    }
}

/// All tables of calls: one of forms has rows of inline static calls, one of numbers of sites has columns.
fn work_loads(tables: &[Table]) -> Vec<ToDirect> {
    const STATIC: &str = "static call, inline";
    let is_of_calls = |table: &&Table| table.id.starts_with("calls-");
    let mut found = Vec::new();
    for table in tables.iter().filter(is_of_calls) {
        for row in &table.rows {
            let place = |what: &str| format!("{}, {what}{}", table.title, row.name);
            if let Some(build) = row.name.strip_prefix(STATIC) {
                let copy = format!("direct, a second copy{build}");
                for language in ["Rust", "C"] {
                    let column = format!("{language} to direct");
                    let [ratio, copy] = [&row.name, &copy].map(|row| table.cell(row, &column));
                    found.extend(ToDirect::new(place(&format!("{language}, ")), ratio, copy));
                }
            }
            let [ratio, copy] =
                ["static to direct", "second copy to direct"].map(|column| table.cell(&row.name, column));
            found.extend(ToDirect::new(place(""), ratio, copy));
        }
    }
    found
}

/// Each place and language for itself.
fn places(tables: &[Table]) -> Vec<ToDirect> {
    let is_of_places = |table: &&Table| table.id.starts_with("places");
    let tables = tables.iter().filter(is_of_places);
    let cells = tables.flat_map(|table| {
        let cell = |row: &str, language: &str| {
            let copy = table.cell(row, &format!("{language}, second copy"));
            ToDirect::new(format!("{language}, {row} bytes into a line"), table.cell(row, language), copy)
        };
        table.rows.iter().flat_map(move |row| ["Rust", "C"].map(|language| cell(&row.name, language)))
    });
    cells.flatten().collect()
}

/// The programs whose hooks are off, or all others. The tables have rates of them: a time is one divided by that.
fn programs(tables: &[Table], are_hooks_off: bool) -> Vec<ToDirect> {
    let tables = tables.iter().filter(|table| table.id.starts_with("programs-"));
    let rows = tables.flat_map(|table| {
        let rows = table.rows.iter().filter(move |row| row.name.ends_with(" off") == are_hooks_off);
        rows.filter_map(|row| {
            let time = table.cell(&row.name, "static to direct")?.map(|rate| 1.0 / rate);
            ToDirect::new(row.name.clone(), Some(&time), None)
        })
    });
    rows.collect()
}

/// The one with the greatest ratio, whatever its second copy's is.
fn worst_to_direct(all: Vec<ToDirect>) -> Option<(f64, String)> {
    let worst =
        all.into_iter().reduce(|worst, other| if other.ratio > worst.ratio { other } else { worst })?;
    let ToDirect { place, ratio, copy } = worst;
    let text = match copy {
        Some(copy) if (copy - 1.0).abs() >= (ratio - 1.0).abs() => {
            format!("{ratio:.3} ({place}); a second copy of direct is as far from 1 there: {copy:.3}")
        }
        Some(copy) => format!("{ratio:.3} ({place}); a second copy of direct {copy:.3} there"),
        None => format!("{ratio:.3} ({place}); no second copy there"),
    };
    Some((ratio, text))
}

fn worst_update(report: &Report) -> Option<(f64, String)> {
    let rows = ["1,000", "10,000", "100,000"];
    let worst = |column: &str| {
        let cells = rows.iter().filter_map(|row| {
            let (value, text) = cell(report, "update-sites", row, column, Unit::Nanoseconds)?;
            Some((value, format!("{text}, {row} sites")))
        });
        extreme(cells, |worst, other| other > worst)
    };
    let (value, mut text) = worst("window, a site")?;
    if let Some((_, just_run)) = worst("window, just run, a site") {
        text += &format!("; if they have just run {just_run}");
    }
    let [alone, beside] = ["0", "1"].map(|others| {
        let row = format!("{others} that call, besides");
        Some(Unit::Nanoseconds.show(report.cell("update-threads", &row, "window")?.median))
    });
    if let (Some(alone), Some(beside)) = (alone, beside) {
        text += &format!(
            "; of one site, an update takes {alone} in all without other threads, and {beside} beside one that calls"
        );
    }
    Some((value, text))
}

/// From 1,000 sites on, where what does not depend on their number is little.
fn slope_of(report: &Report, table: &str, column: &str) -> Option<(f64, String)> {
    let mut points = report.table(table)?.points(column);
    points.retain(|(sites, _)| (1_000.0..=100_000.0).contains(sites));
    let slope = slope(&points)?;
    Some((slope, format!("{slope:.3}")))
}

fn pause(report: &Report) -> Option<(f64, String)> {
    let (with, text) = cell(report, "pauses", "p99.99", "window", Unit::Nanoseconds)?;
    let (_, without) = cell(report, "pauses", "p99.99", "no updates", Unit::Nanoseconds)?;
    Some((with, format!("{text}; without updates {without}")))
}

fn compile_time(report: &Report, sites: &str) -> Option<(f64, String)> {
    let cells =
        [("build-clang", "clang"), ("build-rustc", "rustc")].into_iter().filter_map(|(table, compiler)| {
            let summary = report.cell(table, sites, "ratio")?.map(|ratio| 100.0 * (ratio - 1.0));
            Some((summary.median, format!("{} ({compiler})", Unit::Percent.show_range(&summary))))
        });
    extreme(cells, |worst, other| other > worst)
}

#[cfg(test)]
mod tests {
    use super::super::model::Part;
    use super::*;

    fn table<const N: usize>(id: &str, columns: [(&str, Unit); N], rows: &[(&str, [f64; N])]) -> Table {
        let mut table = Table::new(Part::Calls, id, id, "", &[], "").columns(columns);
        for (name, cells) in rows {
            table.row(*name, cells.map(|cell| if cell == 0.0 { None } else { Summary::exactly(cell) }));
        }
        table
    }

    #[test]
    fn the_worst_ratio_counts_whatever_its_copy_is() {
        let forms = table(
            "calls-chain",
            [("Rust to direct", Unit::Ratio), ("C to direct", Unit::Ratio)],
            &[
                ("direct, a second copy", [1.0, 1.2]),
                ("static call, inline", [1.05, 1.1]),
                ("static call, generic", [9.0, 9.0]),
            ],
        );
        let sites = table(
            "calls-sites-c",
            [("static to direct", Unit::Ratio), ("second copy to direct", Unit::Ratio)],
            &[("64", [1.09, 1.0])],
        );
        let mut tables = vec![forms, sites];
        let (worst, text) = worst_to_direct(work_loads(&tables)).expect("ratios");
        assert_eq!(
            (worst, text.as_str()),
            (
                1.1,
                "1.100 (calls-chain, C, static call, inline); a second copy of direct is as far from 1 there: 1.200"
            )
        );
        // A row without a second copy counts as well.
        let fenced = [("static call, inline, LVI", [1.0, 1.3])];
        tables.push(table(
            "calls-x",
            [("Rust to direct", Unit::Ratio), ("C to direct", Unit::Ratio)],
            &fenced,
        ));
        let (worst, text) = worst_to_direct(work_loads(&tables)).expect("ratios");
        assert!(worst == 1.3 && text.ends_with("no second copy there"), "{worst} {text}");
        assert!(worst_to_direct(places(&tables)).is_none());
    }

    #[test]
    fn a_rate_that_is_less_is_a_time_that_is_more() {
        let programs_table = table(
            "programs-rates",
            [("static to direct", Unit::Ratio)],
            &[("a", [0.8]), ("b, hook off", [0.5])],
        );
        let worst =
            |off| worst_to_direct(programs(std::slice::from_ref(&programs_table), off)).expect("ratios").0;
        assert_eq!([worst(false), worst(true)], [1.25, 2.0]);
        let places_table = table(
            "places",
            [("Rust", Unit::Ratio), ("Rust, second copy", Unit::Ratio), ("C", Unit::Ratio)],
            &[("0", [1.0, 1.0, 1.01]), ("48", [1.4, 1.0, 0.0])],
        );
        assert_eq!(worst_to_direct(places(&[places_table])).expect("ratios").0, 1.4);
    }
}
