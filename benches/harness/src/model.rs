//! The results of a benchmark run. All tables, plots, goals and comparisons are made from this alone, and it
//! is the JSON file's format.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::statistics::Summary;

/// Incremented when old files can no longer be read.
const FORMAT: u32 = 2;

#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    format: u32,
    /// When the run began, in UTC.
    pub(crate) date: String,
    pub(crate) seconds: f64,
    pub(crate) is_quick: bool,
    pub(crate) machine: Machine,
    pub(crate) tables: Vec<Table>,
    /// What this machine could not measure.
    pub(crate) missing: Vec<Missing>,
}

impl Report {
    pub(crate) fn new(machine: Machine, date: String, is_quick: bool) -> Self {
        Self {
            format: FORMAT,
            date,
            seconds: 0.0,
            is_quick,
            machine,
            tables: Vec::new(),
            missing: Vec::new(),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} cannot be used", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        /// The field that all formats have.
        #[derive(Deserialize)]
        struct AnyFormat {
            format: u32,
        }
        const NONE: &str = "this is no report of cargo xtask bench, or a damaged one";
        let AnyFormat { format } = serde_json::from_str(text).context(NONE)?;
        ensure!(format == FORMAT, "it has format {format}, and this program reads {FORMAT}: measure again");
        let report: Self = serde_json::from_str(text).context(NONE)?;
        for table in &report.tables {
            for row in &table.rows {
                let [cells, columns] = [row.cells.len(), table.columns.len()];
                ensure!(
                    cells == columns,
                    "{NONE}: the row {} of {} has {cells} cells for {columns} columns",
                    row.name,
                    table.id
                );
            }
        }
        Ok(report)
    }

    /// This report with the tables of a later one's parts, which say when they were measured.
    pub(crate) fn with_part_of(mut self, later: Self) -> Result<Self> {
        ensure!(
            self.machine.summary() == later.machine.summary(),
            "the published report is of another machine ({}): publish a run of all parts",
            self.machine.summary()
        );
        self.tables.retain(|table| !later.tables.iter().any(|new| new.part == table.part));
        let circumstances = format!(
            " Measured apart from the rest: {}, {} run, static-call {}.",
            later.date,
            if later.is_quick { "quick" } else { "full" },
            later.machine.versions.get("static-call").map_or("", String::as_str)
        );
        self.tables.extend(later.tables.into_iter().map(|mut table| {
            table.about += &circumstances;
            table
        }));
        Ok(self)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        put(path, &serde_json::to_string_pretty(self)?)
    }

    pub(crate) fn table(&self, id: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.id == id)
    }

    /// A value, if it was measured.
    pub(crate) fn cell(&self, table: &str, row: &str, column: &str) -> Option<&Summary> {
        self.table(table)?.cell(row, column)
    }

    pub(crate) fn miss(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.missing.push(Missing { what: what.into(), why: why.into() });
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) why: String,
}

/// Measurements side by side.
#[derive(Serialize, Deserialize)]
pub(crate) struct Table {
    /// A short name that does not change from version to version.
    pub(crate) id: String,
    pub(crate) part: Part,
    pub(crate) title: String,
    /// How it was measured.
    pub(crate) about: String,
    /// Files of the repository with the programs.
    pub(crate) sources: Vec<String>,
    /// What the rows are.
    pub(crate) of: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) unit: Unit,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The row's position on a plot's axis: a number of sites, say.
    pub(crate) x: Option<f64>,
    /// One for each column.
    pub(crate) cells: Vec<Option<Summary>>,
}

impl Table {
    /// An empty one. `sources` are paths in the repository.
    pub(crate) fn new(part: Part, id: &str, title: &str, of: &str, sources: &[&str], about: &str) -> Self {
        Self {
            id: id.into(),
            part,
            title: title.into(),
            about: about.into(),
            sources: sources.iter().map(|source| (*source).to_owned()).collect(),
            of: of.into(),
            columns: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn columns<const N: usize>(mut self, columns: [(&str, Unit); N]) -> Self {
        self.columns.extend(columns.map(|(name, unit)| Column { name: name.into(), unit }));
        self
    }

    pub(crate) fn row(&mut self, name: impl Into<String>, cells: impl Into<Vec<Option<Summary>>>) {
        self.push(name.into(), None, cells.into());
    }

    /// A row for a number of sites, keys or the like.
    pub(crate) fn counted(&mut self, count: usize, cells: impl Into<Vec<Option<Summary>>>) {
        self.push(thousands(count), Some(count as f64), cells.into());
    }

    pub(crate) fn push(&mut self, name: String, x: Option<f64>, cells: Vec<Option<Summary>>) {
        assert_eq!(cells.len(), self.columns.len(), "cells of the row {name} of {}", self.id);
        // JSON has only finite numbers.
        let cells = cells.into_iter().map(|cell| cell.filter(Summary::is_finite)).collect();
        self.rows.push(Row { name, x, cells });
    }

    pub(crate) fn cell(&self, row: &str, column: &str) -> Option<&Summary> {
        let column = self.column(column)?;
        self.rows.iter().find(|known| known.name == row)?.cells[column].as_ref()
    }

    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Position and value of the rows that have both.
    pub(crate) fn points(&self, column: &str) -> Vec<(f64, &Summary)> {
        let Some(column) = self.column(column) else { return Vec::new() };
        self.rows.iter().filter_map(|row| Some((row.x?, row.cells[column].as_ref()?))).collect()
    }
}

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// What a call costs
    Calls,
    /// What an update costs, and what it costs callers
    Update,
    /// What many sites cost in time and space when loaded
    Load,
    /// What the pass adds to compile times
    Build,
    /// What whole programs gain
    Programs,
    /// What static branches cost
    Branches,
    /// What crates of others gain
    Crates,
}

impl Part {
    pub(crate) const ALL: [Self; 7] =
        [Self::Calls, Self::Update, Self::Load, Self::Build, Self::Programs, Self::Branches, Self::Crates];

    /// Its name in options and reports.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Update => "update",
            Self::Load => "load",
            Self::Build => "build",
            Self::Programs => "programs",
            Self::Branches => "branches",
            Self::Crates => "crates",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Calls => "Call cost",
            Self::Update => "Update cost",
            Self::Load => "Load cost and size",
            Self::Build => "Build cost",
            Self::Programs => "Whole programs",
            Self::Branches => "Static branches",
            Self::Crates => "Converted crates",
        }
    }
}

/// The unit of a number.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Nanoseconds,
    /// A quotient of two numbers.
    Ratio,
    Bytes,
    Count,
    Percent,
    BytesPerSecond,
    PerSecond,
}

impl Unit {
    /// A value for people.
    pub(crate) fn show(self, value: f64) -> String {
        let (size, name) = self.scale(value);
        format!("{}{name}", self.digits(value / size))
    }

    /// The median and its range.
    pub(crate) fn show_range(self, summary: &Summary) -> String {
        let median = self.show(summary.median);
        let (size, _) = self.scale(summary.median);
        let [low, high] = [summary.low, summary.high].map(|value| self.digits(value / size));
        if summary.samples == 1 || low == high { median } else { format!("{median} ({low} to {high})") }
    }

    /// The largest multiple of the unit that a value fills, and its name.
    fn scale(self, value: f64) -> (f64, &'static str) {
        let scales: &[(f64, &str)] = match self {
            Self::Nanoseconds => &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")],
            Self::Bytes => &[(1e6, " MB"), (1e4, " kB"), (1.0, "")],
            Self::BytesPerSecond => &[(1e9, " GB/s"), (1e6, " MB/s"), (1e3, " kB/s")],
            Self::PerSecond => &[(1e6, " M/s"), (1e3, " k/s"), (1.0, " /s")],
            Self::Percent => &[(1.0, " %")],
            Self::Ratio | Self::Count => &[(1.0, "")],
        };
        let scale = scales.iter().find(|(size, _)| value.abs() >= *size).or(scales.last());
        let (size, name) = *scale.expect("each unit has a scale");
        // Kilobytes are used from ten on.
        (if name == " kB" { 1e3 } else { size }, name)
    }

    /// With about three significant digits.
    fn digits(self, value: f64) -> String {
        match value.abs() {
            _ if self == Self::Count && value.fract() == 0.0 && value >= 0.0 => thousands(value as usize),
            small if small < 2.0 && self == Self::Ratio => format!("{value:.3}"),
            small if small < 10.0 => format!("{value:.2}"),
            medium if medium < 100.0 => format!("{value:.1}"),
            _ => format!("{value:.0}"),
        }
    }

    /// Whether less is better, if the unit determines that.
    pub(crate) fn is_cost(self) -> Option<bool> {
        match self {
            Self::Nanoseconds | Self::Bytes => Some(true),
            Self::BytesPerSecond | Self::PerSecond => Some(false),
            Self::Ratio | Self::Count | Self::Percent => None,
        }
    }
}

/// A number with commas.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| str::from_utf8(g).expect("digits")).collect();
    groups.join(",")
}

/// Writes a file atomically: if that fails, an existing file stays intact.
pub(crate) fn put(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().context("a file in a directory")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let write = || -> std::io::Result<()> {
        // With the umask's permissions, like any other file.
        let permissions = fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new(Machine::default(), "today".into(), true);
        let mut table = Table::new(Part::Calls, "id", "title", "what", &[], "about")
            .columns([("one", Unit::Ratio), ("other", Unit::Count)]);
        // Numbers that a reader without `float_roundtrip` would change.
        table.row(
            "row",
            [Summary::of([0.8479999999999999, 1.0840000000000003]), Summary::exactly(f64::INFINITY)],
        );
        report.tables.push(table);
        report
    }

    #[test]
    fn a_report_that_is_read_and_written_stays_as_it_is() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("deeper/report.json");
        report().write(&path).expect("written");
        let text = fs::read_to_string(&path).expect("a report");
        Report::read(&path).expect("a report").write(&path).expect("written over it");
        assert_eq!(fs::read_to_string(&path).expect("a report"), text);
        assert_eq!(fs::read_dir(path.parent().expect("a directory")).expect("a directory").count(), 1);
        assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o600, 0o600);
    }

    #[test]
    fn a_file_is_replaced_and_not_written_into() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file");
        put(&path, "what was there").expect("written");
        let before = fs::File::open(&path).expect("a file");
        put(&path, "new").expect("written");
        assert_eq!(std::io::read_to_string(before).expect("text"), "what was there");
        assert_eq!(fs::read_to_string(&path).expect("text"), "new");
    }

    #[test]
    fn reports_that_cannot_be_used_say_why() {
        let text = serde_json::to_string(&report()).expect("JSON");
        let error = |text: &str| format!("{:#}", Report::parse(text).err().expect("an error"));
        assert!(Report::parse(&text).is_ok());
        let newer = error("{\"format\": 99, \"pages\": []}");
        assert!(newer.contains("format 99"), "{newer}");
        let short = error(&text.replace(",null]", "]"));
        assert!(short.contains("the row row of id has 1 cells for 2 columns"), "{short}");
        let cut = error(&text[..text.len() / 2]);
        assert!(cut.contains("damaged"), "{cut}");
    }

    #[test]
    fn a_part_that_is_measured_later_replaces_its_tables_alone() {
        let about = |report: &Report, id: &str| report.table(id).map(|table| table.about.clone());
        let mut published = report();
        published.tables.push(Table::new(Part::Crates, "old", "title", "what", &[], "about"));
        let mut later = Report::new(Machine::default(), "tomorrow".into(), false);
        later.tables.push(Table::new(Part::Crates, "new", "title", "what", &[], "about."));
        let whole = published.with_part_of(later).expect("the same machine");
        assert_eq!(about(&whole, "id").as_deref(), Some("about"));
        assert_eq!(about(&whole, "old"), None);
        let new = about(&whole, "new").expect("the new table");
        assert_eq!(new, "about. Measured apart from the rest: tomorrow, full run, static-call .");
        assert_eq!(whole.date, "today");

        let elsewhere = Machine { processors: 99, ..Machine::default() };
        let error = whole.with_part_of(Report::new(elsewhere, "later".into(), true));
        let error = error.err().expect("another machine").to_string();
        assert!(error.contains("another machine"), "{error}");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(Unit::Nanoseconds.show(3_400.0), "3.40 µs");
        assert_eq!(Unit::Nanoseconds.show(0.97), "0.97 ns");
        assert_eq!(Unit::Bytes.show(12_345.0), "12.3 kB");
        assert_eq!(Unit::Bytes.show(4.0), "4.00");
        let summary = Summary::of_runs([vec![1_500.0], vec![1_700.0]]).expect("samples");
        assert_eq!(Unit::Nanoseconds.show_range(&summary), "1.60 µs (1.50 to 1.70)");
    }
}
