//! What many sites cost when a program starts or an image is loaded: time, memory and file size.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, ObjectSymbol};
use static_call_abi as abi;

use crate::bench::Bench;
use crate::directories::output_directory;
use crate::images::{self, Image, KEYS, Kind, SITES_A_FILE};
use crate::model::{Part, Table, Unit};
use crate::samples::Runs;
use crate::statistics::{Summary, median};
use crate::toolchain::{c_program, clang, run_all};
use xtask::run::run;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    bench.attempt("start-up", measure_start)?;
    bench.attempt("symbols for ld.so", measure_symbols)?;
    bench.attempt("images that load", measure_loads)?;
    bench.attempt("sizes", measure_sizes)
}

fn program(sites: usize, with_pass: bool) -> Image {
    // A program with one site has one key; the others have as many keys as a large program.
    let keys = if sites <= 1 { sites } else { KEYS };
    Image { with_pass, kind: Kind::Program, ..Image::library(sites, keys) }
}

/// From exec to main.
fn measure_start(bench: &mut Bench) -> Result<()> {
    let sizes =
        bench.quick_or_full(&[0, 1, 1_000, 10_000, 100_000][..], &[0, 1, 1_000, 10_000, 100_000, 1_000_000]);
    bench.step("building programs to start");
    let programs: Vec<Image> =
        sizes.iter().flat_map(|&sites| [program(sites, true), program(sites, false)]).collect();
    images::build(&programs)?;
    let driver = c_program(clang(true), "start.c", "start", &["-O2"])?;
    let about = "Processor time from exec to main, alternating with and without the pass. Both programs have \
                 the same source and the same static C library (with 0 sites, neither contains static-call). \
                 \"More\" is the difference of each pair, and \"elapsed\" is that by the clock. Memory is \
                 resident memory at main, and \"its own\" is private dirty memory. The page faults are those \
                 that read no file. No site has run yet.";
    let mut table =
        Table::new(Part::Load, "start", "Start-up of a program", "sites", &["benches/c/start.c"], about)
            .columns([
                ("with", Unit::Nanoseconds),
                ("without", Unit::Nanoseconds),
                ("more", Unit::Nanoseconds),
                ("more, elapsed", Unit::Nanoseconds),
                ("a site", Unit::Nanoseconds),
                ("more page faults", Unit::Count),
                ("more memory a site", Unit::Bytes),
                ("its own, a site", Unit::Bytes),
                ("more file a site", Unit::Bytes),
                ("more relocations", Unit::Count),
            ]);
    let mut commands = Vec::new();
    for &sites in sizes {
        let rounds = (bench.quick_or_full(600_000, 1_500_000) / sites.max(1)).clamp(4, 60);
        let mut command = Command::new(&driver);
        command.arg(rounds.to_string());
        command.args([program(sites, true).path()?, program(sites, false).path()?]);
        commands.push((format!("start of {sites} sites"), command));
    }
    for (&sites, runs) in sizes.iter().zip(bench.in_turns(bench.processes(), commands)?) {
        let more = |what: &str| {
            runs.pairs(&format!("0/{what}"), &format!("1/{what}"), |with, without| with - without)
        };
        let a_site =
            |more: Option<Summary>| Some(more.filter(|_| sites > 1)?.map(|more| more / sites as f64));
        let [with, without] = [elf(&program(sites, true).path()?)?, elf(&program(sites, false).path()?)?];
        table.counted(
            sites,
            [
                runs.summary("0/used"),
                runs.summary("1/used"),
                more("used"),
                more("elapsed"),
                a_site(more("used")),
                more("faults"),
                a_site(more("memory")),
                a_site(more("own")),
                a_site(Summary::exactly(with.loaded - without.loaded)),
                Summary::exactly(with.relocations - without.relocations),
            ],
        );
    }
    bench.add(table);
    Ok(())
}

/// The time that the dynamic linker takes to resolve the same number of symbols.
fn measure_symbols(bench: &mut Bench) -> Result<()> {
    let counts = bench.quick_or_full(&[1_000, 10_000, 100_000][..], &[1_000, 10_000, 100_000, 1_000_000]);
    bench.step("building programs with many symbols");
    let driver = c_program(clang(true), "start.c", "start", &["-O2"])?;
    let about = "Processor time from exec to main of a program with pointers to functions of a shared \
                 object, which the dynamic linker looks up by name (as it does for calls through the PLT \
                 with -z now), less that of a program with pointers to its own functions.";
    let mut table = Table::new(
        Part::Load,
        "symbols",
        "Start-up with symbols that ld.so resolves",
        "symbols",
        &["benches/c/start.c"],
        about,
    )
    .columns([
        ("with", Unit::Nanoseconds),
        ("without", Unit::Nanoseconds),
        ("a symbol", Unit::Nanoseconds),
    ]);
    let mut commands = Vec::new();
    for &count in counts {
        let rounds = (600_000 / count).clamp(3, 40).to_string();
        let mut command = Command::new(&driver);
        command.arg(&rounds).args(symbol_programs(count)?);
        commands.push((format!("start with {count} symbols"), command));
    }
    for (&count, runs) in counts.iter().zip(bench.in_turns(bench.processes(), commands)?) {
        let more = runs.pairs("0/used", "1/used", |with, without| (with - without) / count as f64);
        table.counted(count, [runs.summary("0/used"), runs.summary("1/used"), more]);
    }
    bench.add(table);
    Ok(())
}

/// A program with pointers to functions of a shared object, and one with pointers to its own functions.
fn symbol_programs(count: usize) -> Result<[PathBuf; 2]> {
    let directory = output_directory()?.join("images");
    fs::create_dir_all(&directory)?;
    let write = |name: String, text: &str| -> Result<PathBuf> {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    };
    let (mut library, mut foreign, mut own) = (
        String::from("\t.text\n"),
        String::from("\t.data\n\t.balign 8\n"),
        String::from("\t.data\n\t.balign 8\n"),
    );
    for symbol in 0..count {
        // Names as long as those of C++ and Rust.
        let name = format!("function_with_a_name_of_some_length_{symbol:07}");
        writeln!(library, "\t.globl {name}\n\t.type {name}, @function\n{name}: .byte 0")?;
        writeln!(foreign, "\t.quad {name}")?;
        writeln!(own, "\t.quad main")?;
    }
    for text in [&mut library, &mut foreign, &mut own] {
        *text += "\t.section .note.GNU-stack, \"\", @progbits\n";
    }
    let main = images::main_that_says_when();
    let main = write("symbols-main.c".into(), &main)?;
    let library_source = write(format!("symbols-{count}.s"), &library)?;
    let library = directory.join(format!("libsymbols-{count}.so"));
    run(clang(false).arg("-shared").arg(library_source).arg("-o").arg(&library))?;
    let link = |source: PathBuf, end: &str, libraries: &[&Path]| {
        let program = directory.join(format!("symbols-{count}{end}"));
        let mut clang = clang(false);
        clang.arg("-O1").arg(&main).arg(source).args(libraries).arg("-o").arg(&program);
        clang.arg(format!("-Wl,-z,now,-rpath,{}", directory.display()));
        (program, clang)
    };
    let (with, first) = link(write(format!("symbols-{count}-foreign.s"), &foreign)?, "", &[&library]);
    let (without, second) = link(write(format!("symbols-{count}-own.s"), &own)?, "-without", &[]);
    run_all([first, second])?;
    Ok([with, without])
}

/// Loading and unloading of shared objects.
fn measure_loads(bench: &mut Bench) -> Result<()> {
    let sizes = bench.quick_or_full(&[1_000, 10_000, 100_000][..], &[1_000, 10_000, 100_000, 1_000_000]);
    let sparse_sizes = [1_000, 10_000];
    let dense = |sites, with_pass| Image { with_pass, ..Image::library(sites, KEYS) };
    let sparse = |sites, with_pass| Image { is_sparse: true, ..dense(sites, with_pass) };
    // For each, a pair of images and the mode in which to load them.
    let mut wanted = Vec::new();
    for &sites in sizes {
        wanted.extend(["inline", "generic"].map(|mode| ([true, false].map(|pass| dense(sites, pass)), mode)));
    }
    wanted.extend(sparse_sizes.map(|sites| ([true, false].map(|pass| sparse(sites, pass)), "inline")));
    bench.step("building images to load");
    images::build(&wanted.iter().flat_map(|(pair, _)| *pair).collect::<Vec<_>>())?;
    let driver = images::driver()?;
    let about = "dlopen and dlclose of a shared object with 64 keys, less the time without the pass, in \
                 turns. The code does nothing but call, so about 300 sites are on a page of 4,096 bytes; \
                 \"one a page\" is the other extreme, where each site has a page copied.";
    let mut table = Table::new(
        Part::Load,
        "load",
        "Loading a shared object (dlopen)",
        "sites",
        &["benches/c/image.c"],
        about,
    )
    .columns([
        ("with", Unit::Nanoseconds),
        ("without", Unit::Nanoseconds),
        ("a site", Unit::Nanoseconds),
        ("a site, one a page", Unit::Nanoseconds),
        ("a site, generic mode", Unit::Nanoseconds),
        ("unloading, a site", Unit::Nanoseconds),
    ]);
    let mut commands = Vec::new();
    for &([with, without], mode) in &wanted {
        let sites = with.sites;
        let rounds = (bench.quick_or_full(200_000, 400_000) / sites).clamp(3, 60).to_string();
        let mut command = Command::new(&driver);
        command.env("STATIC_CALL_MODE", mode).args(["load", &rounds]).args([with.path()?, without.path()?]);
        let apart = if with.is_sparse { ", one a page" } else { "" };
        commands.push((format!("load of {sites} sites{apart} {mode}"), command));
    }
    let found: Vec<_> = wanted.into_iter().zip(bench.in_turns(bench.processes(), commands)?).collect();
    for &sites in sizes {
        let of = |image: Image, wanted: &str| {
            Some(&found.iter().find(|(([with, _], mode), _)| *with == image && *mode == wanted)?.1)
        };
        let inline = of(dense(sites, true), "inline");
        let a_site = |runs: Option<&Runs>, what: &str| {
            let more = |with, without| (with - without) / sites as f64;
            runs?.pairs(&format!("{what}-with"), &format!("{what}-without"), more)
        };
        table.counted(
            sites,
            [
                inline.and_then(|runs| runs.summary("load-with")),
                inline.and_then(|runs| runs.summary("load-without")),
                a_site(inline, "load"),
                a_site(of(sparse(sites, true), "inline"), "load"),
                a_site(of(dense(sites, true), "generic"), "load"),
                a_site(inline, "unload"),
            ],
        );
    }
    bench.add(table);
    Ok(())
}

/// Bytes per site and per key.
fn measure_sizes(bench: &mut Bench) -> Result<()> {
    bench.step("measuring sizes");
    let image = Image::library(10_000, KEYS);
    images::build(&[image])?;
    let bytes = fs::read(image.path()?)?;
    let file = object::File::parse(&*bytes)?;
    let size = |name: &str| file.section_by_name(name).map_or(0, |section| section.size()) as f64;
    // Each section contains one anchor, which is subtracted.
    let site = (size(abi::SITES_SECTION) - size_of::<abi::Site>() as f64) / image.sites as f64;
    // About 60 bytes apart, as in a program. If they are closer together, a site's alignment depends on the
    // previous site's.
    let padding = padding(Image { sites: SITES_A_FILE, operations: 24, ..image })?;
    let record = (size(abi::RECORDS_SECTION) - size_of::<abi::Record>() as f64) / KEYS as f64;
    let trampoline = trampoline_size(&file);
    let about = "From the sections of a shared object of 64 keys and 10,000 sites. Padding is the size of \
                 the code with the directives that align sites, less its size without them, for sites about \
                 60 bytes apart.";
    let mut table = Table::new(Part::Load, "size", "Bytes", "what", &["benches/c/image.c"], about)
        .columns([("bytes", Unit::Bytes)]);
    for (what, bytes) in [
        ("a site: table", site),
        ("a site: padding before it, on average", padding),
        ("a site: table and padding", site + padding),
        ("a key and image: record", record),
        ("a key and image: trampoline", trampoline),
        ("a key", size(abi::KEYS_SECTION) / KEYS as f64),
    ] {
        table.row(what, [Summary::exactly(bytes)]);
    }
    bench.add(table);
    Ok(())
}

/// The parts of a file that matter in a process.
struct Elf {
    relocations: f64,
    /// Bytes of the sections that are loaded.
    loaded: f64,
}

fn elf(path: &Path) -> Result<Elf> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = object::File::parse(&*bytes)?;
    let relocations = file.dynamic_relocations().into_iter().flatten().count() as f64;
    let is_loaded = |section: &object::Section<'_, '_>| section.address() != 0;
    let loaded = file.sections().filter(is_loaded).map(|section| section.size()).sum::<u64>() as f64;
    Ok(Elf { relocations, loaded })
}

/// From one trampoline to the next, prefix and alignment included.
fn trampoline_size(file: &object::File<'_>) -> f64 {
    let is_trampoline = |name: &[u8]| name.starts_with(abi::TRAMPOLINE_PREFIX.as_bytes());
    let mut addresses: Vec<u64> = file
        .symbols()
        .filter(|symbol| symbol.name_bytes().is_ok_and(is_trampoline))
        .map(|symbol| symbol.address())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    median(&addresses.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect::<Vec<_>>())
}

/// The code with the directives that align sites, less the code without them. Functions are not aligned
/// here, since that would hide some of it.
pub(crate) fn padding(image: Image) -> Result<f64> {
    let mut difference = 0.0;
    let mut directives = 0;
    for source in image.sources()? {
        let assembly = source.with_extension("s");
        let mut compiler = clang(true);
        compiler.args(["-O1", "-fPIC", "-falign-functions=1", "-S"]).arg(&source).arg("-o").arg(&assembly);
        run(&mut compiler)?;
        let (without, count) = without_padding(&fs::read_to_string(&assembly)?);
        directives += count;
        let plain = assembly.with_extension("without.s");
        fs::write(&plain, without)?;
        difference += code_size(&assembly)? - code_size(&plain)?;
    }
    // On other machines, a site is a word that is aligned anyway. Missing a directive would understate the
    // padding.
    ensure!(
        directives == image.sites || !cfg!(target_arch = "x86_64"),
        "in the assembly of {} sites, {directives} directives are known as theirs: does the pass write \
         others by now (llvm-pass/src/target/)?",
        image.sites
    );
    Ok(difference / image.sites as f64)
}

/// Assembly without the directives that align sites, and the number of these directives.
fn without_padding(assembly: &str) -> (String, usize) {
    // Filled with prefixes on x86-64, with nops elsewhere; functions and loops are aligned to 16 bytes,
    // trampolines without a limit.
    let is_of_site = |line: &&str| {
        let operands = line.trim().strip_prefix(".p2align").unwrap_or_default();
        let operands: Vec<&str> = operands.split(',').map(str::trim).collect();
        matches!(operands[..], ["3", "" | "0x67", "4" | "5" | "6"])
    };
    // Calls and jumps have a prefix in any case.
    let assembly = assembly.replace("\t.byte\t103\n\t.p2align\t3, 0x67, 4\n", "\t.p2align\t3, 0x67, 4\n");
    // Branches, too.
    let lines = assembly.lines().filter(|line| line.trim() != ".byte 0x67");
    let (ours, others): (Vec<&str>, Vec<&str>) = lines.partition(is_of_site);
    (others.iter().flat_map(|line| [*line, "\n"]).collect(), ours.len())
}

fn code_size(assembly: &Path) -> Result<f64> {
    let object = assembly.with_extension("o");
    run(clang(false).arg("-c").arg(assembly).arg("-o").arg(&object))?;
    let bytes = fs::read(&object)?;
    let file = object::File::parse(&*bytes)?;
    let text = file.section_by_name(".text").with_context(|| format!("{} has no code", object.display()))?;
    Ok(text.size() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_that_of_sites() {
        // A call on x86-64, one of an older pass, and what is aligned for other reasons.
        let (without, count) = without_padding(
            "\t.p2align\t4\nf:\n\t.byte\t103\n\t.p2align\t3, 0x67, 4\n\tcallq\tt\n\t.p2align \
             3,,5\n\tjne\tt\n\t.p2align\t3, 0xcc\n\t.p2align\t4, 0x90\n",
        );
        assert_eq!(
            (without.as_str(), count),
            ("\t.p2align\t4\nf:\n\tcallq\tt\n\tjne\tt\n\t.p2align\t3, 0xcc\n\t.p2align\t4, 0x90\n", 2)
        );
    }
}
