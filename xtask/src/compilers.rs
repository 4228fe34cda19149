//! `cargo xtask test --compilers`: the pass in the compilers of newer Debian releases, the C header in theirs
//! and in old ones, and the CMake package in an old CMake.
//!
//! They are unpacked below `target/compilers` and made to run from there. They compile and link with this
//! machine's headers, C library and linker, so their programs run here.

use std::env::{join_paths, split_paths, var_os};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{cargo, output, run, target};
use crate::unpack::{files, foreign_apt, mirror, unpack_archives, unpack_once};
use crate::{install, packages};

/// A Debian release with compilers that can be unpacked side by side.
struct Release {
    name: &'static str,
    /// Debian's suites. Packages come from the last one that has them.
    suites: &'static str,
    packages: &'static [&'static str],
    /// The LLVM versions whose headers come from there too.
    llvms: &'static [u32],
    /// Whether its rustc is new enough for the crate.
    has_rust: bool,
}

const RELEASES: [Release; 4] = [
    // For the header alone: the pass supports none of these LLVMs.
    Release {
        name: "bookworm",
        suites: "bookworm",
        packages: &["libc6", "clang-13", "clang-15", "clang-16"],
        llvms: &[],
        has_rust: false,
    },
    Release {
        name: "trixie",
        suites: "trixie",
        packages: &["libc6", "clang-18", "lld-18", "rustc"],
        llvms: &[18],
        has_rust: false,
    },
    Release {
        name: "sid",
        suites: "sid",
        packages: &["libc6", "clang-21", "lld-21", "clang-23", "lld-23", "rustc"],
        llvms: &[21, 23],
        has_rust: true,
    },
    Release {
        name: "experimental",
        suites: "sid experimental",
        packages: &["libc6", "clang-24", "lld-24", "rustc"],
        llvms: &[24],
        has_rust: true,
    },
];

/// The LLVMs that this machine's release has.
const OWN_LLVMS: [&str; 2] = ["19", "22"];

/// Builds the pass for all these LLVMs and this machine's own. Runs the suite `compilers` with all of them,
/// the suite `rust_programs` with each rustc, those of the C header with each clang, and those of the CMake
/// package.
pub fn test() -> Result<()> {
    packages::ensure(packages::TEST)?;
    packages::ensure(&["patchelf"])?;
    let mut llvms = OWN_LLVMS.map(str::to_owned).to_vec();
    let mut programs = Vec::new();
    for release in &RELEASES {
        let root = target().join("compilers").join(release.name);
        release.unpack(&root)?;
        llvms.extend(release.llvm_directories(&root));
        programs.push(root.join("usr/bin"));
    }
    install::install(&install::prefix(), &llvms)?;
    run(suite("compilers")
        .args(["--", "--nocapture"])
        .env("STATIC_CALL_TEST_COMPILERS", join_paths(&programs)?))?;
    // They find compilers by their names.
    let here = var_os("PATH").unwrap_or_default();
    let path = join_paths(split_paths(&here).chain(programs.iter().cloned()))?;
    for name in HEADER {
        run(suite(name).env("PATH", &path))?;
    }
    let cmake = old_cmake()?;
    for name in CMAKE {
        run(suite(name).env("STATIC_CALL_TEST_CMAKE", &cmake))?;
    }
    for (release, programs) in RELEASES.iter().zip(programs).filter(|(release, _)| release.has_rust) {
        println!("rust_programs with the rustc of Debian {}", release.name);
        run(suite("rust_programs").env("STATIC_CALL_TEST_RUSTC", programs.join("rustc")))?;
    }
    Ok(())
}

/// The suites of the C header that use every clang that they find.
const HEADER: [&str; 2] = ["c_header", "c_trampolines"];

/// The suites of the CMake package.
const CMAKE: [&str; 2] = ["cmake", "embedding"];

/// The oldest CMake that the package supports, as PyPI has it.
fn old_cmake() -> Result<PathBuf> {
    packages::ensure(&["python3-pip"])?;
    let directory = target().join("cmake-3.10");
    let program = directory.join("cmake/data/bin/cmake");
    if !program.exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]);
        // The wheel is for an old Python, which its programs do not need.
        pip.args(["--only-binary", ":all:", "--python-version", "36", "--abi", "cp36m"]);
        pip.args(["--platform", "manylinux1_x86_64", "cmake==3.10.3", "--target"]);
        run(pip.arg(&directory))?;
    }
    Ok(program)
}

/// The LLVMs of Debian's releases and this machine's own, as `install` takes them: a pass that is given away
/// serves them all. Their headers are unpacked below `target/dist`.
pub fn all_llvms() -> Result<Vec<String>> {
    packages::ensure(&OWN_LLVMS.map(|llvm| format!("llvm-{llvm}-dev")))?;
    let mut llvms = OWN_LLVMS.map(str::to_owned).to_vec();
    for release in RELEASES.iter().filter(|release| !release.llvms.is_empty()) {
        let root = target().join("dist/llvm").join(release.name);
        let archives = root.join("archives");
        unpack_once(&root, &format!("Debian {}: {:?}", release.suites, release.llvms), || {
            release.unpack_headers(
                foreign_apt(&mirror()?, release.suites, "amd64", &archives)?,
                &archives,
                &root,
            )?;
            fs::remove_dir_all(&archives).context("cannot remove apt's files")
        })?;
        llvms.extend(release.llvm_directories(&root));
    }
    Ok(llvms)
}

fn suite(name: &str) -> Command {
    let mut test = cargo();
    test.args(["test", "--workspace", "--no-fail-fast", "--test", name]);
    test
}

impl Release {
    /// Where the headers of its LLVMs are, below a directory into which they were unpacked.
    fn llvm_directories(&self, root: &Path) -> impl Iterator<Item = String> {
        self.llvms.iter().map(move |llvm| format!("{}/usr/lib/llvm-{llvm}", root.display()))
    }

    /// The suite whose packages are taken before those of the others.
    fn preferred(&self) -> &'static str {
        self.suites.split(' ').next_back().unwrap_or(self.suites)
    }

    fn unpack(&self, root: &Path) -> Result<()> {
        let description = format!("Debian {}: {} {:?}", self.suites, self.packages.join(" "), self.llvms);
        unpack_once(root, &description, || {
            let archives = root.join("archives");
            let apt = || foreign_apt(&mirror()?, self.suites, "amd64", &archives);
            let mut install = apt()?;
            install.args(["-t", self.preferred(), "install", "-y", "--no-install-recommends"]);
            run(install.arg("--download-only").args(self.packages))?;
            unpack_archives(&archives.join("cache/archives"), root)?;
            fs::remove_dir_all(&archives)?;

            if !self.llvms.is_empty() {
                self.unpack_headers(apt()?, &archives, root)?;
                fs::remove_dir_all(&archives)?;
            }
            use_own_libraries(root)?;
            // The suites skip compilers that do not run.
            for name in self.packages.iter().filter(|name| name.starts_with("clang") || **name == "rustc") {
                output(Command::new(root.join("usr/bin").join(name)).arg("--version"))?;
            }
            Ok(())
        })
    }

    /// Unpacks the headers of its LLVMs, without their static libraries of several hundred megabytes.
    fn unpack_headers(&self, mut apt: Command, archives: &Path, root: &Path) -> Result<()> {
        const UNPACK: &str = "dpkg-deb --fsys-tarfile \"$0\" | tar -x -C \"$1\" --wildcards \
                              './usr/include/*' './usr/lib/llvm-*/include*'";
        apt.args(["-t", self.preferred(), "download"]).current_dir(archives);
        run(apt.args(self.llvms.iter().map(|llvm| format!("llvm-{llvm}-dev"))))?;
        for archive in files(archives)? {
            if archive.extension().is_some_and(|extension| extension == "deb") {
                run(Command::new("sh").args(["-c", UNPACK]).arg(archive).arg(root))?;
            }
        }
        Ok(())
    }
}

/// Makes the compilers find their libraries, and this machine's linker and assembler.
fn use_own_libraries(root: &Path) -> Result<()> {
    // clang would use this as its gcc, which has no C++ library.
    let gcc = root.join("usr/lib/gcc");
    if gcc.exists() {
        fs::remove_dir_all(&gcc).with_context(|| format!("cannot remove {}", gcc.display()))?;
    }
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    // Debian 12's C library lies outside of /usr.
    let outside = root.join("lib/x86_64-linux-gnu");
    if outside.exists() {
        for file in files(&outside)? {
            let name = file.file_name().unwrap_or_default();
            fs::rename(&file, libraries.join(name))
                .with_context(|| format!("cannot move {}", file.display()))?;
        }
    }
    let interpreter = [root.join("usr/lib64"), libraries.clone()].map(|it| it.join("ld-linux-x86-64.so.2"));
    let interpreter = interpreter.into_iter().find(|it| it.exists()).context("there is no dynamic linker")?;
    let mut patched = Vec::new();
    for program in files(&root.join("usr/bin"))? {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        match program.canonicalize() {
            Ok(file) if ["clang", "ld.lld", "rustc"].iter().any(|start| name.starts_with(start)) => {
                patched.push(file);
            }
            _ => fs::remove_file(&program)?,
        }
    }
    let is_library = |file: &PathBuf| file.to_string_lossy().contains(".so");
    patched.extend(files(&libraries)?.into_iter().filter(is_library));
    for llvm in files(&root.join("usr/lib"))? {
        if llvm.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"llvm-")) {
            patched.extend(files(&llvm.join("lib")).unwrap_or_default().into_iter().filter(is_library));
        }
    }
    patched.retain(|file| file.is_file() && !file.is_symlink());
    patched.sort();
    patched.dedup();
    for file in patched {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // The C library needs no path, and some of its files cannot be changed.
        let is_ours = ["libLLVM", "libclang", "librustc_driver"].iter().any(|start| name.starts_with(start));
        let is_program = !name.contains(".so");
        if is_ours || is_program {
            // Unlike RUNPATH, RPATH also applies to the libraries' dependencies.
            let mut patch = Command::new("patchelf");
            if is_program {
                patch.arg("--set-interpreter").arg(&interpreter);
            }
            run(patch.args(["--force-rpath", "--set-rpath"]).arg(&libraries).arg(&file))?;
        }
    }
    Ok(())
}
