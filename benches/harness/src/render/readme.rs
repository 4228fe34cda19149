//! The numbers in prose: the README's section between two comments, and a summary for BENCHMARKS.md, so that
//! nobody has to copy numbers.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

use super::terminal::lines;
use crate::model::{Report, Unit};
use crate::statistics::Summary;

const BEGIN: &str = "<!-- From here on written by cargo xtask bench --publish -->\n";
const WIDTH: usize = 110;
const IFUNC: &str = "ifunc";
const END: &str = "<!-- To here -->\n";

/// The README with this report's numbers.
pub(crate) fn with_section(readme: &str, report: &Report) -> Result<String> {
    let around = || {
        let (before, rest) = readme.split_once(BEGIN)?;
        Some((before, rest.split_once(END)?.1))
    };
    let (before, after) = around().context("README.md lacks the comments between which the numbers are")?;
    let mut numbers = Numbers { report, lacking: Vec::new() };
    let text = section(&mut numbers);
    // A sentence without its number is worse than an old number.
    let lacking = numbers.lacking;
    ensure!(lacking.is_empty(), "the README needs numbers that this report lacks: {}", lacking.join("; "));
    Ok(format!("{before}{BEGIN}{}{END}{after}", wrapped(&text)))
}

/// A report, and the figures that it lacks.
struct Numbers<'report> {
    report: &'report Report,
    lacking: Vec<String>,
}

impl<'report> Numbers<'report> {
    fn cell(&mut self, table: &str, row: &str, column: &str) -> Option<&'report Summary> {
        let cell = self.report.cell(table, row, column);
        if cell.is_none() {
            self.lacking.push(format!("{table}: {row}: {column}"));
        }
        cell
    }

    fn median(&mut self, unit: Unit, table: &str, row: &str, column: &str) -> String {
        let cell = self.cell(table, row, column);
        cell.map_or_else(String::new, |summary| unit.show(summary.median))
    }
}

fn section(numbers: &mut Numbers<'_>) -> String {
    let report = numbers.report;
    let ns = Unit::Nanoseconds;
    let mut text = format!(
        "Measured on {} on {}; `cargo xtask bench` measures your machine in a few minutes. One call of \
         a function that \
         does next to nothing, as the median of pairs with the direct call in the same process:\n\n",
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
        (IFUNC, IFUNC),
        ("static call, inline, retpolines", "static call, inline, retpolines"),
        ("function pointer, retpolines", "pointer, retpolines"),
        ("ifunc, retpolines in the PLT", "ifunc, retpolines"),
    ];
    let columns = [("Rust", ns), ("Rust to direct", Unit::Ratio), ("C", ns), ("C to direct", Unit::Ratio)];
    let rows = forms.map(|(name, row)| {
        let cells = columns.map(|(column, unit)| match column {
            // Rust has no ifuncs.
            "Rust" | "Rust to direct" if row.starts_with(IFUNC) => String::new(),
            _ => numbers.median(unit, "calls-chain", row, column),
        });
        std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>()
    });
    let head = ["call", "Rust `-O3`", "to direct", "C `-O3`", "to direct"].map(str::to_owned);
    write!(text, "{}\n\n", lines(&head, &rows)).expect("memory");
    writeln!(
        text,
        "An update of a key with one site takes {}, with 1,000 sites {}, in a process without other \
         threads. [BENCHMARKS.md](BENCHMARKS.md) has the rest: updates beside running threads, loading, \
         building, whole programs, and the goals that were missed.",
        numbers.median(ns, "update-sites", "1", "window"),
        numbers.median(ns, "update-sites", "1,000", "window"),
    )
    .expect("memory");
    text
}

/// A summary of the cost of updates, starts and loads. None if the report lacks one of the numbers.
pub(crate) fn in_short(report: &Report) -> Option<String> {
    let mut numbers = Numbers { report, lacking: Vec::new() };
    let ns = Unit::Nanoseconds;
    let mut cell = |unit, table, row, column| numbers.median(unit, table, row, column);
    let text = format!(
        "An update's cost is mostly system calls, so the cost per site falls as sites grow. The measured \
         code does nothing but call, so a page holds about 300 sites; a site with a page of its own takes \
         {}. The breakpoint writer checks every signal handler and each thread's mask, which takes {} in a \
         process of 8 threads and {} in one of 64.\n\nA thread that does nothing but call kept {} of its \
         speed while another thread made 1,000 updates per second with the window writer, {} with an \
         alias, and {} with the breakpoint writer. Each update interrupts the other processor three times \
         (twice to change the pages' rights, once for `membarrier`; with an alias once) and waits \
         for it. So an update of a single site takes {} \
         beside such a thread, and one of 1,000 sites takes {} per site. Interruptions are expensive in a \
         virtual machine. While a breakpoint is set, every call of the key traps.\n\nThe crate `static-keys` \
         0.8 patches branches, with a few system calls for each, and only in a single-threaded process. A \
         change of 1,000 sites costs it {} per site. Here it costs {}, which is {} times less, measured in \
         turns in the same process.\n\nA program with 100,000 sites takes {} per site longer to start (in \
         processor time; the dynamic linker takes {} to look up a symbol), and a program with one key takes \
         {} longer. A shared object with 100,000 sites takes {} per site longer to load. With 10,000 sites \
         on a page each, that is {} per site, because every page is copied.",
        cell(ns, "update-sites", "1,000", "window, one a page, a site"),
        cell(ns, "update-threads", "8 that sleep, in all", "breakpoint"),
        cell(ns, "update-threads", "64 that sleep, in all", "breakpoint"),
        cell(Unit::Percent, "callers", "window, 1,000", "rate kept"),
        cell(Unit::Percent, "callers", "alias, 1,000", "rate kept"),
        cell(Unit::Percent, "callers", "breakpoint, 1,000", "rate kept"),
        cell(ns, "update-threads", "1 that call, besides", "window"),
        cell(ns, "update-threads", "1 that call, besides", "window, a site of 1,000"),
        cell(ns, "update-peers", "1,000", "static-keys, a site"),
        cell(ns, "update-peers", "1,000", "static-call, a site"),
        cell(Unit::Ratio, "update-peers", "1,000", "static-keys to static-call"),
        cell(ns, "start", "100,000", "a site"),
        cell(ns, "symbols", "100,000", "a symbol"),
        cell(ns, "start", "1", "more"),
        cell(ns, "load", "100,000", "a site"),
        cell(ns, "load", "10,000", "a site, one a page"),
    );
    numbers.lacking.is_empty().then_some(text)
}

/// Wraps lines like the rest of the README. Tables stay as they are.
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

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::run::root;

    #[test]
    fn a_report_with_holes_gets_into_no_readme() {
        let readme = format!("before\n{BEGIN}old\n{END}after\n");
        let published = || Report::read(&root().join("benches/report.json")).expect("the published report");
        let text = with_section(&readme, &published()).expect("the section");
        assert!(
            text.starts_with(&format!("before\n{BEGIN}Measured on "))
                && text.ends_with(&format!("{END}after\n"))
        );
        let mut without_updates = published();
        without_updates.tables.retain(|table| table.id != "update-sites");
        let error = with_section(&readme, &without_updates).expect_err("no numbers of updates").to_string();
        assert!(error.contains("update-sites: 1,000: window"), "{error}");
        assert!(!error.contains("calls-chain"), "{error}");
        assert!(with_section("no comments\n", &published()).is_err());
    }
    #[test]
    fn a_report_with_holes_has_no_summary() {
        let mut report = Report::read(&root().join("benches/report.json")).expect("the published report");
        assert!(in_short(&report).is_some_and(|text| text.contains("`static-keys`")));
        report.tables.retain(|table| table.id != "callers");
        assert_eq!(in_short(&report), None);
    }
}
