//! The installed prefix, and copies of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::run;
use crate::paths::target;
use crate::platform::platform;

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

/// Copies the installation to this path below a new directory, which no earlier build can have seen.
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
    prefix.join(static_call_abi::installation::PASS_PATH)
}

/// Puts another pass into a moved prefix as an installation would, including the new link with its hash.
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
    for file in [
        "lib/pkgconfig/static-call.pc",
        "lib/pkgconfig/static-call-lto.pc",
        "lib/cmake/StaticCall/StaticCallConfig.cmake",
    ] {
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

/// The LLVM versions that the installed pass supports, such as `19, 22`.
///
/// # Panics
///
/// If the plugin does not list them.
#[must_use]
pub fn pass_llvms() -> String {
    let plugin = std::fs::read(plugin()).expect("the plugin");
    static_call_abi::pass_llvms(&plugin).expect("it lists its LLVMs").to_owned()
}
