//! Programs that PyPI has compiled: those of `xtask/tools.txt`, which says by which bytes each is known.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use xtask::run::{root, run, target};

/// The Debian package that gets them.
pub(crate) const PACKAGES: &[&str] = &["python3-pip"];

/// Installs all of them below target/checkers, and returns the path of one. An error if this machine is
/// offline or has another architecture.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let directory = target().join("checkers");
    let list = root().join("xtask/tools.txt");
    let wanted = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let installed = directory.join("tools.txt");
    if !fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--upgrade"]);
        pip.args(["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target"]).arg(&directory);
        run(pip.arg("--requirement").arg(&list))?;
        fs::write(&installed, &wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    }
    Ok(directory.join("bin").join(name))
}
