//! The cost of a dispatched function. `benches/src/dispatch.rs` says how it is measured.

use std::process::Command;

use anyhow::Result;

use crate::bench::Bench;
use crate::calls::{PLACES, nanoseconds, ratio};
use crate::model::{Part, Table, Unit};
use crate::toolchain::{rust_program, without_pass};

const SOURCES: [&str; 1] = ["benches/src/dispatch.rs"];
const PROGRAM: &str = "static-call-bench-dispatch";

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    bench.step("building programs that dispatch");
    let with = rust_program(PROGRAM, "rust", |_| {})?;
    let without = rust_program(PROGRAM, "without-pass", without_pass)?;
    let by_pointer = rust_program(PROGRAM, "without-trampolines", |cargo| {
        without_pass(cargo);
        cargo.env("RUSTFLAGS", "-Ccode-model=large");
    })?;
    let about = "A function of `dispatch!`, against a direct call and a call through an atomic pointer, in \
                 turns and pair by pair, at all places in a cache line: the calls of a chain, each of which \
                 waits for the one before it, and independent calls. \"Sealed\" and \"no memory becomes \
                 executable\" (PR_SET_MDWE) refuse updates before the first call. The first call of the \
                 process has cold caches; without trampolines it chooses the variant.";
    let mut table = Table::new(Part::Calls, "dispatch", "A dispatched function", "program", &SOURCES, about)
        .columns([
            ("dispatch", Unit::Nanoseconds),
            ("dispatch to direct", Unit::Ratio),
            ("second copy to direct", Unit::Ratio),
            ("dispatch to pointer", Unit::Ratio),
            ("independent: dispatch to direct", Unit::Ratio),
            ("independent: second copy to direct", Unit::Ratio),
            ("independent: dispatch to pointer", Unit::Ratio),
            ("first call", Unit::Nanoseconds),
        ]);
    let programs = [(&with, "the pass"), (&without, "no pass"), (&by_pointer, "no trampolines")];
    let variants = [("", ""), ("sealed", ", sealed"), ("forbidden", ", no memory becomes executable")];
    let ways: Vec<_> = programs
        .into_iter()
        .flat_map(|(program, name)| {
            variants.map(|(argument, after)| (program, argument, format!("{name}{after}")))
        })
        .collect();
    let commands = ways.iter().map(|(program, argument, name)| {
        let mut command = Command::new(program);
        command.args([bench.quick_or_full("60", "160"), argument]);
        (format!("dispatch {name}"), command)
    });
    for ((.., name), runs) in ways.iter().zip(bench.in_turns(bench.processes(), commands)?) {
        let of = |work: &str, form: &str, to: &str| ratio(&runs, work, form, to, &PLACES);
        let cells = [
            nanoseconds(&runs, "chain", "dispatch"),
            of("chain", "dispatch", "direct"),
            of("chain", "again", "direct"),
            of("chain", "dispatch", "pointer"),
            of("throughput", "dispatch", "direct"),
            of("throughput", "again", "direct"),
            of("throughput", "dispatch", "pointer"),
            runs.summary("first"),
        ];
        table.row(name, cells);
    }
    bench.add(table);
    Ok(())
}
