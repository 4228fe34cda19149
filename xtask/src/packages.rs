//! The Debian packages that the commands need.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Error, Result, bail};

use crate::headers::{self, Item};
use crate::run::run;

/// To build and install: a C++ compiler for the pass, a linker, and those headers of these LLVMs that are
/// nowhere. By default it is enough that those of any LLVM are there. An error if there can be no such LLVM.
pub fn build(llvms: &[String]) -> Result<Vec<String>> {
    build_with(llvms, &headers::places())
}

fn build_with(llvms: &[String], places: &[PathBuf]) -> Result<Vec<String>> {
    let mut packages = vec!["g++".to_owned(), "binutils".to_owned()];
    let is_missing = |choice| headers::find(choice, places).is_err();
    for llvm in llvms {
        if let Item::Installed(version) = Item::parse(llvm).map_err(Error::msg)?
            && is_missing(llvm)
        {
            packages.push(format!("llvm-{version}-dev"));
        }
    }
    if llvms.is_empty() && is_missing("") {
        packages.push("llvm-22-dev".to_owned());
    }
    Ok(packages)
}

/// To run the tests and the demo as well.
pub const TEST: &[&str] = &[
    "llvm-22-dev",
    "g++",
    "binutils",
    "clang-22",
    "lld-22",
    "llvm-22-tools",
    "bolt-22",
    // Other linkers, and another C library, for the matrix.
    "mold",
    "musl-tools",
    // GNU ld for COFF.
    "binutils-mingw-w64-x86-64",
    // A compiler that is neither gcc nor clang.
    "tcc",
    // llvm-profdata.
    "llvm-22",
    // clang's sanitizers.
    "libclang-rt-22-dev",
    "valgrind",
    // A clang of another LLVM that the pass supports, with its headers, and one of an LLVM that it does not
    // support.
    "clang-19",
    "lld-19",
    "llvm-19-dev",
    "clang-14",
    "cmake",
    "make",
    "ninja-build",
    "meson",
    "pkg-config",
    // To check the manual pages and the completions.
    "mandoc",
    "man-db",
    "zsh",
    // To pack archives.
    "zstd",
    "xz-utils",
    "fish",
    "ccache",
    "sccache",
    // To boot the example kernel, and the source of its `core`.
    "qemu-system-x86",
    "qemu-system-arm",
    "rustc-web",
    "rust-web-src",
];

/// To check the sources.
pub const LINT: &[&str] = &["clang-format-22", "python3-pip"];

/// Installs missing packages if run as root; otherwise says how to.
pub fn ensure<S: AsRef<str>>(packages: &[S]) -> Result<()> {
    let packages: Vec<&str> = packages.iter().map(S::as_ref).collect();
    if !on_debian() {
        eprintln!("not a Debian system: expecting the programs of {} to be there", packages.join(", "));
        return Ok(());
    }
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        bail!(
            "these Debian packages are missing; run this once, then try again:\n\n    \
             sudo apt-get update && sudo apt-get install -y {}\n",
            missing.join(" ")
        );
    }
    eprintln!("installing {}", missing.join(" "));
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        apt
    };
    // If a part of the index cannot be fetched, our packages may still be known.
    let _ = run(apt().args(["-q", "update"]));
    run(apt().args(["-q", "install", "-y", "--no-install-recommends"]).args(missing))
}

fn on_debian() -> bool {
    Command::new("dpkg-query").arg("--version").stdout(Stdio::null()).status().is_ok()
}

fn is_installed(package: &str) -> bool {
    let query =
        Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]).stderr(Stdio::null()).output();
    query.is_ok_and(|query| query.stdout.ends_with(b"install ok installed"))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_there_need_no_package() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let include = root.path().join("include");
        let file = headers::configuration(&include);
        std::fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        std::fs::write(file, "#define LLVM_VERSION_MAJOR 19\n").expect("a file");
        let needed = |llvms: &[&str], places: &[PathBuf]| {
            let llvms: Vec<String> = llvms.iter().map(|&llvm| llvm.to_owned()).collect();
            build_with(&llvms, places).expect("a choice")[2..].to_vec()
        };
        let none: [&str; 0] = [];
        let places = [include.clone()];
        assert_eq!(needed(&[], &places), none);
        assert_eq!(needed(&["19"], &places), none);
        assert_eq!(needed(&["19", "22"], &places), ["llvm-22-dev"]);
        assert_eq!(needed(&[include.to_str().expect("UTF-8")], &[]), none);
        assert_eq!(needed(&["19"], &[]), ["llvm-19-dev"]);
        assert_eq!(needed(&[], &[]), ["llvm-22-dev"]);
        assert!(build_with(&["25".to_owned()], &places).is_err());
    }
}
