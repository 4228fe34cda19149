//! What many sites cost: to load and to unload them, and in bytes. The images are those of `updates.rs`, too.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol};

use super::{best_tenth, clang, directory, goal, link_flags, median, table};
use crate::run::{output, root, run};

/// Keys of an image that is loaded; an image that is updated has one, so that all its sites change.
const KEYS: usize = 64;
pub(super) const SITES: [usize; 3] = [1_000, 10_000, 100_000];
const SITES_A_FUNCTION: usize = 100;
/// So that several compilers have something to do.
const SITES_A_FILE: usize = 25_000;

/// A shared object of generated C.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) sites: usize,
    keys: usize,
    with_pass: bool,
    /// How much code stands between two sites, at most.
    operations: usize,
}

impl Image {
    /// All its sites are of one key.
    pub(super) fn of_one_key(sites: usize) -> Self {
        Self { sites, keys: 1, with_pass: true, operations: 1 }
    }

    fn name(self) -> String {
        let pass = if self.with_pass { "" } else { "-without-pass" };
        format!("image-{}-{}-{}{pass}", self.sites, self.keys, self.operations)
    }

    pub(super) fn path(self) -> Result<PathBuf> {
        Ok(directory()?.join(format!("{}.so", self.name())))
    }

    /// Writes the image's files: the name of each, and its C.
    fn sources(self) -> Result<Vec<PathBuf>> {
        let mut random = fastrand::Rng::with_seed(22);
        let parts = self.sites.div_ceil(SITES_A_FILE);
        (0..parts)
            .map(|part| {
                let sites = SITES_A_FILE.min(self.sites - part * SITES_A_FILE);
                let path = directory()?.join(format!("{}-{part}.c", self.name()));
                fs::write(&path, self.source(part, parts, sites, &mut random))?;
                Ok(path)
            })
            .collect()
    }

    fn source(self, part: usize, parts: usize, sites: usize, random: &mut fastrand::Rng) -> String {
        let mut c = String::from("#include \"static_call.h\"\nlong first(long x);\n");
        // The first file has the keys and their targets, and runs all functions.
        if part == 0 {
            c += "long first(long x) { return x + 1; }\nlong second(long x) { return 5 * x + 7; }\n";
        }
        let how = if part == 0 { "DEFINE" } else { "DECLARE" };
        for key in 0..self.keys {
            writeln!(c, "{how}_STATIC_CALL(k{key}, first);").expect("memory");
        }
        let functions = sites.div_ceil(SITES_A_FUNCTION);
        for function in 0..functions {
            writeln!(c, "__attribute__((noinline)) static long f{function}(long x)\n{{").expect("memory");
            for _ in 0..SITES_A_FUNCTION.min(sites - function * SITES_A_FUNCTION) {
                let key = random.usize(..self.keys);
                let argument = argument(self.operations, random);
                writeln!(c, "\tx = static_call(k{key}, {argument});").expect("memory");
            }
            c += "\treturn x;\n}\n";
        }
        writeln!(c, "__attribute__((visibility(\"hidden\"))) long run{part}(long x)\n{{").expect("memory");
        for function in 0..functions {
            writeln!(c, "\tx = f{function}(x);").expect("memory");
        }
        c += "\treturn x;\n}\n";
        if part == 0 {
            for part in 1..parts {
                writeln!(c, "long run{part}(long x);").expect("memory");
            }
            c += "long run(long x)\n{\n";
            for part in 0..parts {
                writeln!(c, "\tx = run{part}(x);").expect("memory");
            }
            c += "\treturn x;\n}\n";
        }
        c
    }
}

/// Some code between two sites, of all lengths.
fn argument(operations: usize, random: &mut fastrand::Rng) -> String {
    let operations = random.usize(1..=operations);
    (0..operations).fold("x".into(), |x: String, _| match random.u32(..6) {
        0 => x,
        1 => format!("({x} + {})", random.u32(1..100)),
        2 => format!("({x} ^ {})", random.u32(1_000..1_000_000_000)),
        3 => format!("({x} * {})", random.u32(3..1_000_000)),
        4 => format!("({x} >> {})", random.u32(1..8)),
        _ => format!("({x} << {})", random.u32(2..9)),
    })
}

/// Builds images, with as many compilers at a time as there are processors.
pub(super) fn build(images: &[Image]) -> Result<()> {
    let mut compile = VecDeque::new();
    let mut link = VecDeque::new();
    for &image in images {
        let mut shared = clang(false);
        shared.args(["-shared", "-o"]).arg(image.path()?);
        for source in image.sources()? {
            let object = source.with_extension("o");
            let mut clang = clang(image.with_pass);
            clang.args(["-O1", "-fPIC", "-c"]).arg(&source).arg("-o").arg(&object);
            compile.push_back(clang);
            shared.arg(object);
        }
        shared.args(link_flags());
        link.push_back(shared);
    }
    run_all(compile)?;
    run_all(link)
}

fn run_all(commands: VecDeque<Command>) -> Result<()> {
    let commands = Mutex::new(commands);
    let work = || {
        loop {
            let next = commands.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(mut command) = next else { return Ok(()) };
            run(&mut command)?;
        }
    };
    let workers = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })
}

/// The program that loads images, from `benches/c/image.c`.
pub(super) fn driver() -> Result<PathBuf> {
    let program = directory()?.join("image");
    let mut clang = clang(false);
    run(clang
        .args(["-O2", "-pthread"])
        .arg(root().join("benches/c/image.c"))
        .arg("-o")
        .arg(&program)
        .args(link_flags()))?;
    Ok(program)
}

/// What the driver measured.
pub(super) struct Times(Vec<(String, f64)>);

impl Times {
    pub(super) fn of(driver: &mut Command) -> Result<Self> {
        let text = output(driver)?;
        let time = |line: &str| {
            let (name, nanoseconds) = line.split_once(' ')?;
            Some((name.to_owned(), nanoseconds.parse().ok()?))
        };
        let times = text.lines().map(|line| time(line).with_context(|| format!("a line `{line}`")));
        Ok(Self(times.collect::<Result<_>>()?))
    }

    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = f64> {
        self.0.iter().filter(move |time| time.0 == name).map(|time| time.1)
    }
}

/// Loading and unloading images.
pub(super) fn measure_loads() -> Result<()> {
    let driver = driver()?;
    let pair = |sites| [true, false].map(|with_pass| Image { sites, keys: KEYS, with_pass, operations: 1 });
    build(&SITES.map(pair).concat())?;
    println!(
        "\nLoading (dlopen) and unloading (dlclose) an image of {KEYS} keys, less the same without the pass"
    );
    let mut rows =
        table(["sites", "mode", "load, ms", "ns/site", "best tenth", "without, ms", "unload, ns/site"]);
    let mut inline = Vec::new();
    for sites in SITES {
        let [with, without] = pair(sites);
        for mode in ["inline", "generic"] {
            let rounds = (1_000_000 / sites).clamp(40, 300).to_string();
            let times = Times::of(
                Command::new(&driver)
                    .env("STATIC_CALL_MODE", mode)
                    .args(["load", &rounds])
                    .arg(with.path()?)
                    .arg(without.path()?),
            )?;
            let a_site = |name: [&str; 2]| -> Vec<f64> {
                let pairs = times.named(name[0]).zip(times.named(name[1]));
                pairs.map(|(with, without)| (with - without) / sites as f64).collect()
            };
            let load = a_site(["load-with", "load-without"]);
            let unload = a_site(["unload-with", "unload-without"]);
            let (middle, least) = (median(load.iter().copied()), best_tenth(load.iter().copied()));
            rows.add_row([
                sites.to_string(),
                mode.into(),
                format!("{:.2}", median(times.named("load-with")) / 1e6),
                format!("{middle:.1}"),
                format!("{least:.1}"),
                format!("{:.2}", median(times.named("load-without")) / 1e6),
                format!("{:.2}", median(unload)),
            ]);
            if mode == "inline" {
                inline.push((middle, least));
            }
        }
    }
    println!("{rows}");
    let [_, (_, at_10_000), (nanoseconds, least)] = inline[..] else { unreachable!("three sizes") };
    goal(
        "loading 100,000 sites costs at most 60 ns a site",
        nanoseconds <= 60.0,
        format!("{nanoseconds:.1} ns, best tenth {least:.1} ns"),
    );
    let growth = least / at_10_000;
    goal("in linear time", growth <= 1.25, format!("ten times the sites, {growth:.2} × the time a site"));
    Ok(())
}

/// Bytes a site and a key.
pub(super) fn measure_sizes() -> Result<()> {
    let [small, large] =
        [SITES[0], SITES[1]].map(|sites| Image { sites, keys: KEYS, with_pass: true, operations: 1 });
    build(&[small, large])?;
    let [small_bytes, large_bytes] = [fs::read(small.path()?)?, fs::read(large.path()?)?];
    let [small_file, large_file] = [object::File::parse(&*small_bytes)?, object::File::parse(&*large_bytes)?];

    let size = |name: &str| large_file.section_by_name(name).map_or(0, |section| section.size()) as f64;
    // Less the anchors, of which each image has one.
    let sites = (size("static_call_sites") - 4.0) / large.sites as f64;
    let more = (large.sites - small.sites) as f64;
    let relocations = (relocations(&large_file) - relocations(&small_file)) / more;
    // Some 60 bytes apart, as in a program: closer together, a site's alignment depends on the last one's.
    let padding = padding(Image { operations: 24, ..large })?;
    let record = (size("static_call_records") - 40.0) / KEYS as f64;
    let trampoline = trampoline_size(&large_file);

    println!("\nBytes");
    let mut rows = table(["what", "bytes"]);
    rows.add_row(["a site: table".into(), format!("{sites:.2}")]);
    rows.add_row(["a site: padding before it, on average".into(), format!("{padding:.2}")]);
    rows.add_row(["a site: dynamic relocations (their number)".into(), format!("{relocations:.2}")]);
    rows.add_row(["a key and image: record".into(), format!("{record:.2}")]);
    rows.add_row(["a key and image: trampoline".into(), format!("{trampoline:.2}")]);
    println!("{rows}");
    goal("a site has four bytes of table", sites == 4.0, sites);
    // 1.25 where sites fall on all offsets alike; two sites close together do not.
    goal("at most 1.25 bytes of padding on average", padding <= 1.25, format!("{padding:.3}"));
    goal("no dynamic relocation", relocations == 0.0, relocations);
    goal("a key has at most 64 bytes an image", record + trampoline <= 64.0, record + trampoline);
    Ok(())
}

fn relocations(file: &object::File<'_>) -> f64 {
    file.dynamic_relocations().into_iter().flatten().count() as f64
}

/// From one trampoline to the next, prefix and alignment included.
fn trampoline_size(file: &object::File<'_>) -> f64 {
    let is_trampoline = |name: &[u8]| name.starts_with(b"__static_call_trampoline.");
    let mut addresses: Vec<u64> = file
        .symbols()
        .filter(|symbol| symbol.name_bytes().is_ok_and(is_trampoline))
        .map(|symbol| symbol.address())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    median(addresses.windows(2).map(|pair| (pair[1] - pair[0]) as f64))
}

/// The code with the directives that align sites, less the code without them. Functions are not aligned
/// here, since that would hide some of it.
fn padding(image: Image) -> Result<f64> {
    let mut difference = 0.0;
    for source in image.sources()? {
        let assembly = source.with_extension("s");
        let mut compiler = clang(true);
        compiler.args(["-O1", "-fPIC", "-falign-functions=1", "-S"]).arg(&source).arg("-o").arg(&assembly);
        run(&mut compiler)?;
        let with = fs::read_to_string(&assembly)?;
        let is_ours = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            matches!(words[..], [".p2align", "3,,4" | "3,,5"] | [".p2align", "3,", ",", "4" | "5"])
        };
        let without: String =
            with.lines().filter(|line| !is_ours(line)).flat_map(|line| [line, "\n"]).collect();
        let plain = assembly.with_extension("without.s");
        fs::write(&plain, without)?;
        difference += code_size(&assembly)? - code_size(&plain)?;
    }
    Ok(difference / image.sites as f64)
}

fn code_size(assembly: &Path) -> Result<f64> {
    let object = assembly.with_extension("o");
    run(clang(false).arg("-c").arg(assembly).arg("-o").arg(&object))?;
    let bytes = fs::read(&object)?;
    let file = object::File::parse(&*bytes)?;
    let text = file.section_by_name(".text").with_context(|| format!("{} has no code", object.display()))?;
    Ok(text.size() as f64)
}
