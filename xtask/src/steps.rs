//! The steps of a long command. Each runs whether or not another fails, and a table at the end shows how long
//! each took.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};
use xtask::run::{output, processor_time_of_children, target};

use crate::table::Table;

pub(crate) struct Steps {
    start: Instant,
    done: Vec<Step>,
}

struct Step {
    name: String,
    wall: Duration,
    processor: Duration,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

impl Verdict {
    fn of(has_passed: bool) -> Self {
        if has_passed { Self::Passed } else { Self::Failed }
    }
}

impl Step {
    fn has_failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), done: Vec::new() }
    }

    /// Runs a step. Prints an error at once, and makes `finish` return an error.
    pub(crate) fn run(&mut self, name: impl Into<String>, step: impl FnOnce() -> Result<()>) -> Result<()> {
        let name = name.into();
        println!("\n== {name}");
        let (start, before) = (Instant::now(), processor_time_of_children()?);
        let result = step();
        if let Err(error) = &result {
            eprintln!("{name} failed: {error:#}");
        }
        let processor = processor_time_of_children()?.saturating_sub(before);
        self.done.push(Step { name, wall: start.elapsed(), processor, verdict: Verdict::of(result.is_ok()) });
        Ok(())
    }

    /// Notes that a step cannot run here, which is no failure.
    pub(crate) fn skip(&mut self, name: impl Into<String>, reason: &Error) {
        let name = name.into();
        println!("\n== {name}");
        eprintln!("{name} skipped: {reason:#}");
        let (wall, processor) = (Duration::ZERO, Duration::ZERO);
        self.done.push(Step { name, wall, processor, verdict: Verdict::Skipped });
    }

    /// Runs commands, two at a time, so that processors stay busy while one builds or ends with a long test.
    /// The output of each is printed when it ends.
    pub(crate) fn run_at_once(
        &mut self,
        commands: impl IntoIterator<Item = (String, Command)>,
    ) -> Result<()> {
        let queue = Mutex::new(commands.into_iter().collect::<VecDeque<_>>());
        let done = Mutex::new(Vec::new());
        let work = || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some((name, command)) = next else { return anyhow::Ok(()) };
                let step = run_aside(name, command)?;
                done.lock().unwrap_or_else(PoisonError::into_inner).push(step);
            }
        };
        thread::scope(|scope| {
            let workers = [scope.spawn(work), scope.spawn(work)];
            workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
        })?;
        self.done.extend(done.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Whether the last step failed.
    pub(crate) fn has_last_failed(&self) -> bool {
        self.done.last().is_some_and(Step::has_failed)
    }

    /// Prints the table. An error if a step failed.
    pub(crate) fn finish(self) -> Result<()> {
        let mut rows = Table::new(["step", "seconds", "of processors", ""]);
        let seconds = |duration: Duration| format!("{:.0}", duration.as_secs_f64());
        for step in &self.done {
            let verdict = match step.verdict {
                Verdict::Passed => "",
                Verdict::Failed => "FAILED",
                Verdict::Skipped => "skipped",
            };
            rows.add([&step.name, &seconds(step.wall), &seconds(step.processor), verdict]);
        }
        let processor = self.done.iter().map(|step| step.processor).sum();
        rows.add(["all", &seconds(self.start.elapsed()), &seconds(processor), ""]);
        println!("\n{rows}");
        println!("{} holds {:.1} GB", target().display(), disk_usage(&target())? as f64 / 1e9);
        let failed: Vec<_> =
            self.done.iter().filter(|step| step.has_failed()).map(|step| step.name.as_str()).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

/// Runs a command with its output in a file, and prints that at the end.
fn run_aside(name: String, mut command: Command) -> Result<Step> {
    println!("\n== {name} begins");
    let directory = target().join("parts");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(format!("{name}.log"));
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let start = Instant::now();
    let status = command.stdout(log.try_clone()?).stderr(log).status()?;
    let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    println!("\n== {name}\n{text}");
    let processor = text.lines().rev().find_map(|line| line.strip_prefix(PROCESSOR)?.parse().ok());
    let processor = Duration::from_millis(processor.unwrap_or(0));
    Ok(Step { name, wall: start.elapsed(), processor, verdict: Verdict::of(status.success()) })
}

/// The prefix of a part's time line, which ends with milliseconds.
const PROCESSOR: &str = "processor time: ";

/// Runs this process's part and prints how much processor time it took.
pub(crate) fn part(part: impl FnOnce() -> Result<()>) -> Result<()> {
    let result = part();
    println!("{PROCESSOR}{}", processor_time_of_children()?.as_millis());
    result
}

/// The size of a directory in bytes.
fn disk_usage(directory: &Path) -> Result<u64> {
    let text = output(Command::new("du").args(["-s", "-B1"]).arg(directory))?;
    text.split_whitespace().next().and_then(|bytes| bytes.parse().ok()).context("du prints no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_at_once_all_run_and_a_failure_counts() -> Result<()> {
        let mut steps = Steps::new();
        let command = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]);
            shell
        };
        let commands = [
            ("test of steps 1", command("echo 'processor time: 1500'; echo 'and more' >&2; exit 1")),
            ("test of steps 2", command("exit 0")),
            ("test of steps 3", command("echo 'processor time: 20'")),
        ];
        steps.run_at_once(commands.map(|(name, command)| (name.to_owned(), command)))?;
        steps.done.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(
            steps.done.iter().map(|step| step.processor.as_millis()).collect::<Vec<_>>(),
            [1500, 0, 20]
        );
        let error = steps.finish().expect_err("the first one failed").to_string();
        assert_eq!(error, "failed: test of steps 1");
        Ok(())
    }

    #[test]
    fn a_failed_step_stops_no_other_and_fails_the_whole() -> Result<()> {
        let mut steps = Steps::new();
        steps.run("first", || bail!("a fault"))?;
        assert!(steps.has_last_failed());
        let mut has_run = false;
        steps.run("second", || {
            has_run = true;
            Ok(())
        })?;
        assert!(has_run && !steps.has_last_failed());
        let error = steps.finish().expect_err("the first one failed").to_string();
        assert_eq!(error, "failed: first");
        Ok(())
    }

    #[test]
    fn a_skipped_step_is_no_failure() -> Result<()> {
        let mut steps = Steps::new();
        steps.skip("first", &Error::msg("no network"));
        assert!(!steps.has_last_failed());
        steps.finish()
    }
}
