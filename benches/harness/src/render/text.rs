//! The text that several forms of the report share.

use crate::model::{Report, Row, Table};

/// Explains the numbers to readers.
pub(super) const NUMBERS: &str = "Each number is the median of several processes' medians. The range in \
     parentheses is a 95 % confidence interval for that median. (With fewer than six processes it spans all \
     of them, which gives 94 % for five and 75 % for three. With one process, it is an interval for the \
     samples.) A range describes this machine during this run, not other times or other loads. Ratios are \
     computed for pairs that ran next to each other, before the median. A goal that lies in the range is \
     neither met nor missed, but unclear.";

/// A table's head, and its rows as text.
pub(super) fn texts(table: &Table) -> (Vec<String>, Vec<Vec<String>>) {
    let head =
        std::iter::once(table.of.clone()).chain(table.columns.iter().map(|column| column.name.clone()));
    let row = |row: &Row| {
        let cells = row.cells.iter().zip(&table.columns);
        let cells = cells.map(|(cell, column)| match cell {
            Some(summary) => column.unit.show_range(summary),
            None => String::new(),
        });
        std::iter::once(row.name.clone()).chain(cells).collect()
    };
    (head.collect(), table.rows.iter().map(row).collect())
}

/// The date, the machine and the tools, as pairs of name and text.
pub(super) fn circumstances(report: &Report) -> Vec<(String, String)> {
    let machine = &report.machine;
    let kind = if report.is_quick { "quick" } else { "full" };
    let facts = [
        ("date", format!("{}, {kind} run of {:.0} s", report.date, report.seconds)),
        ("machine", machine.summary()),
        ("memory", format!("{:.0} GiB", machine.memory as f64 / f64::from(1 << 30))),
        ("hardware counters", if machine.has_counters { "yes" } else { "no" }.into()),
    ];
    let facts = facts.map(|(name, text)| (name.to_owned(), text));
    let versions = machine.versions.iter().map(|(name, version)| (name.clone(), version.clone()));
    let mitigations = machine.mitigations.iter().filter(|(_, state)| *state != "Not affected");
    facts
        .into_iter()
        .chain(versions)
        .chain(mitigations.map(|(name, state)| (name.clone(), state.clone())))
        .collect()
}
