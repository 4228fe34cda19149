//! What several forms of the report say in the same words.

use crate::model::{Report, Row, Table};

/// What each number is, for its readers.
pub(super) const NUMBERS: &str = "Each number is a median of several processes' medians, and in parentheses \
     a range that holds the median of more of them with a probability of 95 % (fewer than six are all in \
     it, and hold it with 94 % if there are five, and 75 % if three; of one process, it is a range for its \
     samples). That is about this machine in these minutes: what else runs on it another time, no range \
     knows. Ratios are taken pair by pair, of what ran next to each other, before their median. A goal that \
     lies in the range is neither met nor missed, but unclear.";

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

/// When, where and with what: a name and a text each.
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
