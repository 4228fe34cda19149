//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, for a bounded number of inputs.
//!
//! They are built as cargo-fuzz would build them, because compiling cargo-fuzz takes longer than the fuzzing.
//! Use it for longer runs and to minimize a failing input: `cargo fuzz run tables` in the repository's root
//! (it needs a nightly compiler, or `RUSTC_BOOTSTRAP=1`).

use std::process::Command;

use anyhow::{Context, Result};
use xtask::run::{cargo, host, root, run, target};

/// The number of inputs that CI has time for.
pub(crate) const RUNS: u64 = 50_000;

const TARGETS: [&str; 2] = ["encoder", "tables"];

/// cargo-fuzz's flags: libFuzzer's coverage, and AddressSanitizer.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Zsanitizer=address --cfg fuzzing";

pub(crate) fn fuzz(runs: u64) -> Result<()> {
    let (built, host) = (target().join("fuzz"), host()?);
    run(cargo()
        .args(["build", "--quiet", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host])
        .arg("--target-dir")
        .arg(&built)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", RUSTFLAGS))?;
    for name in TARGETS {
        // New inputs go here; the corpus after it is only read.
        let found = built.join("corpus").join(name);
        let artifacts = root().join("fuzz/artifacts").join(name);
        std::fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        std::fs::create_dir_all(&artifacts)
            .with_context(|| format!("cannot make {}", artifacts.display()))?;
        run(Command::new(built.join(&host).join("release").join(name))
            .arg(format!("-runs={runs}"))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(["-max_len=300", "-verbosity=0", "-print_final_stats=1"])
            .arg(found)
            .arg(root().join("fuzz/corpus").join(name)))?;
    }
    Ok(())
}
