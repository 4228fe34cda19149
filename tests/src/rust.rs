//! The Rust programs of `tests/rust`, and the kernel of `examples`, built as a user would build them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::{StaticCalls, keys_on_pages_of_their_own};
use crate::commands::{run, stdout};
use crate::compilers::execute;
use crate::installation::{plugin, prefix};
use crate::paths::{root, target};
use crate::platform::platform;

/// One way to build the programs.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The name of the target directory.
    pub name: &'static str,
    /// cargo's argument for another toolchain.
    pub toolchain: Option<&'static str>,
    /// Whether to optimize.
    pub release: bool,
    /// The variable that names the wrapper. None builds without the pass.
    pub wrapper: Option<&'static str>,
    /// More variables for cargo.
    pub environment: &'a [(&'a str, &'a str)],
}

/// The default toolchain's debug build, with the pass.
pub const PLAIN: Build<'_> = Build {
    name: "plain",
    toolchain: None,
    release: false,
    wrapper: Some("RUSTC_WRAPPER"),
    environment: &[],
};

/// The rustc that builds the programs, if not the usual one.
#[must_use]
pub fn other_rustc() -> Option<OsString> {
    std::env::var_os("STATIC_CALL_TEST_RUSTC")
}

impl Build<'_> {
    /// The target directory.
    #[must_use]
    pub fn directory(self) -> PathBuf {
        let tests = target().join("tests");
        // Another machine's programs have directories of their own in it.
        let is_other = other_rustc().is_some() && !platform().is_foreign();
        if is_other { tests.join("other-rustc").join(self.name) } else { tests.join(self.name) }
    }

    /// Builds the program that checks the interface's behaviour. Returns its path.
    #[must_use]
    pub fn behaviour(self) -> PathBuf {
        let directory = self.build(&["-p", "behaviour", "--bin", "behaviour"]);
        directory.join(format!("behaviour{}", platform().program_suffix()))
    }

    /// Builds the packages that cargo's arguments select, by default the default members. Returns the output
    /// directory.
    #[must_use]
    pub fn build(self, selection: &[&str]) -> PathBuf {
        let platform = platform();
        let mut target = self.directory();
        let mut cargo = cargo(self.toolchain, &root().join("tests/rust"));
        cargo.args(["build", "--quiet"]).args(selection).arg("--target-dir").arg(&target);
        if self.release {
            cargo.arg("--release");
        }
        if platform.is_foreign() {
            cargo.args(["--target", platform.name]);
            // The other machines' linkers are in `.cargo/config.toml`.
            if platform.is_unpacked {
                let name = platform.name.replace('-', "_").to_uppercase();
                cargo.env(format!("CARGO_TARGET_{name}_LINKER"), platform.gnu_program("gcc").get_program());
            }
            target.push(platform.name);
        }
        if let Some(variable) = self.wrapper {
            with_the_pass(&mut cargo, variable);
            // Then clang compiles the programs' C; otherwise gcc does.
            let name = platform.name.replace('-', "_");
            cargo.env(format!("CFLAGS_{name}"), platform.clang_flags().join(" "));
        }
        run(cargo.envs(self.environment.iter().copied()));
        target.join(if self.release { "release" } else { "debug" })
    }
}

/// Runs the program that checks the interface's behaviour in a mode, or in its default mode. Returns its
/// output lines by their first word.
#[must_use]
pub fn behaves(program: &Path, mode: Option<&str>) -> HashMap<String, String> {
    let mut command = execute(program);
    command.envs(platform().strict().iter().copied());
    if let Some(mode) = mode {
        command.env("STATIC_CALL_MODE", mode);
    }
    let printed = stdout(&mut command);
    let lines = printed.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(word, rest)| (word.to_owned(), rest.to_owned())).collect()
}

/// Runs that program in all modes and compares its report with the machine code.
///
/// # Panics
///
/// If they differ, or if the program fails.
pub fn behaves_in_all_modes(program: &Path) {
    let sites = StaticCalls::read(program).checked();
    assert!(sites > 60, "{sites}");
    // In PE, `coff.rs` looks at the tables.
    assert!(platform().is_windows() || keys_on_pages_of_their_own(program) > 10);
    for mode in [None, Some("inline"), Some("trampoline"), Some("generic")] {
        // C programs test which one it is.
        if mode.is_none() && platform().is_foreign() {
            continue;
        }
        let said = behaves(program, mode);
        let expected = mode.unwrap_or("inline");
        let number = |word: &str| said[word].parse::<usize>().expect("a number");
        let of_pointers = number("of_pointers");
        assert!(of_pointers > 0);
        let direct = if expected == "inline" { sites - of_pointers } else { 0 };
        assert_eq!(said["mode"], expected);
        assert_eq!(
            (number("sites"), number("direct"), number("through_trampoline")),
            (sites, direct, sites - direct),
            "{expected}"
        );
    }
}

/// The oldest Rust that the crate is for: its `rust-version`.
///
/// # Panics
///
/// If it does not say.
#[must_use]
pub fn oldest() -> String {
    let manifest = fs::read_to_string(root().join("runtime/Cargo.toml")).expect("the manifest");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    version.expect("a version of its own").trim_matches('"').to_owned()
}

/// The cargo that a user would run in a directory, not the one that runs this test.
#[must_use]
pub fn cargo(toolchain: Option<&str>, directory: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    for (variable, _) in std::env::vars() {
        if variable.starts_with("CARGO") && variable != "CARGO_HOME" || variable.starts_with("RUST") {
            cargo.env_remove(variable);
        }
    }
    if let Ok(home) = std::env::var("RUSTUP_HOME") {
        cargo.env("RUSTUP_HOME", home);
    }
    if let Some(rustc) = other_rustc().filter(|_| toolchain.is_none()) {
        cargo.env("RUSTC", rustc);
    }
    cargo.args(toolchain).current_dir(directory);
    cargo
}

/// `variable` is the one that names the wrapper.
fn with_the_pass(cargo: &mut Command, variable: &str) {
    cargo.env(variable, prefix().join("bin/static-call-rustc"));
    cargo.env("STATIC_CALL_TEST_PASS", plugin()).env("STATIC_CALL_REQUIRE", "1");
}

/// Builds `examples/kernel` for this target, with the pass. Returns the kernel's path.
///
/// # Panics
///
/// If the build fails, or if there is no `core` for the target.
#[must_use]
pub fn kernel(bare_metal: &str) -> PathBuf {
    let target = target().join("tests/kernel");
    let mut cargo = cargo(None, &root().join("examples/kernel"));
    cargo.args(["build", "--quiet", "--release", "--target", bare_metal, "--target-dir"]).arg(&target);
    with_the_pass(&mut cargo, "RUSTC_WRAPPER");
    // Debian's rustc lacks its default linker for bare metal.
    let variable = format!("CARGO_TARGET_{}_LINKER", bare_metal.to_uppercase().replace('-', "_"));
    cargo.env(variable, "ld.lld-22");
    let directory = |rustc: &str, arguments: &[&str]| {
        let output = Command::new(rustc).args(arguments).output().ok()?;
        Some(PathBuf::from(str::from_utf8(&output.stdout).ok()?.trim_end()))
    };
    let has_core = |rustc: &&str| {
        let core = directory(rustc, &["--print", "target-libdir", "--target", bare_metal]);
        core.is_some_and(|core| core.is_dir())
    };
    let has_sources = |rustc: &&str| {
        let sources = directory(rustc, &["--print", "sysroot"]);
        sources.is_some_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/core").is_dir())
    };
    let compilers = ["rustc", "/usr/bin/rustc"];
    if let Some(rustc) = compilers.iter().find(|rustc| has_core(rustc)) {
        cargo.env("RUSTC", rustc);
    } else if let Some(rustc) = compilers.iter().find(|rustc| has_sources(rustc)) {
        cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=core");
    } else {
        panic!(
            "no `core` for {bare_metal}: run `rustup target add {bare_metal}`, or install the Debian \
             packages rustc-web and rust-web-src"
        );
    }
    run(&mut cargo);
    target.join(bare_metal).join("release/kernel")
}
