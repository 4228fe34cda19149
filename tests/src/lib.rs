//! What the whole-program tests share: the installed prefix, compilers, and a look into binaries.
//!
//! The tests use static-call as a user would, from `target/prefix`, where `cargo xtask test` installs it.

pub mod binary;
pub mod c;
pub mod platform;
pub mod rust;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use platform::platform;

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    // As cargo names it now: in a copied repository, the one in which this was compiled is another one.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    package.parent().expect("tests lie in the repository").into()
}

/// The directory of build products.
#[must_use]
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root().join(target),
        None => root().join("target"),
    }
}

/// Where static-call is installed.
///
/// # Panics
///
/// If it is not.
#[must_use]
pub fn prefix() -> PathBuf {
    let prefix = match platform() {
        platform if platform.is_foreign() => target().join("cross").join(platform.name).join("prefix"),
        _ => target().join("prefix"),
    };
    assert!(
        plugin_in(&prefix).exists(),
        "static-call is not installed in {}: run `cargo xtask test`, which does that first",
        prefix.display()
    );
    prefix
}

/// The installation, copied to a directory that no build has ever seen, at this path below it.
///
/// # Panics
///
/// If that fails.
#[must_use]
pub fn moved(to: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let there = directory.path().join(to);
    std::fs::create_dir_all(there.parent().expect("below the directory")).expect("a directory");
    run(Command::new("cp").arg("-a").arg(prefix()).arg(&there));
    (directory, there)
}

/// The pass below a prefix.
#[must_use]
pub fn plugin_in(prefix: &Path) -> PathBuf {
    prefix.join("lib/static-call/libstatic_call_pass.so")
}

/// Puts another pass into a moved prefix, as an installation does: its name for clang is another one, too.
///
/// # Panics
///
/// If that fails.
pub fn install_another_pass(prefix: &Path) {
    let plugin = plugin_in(prefix);
    let mut content = std::fs::read(&plugin).expect("the pass");
    content.push(0);
    std::fs::write(&plugin, content).expect("the pass");
    let directory = plugin.parent().expect("a directory");
    let names =
        std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let mut names = names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with("pass-"));
    let old = names.next().expect("a name with the pass's hash");
    let new = format!("{old}0");
    std::fs::rename(directory.join(&old), directory.join(&new)).expect("the link");
    for file in ["lib/pkgconfig/static-call.pc", "lib/cmake/StaticCall/StaticCallConfig.cmake"] {
        let text = std::fs::read_to_string(prefix.join(file)).expect("a file");
        assert!(text.contains(&old), "{file}");
        std::fs::write(prefix.join(file), text.replace(&old, &new)).expect("a file");
    }
}

/// The installed pass.
#[must_use]
pub fn plugin() -> PathBuf {
    plugin_in(&prefix())
}

/// A program of LLVM 22, by its plain name.
#[must_use]
pub fn llvm(program: &str) -> Command {
    Command::new(format!("{program}-22"))
}

/// clang or clang++ for the machine that programs are built for.
#[must_use]
pub fn plain_clang(name: &str) -> Command {
    let mut clang = llvm(name);
    clang.args(platform().clang_flags());
    clang
}

/// clang with the pass and the header, but without a library to link.
#[must_use]
pub fn clang() -> Command {
    let mut clang = plain_clang("clang");
    clang.arg(format!("-fpass-plugin={}", plugin().display()));
    clang.arg("-I").arg(prefix().join("include"));
    clang
}

/// The flags that link the static C library.
#[must_use]
pub fn link_flags() -> Vec<PathBuf> {
    vec![prefix().join("lib/libstatic_call.a")]
}

/// A program that was built for the machine that the tests are about.
#[must_use]
pub fn execute(program: &Path) -> Command {
    platform().execute(program)
}

/// Runs a command, which has to succeed.
///
/// # Panics
///
/// If it does not.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// What a command prints, which has to succeed.
pub fn stdout(command: &mut Command) -> String {
    String::from_utf8(run(command).stdout).expect("UTF-8")
}

/// What a command prints on standard error while it fails, which it has to.
///
/// # Panics
///
/// If it succeeds.
pub fn failure(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(!output.status.success(), "{command:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
