//! Tables on the terminal.

use comfy_table::{CellAlignment, presets};

use crate::goals::Goal;
use crate::model::{Missing, Table};

pub(crate) fn print(table: &Table) {
    let (head, rows) = super::text::texts(table);
    println!("\n{}\n{}", table.title, lines(&head, &rows));
}

pub(crate) fn lines(head: &[String], rows: &[Vec<String>]) -> String {
    let mut lines = table(head.iter().cloned());
    lines.add_rows(rows);
    lines.to_string()
}

/// An empty table. All columns but the first hold numbers.
pub(crate) fn table(head: impl IntoIterator<Item = impl Into<comfy_table::Cell>>) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(head.into_iter().map(Into::into).collect::<Vec<_>>());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub(crate) fn print_goals(goals: &[Goal]) {
    println!();
    for goal in goals {
        println!("{:<8} {}, {}: {}", goal.verdict.as_str(), goal.figure, goal.wanted, goal.measured);
    }
}

pub(crate) fn print_missing(missing: &[Missing]) {
    for Missing { what, why } in missing {
        println!("missing: {what}: {why}");
    }
}
