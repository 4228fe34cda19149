//! `cargo xtask bench`: runs the harness of `benches/harness/`.

use std::ffi::OsString;

use anyhow::Result;
use xtask::run::{cargo, run};

pub(crate) fn run_harness(options: &[OsString]) -> Result<()> {
    run(cargo().args(["run", "--quiet", "-p", "static-call-bench-harness", "--"]).args(options))
}
