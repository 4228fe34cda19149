//! `cargo xtask dist`: the archive and the Debian packages that a release has.
//!
//! ```text
//! target/dist/static-call-VERSION-x86_64-linux.tar.zst, .tar.gz    and the checksum of each, .sha256
//! target/dist/static-call_VERSION_amd64.deb, libstatic-call0_…, libstatic-call-dev_…
//! ```
//!
//! The archive is an installation with documents, licences and checksums. Meson, and tar on a small system,
//! read gzip alone. Its programs are linked against an
//! old release's libraries (`sysroot.rs`), and the same sources give the same bytes, in any directory.

mod check;
mod consumers;
mod debian;
mod made;
mod root;
mod sbom;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use xtask::install::{Build, PLUGIN, install_built, llvms_of};
use xtask::run::{output, root, run, target, tracked_files};
use xtask::sysroot::{MACHINES, Machine};
use xtask::{compilers, machines, packages};

use made::{Made, VERSION, directory};

/// To pack.
const PACKAGES: &[&str] = &["g++", "binutils", "patchelf", "zstd", "xz-utils"];

/// Builds the archive and the packages for a machine, with a pass for these LLVMs, and checks them. `twice`
/// also builds them from a copy of the sources in another directory, and compares.
pub(crate) fn dist(llvms: &[String], name: Option<&str>, twice: bool) -> Result<()> {
    packages::ensure(PACKAGES)?;
    let machine = match name {
        None => MACHINES[0],
        Some(name) => *MACHINES.iter().find(|machine| machine.name == name).with_context(|| {
            format!(
                "there are archives for {}, not for {name}",
                MACHINES.map(|machine| machine.name).join(", ")
            )
        })?,
    };
    let all;
    let chosen = if llvms.is_empty() {
        all = compilers::all_llvms()?;
        &all
    } else {
        llvms
    };
    let made = make(chosen, machine)?;
    if machine.name != MACHINES[0].name {
        check::runs_in_emulator(&made.tree, machine)?;
    }
    if twice {
        compare(&made, llvms, machine)?;
    }
    Ok(())
}

/// Gets what the test needs from Debian's archive.
pub(crate) fn prepare() -> Result<()> {
    packages::ensure(PACKAGES)?;
    packages::ensure(root::PACKAGES)?;
    packages::ensure(consumers::PACKAGES)?;
    MACHINES[0].sysroot().map(drop)
}

/// Builds the archive and the packages for this machine, and uses them in a root with the oldest glibc.
pub(crate) fn test() -> Result<()> {
    prepare()?;
    // One LLVM, because other tests have a pass for several.
    let made = make(&["22".to_owned()], MACHINES[0])?;
    consumers::test(&made)?;
    root::test(made.archive(), &made.tree, &made.packages)
}

fn make(llvms: &[String], machine: Machine) -> Result<Made> {
    let epoch = epoch()?;
    let name = format!("static-call-{VERSION}-{}-linux", machine.short);
    let tree = directory().join(&name);
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot remove {}", tree.display()))?;
    }
    build(&tree, llvms, machine, epoch)?;
    check::runs_on_old_releases(&tree, machine)?;
    check::names_no_directory(&tree, &[root(), target()])?;
    add_documents(&tree, machine, epoch)?;
    add_sums(&tree)?;
    let archives = pack(&directory(), &name, epoch)?;
    let packages = debian::make(&tree, &directory(), machine, epoch)?;
    let made = Made { tree, archives, packages };
    for file in made.files() {
        let sum = output(
            Command::new("sha256sum").arg(file.file_name().context("a file")?).current_dir(directory()),
        )?;
        fs::write(file.with_added_extension("sha256"), &sum)?;
        print!("{sum}");
    }
    Ok(made)
}

/// Installs what was built for the machine.
fn build(tree: &Path, llvms: &[String], machine: Machine, epoch: u64) -> Result<()> {
    let is_here = machine.name == xtask::run::host()?;
    let rustc = if is_here {
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()))?;
        Path::new(sysroot.trim()).join("bin/rustc")
    } else {
        let other = machines::MACHINES.iter().find(|other| other.name == machine.name);
        let other = other.context("a machine that the tests know")?;
        other.ensure_tools()?;
        other.rustc()?.unwrap_or_else(|| "rustc".into())
    };
    let compilers = directory().join("compilers").join(machine.short);
    machine.compilers(&rustc, &compilers)?;
    let products = directory().join("build");
    let variable = machine.name.replace('-', "_");
    let prepare = |cargo: &mut Command| {
        cargo.args(["--target", machine.name, "--target-dir"]).arg(&products);
        cargo
            .env("RUSTC", compilers.join("rustc"))
            .env(format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), compilers.join("cc"))
            .env(format!("CXX_{variable}"), compilers.join("c++"))
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .env("CARGO_INCREMENTAL", "0")
            .env("SOURCE_DATE_EPOCH", epoch.to_string());
        for foreign in
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "CXXFLAGS", "CARGO_TARGET_DIR"]
        {
            cargo.env_remove(foreign);
        }
    };
    let gnu = |name: &str| Command::new(format!("{}-{name}", machine.gnu));
    let runner = match is_here {
        true => None,
        false => Some(check::emulator(machine)?),
    };
    let build = Build {
        prepare: &prepare,
        products: products.join(machine.name),
        gnu: &gnu,
        runner,
        drops_garbage: true,
        is_windows: false,
    };
    install_built(tree, llvms, &build, &build)
}

/// The seconds of the release's date, or what SOURCE_DATE_EPOCH says: no file of an archive is younger.
fn epoch() -> Result<u64> {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return epoch.parse().with_context(|| format!("SOURCE_DATE_EPOCH is no number: {epoch}"));
    }
    let changes = fs::read_to_string(root().join("CHANGELOG.md")).context("cannot read CHANGELOG.md")?;
    let date = date_of(&changes).with_context(|| {
        format!(
            "CHANGELOG.md has no heading `## {VERSION} (YYYY-MM-DD)`, which dates the files of the archive"
        )
    })?;
    let epoch = output(Command::new("date").args(["--utc", "+%s", "--date", date]))?;
    epoch.trim().parse().with_context(|| format!("CHANGELOG.md has no date for {VERSION}, but {date}"))
}

/// The date in this version's heading of the changelog.
fn date_of(changes: &str) -> Option<&str> {
    let start = format!("## {VERSION} (");
    changes.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix(')'))
}

fn add_documents(tree: &Path, machine: Machine, epoch: u64) -> Result<()> {
    let documents = tree.join("share/doc/static-call");
    fs::create_dir_all(&documents)?;
    for file in ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        fs::copy(root().join(file), documents.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    let meson = include_str!("dist/meson.build");
    let links = fs::read_dir(tree.join("lib/static-call"))?.collect::<Result<Vec<_>, _>>()?;
    let links: Vec<String> = links.iter().map(|entry| entry.file_name().to_string_lossy().into()).collect();
    let link = |start: &str| links.iter().find(|name| name.starts_with(start)).context("a link with a hash");
    let meson = meson.replace("@VERSION@", VERSION).replace("@LLVMS@", &llvms_of(&tree.join(PLUGIN))?);
    let meson = meson.replace("@PASS@", link("pass-")?).replace("@ASSEMBLER@", link("as-")?);
    fs::write(tree.join("meson.build"), meson)?;
    let readme = format!(
        "static-call {VERSION}: direct calls through function pointers that rarely change.\n\n\
         This directory may lie anywhere. Rust, C and C++ need these lines:\n\n    \
         export PATH=\"$PWD/bin:$PATH\"\n    \
         export PKG_CONFIG_PATH=\"$PWD/lib/pkgconfig\"\n\n\
         `cargo static-call doctor` checks the compilers, the pass and permissions. For one user and all\n\
         shells, `bin/cargo-static-call static-call setup --from ARCHIVE` installs the archive of this\n\
         directory below ~/.local/share, and `setup --remove` removes it.\n\n\
         The programs need glibc 2.31 or newer. share/doc/static-call has the licences and the list of what\n\
         was linked (sbom.spdx.json); SHA256SUMS has the checksums (`sha256sum --check SHA256SUMS`).\n"
    );
    fs::write(tree.join("README"), readme)?;
    sbom::write(&documents, machine.name, epoch)
}

/// The checksums of all files, which `cargo static-call setup` compares.
fn add_sums(tree: &Path) -> Result<()> {
    let files = check::files_below(tree)?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for file in files.iter().filter(|file| !file.is_symlink()) {
        paths.push(file.strip_prefix(tree)?.to_owned());
    }
    paths.sort();
    let sums = output(Command::new("sha256sum").args(&paths).current_dir(tree))?;
    fs::write(tree.join("SHA256SUMS"), sums).context("cannot write SHA256SUMS")
}

/// Packs a directory so that the bytes depend on the files' names, contents and rights alone.
fn pack(parent: &Path, name: &str, epoch: u64) -> Result<[PathBuf; 2]> {
    let tar = parent.join(format!("{name}.tar"));
    let mut pack = Command::new("tar");
    pack.args(["--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner"]);
    pack.args(["--mode=u=rwX,go=rX", &format!("--mtime=@{epoch}"), "-C"]).arg(parent);
    run(pack.arg("-cf").arg(&tar).arg(name))?;
    // One thread and several do not write the same.
    run(Command::new("zstd").args(["-q", "-f", "-15", "-T2", "--check"]).arg(&tar))?;
    run(Command::new("gzip").args(["-9", "--force", "--no-name"]).arg(&tar))?;
    Ok(["zst", "gz"].map(|extension| tar.with_added_extension(extension)))
}

/// Builds everything once more, from a copy of the sources in another directory, and compares the bytes.
fn compare(made: &Made, llvms: &[String], machine: Machine) -> Result<()> {
    let copy = directory().join("another directory".replace(' ', "-"));
    if copy.exists() {
        fs::remove_dir_all(&copy).with_context(|| format!("cannot remove {}", copy.display()))?;
    }
    fs::create_dir_all(copy.join("target/dist"))?;
    let files = tracked_files(&[])?;
    run(Command::new("cp").args(["--archive", "--parents"]).args(files).arg(&copy).current_dir(root()))?;
    for unpacked in ["sysroot", "llvm"].map(|name| directory().join(name)).iter().filter(|path| path.exists())
    {
        run(Command::new("cp").arg("-al").arg(unpacked).arg(copy.join("target/dist")))?;
    }
    // This program takes the repository of the package that cargo would have run.
    let mut again = Command::new(std::env::current_exe()?);
    again.args(["dist", "--target", machine.name]).current_dir(&copy);
    again.env("CARGO_MANIFEST_DIR", copy.join("xtask")).env_remove("CARGO_TARGET_DIR");
    if !llvms.is_empty() {
        again.args(["--llvm", &llvms.join(",")]);
    }
    run(&mut again)?;
    for file in made.files() {
        let other = copy.join("target/dist").join(file.file_name().context("a file")?);
        if fs::read(file)? != fs::read(&other)? {
            bail!("two builds differ: compare {} with {}", file.display(), other.display());
        }
    }
    ensure!(!made.packages.is_empty(), "there are no packages");
    println!("built twice, in two directories: the same bytes");
    fs::remove_dir_all(&copy).with_context(|| format!("cannot remove {}", copy.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changelog_dates_this_version() {
        let changes = fs::read_to_string(root().join("CHANGELOG.md")).expect("the changelog");
        let date = date_of(&changes).expect("a date");
        let numbers: Vec<usize> = date.split('-').map(str::len).collect();
        assert_eq!(numbers, [4, 2, 2], "{date}");
        let before = changes.find(&format!("## {VERSION} (")).expect("the version");
        assert!(
            changes.find("## Unreleased\n").is_some_and(|at| at < before),
            "no section for what comes next"
        );
        assert_eq!(date_of("## Unreleased\n## 0.0.1 (2026-01-01)\n"), None);
    }

    #[test]
    fn neither_time_nor_order_nor_umask_changes_what_is_packed() {
        const FILES: [&str; 6] = [
            "bin/program",
            "include/static_call.h",
            "lib/libstatic_call.so.0",
            "share/doc/static-call/LICENSE-APACHE",
            "share/doc/static-call/LICENSE-MIT",
            "share/man/man1/program.1",
        ];
        let packed = |files: &[&str], umask: &str, date: &str| {
            let parent = tempfile::tempdir().expect("a temporary directory");
            let tree = parent.path().join("tree");
            for file in files {
                let script =
                    "umask $3; mkdir -p \"$(dirname \"$1\")\"; echo \"$2\" >\"$1\"; touch -d \"$4\" \"$1\"";
                let mut shell = Command::new("sh");
                shell.args(["-euc", script, "sh"]).arg(tree.join(file)).args([file, umask, date]);
                run(&mut shell).expect("a file");
            }
            std::os::unix::fs::symlink("program", tree.join("bin/link")).expect("a link");
            let archives = pack(parent.path(), "tree", 1_700_000_000).expect("archives");
            let packages = debian::make(&tree, parent.path(), MACHINES[0], 1_700_000_000).expect("packages");
            let all: Vec<Vec<u8>> =
                archives.iter().chain(&packages).map(|file| fs::read(file).expect("a file")).collect();
            assert_eq!(all.len(), 5);
            all
        };
        let once = packed(&FILES, "022", "2020-01-01");
        let mut reversed = FILES;
        reversed.reverse();
        let again = packed(&reversed, "077", "2026-06-01");
        let differing: Vec<usize> = (0..once.len()).filter(|&at| once[at] != again[at]).collect();
        assert!(differing.is_empty(), "of the archives and packages, these differ: {differing:?}");
    }
}
