//! `static-call-rustc`: the wrapper through which cargo runs rustc with the static-call pass.
//!
//! ```text
//! RUSTC_WRAPPER=static-call-rustc cargo build
//! ```
//!
//! Cargo calls it as `static-call-rustc [WORKSPACE_WRAPPER] RUSTC ARGS…`. It replaces itself by
//! that very command, so exit code and signals are rustc's own. A compilation gets, after all
//! its other arguments:
//!
//! | argument | why |
//! |---|---|
//! | `-Zllvm-plugins=PATH` | loads the pass |
//! | `--cfg static_call_pass` | the macros expand to what the pass lowers |
//! | `--cfg static_call_pass="HASH"` | compilation caches tell one plugin from the next |
//! | `--check-cfg cfg(static_call_pass,values(any()))` | no crate is warned about the above, where names are checked |
//! | `-Zallow-features=` and others, with `RUSTC_BOOTSTRAP=1` | see [`stability`] |
//!
//! A question to the compiler ([`Invocation::is_probe`]) gets nothing. Where the pass cannot be
//! loaded ([`Unavailable`]) the program is built without it, which is correct, only slower. Then the
//! wrapper stays, to tell cargo that [`variables::REQUIRE`] matters to the crate (see [`run_and_note`]).
//!
//! The environment variables are listed in [`variables`]. To use another wrapper as well, name it
//! in `STATIC_CALL_RUSTC_WRAPPER`. It has to come behind this one: sccache, for one, knows no
//! compiler called `static-call-rustc`, and would not see the plugin's hash.

#![forbid(unsafe_code)]

mod cache;
mod invocation;
mod plugin;
mod stability;
mod toolchain;
mod unavailable;
mod variables;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode};

use invocation::Invocation;
use plugin::Plugin;
use toolchain::Toolchain;
use unavailable::Unavailable;

fn main() -> ExitCode {
    let Some(invocation) = Invocation::parse(std::env::args_os().skip(1)) else {
        eprintln!(
            "static-call-rustc: no compiler given; cargo calls this program, \
             as in `RUSTC_WRAPPER=static-call-rustc cargo build`. Another wrapper, such as sccache, \
             comes behind it: name it in {}",
            variables::CHAINED_WRAPPER
        );
        return ExitCode::FAILURE;
    };
    let mut command = invocation.command();
    if !invocation.is_probe()
        && let Err(unavailable) = add_pass(&invocation, &mut command)
    {
        if variables::is_on(variables::REQUIRE) {
            let variable = variables::REQUIRE;
            eprintln!("static-call-rustc: error: {unavailable} ({variable} is set)");
            return ExitCode::FAILURE;
        }
        if is_worth_telling() {
            eprintln!("static-call-rustc: warning: building without the pass: {unavailable}");
        }
        if let Some(dep_info) = invocation.dep_info() {
            return run_and_note(command, &dep_info);
        }
    }
    let error = command.exec();
    cannot_run(&command, &error)
}

/// Compiles without the pass, and adds to cargo's list of what the crate depends on that it was not required. So cargo
/// compiles it again when it is; it would take it for good otherwise, and nobody would be told.
fn run_and_note(mut command: Command, dep_info: &Path) -> ExitCode {
    let status = match command.status() {
        Ok(status) => status,
        Err(error) => return cannot_run(&command, &error),
    };
    if status.success() {
        // Cargo tells an empty variable from none.
        let value = std::env::var_os(variables::REQUIRE).map(|value| format!("={}", value.display()));
        let line = format!("\n# env-dep:{}{}\n", variables::REQUIRE, value.unwrap_or_default());
        let file = OpenOptions::new().append(true).open(dep_info);
        if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            let (dep_info, variable) = (dep_info.display(), variables::REQUIRE);
            eprintln!(
                "static-call-rustc: warning: cannot add to {dep_info}: {error}; so cargo will not build this \
                 crate again when {variable} is set"
            );
        }
    }
    let code = status.code().or_else(|| Some(128 + status.signal()?)); // As a shell has it.
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn cannot_run(command: &Command, error: &io::Error) -> ExitCode {
    let program = command.get_program().display();
    eprintln!("static-call-rustc: error: cannot run `{program}`: {error}");
    if let Some(wrapper) = variables::get(variables::CHAINED_WRAPPER)
        && wrapper == command.get_program()
    {
        let variable = variables::CHAINED_WRAPPER;
        eprintln!("static-call-rustc: {variable} names it; correct or unset that variable");
    }
    ExitCode::FAILURE
}

/// Appends what loads the pass to `command`; on failure leaves it as it was.
fn add_pass(invocation: &Invocation, command: &mut Command) -> Result<(), Unavailable> {
    let plugin = Plugin::find()?;
    let toolchain = Toolchain::of(invocation.compiler())?;
    if toolchain.llvm_major() != Some(plugin::LLVM_MAJOR) {
        return Err(Unavailable::OtherLlvm { toolchain, plugin: plugin.path });
    }

    // Joined to its `-Z`: to sccache a value on its own looks like a second source file.
    let load = format!("-Zllvm-plugins={}", plugin.path);
    if invocation.contains(&load) {
        return Ok(()); // Both of cargo's wrapper variables name us; loaded twice, it runs twice.
    }
    let is_unstable = stability::allows_unstable(&toolchain, invocation.crate_name());
    if !is_unstable && invocation.has_unstable_options() {
        return Ok(()); // Rustc refuses this command, and would not once `RUSTC_BOOTSTRAP` is set.
    }

    let hash = plugin.hash()?;
    command.arg(load);
    command.args(["--cfg", "static_call_pass"]);
    command.args(["--cfg", &format!("static_call_pass=\"{hash}\"")]);
    // The first one has rustc check all names, which it did not do for whoever gives none.
    if invocation.has_option("--check-cfg") {
        // `any()` includes the form without a value; rustc 1.95 rejects `values(none(), any())`.
        command.args(["--check-cfg", "cfg(static_call_pass,values(any()))"]);
    }
    if !is_unstable {
        command.args(stability::flags(invocation));
        command.env(variables::RUSTC_BOOTSTRAP, "1");
    }
    Ok(())
}

/// Whether a warning is printed: not for each of the hundreds of dependencies cargo compiles,
/// but for the packages the user asked for, and for who calls the wrapper without cargo.
fn is_worth_telling() -> bool {
    let is_cargo = variables::get(variables::CARGO_PKG_NAME).is_some();
    !is_cargo || variables::get(variables::CARGO_PRIMARY_PACKAGE).is_some()
}
