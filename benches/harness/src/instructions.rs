//! How many instructions calls, updates and loading take, from the output of the test that bounds them.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::model::{Part, Table, Unit};
use crate::statistics::Summary;
use xtask::run::cargo;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    const WHAT: &str = "instruction counts";
    if !cfg!(target_arch = "x86_64") {
        bench.report.miss(WHAT, "the test that counts them is about x86-64");
        return Ok(());
    }
    if let Err(error) = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status() {
        bench.report.miss(WHAT, format!("valgrind, which counts them, cannot be started: {error}"));
        return Ok(());
    }
    bench.step("counting instructions with callgrind");
    let about = "Counted by valgrind's callgrind, so the numbers are the same on every machine of an \
                 architecture. One iteration of a loop with one call, in C at -O3, including the callee and \
                 the loop's own two instructions; and a site's share of an update and of an image's \
                 registration. CI checks these numbers (tests/tests/instructions.rs).";
    let mut table =
        Table::new(Part::Calls, "instructions", "Instructions", "what", &["benches/c/calls.c"], about)
            .columns([("instructions", Unit::Count)]);
    let mut test = cargo();
    test.args(["test", "--quiet", "-p", "static-call-tests", "--test", "instructions", "--no-fail-fast"]);
    test.args(["--", "--nocapture", "--test-threads=1"]);
    let output = test.output().context("cannot start cargo")?;
    for (what, count) in counts(&String::from_utf8_lossy(&output.stdout))? {
        table.row(what, [Summary::exactly(count)]);
    }
    if !output.status.success() {
        // Counts before a failure are valid. The bounds may be for a different compiler.
        let what = if table.rows.is_empty() { WHAT.into() } else { format!("some {WHAT}") };
        let reason = reason(&String::from_utf8_lossy(&output.stderr));
        bench.report.miss(what, format!("tests/tests/instructions.rs, which counts them, fails: {reason}"));
    }
    if !table.rows.is_empty() {
        bench.add(table);
    }
    Ok(())
}

/// The names and counts in the test's output.
fn counts(printed: &str) -> Result<Vec<(&str, f64)>> {
    let found = printed.lines().filter_map(|line| Some(line.split_once("instructions: ")?.1));
    found
        .map(|found| {
            let number = || Some((found.rsplit_once(": ")?.0, found.rsplit_once(": ")?.1.parse().ok()?));
            number().with_context(|| format!("no number of instructions: `{found}`"))
        })
        .collect()
}

/// The reason in the output of a test or a compiler: the lines after the first one that names a panic, or
/// else the last line.
fn reason(printed: &str) -> String {
    let mut lines = printed.lines().map(str::trim);
    let message = match lines.by_ref().find(|line| line.contains("panicked at")) {
        Some(_) => lines.take_while(|line| !line.is_empty() && !line.starts_with("note:")).collect(),
        None => printed.lines().map(str::trim).rfind(|line| !line.is_empty()).into_iter().collect::<Vec<_>>(),
    };
    message.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_reasons() {
        let printed = "\nrunning 2 tests\ninstructions: hook, none: 6\n.instructions: load, a site: 339.5\n";
        assert_eq!(counts(printed).expect("counts"), [("hook, none", 6.0), ("load, a site", 339.5)]);
        assert!(counts("instructions: load, a site: many\n").is_err());
        let panicked = "\nthread 'a' (7) panicked at tests/instructions.rs:83:9:\nassertion failed\n  left: \
                        5\nnote: run with\n";
        assert_eq!(reason(panicked), "assertion failed left: 5");
        assert_eq!(
            reason("error[E0425]: no such thing\n\nerror: could not compile\n\n"),
            "error: could not compile"
        );
    }
}
