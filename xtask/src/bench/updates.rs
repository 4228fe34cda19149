//! What an update costs: whoever makes it, with each writer; and beside another implementation.
//! `benches/` says how each is measured.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection};

use super::Bench;
use super::images::{self, Image, Kind};
use super::model::{Part, Table, Unit};
use super::samples::Samples;
use super::statistics::Summary;
use super::toolchain::rust_program;

pub(super) const WINDOW: &str = "window";
pub(super) const BREAKPOINT: &str = "breakpoint";
pub(super) const WRITERS: [&str; 2] = [WINDOW, BREAKPOINT];
/// Numbers of threads that sleep, this one included; of those that call besides; of keys in a transaction.
const SLEEPING: [usize; 3] = [1, 8, 64];
const CALLING: [usize; 4] = [0, 1, 2, 4];
const KEYS: [usize; 4] = [1, 10, 100, 1_000];
/// Sites of the program beside `static-keys`.
const SITES_BESIDE: [usize; 4] = [10, 100, 1_000, 10_000];

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let sizes = bench.quick_or_full(
        &[1, 10, 100, 1_000, 10_000, 100_000][..],
        &[1, 10, 100, 1_000, 10_000, 100_000, 1_000_000],
    );
    let images: Vec<Image> = sizes.iter().map(|&sites| Image::of_one_key(sites)).collect();
    let keyed = Image { sites: 10_000, keys: 1_000, with_pass: true, kind: Kind::Library, operations: 1 };
    bench.step("building images to update");
    images::build(&[images.as_slice(), &[keyed]].concat())?;
    let driver = images::driver()?;
    bench.attempt("updates of one key", |bench| measure_sites(bench, &driver, &images))?;
    bench.attempt("updates beside threads", |bench| measure_threads(bench, &driver, images[0]))?;
    bench.attempt("updates as a batch", |bench| measure_batches(bench, &driver, keyed))?;
    bench.attempt("updates beside static-keys", measure_peers)
}

fn measure_sites(bench: &mut Bench, driver: &Path, images: &[Image]) -> Result<()> {
    let about = "Processor time of the updating thread, the only one of its process. With one site, that is what the system calls cost. \
                 Between two updates the sites do not run; \"just run\" is with every site run after each update, so that its \
                 code is in the caches. One store is what an update costs where every call loads a pointer.";
    let mut table =
        Table::new(Part::Update, "update-sites", "Update of one key", "sites", &["benches/c/image.c"], about)
            .columns([
                ("window", Unit::Nanoseconds),
                ("window, a site", Unit::Nanoseconds),
                ("window, just run, a site", Unit::Nanoseconds),
                ("breakpoint", Unit::Nanoseconds),
                ("breakpoint, a site", Unit::Nanoseconds),
                ("one store", Unit::Nanoseconds),
            ]);
    for image in images {
        let sites = image.sites as f64;
        let run = |writer, changes: usize| {
            let rounds = (changes / image.sites).clamp(6, 300).to_string();
            let mut command = Command::new(driver);
            command.env("STATIC_CALL_WRITER", writer).args(["update", &rounds]).arg(image.path()?);
            bench.run(&format!("update {} sites {writer}", image.sites), &mut command)
        };
        let window = run(WINDOW, 1_500_000)?;
        let breakpoint = run(BREAKPOINT, 20_000)?;
        let a_site = |samples: &Samples, name: &str| {
            samples.summary(name).map(|summary| summary.map(|nanoseconds| nanoseconds / sites))
        };
        table.counted(
            image.sites,
            [
                window.summary("update"),
                a_site(&window, "update"),
                a_site(&window, "update-hot"),
                breakpoint.summary("update"),
                a_site(&breakpoint, "update"),
                window.summary("store"),
            ],
        );
    }
    bench.add(table);
    Ok(())
}

fn measure_threads(bench: &mut Bench, driver: &Path, one_site: Image) -> Result<()> {
    let about = "The breakpoint writer reads the signal mask of each thread, and the window writer does not. A processor on which \
                 a thread of the process runs is interrupted by each update, and the update waits for it; one on which none runs is not. \
                 Those that call do so on other processors than the updating one's, if there are any.";
    let mut table = Table::new(
        Part::Update,
        "update-threads",
        "Update of one site beside threads",
        "threads",
        &["benches/c/image.c"],
        about,
    )
    .columns([(WINDOW, Unit::Nanoseconds), (BREAKPOINT, Unit::Nanoseconds)]);
    let rounds = bench.quick_or_full("10", "50");
    for (kind, title, counts) in
        [("sleeping", "that sleep, in all", &SLEEPING[..]), ("calling", "that call, besides", &CALLING)]
    {
        let mut samples = Vec::new();
        for writer in WRITERS {
            let mut command = Command::new(driver);
            command.env("STATIC_CALL_WRITER", writer).args([kind, rounds]).arg(one_site.path()?);
            command.args(counts.iter().map(usize::to_string));
            samples.push(bench.run(&format!("update beside threads {kind} {writer}"), &mut command)?);
        }
        for count in counts {
            let cells = samples.iter().map(|samples| samples.summary(&format!("threads-{count}")));
            table.row(format!("{count} {title}"), cells.collect::<Vec<_>>());
        }
    }
    bench.add(table);
    Ok(())
}

fn measure_batches(bench: &mut Bench, driver: &Path, image: Image) -> Result<()> {
    let about = "So many keys, with ten sites each on average: one by one, and as one transaction, which waits for the other \
                 processors once.";
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
    ]);
    let mut command = Command::new(driver);
    command
        .env("STATIC_CALL_WRITER", WINDOW)
        .args(["batch", bench.quick_or_full("50", "300")])
        .arg(image.path()?);
    command.args(KEYS.map(|count| count.to_string()));
    let samples = bench.run("update batches", &mut command)?;
    for count in KEYS {
        let [single, batch] = ["single", "batch"].map(|how| format!("{how}-{count}"));
        let ratio = Summary::of(samples.ratios(&single, &batch));
        table.counted(count, [samples.summary(&single), samples.summary(&batch), ratio]);
    }
    bench.add(table);
    Ok(())
}

/// As many sites of ours and of the crate `static-keys`.
fn measure_peers(bench: &mut Bench) -> Result<()> {
    bench.step("building the program beside static-keys");
    let program = rust_program("static-call-bench-static-keys", "rust-many-sites", |cargo| {
        cargo.arg("--features=many-sites");
    })?;
    let all: usize = SITES_BESIDE.iter().sum();
    let [ours, theirs] = count_sites(&program)?;
    ensure!([ours, theirs] == [all as u64; 2], "{ours} sites of ours and {theirs} of static-keys");
    let about = "static-keys patches branches, with a few system calls for each, and only while there is no other thread. Both \
                 switch as many hooks on and off, in turns in one process. One store is what a change costs where every call loads a pointer, \
                 however many there are.";
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
    command.env("STATIC_CALL_WRITER", WINDOW).arg(bench.quick_or_full("30", "100"));
    let samples = bench.run("update beside static-keys", &mut command)?;
    for sites in SITES_BESIDE {
        let [ours, theirs] = ["ours", "theirs"].map(|crate_name| format!("{crate_name}/{sites}"));
        let a_site = |name| samples.summary(name).map(|summary| summary.map(|time| time / sites as f64));
        let cells = [
            samples.summary(&ours),
            a_site(&ours),
            samples.summary(&theirs),
            a_site(&theirs),
            Summary::of(samples.ratios(&theirs, &ours)),
            samples.summary(&format!("store/{sites}")),
        ];
        table.counted(sites, cells);
    }
    bench.add(table);
    Ok(())
}

/// Entries in a program's tables, ours and those of `static-keys`, without the one that each has for itself.
fn count_sites(program: &Path) -> Result<[u64; 2]> {
    const SITE: u64 = 4;
    const JUMP_ENTRY: u64 = 24;
    let bytes = std::fs::read(program)?;
    let file = object::File::parse(&*bytes)?;
    let entries = |name: &str, size: u64| {
        let section = file.section_by_name(name).with_context(|| format!("no section {name}"))?;
        anyhow::Ok((section.size() / size).saturating_sub(1))
    };
    Ok([entries("static_call_sites", SITE)?, entries("__static_keys", JUMP_ENTRY)?])
}
