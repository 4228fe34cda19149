//! `cargo xtask torture`: runs the torture test for a chosen time, in Rust and C, in every mode.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use xtask::run::cargo;
use xtask::{install, packages};

use crate::table::Table;

pub(crate) fn torture(seconds: f64) -> Result<()> {
    packages::ensure(packages::TEST)?;
    install::install_here()?;
    let mut tests = cargo()
        .args(["test", "--quiet", "-p", "static-call-tests", "--test", "torture", "--", "--nocapture"])
        .env("TORTURE_SECONDS", seconds.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut rows = Table::new([
        "program",
        "mode",
        "writer",
        "calls",
        "updates",
        "loads",
        "forks",
        "signals",
        "busy",
        "wrong or stale",
    ]);
    let printed = tests.stdout.take().context("the tests' output")?;
    for line in BufReader::new(printed).lines() {
        let line = line?;
        // Shows each program's line as soon as it ends; the other lines are the test runner's.
        if let Some((_, cell)) = line.split_once("torture: ") {
            println!("{cell}");
            let (counts, verdict) = cell.rsplit_once(", ").unwrap_or((cell, ""));
            let mut row: Vec<&str> =
                counts.split(", ").map(|field| field.rsplit(' ').next().unwrap_or_default()).collect();
            row.resize(9, "");
            row.push(verdict.trim_end_matches(" wrong or stale"));
            rows.add(row);
        }
    }
    let status = tests.wait()?;
    println!("\n{rows}");
    if !status.success() {
        bail!("the torture test failed");
    }
    Ok(())
}
