//! Unpacks Debian packages that this machine cannot install: compilers, C library and emulator of a newer
//! release.
//!
//! Nothing outside the directory changes. apt resolves dependencies and checks signatures as usual; then the
//! programs are made to run from where they lie.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::packages;
use crate::run::{output, run};

/// Unpacks `wanted` and its dependencies below `root`: programs for the machine that GNU calls `gnu`.
pub(crate) fn unpack(release: &str, gnu: &str, wanted: &[String], root: &Path) -> Result<()> {
    unpack_once(root, &format!("Debian {release}: {}", wanted.join(" ")), || {
        packages::ensure(&["patchelf"])?;
        let archives = root.join("archives");
        // Programs that run on this machine.
        let mut apt = foreign_apt(&mirror()?, release, "amd64", &archives)?;
        run(apt.args(["install", "-y", "--no-install-recommends", "--download-only"]).args(wanted))?;
        unpack_archives(&archives.join("cache/archives"), root)?;
        fs::remove_dir_all(archives)?;
        // Emulators of other machines take most of the space.
        let architecture = gnu.split('-').next().unwrap_or(gnu);
        for program in files(&root.join("usr/bin"))? {
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with(gnu) && name != format!("qemu-{architecture}") {
                fs::remove_file(&program)?;
            }
        }
        use_own_libraries(root, gnu)
    })
}

/// Fills a directory, unless it was filled to its end with what has this description.
pub(crate) fn unpack_once(root: &Path, description: &str, fill: impl FnOnce() -> Result<()>) -> Result<()> {
    let made_of = root.join("made-of");
    if fs::read_to_string(&made_of).is_ok_and(|text| text == description) {
        return Ok(());
    }
    eprintln!("unpacking {description}");
    let _ = fs::remove_dir_all(root);
    fill()?;
    fs::write(&made_of, description).with_context(|| format!("cannot write {}", made_of.display()))
}

pub(crate) fn unpack_archives(directory: &Path, root: &Path) -> Result<()> {
    for archive in files(directory)? {
        if archive.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(root))?;
        }
    }
    Ok(())
}

/// A separate apt, whose state is in a directory: nothing is installed, and it knows the packages of these
/// suites.
pub(crate) fn foreign_apt(uri: &str, suite: &str, architecture: &str, directory: &Path) -> Result<Command> {
    packages::ensure(&["debian-archive-keyring"])?;
    for empty in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(directory.join(empty))?;
    }
    let sources = directory.join("debian.sources");
    let text = format!(
        "Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
    );
    fs::write(&sources, text).with_context(|| format!("cannot write {}", sources.display()))?;
    let status = directory.join("status");
    fs::write(&status, "").with_context(|| format!("cannot write {}", status.display()))?;
    let apt = || {
        let mut apt = Command::new("apt-get");
        for (name, value) in [
            ("APT::Architecture", architecture.into()),
            ("APT::Architectures", architecture.into()),
            ("Dir::State", directory.join("state")),
            // Nothing is installed. apt's lock lies beside it.
            ("Dir::State::status", status.clone()),
            ("Dir::Cache", directory.join("cache")),
            ("Dir::Etc::SourceList", sources.clone()),
            ("Dir::Etc::SourceParts", "/dev/null".into()),
            // apt's own user could not write here.
            ("APT::Sandbox::User", "root".into()),
        ] {
            apt.arg("-o").arg(format!("{name}={}", value.display()));
        }
        apt.arg("-q").stdout(Stdio::null());
        apt
    };
    run(apt().arg("update"))?;
    Ok(apt())
}

/// The mirror from which this machine gets its packages.
pub fn mirror() -> Result<String> {
    let mut indexes = Command::new("apt-get");
    indexes.args(["indextargets", "--format", "$(REPO_URI)"]);
    let uris = output(indexes.args(["Created-By: Packages", "Origin: Debian", "Label: Debian"]))?;
    Ok(uris.lines().next().unwrap_or("http://deb.debian.org/debian").to_owned())
}

/// Makes the x86-64 programs find their libraries, which are newer than this machine's, and the linkers the C
/// library.
fn use_own_libraries(root: &Path, gnu: &str) -> Result<()> {
    let interpreter = root.join("usr/lib64/ld-linux-x86-64.so.2");
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut programs = files(&root.join("usr/bin"))?;
    for version in files(&root.join("usr/libexec/gcc-cross").join(gnu))? {
        programs.extend(files(&version)?);
    }
    for program in programs.iter().filter(|program| !program.is_symlink()) {
        let patchelf = || Command::new("patchelf");
        let is_dynamic = patchelf().arg("--print-interpreter").arg(program).output()?.status.success();
        if is_dynamic {
            // Unlike RUNPATH, RPATH also applies to the libraries' dependencies.
            let mut patch = patchelf();
            patch.arg("--set-interpreter").arg(&interpreter);
            run(patch.args(["--force-rpath", "--set-rpath"]).arg(&libraries).arg(program))?;
        }
    }
    // A linker script that names the files beside it by absolute paths.
    let script = root.join("usr").join(gnu).join("lib/libc.so");
    let text = fs::read_to_string(&script).with_context(|| format!("cannot read {}", script.display()))?;
    let words = text.split(' ').map(|word| match word.rsplit_once('/') {
        Some((directory, name)) if directory.starts_with("/usr/") => name,
        _ => word,
    });
    let text: Vec<&str> = words.collect();
    fs::write(&script, text.join(" ")).with_context(|| format!("cannot write {}", script.display()))
}

pub(crate) fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
