//! What an update costs the thread that makes it, with each writer and beside another implementation.
//! `benches/` says how each is measured.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection};
use static_call_abi as abi;

use crate::bench::Bench;
use crate::images::{self, Image};
use crate::model::{Part, Table, Unit};
use crate::samples::Runs;
use crate::toolchain::{rust_program, without_pass};

pub(crate) const WINDOW: &str = "window";
pub(crate) const BREAKPOINT: &str = "breakpoint";
pub(crate) const ALIAS: &str = "alias";
pub(crate) const WRITERS: [&str; 3] = [WINDOW, ALIAS, BREAKPOINT];
/// The numbers of sleeping threads (including the updating one), of calling threads, and of keys in a
/// transaction.
const SLEEPING: [usize; 3] = [1, 8, 64];
const CALLING: [usize; 4] = [0, 1, 2, 4];
const KEYS: [usize; 4] = [1, 10, 100, 1_000];
/// Sites of the program beside `static-keys`.
const SITES_BESIDE: [usize; 4] = [10, 100, 1_000, 10_000];

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let sizes = bench.quick_or_full(
        &[1, 10, 100, 1_000, 10_000, 100_000][..],
        &[1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
    );
    let images: Vec<Image> = sizes.iter().map(|&sites| Image::library(sites, 1)).collect();
    // More sites would need a file of gigabytes.
    let sparse = [100, 1_000, 10_000].map(|sites| Image { is_sparse: true, ..Image::library(sites, 1) });
    let keyed = Image::library(10_000, 1_000);
    bench.step("building images to update");
    images::build(&[images.as_slice(), &sparse, &[keyed]].concat())?;
    let driver = images::driver()?;
    bench.attempt("updates of one key", |bench| measure_sites(bench, &driver, &images, &sparse))?;
    bench.attempt("updates beside threads", |bench| {
        measure_threads(bench, &driver, [1, 1_000].map(|sites| Image::library(sites, 1)))
    })?;
    bench.attempt("updates as a batch", |bench| measure_batches(bench, &driver, keyed))?;
    bench.attempt("updates of trampolines", measure_trampolines)?;
    bench.attempt("updates beside static-keys", measure_peers)
}

fn measure_trampolines(bench: &mut Bench) -> Result<()> {
    bench.step("building trampolines to update");
    let program = rust_program("static-call-bench-trampolines", "without-pass", without_pass)?;
    let about = "Without the pass, an update of a key patches its trampoline. A key's first update in a \
                 process with several threads does not wait for processors, and prepares nothing; one key's \
                 second update prepares the process once, for which the kernel waits. Each key's first \
                 update is compared with its later one.";
    let mut table = Table::new(
        Part::Update,
        "update-trampolines",
        "Update of a trampoline, without the pass",
        "threads",
        &["benches/src/trampolines.rs"],
        about,
    )
    .columns([
        ("first", Unit::Nanoseconds),
        ("later", Unit::Nanoseconds),
        ("first less later", Unit::Nanoseconds),
        ("the one that prepares", Unit::Nanoseconds),
    ]);
    let ways = [("one", "alone"), ("two, of which one sleeps", "threaded")];
    let commands = ways.map(|(_, argument)| {
        let mut command = Command::new(&program);
        command.env("STATIC_CALL_WRITER", WINDOW).arg(argument);
        (format!("update trampolines {argument}"), command)
    });
    for ((name, _), runs) in ways.into_iter().zip(bench.in_turns(bench.processes(), commands)?) {
        let cells = [
            runs.summary("first"),
            runs.summary("later"),
            runs.pairs("first", "later", |first, later| first - later),
            runs.summary("prepare"),
        ];
        table.row(name, cells);
    }
    bench.add(table);
    Ok(())
}

fn measure_sites(bench: &mut Bench, driver: &Path, images: &[Image], sparse: &[Image]) -> Result<()> {
    let about = "Processor time of the updating thread, the only thread of its process. With one site, this \
                 is the cost of the system calls. The code does nothing but call, so about 300 sites are on \
                 a page of 4,096 bytes; \"one a page\" is the other extreme. The sites do not run between \
                 two updates, except for \"just run\", where every site runs after each update, so its code \
                 is cached. \"One store\" is the cost of an update if every call loads a pointer.";
    let mut table =
        Table::new(Part::Update, "update-sites", "Update of one key", "sites", &["benches/c/image.c"], about)
            .columns([
                ("window", Unit::Nanoseconds),
                ("window, a site", Unit::Nanoseconds),
                ("window, just run, a site", Unit::Nanoseconds),
                ("window, one a page, a site", Unit::Nanoseconds),
                ("alias", Unit::Nanoseconds),
                ("alias, a site", Unit::Nanoseconds),
                ("alias, one a page, a site", Unit::Nanoseconds),
                ("breakpoint", Unit::Nanoseconds),
                ("breakpoint, a site", Unit::Nanoseconds),
                ("one store", Unit::Nanoseconds),
            ]);
    let mut wanted = Vec::new();
    for image in images {
        wanted.extend(WRITERS.map(|writer| (writer, *image)));
    }
    for image in sparse {
        wanted.extend([WINDOW, ALIAS].map(|writer| (writer, *image)));
    }
    let mut commands = Vec::new();
    for &(writer, image) in &wanted {
        let changes = if writer == BREAKPOINT { 4_000 } else { 300_000 };
        let rounds = (changes / image.sites).clamp(1, 60).to_string();
        let mut command = Command::new(driver);
        command.env("STATIC_CALL_WRITER", writer).args(["update", &rounds]).arg(image.path()?);
        let apart = if image.is_sparse { ", one a page" } else { "" };
        commands.push((format!("update {} sites{apart} {writer}", image.sites), command));
    }
    let found: Vec<_> = wanted.into_iter().zip(bench.in_turns(bench.processes(), commands)?).collect();
    let of = |writer: &str, image: Image| Some(&found.iter().find(|(known, _)| *known == (writer, image))?.1);
    for &image in images {
        let sites = image.sites as f64;
        let [window, alias, breakpoint] = WRITERS.map(|writer| of(writer, image));
        let sparse = |writer| of(writer, Image { is_sparse: true, ..image });
        let a_site = |runs: Option<&Runs>, name: &str| {
            Some(runs?.summary(name)?.map(|nanoseconds| nanoseconds / sites))
        };
        table.counted(
            image.sites,
            [
                window.and_then(|runs| runs.summary("update")),
                a_site(window, "update"),
                a_site(window, "update-hot"),
                a_site(sparse(WINDOW), "update"),
                alias.and_then(|runs| runs.summary("update")),
                a_site(alias, "update"),
                a_site(sparse(ALIAS), "update"),
                breakpoint.and_then(|runs| runs.summary("update")),
                a_site(breakpoint, "update"),
                window.and_then(|runs| runs.summary("store")),
            ],
        );
    }
    bench.add(table);
    Ok(())
}

fn measure_threads(bench: &mut Bench, driver: &Path, [one, thousand]: [Image; 2]) -> Result<()> {
    let about = "Updates of one site, or of a thousand. Only the breakpoint writer reads the signal mask of \
                 each thread. Each update interrupts every processor that runs a thread of the process, and \
                 waits for it; other processors are left alone. Threads that call run on other processors \
                 than the updating thread's, if there are any.";
    let mut table = Table::new(
        Part::Update,
        "update-threads",
        "Update beside threads",
        "threads",
        &["benches/c/image.c"],
        about,
    )
    .columns([
        (WINDOW, Unit::Nanoseconds),
        ("window, 1,000 sites", Unit::Nanoseconds),
        ("window, a site of 1,000", Unit::Nanoseconds),
        (ALIAS, Unit::Nanoseconds),
        ("alias, 1,000 sites", Unit::Nanoseconds),
        (BREAKPOINT, Unit::Nanoseconds),
    ]);
    let rounds = bench.quick_or_full("2", "5");
    for (kind, title, counts) in
        [("sleeping", "that sleep, in all", &SLEEPING[..]), ("calling", "that call, besides", &CALLING)]
    {
        let mut commands = Vec::new();
        for (writer, image) in
            [(WINDOW, one), (WINDOW, thousand), (ALIAS, one), (ALIAS, thousand), (BREAKPOINT, one)]
        {
            let mut command = Command::new(driver);
            command.env("STATIC_CALL_WRITER", writer).args([kind, rounds]).arg(image.path()?);
            command.args(counts.iter().map(usize::to_string));
            commands.push((format!("update of {} beside threads {kind} {writer}", image.sites), command));
        }
        let found = bench.in_turns(bench.processes(), commands)?;
        for count in counts {
            let [of_one, of_thousand, by_alias, thousand_by_alias, breakpoint] =
                [0, 1, 2, 3, 4].map(|index: usize| found[index].summary(&format!("threads-{count}")));
            let a_site = of_thousand.as_ref().map(|time| time.map(|time| time / thousand.sites as f64));
            table.row(
                format!("{count} {title}"),
                [of_one, of_thousand, a_site, by_alias, thousand_by_alias, breakpoint],
            );
        }
    }
    bench.add(table);
    Ok(())
}

fn measure_batches(bench: &mut Bench, driver: &Path, image: Image) -> Result<()> {
    let about = "Keys with ten sites each on average, updated one by one, and in one transaction, which \
                 waits for the other processors once.";
    let mut table = Table::new(
        Part::Update,
        "update-batch",
        "Updates one by one and as a batch",
        "keys",
        &["benches/c/image.c"],
        about,
    )
    .columns([
        ("one by one", Unit::Nanoseconds),
        ("batch", Unit::Nanoseconds),
        ("one by one to batch", Unit::Ratio),
        ("one by one, beside one that calls", Unit::Nanoseconds),
        ("batch, beside one that calls", Unit::Nanoseconds),
        ("one by one to batch, beside one that calls", Unit::Ratio),
    ]);
    let rounds = bench.quick_or_full("4", "10");
    let mut commands = Vec::new();
    for others in ["0", "1"] {
        let mut command = Command::new(driver);
        command.env("STATIC_CALL_WRITER", WINDOW).args(["batch", rounds]).arg(image.path()?).arg(others);
        command.args(KEYS.map(|count| count.to_string()));
        commands.push((format!("update batches beside {others}"), command));
    }
    let found = bench.in_turns(bench.processes(), commands)?;
    for count in KEYS {
        let [single, batch] = ["single", "batch"].map(|how| format!("{how}-{count}"));
        let cells = found
            .iter()
            .flat_map(|runs| [runs.summary(&single), runs.summary(&batch), runs.ratios(&single, &batch)]);
        table.counted(count, cells.collect::<Vec<_>>());
    }
    bench.add(table);
    Ok(())
}

/// Both have the same number of sites.
fn measure_peers(bench: &mut Bench) -> Result<()> {
    bench.step("building the program beside static-keys");
    let program = rust_program("static-call-bench-static-keys", "rust-many-sites", |cargo| {
        cargo.arg("--features=many-sites");
    })?;
    let all: usize = SITES_BESIDE.iter().sum();
    let [ours, theirs] = count_sites(&program)?;
    ensure!([ours, theirs] == [all as u64; 2], "{ours} sites of ours and {theirs} of static-keys");
    let about = "static-keys patches branches, with a few system calls for each, and only in a \
                 single-threaded process. Both switch the same number of hooks on and off, in turns in one \
                 process. \"One store\" is the cost of a change if every call loads a pointer, however many \
                 calls there are.";
    let mut table = Table::new(
        Part::Update,
        "update-peers",
        "Update of one key, in turns with static-keys 0.8",
        "sites",
        &["benches/src/static_keys.rs"],
        about,
    )
    .columns([
        ("static-call", Unit::Nanoseconds),
        ("static-call, a site", Unit::Nanoseconds),
        ("static-keys", Unit::Nanoseconds),
        ("static-keys, a site", Unit::Nanoseconds),
        ("static-keys to static-call", Unit::Ratio),
        ("one store", Unit::Nanoseconds),
    ]);
    let mut command = Command::new(&program);
    // A multiple of six, so that each goes on as often as off, and first as often as second or third.
    command.env("STATIC_CALL_WRITER", WINDOW).arg("6");
    let runs = bench.repeat(bench.processes(), "update beside static-keys", command)?;
    for sites in SITES_BESIDE {
        let [ours, theirs] = ["ours", "theirs"].map(|crate_name| format!("{crate_name}/{sites}"));
        let a_site = |name| runs.summary(name).map(|summary| summary.map(|time| time / sites as f64));
        let cells = [
            runs.summary(&ours),
            a_site(&ours),
            runs.summary(&theirs),
            a_site(&theirs),
            runs.ratios(&theirs, &ours),
            runs.summary(&format!("store/{sites}")),
        ];
        table.counted(sites, cells);
    }
    bench.add(table);
    Ok(())
}

/// The entries in a program's tables, ours and those of `static-keys`, without each table's own extra entry.
fn count_sites(program: &Path) -> Result<[u64; 2]> {
    const JUMP_ENTRY: u64 = 24;
    let bytes = std::fs::read(program)?;
    let file = object::File::parse(&*bytes)?;
    let entries = |name: &str, size: u64| {
        let section = file.section_by_name(name).with_context(|| format!("no section {name}"))?;
        anyhow::Ok((section.size() / size).saturating_sub(1))
    };
    Ok([entries(abi::SITES_SECTION, size_of::<abi::Site>() as u64)?, entries("__static_keys", JUMP_ENTRY)?])
}
