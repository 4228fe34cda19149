//! What an update costs: whoever makes it, with each writer, and whoever calls meanwhile; and beside another
//! implementation. `benches/` says how each is measured.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection};

use super::images::{self, Image, SITES, Times};
use super::{best_tenth, directory, goal, median, quantile, rust_program, table};
use crate::run::output;

const WINDOW: &str = "window";
const BREAKPOINT: &str = "breakpoint";
/// Numbers of threads, as `benches/c/image.c` has them.
const THREADS: [usize; 3] = [1, 8, 64];
/// Sites of the program beside `static-keys`.
const SITES_BESIDE: u64 = 1_000;

/// Measures everything, prints the tables and says whether the goals are met.
pub(super) fn measure() -> Result<()> {
    let driver = images::driver()?;
    let images: Vec<Image> = std::iter::once(1).chain(SITES).map(Image::of_one_key).collect();
    images::build(&images)?;
    measure_writer(&driver, &images, WINDOW, 2_000_000)?;
    measure_writer(&driver, &images, BREAKPOINT, 20_000)?;
    measure_threads(&driver, images[0])?;
    measure_callers()?;
    measure_beside_static_keys()
}

/// An update of one image's sites.
struct Cost {
    sites: usize,
    /// Nanoseconds where the sites have not run since the last update, and where all have.
    at_rest: Vec<f64>,
    just_run: Vec<f64>,
}

impl Cost {
    fn a_site(&self, nanoseconds: f64) -> f64 {
        nanoseconds / self.sites as f64
    }

    fn columns(&self) -> [&[f64]; 2] {
        [&self.at_rest, &self.just_run]
    }
}

fn middle(values: &[f64]) -> f64 {
    median(values.iter().copied())
}

/// Updates of one key, with so many changes of a site in all.
fn measure_writer(driver: &Path, images: &[Image], writer: &str, changes: usize) -> Result<()> {
    println!("\nUpdate of one key, {writer} writer. With one site, that is what the system calls cost.");
    let mut rows = table(["sites", "µs", "ns/site", "best tenth", "ns/site, just run", "best tenth"]);
    let mut costs = Vec::new();
    for &image in images {
        let rounds = (changes / image.sites).clamp(6, 1_000).to_string();
        let times = Times::of(
            Command::new(driver)
                .env("STATIC_CALL_WRITER", writer)
                .args(["update", &rounds])
                .arg(image.path()?),
        )?;
        let cost = Cost {
            sites: image.sites,
            at_rest: times.named("update").collect(),
            just_run: times.named("update-hot").collect(),
        };
        let mut row = vec![image.sites.to_string(), format!("{:.1}", middle(&cost.at_rest) / 1e3)];
        for times in cost.columns() {
            row.push(format!("{:.1}", cost.a_site(middle(times))));
            row.push(format!("{:.1}", cost.a_site(best_tenth(times.iter().copied()))));
        }
        rows.add_row(row);
        costs.push(cost);
    }
    println!("{rows}");
    let (one, many) = costs.split_first().context("no image")?;
    if writer == WINDOW {
        let microseconds = one.columns().map(|times| middle(times) / 1e3);
        let is_met = microseconds.iter().all(|&time| time <= 5.0);
        goal("one site costs at most 5 µs", is_met, at_rest_and_just_run(microseconds, "µs"));
        for cost in many {
            let nanoseconds = cost.columns().map(|times| cost.a_site(middle(times)));
            let is_met = nanoseconds.iter().all(|&time| time <= 20.0);
            let what = format!("{} sites cost at most 20 ns a site", cost.sites);
            goal(&what, is_met, at_rest_and_just_run(nanoseconds, "ns"));
        }
        let slope = |from: &Cost, to: &Cost| {
            (middle(&to.at_rest) - middle(&from.at_rest)) / (to.sites - from.sites) as f64
        };
        let [small, medium, large] = many else { unreachable!("three sizes") };
        let slopes = [slope(small, medium), slope(medium, large)];
        goal(
            "in linear time: one more site costs no more where there are many",
            slopes[1] <= 1.25 * slopes[0],
            format!("{:.1} ns from 1,000 to 10,000, {:.1} ns from there to 100,000", slopes[0], slopes[1]),
        );
    } else {
        for cost in many {
            let microseconds = cost.columns().map(|times| cost.a_site(middle(times)) / 1e3);
            let is_met = microseconds.iter().all(|&time| time <= 5.0);
            let what = format!("{} sites cost at most 5 µs a site", cost.sites);
            goal(&what, is_met, at_rest_and_just_run(microseconds, "µs"));
        }
    }
    Ok(())
}

fn at_rest_and_just_run([at_rest, just_run]: [f64; 2], unit: &str) -> String {
    format!("{at_rest:.1} {unit}, just run {just_run:.1} {unit}")
}

/// The breakpoint writer reads the signal mask of each thread, and the window writer does not.
fn measure_threads(driver: &Path, one_site: Image) -> Result<()> {
    println!("\nUpdate of one site in a process of so many threads, µs");
    let mut rows = table(["threads", WINDOW, BREAKPOINT]);
    let mut times = Vec::new();
    for writer in [WINDOW, BREAKPOINT] {
        let mut driver = Command::new(driver);
        driver.env("STATIC_CALL_WRITER", writer).args(["threads", "20"]).arg(one_site.path()?);
        times.push(Times::of(&mut driver)?);
    }
    for count in THREADS {
        let microseconds = |times: &Times| median(times.named(&format!("threads-{count}"))) / 1e3;
        let cells = times.iter().map(|times| format!("{:.1}", microseconds(times)));
        rows.add_row(std::iter::once(count.to_string()).chain(cells));
    }
    println!("{rows}");
    Ok(())
}

/// Lines of numbers that a program prints.
fn numbers<const N: usize>(program: &mut Command) -> Result<Vec<[f64; N]>> {
    let line = |line: &str| -> Result<[f64; N]> {
        let numbers: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        numbers.try_into().ok().context("another number of them")
    };
    let text = output(program)?;
    text.lines().map(|text| line(text).with_context(|| format!("a line `{text}`"))).collect()
}

/// A thread that calls while another one updates.
fn measure_callers() -> Result<()> {
    let program = rust_program("static-call-bench-callers", &directory()?.join("rust"), |_| {})?;
    println!("\nCalls while another thread updates their key");
    let mut rows = table(["writer", "updates/s", "ns/call", "undisturbed", "rate kept", "worst tenth"]);
    let mut all = Vec::new();
    for writer in [WINDOW, BREAKPOINT] {
        let pairs: Vec<[f64; 3]> = numbers(Command::new(&program).env("STATIC_CALL_WRITER", writer))?;
        let column = |index: usize| pairs.iter().map(move |pair| pair[index]);
        let kept = || pairs.iter().map(|[quiet, updated, _]| 100.0 * quiet / updated);
        rows.add_row([
            writer.into(),
            format!("{:.0}", median(column(2))),
            format!("{:.3}", median(column(1))),
            format!("{:.3}", median(column(0))),
            format!("{:.1} %", median(kept())),
            format!("{:.1} %", quantile(kept(), 0.1)),
        ]);
        all.push((writer, median(kept())));
    }
    println!("{rows}");
    for (writer, kept) in all {
        let what = format!("a caller keeps 95 % of its rate at 1,000 updates a second, {writer} writer");
        goal(&what, kept >= 95.0, format!("{kept:.1} %"));
    }
    Ok(())
}

/// As many sites of ours and of the crate `static-keys`.
fn measure_beside_static_keys() -> Result<()> {
    let program = rust_program("static-call-bench-static-keys", &directory()?.join("rust"), |_| {})?;
    let [ours, theirs] = count_sites(&program)?;
    ensure!([ours, theirs] == [SITES_BESIDE; 2], "{ours} sites of ours and {theirs} of static-keys");
    let pairs: Vec<[f64; 2]> = numbers(Command::new(&program).env("STATIC_CALL_WRITER", WINDOW))?;
    println!("\nUpdate of one key with {SITES_BESIDE} sites, in turns with static-keys 0.8, one thread");
    let mut rows = table(["crate", "ns/site", "best tenth"]);
    for (index, name) in ["static-call", "static-keys"].into_iter().enumerate() {
        let a_site = || pairs.iter().map(|pair| pair[index] / SITES_BESIDE as f64);
        rows.add_row([
            name.into(),
            format!("{:.1}", median(a_site())),
            format!("{:.1}", best_tenth(a_site())),
        ]);
    }
    println!("{rows}");
    let ratio = median(pairs.iter().map(|[ours, theirs]| theirs / ours));
    goal(
        "an update is at least 100 × cheaper than with static-keys",
        ratio >= 100.0,
        format!("{ratio:.0} ×"),
    );
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
