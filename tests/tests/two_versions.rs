//! Two versions of the crate in one program.

use std::fs;
use std::path::Path;
use std::process::Command;

use static_call_tests::{failure, root, run};

/// A copy of the crate with another version number.
fn copy_as(version: &str, to: &Path) {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("the workspace");
    let (_, package) = workspace.split_once("[workspace.package]").expect("what packages share");
    let own = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(package.contains(&own), "{package}");
    let text = format!("[workspace]\nmembers = [\"runtime\", \"runtime/abi\"]\n[workspace.package]{package}");
    fs::create_dir_all(to.join("runtime")).expect("a directory");
    fs::write(to.join("Cargo.toml"), text.replace(&own, &format!("\"{version}\""))).expect("a file");
    for part in ["abi", "src", "include", "build.rs", "Cargo.toml"] {
        run(Command::new("cp").arg("-r").arg(root().join("runtime").join(part)).arg(to.join("runtime")));
    }
}

/// Both versions define the functions that the pass calls. The linker would report each of them without
/// naming the crates.
#[test]
fn cargo_refuses_two_versions_by_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    copy_as("0.9.0", &at("other"));
    let here = root().join("runtime").display().to_string();
    let other = at("other/runtime").display().to_string();
    let package = |name: &str, dependencies: &str| {
        fs::create_dir_all(at(name).join("src")).expect("a directory");
        let text = format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n[dependencies]\n{dependencies}[workspace]\n"
        );
        fs::write(at(name).join("Cargo.toml"), text).expect("a file");
        fs::write(at(name).join("src/lib.rs"), "").expect("a file");
    };
    let version = |path: &str| format!("static-call = {{ path = {path:?}, default-features = false }}\n");
    package("one", &version(&other));
    package("two", &format!("one = {{ path = \"../one\" }}\n{}", version(&here)));
    let cargo = |name: &str| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args(["check", "--offline"]).current_dir(at(name)).env("CARGO_TARGET_DIR", at("target"));
        cargo
    };
    run(&mut cargo("one"));
    let message = failure(&mut cargo("two"));
    for part in ["links to the native library `static-call`", "package `static-call v0.", "package `two"] {
        assert!(message.contains(part), "{message}");
    }
}
