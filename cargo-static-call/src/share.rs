//! `cargo static-call share`: the manual pages and completions, which are made of the command lines.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::commands::{CargoStaticCall, Share, StaticCallInspect};

/// fish completes `cargo static-call …` as a command of cargo's. This asks for the completions of
/// `cargo-static-call`, and for those of cargo's own commands, because `cargo static-call build` takes
/// cargo's options. zsh's completions of cargo call `_cargo-static-call` by themselves; bash's cannot be
/// extended.
const FISH_CARGO: &str = r#"complete -c cargo -n '__fish_seen_subcommand_from static-call' -xa '(
    complete -C (commandline -cp | string replace -r "^.*?\bstatic-call\b" cargo-static-call)
    complete -C (commandline -cp | string replace -r "\bstatic-call\s+" "")
)'
"#;

impl Share {
    /// Writes them.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        match write_all(&self.directory) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("cargo-static-call: error: {}", crate::name::printable(&format!("{error:#}")));
                ExitCode::from(2)
            }
        }
    }
}

fn write_all(directory: &Path) -> Result<()> {
    let write = |name: String, content: &[u8]| {
        let path = directory.join(name);
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    // fish reads it when it starts, since only one file may have a command's completions: cargo's has fish's.
    write("fish/vendor_conf.d/cargo-static-call.fish".into(), FISH_CARGO.as_bytes())?;
    // The name by which `man` and shells know the program.
    let cargo = CargoStaticCall::command().name("cargo-static-call").bin_name("cargo-static-call");
    // `--help` does the same, and needs no page of its own.
    let cargo = cargo.disable_help_subcommand(true);
    for mut command in [cargo, StaticCallInspect::command()] {
        let name = command.get_name().to_owned();
        for (shell, place) in [
            (Shell::Bash, format!("bash-completion/completions/{name}")),
            (Shell::Zsh, format!("zsh/site-functions/_{name}")),
            (Shell::Fish, format!("fish/vendor_completions.d/{name}.fish")),
        ] {
            let mut script = Vec::new();
            generate(shell, &mut command, &name, &mut script);
            write(place, &script)?;
        }
        command.build();
        let subcommands = command.get_subcommands().cloned().map(|subcommand| {
            let full = format!("{name}-{}", subcommand.get_name());
            // The words that a user types.
            let typed = full.replacen("cargo-static-call-", "cargo static-call ", 1);
            (full.clone(), subcommand.name(full).bin_name(typed))
        });
        let pages: Vec<_> = subcommands.collect();
        for (name, command) in pages.into_iter().chain([(name, command)]) {
            write(format!("man/man1/{name}.1"), &page(name.clone(), command)?)?;
        }
    }
    Ok(())
}

fn page(name: String, command: clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    let title = format!(
        ".TH {} 1 \"\" \"static-call {}\" static-call",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    );
    Man::new(command).section("1").render(&mut page).context("cannot make a manual page")?;
    let page = String::from_utf8(page).context("cannot make a manual page")?;
    // clap_mangen breaks a line twice where a paragraph ends, and leaves out an empty date, which moves what
    // follows. With a date, two builds would differ.
    let page = page.replace("\n.br\n\n.br\n", "\n.sp\n");
    let lines = page.lines().map(|line| if line.starts_with(".TH ") { &title } else { line });
    Ok(lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes())
}
