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
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use self::machine::Machine;
pub(crate) use self::model::Part;
use self::model::{Report, Table};
use self::samples::{Runs, Samples};
pub(crate) use self::statistics::median;
use crate::install;
use crate::packages;
use crate::run::{output, root, target, without_foreign_settings};

/// What `cargo xtask bench` is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this part, into target/bench/only/PART/
    #[arg(long)]
    only: Option<Part>,
    /// More samples, a million sites, and both optimization levels (about twenty minutes instead of three)
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
    without_foreign_settings()?;
    // First of all: a bad path shall not cost half an hour.
    let old = options.compare.as_deref().map(Report::read).transpose()?;
    let (report, directory, failures) = match &options.from {
        Some(path) => (Report::read(path)?, directory_for(path)?, Vec::new()),
        None => {
            ensure!(
                !options.publish || std::thread::available_parallelism()?.get() > 1,
                "the README tells of callers during updates, which take a second processor: publish from a machine with two"
            );
            let (report, failures) = measure(options)?;
            ensure!(!report.tables.is_empty(), "nothing could be measured: {}", failures.join("; "));
            // Of one part alone: what a whole run has found stays where it is.
            let directory = match options.only {
                Some(part) => output_directory()?.join("only").join(part.as_str()),
                None => output_directory()?,
            };
            keep_raw(&directory)?;
            (report, directory, failures)
        }
    };
    ensure!(!report.tables.is_empty(), "there is nothing in this report");
    let goals = goals::goals(&report);
    render::terminal::print_goals(&goals);
    render::terminal::print_missing(&report.missing);
    if let Some(old) = old {
        render::compare::print(&old, &report);
    }
    render::write(&report, &goals, &directory)?;
    if options.from.is_none() {
        // All of it lies in its place now.
        let unfinished = unfinished_directory()?;
        fs::remove_dir_all(&unfinished).with_context(|| format!("cannot remove {}", unfinished.display()))?;
    }
    ensure!(failures.is_empty(), "the report lacks what could not be measured: {}", failures.join("; "));
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

/// Measures what is asked for: the report, and what went wrong.
fn measure(options: &Options) -> Result<(Report, Vec<String>)> {
    packages::ensure(packages::TEST)?;
    install::install_here()?;
    // What a run left that did not come to its end would stand beside this one's.
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
                bench.attempt("instruction counts", instructions::measure)?;
            }
            Part::Update => {
                bench.attempt("update cost", updates::measure)?;
                bench.attempt("callers during updates", pauses::measure)?;
            }
            Part::Load => bench.attempt("load cost and size", loads::measure)?,
            Part::Build => bench.attempt("build cost", compile::measure)?,
            Part::Programs => bench.attempt("whole programs", programs::measure)?,
        }
    }
    let failures = std::mem::take(&mut bench.failures);
    Ok((bench.finish(), failures))
}

/// A run of the benchmark.
struct Bench {
    report: Report,
    is_quick: bool,
    start: Instant,
    progress: ProgressBar,
    /// What could not be measured for another reason than what this machine is, and why.
    failures: Vec<String>,
}

impl Bench {
    fn new(is_quick: bool) -> Result<Self> {
        let date = output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
        let style = ProgressStyle::with_template("{elapsed_precise} {spinner} {msg}")?;
        let progress = ProgressBar::new_spinner().with_style(style);
        progress.enable_steady_tick(Duration::from_millis(200));
        let report = Report::new(Machine::this(), date.trim().to_owned(), is_quick);
        Ok(Self { report, is_quick, start: Instant::now(), progress, failures: Vec::new() })
    }

    /// One of two numbers: what a quick run does, and a full one.
    fn quick_or_full<T>(&self, quick: T, full: T) -> T {
        if self.is_quick { quick } else { full }
    }

    /// How many processes measure one thing. Each has other addresses, and with them another speed.
    fn processes(&self) -> usize {
        self.quick_or_full(5, 15)
    }

    /// Says what is being done.
    fn step(&self, what: impl Into<String>) {
        let what = what.into();
        if self.progress.is_hidden() {
            eprintln!("{:>6.1} s  {what}", self.start.elapsed().as_secs_f64());
        }
        self.progress.set_message(what);
    }

    /// Measures something. If that fails, what it has found before stays, the report says that the rest is missing
    /// and why, and the run goes on; either way, what there is lies in a file from now on.
    fn attempt(&mut self, what: &str, measure: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if let Err(error) = measure(self) {
            let why = format!("{error:#}");
            self.progress.suspend(|| eprintln!("failed: {what}: {why}"));
            self.failures.push(format!("{what} ({why})"));
            self.report.miss(format!("{what}, all or some of it"), format!("measuring it failed: {why}"));
        }
        self.report.seconds = self.start.elapsed().as_secs_f64();
        self.report.write(&unfinished_directory()?.join("report.json"))
    }

    /// Runs a program that measures, and keeps what it prints under this name. An error if it says that it has not
    /// run in the mode and with the writer that its variables ask for; inline is what a process should run in
    /// without.
    fn run(&self, name: &str, command: &mut Command) -> Result<Samples> {
        self.step(name);
        let text = output(command)?;
        fs::write(raw_directory()?.join(format!("{}.txt", name.replace(['/', ' ', ','], "-"))), &text)?;
        let samples = Samples::parse(&text).with_context(|| format!("what {name} printed"))?;
        let asked = |name: &str| {
            let found = command.get_envs().find(|(known, _)| *known == name)?.1?;
            found.to_str()
        };
        let mode = asked("STATIC_CALL_MODE").unwrap_or("inline");
        samples.check(mode, asked("STATIC_CALL_WRITER")).with_context(|| format!("{name} does not count"))?;
        Ok(samples)
    }

    /// Runs programs in turns, each so many times: what disturbs the machine for a while disturbs all of them.
    fn in_turns(
        &self,
        times: usize,
        programs: impl IntoIterator<Item = (String, Command)>,
    ) -> Result<Vec<Runs>> {
        let mut programs: Vec<_> =
            programs.into_iter().map(|(name, command)| (name, command, Runs::default())).collect();
        for turn in 0..times {
            for (name, command, runs) in &mut programs {
                runs.push(self.run(&format!("{name} {turn}"), command)?);
            }
        }
        Ok(programs.into_iter().map(|(.., runs)| runs).collect())
    }

    /// Runs one program so many times.
    fn repeat(&self, times: usize, name: &str, command: Command) -> Result<Runs> {
        Ok(self.in_turns(times, [(name.to_owned(), command)])?.remove(0))
    }

    /// Takes a table into the report, and prints it; but not one in which there is nothing.
    fn add(&mut self, table: Table) {
        if table.rows.is_empty() {
            return;
        }
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

/// Where the documents of a report go: beside it, where a run has left it, with its raw data; and otherwise into a
/// directory of their own, so that the last run's report stays with its raw data.
fn directory_for(report: &Path) -> Result<PathBuf> {
    let output = output_directory()?.canonicalize()?;
    let report = report.canonicalize()?;
    let beside = report.parent().expect("a file in a directory");
    Ok(if beside.starts_with(&output) { beside.into() } else { output.join("from") })
}

/// What a run has found so far: its report.json, and raw/.
fn unfinished_directory() -> Result<PathBuf> {
    Ok(output_directory()?.join("unfinished"))
}

/// What programs printed, and the code of their loops, until the run comes to its end.
fn raw_directory() -> Result<PathBuf> {
    let directory = unfinished_directory()?.join("raw");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// Puts the raw data of a run that has come to its end into the directory of its report, in the place of the last one's.
fn keep_raw(directory: &Path) -> Result<()> {
    let (new, kept) = (raw_directory()?, directory.join("raw"));
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    if kept.exists() {
        fs::remove_dir_all(&kept).with_context(|| format!("cannot remove {}", kept.display()))?;
    }
    fs::rename(&new, &kept).with_context(|| format!("cannot move {} to {}", new.display(), kept.display()))
}
