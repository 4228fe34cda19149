//! `cargo xtask bench`: what static calls cost, what they gain, and whether the goals are met.
//!
//! Machines are noisy, so nothing is measured alone. Alternatives take turns within one process, ratios are
//! computed pair by pair, and the tables show medians with their spread.
//!
//! Every number goes into a [`Report`](model::Report), from which tables, plots, goals and comparisons are
//! made.

mod bench;
mod branches;
mod calls;
mod code;
mod compile;
mod counters;
mod crates;
mod directories;
mod dispatch;
mod each;
mod goals;
mod images;
mod instructions;
mod loads;
mod machine;
mod model;
mod pauses;
mod programs;
mod render;
mod rows;
mod samples;
mod statistics;
mod toolchain;
mod updates;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use xtask::run::{root, without_foreign_settings};
use xtask::{install, packages};

use crate::bench::Bench;
use crate::directories::{directory_for, keep_raw, output_directory, unfinished_directory};
use crate::model::{Part, Report};

#[derive(Parser)]
#[command(
    bin_name = "cargo xtask bench",
    about = "Measures what static calls cost: target/bench/report.html"
)]
struct Options {
    /// Measure only this part, into target/bench/only/PART/
    #[arg(long)]
    only: Option<Part>,
    /// More samples, a million sites, and both optimization levels (half an hour instead of a few minutes)
    #[arg(long)]
    full: bool,
    /// Show what has changed since this report.json
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Measure nothing, and read the numbers from this report.json, with --only those of one part
    #[arg(long, value_name = "REPORT.json", conflicts_with = "full")]
    from: Option<PathBuf>,
    /// Also put the numbers into BENCHMARKS.md, the README and benches/. With --only, those of the other
    /// parts stay
    #[arg(long)]
    publish: bool,
    /// Print what a call of each form costs, and write nothing; the prefix has to be installed
    #[arg(long, conflicts_with_all = ["only", "full", "compare", "from", "publish"])]
    calls_only: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    without_foreign_settings()?;
    if options.calls_only { print_calls() } else { report(&options) }
}

fn report(options: &Options) -> Result<()> {
    // First, because a bad path must not cost half an hour.
    let old = options.compare.as_deref().map(Report::read).transpose()?;
    let (report, directory, failures) = match &options.from {
        Some(path) => {
            let mut report = Report::read(path)?;
            report.tables.retain(|table| options.only.is_none_or(|only| only == table.part));
            (report, directory_for(path)?, Vec::new())
        }
        None => {
            ensure!(
                !options.publish || std::thread::available_parallelism()?.get() > 1,
                "the README tells of callers during updates, which take a second processor: publish from a \
                 machine with two"
            );
            let (report, failures) = measure(options)?;
            ensure!(!report.tables.is_empty(), "nothing could be measured: {}", failures.join("; "));
            // A run of one part does not replace the results of a whole run.
            let directory = match options.only {
                Some(part) => output_directory()?.join("only").join(part.as_str()),
                None => output_directory()?,
            };
            keep_raw(&directory)?;
            (report, directory, failures)
        }
    };
    ensure!(!report.tables.is_empty(), "this report is empty");
    let goals = goals::goals(&report);
    render::terminal::print_goals(&goals);
    render::terminal::print_missing(&report.missing);
    if let Some(old) = old {
        render::compare::print(&old, &report);
    }
    render::write(&report, &goals, &directory)?;
    if options.from.is_none() {
        // Everything has been moved to its place.
        let unfinished = unfinished_directory()?;
        fs::remove_dir_all(&unfinished).with_context(|| format!("cannot remove {}", unfinished.display()))?;
    }
    ensure!(failures.is_empty(), "some measurements failed: {}", failures.join("; "));
    if options.publish {
        let whole = if options.only.is_some() {
            let published = Report::read(&root().join("benches/report.json"))?;
            published.with_part_of(report)?
        } else {
            report
        };
        render::publish(&whole, &goals::goals(&whole), &root())?;
    }
    Ok(())
}

/// Prints the cost of a call of each form side by side, in Rust and in C.
fn print_calls() -> Result<()> {
    let mut bench = Bench::new(true)?;
    calls::measure_chain(&mut bench)?;
    bench.finish();
    Ok(())
}

/// Measures what is asked for. Returns the report and the failures.
fn measure(options: &Options) -> Result<(Report, Vec<String>)> {
    packages::ensure(packages::TEST)?;
    install::install_here()?;
    // Otherwise the remains of an incomplete run would mix with this run's data.
    let _ = fs::remove_dir_all(unfinished_directory()?);
    let mut bench = Bench::new(!options.full)?;
    println!("{}", bench.report.machine.summary());
    for part in Part::ALL {
        if options.only.is_some_and(|only| only != part) {
            continue;
        }
        match part {
            Part::Calls => {
                bench.attempt("call cost", calls::measure)?;
                bench.attempt("dispatched functions", dispatch::measure)?;
                bench.attempt("instruction counts", instructions::measure)?;
            }
            Part::Update => {
                bench.attempt("update cost", updates::measure)?;
                bench.attempt("callers during updates", pauses::measure)?;
            }
            Part::Load => bench.attempt("load cost and size", loads::measure)?,
            Part::Build => {
                bench.attempt("build cost", compile::measure)?;
                bench.attempt("build cost of each", each::measure)?;
            }
            Part::Programs => bench.attempt("whole programs", programs::measure)?,
            Part::Branches => bench.attempt("static branches", branches::measure)?,
            Part::Crates => {
                bench.attempt("converted crates", crates::measure_speed)?;
                bench.attempt("builds of converted crates", crates::measure_builds)?;
            }
        }
    }
    let failures = std::mem::take(&mut bench.failures);
    Ok((bench.finish(), failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// xtask's own tests check only that the command exists.
    #[test]
    fn options_that_the_documents_show_exist() {
        let mut count = 0;
        for document in ["README.md", "BENCHMARKS.md", "CONTRIBUTING.md", "RELEASING.md", "CHANGELOG.md"] {
            let text = fs::read_to_string(root().join(document)).expect("a document");
            for command in text.split("cargo xtask bench").skip(1) {
                let options = command.split(['`', '#', '\n']).next().unwrap_or_default();
                let words = options.split_whitespace().take_while(|word| *word != "-->");
                if let Err(error) = Options::try_parse_from(std::iter::once("bench").chain(words)) {
                    panic!("{document}: cargo xtask bench{options}: {error}");
                }
                count += 1;
            }
        }
        assert!(count > 5, "only {count} commands were found");
    }
}
