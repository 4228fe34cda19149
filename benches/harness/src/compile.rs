//! How much the pass adds to the compile times of clang and rustc.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::directories::{output_directory, raw_directory};
use crate::model::{Part, Table, Unit};
use crate::statistics::Summary;
use crate::toolchain::{clang, gcc, rust_program, wrapper};
use xtask::install::prefix;
use xtask::run::host;
use xtask::run::{processor_time_of_children, run};

/// The names of the pass's stages in time reports.
const STAGES: [&str; 2] = ["LowerStaticCalls", "Record static call sites"];
/// Functions with a loop of branches, divisions and calls: about half a second of clang's time. Resolving one
/// percent takes many pairs, and a larger file would not make one pair more precise.
const FUNCTIONS: usize = 125;
const CALLS_A_FUNCTION: usize = 8;

/// A compiler, at -O2 and with one thread.
pub(crate) struct Compiler {
    pub(crate) name: &'static str,
    /// What its files' names end in.
    pub(crate) end: &'static str,
    pub(crate) command: Box<Compile>,
}

/// The command that compiles a file, with the pass or without.
type Compile = dyn Fn(&Path, bool) -> Result<Command>;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let directory = output_directory()?.join("compile");
    fs::create_dir_all(&directory)?;
    bench.attempt("compile time of clang", |bench| measure_clang(bench, &directory))?;
    bench.attempt("compile time of rustc", |bench| measure_rustc(bench, &directory))?;
    bench.attempt("time of the assembler", |bench| measure_assembler(bench, &directory))
}

/// About a megabyte of gcc's assembler.
const ASSEMBLED_FUNCTIONS: usize = 380;

fn measure_assembler(bench: &mut Bench, directory: &Path) -> Result<()> {
    let about = "Processor time of gcc -c for a megabyte of its own assembler (-O2) without static calls, \
                 with static-call-as before the assembler and without, in turns. The object is the same.";
    let [source, text] = ["c", "s"].map(|end| directory.join("assemble").with_extension(end));
    write(&source, &c_source_of(ASSEMBLED_FUNCTIONS, 0))?;
    run(gcc(false).args(["-O2", "-S"]).arg(&source).arg("-o").arg(&text))?;
    let size = fs::metadata(&text).with_context(|| format!("cannot see {}", text.display()))?.len();
    ensure!((700_000..1_400_000).contains(&size), "{} has {size} bytes", text.display());
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut objects = [Vec::new(), Vec::new()];
    for round in 0..bench.quick_or_full(60, 300) {
        if round % 20 == 0 {
            bench.step(format!("assembling, {round}"));
        }
        for is_first in [true, false] {
            let with_recorder = is_first == (round % 2 == 0);
            let object = object(directory, with_recorder, "s");
            let mut assemble = gcc(with_recorder);
            assemble.arg("-c").arg(&text).arg("-o").arg(&object);
            let time = children_time(|| run(&mut assemble))?;
            if with_recorder { &mut with } else { &mut without }.push(time);
            objects[usize::from(with_recorder)] =
                fs::read(&object).with_context(|| format!("cannot read {}", object.display()))?;
        }
        ensure!(objects[0] == objects[1], "the objects differ");
    }
    let pairs = || with.iter().zip(&without);
    let (ratios, more): (Vec<f64>, Vec<f64>) =
        pairs().map(|(with, without)| (with / without, with - without)).unzip();
    let raw = raw_directory()?.join("build-as.txt");
    write(&raw, &format!("nanoseconds without: {without:?}\nwith: {with:?}\n"))?;
    let sources = ["benches/harness/src/compile.rs"];
    let title = "Assembling 1 MB without static calls";
    let mut table = Table::new(Part::Build, "build-as", title, "command", &sources, about).columns([
        ("without", Unit::Nanoseconds),
        ("with", Unit::Nanoseconds),
        ("ratio", Unit::Ratio),
        ("more", Unit::Nanoseconds),
    ]);
    table.row("gcc -c", [without, with, ratios, more].map(Summary::of));
    bench.add(table);
    Ok(())
}

fn measure_clang(bench: &mut Bench, directory: &Path) -> Result<()> {
    let about = "Processor time of clang -O2 -c with and without -fpass-plugin, in turns. The file has 125 \
                 functions, each with a loop of eight calls, of which none or all are static calls. (The \
                 file of 100,000 sites consists of functions with 200 calls, and is compiled in one pair.) \
                 Without the pass, static calls load a pointer. The stages' shares are from -ftime-report. \
                 The range of the ratio shows the precision of the pairs. A full run also counts \
                 instructions with valgrind's cachegrind, which other programs do not disturb.";
    let compiler = clang_of(directory);
    measure_compiler(bench, "build-clang", "Compile time, clang", about, &|sites, with_pass| {
        let source = directory.join(format!("compile-{sites}.c"));
        write(&source, &c_source(sites))?;
        let clang = (compiler.command)(&source, with_pass)?;
        let mut report = again(&clang);
        report.arg("-ftime-report");
        Ok((clang, report))
    })
}

fn measure_rustc(bench: &mut Bench, directory: &Path) -> Result<()> {
    let about = "Processor time of rustc -O with and without static-call-rustc, in turns, for the same \
                 program in Rust. It includes the wrapper's time, but not its instructions. The stages' \
                 shares are of LLVM's time, from -Ztime-llvm-passes.";
    let compiler = rustc_of(directory)?;
    measure_compiler(bench, "build-rustc", "Compile time, rustc", about, &|sites, with_pass| {
        let source = directory.join(format!("compile-{sites}.rs"));
        write(&source, &rust_source(sites))?;
        let rustc = (compiler.command)(&source, with_pass)?;
        let mut report = again(&rustc);
        report.arg("-Ztime-llvm-passes").env("RUSTC_BOOTSTRAP", "1");
        Ok((rustc, report))
    })
}

pub(crate) fn clang_of(directory: &Path) -> Compiler {
    let directory = directory.to_owned();
    let command = move |source: &Path, with_pass: bool| {
        let mut clang = clang(with_pass);
        clang.args(["-O2", "-c"]).arg(source).arg("-o").arg(object(&directory, with_pass, "c"));
        Ok(clang)
    };
    Compiler { name: "clang", end: "c", command: Box::new(command) }
}

pub(crate) fn rustc_of(directory: &Path) -> Result<Compiler> {
    let library = library()?;
    let libraries = library.parent().context("a library in a directory")?.to_owned();
    let directory = directory.to_owned();
    let command = move |source: &Path, with_pass: bool| {
        let mut rustc = if with_pass { Command::new(wrapper()) } else { Command::new("rustc") };
        if with_pass {
            rustc.arg("rustc").env("STATIC_CALL_REQUIRE", "1");
        }
        rustc.args([
            "--edition=2024",
            "--crate-type=lib",
            "--emit=obj",
            "-Copt-level=2",
            "-Ccodegen-units=1",
            "-Awarnings",
        ]);
        rustc.arg(source).arg("-o").arg(object(&directory, with_pass, "rs"));
        rustc.arg(format!("--extern=static_call={}", library.display()));
        rustc.arg("-L").arg(&libraries);
        Ok(rustc)
    };
    Ok(Compiler { name: "rustc", end: "rs", command: Box::new(command) })
}

/// A compiler's output. Both variants have their own files, because they may run at the same time.
fn object(directory: &Path, with_pass: bool, language: &str) -> PathBuf {
    directory.join(format!("{}.{language}.o", if with_pass { "with" } else { "without" }))
}

/// A copy of the command, to which arguments can be added.
fn again(command: &Command) -> Command {
    let mut same = Command::new(command.get_program());
    same.args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            same.env(name, value);
        }
    }
    same
}

/// `compiler` makes the command for a number of sites, with or without the pass, and one that reports times.
fn measure_compiler(
    bench: &mut Bench,
    id: &str,
    title: &str,
    about: &str,
    compiler: &dyn Fn(usize, bool) -> Result<(Command, Command)>,
) -> Result<()> {
    let mut table = Table::new(Part::Build, id, title, "sites", &["benches/harness/src/compile.rs"], about)
        .columns([
            ("without", Unit::Nanoseconds),
            ("with", Unit::Nanoseconds),
            ("ratio", Unit::Ratio),
            ("ratio of instructions", Unit::Ratio),
            ("IR stage", Unit::Percent),
            ("machine stage", Unit::Percent),
        ]);
    for &sites in bench.quick_or_full(&[0, 1_000][..], &[0, 1_000, 100_000]) {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        // The largest takes minutes.
        let rounds = if sites > 1_000 { 1 } else { bench.quick_or_full(3, 25) };
        for round in 0..rounds {
            bench.step(format!("{title}, {sites} sites, {round}"));
            for is_first in [true, false] {
                let with_pass = is_first == (round % 2 == 0);
                let time = children_time(|| run(&mut compiler(sites, with_pass)?.0))?;
                if with_pass { &mut with } else { &mut without }.push(time);
            }
        }
        let counted = if sites <= 1_000 && !bench.is_quick {
            bench.step(format!("{title}, {sites} sites, counting instructions"));
            ratio_of_instructions(compiler(sites, true)?.0, compiler(sites, false)?.0)
                .inspect_err(|error| {
                    bench.report.miss(format!("{title}, in instructions"), format!("{error:#}"))
                })
                .ok()
        } else {
            None
        };
        let (_, mut report) = compiler(sites, true)?;
        let output =
            report.output().with_context(|| format!("cannot start {}", report.get_program().display()))?;
        let report = [output.stdout, output.stderr].concat();
        let report = String::from_utf8_lossy(&report);
        let raw = raw_directory()?.join(format!("{id}-{sites}.txt"));
        write(&raw, &format!("nanoseconds without: {without:?}\nwith: {with:?}\n{report}"))?;
        let shares = shares(&report);
        let ratios: Vec<f64> = with.iter().zip(&without).map(|(with, without)| with / without).collect();
        table.counted(
            sites,
            [
                Summary::of(without),
                Summary::of(with),
                Summary::of(ratios),
                counted.and_then(Summary::exactly),
                shares[0].clone(),
                shares[1].clone(),
            ],
        );
    }
    bench.add(table);
    Ok(())
}

/// The ratio of two compilers' instruction counts. Both run at once, which does not affect the counts.
fn ratio_of_instructions(with: Command, without: Command) -> Result<f64> {
    let [with, without] = std::thread::scope(|scope| {
        let counts = [with, without].map(|command| scope.spawn(move || count_instructions(&command)));
        counts.map(|count| count.join().expect("counting does not panic"))
    });
    Ok(with? / without?)
}

/// The instructions of a program and its children, without those before an exec.
fn count_instructions(command: &Command) -> Result<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args([
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=/dev/null",
        "--trace-children=yes",
    ]);
    valgrind.arg(command.get_program()).args(command.get_args());
    valgrind.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = valgrind.output().context("cannot start valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind fails with {}: {text}", output.status);
    total_of_instructions(&text).context("valgrind has counted nothing")
}

/// The sum of the lines `==PID== I refs: 1,234,567`; each process prints one.
fn total_of_instructions(printed: &str) -> Option<f64> {
    let counts = printed.lines().filter_map(|line| {
        let (name, count) = line.split_once("refs:")?;
        name.trim().ends_with(" I").then(|| count.trim().replace(',', "").parse::<f64>().ok()).flatten()
    });
    counts.reduce(|sum, count| sum + count)
}

/// Each stage's share of the passes' processor time in a time report of LLVM, whose lines contain several
/// times with percentages, and a name. A stage that did nothing is missing.
fn shares(report: &str) -> [Option<Summary>; 2] {
    let seconds = |line: &str| -> Option<f64> {
        // User time, system time, their sum and wall time; LLVM omits a column of zeros.
        let times: Vec<f64> =
            line.split(')').filter_map(|field| field.split('(').next()?.trim().parse().ok()).collect();
        times.get(times.len().checked_sub(2)?).copied()
    };
    let lines = || report.lines().filter(|line| line.contains('%'));
    let in_passes = || report.split("Pass execution timing report").skip(1);
    let total: f64 = in_passes()
        .filter_map(|section| section.lines().find(|line| line.trim_end().ends_with(" Total")))
        .filter_map(seconds)
        .sum();
    STAGES.map(|stage| {
        let of_stage: f64 = lines().filter(|line| line.contains(stage)).filter_map(seconds).sum();
        if total > 0.0 { Summary::exactly(100.0 * of_stage / total) } else { None }
    })
}

/// Nanoseconds of processor time that this process's children used meanwhile.
pub(crate) fn children_time(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = processor_time_of_children()?;
    work()?;
    Ok(processor_time_of_children()?.saturating_sub(before).as_secs_f64() * 1e9)
}

/// The crate, as the programs of `benches/` use it.
fn library() -> Result<PathBuf> {
    rust_program("static-call-bench-callers", "rust", |_| {})?;
    let directory = output_directory()?.join("rust").join(host()?).join("release/deps");
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libstatic_call-") && name.ends_with(".rlib")
    };
    let files =
        fs::read_dir(&directory).with_context(|| format!("cannot look into {}", directory.display()))?;
    let libraries = files.filter_map(|file| Some(file.ok()?.path())).filter(is_library);
    let newest = libraries.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest.with_context(|| format!("no libstatic_call-*.rlib in {}", directory.display()))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn c_source(sites: usize) -> String {
    c_source_of(FUNCTIONS, sites)
}

fn c_source_of(functions: usize, sites: usize) -> String {
    let mut c = String::from("long first(long x);\n");
    if sites > 0 {
        let _ = writeln!(
            c,
            "#include \"{}\"\nDECLARE_STATIC_CALL(k, first);",
            prefix().join("include/static_call.h").display()
        );
    }
    let call = if sites > 0 { "static_call(k, x)" } else { "first(x)" };
    if sites > FUNCTIONS * CALLS_A_FUNCTION {
        for function in 0..sites / 200 {
            let body = format!("x = {call}; ").repeat(200);
            let _ = writeln!(c, "long f{function}(long x) {{ {body}return x; }}");
        }
        return c;
    }
    for function in 0..functions {
        let _ = writeln!(
            c,
            "long f{function}(long x, const long *p, long n)\n{{\n\
             \tfor (long i = 0; i < n; i++) {{\n\
             \t\tx = (x ^ p[i]) * {} + i;",
            31 + function,
        );
        for pair in 0..CALLS_A_FUNCTION / 2 {
            let _ = writeln!(
                c,
                "\t\tif (x & {}) x = {call}; else x -= p[i & {}];\n\
                 \t\tif (x > p[{}]) x = x / {} + {call};",
                8 << pair,
                7 + pair,
                function % 50 + pair,
                3 + function,
            );
        }
        c += "\t}\n\treturn x;\n}\n";
    }
    c
}

fn rust_source(sites: usize) -> String {
    let mut rust = String::from(
        "unsafe extern \"C\" { safe fn first(x: i64) -> i64; }\n#[inline(never)] pub fn plain(x: i64) -> i64 \
         { first(x) + 1 }\n",
    );
    if sites > 0 {
        rust += "static_call::define! { pub static KEY: fn(x: i64) -> i64 = plain; }\n";
    }
    let call = if sites > 0 { "KEY.call(x)" } else { "plain(x)" };
    if sites > FUNCTIONS * CALLS_A_FUNCTION {
        for function in 0..sites / 200 {
            let body = format!("let x = {call}; ").repeat(200);
            // rustc merges equal functions.
            let _ = writeln!(rust, "pub fn f{function}(x: i64) -> i64 {{ let x = x ^ {function}; {body}x }}");
        }
        return rust;
    }
    for function in 0..FUNCTIONS {
        let _ = writeln!(
            rust,
            "pub fn f{function}(mut x: i64, p: &[i64; 64], n: usize) -> i64 {{\n\
             \tfor i in 0..n {{\n\
             \t\tx = (x ^ p[i % 64]).wrapping_mul({}).wrapping_add(i as i64);",
            31 + function,
        );
        for pair in 0..CALLS_A_FUNCTION / 2 {
            let _ = writeln!(
                rust,
                "\t\tif x & {} != 0 {{ x = {call}; }} else {{ x = x.wrapping_sub(p[i & {}]); }}\n\
                 \t\tif x > p[{}] {{ x = (x / {}).wrapping_add({call}); }}",
                8 << pair,
                7 + pair,
                function % 50 + pair,
                3 + function,
            );
        }
        rust += "\t}\n\tx\n}\n";
    }
    rust
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_as_many_calls_as_they_are_named_after() {
        for sites in [1_000, 100_000] {
            assert_eq!(c_source(sites).matches("static_call(k, x)").count(), sites);
            assert_eq!(rust_source(sites).matches("KEY.call(x)").count(), sites);
        }
        assert_eq!(
            c_source(0).matches("= first(x)").count() + c_source(0).matches("+ first(x)").count(),
            1_000
        );
        assert!(!c_source(0).contains("static_call") && !rust_source(0).contains("static_call"));
    }

    #[test]
    fn instructions_of_all_processes() {
        let printed = "==1== Cachegrind\n==1== \n==1== I refs:      1,204\n==2== I   refs:  2,000,000\n==2== \
                       D refs: 7\n";
        assert_eq!(total_of_instructions(printed), Some(2_001_204.0));
        assert_eq!(total_of_instructions("==1== error\n"), None);
    }

    #[test]
    fn shares_of_a_report() {
        let report = "\
===---===\n                      Pass execution timing report\n===---===\n\
   ---User Time---   --System Time--   --User+System--   ---Wall Time---  --- Name ---\n\
   0.0300 (  3.0%)   0.0100 (  4.0%)   0.0400 (  4.0%)   0.0525 (  0.2%)  Record static call sites\n\
   0.9600 ( 96.0%)   0.0000 (  0.0%)   0.9600 ( 96.0%)   0.9602 (  0.2%)  {anonymous}::LowerStaticCalls2\n\
   0.9900 (100.0%)   0.0100 (100.0%)   1.0000 (100.0%)   1.9990 (100.0%)  Total\n";
        let [ir, machine] = shares(report).map(|share| share.expect("a share").median);
        assert!((machine - 4.0).abs() < 1e-9 && (ir - 96.0).abs() < 1e-9, "{machine} {ir}");
        assert!(shares("nothing").iter().all(Option::is_none));
    }
}
