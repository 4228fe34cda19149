//! Two reports side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::terminal::lines;
use crate::model::{Report, Table, Unit};
use crate::statistics::Summary;

/// A difference counts if it exceeds this multiple of the spread within one report.
const FACTOR: f64 = 3.0;
/// A smaller difference is noise in any case: a new process has different addresses, and the clock rate
/// drifts.
const LEAST: f64 = 0.05;
/// Ratios whose two sides take turns in one process suffer less from this.
const LEAST_RATIO: f64 = 0.02;

/// The changes from one report to another.
pub(crate) fn print(old: &Report, new: &Report) {
    println!("old: {}, {}\nnew: {}, {}", old.date, old.machine.summary(), new.date, new.machine.summary());
    if old.machine.processor != new.machine.processor || old.machine.kernel != new.machine.kernel {
        println!("not the same machine or kernel: compare ratios, not times");
    }
    if old.is_quick != new.is_quick {
        println!("one run was quick and the other full, with more processes and samples");
    }
    print!("{}", Comparison::of(old, new).text());
}

/// Why a change cannot be judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Differs,
    Same,
    /// It was measured once, so its spread is unknown.
    Unknown,
}

fn verdict(unit: Unit, before: &Summary, now: &Summary) -> Verdict {
    let difference = (now.median - before.median).abs();
    if before.samples == 1 || now.samples == 1 {
        // Counts are exact, but a difference of measured counts has many samples.
        let is_counted = matches!(unit, Unit::Count | Unit::Bytes) && before.samples == now.samples;
        return match is_counted {
            true if difference > 0.0 => Verdict::Differs,
            true => Verdict::Same,
            false => Verdict::Unknown,
        };
    }
    let least = if unit == Unit::Ratio { LEAST_RATIO } else { LEAST };
    let noise = f64::max(FACTOR * f64::max(spread(before), spread(now)), least * before.median.abs());
    if difference > noise { Verdict::Differs } else { Verdict::Same }
}

/// How much two runs may differ: half the range of several processes' medians. A single process's median
/// looks more precise than a second run would confirm, so there it is half the range of the middle 80 % of
/// the samples.
fn spread(summary: &Summary) -> f64 {
    let (low, high) = if summary.runs > 1 { (summary.low, summary.high) } else { (summary.p10, summary.p90) };
    (high - low) / 2.0
}

/// Whether a figure does not involve static calls, so that a difference comes from the machine or the
/// compiler.
fn is_of_others(table: &str, row: &str, column: &str) -> bool {
    /// The prefixes of their names.
    const ROWS: [&str; 18] = [
        "direct",
        "inlined",
        "pointer",
        "dyn",
        "enum",
        "ifunc",
        "none",
        "relaxed load",
        "load of a pointer",
        "load, and branch",
        "nothing",
        "registers",
        "static-keys 0.8",
        "switch",
        "table of functions",
        "hook, none",
        "hook, branch",
        "hook, pointer",
    ];
    const COLUMNS: [&str; 17] = [
        "direct",
        "second copy to direct",
        "pointer",
        "pointer to direct",
        "pointer, retpolines",
        "pointer to direct, retpolines",
        "Rust, second copy",
        "C, second copy",
        "Rust, load and branch",
        "C, load and branch",
        "without",
        "without updates",
        "no updates",
        "one store",
        "static-keys",
        "static-keys, a site",
        "updates a second",
    ];
    let is_row = ROWS.iter().any(|start| row.starts_with(start));
    table == "symbols" || COLUMNS.contains(&column) || (is_row && !column.contains("static"))
}

/// Whether less is better, if the figure determines that.
fn is_cost(table: &str, column: &str, unit: Unit) -> Option<bool> {
    let is_ratio_of_costs = || {
        let costs = ["to direct", "to none", "to nothing", "ratio", "ratio of instructions", "Rust", "C"];
        // Whole programs compare rates. In other ratios, the alternative to static calls comes first.
        let benefits = ["to static", "static-keys to static-call", "one by one to batch"];
        let is_one = |ends: &[&str]| ends.iter().any(|end| column.ends_with(end));
        match () {
            () if table.starts_with("programs") => Some(false),
            () if is_one(&benefits) || column.starts_with("one by one to batch") => Some(false),
            () if is_one(&costs) => Some(true),
            () => None,
        }
    };
    match unit {
        Unit::Ratio => is_ratio_of_costs(),
        Unit::Percent if column == "rate kept" => Some(false),
        Unit::Count if ["instructions", "start", "symbols"].contains(&table) => Some(true),
        _ => unit.is_cost(),
    }
}

#[derive(Default)]
struct Comparison {
    rows: Vec<Vec<String>>,
    same: usize,
    unknown: usize,
    /// The number of figures that do not involve static calls, and how many of them differ.
    of_others: usize,
    of_others_differ: usize,
    only_old: Vec<String>,
    only_new: Vec<String>,
}

impl Comparison {
    fn of(old: &Report, new: &Report) -> Self {
        let mut found = Self { only_old: only(old, new), only_new: only(new, old), ..Self::default() };
        for (table, row, column, unit, now) in figures(new) {
            let Some(before) = old.cell(&table.id, row, column) else { continue };
            let verdict = verdict(unit, before, now);
            if verdict != Verdict::Unknown && is_of_others(&table.id, row, column) {
                found.of_others += 1;
                found.of_others_differ += usize::from(verdict == Verdict::Differs);
            }
            match verdict {
                Verdict::Same => found.same += 1,
                Verdict::Unknown => found.unknown += 1,
                Verdict::Differs => {
                    let change = now.median / before.median - 1.0;
                    let is_worse = is_cost(&table.id, column, unit)
                        .map(|is_cost| (now.median > before.median) == is_cost);
                    let word = match is_worse {
                        _ if is_of_others(&table.id, row, column) => "not ours",
                        Some(true) => "worse",
                        Some(false) => "better",
                        None => "",
                    };
                    found.rows.push(vec![
                        format!("{}: {row}: {column}", table.id),
                        unit.show_range(before),
                        unit.show_range(now),
                        if change.is_finite() { format!("{:+.1} %", 100.0 * change) } else { String::new() },
                        word.into(),
                    ]);
                }
            }
        }
        found
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if !self.rows.is_empty() {
            let head = ["figure", "old", "new", "change", ""].map(str::to_owned);
            text += &format!("\n{}\n", lines(&head, &self.rows));
        }
        text += &format!(
            "\n{} figures differ, {} do not, and {} were measured only once, so they cannot be judged.\n\
             A figure differs if its medians are further apart than {FACTOR} times the spread in either \
             report, and than {:.0} % ({:.0} % for a ratio). The spread is that of several processes' \
             medians or, with one process, the range of the middle 80 % of the samples. Counts differ if \
             they are not equal.\n\
             This is no proof: of {} figures that do not involve static calls (direct calls, pointers, \
             programs without static calls) {} differ too. The same share of the others may have other \
             causes.\n",
            self.rows.len(),
            self.same,
            self.unknown,
            100.0 * LEAST,
            100.0 * LEAST_RATIO,
            self.of_others,
            self.of_others_differ
        );
        for (which, only) in [("old", &self.only_old), ("new", &self.only_new)] {
            if !only.is_empty() {
                text += &format!("\nonly in the {which} report:\n{}\n", only.join("\n"));
            }
        }
        text
    }
}

/// All values of a report: table, row, column, and unit.
fn figures(report: &Report) -> impl Iterator<Item = (&Table, &str, &str, Unit, &Summary)> {
    report.tables.iter().flat_map(|table| {
        table.rows.iter().flat_map(move |row| {
            let cells = table.columns.iter().zip(&row.cells);
            cells.filter_map(move |(column, cell)| {
                Some((table, &*row.name, &*column.name, column.unit, cell.as_ref()?))
            })
        })
    })
}

/// What the other report lacks: a line per row, or per table if all of it is missing.
fn only(report: &Report, other: &Report) -> Vec<String> {
    let mut rows: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut tables = BTreeSet::new();
    for (table, row, column, ..) in figures(report) {
        if other.table(&table.id).is_none() {
            tables.insert(format!("{} (the whole table)", table.id));
        } else if other.cell(&table.id, row, column).is_none() {
            rows.entry((&table.id, row)).or_default().push(column);
        }
    }
    let rows =
        rows.into_iter().map(|((table, row), columns)| format!("{table}: {row}: {}", columns.join("; ")));
    tables.into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::model::Part;

    fn runs(medians: [f64; 3]) -> Option<Summary> {
        Summary::of_runs(medians.map(|median| vec![median, median]))
    }

    fn report(rows: &[(&str, Option<Summary>)]) -> Report {
        let mut table = Table::new(Part::Calls, "calls", "", "", &[], "").columns([("C", Unit::Nanoseconds)]);
        for (name, cell) in rows {
            table.row(*name, [cell.clone()]);
        }
        let mut report = Report::new(Machine::default(), String::new(), true);
        report.tables.push(table);
        report
    }

    #[test]
    fn what_is_noise_and_what_is_not() {
        let judge = |unit, before: Option<Summary>, now: Option<Summary>| {
            verdict(unit, &before.expect("samples"), &now.expect("samples"))
        };
        let before = || runs([9.9, 10.0, 10.1]);
        let ns = Unit::Nanoseconds;
        // The ranges do not overlap, which means little for three runs.
        assert_eq!(judge(ns, before(), runs([10.2, 10.3, 10.4])), Verdict::Same);
        assert_eq!(judge(ns, before(), runs([10.7, 10.8, 10.9])), Verdict::Differs);
        assert_eq!(judge(Unit::Ratio, before(), runs([10.3, 10.4, 10.5])), Verdict::Differs);
        // A larger spread in either.
        assert_eq!(judge(ns, before(), runs([10.5, 10.8, 11.1])), Verdict::Same);
        assert_eq!(judge(ns, runs([10.5, 10.8, 11.1]), before()), Verdict::Same);
        // Of one run, the samples' own spread.
        let wide = |from: i32| Summary::of((from..from + 100).map(f64::from));
        assert_eq!(judge(ns, wide(0), wide(60)), Verdict::Same);
        assert_eq!(judge(ns, wide(0), wide(160)), Verdict::Differs);
        assert_eq!(judge(Unit::Bytes, Summary::exactly(5.28), Summary::exactly(5.29)), Verdict::Differs);
        assert_eq!(judge(ns, Summary::exactly(5.0), Summary::exactly(50.0)), Verdict::Unknown);
    }

    #[test]
    fn figures_that_only_one_report_has_are_named() {
        let old = report(&[("direct", runs([1.0; 3])), ("ours", runs([1.0; 3])), ("gone", runs([1.0; 3]))]);
        let mut new = report(&[("direct", runs([2.0; 3])), ("ours", runs([1.5; 3])), ("gone", None)]);
        new.tables.push(Table { id: "more".into(), ..report(&[("row", runs([1.0; 3]))]).tables.remove(0) });
        let found = Comparison::of(&old, &new);
        assert_eq!(found.only_old, ["calls: gone: C"]);
        assert_eq!(found.only_new, ["more (the whole table)"]);
        assert_eq!((found.of_others, found.of_others_differ, found.rows.len()), (1, 1, 2));
        let words: Vec<&str> = found.rows.iter().map(|row| &*row[4]).collect();
        assert_eq!(words, ["not ours", "worse"]);
        let ratio = |table, column| is_cost(table, column, Unit::Ratio);
        assert_eq!(ratio("calls-chain", "Rust to direct"), Some(true));
        assert_eq!(ratio("calls-chain", "C to static"), Some(false));
        assert_eq!(ratio("programs-rates", "static to direct"), Some(false));
        assert_eq!(ratio("hooks-places", "Rust"), Some(true));
        let text = found.text();
        assert!(text.contains("of 1 figures that do not involve static calls"), "{text}");
        assert!(text.contains("only in the old report:\ncalls: gone: C\n"), "{text}");
    }
}
