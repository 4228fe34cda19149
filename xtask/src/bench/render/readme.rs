//! The README's section on what it all costs: between two comments, so that nobody has to copy numbers.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::super::model::{Report, Unit};
use super::super::statistics::Summary;
use super::terminal::lines;

const BEGIN: &str = "<!-- From here on written by cargo xtask bench --publish -->\n";
const WIDTH: usize = 118;
const END: &str = "<!-- To here -->\n";

/// The README with this report's numbers.
pub(super) fn with_section(readme: &str, report: &Report) -> Result<String> {
    let around = || {
        let (before, rest) = readme.split_once(BEGIN)?;
        Some((before, rest.split_once(END)?.1))
    };
    let (before, after) = around().context("README.md lacks the comments between which the numbers are")?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", wrapped(&section(report))))
}

fn section(report: &Report) -> String {
    let ns = Unit::Nanoseconds;
    let mut text = format!(
        "Measured on {} on {}. `cargo xtask bench` measures your machine, in three minutes once its programs are built, and \
         writes a report with plots; [BENCHMARKS.md](BENCHMARKS.md) is this one's, with what was promised and what of it is missed. One call of a \
         function that does next to nothing, each the median of pairs with the direct call in the same process:\n\n",
        report.date,
        report.machine.summary()
    );
    let forms = [
        ("direct", "direct"),
        ("static call, inline", "static call, inline"),
        ("static call, trampoline", "static call, trampoline"),
        ("static call, generic", "static call, generic"),
        ("function pointer", "pointer"),
        ("`dyn Trait`, table of functions", "dyn Trait, table of functions"),
        ("static call, inline, retpolines", "static call, inline, retpolines"),
        ("function pointer, retpolines", "pointer, retpolines"),
    ];
    let columns = [("Rust", ns), ("Rust to direct", Unit::Ratio), ("C", ns), ("C to direct", Unit::Ratio)];
    let rows = forms.map(|(name, row)| {
        let cells = columns.map(|(column, unit)| median(unit, report.cell("calls-chain", row, column)));
        std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>()
    });
    let head = ["call", "Rust `-O3`", "to direct", "C `-O3`", "to direct"].map(str::to_owned);
    write!(text, "{}\n\n", lines(&head, &rows)).expect("memory");
    text += "Where many calls compete for the branch predictor, pointers lose more:\n\n\
             ![One call of so many different sites](benches/plots/calls-sites-rust.svg)\n\n\
             An update (processor time of the updating thread):\n\n";
    let sites = ["1", "1,000", "10,000", "100,000", "1,000,000"];
    let measured = sites.into_iter().filter(|sites| report.cell("update-sites", sites, "window").is_some());
    let rows: Vec<_> = measured
        .map(|sites| {
            let cells = ["window", "window, a site", "breakpoint", "breakpoint, a site"]
                .map(|column| range(ns, report.cell("update-sites", sites, column)));
            std::iter::once(sites.to_owned()).chain(cells).collect()
        })
        .collect();
    let head =
        ["sites of the key", "window writer", "a site", "breakpoint writer", "a site"].map(str::to_owned);
    write!(text, "{}\n\n", lines(&head, &rows)).expect("memory");
    let cell = |unit, table, row, column| median(unit, report.cell(table, row, column));
    let percent = |row| cell(Unit::Percent, "callers", row, "rate kept");
    write!(
        text,
        "That is linear in the sites; what one site costs are system calls. The breakpoint writer looks at every signal's handler, \
         and at each thread's mask: {} in a process of 8 threads, {} in one of 64.\n\n\
         A thread that does nothing but call kept {} of its rate while another one made 1,000 updates a second with the window \
         writer, and {} with the breakpoint writer: each update interrupts the other processor two or three times, which a virtual \
         machine makes dear. While a breakpoint is set, every call of the key is a trap.\n\n\
         The crate `static-keys` 0.8 patches branches, with a few system calls for each of them, and only while there is no other \
         thread. A change of 1,000 sites costs {} a site there, and {} here, in turns in the same process: {} times less.\n\n\
         A program with 100,000 sites takes {} a site longer to start (processor time; the dynamic linker takes {} for each symbol that it \
         looks up), and one with one key {}.\n",
        cell(ns, "update-threads", "8 that sleep, in all", "breakpoint"),
        cell(ns, "update-threads", "64 that sleep, in all", "breakpoint"),
        percent("window"),
        percent("breakpoint"),
        cell(ns, "update-peers", "1,000", "static-keys, a site"),
        cell(ns, "update-peers", "1,000", "static-call, a site"),
        cell(Unit::Ratio, "update-peers", "1,000", "static-keys to static-call"),
        cell(ns, "start", "100,000", "a site"),
        cell(ns, "symbols", "100,000", "a symbol"),
        cell(ns, "start", "1", "more"),
    )
    .expect("memory");
    text
}

/// With lines as long as in the rest of the README; tables as they are.
fn wrapped(text: &str) -> String {
    let mut wrapped = String::new();
    for line in text.lines() {
        let mut length = 0;
        for word in line.split(' ').filter(|_| !line.starts_with('|')) {
            let width = word.chars().count();
            if length > 0 {
                let is_full = length + 1 + width > WIDTH;
                wrapped.push(if is_full { '\n' } else { ' ' });
                length = if is_full { 0 } else { length + 1 };
            }
            wrapped += word;
            length += width;
        }
        wrapped += if line.starts_with('|') { line } else { "" };
        wrapped.push('\n');
    }
    wrapped
}

fn median(unit: Unit, cell: Option<&Summary>) -> String {
    cell.map_or_else(String::new, |summary| unit.show(summary.median))
}

fn range(unit: Unit, cell: Option<&Summary>) -> String {
    cell.map_or_else(String::new, |summary| unit.show_range(summary))
}
