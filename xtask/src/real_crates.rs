//! The tests of crates from crates.io that `tests/real` converts to static calls.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use xtask::converted::{self, CRATES, Crate};
use xtask::run::{host, output, run};
use xtask::{install, packages};

use crate::bench;

/// How the tests run once more: a name, variables, and whether the process may neither make its code writable
/// nor take breakpoints.
type Way = (&'static str, &'static [(&'static str, &'static str)], bool);
const WITH_PASS: &[Way] = &[
    ("trampoline", &[("STATIC_CALL_MODE", "trampoline")], false),
    ("generic", &[("STATIC_CALL_MODE", "generic")], false),
    ("no right to write code", &[], true),
];
const WITHOUT: &[Way] = &[("no right to write code", &[], true)];

/// Tests and measures them.
pub(crate) fn real(publish: bool) -> Result<()> {
    packages::ensure(packages::TEST)?;
    install::install_here()?;
    test()?;
    let options = ["--only", "crates", "--publish"].map(OsString::from);
    bench::run_harness(&options[..if publish { 3 } else { 2 }])
}

/// Runs the crates' own tests with the pass, without it, and in all modes, and compares the results with
/// those of the originals. Then checks that nobody loses anything who has no wrapper.
pub(crate) fn test() -> Result<()> {
    converted::prepare()?;
    for (with_pass, ways) in [(true, WITH_PASS), (false, WITHOUT)] {
        let program = converted::program(with_pass, None)?;
        let compiled = if with_pass { "with the pass" } else { "without the wrapper" };
        let refuse = format!("{} refused", program.display());
        for known in &CRATES {
            run(tests(known, with_pass)?.stdout(Stdio::null()))
                .with_context(|| format!("the tests of {}, {compiled}", known.name))?;
            for &(name, variables, is_refused) in ways {
                let mut tests = tests(known, with_pass)?;
                tests.envs(variables.iter().copied());
                if is_refused {
                    let host = host()?.to_uppercase().replace('-', "_");
                    tests.env(format!("CARGO_TARGET_{host}_RUNNER"), &refuse);
                }
                run(tests.arg("--").arg(known.filter).stdout(Stdio::null()))
                    .with_context(|| format!("the tests of {}, {compiled}, {name}", known.name))?;
            }
            println!("{}: its tests pass {compiled}, in all modes", known.name);
        }
        let run_program = |command: &mut Command, mode: &str| compare(command, with_pass, mode);
        run_program(&mut Command::new(&program), "2")?;
        run_program(Command::new(&program).arg("1").arg("sealed"), "2")?;
        for (mode, number) in [("trampoline", "1"), ("generic", "0")] {
            run_program(Command::new(&program).env("STATIC_CALL_MODE", mode), number)?;
        }
        println!("{compiled}, they compute what their originals compute");
    }
    for known in &CRATES {
        let [mut symbols, warnings] = [known.exported_symbols()?, known.warnings()?];
        // By those of the runtime, copies in one process find each other.
        symbols.retain(|name| !["static_call_", "__static_call_"].iter().any(|ours| name.starts_with(ours)));
        ensure!(symbols.is_empty(), "{} exports {}", known.name, symbols.join(", "));
        ensure!(warnings.is_empty(), "{}: {}", known.name, warnings.join("\n"));
    }
    println!("without the wrapper, they export no more than the runtime, and cause no warning");
    Ok(())
}

fn tests(known: &Crate, with_pass: bool) -> Result<Command> {
    let mut tests = known.cargo(with_pass, "test")?;
    tests.args(["--lib", "--tests"]);
    Ok(tests)
}

/// Runs a round of each work load, which compares the results. An error if the process ran in another mode,
/// or, with the pass, did not patch all of its calls.
fn compare(program: &mut Command, with_pass: bool, mode: &str) -> Result<()> {
    let text = output(program)?;
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.with_context(|| format!("the program does not tell its {name}"))
    };
    ensure!(number("process/mode")? == mode, "it ran in mode {}, not {mode}", number("process/mode")?);
    let [sites, direct] = [number("process/sites")?, number("process/direct")?];
    ensure!(with_pass == (sites != "0"), "{sites} calls are recorded");
    ensure!(mode != "2" || sites == direct, "only {direct} of {sites} calls are direct");
    Ok(())
}
