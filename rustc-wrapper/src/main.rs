//! `static-call-rustc`: a rustc wrapper for cargo that adds the static-call pass to compilations.
//!
//! ```text
//! RUSTC_WRAPPER=static-call-rustc cargo build
//! ```
//!
//! Cargo calls it as `static-call-rustc [WORKSPACE_WRAPPER] RUSTC ARGS…`. It replaces itself by that command,
//! so the exit code and signals are rustc's own (except for very long command lines, see [`long`]). It
//! appends to the options of a compilation:
//!
//! | argument | purpose |
//! |---|---|
//! | `-Zllvm-plugins=PATH` | loads the pass |
//! | `--cfg static_call_pass` | the macros expand to the form that the pass lowers |
//! | `--cfg static_call_pass="HASH"` | compilation caches distinguish plugins |
//! | `--check-cfg cfg(static_call_pass,values(any()))` | no warning about these names |
//! | `-Clink-arg=-Wl,--no-gc-sections` | for `windows-gnu`: see [`linker`] |
//! | `-Zallow-features=` and others, with `RUSTC_BOOTSTRAP=1` | see [`stability`] |
//!
//! Queries to the compiler ([`Invocation::is_probe`]) pass through unchanged. If the pass cannot be loaded
//! ([`Unavailable`]), the program is built without it, which is correct but slower. In that case the wrapper
//! waits for rustc and then tells cargo that the crate depends on [`variables::REQUIRE`] (see
//! [`run_and_note`]).
//!
//! [`variables`] lists the environment variables. `STATIC_CALL_RUSTC_WRAPPER` names another wrapper to use as
//! well. It must come after this one: sccache, for example, does not recognize `static-call-rustc` as a
//! compiler, and would not see the plugin's hash.

#![forbid(unsafe_code)]

mod cache;
mod ending;
mod invocation;
mod linker;
mod long;
mod plugin;
mod stability;
mod toolchain;
mod unavailable;
mod variables;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use ending::{cannot_run, exit_code};
use invocation::Invocation;
use plugin::Plugin;
use toolchain::Toolchain;
use unavailable::Unavailable;

fn main() -> ExitCode {
    let Some(invocation) = Invocation::parse(std::env::args_os().skip(1)) else {
        eprintln!(
            "static-call-rustc: no compiler given; run this program through cargo: \
             `RUSTC_WRAPPER=static-call-rustc cargo build`. If you use another wrapper, such as sccache, \
             set {} to it",
            variables::CHAINED_WRAPPER
        );
        return ExitCode::FAILURE;
    };
    let added = if invocation.is_probe() { Ok(Added::default()) } else { pass_for(&invocation) };
    let command = |added: &Added| {
        let mut command = invocation.command(&added.options);
        if added.needs_bootstrap {
            command.env(variables::RUSTC_BOOTSTRAP, "1");
        }
        command
    };
    if let Err(unavailable) = &added {
        if variables::is_on(variables::REQUIRE) {
            let variable = variables::REQUIRE;
            eprintln!("static-call-rustc: error: {unavailable} ({variable} is set)");
            return ExitCode::FAILURE;
        }
        if is_worth_telling() {
            eprintln!("static-call-rustc: warning: building without the pass: {unavailable}");
        }
        if let Some(dep_info) = invocation.dep_info() {
            return run_and_note(command(&Added::default()), &dep_info);
        }
    }
    let mut command = command(&added.unwrap_or_default());
    let error = command.exec();
    if error.kind() == io::ErrorKind::ArgumentListTooLong {
        // It fit before this program added options. Cargo retries with a response file only if its own
        // command is too long.
        return long::run(&command, invocation.first_argument());
    }
    cannot_run(&command, &error)
}

/// What to add to a compilation.
#[derive(Default)]
struct Added {
    options: Vec<OsString>,
    /// Whether it needs `RUSTC_BOOTSTRAP=1`.
    needs_bootstrap: bool,
}

/// Compiles without the pass, and adds [`variables::REQUIRE`] to the crate's dependencies that rustc lists
/// for cargo. So when the variable is set later, cargo compiles the crate again and the error appears.
fn run_and_note(mut command: Command, dep_info: &Path) -> ExitCode {
    let status = match command.status() {
        Ok(status) => status,
        Err(error) => return cannot_run(&command, &error),
    };
    if status.success() {
        // Cargo distinguishes an empty variable from an unset one.
        let value = std::env::var_os(variables::REQUIRE).map(|value| format!("={}", value.display()));
        let line = format!("\n# env-dep:{}{}\n", variables::REQUIRE, value.unwrap_or_default());
        let file = OpenOptions::new().append(true).open(dep_info);
        if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            let (dep_info, variable) = (dep_info.display(), variables::REQUIRE);
            eprintln!(
                "static-call-rustc: warning: cannot write to {dep_info}: {error}; cargo will not rebuild \
                 this crate when {variable} is set"
            );
        }
    }
    exit_code(status)
}

/// The options that load the pass.
fn pass_for(invocation: &Invocation) -> Result<Added, Unavailable> {
    let plugin = Plugin::find()?;
    let toolchain = Toolchain::of(invocation.compiler())?;
    if !plugin.is_for(toolchain.llvm_major()) {
        let Toolchain { compiler, release, llvm } = toolchain;
        return Err(Unavailable::OtherLlvm {
            compiler,
            release,
            llvm,
            plugin: plugin.path,
            llvms: plugin.llvms,
        });
    }

    // Joined with `-Z`, because sccache takes a separate value for a second source file.
    let load = format!("-Zllvm-plugins={}", plugin.path);
    if invocation.contains(&load) {
        return Ok(Added::default()); // Both of cargo's wrapper variables name this program.
    }
    let is_unstable = stability::allows_unstable(&toolchain, invocation.crate_name());
    if !is_unstable && invocation.has_unstable_options() {
        return Ok(Added::default()); // Rustc must refuse it, which it would not do with `RUSTC_BOOTSTRAP`.
    }

    let hash = format!("static_call_pass=\"{}\"", plugin.hash);
    let mut options = vec![load.as_str(), "--cfg", "static_call_pass", "--cfg", &hash];
    // Rustc checks names only if there is a `--check-cfg`, so do not be the first to add one.
    if invocation.has_option("--check-cfg") {
        // `any()` includes the form without a value; rustc 1.95 rejects `values(none(), any())`.
        options.extend(["--check-cfg", "cfg(static_call_pass,values(any()))"]);
    }
    options.extend(linker::flag(invocation));
    if !is_unstable {
        options.extend(stability::flags(invocation));
    }
    Ok(Added { options: options.into_iter().map(OsString::from).collect(), needs_bootstrap: !is_unstable })
}

/// Whether to print a warning: only for the packages that the user asked for, not for their dependencies, and
/// when cargo did not call the wrapper.
fn is_worth_telling() -> bool {
    let is_cargo = variables::get(variables::CARGO_PKG_NAME).is_some();
    !is_cargo || variables::get(variables::CARGO_PRIMARY_PACKAGE).is_some()
}
