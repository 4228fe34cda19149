//! Two reports side by side.

use super::super::model::Report;
use super::terminal::lines;

/// A difference that is smaller is noise on any machine.
const LEAST: f64 = 0.02;

/// What has changed from one report to another: values whose ranges do not overlap. `old` and `new` name
/// the files.
pub(in super::super) fn print(old: &Report, new: &Report) {
    println!("old: {}, {}\nnew: {}, {}", old.date, old.machine.summary(), new.date, new.machine.summary());
    if old.machine.processor != new.machine.processor || old.machine.kernel != new.machine.kernel {
        println!("not the same machine or kernel: compare ratios, not times");
    }
    let (mut rows, mut same, mut alone) = (Vec::new(), 0, 0);
    for table in &new.tables {
        for row in &table.rows {
            for (column, cell) in table.columns.iter().zip(&row.cells) {
                let Some(cell) = cell else { continue };
                let Some(before) = old.cell(&table.id, &row.name, &column.name) else {
                    alone += 1;
                    continue;
                };
                let change = cell.median / before.median - 1.0;
                let is_apart = cell.low > before.high || cell.high < before.low;
                if !is_apart || change.abs() < LEAST || !change.is_finite() {
                    same += 1;
                    continue;
                }
                let is_worse = column.unit.is_cost().map(|is_cost| (change > 0.0) == is_cost);
                let verdict = is_worse.map_or("", |is_worse| if is_worse { "worse" } else { "better" });
                rows.push(vec![
                    format!("{}: {}: {}", table.id, row.name, column.name),
                    column.unit.show_range(before),
                    column.unit.show_range(cell),
                    format!("{:+.1} %", 100.0 * change),
                    verdict.into(),
                ]);
            }
        }
    }
    if !rows.is_empty() {
        println!("\n{}", lines(&["figure", "old", "new", "change", ""].map(str::to_owned), &rows));
    }
    println!(
        "\n{} figures differ by more than their spread and {:.0} %, {same} do not, {alone} are only in the new report",
        rows.len(),
        100.0 * LEAST
    );
}
