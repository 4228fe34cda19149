//! Every developer command of this repository: `cargo xtask --help` lists them. CI runs nothing else.

mod bench;
mod cross;
mod demo;
mod fuzz;
mod install;
mod packages;
mod real;
mod run;
mod test;
mod tools;
mod torture;
mod unpack;
mod weaken;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
        /// The directory: gets bin/, lib/ and include/
        #[arg(long)]
        prefix: PathBuf,
    },
    /// Show static calls at work on a large real file, and what a call costs
    Demo,
    /// Check the format, the lints and every test, in all modes, in Rust and in C; then the programs on two other
    /// machines, by an emulator
    Test {
        /// Only the tests whose name contains this, and without other machines
        filter: Option<String>,
        /// Only the tests of programs, for this machine (riscv64gc-unknown-linux-gnu, say), by an emulator; or "all":
        /// everything, and the programs on every machine
        #[arg(long)]
        target: Option<String>,
    },
    /// Call, update, load, fork and raise signals all at once, in all modes, in Rust and in C
    Torture {
        /// How long each of the ten programs runs
        #[arg(long, default_value_t = 60.0)]
        seconds: f64,
    },
    /// Fuzz the encoder and the registration of damaged images, from the corpus of `fuzz/`
    Fuzz {
        /// How many inputs each target gets
        #[arg(long, default_value_t = fuzz::RUNS)]
        runs: u64,
    },
    /// Measure what calls, updates, loading and building cost, and what whole programs gain: target/bench/report.html
    Bench(bench::Options),
    /// Install sccache, cargo-llvm-cov and cargo-nextest from crates.io below target/, and test with them (compiling them
    /// takes a quarter of an hour, once)
    Tools,
    /// Build ripgrep from crates.io with the wrapper and without: the same bytes, its tests, and what the wrapper costs
    /// (a clean build takes a minute or two)
    Real {
        /// How many pairs of clean builds are measured
        #[arg(long, default_value_t = 5)]
        pairs: usize,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Install { prefix } => {
            packages::ensure(packages::BUILD)?;
            install::install(&std::path::absolute(prefix)?)
        }
        Command::Demo => demo::demo(),
        Command::Test { filter, target } => match (filter.as_deref(), target.as_deref()) {
            (None, None) => test::test(None).and_then(|()| cross::test_some()),
            (filter, None) => test::test(filter),
            (filter, Some("all")) => test::test(filter).and_then(|()| cross::test_all(filter)),
            (filter, Some(target)) => cross::test(target, filter),
        },
        Command::Torture { seconds } => torture::torture(seconds),
        Command::Fuzz { runs } => fuzz::fuzz(runs),
        Command::Bench(options) => bench::bench(&options),
        Command::Tools => tools::tools(),
        Command::Real { pairs } => real::real(pairs),
    }
}
