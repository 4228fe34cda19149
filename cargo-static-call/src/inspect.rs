//! `cargo static-call inspect` and `static-call-inspect`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ColorChoice};

use crate::print::{self, Length, Presentation};
use crate::watch::{self, Kind};
use crate::{page, process, report, terminal};

/// Show how the static calls in a program, a shared object or a running process are made
///
/// Exit codes: 0 on success, 1 if --require-all-direct is not met, 2 on an error.
#[derive(Args, Debug)]
pub struct Inspect {
    /// The program or shared object (ELF, for any machine)
    #[arg(required_unless_present = "pid", conflicts_with = "pid")]
    binary: Option<PathBuf>,
    /// Inspect a running process instead: what its keys call now, and how many calls are direct
    #[arg(long, value_name = "N")]
    pid: Option<u32>,
    /// Watch the process until it ends: what changes, and how often each key is updated. Looks every second,
    /// or as often as this says. With --json each look is a line
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, requires = "pid")]
    #[arg(default_missing_value = "1", value_parser = seconds)]
    #[arg(conflicts_with_all = ["binary", "require_all_direct"])]
    watch: Option<Duration>,
    /// Print JSON; its fields are stable while "format" is 1
    #[arg(long)]
    json: bool,
    /// Write the report as a page of HTML into this file, with the code of each call before and after
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "watch"])]
    html: Option<PathBuf>,
    /// Colours and the names' lengths are for people: by default only on a terminal. NO_COLOR and
    /// CLICOLOR_FORCE decide as well
    #[arg(long, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
    /// List every call, not only the first ones of each key
    #[arg(long)]
    all: bool,
    /// For CI: fail if a static call cannot be made direct or, in a process, is not direct
    #[arg(long)]
    require_all_direct: bool,
}

/// A time between two looks.
fn seconds(text: &str) -> Result<Duration> {
    match text.parse::<f64>() {
        Ok(seconds @ 0.01..=86400.0) => Ok(Duration::from_secs_f64(seconds)),
        _ => bail!("a number of seconds between 0.01 and 86400 is expected"),
    }
}

/// The text to print, and whether `--require-all-direct` passes.
struct Outcome {
    text: String,
    all_direct: bool,
    because: Vec<String>,
}

impl Inspect {
    /// Runs the inspection and prints its result.
    #[must_use]
    pub fn run(&self, program: &str) -> ExitCode {
        let what = self.binary.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default();
        let failed = |error: anyhow::Error| {
            // A path may contain control sequences.
            eprintln!("{program}: error: {}", crate::name::printable(&format!("{what}{error:#}")));
            ExitCode::from(2)
        };
        if let (Some(pid), Some(interval)) = (self.pid, self.watch) {
            let kind = if self.json { Kind::Json } else { Kind::Text };
            let watched = watch::watch(pid, interval, kind, || self.presentation());
            return watched.map_or_else(failed, |()| ExitCode::SUCCESS);
        }
        match self.outcome() {
            Err(error) => failed(error),
            Ok(outcome) => {
                if let Err(error) = print::all(&outcome.text) {
                    eprintln!("{program}: error: cannot print: {error}");
                    return ExitCode::from(2);
                }
                if self.require_all_direct && !outcome.all_direct {
                    let because = outcome.because.join("; ");
                    eprintln!("{program}: --require-all-direct: {what}{because}");
                    return ExitCode::from(1);
                }
                ExitCode::SUCCESS
            }
        }
    }

    fn presentation(&self) -> Presentation {
        terminal::presentation(self.color, if self.all { Length::Full } else { Length::Short })
    }

    fn outcome(&self) -> Result<Outcome> {
        let presentation = self.presentation();
        if let Some(pid) = self.pid {
            let process =
                if self.html.is_some() { process::read_with_calls(pid)? } else { process::read(pid)? };
            let text = match &self.html {
                Some(path) => write(path, &page::process(&process))?,
                None if self.json => json(&process)?,
                None => print::process(&process, presentation),
            };
            return Ok(Outcome { text, all_direct: process.all_direct, because: process.not_direct_because });
        }
        let path = self.binary.as_deref().unwrap_or_else(|| Path::new(""));
        let file = report::read(path)?;
        let text = match &self.html {
            Some(path) => write(path, &page::file(&file))?,
            None if self.json => json(&file)?,
            None => print::file(&file, presentation),
        };
        Ok(Outcome { text, all_direct: file.all_direct, because: file.not_direct_because })
    }
}

/// Writes a page. There is nothing to print then.
fn write(path: &Path, page: &str) -> Result<String> {
    page::write(path, page)?;
    Ok(String::new())
}

fn json(report: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}
