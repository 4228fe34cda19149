//! Every developer command of this repository: `cargo xtask --help` lists them. CI runs nothing else.

mod install;
mod packages;
mod run;
mod test;

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
    /// Check the format, the lints and every test, in all modes, in Rust and in C
    Test {
        /// Only the tests whose name contains this
        filter: Option<String>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Install { prefix } => {
            packages::ensure(packages::BUILD)?;
            install::install(&std::path::absolute(prefix)?)
        }
        Command::Test { filter } => test::test(filter.as_deref()),
    }
}
