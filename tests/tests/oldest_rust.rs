//! The crate in a program outside the workspace, with the oldest Rust version that it supports.

use std::fs;
use std::process::Command;

use static_call_tests::platform::platform;
use static_call_tests::{root, rust, stdout};

const MAIN: &str = r#"
static_call::define! {
    static KEY: fn(u64) -> u64 = once;
    pub static HOOK: Option<fn(&str)> = None;
}

fn once(number: u64) -> u64 {
    number
}

fn main() {
    HOOK.call("off");
    let updated = KEY.update(|number| 2 * number);
    println!("{} {} {}", KEY.call(2), updated.is_ok(), static_call::mode());
}
"#;

/// cargo's argument for a toolchain of that version.
fn installed(version: &str) -> Option<String> {
    let output = Command::new("rustup").args(["toolchain", "list"]).output().ok()?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    let name = list.split_whitespace().find(|name| name.starts_with(version))?;
    Some(format!("+{name}"))
}

#[test]
fn a_program_builds_with_the_oldest_rust() {
    if platform().is_foreign() {
        return;
    }
    let oldest = rust::oldest();
    let Some(toolchain) = installed(&oldest) else {
        eprintln!("skipped: no Rust {oldest}; `rustup toolchain install {oldest} --profile minimal`");
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(directory.path().join("src")).expect("a directory");
    fs::write(directory.path().join("src/main.rs"), MAIN).expect("a file");
    let cases = [("true", "4 true trampoline\n"), ("false", "4 true generic\n")];
    for (default_features, expected) in cases {
        let manifest = format!(
            "[package]\nname = \"old\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[dependencies]\n\
             static-call = {{ path = {:?}, default-features = {default_features} }}\n[workspace]\n",
            root().join("runtime")
        );
        fs::write(directory.path().join("Cargo.toml"), manifest).expect("a file");
        let mut cargo = rust::cargo(None, directory.path());
        let said = stdout(cargo.arg(&toolchain).args(["run", "--quiet"]));
        assert_eq!(said, expected, "default-features = {default_features}");
    }
}
