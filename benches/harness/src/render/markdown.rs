//! BENCHMARKS.md.

use std::fmt::Write as _;

use super::terminal::lines;
use crate::goals::Goal;
use crate::model::{Part, Report, Table};

/// The location of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The repository's root, for all readers.
    Root,
    /// Cargo's target directory, for the person who measured.
    Target,
}

/// `plots` has the name of each plot and its file, relative to the document.
pub(crate) fn document(report: &Report, goals: &[Goal], plots: &[(String, String)], place: Place) -> String {
    let source = match place {
        Place::Root => {
            "Written by `cargo xtask bench --publish`; measure your own machine with `cargo xtask bench`, \
             and compare with `cargo xtask bench --compare benches/report.json`, which holds the numbers \
             below. A run of your own leaves the files of `target/bench/raw/` that the text mentions."
        }
        Place::Target => {
            "Written by `cargo xtask bench`. report.json has the same numbers, and raw/ the programs' \
             output."
        }
    };
    let mut text = format!("# Benchmarks\n\n{source}\n\n{}\n\n", super::text::NUMBERS);
    if let Some(sentences) = super::readme::in_short(report) {
        section(&mut text, "In short", &sentences);
    }
    let rows: Vec<_> =
        super::text::circumstances(report).into_iter().map(|(name, fact)| vec![name, fact]).collect();
    section(&mut text, "Where", &table_of(&["", ""], &rows));
    let obstacles = goals.iter().filter_map(|goal| Some(format!("- {}: {}\n", goal.figure, goal.obstacle?)));
    section(&mut text, "Goals", &format!("{}\n{}", goal_table(goals), obstacles.collect::<String>()));
    if !report.missing.is_empty() {
        let lines = report.missing.iter().map(|missing| format!("- {}: {}\n", missing.what, missing.why));
        section(&mut text, "What is missing", &lines.collect::<String>());
    }
    for part in Part::ALL {
        let tables: Vec<&Table> = report.tables.iter().filter(|table| table.part == part).collect();
        if tables.is_empty() {
            continue;
        }
        section(&mut text, part.title(), "");
        for table in tables {
            write!(text, "### {}\n\n", table.title).expect("memory");
            if let Some((_, file)) = plots.iter().find(|(id, _)| *id == table.id) {
                write!(text, "![{}]({file})\n\n", table.title).expect("memory");
            }
            write!(text, "{}\n\n{}\n\n", table.about, sources(table, place)).expect("memory");
            writeln!(text, "{}\n", self::table(table)).expect("memory");
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn section(text: &mut String, title: &str, body: &str) {
    write!(text, "## {title}\n\n").expect("memory");
    if !body.is_empty() {
        writeln!(text, "{}\n", body.trim_end()).expect("memory");
    }
}

fn sources(table: &Table, place: Place) -> String {
    let links = table.sources.iter().map(|file| match place {
        Place::Root => format!("[`{file}`]({file})"),
        Place::Target => format!("`{file}`"),
    });
    format!("Source: {}", links.collect::<Vec<_>>().join(", "))
}

fn table(table: &Table) -> String {
    let (head, rows) = super::text::texts(table);
    lines(&head, &rows)
}

/// A table of texts, without padding.
fn table_of(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let texts = rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    std::iter::once(line(head)).chain([line(&vec!["---"; head.len()])]).chain(texts).collect()
}

fn goal_table(goals: &[Goal]) -> String {
    let row = |goal: &Goal| {
        vec![goal.figure.clone(), goal.wanted.clone(), goal.measured.clone(), goal.verdict.as_str().into()]
    };
    table_of(&["figure", "goal", "measured", ""], &goals.iter().map(row).collect::<Vec<_>>())
}
