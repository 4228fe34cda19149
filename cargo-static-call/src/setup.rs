//! `cargo static-call setup`: puts the programs and the pass of a released archive where `cargo static-call`
//! and the wrapper look for them, for one user.
//!
//! ```text
//! ~/.local/share/static-call/VERSION-XXXXXX/     an archive's files
//! ~/.local/share/static-call/current             a link to the one that is used
//! ```
//!
//! An archive is unpacked and checked in a directory beside the others, and a rename of the link chooses it.
//! So a reader sees the old installation or the new one, and an archive that is refused changes nothing.
//!
//! An archive is a stranger's file: its paths stay below its own directory, its links lead to a file beside
//! them, and it unpacks to a bounded size. Its list of checksums shows damage, but not where it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sha2::{Digest, Sha256};
use static_call_abi::installation::PASS_PATH;

use crate::cargo::data_directory;
use crate::glibc::{self, Needs};
use crate::system;

/// The list of checksums in an archive's directory.
const SUMS: &str = "SHA256SUMS";
/// The link to the installation that is used.
const CURRENT: &str = "current";
/// Much more than an archive has.
const MOST_FILES: usize = 10_000;
const MOST_BYTES: u64 = 1 << 30;

/// Put a released archive's programs and pass where `cargo static-call` looks for them
///
/// They go to $XDG_DATA_HOME/static-call, which is ~/.local/share/static-call by default, and replace what
/// another `setup` has put there. An archive that is damaged, or for another machine, glibc or version,
/// changes nothing.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Setup {
    /// The archive, such as static-call-VERSION-x86_64-linux.tar.zst
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Remove what `setup` has installed, and what the wrapper has cached
    #[arg(long)]
    remove: bool,
}

impl Setup {
    /// Installs or removes, and says what it did.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let done = match &self.from {
            Some(archive) => install(archive),
            None => remove(),
        };
        match done {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("cargo-static-call: error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

fn install(archive: &Path) -> Result<String> {
    let shown = archive.display();
    let file = File::open(archive).with_context(|| format!("cannot open {shown}"))?;
    ensure!(
        !file.metadata().is_ok_and(|data| data.is_dir()),
        "{shown} is a directory: an unpacked archive works where it lies (its bin/ goes into PATH); \
         to set it up, name the .tar.zst file"
    );
    let directory = directory()?;
    let place = Place::make(&directory)?;
    let installed =
        unpack_and_check(file, &place).with_context(|| format!("nothing was installed from {shown}"));
    if installed.is_err() {
        place.clean();
    }
    let unpacked = installed?;
    let facts = place.choose(unpacked)?;
    Ok(format!(
        "static-call {} is set up in {}, with the pass for LLVM {facts}\n\
         Rust:  cargo static-call doctor; cargo static-call build --release\n\
         C:     export PKG_CONFIG_PATH={}",
        env!("CARGO_PKG_VERSION"),
        directory.display(),
        directory.join(CURRENT).join("lib/pkgconfig").display(),
    ))
}

fn unpack_and_check(archive: File, place: &Place) -> Result<Unpacked> {
    let draft = place.draft()?;
    let sums = unpack(archive, draft.path())?;
    check_sums(draft.path(), &sums)?;
    let llvms = check_programs(draft.path(), &sums)?;
    Ok(Unpacked { draft, llvms })
}

/// An archive that was found to be good.
struct Unpacked {
    draft: tempfile::TempDir,
    /// The LLVMs of its pass.
    llvms: String,
}

/// The directory for installations, locked.
struct Place {
    directory: PathBuf,
    /// Whether this made it.
    is_new: bool,
    _lock: File,
}

impl Place {
    fn make(directory: &Path) -> Result<Self> {
        let shown = directory.display();
        let is_new = !directory.exists();
        fs::create_dir_all(directory).with_context(|| {
            format!("cannot create {shown}; make it writable, or set XDG_DATA_HOME to a directory of yours")
        })?;
        let lock = File::open(directory).with_context(|| format!("cannot open {shown}"))?;
        // File systems without locks are ignored, as cargo does.
        let _ = lock.lock();
        Ok(Self { directory: directory.to_owned(), is_new, _lock: lock })
    }

    /// A directory for what is not yet known to be good. It is removed unless it is chosen.
    fn draft(&self) -> Result<tempfile::TempDir> {
        let shown = self.directory.display();
        let draft = tempfile::Builder::new().prefix(".new-").tempdir_in(&self.directory);
        draft.with_context(|| {
            format!("cannot write to {shown}; make it writable, or set XDG_DATA_HOME to a directory of yours")
        })
    }

    /// Makes an unpacked archive the one that is used, and removes the others. Returns its LLVMs.
    fn choose(&self, unpacked: Unpacked) -> Result<String> {
        let Unpacked { draft, llvms } = unpacked;
        let cannot = || format!("cannot install into {}", self.directory.display());
        let random = draft.path().file_name().unwrap_or_default().to_string_lossy().replace(".new-", "");
        let name = format!("{}-{random}", env!("CARGO_PKG_VERSION"));
        fs::set_permissions(draft.path(), Permissions::from_mode(0o755)).with_context(cannot)?;
        let there = self.directory.join(&name);
        fs::rename(draft.path(), &there).with_context(cannot)?;
        let link = self.directory.join(format!(".link-{random}"));
        let linked = symlink(&name, &link).and_then(|()| fs::rename(&link, self.directory.join(CURRENT)));
        if let Err(error) = linked {
            let _ = (fs::remove_file(&link), fs::remove_dir_all(&there));
            return Err(error).with_context(cannot);
        }
        for old in self.installations()?.into_iter().filter(|old| *old != there) {
            let gone = fs::remove_dir_all(&old);
            gone.with_context(|| format!("cannot remove the old {}", old.display()))?;
        }
        Ok(llvms)
    }

    /// The directories that `setup` has made, also those that it had no time to remove.
    fn installations(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.directory);
        let entries = entries.with_context(|| format!("cannot read {}", self.directory.display()))?;
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_directory = fs::symlink_metadata(path).is_ok_and(|data| data.is_dir());
            is_directory && (name.starts_with(".new-") || path.join(SUMS).is_file())
        };
        Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_ours).collect())
    }

    /// After a failure: leaves no empty directory that was not there before.
    fn clean(&self) {
        if self.is_new {
            let _ = fs::remove_dir(&self.directory); // Not if it holds anything.
        }
    }
}

fn remove() -> Result<String> {
    let directory = directory()?;
    let shown = directory.display();
    let mut is_gone = false;
    if directory.is_dir() {
        let place = Place::make(&directory)?;
        let link = directory.join(CURRENT);
        if link.is_symlink() {
            fs::remove_file(&link).with_context(|| format!("cannot remove {}", link.display()))?;
            is_gone = true;
        }
        for installation in place.installations()? {
            let gone = fs::remove_dir_all(&installation);
            gone.with_context(|| format!("cannot remove {}", installation.display()))?;
            is_gone = true;
        }
        match fs::remove_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                eprintln!(
                    "cargo-static-call: {shown} stays, because it has files that are not of static-call"
                )
            }
            result => result.with_context(|| format!("cannot remove {shown}"))?,
        }
    }
    remove_cache()?;
    Ok(match is_gone {
        true => format!("removed static-call from {shown}"),
        false => format!("nothing is set up in {shown}"),
    })
}

/// Removes what the wrapper has cached: files whose names are hashes.
fn remove_cache() -> Result<()> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(absolute("HOME")?.join(".cache"));
    let Some(base) = absolute("XDG_CACHE_HOME").or_else(home) else { return Ok(()) };
    let cache = base.join("static-call");
    // As the wrapper, follow no link.
    if !fs::symlink_metadata(&cache).is_ok_and(|data| data.is_dir()) {
        return Ok(());
    }
    let cannot = || format!("cannot remove the wrapper's cache {}", cache.display());
    for entry in fs::read_dir(&cache).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name.len() == 16 && name.chars().all(|c| c.is_ascii_hexdigit()) {
            fs::remove_file(&path).with_context(cannot)?;
        }
    }
    match fs::remove_dir(&cache) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error).with_context(cannot),
        _ => Ok(()),
    }
}

fn directory() -> Result<PathBuf> {
    data_directory().context("neither XDG_DATA_HOME nor HOME is an absolute path: set one of them")
}

/// The checksums of an archive's files, by their paths.
type Sums = BTreeMap<PathBuf, String>;

/// Unpacks an archive without its one directory. Returns the checksums of the files that it wrote.
fn unpack(archive: File, to: &Path) -> Result<Sums> {
    const DAMAGED: &str = "the archive is damaged; get it again";
    let mut archive = BufReader::new(archive);
    let is_gzip = archive.fill_buf().context("cannot read it")?.starts_with(&[0x1f, 0x8b]);
    ensure!(!is_gzip, "it is compressed with gzip, for build systems; name the .tar.zst of the same release");
    let stream = ruzstd::decoding::StreamingDecoder::new(archive)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("it is no archive of static-call (.tar.zst), or is damaged; get it again")?;
    let mut archive = tar::Archive::new(stream.take(MOST_BYTES));
    let mut sums = Sums::new();
    let mut links = Vec::new();
    for (count, entry) in archive.entries().context(DAMAGED)?.enumerate() {
        let mut entry = entry.context(DAMAGED)?;
        ensure!(count < MOST_FILES, "the archive has more than {MOST_FILES} files, so it is not ours");
        let path = entry.path().context(DAMAGED)?.into_owned();
        let shown = crate::name::printable(&path.to_string_lossy());
        let Some(path) = below_top(&path) else {
            bail!("the archive has the path {shown}, which leaves its directory, so it is not ours")
        };
        let there = to.join(&path);
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                fs::create_dir_all(&there).with_context(|| format!("cannot create {shown}"))?
            }
            tar::EntryType::Regular => {
                let parent = there.parent().unwrap_or(to);
                let is_program = entry.header().mode().context(DAMAGED)? & 0o100 != 0;
                let write = || {
                    fs::create_dir_all(parent)?;
                    // An existing file is one that the archive has twice.
                    File::create_new(&there)
                };
                let mut file = write().with_context(|| format!("cannot create {shown}"))?;
                let mut sum = Sha256::new();
                let mut buffer = vec![0; 1 << 16];
                loop {
                    let count = entry.read(&mut buffer).context(DAMAGED)?;
                    if count == 0 {
                        break;
                    }
                    sum.update(&buffer[..count]);
                    file.write_all(&buffer[..count]).with_context(|| format!("cannot write {shown}"))?;
                }
                let sum = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                let mode = if is_program { 0o755 } else { 0o644 };
                fs::set_permissions(&there, Permissions::from_mode(mode))?;
                sums.insert(path, sum);
            }
            tar::EntryType::Symlink => {
                let target = entry.link_name().context(DAMAGED)?.context(DAMAGED)?.into_owned();
                let mut parts = target.components();
                ensure!(
                    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)),
                    "the archive has the link {shown}, which leads out of its directory, so it is not ours"
                );
                links.push((there, target));
            }
            _ => bail!("the archive has {shown}, which is no file, directory or link, so it is not ours"),
        }
    }
    // Last, so that no file is written through one.
    for (link, target) in links {
        symlink(&target, &link).with_context(|| format!("cannot create the link {}", link.display()))?;
    }
    Ok(sums)
}

/// A path of an archive without its first part. None: it leaves that directory.
fn below_top(path: &Path) -> Option<PathBuf> {
    let mut parts = path.components().filter(|part| *part != Component::CurDir);
    let is_plain = matches!(parts.next()?, Component::Normal(_));
    let rest: Option<PathBuf> =
        parts.map(|part| matches!(part, Component::Normal(_)).then_some(part)).collect();
    rest.filter(|_| is_plain)
}

/// Compares the files with the archive's own list.
fn check_sums(directory: &Path, sums: &Sums) -> Result<()> {
    let list = fs::read_to_string(directory.join(SUMS))
        .with_context(|| format!("it has no {SUMS}, so it is no archive of static-call, or is damaged"))?;
    let mut listed = BTreeSet::new();
    for line in list.lines() {
        let (sum, path) =
            line.split_once("  ").with_context(|| format!("{SUMS} is damaged; get the archive again"))?;
        let path = Path::new(path);
        ensure!(
            sums.get(path).is_some_and(|found| found == sum),
            "{} is damaged or missing; get the archive again",
            path.display()
        );
        listed.insert(path);
    }
    let unlisted = sums.keys().find(|path| *path != Path::new(SUMS) && !listed.contains(&***path));
    if let Some(path) = unlisted {
        bail!("{SUMS} does not list {}; get the archive again", path.display());
    }
    Ok(())
}

/// Whether this machine can run the programs, and they are of this program's version. Returns the LLVMs of
/// the pass.
fn check_programs(directory: &Path, sums: &Sums) -> Result<String> {
    let own = std::env::current_exe().and_then(fs::read).context("cannot read this program")?;
    let own = glibc::needs(&own)?.context("this program is no ELF file")?;
    let present = system::glibc();
    for path in sums.keys() {
        let data =
            fs::read(directory.join(path)).with_context(|| format!("cannot read {}", path.display()))?;
        let needs = glibc::needs(&data).with_context(|| format!("{} is damaged", path.display()))?;
        let Some(Needs { machine, glibc }) = needs else { continue };
        ensure!(
            machine == own.machine,
            "it is for {} processors, but this program is for {}: get the archive for this machine",
            glibc::processor(machine),
            glibc::processor(own.machine)
        );
        if let (Some(needed), Some(present)) = (glibc, present)
            && needed > present
        {
            bail!(
                "{} needs glibc {}.{}, but this system has {}.{}: use a newer system, or build static-call \
                 here (`cargo xtask install`)",
                path.display(),
                needed.0,
                needed.1,
                present.0,
                present.1
            );
        }
    }
    for needed in [PASS_PATH, "bin/static-call-rustc"] {
        ensure!(
            sums.contains_key(Path::new(needed)),
            "it has no {needed}, so it is no archive of static-call"
        );
    }
    let pass = fs::read(directory.join(PASS_PATH)).context("cannot read the pass")?;
    let version = static_call_abi::pass_version(&pass).unwrap_or("unknown");
    ensure!(
        version == env!("CARGO_PKG_VERSION"),
        "its pass is of static-call {version}, but this program of {}: get the archive of this version, or \
         install cargo-static-call {version}",
        env!("CARGO_PKG_VERSION")
    );
    let llvms = static_call_abi::pass_llvms(&pass).context("its pass does not say which LLVM it is for")?;
    Ok(llvms.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_archives_directory() {
        for (path, expected) in [
            ("top/bin/program", Some("bin/program")),
            ("./top/bin", Some("bin")),
            ("top/", Some("")),
            ("top/../other", None),
            ("../top", None),
            ("/top/file", None),
            ("top/a/../../..", None),
            ("", None),
        ] {
            assert_eq!(below_top(Path::new(path)).as_deref(), expected.map(Path::new), "{path}");
        }
    }
}
