//! How many instructions calls, updates and loading take: what the test that holds them says.

use anyhow::{Context, Result};

use super::Bench;
use super::model::{Part, Table, Unit};
use super::statistics::Summary;
use crate::run::{cargo, output};

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    bench.step("counting instructions with callgrind");
    let about = "Counted by valgrind's callgrind: the same on every machine of an architecture. A turn of a loop with one call, in C at -O3, what it calls and \
                 the loop's own two instructions included; a site's share of an update, and of the registration of an image. CI holds these \
                 numbers (tests/tests/instructions.rs).";
    let mut table =
        Table::new(Part::Calls, "instructions", "Instructions", "what", &["benches/c/calls.c"], about)
            .columns([("instructions", Unit::Count)]);
    let printed = output(cargo().args([
        "test",
        "--quiet",
        "-p",
        "static-call-tests",
        "--test",
        "instructions",
        "--",
        "--nocapture",
        "--test-threads=1",
    ]))?;
    for line in printed.lines() {
        let Some((_, found)) = line.split_once("instructions: ") else { continue };
        let (what, count) = found.rsplit_once(": ").with_context(|| format!("no number: `{line}`"))?;
        table.row(what, [Summary::exactly(count.parse()?)]);
    }
    if table.rows.is_empty() {
        bench
            .report
            .miss("instruction counts", "valgrind is not there, or this machine is not one that it knows");
        return Ok(());
    }
    bench.add(table);
    Ok(())
}
