//! The C and C++ libraries of an old Debian release, to link programs that run on it and on everything newer.
//!
//! This machine's compilers compile for them. (Zig could link as well, but its C++ library is another one
//! than that of the compilers that load the pass.)

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::run::{root, run, target};
use crate::unpack::{files, foreign_apt, mirror, unpack_archives, unpack_once};

/// Debian 11, and the version of its glibc.
pub const RELEASE: &str = "bullseye";
/// The newest glibc that a program may need.
pub const GLIBC: (u32, u32) = (2, 31);
/// The version of its gcc, whose libraries are linked.
const GCC: u32 = 10;

/// A machine to build for.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Rust's target name.
    pub name: &'static str,
    /// GNU's name.
    pub gnu: &'static str,
    /// Debian's name.
    pub debian: &'static str,
    /// The name in an archive's.
    pub short: &'static str,
}

/// The machines that archives are built for.
pub const MACHINES: [Machine; 2] = [
    Machine { name: "x86_64-unknown-linux-gnu", gnu: "x86_64-linux-gnu", debian: "amd64", short: "x86_64" },
    Machine {
        name: "aarch64-unknown-linux-gnu",
        gnu: "aarch64-linux-gnu",
        debian: "arm64",
        short: "aarch64",
    },
];

impl Machine {
    /// The directory of the libraries, unpacked if they are not there.
    pub fn sysroot(&self) -> Result<PathBuf> {
        let directory = target().join("dist/sysroot").join(self.debian);
        // inkwell's build script names libffi, of which nothing is used.
        let packages = [format!("libstdc++-{GCC}-dev"), "libffi-dev".to_owned()];
        let description = format!("Debian {RELEASE} for {}: {}", self.debian, packages.join(" "));
        unpack_once(&directory, &description, || {
            let archives = directory.join("archives");
            let mut apt = foreign_apt(&mirror()?, RELEASE, self.debian, &archives)?;
            apt.args(["install", "-y", "--no-install-recommends", "--download-only"]);
            run(apt.args(&packages))?;
            unpack_archives(&archives.join("cache/archives"), &directory)?;
            fs::remove_dir_all(&archives)?;
            make_links_relative(&directory, &directory)
        })?;
        Ok(directory)
    }

    /// Makes `cc`, `c++` and `rustc` in a directory: compilers that know the libraries, and write no path of
    /// this machine into what they compile. As programs, because cargo derives the names of symbols from
    /// flags, which have paths.
    pub fn compilers(&self, rustc: &Path, directory: &Path) -> Result<()> {
        let sysroot = self.sysroot()?;
        let (sysroot, gnu) = (sysroot.display(), self.gnu);
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let cargo_home = match std::env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cargo"),
        };
        let names = [(target(), "/build"), (root(), "/static-call"), (cargo_home, "/cargo")];
        let map = |option: &str| {
            // The last one that matches counts.
            let names = names.iter().rev();
            names.map(|(from, to)| format!(" {option}={}={to}", from.display())).collect::<String>()
        };
        // gcc looks into the directories of its own installation before the sysroot's.
        let libraries = [format!("usr/lib/gcc/{gnu}/{GCC}"), format!("usr/lib/{gnu}"), format!("lib/{gnu}")];
        let libraries: String = libraries.iter().map(|path| format!(" -L{sysroot}/{path}")).collect();
        let common = format!("--sysroot={sysroot} -B{sysroot}/usr/lib/{gnu}/{}", map("-ffile-prefix-map"));
        let headers = format!(
            "-nostdinc++ -isystem {sysroot}/usr/include/c++/{GCC} -isystem \
             {sysroot}/usr/include/{gnu}/c++/{GCC}"
        );
        for (name, command) in [
            ("cc", format!("{gnu}-gcc {common}{libraries}")),
            ("c++", format!("{gnu}-g++ {common} {headers}{libraries}")),
            ("rustc", format!("{}{}", rustc.display(), map("--remap-path-prefix"))),
        ] {
            let script = directory.join(name);
            let text = format!("#!/bin/sh\nexec {command} \"$@\"\n");
            // Untouched if it is the same: cargo builds anew for a changed compiler.
            if !fs::read_to_string(&script).is_ok_and(|before| before == text) {
                fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
                fs::set_permissions(&script, PermissionsExt::from_mode(0o755))?;
            }
        }
        Ok(())
    }
}

/// The absolute links below a directory lead to this root's files.
fn make_links_relative(directory: &Path, root: &Path) -> Result<()> {
    for path in files(directory)? {
        if path.is_symlink() {
            let target = fs::read_link(&path)?;
            if let Ok(below) = target.strip_prefix("/") {
                let depth = path.strip_prefix(root)?.components().count() - 1;
                fs::remove_file(&path)?;
                symlink(Path::new(&"../".repeat(depth)).join(below), &path)?;
            }
        } else if path.is_dir() {
            make_links_relative(&path, root)?;
        }
    }
    Ok(())
}
