//! The cost of a dispatched function, and of keys that are pointers and methods. `benches/src/dispatch.rs`
//! says how it is measured.

use std::process::Command;

use anyhow::Result;

use crate::bench::Bench;
use crate::calls::{PLACES, nanoseconds, ratio};
use crate::model::{Part, Table, Unit};
use crate::rows::{FORBIDDEN, NO_PASS, NO_TRAMPOLINES, PASS, SEALED};
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
            ("another function's first call", Unit::Nanoseconds),
        ]);
    let about = "A key that is a pointer (`#[pointer]`) against a call through an atomic pointer, and an \
                 object's method against a key of a function with the same code, measured with the table A \
                 dispatched function. `set` is one of 32 updates in a row, each of which changes the target; \
                 after a seal each is refused.";
    let mut keys =
        Table::new(Part::Calls, "dispatch-keys", "Pointers and objects", "program", &SOURCES, about).columns(
            [
                ("pointer key to pointer", Unit::Ratio),
                ("independent: pointer key to pointer", Unit::Ratio),
                ("method to key", Unit::Ratio),
                ("independent: method to key", Unit::Ratio),
                ("set", Unit::Nanoseconds),
            ],
        );
    let programs = [(&with, PASS), (&without, NO_PASS), (&by_pointer, NO_TRAMPOLINES)];
    let variants = [("", ""), ("sealed", SEALED), ("forbidden", FORBIDDEN)];
    let mut ways: Vec<_> = programs
        .into_iter()
        .flat_map(|(program, name)| {
            variants.map(|(argument, after)| (program, argument, format!("{name}{after}")))
        })
        .collect();
    ways.push((&by_pointer, "detected", format!("{NO_TRAMPOLINES}, features detected before")));
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
            runs.summary("another"),
        ];
        table.row(name, cells);
        let cells = [
            of("chain", "set", "pointer"),
            of("throughput", "set", "pointer"),
            of("chain", "object", "key"),
            of("throughput", "object", "key"),
            runs.summary("set"),
        ];
        keys.row(name, cells);
    }
    bench.add(table);
    bench.add(keys);
    Ok(())
}
