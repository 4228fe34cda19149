//! Crates from crates.io that `tests/real` converts to static calls, compared with their originals.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::bench::Bench;
use crate::model::{Part, Table, Unit};
use crate::samples::Runs;
use crate::statistics::Summary;
use xtask::converted::{self, CRATES, Crate};
use xtask::run::{processor_time_of_children, run};

const SOURCES: [&str; 2] = ["tests/real/src/main.rs", "xtask/src/converted.rs"];

/// The work loads of the program.
const WORKS: [&str; 14] = [
    "memchr, 16 bytes",
    "memchr, 128 bytes",
    "memchr2, 64 bytes",
    "log, debug! off",
    "log, info! on",
    "crc32fast, 16 bytes",
    "crc32fast, 64 bytes",
    "crc32fast, 1 KiB",
    "simdutf8, 64 bytes",
    "simdutf8, 128 bytes",
    "simdutf8 compat, 128 bytes",
    "bytecount, 32 bytes",
    "bytecount, 128 bytes",
    "bytecount characters, 64 bytes",
];

/// A column, and how its program is built and run.
struct Way {
    name: &'static str,
    with_pass: bool,
    mode: &'static str,
    is_sealed: bool,
}

const WAYS: [Way; 6] = [
    Way { name: "with the pass", with_pass: true, mode: "inline", is_sealed: false },
    Way { name: "sealed from the start", with_pass: true, mode: "inline", is_sealed: true },
    Way { name: "trampolines", with_pass: true, mode: "trampoline", is_sealed: false },
    Way { name: "generic", with_pass: true, mode: "generic", is_sealed: false },
    Way { name: "no wrapper", with_pass: false, mode: "inline", is_sealed: false },
    Way { name: "no wrapper, sealed", with_pass: false, mode: "inline", is_sealed: true },
];

pub(crate) fn measure_speed(bench: &mut Bench) -> Result<()> {
    bench.step("converting crates");
    converted::prepare()?;
    let placements = bench.quick_or_full(6, 24);
    let mut runs = WAYS.map(|_| Runs::default());
    for placement in 1..=placements {
        bench.step(format!("linking converted crates, placement {placement}"));
        let with_pass = converted::program(true, Some(placement))?;
        let without = converted::program(false, Some(placement))?;
        for (way, runs) in WAYS.iter().zip(&mut runs) {
            let mut command = Command::new(if way.with_pass { &with_pass } else { &without });
            command.arg(bench.quick_or_full("100", "300")).args(way.is_sealed.then_some("sealed"));
            command.env("STATIC_CALL_MODE", way.mode);
            runs.push(bench.run(&format!("crates {} {placement}", way.name), &mut command)?);
        }
    }
    let about = format!(
        "Crates from crates.io that were converted to static calls by the patches in `tests/real`, against \
         the originals: in turns in the same process, pair by pair. Small functions depend on where they \
         lie, so the linker places all functions {placements} times in random orders, and each number is \
         the median of these. The second copy of the original's loop shows what remains of that. \"Sealed \
         from the start\" refuses all updates. Without the wrapper, calls go through trampolines."
    );
    let mut table = Table::new(
        Part::Crates,
        "crates-speed",
        "Converted crates, to their originals",
        "work load",
        &SOURCES,
        &about,
    )
    .columns([("original", Unit::Nanoseconds), ("second copy", Unit::Ratio)])
    .columns(WAYS.map(|way| (way.name, Unit::Ratio)));
    for work in WORKS {
        let [original, again, converted] =
            ["original", "again", "converted"].map(|form| format!("{work}/{form}"));
        let mut cells = vec![runs[0].summary(&original), runs[0].ratios(&again, &original)];
        cells.extend(runs.iter().map(|runs| runs.ratios(&converted, &original)));
        table.row(work, cells);
    }
    bench.add(table);
    Ok(())
}

pub(crate) fn measure_builds(bench: &mut Bench) -> Result<()> {
    converted::prepare()?;
    let about = "Processor time of a clean release build of each crate with its dependencies, in turns and \
                 pair by pair. A program builds static-call once for all crates that use it. Symbols are \
                 those that a shared object exports because the crate is in it, built without the wrapper.";
    let mut table =
        Table::new(Part::Crates, "crates-builds", "Builds of converted crates", "crate", &SOURCES, about)
            .columns([
                ("original", Unit::Nanoseconds),
                ("added without the wrapper", Unit::Nanoseconds),
                ("added with the pass", Unit::Nanoseconds),
                ("exported symbols", Unit::Count),
                ("warnings", Unit::Count),
            ]);
    for known in &CRATES {
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for pair in 0..bench.quick_or_full(1, 7) {
            bench.step(format!("building {}, {pair}", known.name));
            for (build, times) in [None, Some(false), Some(true)].into_iter().zip(&mut times) {
                times.push(build_time(known, build)?.as_secs_f64() * 1e9);
            }
        }
        let added =
            |at: usize| Summary::of(times[at].iter().zip(&times[0]).map(|(ours, plain)| ours - plain));
        table.row(
            known.name,
            [
                Summary::of(times[0].iter().copied()),
                added(1),
                added(2),
                Summary::exactly(known.exported_symbols()?.len() as f64),
                Summary::exactly(known.warnings()?.len() as f64),
            ],
        );
    }
    bench.add(table);
    Ok(())
}

/// The processor time of a clean build of the original (None), or of the converted crate without the wrapper
/// or with the pass.
fn build_time(known: &Crate, with_pass: Option<bool>) -> Result<Duration> {
    let directory = tempfile::tempdir()?;
    let mut cargo = match with_pass {
        None => known.build_original()?,
        Some(with_pass) => {
            let mut cargo = known.cargo(with_pass, "build")?;
            cargo.args(["--lib", "--release"]);
            cargo
        }
    };
    cargo.arg("--target-dir").arg(directory.path());
    let before = processor_time_of_children()?;
    run(&mut cargo)?;
    Ok(processor_time_of_children()?.saturating_sub(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_has_these_work_loads() {
        let source = std::fs::read_to_string(xtask::run::root().join(SOURCES[0])).expect("the program");
        for work in WORKS {
            assert!(source.contains(&format!("\"{work}\", line(")), "{work}");
        }
        assert_eq!(source.matches(", line(").count(), WORKS.len());
    }
}
