//! Every developer command of this repository: `cargo xtask --help` lists them. CI runs nothing else.

mod bench;
mod book;
mod crates;
mod cross;
mod demo;
mod dist;
#[cfg(test)]
mod documents;
mod features;
mod fuzz;
#[path = "../../cargo-static-call/src/glibc.rs"]
mod glibc;
mod imports;
mod lines;
mod lint;
mod metadata;
mod pypi;
mod real;
mod real_crates;
mod steps;
mod table;
mod test;
mod tools;
mod torture;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use xtask::{compilers, header, install, packages};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, installs, tests and measures static-call")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and put it under a directory, which may be moved later
    Install {
        /// The directory, which gets bin/, lib/, include/ and share/
        #[arg(long)]
        prefix: PathBuf,
        /// The LLVMs that the pass is built for, such as 19,22: major versions whose headers are installed,
        /// or directories with an LLVM or its headers. By default all that are installed
        #[arg(long, value_delimiter = ',')]
        llvm: Vec<String>,
    },
    /// Show static calls at work on a large real file, and what a call costs
    Demo,
    /// Run the unit tests and the core suites on this machine, in Rust and in C, in all modes
    Test {
        /// Only the tests whose name contains this, from all of this machine's suites
        filter: Option<String>,
        /// Run everything, as CI does: the lints, all suites, sanitizers, models, fuzzing, and the programs
        /// on other machines
        #[arg(long, conflicts_with_all = ["filter", "target"])]
        all: bool,
        /// Only the suite `compilers`, with the clangs and rustcs of newer Debian releases, those of the C
        /// header, also with older clangs, and those of the CMake package with an old CMake; all of them are
        /// unpacked below target/
        #[arg(long, conflicts_with_all = ["filter", "all", "target"])]
        compilers: bool,
        /// Only the tests of programs, for this machine (such as riscv64gc-unknown-linux-gnu), in an emulator
        #[arg(long)]
        target: Option<String>,
    },
    /// Run a part of `test --all`, which runs several at once
    #[command(hide = true)]
    Part { name: String },
    /// Check the sources: format, clippy, rustdoc, imports, long lines, spelling, dependencies, the oldest
    /// allowed dependencies, and each feature alone
    Lint,
    /// Regenerate the assembler of `static_call.h` after a change of `runtime/abi/src/assembler`
    Header,
    /// Count the imports between each crate's files. Circles and upward imports are errors
    ///
    /// A path in a file is an arrow to the file that defines the item. Declaring a module or re-exporting an
    /// item is not an arrow, and code under #[cfg(test)] may import anything. A circle is a set of files that
    /// all import each other, directly or through others. An arrow goes upward if it leads from a module to
    /// one that contains it, lib.rs included.
    Imports,
    /// Call, update, load, fork and raise signals all at once, in all modes, in Rust and C
    Torture {
        /// How many seconds each of the ten programs runs
        #[arg(long, default_value_t = 60.0)]
        seconds: f64,
    },
    /// Fuzz the encoder and the registration of damaged images, from the corpus of `fuzz/`
    Fuzz {
        /// How many inputs each target gets
        #[arg(long, default_value_t = fuzz::RUNS)]
        runs: u64,
    },
    /// Measure the cost of calls, updates, loading and building, and the gain of whole programs:
    /// target/bench/report.html
    #[command(disable_help_flag = true)]
    Bench {
        /// The harness's options: see `cargo xtask bench --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<OsString>,
    },
    /// Make a book with search of the documents: target/book/html/index.html
    Book {
        /// Also open it, and pages of the inspector, in a browser without a window: links, width on a phone,
        /// contrast in light and in dark, search
        #[arg(long)]
        check: bool,
    },
    /// Pack the crates for crates.io, and use them outside of the repository: in a new package, and to
    /// install the tools
    Crates,
    /// Build the archive and the Debian packages of a release, which run with glibc 2.31 and newer:
    /// target/dist
    Dist {
        /// The LLVMs that the pass is built for, as for `install`. By default all that Debian's releases
        /// have, whose headers are unpacked below target/
        #[arg(long, value_delimiter = ',')]
        llvm: Vec<String>,
        /// The machine: x86_64-unknown-linux-gnu (the default) or aarch64-unknown-linux-gnu
        #[arg(long)]
        target: Option<String>,
        /// Also build everything from a copy of the sources in another directory, and compare the bytes
        #[arg(long)]
        twice: bool,
    },
    /// Install sccache, cargo-llvm-cov and cargo-nextest from crates.io below target/, and test with them
    /// (compiling them once takes a quarter of an hour)
    Tools,
    /// Build ripgrep from crates.io with and without the wrapper: compare the bytes, run its tests, and
    /// measure what the wrapper costs (a clean build takes a minute or two). Convert other crates to static
    /// calls (`tests/real`), run their tests in all modes, and compare their speed with the originals'
    Real {
        /// Only the converted crates
        #[arg(long)]
        converted: bool,
        /// Also put the converted crates' speed into BENCHMARKS.md and benches/
        #[arg(long)]
        publish: bool,
        /// The number of pairs of clean builds to measure
        #[arg(long, default_value_t = 5)]
        pairs: usize,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Install { prefix, llvm } => {
            packages::ensure(&packages::build(&llvm)?)?;
            install::install(&std::path::absolute(prefix)?, &llvm)
        }
        Command::Demo => demo::demo(),
        Command::Test { all: true, .. } => test::test_all(),
        Command::Test { compilers: true, .. } => compilers::test(),
        Command::Test { filter, target: Some(target), .. } => cross::test(&target, filter.as_deref()),
        Command::Test { filter: Some(filter), .. } => test::test_some(&filter),
        Command::Test { .. } => test::test_quick(),
        Command::Part { name } => steps::part(|| test::test_part(&name)),
        Command::Lint => lint::lint(),
        Command::Header => header::write(),
        Command::Imports => imports::check(),
        Command::Torture { seconds } => torture::torture(seconds),
        Command::Fuzz { runs } => fuzz::fuzz(runs),
        Command::Bench { options } => bench::run_harness(&options),
        Command::Book { check: false } => book::book().map(drop),
        Command::Book { check: true } => {
            packages::ensure(packages::TEST)?;
            install::install_here()?;
            book::test()
        }
        Command::Crates => {
            packages::ensure(packages::TEST)?;
            install::install_here()?;
            crates::test()
        }
        Command::Dist { llvm, target, twice } => {
            packages::ensure(&packages::build(&llvm)?)?;
            dist::dist(&llvm, target.as_deref(), twice)
        }
        Command::Tools => tools::tools(),
        Command::Real { converted, publish, pairs } => {
            if !converted {
                real::real(pairs)?;
            }
            real_crates::real(publish)
        }
    }
}
