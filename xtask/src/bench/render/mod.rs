//! A report for its readers: the terminal, Markdown, HTML with plots, and the comparison of two.

pub(super) mod compare;
mod html;
mod markdown;
mod plots;
mod readme;
pub(super) mod terminal;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::goals::Goal;
use super::model::{Report, Row, Table, put};

/// Writes the report in all its forms into a directory.
pub(super) fn write(report: &Report, goals: &[Goal], directory: &Path) -> Result<()> {
    let plots = plots::plots(report)?;
    let mut raw: Vec<String> = fs::read_dir(directory.join("raw"))
        .into_iter()
        .flatten()
        .filter_map(|file| Some(format!("raw/{}", file.ok()?.file_name().to_string_lossy())))
        .collect();
    raw.sort();
    report.write(&directory.join("report.json"))?;
    put(&directory.join("report.html"), &html::document(report, goals, &plots, &raw))?;
    let files = put_plots(&plots, directory, "plots")?;
    put(&directory.join("BENCHMARKS.md"), &markdown::document(report, goals, &files))?;
    println!("\nwritten: {0}/report.html, BENCHMARKS.md, report.json and raw/", directory.display());
    Ok(())
}

/// Puts the report where readers of the repository find it.
pub(super) fn publish(report: &Report, goals: &[Goal], root: &Path) -> Result<()> {
    let plots = plots::plots(report)?;
    let files = put_plots(&plots, root, "benches/plots")?;
    report.write(&root.join("benches/report.json"))?;
    put(&root.join("BENCHMARKS.md"), &markdown::document(report, goals, &files))?;
    let readme = root.join("README.md");
    let text = fs::read_to_string(&readme).with_context(|| format!("cannot read {}", readme.display()))?;
    put(&readme, &readme::with_section(&text, report)?)
}

/// Writes a file for each plot below `root`: their tables' ids, and their paths from there.
fn put_plots(plots: &[(String, String)], root: &Path, directory: &str) -> Result<Vec<(String, String)>> {
    let files = plots.iter().map(|(id, svg)| {
        let file = format!("{directory}/{id}.svg");
        put(&root.join(&file), svg)?;
        Ok((id.clone(), file))
    });
    files.collect()
}

/// A table's head, and its rows as text.
fn texts(table: &Table) -> (Vec<String>, Vec<Vec<String>>) {
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
fn circumstances(report: &Report) -> Vec<(String, String)> {
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
