//! The other machines that programs are built for, with their compilers, C libraries and Rust standard
//! libraries. Windows is one of them.
//!
//! The C libraries and compilers are packages of Debian, or of a newer release of Debian (`unpack.rs`). The
//! Rust standard library is rustup's if it is installed (`rustup target add NAME`). Otherwise it is built
//! from Debian's source, for Debian's rustc, which has the same LLVM.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::run::{cargo, output, run, target};
use crate::{packages, unpack};

/// A machine that programs can be built for and run on.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Rust's target name.
    pub name: &'static str,
    /// GNU's name: the prefix of its tools, and the suffix of Debian's packages of them.
    gnu: &'static str,
    /// Debian's name.
    debian: &'static str,
    /// Debian's package for running its programs.
    to_run: &'static str,
    /// The Debian release that has compilers, a C library and an emulator for it, if this machine's has not.
    /// They are unpacked into the directory `root` below [`Machine::directory`].
    newer_release: Option<&'static str>,
    /// Whether GNU ld can drop unused sections from an object file without breaking the relocations of
    /// .eh_frame.
    pub drops_garbage: bool,
}

/// All machines. `tests/src/platform/` describes each of them for the tests.
pub const MACHINES: [Machine; 8] = [
    Machine::emulated("aarch64-unknown-linux-gnu", "aarch64-linux-gnu", "arm64"),
    Machine::emulated("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf", "armhf"),
    // x86-64 machines run its programs.
    Machine {
        to_run: "lib32stdc++6",
        ..Machine::emulated("i686-unknown-linux-gnu", "i686-linux-gnu", "i386")
    },
    Machine {
        // Debian 12 has no C library for it, and later ones use vectors, which Debian 12's QEMU does not
        // support.
        newer_release: Some("trixie"),
        // As of GNU ld 2.44.
        drops_garbage: false,
        ..Machine::emulated("loongarch64-unknown-linux-gnu", "loongarch64-linux-gnu", "loong64")
    },
    Machine::emulated("powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu", "ppc64el"),
    Machine {
        // As of GNU ld 2.40.
        drops_garbage: false,
        ..Machine::emulated("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu", "riscv64")
    },
    Machine::emulated("s390x-unknown-linux-gnu", "s390x-linux-gnu", "s390x"),
    Machine {
        to_run: "wine64",
        // GNU ld 2.40 leaves out what only a constructor needs.
        drops_garbage: false,
        ..Machine::emulated("x86_64-pc-windows-gnu", "x86_64-w64-mingw32", "")
    },
];

impl Machine {
    const fn emulated(name: &'static str, gnu: &'static str, debian: &'static str) -> Self {
        let (to_run, newer_release) = ("qemu-user", None);
        Self { name, gnu, debian, to_run, newer_release, drops_garbage: true }
    }

    /// Installs or unpacks its compilers, C library and emulator.
    pub fn ensure_tools(&self) -> Result<()> {
        // The standard library's source, and a compiler for it.
        packages::ensure(&["rustc-web", "rust-web-src"])?;
        if self.is_windows() {
            // The threads of C++'s library are those of POSIX; the C library comes along.
            packages::ensure(&["g++-mingw-w64-x86-64-posix", self.to_run])?;
            return self.prepare_wine();
        }
        let tools =
            [format!("g++-{}", self.gnu), format!("libc6-dev-{}-cross", self.debian), self.to_run.into()];
        match self.newer_release {
            None => packages::ensure(&tools.each_ref().map(String::as_str)),
            Some(release) => unpack::unpack(release, self.gnu, &tools, &self.directory().join("root")),
        }
    }

    /// Makes the directory that Wine keeps its Windows in, with a DLL that Wine 8 does not have: the source
    /// of random numbers that Rust's standard library asks.
    fn prepare_wine(&self) -> Result<()> {
        const RANDOM: &str = "#include <windows.h>\n#include <ntsecapi.h>\n\
             __declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *to, SIZE_T len)\n\
             { return RtlGenRandom(to, (ULONG)len); }\n";
        let prefix = self.directory().join("wine");
        let dll = prefix.join("drive_c/windows/system32/bcryptprimitives.dll");
        if dll.exists() {
            return Ok(());
        }
        fs::create_dir_all(self.directory())?;
        let mut wine = Command::new(WINE);
        // Neither .NET nor a browser, which it would ask for.
        wine.args(["wineboot", "--init"]).env("WINEPREFIX", &prefix);
        run(wine.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env("WINEDEBUG", "-all"))?;
        if !dll.exists() {
            let source = self.directory().join("bcryptprimitives.c");
            fs::write(&source, RANDOM)?;
            run(self.gnu_program("gcc").arg("-shared").arg(&source).arg("-ladvapi32").arg("-o").arg(&dll))?;
        }
        Ok(())
    }

    /// Keeps Wine's own services running until the result is dropped: they would start anew for each program
    /// that runs alone, and take most of its time.
    pub fn keep_services(&self) -> Result<Option<Services>> {
        if !self.is_windows() {
            return Ok(None);
        }
        let mut shell = Command::new(WINE);
        shell.arg("cmd.exe").env("WINEPREFIX", self.directory().join("wine")).env("WINEDEBUG", "-all");
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Some(Services(shell.spawn().with_context(|| format!("cannot run {WINE}"))?)))
    }

    /// Whether its programs are Windows'.
    pub fn is_windows(&self) -> bool {
        self.name.contains("-windows-")
    }

    /// The directory for everything that is built for this machine.
    pub fn directory(&self) -> PathBuf {
        target().join("cross").join(self.name)
    }

    /// One of GNU's programs, for this machine.
    pub fn gnu_program(&self, name: &str) -> Command {
        Command::new(self.gnu_path(name))
    }

    fn gnu_path(&self, name: &str) -> PathBuf {
        let name = format!("{}-{name}", self.gnu);
        match self.newer_release {
            None => name.into(),
            Some(_) => self.directory().join("root/usr/bin").join(name),
        }
    }

    /// Makes cargo build for this machine.
    pub fn prepare(&self, cargo: &mut Command, rustc: Option<&Path>) {
        cargo.args(["--target", self.name]);
        // The other linkers are in `.cargo/config.toml`.
        if self.newer_release.is_some() {
            let name = self.name.replace('-', "_").to_uppercase();
            cargo.env(format!("CARGO_TARGET_{name}_LINKER"), self.gnu_path("gcc"));
        }
        if let Some(rustc) = rustc {
            cargo.env("RUSTC", rustc);
        }
    }

    /// Where cargo puts what it builds in `directory` for this machine.
    pub fn products(&self, directory: &Path) -> PathBuf {
        directory.join(self.name)
    }

    /// A rustc that has the standard library for this machine. None if the default one has it.
    pub fn rustc(&self) -> Result<Option<PathBuf>> {
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
        let sysroot = self.directory().join("sysroot");
        let version = output(Command::new(DEBIAN_RUSTC).arg("-vV"))?;
        let made_by = sysroot.join("made-by");
        if fs::read_to_string(&made_by).is_ok_and(|text| text == version) {
            return Ok(Some(rustc));
        }
        let rustlib = sysroot.join("lib/rustlib");
        let _ = fs::remove_dir_all(&sysroot);
        fs::create_dir_all(&rustlib)?;
        self.build_standard_library(&rustlib)?;
        // Build scripts run on this machine.
        let own =
            PathBuf::from(output(Command::new(DEBIAN_RUSTC).args(["--print", "target-libdir"]))?.trim_end());
        let own = own.parent().context("the directory of this machine's libraries")?;
        symlink(own, rustlib.join(own.file_name().context("a target")?))?;
        let script = format!("#!/bin/sh\nexec {DEBIAN_RUSTC} --sysroot {} \"$@\"\n", sysroot.display());
        fs::write(&rustc, script)?;
        fs::set_permissions(&rustc, PermissionsExt::from_mode(0o755))?;
        fs::write(&made_by, version).with_context(|| format!("cannot write {}", made_by.display()))?;
        Ok(Some(rustc))
    }

    /// Builds the standard library once and puts it where rustc looks for it; cargo alone would rebuild it
    /// for each of the tests' builds. Debian's packages for other machines would not do, because their
    /// compiler_builtins needs a C library, and one test has none.
    fn build_standard_library(&self, rustlib: &Path) -> Result<()> {
        eprintln!("building Rust's standard library for {}", self.name);
        let built = self.directory().join("std");
        let mut build = cargo();
        build.args(["build", "--quiet", "--release", "-p", "static-call-abi"]);
        build.args([
            "-Zbuild-std=std,panic_abort,panic_unwind",
            "-Zbuild-std-features=panic-unwind,backtrace",
        ]);
        build.arg("--target-dir").arg(&built);
        // This saves work, and no test measures the standard library's speed.
        build.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        // Builds with link-time optimization need the bitcode.
        build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Cembed-bitcode=yes");
        self.prepare(&mut build, Some(Path::new(DEBIAN_RUSTC)));
        run(&mut build)?;

        let libraries = rustlib.join(self.name).join("lib");
        fs::create_dir_all(&libraries)?;
        for file in fs::read_dir(self.products(&built).join("release/deps"))? {
            let file = file?;
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".rlib") && !name.starts_with("libstatic_call") {
                fs::copy(file.path(), libraries.join(&*name))?;
            }
        }
        if self.is_windows() {
            // rustc puts these around each program: they register what the unwinder needs.
            for object in ["rsbegin", "rsend"] {
                let source = output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))?;
                let source = Path::new(source.trim_end()).join(STARTUP).join(object).with_extension("rs");
                let mut rustc = Command::new(DEBIAN_RUSTC);
                rustc.env("RUSTC_BOOTSTRAP", "1").args(["--target", self.name, "--emit=obj", "-o"]);
                run(rustc.arg(libraries.join(object).with_extension("o")).arg(source))?;
            }
        }
        Ok(())
    }
}

/// A shell of Windows that waits for a command.
#[derive(Debug)]
pub struct Services(Child);

impl Drop for Services {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// What Debian's package `wine64` has, which puts nothing where the shell looks.
const WINE: &str = "/usr/lib/wine/wine64";
/// Where the source of the objects around a program is, below the compiler's root.
const STARTUP: &str = "lib/rustlib/src/rust/library/rtstartup";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::root;

    #[test]
    fn the_tests_describe_each_machine_in_the_same_way() {
        let directory = root().join("tests/src/platform");
        let files: Vec<String> = fs::read_dir(directory)
            .expect("the platforms")
            .map(|entry| fs::read_to_string(entry.expect("a file").path()).expect("a source file"))
            .collect();
        for machine in MACHINES {
            let fields = [
                format!("    name: \"{}\",\n", machine.name),
                format!("    gnu: Some(\"{}\"),\n", machine.gnu),
                format!("    is_unpacked: {},\n", machine.newer_release.is_some()),
            ];
            let agrees = |file: &&String| fields.iter().all(|field| file.contains(field));
            assert_eq!(files.iter().filter(agrees).count(), 1, "{fields:?}");
        }
        assert_eq!(files.iter().filter(|file| file.contains("gnu: Some(")).count(), MACHINES.len());
    }
}
