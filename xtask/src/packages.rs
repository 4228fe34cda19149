//! The Debian packages that a new machine lacks.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::run::run;

/// To build and install: LLVM's headers, a C++ compiler for the shim, a linker for the C library.
pub(crate) const BUILD: &[&str] = &["llvm-22-dev", "g++", "binutils"];
/// To run the tests and the demo as well.
pub(crate) const TEST: &[&str] = &[
    "llvm-22-dev",
    "g++",
    "binutils",
    "clang-22",
    "lld-22",
    "llvm-22-tools",
    // Other linkers, and another C library, for the matrix.
    "mold",
    "musl-tools",
    // llvm-profdata.
    "llvm-22",
    // clang's sanitizers.
    "libclang-rt-22-dev",
    "valgrind",
    // A clang with another LLVM.
    "clang-19",
    "cmake",
    "make",
    "ninja-build",
    "meson",
    "pkg-config",
    "ccache",
    "sccache",
    // To boot the example kernel, and the sources of its `core`.
    "qemu-system-x86",
    "qemu-system-arm",
    "rustc-web",
    "rust-web-src",
];

/// Installs what is missing, as root; otherwise says how.
pub(crate) fn ensure(packages: &[&str]) -> Result<()> {
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
    // An index that is partly out of reach may still know our packages.
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
