//! The archive and the packages in a root of their own: the oldest Debian release that they run on, with
//! nothing but its essential packages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xtask::run::{output, root, run, target};
use xtask::sysroot::RELEASE;

use super::check::files_below;

/// To make the root, and to compile for it.
pub(super) const PACKAGES: &[&str] = &["mmdebstrap", "pkg-config", "clang-22"];

/// The home of the root's user.
const HOME: &str = "/home/user";

/// A program of a user, which checks itself.
const PROGRAM: &str = "
#include <static_call.h>
#include <stdio.h>
static int add(int a, int b) { return a + b; }
static int multiply(int a, int b) { return a * b; }
DEFINE_STATIC_CALL(combine, add);
int main(void)
{
	if (static_call(combine, 3, 4) != 7 || static_call_update(combine, multiply) != 0)
		return 1;
	if (static_call(combine, 3, 4) != 12)
		return 2;
	return puts(static_call_mode() == STATIC_CALL_MODE_INLINE ? \"inline\" : \"other\") < 0;
}
";

/// Sets up the archive and removes it; installs the packages, uses them, and removes them.
pub(super) fn test(archive: &Path, tree: &Path, debs: &[PathBuf]) -> Result<()> {
    let root = Root::make()?;
    root.add_rustc()?;
    fs::create_dir_all(root.path("tmp/release"))?;
    for file in
        [archive, &tree.join("bin/cargo-static-call")].into_iter().chain(debs.iter().map(PathBuf::as_path))
    {
        fs::copy(file, root.path("tmp/release").join(file.file_name().context("a file")?))?;
    }
    // What a first use of any package leaves.
    root.run("dpkg --version; ldconfig")?;
    let before = root.files()?;

    let archive = archive.file_name().context("a file")?.to_string_lossy();
    let tool = "/tmp/release/cargo-static-call static-call";
    root.run(&format!("{tool} setup --from /tmp/release/{archive}"))?;
    let said = root.run(&format!("{tool} doctor || true"))?;
    ensure!(said.contains("which records a call"), "rustc does not load the pass:\n{said}");
    let there = format!("{HOME}/.local/share/static-call/current");
    ensure!(said.contains(&format!("{there}/lib/static-call")), "the doctor names another pass:\n{said}");
    let said = root.run(&format!(
        "cd {there} && sha256sum --check --quiet SHA256SUMS && bin/static-call-inspect \
                                  lib/libstatic_call.so"
    ))?;
    ensure!(said.contains("static"), "the inspector says: {said}");
    root.run(&format!("{tool} setup --remove; rmdir -p {HOME}/.local/share 2>/dev/null || true"))?;
    root.is_as(&before, "setup --remove")?;

    root.run("dpkg --install /tmp/release/*.deb")?;
    let said = root.run("cargo-static-call static-call doctor || true")?;
    ensure!(
        said.contains("rustc loads the pass /usr/lib/static-call/"),
        "rustc does not load the pass:\n{said}"
    );
    // This machine's compiler makes a program with the packages' flags, and it runs there.
    let program = root.path("tmp/program");
    let source = root.path("tmp/program.c");
    fs::write(&source, PROGRAM)?;
    let flags = output(
        Command::new("pkg-config")
            .args(["--cflags", "--libs", "static-call"])
            .env("PKG_CONFIG_PATH", root.path("usr/lib/pkgconfig")),
    )?;
    let mut clang = Command::new("clang-22");
    // With the old release's C library, since the program runs there.
    let sysroot = xtask::sysroot::MACHINES[0].sysroot()?;
    clang.args(["-O2", "--sysroot"]).arg(&sysroot).arg(&source).args(flags.split_whitespace());
    clang.arg("-B").arg(sysroot.join("usr/lib/x86_64-linux-gnu"));
    clang.arg("-L").arg(sysroot.join("usr/lib/x86_64-linux-gnu"));
    run(clang.arg("-o").arg(&program))?;
    let mode = root.run("/tmp/program")?;
    ensure!(mode == "inline\n", "the program's calls run in the mode {mode}");
    root.run("static-call-inspect --require-all-direct /tmp/program")?;
    root.run("dpkg --verify static-call libstatic-call0 libstatic-call-dev")?;
    root.run(&format!("rm -r /tmp/program /tmp/program.c {HOME}/.cache"))?;
    root.run("dpkg --purge libstatic-call-dev libstatic-call0 static-call")?;
    root.is_as(&before, "dpkg --purge")?;
    println!("the archive and the packages work in Debian {RELEASE}, and leave nothing");
    fs::remove_dir_all(&root.0).with_context(|| format!("cannot remove {}", root.0.display()))
}

struct Root(PathBuf);

impl Root {
    fn make() -> Result<Self> {
        let path = target().join("dist/root");
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        let mut make = Command::new("mmdebstrap");
        make.args(["--quiet", "--variant=essential", RELEASE]).arg(&path);
        make.arg(xtask::unpack::mirror()?);
        run(&mut make)?;
        let root = Self(path);
        fs::create_dir_all(root.home(""))?;
        Ok(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn home(&self, path: &str) -> PathBuf {
        self.path(HOME.trim_start_matches('/')).join(path)
    }

    /// The compiler that this repository uses, which runs on old releases too.
    fn add_rustc(&self) -> Result<()> {
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()))?;
        let from = Path::new(sysroot.trim());
        let (to, libraries) = (self.path("opt/rust"), "lib/rustlib/x86_64-unknown-linux-gnu/lib");
        fs::create_dir_all(to.join("bin"))?;
        fs::create_dir_all(to.join(libraries))?;
        let copy = |from: &Path, to: &Path| {
            // A second name takes no space, but only on one file system.
            fs::hard_link(from, to)
                .or_else(|_| fs::copy(from, to).map(drop))
                .with_context(|| format!("cannot copy {}", from.display()))
        };
        copy(&from.join("bin/rustc"), &to.join("bin/rustc"))?;
        for directory in ["lib", libraries] {
            for entry in fs::read_dir(from.join(directory))? {
                let path = entry?.path();
                if path.is_file() {
                    copy(&path, &to.join(directory).join(path.file_name().context("a file")?))?;
                }
            }
        }
        std::os::unix::fs::symlink("/opt/rust/bin/rustc", self.path("usr/bin/rustc"))?;
        Ok(())
    }

    /// Runs a shell's command in the root, as a user would: with a home, and `/proc`.
    fn run(&self, command: &str) -> Result<String> {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--fork", "--pid", "--mount", "--mount-proc"])
            .arg(format!("--root={}", self.0.display()));
        unshare.args(["/bin/sh", "-ec", command]).env_clear();
        unshare.envs([("HOME", HOME), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C.UTF-8")]);
        unshare.envs([("DEBIAN_FRONTEND", "noninteractive")]);
        output(&mut unshare).with_context(|| format!("in Debian {RELEASE}"))
    }

    /// The names of all files, except for what dpkg keeps of its own work.
    fn files(&self) -> Result<BTreeSet<PathBuf>> {
        const OF_DPKG: [&str; 4] =
            ["var/lib/dpkg", "var/log/dpkg.log", "var/cache/ldconfig", "etc/ld.so.cache"];
        let mut files = BTreeSet::new();
        for top in ["etc", "home", "opt", "root", "srv", "tmp", "usr", "var"] {
            for file in files_below(&self.path(top))? {
                let path = file.strip_prefix(&self.0)?.to_owned();
                if !OF_DPKG.iter().any(|own| path.starts_with(own)) {
                    files.insert(path);
                }
            }
        }
        Ok(files)
    }

    /// Whether the files are those of before.
    fn is_as(&self, before: &BTreeSet<PathBuf>, what: &str) -> Result<()> {
        let now = self.files()?;
        let differing: Vec<_> = now.symmetric_difference(before).collect();
        ensure!(differing.is_empty(), "after {what} these files are new or gone: {differing:?}");
        let leftover: Vec<PathBuf> = [
            self.home(".local/share/static-call"),
            self.home(".cache/static-call"),
            self.path("usr/lib/static-call"),
        ]
        .into_iter()
        .filter(|path| path.exists())
        .collect();
        ensure!(leftover.is_empty(), "{what} leaves {leftover:?}");
        Ok(())
    }
}
