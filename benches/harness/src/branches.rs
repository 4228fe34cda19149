//! Static branches: what one costs while it is off, what an update costs, and how many bytes one takes.
//! `benches/` says how each is measured.

use std::collections::HashMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection};
use static_call_abi as abi;

use crate::bench::Bench;
use crate::calls::{PLACES, nanoseconds, ratio};
use crate::code::{self, Instruction, Loop};
use crate::directories::raw_directory;
use crate::images::{self, Image, SITES_A_FILE};
use crate::loads::padding;
use crate::model::{Part, Table, Unit};
use crate::statistics::Summary;
use crate::toolchain::rust_program;
use crate::updates::WINDOW;

const CALLS: [&str; 1] = ["benches/src/calls.rs"];
/// Loops by their names in the program, and for readers.
const LOOPS: [(&str, &str); 4] = [
    ("tiny", "tiny loop"),
    ("hook", "loop with a call"),
    ("floats", "loop with four live doubles"),
    ("hash", "hash of 16 bytes"),
];
const SITES: [usize; 3] = [1_000, 10_000, 100_000];
const SITES_BESIDE: [usize; 3] = [10, 100, 1_000];

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        bench.report.miss("static branches", "the look at their machine code is about x86-64");
        return Ok(());
    }
    bench.attempt("branches that are off", measure_off)?;
    bench.attempt("an interpreter with a branch", measure_interpreter)?;
    bench.attempt("updates of branches", measure_updates)?;
    bench.attempt("updates of branches beside static-keys", measure_peers)?;
    bench.attempt("bytes of branches", measure_sizes)
}

fn measure_off(bench: &mut Bench) -> Result<()> {
    bench.step("building loops with branches");
    let program = rust_program("static-call-bench-calls", "rust-o3-plain-short", |cargo| {
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3");
    })?;
    let functions = code::functions(&program)?;
    let is_one = |name: &&String| LOOPS.iter().any(|(work, _)| name.starts_with(&format!("{work}_")));
    code::write(&functions, is_one, &raw_directory()?.join("code-branches.txt"))?;
    let commands = LOOPS.map(|(work, _)| {
        let mut command = Command::new(&program);
        // "hook" is no other work load's beginning, and neither are these.
        command.args([bench.quick_or_full("60", "160"), work]).env("STATIC_CALL_MODE", "inline");
        (format!("branches {work}"), command)
    });
    let found = bench.in_turns(bench.processes(), commands)?;

    let about = "Each loop with a static branch that is off, against the same loop without, in turns and \
                 pair by pair, at all places in a cache line. What stands behind the branch is a call. A \
                 second copy of the loop without tells how far to trust the ratios. The loops' machine \
                 code is in target/bench/raw/code-branches.txt; here is by how many instructions the \
                 branch's loop is longer (its own is one; a compiler may unroll the loop without).";
    let mut off = Table::new(Part::Branches, "branches-off", "A branch that is off", "loop", &CALLS, about)
        .columns([
            ("none", Unit::Nanoseconds),
            ("static branch", Unit::Nanoseconds),
            ("static branch to none", Unit::Ratio),
            ("second copy to none", Unit::Ratio),
            ("static branch to load", Unit::Ratio),
            ("load and branch to none", Unit::Ratio),
            ("lazy call to none", Unit::Ratio),
            ("static call to none", Unit::Ratio),
            ("static-keys to none", Unit::Ratio),
            ("instructions more", Unit::Count),
        ]);
    let about =
        "The same loops, by place: so many bytes into a cache line starts what stands before the loop.";
    let title = "A branch that is off / no branch, by place in a cache line";
    let mut places = Table::new(Part::Branches, "branches-places", title, "loop, place", &CALLS, about)
        .columns([
            ("static branch to none", Unit::Ratio),
            ("second copy to none", Unit::Ratio),
            ("load and branch to none", Unit::Ratio),
        ]);
    for ((work, name), runs) in LOOPS.into_iter().zip(&found) {
        let to_none = |form: &str| ratio(runs, work, form, "none", &PLACES);
        let cells = [
            nanoseconds(runs, work, "none"),
            nanoseconds(runs, work, "key"),
            to_none("key"),
            to_none("again"),
            ratio(runs, work, "key", "branch", &PLACES),
            to_none("branch"),
            to_none("lazy"),
            to_none("static"),
            to_none("static-keys"),
            Summary::exactly(instructions_more(&functions, work)?),
        ];
        off.row(name, cells);
        for place in PLACES {
            let at = |form: &str| ratio(runs, work, form, "none", &[place]);
            places.row(format!("{name}, {place}"), [at("key"), at("again"), at("branch")]);
        }
    }
    bench.add(off);
    bench.add(places);
    Ok(())
}

/// By how many instructions the loop with a branch is longer than the one without. An error if there is no
/// branch in it, or if its loop calls what stands behind the branch.
fn instructions_more(functions: &HashMap<String, Vec<Instruction>>, work: &str) -> Result<f64> {
    let body = |form: &str| {
        let name = format!("{work}_{form}_0");
        let found = functions.get(&name).and_then(|function| Loop::first(function));
        found.with_context(|| format!("{name} has no loop"))
    };
    let [none, key] = [body("none")?, body("key")?];
    let branches = key.instructions.iter().filter(|instruction| *instruction == "jmp").count();
    ensure!(
        branches > 0 && key.callees.len() == none.callees.len(),
        "the loop of {work} with a branch is {:?}",
        key.instructions
    );
    Ok(key.instructions.len() as f64 - none.instructions.len() as f64)
}

fn measure_interpreter(bench: &mut Bench) -> Result<()> {
    bench.step("building the interpreter");
    let program = rust_program("static-call-bench-programs", "rust", |_| {})?;
    let mut command = Command::new(&program);
    command.arg(bench.quick_or_full("30", "60"));
    let runs = bench.repeat(bench.quick_or_full(5, 15), "branches interpreter", command)?;
    let about = "The interpreter of the whole programs, whose loop has a hook at each instruction: without \
                 it, and with it off, as a static branch with a static call behind it, as a load and a \
                 branch with the same call, as a lazy call, and as a static call, whose arguments are \
                 evaluated. Times are compared in turns. \"static-keys\" is a branch of that crate.";
    let sources = ["benches/src/programs.rs", "benches/src/programs/interpreter.rs"];
    let title = "An interpreter with its hook behind a branch";
    let mut table = Table::new(Part::Branches, "branches-interpreter", title, "hook", &sources, about)
        .columns([
            ("instructions", Unit::PerSecond),
            ("time to none", Unit::Ratio),
            ("time to that with a load", Unit::Ratio),
            ("time to that with a static call", Unit::Ratio),
        ]);
    for (name, form) in [
        ("none", "direct"),
        ("static branch", "branch"),
        ("load and branch", "load"),
        ("lazy call", "lazy"),
        ("static call", "static"),
        ("static-keys", "static-keys"),
    ] {
        let of = |form: &str| format!("interpreter/hook off/{form}");
        // Rates are the other way round than times.
        let time_to = |other: &str| runs.ratios(&of(other), &of(form));
        table.row(name, [runs.summary(&of(form)), time_to("direct"), time_to("load"), time_to("static")]);
    }
    bench.add(table);
    Ok(())
}

fn measure_updates(bench: &mut Bench) -> Result<()> {
    let wanted = SITES.map(Image::of_branches);
    bench.step("building images of branches");
    images::build(&wanted)?;
    let driver = images::driver()?;
    let mut commands = Vec::new();
    for image in wanted {
        let rounds = (300_000 / image.sites).clamp(1, 60).to_string();
        let mut command = Command::new(&driver);
        command.env("STATIC_CALL_WRITER", WINDOW).args(["update", &rounds]).arg(image.path()?);
        commands.push((format!("update {} branches", image.sites), command));
    }
    let found = bench.in_turns(bench.processes(), commands)?;
    let about = "Processor time of an update of a key with this many branches, by the only thread of its \
                 process, with the window writer. Between updates the branches do not run; those of \"just \
                 run\" do.";
    let title = "Update of one key with branches";
    let mut table =
        Table::new(Part::Branches, "branches-update", title, "branches", &["benches/c/image.c"], about)
            .columns([
                ("window", Unit::Nanoseconds),
                ("window, a site", Unit::Nanoseconds),
                ("window, just run, a site", Unit::Nanoseconds),
            ]);
    for (sites, runs) in SITES.into_iter().zip(&found) {
        let a_site = |name: &str| Some(runs.summary(name)?.map(|nanoseconds| nanoseconds / sites as f64));
        table.counted(sites, [runs.summary("update"), a_site("update"), a_site("update-hot")]);
    }
    bench.add(table);
    Ok(())
}

fn measure_peers(bench: &mut Bench) -> Result<()> {
    bench.step("building branches beside static-keys");
    let program = rust_program("static-call-bench-static-keys", "rust", |_| {})?;
    let mut command = Command::new(&program);
    // A multiple of six, so that each goes on as often as off, and comes first as often as second and third.
    command.env("STATIC_CALL_WRITER", WINDOW).arg("24");
    let runs = bench.repeat(bench.processes(), "branches beside static-keys", command)?;
    let about = "Keys with this many branches of each crate, switched on and off in turns in one process \
                 with one thread.";
    let title = "Update of a key with branches, in turns with static-keys 0.8";
    let mut table = Table::new(
        Part::Branches,
        "branches-peers",
        title,
        "branches",
        &["benches/src/static_keys.rs"],
        about,
    )
    .columns([
        ("static branch", Unit::Nanoseconds),
        ("static branch, a site", Unit::Nanoseconds),
        ("static-keys", Unit::Nanoseconds),
        ("static-keys, a site", Unit::Nanoseconds),
        ("static-keys to static branch", Unit::Ratio),
    ]);
    for sites in SITES_BESIDE {
        let [ours, theirs] = ["branches", "theirs"].map(|name| format!("{name}/{sites}"));
        let a_site = |name: &str| Some(runs.summary(name)?.map(|time| time / sites as f64));
        let cells = [
            runs.summary(&ours),
            a_site(&ours),
            runs.summary(&theirs),
            a_site(&theirs),
            runs.ratios(&theirs, &ours),
        ];
        table.counted(sites, cells);
    }
    bench.add(table);
    Ok(())
}

fn measure_sizes(bench: &mut Bench) -> Result<()> {
    bench.step("measuring the sizes of branches");
    let image = Image::of_branches(SITES[1]);
    images::build(&[image])?;
    let bytes = std::fs::read(image.path()?)?;
    let file = object::File::parse(&*bytes)?;
    let entries = file.section_by_name(abi::BRANCHES_SECTION).context("no table of branches")?.size() as f64;
    // The section contains one anchor.
    let table_size = (entries - size_of::<abi::Branch>() as f64) / image.sites as f64;
    // Some code between them, as in a program.
    let padding = padding(Image { sites: SITES_A_FILE, operations: 24, ..image })?;
    let about = "From a shared object with 10,000 branches. Padding is what stands before each branch so \
                 that its word crosses no boundary, on average over branches about 60 bytes apart. The \
                 code that looks at the key lies behind each function, and does not count.";
    let mut table = Table::new(
        Part::Branches,
        "branches-size",
        "Bytes of a branch",
        "what",
        &["benches/harness/src/images.rs"],
        about,
    )
    .columns([("bytes", Unit::Bytes)]);
    for (what, bytes) in
        [("table", table_size), ("padding, on average", padding), ("table and padding", table_size + padding)]
    {
        table.row(what, [Summary::exactly(bytes)]);
    }
    bench.add(table);
    Ok(())
}
