//! `cargo xtask test --target NAME`: the tests of the programs, built for another machine, and run by an emulator
//! unless this machine runs them as well.
//!
//! The tests and the pass run on this machine; the C library and the test programs are made for the other one.
//! Debian has the C libraries and compilers for it, or a newer release of Debian (`unpack.rs`). The Rust standard
//! library comes from rustup where that is installed (`rustup target add NAME`), or is built from Debian's source,
//! with Debian's rustc of the same LLVM.
//!
//! To add a machine: a row below, and a file in `tests/src/platform/`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, output, run, target};
use crate::{install, packages, unpack};

/// A machine that programs can be built for and run on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Rust's name.
    name: &'static str,
    /// GNU's: the names of its tools start with it, and Debian's packages of these end with it.
    gnu: &'static str,
    /// Debian's.
    debian: &'static str,
    /// Debian's package that runs its programs.
    to_run: &'static str,
    /// The release of Debian that has compilers, a C library and an emulator for it, if not this machine's. They are
    /// unpacked in the directory `root` of all that is made for the machine.
    newer_release: Option<&'static str>,
    /// Whether GNU ld drops unused sections from an object file without harm to .eh_frame, whose relocations have to move.
    pub(crate) drops_garbage: bool,
}

const MACHINES: [Machine; 7] = [
    Machine::emulated("aarch64-unknown-linux-gnu", "aarch64-linux-gnu", "arm64"),
    Machine::emulated("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf", "armhf"),
    // x86-64's kernels and processors run it.
    Machine {
        to_run: "lib32stdc++6",
        ..Machine::emulated("i686-unknown-linux-gnu", "i686-linux-gnu", "i386")
    },
    Machine {
        // Debian 12 has no C library for it, and the later ones use vectors, which its QEMU does not know.
        newer_release: Some("trixie"),
        // 2.44
        drops_garbage: false,
        ..Machine::emulated("loongarch64-unknown-linux-gnu", "loongarch64-linux-gnu", "loong64")
    },
    Machine::emulated("powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu", "ppc64el"),
    Machine {
        // 2.40
        drops_garbage: false,
        ..Machine::emulated("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu", "riscv64")
    },
    Machine::emulated("s390x-unknown-linux-gnu", "s390x-linux-gnu", "s390x"),
];

/// The tests that build programs of the machine's. The others are about this machine's compilers alone.
const TESTS: [&str; 9] = [
    "c_programs",
    "c_shared",
    "c_bad_input",
    "c_damaged",
    "c_hardened",
    "machine",
    "pages",
    "rust_programs",
    "torture",
];

/// Those that are tested when nobody has asked for another machine.
const USUAL: [&str; 2] = ["aarch64-unknown-linux-gnu", "riscv64gc-unknown-linux-gnu"];

/// Runs the tests on the machines that most people have.
pub(crate) fn test_some() -> Result<()> {
    test_each(USUAL, None)
}

/// Runs the tests on every machine.
pub(crate) fn test_all(filter: Option<&str>) -> Result<()> {
    test_each(MACHINES.map(|machine| machine.name), filter)
}

/// Runs the tests on these machines, on the others also where they fail on one.
fn test_each(names: impl IntoIterator<Item = &'static str>, filter: Option<&str>) -> Result<()> {
    let mut failed = Vec::new();
    for name in names {
        if let Err(error) = test(name, filter) {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("tests failed on {}", failed.join(", "));
    }
    Ok(())
}

/// Runs the tests on one machine.
pub(crate) fn test(name: &str, filter: Option<&str>) -> Result<()> {
    let Some(machine) = MACHINES.into_iter().find(|machine| machine.name == name) else {
        let known = MACHINES.map(|machine| machine.name).join(", ");
        bail!("there is no test for {name}; there is one for: {known}, and \"all\" for all of them");
    };
    let started = Instant::now();
    packages::ensure(packages::TEST)?;
    machine.ensure_tools()?;
    let rustc = machine.rustc()?;
    install::install_for(&machine.directory().join("prefix"), Some((&machine, rustc.as_deref())))?;
    let mut tests = cargo();
    tests.args(["test", "--no-fail-fast", "-p", "static-call-tests"]);
    tests.args(TESTS.iter().flat_map(|test| ["--test", test])).args(filter);
    tests.env("STATIC_CALL_TEST_TARGET", machine.name);
    if let Some(rustc) = rustc {
        tests.env("STATIC_CALL_TEST_RUSTC", rustc);
    }
    run(&mut tests)?;
    println!("{name}: passed in {} s", started.elapsed().as_secs());
    Ok(())
}

impl Machine {
    const fn emulated(name: &'static str, gnu: &'static str, debian: &'static str) -> Self {
        Self { name, gnu, debian, to_run: "qemu-user", newer_release: None, drops_garbage: true }
    }

    fn ensure_tools(&self) -> Result<()> {
        // A compiler for the standard library's source, and that source.
        packages::ensure(&["rustc-web", "rust-web-src"])?;
        let tools =
            [format!("g++-{}", self.gnu), format!("libc6-dev-{}-cross", self.debian), self.to_run.into()];
        match self.newer_release {
            None => packages::ensure(&tools.each_ref().map(String::as_str)),
            Some(release) => unpack::unpack(release, self.gnu, &tools, &self.directory().join("root")),
        }
    }

    /// Where everything goes that is made for this machine.
    fn directory(&self) -> PathBuf {
        target().join("cross").join(self.name)
    }

    /// One of GNU's programs, for this machine.
    pub(crate) fn gnu_program(&self, name: &str) -> Command {
        Command::new(self.gnu_path(name))
    }

    fn gnu_path(&self, name: &str) -> PathBuf {
        let name = format!("{}-{name}", self.gnu);
        match self.newer_release {
            None => name.into(),
            Some(_) => self.directory().join("root/usr/bin").join(name),
        }
    }

    /// Has cargo build for this machine.
    pub(crate) fn prepare(&self, cargo: &mut Command, rustc: Option<&Path>) {
        cargo.args(["--target", self.name]);
        // The others are in `.cargo/config.toml`.
        if self.newer_release.is_some() {
            let name = self.name.replace('-', "_").to_uppercase();
            cargo.env(format!("CARGO_TARGET_{name}_LINKER"), self.gnu_path("gcc"));
        }
        if let Some(rustc) = rustc {
            cargo.env("RUSTC", rustc);
        }
    }

    /// Where cargo puts what it builds in `directory` for this machine.
    pub(crate) fn products(&self, directory: &Path) -> PathBuf {
        directory.join(self.name)
    }

    /// A rustc that has the standard library for this machine; None if the usual one has it.
    fn rustc(&self) -> Result<Option<PathBuf>> {
        let libraries = |rustc: &str| {
            let libraries =
                output(Command::new(rustc).args(["--print", "target-libdir", "--target", self.name]))?;
            anyhow::Ok(PathBuf::from(libraries.trim_end()))
        };
        if libraries("rustc")?.is_dir() {
            return Ok(None);
        }
        if libraries(DEBIAN_RUSTC)?.is_dir() {
            return Ok(Some(DEBIAN_RUSTC.into()));
        }
        let rustc = self.directory().join("rustc");
        let version = output(Command::new(DEBIAN_RUSTC).arg("-vV"))?;
        let made_by = self.directory().join("sysroot/made-by");
        if fs::read_to_string(&made_by).is_ok_and(|text| text == version) {
            return Ok(Some(rustc));
        }
        self.build_standard_library(&rustc)?;
        fs::write(&made_by, version).with_context(|| format!("cannot write {}", made_by.display()))?;
        Ok(Some(rustc))
    }

    /// Builds the standard library once, and puts it where `rustc`, a script that is made here, looks for it:
    /// cargo alone would build it anew for each of the tests' builds.
    fn build_standard_library(&self, rustc: &Path) -> Result<()> {
        eprintln!("building Rust's standard library for {}", self.name);
        let directory = self.directory();
        let built = directory.join("std");
        let mut build = cargo();
        build.args(["build", "--quiet", "--release", "-p", "static-call-abi"]);
        build.arg("-Zbuild-std=std,panic_abort,panic_unwind").arg("--target-dir").arg(&built);
        // Bitcode is for the builds with link-time optimization.
        build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Cembed-bitcode=yes");
        self.prepare(&mut build, Some(Path::new(DEBIAN_RUSTC)));
        run(&mut build)?;

        let sysroot = directory.join("sysroot");
        let libraries = sysroot.join("lib/rustlib").join(self.name).join("lib");
        let _ = fs::remove_dir_all(&sysroot);
        fs::create_dir_all(&libraries)?;
        for file in fs::read_dir(self.products(&built).join("release/deps"))? {
            let file = file?;
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".rlib") && !name.starts_with("libstatic_call") {
                fs::copy(file.path(), libraries.join(&*name))?;
            }
        }
        // Build scripts run on this machine.
        let own =
            PathBuf::from(output(Command::new(DEBIAN_RUSTC).args(["--print", "target-libdir"]))?.trim_end());
        let own = own.parent().context("the directory of this machine's libraries")?;
        symlink(own, sysroot.join("lib/rustlib").join(own.file_name().context("a target")?))?;
        let script = format!("#!/bin/sh\nexec {DEBIAN_RUSTC} --sysroot {} \"$@\"\n", sysroot.display());
        fs::write(rustc, script)?;
        fs::set_permissions(rustc, PermissionsExt::from_mode(0o755))?;
        Ok(())
    }
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
