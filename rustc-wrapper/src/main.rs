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
//! loaded ([`Unavailable`]) the program is built without it, which is correct, only slower.
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

use std::os::unix::process::CommandExt;
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
    }
    let error = command.exec();
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
