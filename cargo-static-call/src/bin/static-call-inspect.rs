//! `static-call-inspect`: see `cargo static-call inspect`.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "static-call-inspect", version)]
struct Arguments {
    #[command(flatten)]
    inspect: cargo_static_call::inspect::Inspect,
}

fn main() -> ExitCode {
    Arguments::parse().inspect.run("static-call-inspect")
}
