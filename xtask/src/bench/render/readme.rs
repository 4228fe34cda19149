//! The README's section on what it all costs: between two comments, so that nobody has to copy numbers.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::super::model::{Report, Unit};
use super::super::statistics::Summary;
use super::terminal::lines;

const BEGIN: &str = "<!-- From here on written by cargo xtask bench --publish -->\n";
const END: &str = "<!-- To here -->\n";

/// The README with this report's numbers.
pub(super) fn with_section(readme: &str, report: &Report) -> Result<String> {
    let around = || {
        let (before, rest) = readme.split_once(BEGIN)?;
        Some((before, rest.split_once(END)?.1))
    };
    let (before, after) = around().context("README.md lacks the comments between which the numbers are")?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", section(report)))
}

fn section(report: &Report) -> String {
    let mut text = format!(
        "Measured {} on {} ([BENCHMARKS.md](BENCHMARKS.md) has everything else). One call of a function that does next to \
         nothing, each the median of pairs with the direct call in the same process:\n\n",
        report.date,
        report.machine.summary()
    );
    let forms = [
        ("direct", "direct"),
        ("static call, inline", "static call, inline"),
        ("static call, trampoline", "static call, trampoline"),
        ("static call, generic", "static call, generic"),
        ("function pointer", "pointer"),
        ("function pointer, retpolines", "pointer, retpolines"),
    ];
    let rows = forms.map(|(name, row)| {
        let cells = [
            ("Rust", Unit::Nanoseconds),
            ("Rust to direct", Unit::Ratio),
            ("C", Unit::Nanoseconds),
            ("C to direct", Unit::Ratio),
        ];
        let cells = cells.map(|(column, unit)| median(unit, report.cell("calls-chain", row, column)));
        std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>()
    });
    let head = ["call", "Rust `-O3`", "to direct", "C `-O3`", "to direct"].map(str::to_owned);
    writeln!(text, "{}\n", lines(&head, &rows)).expect("memory");
    text += "![One call of so many different sites](benches/plots/calls-sites-rust.svg)\n\n";
    text += "An update (processor time of the updating thread):\n\n";
    let rows = ["1", "1,000", "10,000", "100,000", "1,000,000"].map(|sites| {
        let cells = ["window", "window, a site", "breakpoint", "breakpoint, a site"];
        let cells = cells.map(|column| range(Unit::Nanoseconds, report.cell("update-sites", sites, column)));
        std::iter::once(sites.to_owned()).chain(cells).collect::<Vec<_>>()
    });
    let head =
        ["sites of the key", "window writer", "a site", "breakpoint writer", "a site"].map(str::to_owned);
    writeln!(text, "{}\n", lines(&head, &rows)).expect("memory");
    text
}

fn median(unit: Unit, cell: Option<&Summary>) -> String {
    cell.map_or_else(String::new, |summary| unit.show(summary.median))
}

fn range(unit: Unit, cell: Option<&Summary>) -> String {
    cell.map_or_else(String::new, |summary| unit.show_range(summary))
}
