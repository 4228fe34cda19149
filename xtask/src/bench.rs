//! `cargo xtask bench`: what static calls cost, what they are worth, and whether that is as promised.
//!
//! Machines are noisy. So nothing is measured alone: what is compared takes turns within one process, the
//! ratio is taken pair by pair, and the tables show medians, and how far they spread.
//!
//! Every number goes into a [`Report`](model::Report); tables, plots, goals and comparisons are made from that.

mod calls;
mod code;
mod compile;
mod counters;
mod goals;
mod images;
mod instructions;
mod loads;
mod machine;
mod model;
mod pauses;
mod programs;
mod render;
mod samples;
mod statistics;
mod toolchain;
mod updates;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use self::machine::Machine;
pub(crate) use self::model::Part;
use self::model::{Report, Table};
use self::samples::Samples;
pub(crate) use self::statistics::median;
use crate::install::{self, prefix};
use crate::packages;
use crate::run::{output, root, target};

/// What `cargo xtask bench` is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this part
    #[arg(long)]
    only: Option<Part>,
    /// More samples, a million sites, and both optimization levels (about half an hour instead of three minutes)
    #[arg(long)]
    full: bool,
    /// Say what has changed since this report.json
    #[arg(long, value_name = "OLD.json")]
    compare: Option<PathBuf>,
    /// Measure nothing, and take the numbers from this report.json
    #[arg(long, value_name = "REPORT.json", conflicts_with_all = ["only", "full"])]
    from: Option<PathBuf>,
    /// Put the numbers into BENCHMARKS.md, the README and benches/ as well
    #[arg(long, conflicts_with = "only")]
    publish: bool,
}

pub(crate) fn bench(options: &Options) -> Result<()> {
    // First of all: a bad path shall not cost half an hour.
    let old = options.compare.as_deref().map(Report::read).transpose()?;
    let report = match &options.from {
        Some(path) => Report::read(path)?,
        None => measure(options)?,
    };
    let goals = goals::goals(&report);
    render::terminal::print_goals(&goals);
    render::terminal::print_missing(&report.missing);
    if let Some(old) = old {
        render::compare::print(&old, &report);
    }
    render::write(&report, &goals, &output_directory()?)?;
    if options.publish {
        render::publish(&report, &goals, &root())?;
    }
    Ok(())
}

/// Prints the cost of a call of each form side by side, in Rust and in C. The prefix has to be installed.
pub(crate) fn call_table() -> Result<()> {
    let mut bench = Bench::new(true)?;
    calls::measure_chain(&mut bench)?;
    bench.finish();
    Ok(())
}

fn measure(options: &Options) -> Result<Report> {
    packages::ensure(packages::TEST)?;
    install::install(&prefix())?;
    // What an older run left would stand beside this one's.
    let _ = fs::remove_dir_all(raw_directory()?);
    let mut bench = Bench::new(!options.full)?;
    println!("{}", bench.report.machine.summary());
    for part in Part::ALL {
        if options.only.is_some_and(|only| only != part) {
            continue;
        }
        match part {
            Part::Calls => {
                calls::measure(&mut bench)?;
                instructions::measure(&mut bench)?;
            }
            Part::Update => {
                updates::measure(&mut bench)?;
                pauses::measure(&mut bench)?;
            }
            Part::Load => loads::measure(&mut bench)?,
            Part::Build => compile::measure(&mut bench)?,
            Part::Programs => programs::measure(&mut bench)?,
        }
    }
    Ok(bench.finish())
}

/// A run of the benchmark.
struct Bench {
    report: Report,
    is_quick: bool,
    start: Instant,
    progress: ProgressBar,
}

impl Bench {
    fn new(is_quick: bool) -> Result<Self> {
        let date = output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
        let style = ProgressStyle::with_template("{elapsed_precise} {spinner} {msg}")?;
        let progress = ProgressBar::new_spinner().with_style(style);
        progress.enable_steady_tick(Duration::from_millis(200));
        let report = Report::new(Machine::this(), date.trim().to_owned(), is_quick);
        Ok(Self { report, is_quick, start: Instant::now(), progress })
    }

    /// One of two numbers: what a quick run does, and a full one.
    fn quick_or_full<T>(&self, quick: T, full: T) -> T {
        if self.is_quick { quick } else { full }
    }

    /// Says what is being done.
    fn step(&self, what: impl Into<String>) {
        let what = what.into();
        if self.progress.is_hidden() {
            eprintln!("{:>6.1} s  {what}", self.start.elapsed().as_secs_f64());
        }
        self.progress.set_message(what);
    }

    /// Runs a program that measures, and keeps what it prints under this name.
    fn run(&self, name: &str, command: &mut Command) -> Result<Samples> {
        self.step(name);
        let text = output(command)?;
        fs::write(raw_directory()?.join(format!("{}.txt", name.replace(['/', ' ', ','], "-"))), &text)?;
        Samples::parse(&text).with_context(|| format!("what {name} printed"))
    }

    /// Takes a table into the report, and prints it.
    fn add(&mut self, table: Table) {
        self.progress.suspend(|| render::terminal::print(&table));
        self.report.tables.push(table);
    }

    fn finish(mut self) -> Report {
        self.progress.finish_and_clear();
        self.report.seconds = self.start.elapsed().as_secs_f64();
        self.report
    }
}

/// An empty table for the terminal; every column but the first holds numbers.
pub(crate) fn table<const N: usize>(head: [&str; N]) -> comfy_table::Table {
    render::terminal::table(head)
}

/// Where everything that is built for measuring goes, and what is found.
fn output_directory() -> Result<PathBuf> {
    let directory = target().join("bench");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// What programs printed, and the code of their loops.
fn raw_directory() -> Result<PathBuf> {
    let directory = output_directory()?.join("raw");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}
