//! `cargo static-call`: cargo with the static-call pass.
//!
//! ```text
//! cargo static-call build --release        builds with the pass
//! cargo static-call setup --from ARCHIVE   installs the pass
//! cargo static-call doctor                 checks the installation
//! cargo static-call inspect target/static-call/release/program
//! ```

use std::ffi::OsString;
use std::process::ExitCode;

use cargo_static_call::commands::{CargoStaticCall, Command};
use clap::Parser;

fn main() -> ExitCode {
    // Cargo runs this program as `cargo-static-call static-call …`.
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "static-call") {
        words.remove(1);
    }
    if let Some(option) = words.get(1).and_then(|word| word.to_str()).filter(|word| is_for_cargo(word)) {
        eprintln!(
            "cargo-static-call: error: {option} comes before the command; put cargo's options after it, as \
             in `cargo static-call build {option} …`"
        );
        return ExitCode::from(2);
    }
    match CargoStaticCall::parse_from(words).command {
        Command::Inspect(inspect) => inspect.run("cargo-static-call"),
        Command::Doctor(doctor) => doctor.run(),
        Command::Share(share) => share.run(),
        Command::Setup(setup) => setup.run(),
        Command::Cargo(arguments) => {
            let Err(error) = cargo_static_call::cargo::run(&arguments);
            eprintln!("cargo-static-call: error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether this is an option of cargo's, not one of this program's own.
fn is_for_cargo(word: &str) -> bool {
    word.starts_with('-') && !["-h", "--help", "-V", "--version"].contains(&word)
}
