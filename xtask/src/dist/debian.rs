//! Debian packages of an archive's files: `static-call` (the programs and the pass), `libstatic-call0` (the
//! shared library) and `libstatic-call-dev` (headers, libraries and build systems' packages).
//!
//! They follow Debian's policy as far as a package that Debian has not reviewed can: dependencies, md5sums,
//! a copyright file, compressed manuals, and a trigger for the dynamic linker's cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use xtask::run::{output, root, run};
use xtask::sysroot::{GLIBC, Machine};

use super::check::files_below;

const VERSION: &str = env!("CARGO_PKG_VERSION");

struct Package {
    name: &'static str,
    section: &'static str,
    depends: &'static str,
    suggests: &'static str,
    summary: &'static str,
    description: &'static str,
}

const PROGRAMS: Package = Package {
    name: "static-call",
    section: "devel",
    depends: "libc6 (>= GLIBC), libgcc-s1",
    suggests: "clang, libstatic-call-dev (= VERSION), rustc",
    summary: "compiler pass for calls through rarely changing function pointers",
    description: " The pass makes such calls direct, in Rust, C and C++ programs; a small runtime\n \
                  patches them at each update. This package has the pass, the wrapper that\n \
                  loads it into rustc, cargo static-call, and an inspector of programs.\n",
};
const LIBRARY: Package = Package {
    name: "libstatic-call0",
    section: "libs",
    depends: "libc6 (>= GLIBC)",
    suggests: "",
    summary: "runtime of static calls in C and C++ programs",
    description: " It patches calls through rarely changing function pointers at each update.\n",
};
const DEVELOPMENT: Package = Package {
    name: "libstatic-call-dev",
    section: "libdevel",
    depends: "libstatic-call0 (= VERSION), static-call (= VERSION)",
    suggests: "cmake, pkgconf",
    summary: "headers and libraries of static calls for C and C++",
    description: " Headers, static libraries, and packages for pkg-config and CMake with the flags\n \
                  that load the pass into clang, and for gcc.\n",
};

impl Package {
    /// Whether a file of the archive belongs to it. None: to no package.
    fn of(path: &Path) -> Option<&'static Self> {
        let text = path.to_str()?;
        let is_below = |directory: &str| text.starts_with(directory);
        if ["README", "SHA256SUMS", "meson.build"].contains(&text) {
            None
        } else if text == "lib/libstatic_call.so.0" {
            Some(&LIBRARY)
        } else if is_below("include/")
            || is_below("lib/pkgconfig/")
            || is_below("lib/cmake/")
            || is_below("lib/libstatic_call")
            || is_below("share/man/man3/")
        {
            Some(&DEVELOPMENT)
        } else {
            Some(&PROGRAMS)
        }
    }
}

/// Makes the packages of an archive's directory.
pub(super) fn make(tree: &Path, directory: &Path, machine: Machine, epoch: u64) -> Result<Vec<PathBuf>> {
    let stage = directory.join("debian").join(machine.debian);
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("cannot remove {}", stage.display()))?;
    }
    for file in files_below(tree)? {
        let path = file.strip_prefix(tree)?;
        if let Some(package) = Package::of(path) {
            // Debian's zsh looks there for the completions of packages.
            let path = match path.strip_prefix("share/zsh/site-functions") {
                Ok(name) => Path::new("share/zsh/vendor-completions").join(name),
                Err(_) => path.to_owned(),
            };
            let there = stage.join(package.name).join("usr").join(path);
            fs::create_dir_all(there.parent().context("a directory")?)?;
            run(Command::new("cp").arg("-a").arg(&file).arg(&there))?;
        }
    }
    [&PROGRAMS, &LIBRARY, &DEVELOPMENT]
        .into_iter()
        .map(|package| build(package, &stage.join(package.name), directory, machine, epoch))
        .collect()
}

fn build(package: &Package, root: &Path, to: &Path, machine: Machine, epoch: u64) -> Result<PathBuf> {
    ensure!(root.join("usr").is_dir(), "the archive has no file for the package {}", package.name);
    add_documents(package, root)?;
    for file in files_below(&root.join("usr"))? {
        // Debian compresses manuals and changelogs. Neither a name nor a time goes into the file.
        let is_manual = file.components().any(|part| part.as_os_str() == "man")
            && file.extension() != Some("gz".as_ref());
        if is_manual || file.ends_with("CHANGELOG.md") {
            run(Command::new("gzip").args(["-9", "--no-name"]).arg(&file))?;
        }
    }
    let changes = root.join("usr/share/doc").join(package.name).join("changelog");
    let date = output(Command::new("date").args(["--utc", "-R", "--date", &format!("@{epoch}")]))?;
    let text = format!(
        "static-call ({VERSION}) unstable; urgency=medium\n\n  * /usr/share/doc/static-call/CHANGELOG.md.gz \
         has the changes.\n\n -- static-call <{}>  {date}",
        maintainer()
    );
    fs::write(&changes, text).with_context(|| format!("cannot write {}", changes.display()))?;
    run(Command::new("gzip").args(["-9", "--no-name"]).arg(&changes))?;

    let files = files_below(&root.join("usr"))?;
    let size: u64 = files.iter().filter_map(|file| Some(file.symlink_metadata().ok()?.len())).sum();
    let debian = root.join("DEBIAN");
    fs::create_dir_all(&debian)?;
    let replace =
        |text: &str| text.replace("GLIBC", &format!("{}.{}", GLIBC.0, GLIBC.1)).replace("VERSION", VERSION);
    let mut control = format!(
        "Package: {}\nVersion: {VERSION}\nArchitecture: {}\nMaintainer: static-call <{}>\n\
         Installed-Size: {}\nSection: {}\nPriority: optional\nHomepage: {}\nDepends: {}\n",
        package.name,
        machine.debian,
        maintainer(),
        size.div_ceil(1024),
        package.section,
        env!("CARGO_PKG_REPOSITORY"),
        replace(package.depends),
    );
    if !package.suggests.is_empty() {
        control += &format!("Suggests: {}\n", replace(package.suggests));
    }
    control += &format!("Description: {}\n{}", package.summary, package.description);
    fs::write(debian.join("control"), control)?;

    let mut paths = Vec::new();
    for file in files.iter().filter(|file| !file.is_symlink()) {
        paths.push(file.strip_prefix(root)?);
    }
    fs::write(debian.join("md5sums"), output(Command::new("md5sum").args(paths).current_dir(root))?)?;
    if package.name == LIBRARY.name {
        fs::write(debian.join("shlibs"), format!("libstatic_call 0 {} (>= {VERSION})\n", LIBRARY.name))?;
        fs::write(debian.join("triggers"), "activate-noawait ldconfig\n")?;
    }
    run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(root))?;
    if package.name == LIBRARY.name {
        run(Command::new("chmod").arg("a-x").arg(root.join("usr/lib/libstatic_call.so.0")))?;
    }
    // dpkg-deb changes only the times that are later.
    let mut touch = Command::new("find");
    touch.arg(root).args(["-exec", "touch", "--no-dereference", "--date", &format!("@{epoch}"), "{}", "+"]);
    run(&mut touch)?;
    let name = format!("{}_{VERSION}_{}.deb", package.name, machine.debian);
    let file = to.join(name);
    let mut pack = Command::new("dpkg-deb");
    // Debian 11's dpkg does not know zstd.
    pack.args(["--root-owner-group", "-Zxz", "-z6", "--build"]).arg(root).arg(&file);
    run(pack.env("SOURCE_DATE_EPOCH", epoch.to_string()).stdout(std::process::Stdio::null()))?;
    Ok(file)
}

/// Debian wants an address: those who read it reach the project by its page.
fn maintainer() -> &'static str {
    "noreply@static-call.invalid"
}

/// The copyright file, and the licences of the other two packages.
fn add_documents(package: &Package, stage: &Path) -> Result<()> {
    let documents = stage.join("usr/share/doc").join(package.name);
    fs::create_dir_all(&documents)?;
    let license = fs::read_to_string(root().join("LICENSE-MIT")).context("cannot read LICENSE-MIT")?;
    let Some(holder) = license.lines().find(|line| line.starts_with("Copyright")) else {
        bail!("LICENSE-MIT has no line `Copyright …`")
    };
    let holder = holder.trim_start_matches("Copyright").trim().trim_start_matches("(c)").trim();
    let body: String = license
        .lines()
        .filter(|line| !line.starts_with("Copyright") && *line != "MIT License")
        .skip_while(|line| line.is_empty())
        .map(|line| if line.is_empty() { " .\n".to_owned() } else { format!(" {line}\n") })
        .collect();
    let copyright = format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: static-call\nSource: {}\n\n\
         Files: *\nCopyright: {holder}\nLicense: Expat or Apache-2.0\n\
         Comment: The programs contain Rust crates and libstdc++, with licences of their own, which\n \
         /usr/share/doc/static-call/sbom.spdx.json lists, beside their texts in licenses/.\n\n\
         License: Expat\n{body}\n\
         License: Apache-2.0\n See /usr/share/common-licenses/Apache-2.0.\n",
        env!("CARGO_PKG_REPOSITORY"),
    );
    fs::write(documents.join("copyright"), copyright)?;
    if package.name == PROGRAMS.name {
        // Debian has the text, and the other one is in the copyright file.
        for license in ["LICENSE-APACHE", "LICENSE-MIT"] {
            fs::remove_file(documents.join(license))
                .with_context(|| format!("the archive has no {license}"))?;
        }
    }
    Ok(())
}
