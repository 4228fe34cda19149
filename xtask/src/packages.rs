//! The Debian packages that the commands need.

use std::process::{Command, Stdio};

use anyhow::{Error, Result, bail};

use crate::headers::Item;
use crate::run::run;

/// To build and install: the headers of these LLVMs, a C++ compiler for the pass, and a linker. An error if
/// there can be no such LLVM.
pub fn build(llvms: &[String]) -> Result<Vec<String>> {
    let mut packages = vec!["g++".to_owned(), "binutils".to_owned()];
    for llvm in llvms {
        if let Item::Installed(version) = Item::parse(llvm).map_err(Error::msg)? {
            packages.push(format!("llvm-{version}-dev"));
        }
    }
    if llvms.is_empty() {
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
