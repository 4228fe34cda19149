//! What an archive promises: its programs run on old releases, and name no directory of this machine.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xtask::run::output;
use xtask::sysroot::{GLIBC, Machine};

use crate::glibc::{self, Needs};

/// The libraries that every system has: glibc's, and gcc's unwinder.
const LIBRARIES: [&str; 8] = [
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Reads what each ELF file needs. An error if that is another machine, a newer glibc or another library.
pub(crate) fn runs_on_old_releases(tree: &Path, machine: Machine) -> Result<()> {
    let mut count = 0;
    let expected = if machine.short == "x86_64" { 62 } else { 183 };
    for file in files_below(tree)?.into_iter().filter(|file| !file.is_symlink()) {
        let shown = file.display();
        let data = fs::read(&file).with_context(|| format!("cannot read {shown}"))?;
        let Some(needs) = glibc::needs(&data).with_context(|| format!("{shown}"))? else { continue };
        count += 1;
        check(&needs, expected).with_context(|| format!("{shown}"))?;
        let dynamic = output(Command::new("readelf").args(["--dynamic", "--wide"]).arg(&file))?;
        for needed in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
            let is_known = LIBRARIES.iter().any(|library| needed.ends_with(&format!("[{library}]")));
            ensure!(is_known, "{shown} needs more than the C library: {needed}");
        }
    }
    // Three programs, the assembler, the pass and the C library.
    ensure!(count == 6, "{} has {count} programs and libraries", tree.display());
    Ok(())
}

fn check(needs: &Needs, machine: u16) -> Result<()> {
    ensure!(needs.machine == machine, "it is built for {}", glibc::processor(needs.machine));
    if let Some(needed) = needs.glibc {
        ensure!(
            needed <= GLIBC,
            "it needs glibc {}.{}, and an archive must run with {}.{}: `objdump -T` names the symbols",
            needed.0,
            needed.1,
            GLIBC.0,
            GLIBC.1
        );
    }
    Ok(())
}

/// Whether no file has the path of one of these directories: another one would give other bytes.
pub(crate) fn names_no_directory(tree: &Path, directories: &[PathBuf]) -> Result<()> {
    for file in files_below(tree)?.into_iter().filter(|file| !file.is_symlink()) {
        let data = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        for directory in directories {
            let name = directory.as_os_str().as_encoded_bytes();
            let is_there = data.windows(name.len()).any(|window| window == name);
            ensure!(!is_there, "{} has the path {} in it", file.display(), directory.display());
        }
    }
    Ok(())
}

/// The emulator of a machine, with the libraries of the oldest system.
pub(crate) fn emulator(machine: Machine) -> Result<Vec<OsString>> {
    let name = format!("qemu-{}", machine.short);
    Ok(vec![name.into(), "-L".into(), machine.sysroot()?.into_os_string()])
}

/// Runs another machine's programs in its emulator: they say their version, and read the tree's library.
pub(crate) fn runs_in_emulator(tree: &Path, machine: Machine) -> Result<()> {
    let words = emulator(machine)?;
    let run = |program: &str| {
        let mut emulator = Command::new(&words[0]);
        emulator.args(&words[1..]).arg(tree.join("bin").join(program));
        emulator
    };
    for program in ["cargo-static-call", "static-call-inspect"] {
        let version = output(run(program).arg("--version"))?;
        ensure!(version.contains(env!("CARGO_PKG_VERSION")), "{program} says: {version}");
    }
    let library = tree.join("lib/libstatic_call.so.0");
    let said = output(run("static-call-inspect").arg("--json").arg(library))?;
    ensure!(said.contains("\"keys\""), "the inspector says: {said}");
    println!("{}: the programs run in the emulator", machine.name);
    Ok(())
}

/// All files and links below a directory, sorted.
pub(crate) fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                directories.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test program itself is linked against this machine's glibc.
    #[test]
    fn what_a_program_needs_is_read_from_it() {
        let own = fs::read(std::env::current_exe().expect("this program")).expect("this program");
        let needs = glibc::needs(&own).expect("an ELF file").expect("an ELF file");
        assert!(needs.glibc.is_some_and(|needed| needed >= (2, 17)), "{needs:?}");
        let newer = Needs { glibc: Some((GLIBC.0, GLIBC.1 + 1)), ..needs.clone() };
        let error = check(&newer, needs.machine).expect_err("too new").to_string();
        assert!(error.starts_with("it needs glibc 2.32, and an archive must run with 2.31"), "{error}");
        assert!(check(&Needs { glibc: Some(GLIBC), ..needs.clone() }, needs.machine).is_ok());
        assert!(check(&needs, needs.machine + 1).is_err());
        assert_eq!(glibc::needs(b"#!/bin/sh\n").expect("a script"), None);
        assert!(glibc::needs(&own[..100]).is_err());
    }
}
