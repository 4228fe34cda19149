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
            "static call, inline / direct, every work load",
            "≤ 1.02",
            inline_to_direct(report),
            |ratio| ratio <= 1.02,
        )
        .because(
            "a static call's word must not cross a boundary of 8 bytes, so that up to 4 prefixes may stand before it, and \
             nothing else differs (`neighbours_direct_16` and `neighbours_static_16`, target/bench/raw/code-c-o3-retpoline.txt): code behind it \
             lies a few bytes further on.",
        ),
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
        ),
        Goal::new(
            "hook that is off / no hook",
            "≤ 1.02",
            extreme(columns(report, "hooks", "static call, off", " to none").into_iter(), |worst, other| {
                other > worst
            }),
            |ratio| ratio <= 1.02,
        )
        .because(
            "a nop of 5 bytes, up to 4 prefixes that align it, and the move of the argument make a loop of 15 bytes one of 25, \
             which then may lie in two cache lines; static-keys has its nop as well (target/bench/raw/code-c-o3-plain.txt, `hook_static_32`).",
        ),
        Goal::new(
            "update, window writer, 1,000 to 100,000 sites, a site",
            "≤ 20 ns",
            worst_update(report),
            |ns| ns <= 20.0,
        ),
        Goal::new("its slope", "≤ 1.05", slope_of(report, "update-sites", "window"), |slope| slope <= 1.05),
        Goal::new(
            "static-keys / static call, update of 1,000 sites",
            "≥ 100",
            cell(report, "update-peers", "1,000", "static-keys to static-call", Unit::Ratio),
            |ratio| ratio >= 100.0,
        ),
        Goal::new(
            "longest pause of a caller during an update, window writer, p99.99",
            "≤ 50 µs",
            pause(report),
            |nanoseconds| nanoseconds <= 50_000.0,
        )
        .because(
            "an update interrupts the caller's processor two or three times, some 3 µs each on a virtual machine (the median \
             is all of it). Whatever is longer is the machine's own: without updates the same thread has such pauses, too.",
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
        Goal::new("its slope", "≤ 1.05", slope_of(report, "start", "more"), |slope| slope <= 1.05),
        Goal::new(
            "start-up of a program with one key, over none",
            "≤ 100 µs",
            cell(report, "start", "1", "more", Unit::Nanoseconds),
            |nanoseconds| nanoseconds <= 100_000.0,
        ),
        Goal::new(
            "bytes a site, table and padding",
            "≤ 6",
            cell(report, "size", "a site: table and padding", "bytes", Unit::Bytes),
            |bytes| bytes <= 6.0,
        ),
        Goal::new("compile time with 1,000 sites", "≤ 1 % more", compile_time(report, "1,000"), |more| {
            more <= 1.0
        }),
        Goal::new("compile time without static calls", "< 0.5 % more", compile_time(report, "0"), |more| {
            more < 0.5
        }),
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

/// The worst of all work loads, and how far a second copy of the direct calls is off there. What is no further off than that is
/// as good as direct.
fn inline_to_direct(report: &Report) -> Option<(f64, String)> {
    let is_of_calls = |table: &&Table| table.id.starts_with("calls-");
    let mut found = Vec::new();
    for table in report.tables.iter().filter(is_of_calls) {
        for language in ["Rust", "C"] {
            let column = format!("{language} to direct");
            for (row, copy) in [
                ("static call, inline", "direct, a second copy"),
                ("static call, inline, retpolines", "direct, a second copy, retpolines"),
            ] {
                found.push((
                    format!("{}, {language}, {row}", table.title),
                    table.cell(row, &column),
                    table.cell(copy, &column),
                ));
            }
        }
        for row in &table.rows {
            let copy = table.cell(&row.name, "second copy to direct");
            found.push((
                format!("{}, {}", table.title, row.name),
                table.cell(&row.name, "static to direct"),
                copy,
            ));
        }
    }
    let values = found.into_iter().filter_map(|(place, ratio, copy)| {
        let (ratio, copy) = (ratio?.median, copy?.median);
        let noise = (copy - 1.0).abs();
        Some((ratio - noise, format!("{ratio:.3}, a second copy of direct {copy:.3} ({place})")))
    });
    extreme(values, |worst, other| other > worst)
}

fn worst_update(report: &Report) -> Option<(f64, String)> {
    let rows = ["1,000", "10,000", "100,000"];
    let cells = rows.iter().filter_map(|row| {
        let (value, text) = cell(report, "update-sites", row, "window, a site", Unit::Nanoseconds)?;
        Some((value, format!("{text}, {row} sites")))
    });
    extreme(cells, |worst, other| other > worst)
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
