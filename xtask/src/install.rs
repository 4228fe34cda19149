//! `cargo xtask install`: the compiler wrapper, the pass, the tools and the C library under one directory.
//!
//! ```text
//! bin/static-call-rustc  bin/cargo-static-call  bin/static-call-inspect
//! lib/static-call/libstatic_call_pass.so  lib/static-call/pass-HASH -> libstatic_call_pass.so
//! lib/libstatic_call.a  lib/libstatic_call.so -> libstatic_call.so.0
//! lib/pkgconfig/static-call.pc, static-call-generic.pc
//! lib/cmake/StaticCall/StaticCallConfig.cmake, StaticCallConfigVersion.cmake
//! include/static_call.h
//! ```
//!
//! Everything finds everything else from its own place, so that the directory may be moved.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cross::Machine;
use crate::run::{cargo, root, run, target};
use crate::weaken::weaken;

pub(crate) const PLUGIN: &str = "lib/static-call/libstatic_call_pass.so";

/// Where the tests, the demo and the benchmark have it installed.
pub(crate) fn prefix() -> PathBuf {
    target().join("prefix")
}

/// Into that one. An error if rustc could not load the pass from there, before anything is built.
pub(crate) fn install_here() -> Result<()> {
    let prefix = prefix();
    let has_space = prefix.to_string_lossy().contains(char::is_whitespace);
    ensure!(
        !has_space,
        "rustc splits the paths of its plugins at spaces, and so cannot load one from {}: move the repository, or set \
         CARGO_TARGET_DIR to a directory without a space in its path",
        prefix.display()
    );
    install(&prefix)
}

pub(crate) fn install(prefix: &Path) -> Result<()> {
    install_for(prefix, None)
}

/// Installs what compiles on this machine, with the C library of another one, and the rustc that makes it.
pub(crate) fn install_for(prefix: &Path, machine: Option<(&Machine, Option<&Path>)>) -> Result<()> {
    run(cargo()
        .args(["build", "--quiet", "--release"])
        .args(["-p", "static-call-pass"])
        .args(["-p", "static-call-rustc"])
        .args(["-p", "cargo-static-call"]))?;
    let mut library = cargo();
    library.args(["build", "--quiet", "--profile", "c-library", "-p", "static-call-c"]);
    let products = match machine {
        Some((machine, rustc)) => {
            machine.prepare(&mut library, rustc);
            machine.products(&target())
        }
        None => target(),
    };
    run(&mut library)?;

    let release = target().join("release");
    for program in ["static-call-rustc", "cargo-static-call", "static-call-inspect"] {
        copy(&release.join(program), &prefix.join("bin").join(program))?;
    }
    let plugin = prefix.join(PLUGIN);
    copy(&release.join("libstatic_call_pass.so"), &plugin)?;
    weaken(&plugin)?;
    let pass = link_with_hash(&plugin)?;
    copy(&root().join("runtime/include/static_call.h"), &prefix.join("include/static_call.h"))?;
    cmake_package(&prefix.join("lib/cmake/StaticCall"), &pass)?;

    let library = products.join("c-library");
    copy(&library.join("libstatic_call_c.so"), &prefix.join("lib/libstatic_call.so.0"))?;
    link(&prefix.join("lib/libstatic_call.so"), "libstatic_call.so.0")?;
    let gnu =
        |name: &str| machine.map_or_else(|| Command::new(name), |(machine, _)| machine.gnu_program(name));
    let drops_garbage = machine.is_none_or(|(machine, _)| machine.drops_garbage);
    archive(&library.join("libstatic_call_c.a"), &prefix.join("lib/libstatic_call.a"), drops_garbage, gnu)?;
    for (name, text) in pkg_config(&pass) {
        write(&prefix.join("lib/pkgconfig").join(name), &text)?;
    }
    println!("installed in {}", prefix.display());
    Ok(())
}

/// Cargo that builds with the installed pass into a directory. Cargo does not know the pass, so what another one
/// has built there goes away.
pub(crate) fn cargo_with_pass(directory: &Path) -> Result<Command> {
    let pass = hash(&prefix().join(PLUGIN))?;
    let stamp = directory.join("pass");
    if !fs::read_to_string(&stamp).is_ok_and(|before| before == pass) {
        if directory.exists() {
            fs::remove_dir_all(directory)
                .with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        write(&stamp, &pass)?;
    }
    let mut cargo = cargo();
    cargo
        .env("CARGO_TARGET_DIR", directory)
        .env("RUSTC_WRAPPER", prefix().join("bin/static-call-rustc"))
        .env("STATIC_CALL_REQUIRE", "1");
    Ok(cargo)
}

/// The static library: the one object that link-time optimization made of the runtime, with the C symbols
/// and none of Rust's, so that it links beside any other Rust library.
fn archive(from: &Path, to: &Path, drops_garbage: bool, gnu: impl Fn(&str) -> Command) -> Result<()> {
    let directory = to.parent().expect("a file in lib/");
    let object = directory.join("static_call.o");
    let garbage: &[&str] = if drops_garbage { &["--gc-sections", "--gc-keep-exported"] } else { &[] };
    run(gnu("ld")
        .arg("-r")
        .args(garbage)
        .args(["-u", "__static_call_register", "-o"])
        .arg(&object)
        .arg(from))?;
    run(gnu("objcopy")
        .args(["--wildcard", "-G", "__static_call_*", "-G", "static_call_*"])
        // Bitcode of another LLVM confuses linkers that have LLVM's plugin.
        .args(["--strip-unneeded", "--remove-section=.llvmbc", "--remove-section=.llvmcmd"])
        .arg(&object))?;
    let _ = fs::remove_file(to);
    run(gnu("ar").arg("rcs").arg(to).arg(&object))?;
    fs::remove_file(&object).with_context(|| format!("cannot remove {}", object.display()))
}

/// Links to the pass by a name that has its hash, for clang's flags: neither ccache nor an old sccache looks into a
/// plugin, and Meson before 1.4 takes a flag that ends with `.so` for a library to be linked.
fn link_with_hash(plugin: &Path) -> Result<String> {
    let directory = plugin.parent().expect("it lies in a directory");
    let name = format!("pass-{}", hash(plugin)?);
    for entry in fs::read_dir(directory)?.filter_map(Result::ok) {
        if entry.file_name().as_encoded_bytes().starts_with(b"pass-") {
            fs::remove_file(entry.path())?;
        }
    }
    link(&directory.join(&name), "libstatic_call_pass.so")?;
    Ok(name)
}

pub(crate) fn hash(file: &Path) -> Result<String> {
    let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&content);
    Ok(format!("{:016x}", hasher.finish()))
}

/// Writes the package from its templates.
fn cmake_package(directory: &Path, pass: &str) -> Result<()> {
    for name in ["StaticCallConfig.cmake", "StaticCallConfigVersion.cmake"] {
        let template = root().join("cmake").join(name).with_added_extension("in");
        let text =
            fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
        let text = text.replace("@VERSION@", env!("CARGO_PKG_VERSION")).replace("@PASS@", pass);
        write(&directory.join(name), &text)?;
    }
    Ok(())
}

/// Two packages: the second one is for compilers that cannot load the pass.
fn pkg_config(pass: &str) -> [(&'static str, String); 2] {
    let head = "prefix=${pcfiledir}/../..\nlibdir=${prefix}/lib\nincludedir=${prefix}/include\n";
    let version = env!("CARGO_PKG_VERSION");
    let with_pass = format!(
        "{head}\
         plugin=${{libdir}}/static-call/libstatic_call_pass.so\n\
         \n\
         Name: static-call\n\
         Description: direct calls through function pointers that rarely change (for clang 22)\n\
         Version: {version}\n\
         Requires: static-call-generic = {version}\n\
         Cflags: -fpass-plugin=${{libdir}}/static-call/{pass}\n"
    );
    let generic = format!(
        "{head}\
         \n\
         Name: static-call-generic\n\
         Description: static-call without its pass (for any compiler): calls go through pointers\n\
         Version: {version}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -lstatic_call\n"
    );
    [("static-call.pc", with_pass), ("static-call-generic.pc", generic)]
}

/// Copies a file; one that is in use (a plugin in a running compiler) stays as it is for its user.
fn copy(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    let _ = fs::remove_file(to);
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// A symbolic link in the place of whatever is there.
fn link(from: &Path, to: &str) -> Result<()> {
    let _ = fs::remove_file(from);
    symlink(to, from).with_context(|| format!("cannot make the link {}", from.display()))
}

fn write(to: &Path, text: &str) -> Result<()> {
    make_parent(to)?;
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}

fn make_parent(file: &Path) -> Result<()> {
    let directory = file.parent().expect("files lie below the prefix");
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))
}
