//! The Rust programs of `tests/rust`, built as a user would build them.

use std::path::PathBuf;
use std::process::Command;

use crate::platform::platform;
use crate::{plugin, prefix, root, run, target};

/// One way to build the programs.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The name of the directory of what is built.
    pub name: &'static str,
    /// cargo's argument that names another toolchain.
    pub toolchain: Option<&'static str>,
    /// With optimization.
    pub release: bool,
    /// The variable that names the wrapper; none builds without the pass.
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

impl Build<'_> {
    /// Builds the program that checks the interface's behaviour; the path of its executable.
    #[must_use]
    pub fn behaviour(self) -> PathBuf {
        self.build(&[]).join("behaviour")
    }

    /// Builds what cargo's arguments select, or else the default members; the directory of what was built.
    #[must_use]
    pub fn build(self, selection: &[&str]) -> PathBuf {
        let platform = platform();
        let mut target = target().join("tests").join(self.name);
        let mut cargo = Command::new("cargo");
        // Not the cargo that runs us, but the one that a user types.
        for (variable, _) in std::env::vars() {
            if variable.starts_with("CARGO") && variable != "CARGO_HOME" || variable.starts_with("RUST") {
                cargo.env_remove(variable);
            }
        }
        if let Ok(home) = std::env::var("RUSTUP_HOME") {
            cargo.env("RUSTUP_HOME", home);
        }
        cargo.args(self.toolchain).current_dir(root().join("tests/rust")).args(["build", "--quiet"]);
        cargo.args(selection).arg("--target-dir").arg(&target);
        if self.release {
            cargo.arg("--release");
        }
        if let Some(gnu) = platform.gnu {
            cargo.args(["--target", platform.name]);
            let name = platform.name.replace('-', "_").to_uppercase();
            cargo.env(format!("CARGO_TARGET_{name}_LINKER"), format!("{gnu}-gcc"));
            if let Some(rustc) = std::env::var_os("STATIC_CALL_TEST_RUSTC") {
                cargo.env("RUSTC", rustc);
            }
            target.push(platform.name);
        }
        if let Some(variable) = self.wrapper {
            cargo.env(variable, prefix().join("bin/static-call-rustc"));
            cargo.env("STATIC_CALL_TEST_PASS", plugin()).env("STATIC_CALL_REQUIRE", "1");
        }
        run(cargo.envs(self.environment.iter().copied()));
        target.join(if self.release { "release" } else { "debug" })
    }
}
