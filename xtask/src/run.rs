//! Running other programs.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};

/// The repository's root.
pub fn root() -> PathBuf {
    root_above(std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from))
}

/// The repository of the package that cargo runs, which may be a copy of the one in which this was compiled.
fn root_above(package: Option<PathBuf>) -> PathBuf {
    let of_own = |package: PathBuf| {
        let own = OWN_PACKAGES.map(Path::new).into_iter().find(|own| package.ends_with(own))?;
        Some(package.ancestors().nth(own.iter().count())?.to_owned())
    };
    let compiled_in = || {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        package.parent().expect("xtask lies in the repository").to_owned()
    };
    package.and_then(of_own).unwrap_or_else(compiled_in)
}

/// The directory of the packages with this code.
const OWN_PACKAGES: [&str; 2] = ["xtask", "benches/harness"];

/// The directory of cargo's output.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root().join(target),
        None => root().join("target"),
    }
}

/// Restarts this program without the environment variables that change what is built or how a program with
/// static calls runs, so that no child inherits them. Returns at once if there are none.
pub fn without_foreign_settings() -> Result<()> {
    let foreign = std::env::vars_os().map(|(name, _)| name);
    let foreign: Vec<_> = foreign.filter(|name| name.to_str().is_some_and(changes_what_is_built)).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1));
    for name in foreign {
        eprintln!("without the variable {}, which would change what is measured", name.display());
        again.env_remove(name);
    }
    Err(again.exec()).context("cannot start this program anew")
}

/// Whether cargo, the compilers or our runtime obey an environment variable. Variables for linkers, compilers
/// and runners may be needed and stay.
fn changes_what_is_built(name: &str) -> bool {
    let starts = ["STATIC_CALL_", "CARGO_PROFILE_", "CFLAGS", "CXXFLAGS"];
    let is_of_target = name.starts_with("CARGO_TARGET_") || name.starts_with("CARGO_BUILD_");
    starts.iter().any(|start| name.starts_with(start))
        || (is_of_target && name.ends_with("RUSTFLAGS"))
        || [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_BUILD_TARGET",
            "CARGO_BUILD_INCREMENTAL",
            "CARGO_INCREMENTAL",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "CCC_OVERRIDE_OPTIONS",
        ]
        .contains(&name)
}

/// The cargo that runs this program, in the repository's root.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // It is set for this package alone.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME"] {
        cargo.env_remove(variable);
    }
    cargo
}

/// Runs a command to its end. An error if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", show(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", show(command));
    }
    Ok(())
}

/// A command's output. An error if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", show(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", show(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Gives a function a directory in which nothing of the repository is above it: no workspace, no
/// configuration of cargo. Removes it afterwards.
pub fn in_temporary_directory(use_it: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let directory = output(Command::new("mktemp").args(["--directory", "--tmpdir", "static-call.XXXXXX"]))?;
    let directory = Path::new(directory.trim_end());
    let result = use_it(directory);
    std::fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    result
}

/// The repository's files that match git's patterns, except for files that git does not track yet.
pub fn tracked_files(patterns: &[&str]) -> Result<Vec<String>> {
    let files = output(Command::new("git").arg("ls-files").args(patterns).current_dir(root()))?;
    Ok(files.lines().filter(|file| root().join(file).exists()).map(str::to_owned).collect())
}

/// The processor time of all programs that this one has run to their end.
pub fn processor_time_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let times = [usage.user_time(), usage.system_time()];
    let microseconds: i64 = times.iter().map(|time| time.tv_sec() * 1_000_000 + time.tv_usec()).sum();
    Ok(Duration::from_micros(microseconds.try_into()?))
}

/// rustc's default target. Unless a target is named, even this one, flags reach build scripts, which a
/// sanitizer must not.
pub fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(rustc).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.into())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_others_are_known() {
        for name in [
            "STATIC_CALL_MODE",
            "RUSTFLAGS",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CFLAGS_x86_64-unknown-linux-gnu",
        ] {
            assert!(changes_what_is_built(name), "{name}");
        }
        for name in
            ["PATH", "CARGO", "CARGO_TARGET_DIR", "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", "RUSTC"]
        {
            assert!(!changes_what_is_built(name), "{name}");
        }
    }

    #[test]
    fn a_copied_repository_is_its_own_root() {
        for package in OWN_PACKAGES {
            assert_eq!(root_above(Some(Path::new("/copy").join(package))), Path::new("/copy"));
            assert!(root().join(package).join("Cargo.toml").exists(), "{package}");
        }
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent");
        assert_eq!(root_above(None), original);
        assert_eq!(root_above(Some("/another/package".into())), original);
    }
}
