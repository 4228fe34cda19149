//! A run of the benchmark: starts the programs and keeps their output.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use xtask::run::output;

use crate::directories::{raw_directory, unfinished_directory};
use crate::machine::Machine;
use crate::model::{Report, Table};
use crate::render::terminal;
use crate::samples::{Runs, Samples};

/// A run of the benchmark.
pub(crate) struct Bench {
    pub(crate) report: Report,
    pub(crate) is_quick: bool,
    start: Instant,
    progress: ProgressBar,
    /// What could not be measured, and why, unless this machine is the reason.
    pub(crate) failures: Vec<String>,
}

impl Bench {
    pub(crate) fn new(is_quick: bool) -> Result<Self> {
        let date = output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
        let style = ProgressStyle::with_template("{elapsed_precise} {spinner} {msg}")?;
        let progress = ProgressBar::new_spinner().with_style(style);
        progress.enable_steady_tick(Duration::from_millis(200));
        let report = Report::new(Machine::this(), date.trim().to_owned(), is_quick);
        Ok(Self { report, is_quick, start: Instant::now(), progress, failures: Vec::new() })
    }

    /// The first number in a quick run, the second in a full one.
    pub(crate) fn quick_or_full<T>(&self, quick: T, full: T) -> T {
        if self.is_quick { quick } else { full }
    }

    /// How many processes measure one thing. Each has different addresses, and so a different speed.
    pub(crate) fn processes(&self) -> usize {
        self.quick_or_full(5, 15)
    }

    /// Shows the current step.
    pub(crate) fn step(&self, what: impl Into<String>) {
        let what = what.into();
        if self.progress.is_hidden() {
            eprintln!("{:>6.1} s  {what}", self.start.elapsed().as_secs_f64());
        }
        self.progress.set_message(what);
    }

    /// Measures something. If that fails, earlier results stay, the report says what is missing and why, and
    /// the run continues. Either way, the report so far is saved.
    pub(crate) fn attempt(
        &mut self,
        what: &str,
        measure: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if let Err(error) = measure(self) {
            let why = format!("{error:#}");
            self.progress.suspend(|| eprintln!("failed: {what}: {why}"));
            self.failures.push(format!("{what} ({why})"));
            self.report.miss(format!("{what}, all or some of it"), format!("measuring it failed: {why}"));
        }
        self.report.seconds = self.start.elapsed().as_secs_f64();
        self.report.write(&unfinished_directory()?.join("report.json"))
    }

    /// Runs a program that measures, and keeps its output under this name. An error if it reports another
    /// mode or writer than its variables ask for; the default is inline mode.
    pub(crate) fn run(&self, name: &str, command: &mut Command) -> Result<Samples> {
        self.step(name);
        let text = output(command)?;
        fs::write(raw_directory()?.join(format!("{}.txt", name.replace(['/', ' ', ','], "-"))), &text)?;
        let samples = Samples::parse(&text).with_context(|| format!("cannot read the output of {name}"))?;
        let asked = |name: &str| {
            let found = command.get_envs().find(|(known, _)| *known == name)?.1?;
            found.to_str()
        };
        let mode = asked("STATIC_CALL_MODE").unwrap_or("inline");
        samples
            .check(mode, asked("STATIC_CALL_WRITER"))
            .with_context(|| format!("the samples of {name} are invalid"))?;
        Ok(samples)
    }

    /// Runs programs in turns, each this many times, so that a temporary disturbance affects all of them.
    pub(crate) fn in_turns(
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

    /// Runs one program this many times.
    pub(crate) fn repeat(&self, times: usize, name: &str, command: Command) -> Result<Runs> {
        Ok(self.in_turns(times, [(name.to_owned(), command)])?.remove(0))
    }

    /// Adds a table to the report and prints it, unless it is empty.
    pub(crate) fn add(&mut self, table: Table) {
        if table.rows.is_empty() {
            return;
        }
        self.progress.suspend(|| terminal::print(&table));
        self.report.tables.push(table);
    }

    pub(crate) fn finish(mut self) -> Report {
        self.progress.finish_and_clear();
        self.report.seconds = self.start.elapsed().as_secs_f64();
        self.report
    }
}
