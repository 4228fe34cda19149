//! The command lines of both programs. Their manual pages and their completions are made of them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::doctor::Doctor;
use crate::inspect::Inspect;
use crate::setup::Setup;

/// Run cargo with the static-call pass, and inspect the static calls of programs
///
/// All other commands are cargo's: `cargo static-call build`, `run`, `test`, `bench`, `nextest run` and so on
/// run with the pass, and build in the directory `static-call` below cargo's target directory.
#[derive(Parser, Debug)]
#[command(name = "cargo static-call", bin_name = "cargo static-call", version)]
pub struct CargoStaticCall {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of `cargo static-call`.
#[derive(Subcommand, Debug)]
#[allow(missing_docs, reason = "they have their own, which would hide those")]
pub enum Command {
    Inspect(Inspect),
    Doctor(Doctor),
    Setup(Setup),
    Share(Share),
    #[command(external_subcommand)]
    Cargo(Vec<OsString>),
}

/// Write the manual pages and the completions of bash, zsh and fish below a directory
///
/// They go where programs look for them: into man/man1, bash-completion/completions, zsh/site-functions,
/// fish/vendor_completions.d and fish/vendor_conf.d. For one user that directory is ~/.local/share, for all
/// /usr/local/share. zsh and fish then complete `cargo static-call` too; bash only `cargo-static-call`.
#[derive(Args, Debug)]
pub struct Share {
    /// The directory, such as ~/.local/share
    pub(crate) directory: PathBuf,
}

// Its help is that of the inspection, which a text here would hide.
#[allow(missing_docs)]
#[derive(Parser, Debug)]
#[command(name = "static-call-inspect", version)]
pub struct StaticCallInspect {
    /// The inspection.
    #[command(flatten)]
    pub inspect: Inspect,
}
