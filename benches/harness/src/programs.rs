//! Whole programs, in every form.

use std::collections::HashMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::code::{self, Instruction};
use crate::directories::raw_directory;
use crate::model::{Part, Table, Unit};
use crate::samples::Runs;
use crate::toolchain::{placed_rust_program, rust_program};
use xtask::run::{output, root};

/// Tables: id, title, explanation, unit, and programs with their inputs.
const TABLES: [(&str, &str, &str, Unit, &[&str]); 2] = [
    (
        "programs-bytes",
        "A checksum and a search",
        "CRC-32C by the processor's instruction, in pieces of the given size; and a search for the next end \
         of a line, or for a byte that does not occur, with vectors of 32 bytes. Both read the text files of \
         this repository. More is better.",
        Unit::BytesPerSecond,
        &[
            "checksum/16 bytes",
            "checksum/64 bytes",
            "checksum/1 KiB",
            "checksum/1 MiB",
            "search/lines",
            "search/whole text",
        ],
    ),
    (
        "programs-rates",
        "An interpreter and a request loop",
        "An interpreter with a tracing hook at each instruction (instructions per second), and a loop that \
         parses requests, with ten policy hooks around each (requests per second). While hooks are off, \
         \"direct\" is the program without any. The interpreter's loop is so short that its address matters \
         more than a hook, so each form has eight copies at different addresses, and a run executes each \
         once. More is better.",
        Unit::PerSecond,
        &["interpreter/hook off", "interpreter/hook on", "requests/ten hooks off", "requests/ten hooks on"],
    ),
];
const SOURCES: [&str; 5] = [
    "benches/src/programs.rs",
    "benches/src/programs/checksum.rs",
    "benches/src/programs/search.rs",
    "benches/src/programs/interpreter.rs",
    "benches/src/programs/requests.rs",
];

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    bench.step("building whole programs");
    let plain = rust_program(PROGRAM, "rust", |_| {})?;
    let mitigated = if cfg!(target_arch = "x86_64") {
        Some(rust_program(PROGRAM, "rust-retpolines", with_retpolines)?)
    } else {
        bench.report.miss("whole programs with retpolined pointers", "retpolines are about x86");
        None
    };
    if let Some(mitigated) = &mitigated {
        for (kind, program, has_retpolines) in [("plain", &plain, false), ("retpolines", mitigated, true)] {
            let functions = code::functions(program)?;
            let path = raw_directory()?.join(format!("code-programs-{kind}.txt"));
            code::write(&functions, |name| is_own(name), &path)?;
            check_code(&functions, has_retpolines)
                .with_context(|| format!("in the machine code of {}", program.display()))?;
        }
    }
    let files = text_files()?;
    let rounds = bench.quick_or_full("15", "60");
    let placements = bench.quick_or_full(6, 12);
    let (mut of_plain, mut of_mitigated) = (Runs::default(), Runs::default());
    for placement in 1..=placements {
        bench.step(format!("linking whole programs, placement {placement}"));
        let plain = placed_rust_program(PROGRAM, "rust", placement, |_| {})?;
        let mitigated = match mitigated {
            Some(_) => Some(placed_rust_program(PROGRAM, "rust-retpolines", placement, with_retpolines)?),
            None => None,
        };
        let programs = [("plain", Some(plain), &mut of_plain), ("retpolines", mitigated, &mut of_mitigated)];
        for (kind, program, runs) in programs {
            let Some(program) = program else { continue };
            let mut command = Command::new(program);
            command.current_dir(root()).arg(rounds).args(&files);
            runs.push(bench.run(&format!("programs {kind} {placement}"), &mut command)?);
        }
    }
    let places = format!(
        " The linker places all functions {placements} times in random orders, and each number is the median \
         of these."
    );
    for (id, title, about, unit, inputs) in TABLES {
        let mut table = Table::new(
            Part::Programs,
            id,
            title,
            "program and input",
            &SOURCES,
            &(about.to_owned() + &places),
        )
        .columns([
            ("direct", unit),
            ("static call", unit),
            ("pointer", unit),
            ("pointer, retpolines", unit),
            ("static to direct", Unit::Ratio),
            ("static to pointer", Unit::Ratio),
            ("static to pointer, retpolines", Unit::Ratio),
        ]);
        for input in inputs {
            let rate = |runs: &Runs, form: &str| runs.summary(&format!("{input}/{form}"));
            let ratio = |runs: &Runs, form: &str| {
                let [one, to] = ["static", form].map(|form| format!("{input}/{form}"));
                runs.ratios(&one, &to)
            };
            table.row(
                input.replace('/', ", "),
                [
                    rate(&of_plain, "direct"),
                    rate(&of_plain, "static"),
                    rate(&of_plain, "pointer"),
                    rate(&of_mitigated, "pointer"),
                    ratio(&of_plain, "direct"),
                    ratio(&of_plain, "pointer"),
                    ratio(&of_mitigated, "pointer"),
                ],
            );
        }
        bench.add(table);
    }
    bench.add(table_of_hook_off(&of_plain));
    Ok(())
}

const PROGRAM: &str = "static-call-bench-programs";

fn with_retpolines(cargo: &mut Command) {
    cargo.env("RUSTFLAGS", "-Zretpoline -Cunsafe-allow-abi-mismatch=retpoline").env("RUSTC_BOOTSTRAP", "1");
}

/// The cost of a hook that is off in a loop that does nothing else.
fn table_of_hook_off(runs: &Runs) -> Table {
    let about = "The interpreter with its hook off, compared with other ways to leave the hook out. \
                 \"Registers\" replaces the call by no instruction, but still loads its two arguments and \
                 keeps no value in a caller-saved register across it. \"static-keys\" puts the static call \
                 behind a branch of that crate that is off, so the call affects registers only where the \
                 branch is on. The compiler copies less of the loop into its arms around a branch than \
                 around a call or nothing (`interpreter::with_*`, \
                 target/bench/raw/code-programs-plain.txt), so the last two rows contain more than the cost \
                 of the branch. More is better.";
    let mut table = Table::new(
        Part::Programs,
        "programs-hook-off",
        "An interpreter with its hook off",
        "in place of the hook",
        &SOURCES,
        about,
    )
    .columns([("instructions", Unit::PerSecond), ("to nothing", Unit::Ratio)]);
    for (form, name) in [
        ("direct", "nothing"),
        ("registers", "registers"),
        ("static", "static call, off"),
        ("static-keys", "static-keys"),
        ("pointer", "load, and branch if null"),
    ] {
        let [form, nothing] = [form, "direct"].map(|form| format!("interpreter/hook off/{form}"));
        table.row(name, [runs.summary(&form), runs.ratios(&form, &nothing)]);
    }
    table
}

/// The mangled name of a closure or a generic function contains the program's name.
fn is_own(name: &str) -> bool {
    name.contains("static_call_bench_programs")
}

/// Checks that either all indirect calls and jumps of the program's own code go through retpolines, or none
/// do. (The standard library is compiled without retpolines.)
fn check_code(functions: &HashMap<String, Vec<Instruction>>, has_retpolines: bool) -> Result<()> {
    let is_thunk = |text: &str| text.contains("<__llvm_retpoline");
    let is_indirect =
        |text: &str| (text.starts_with("call") || text.starts_with("jmp")) && text.contains(" *");
    let own = || functions.iter().filter(|(name, _)| is_own(name));
    let count = |is_one: &dyn Fn(&str) -> bool| {
        own().flat_map(|(_, code)| code).filter(|(_, text)| is_one(text)).count()
    };
    let [thunks, plain] = [count(&is_thunk), count(&is_indirect)];
    let [wanted, others] = if has_retpolines { [thunks, plain] } else { [plain, thunks] };
    ensure!(
        wanted > 0 && others == 0,
        "{thunks} calls and jumps go through retpolines and {plain} do not, where all should be {} \
         retpolines",
        if has_retpolines { "through" } else { "without" }
    );
    Ok(())
}

/// The text files of this repository, from its root.
fn text_files() -> Result<Vec<String>> {
    let files =
        output(Command::new("git").args(["ls-files", "*.rs", "*.c", "*.h", "*.md"]).current_dir(root()))?;
    Ok(files.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_without_the_retpolines_they_should_have_are_known() {
        let program = |calls: &[&str]| -> HashMap<String, Vec<Instruction>> {
            let code = calls.iter().map(|call| (1, (*call).to_owned())).collect();
            let library = vec![(2, "jmp    *%rax".to_owned()), (3, "call   *0x8(%rax)".to_owned())];
            [
                ("_ZN26static_call_bench_programs3run17h0E".into(), code),
                ("_ZN4core3fmt5write17h0E".into(), library),
            ]
            .into()
        };
        let (plain, thunk) = ("call   *%rax", "call   1234 <__llvm_retpoline_r11>");
        assert!(
            check_code(&program(&[plain]), false).is_ok() && check_code(&program(&[thunk]), true).is_ok()
        );
        assert!(
            check_code(&program(&[plain]), true).is_err() && check_code(&program(&[thunk]), false).is_err()
        );
        assert!(check_code(&program(&["ret"]), true).is_err());
        let error = check_code(&program(&[thunk, "jmp    *0x10(%rip)"]), true)
            .expect_err("a jump without")
            .to_string();
        assert!(error.starts_with("1 calls and jumps go through retpolines and 1 do not"), "{error}");
    }
}
