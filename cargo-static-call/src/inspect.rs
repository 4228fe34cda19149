//! `cargo static-call inspect` and `static-call-inspect`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::print::{self, Length};
use crate::{process, report};

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
    /// Print JSON; its fields are stable while "format" is 1
    #[arg(long)]
    json: bool,
    /// List every call, not only the first ones of each key
    #[arg(long)]
    all: bool,
    /// For CI: fail if a static call cannot be made direct or, in a process, is not direct
    #[arg(long)]
    require_all_direct: bool,
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
        match self.outcome() {
            Err(error) => {
                // A path may contain control sequences.
                eprintln!("{program}: error: {}", crate::name::printable(&format!("{what}{error:#}")));
                ExitCode::from(2)
            }
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

    fn outcome(&self) -> Result<Outcome> {
        let length = if self.all { Length::Full } else { Length::Short };
        if let Some(pid) = self.pid {
            let process = process::read(pid)?;
            let text = if self.json { json(&process)? } else { print::process(&process, length) };
            return Ok(Outcome { text, all_direct: process.all_direct, because: process.not_direct_because });
        }
        let path = self.binary.as_deref().unwrap_or_else(|| std::path::Path::new(""));
        let file = report::read(path)?;
        let text = if self.json { json(&file)? } else { print::file(&file, length) };
        Ok(Outcome { text, all_direct: file.all_direct, because: file.not_direct_because })
    }
}

fn json(report: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}
