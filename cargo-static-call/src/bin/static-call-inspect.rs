//! `static-call-inspect`: see `cargo static-call inspect`.

use std::process::ExitCode;

use cargo_static_call::commands::StaticCallInspect;
use clap::Parser;

fn main() -> ExitCode {
    StaticCallInspect::parse().inspect.run("static-call-inspect")
}
