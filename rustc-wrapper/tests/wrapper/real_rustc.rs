//! The options, given to the compiler that builds this test.

use std::fs;
use std::process::{Command, Output};

use crate::world::{WRAPPER, World};

/// Compiles without code generation, so rustc loads no plugin. `None`: rustc has another LLVM than the
/// plugin.
fn check(source: &str) -> Option<Output> {
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let version = Command::new(&rustc).arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    if !version.contains("LLVM version: 22.") || version.contains("-nightly") {
        eprintln!("not tested with this rustc: {version}");
        return None;
    }
    let world = World::new();
    let file = world.path("demo.rs");
    fs::write(&file, source).unwrap();
    let mut command = Command::new(WRAPPER);
    command.arg(rustc).arg(file).args(["--crate-type=lib", "--emit=metadata", "-Dwarnings"]);
    command.arg("--out-dir").arg(world.path("")).env_remove("RUSTC_BOOTSTRAP");
    command.env("STATIC_CALL_PASS", world.plugin()).env("STATIC_CALL_REQUIRE", "1");
    command.env("XDG_CACHE_HOME", world.path("cache"));
    Some(command.output().unwrap())
}

#[test]
fn rustc_takes_the_flags() {
    let source = "
        #[cfg(not(static_call_pass))] compile_error!(\"no cfg\");
        #[cfg(static_call_pass = \"another\")] compile_error!(\"another hash\");
    ";
    if let Some(output) = check(source) {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn stable_rustc_still_refuses_features() {
    if let Some(output) = check("#![feature(never_type)] pub fn f() -> Option<!> { None }") {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{stderr}");
        assert!(stderr.contains("the feature `never_type` is not in the list of allowed"), "{stderr}");
    }
}
