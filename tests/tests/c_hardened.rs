//! Processes that may not do everything: what they run with, and that it is right.

use std::path::Path;
use std::process::{Command, Output};

use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{Build, Compiler, Report, in_mode, modes};
use static_call_tests::platform::platform;
use static_call_tests::{run, stdout};

const PASS: Build = Build { compiler: Compiler::Pass, level: "-O2" };
const WITHOUT: Build = Build { compiler: Compiler::Gcc, level: "-O0" };
/// The test programs' exit code if the kernel does not know what they ask for.
const UNKNOWN_TO_THE_KERNEL: i32 = 77;

const NONE: usize = 0;
const WINDOW: usize = 1;
const BREAKPOINT: usize = 2;

/// What a process gives up, and the writers that are left: by default, and if one is asked for.
struct Hardened {
    gives_up: &'static str,
    by_default: usize,
    window: usize,
    breakpoint: usize,
    /// A part of the reason if there is none by default.
    reason: &'static str,
}

const HARDENED: [Hardened; 7] = [
    Hardened { gives_up: "nothing", by_default: WINDOW, window: WINDOW, breakpoint: BREAKPOINT, reason: "" },
    Hardened {
        gives_up: "seccomp",
        by_default: BREAKPOINT,
        window: NONE,
        breakpoint: BREAKPOINT,
        reason: "",
    },
    Hardened { gives_up: "mdwe", by_default: BREAKPOINT, window: NONE, breakpoint: BREAKPOINT, reason: "" },
    Hardened { gives_up: "mseal", by_default: BREAKPOINT, window: NONE, breakpoint: BREAKPOINT, reason: "" },
    Hardened {
        gives_up: "seccomp-noproc",
        by_default: NONE,
        window: NONE,
        breakpoint: NONE,
        reason: "may not be written",
    },
    Hardened {
        gives_up: "mdwe-noproc",
        by_default: NONE,
        window: NONE,
        breakpoint: NONE,
        reason: "PR_SET_MDWE",
    },
    Hardened {
        gives_up: "membarrier",
        by_default: NONE,
        window: NONE,
        breakpoint: NONE,
        reason: "membarrier",
    },
];

/// The same where there are no breakpoints.
fn hardened() -> impl Iterator<Item = Hardened> {
    HARDENED.into_iter().map(|hardened| match hardened {
        hardened if platform().has_breakpoints => hardened,
        hardened if hardened.by_default == BREAKPOINT => {
            Hardened { by_default: NONE, breakpoint: NONE, reason: "may not be written", ..hardened }
        }
        hardened => Hardened { breakpoint: NONE, ..hardened },
    })
}

/// Runs a program, which has to succeed; None if the kernel does not have what it needs.
fn run_if_possible(command: &mut Command) -> Option<Output> {
    let output = command.output().expect("the program runs");
    if output.status.code() == Some(UNKNOWN_TO_THE_KERNEL) {
        eprintln!("SKIPPED: {command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    assert!(output.status.success(), "{command:?}: {output:?}");
    Some(output)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn with_writer(program: &Path, mode: Option<&str>, writer: &str) -> Command {
    let mut command = in_mode(program, mode);
    command.env("STATIC_CALL_WRITER", writer).env("STATIC_CALL_LOG", "1");
    command
}

/// With what is left, a program is right, and says what it does and why.
#[test]
fn rights_missing_from_the_start() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["plain.c", "restricted_early.c"], &[], &directory.path().join("plain"));
    let sites = StaticCalls::read(&program).checked();
    for hardened in hardened() {
        for (asked, left) in [
            ("", hardened.by_default),
            ("window", hardened.window),
            ("breakpoint", hardened.breakpoint),
            ("none", NONE),
        ] {
            for &mode in modes() {
                let mut command = with_writer(&program, mode, asked);
                let Some(output) = run_if_possible(command.env("GIVE_UP", hardened.gives_up)) else {
                    continue;
                };
                let report = Report::find(&output.stdout);
                let case = format!("{}, {asked}, {mode:?}: {output:?}", hardened.gives_up);
                let (number, direct) = match mode {
                    None | Some("inline") if left != NONE => (2, sites),
                    Some("trampoline") if left != NONE => (1, 0),
                    _ => (0, 0),
                };
                assert_eq!((report.sites, report.mode, report.direct), (sites, number, direct), "{case}");
                assert_eq!(report.writer, if number == 0 { NONE } else { left }, "{case}");
                // Said on stderr, and by static_call_mode_reason() on stdout.
                let reason = match (mode, asked) {
                    (Some("generic"), _) => "STATIC_CALL_MODE asks for it",
                    (_, "none") => "asks for no writer",
                    _ if left == NONE && hardened.by_default == NONE => hardened.reason,
                    _ if left == NONE => "STATIC_CALL_WRITER forbids",
                    _ => "",
                };
                assert!(
                    text(&output.stdout).contains(reason) && text(&output.stderr).contains(reason),
                    "{case}"
                );
                let name = ["none", "window", "breakpoint"][report.writer];
                assert!(text(&output.stderr).contains(&format!("writer: {name}")), "{case}");
            }
        }
    }
}

/// If a right is lost later, updates find another way; or they fail, and nothing changes.
#[test]
fn rights_lost_on_the_way() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (number, build) in [PASS, WITHOUT].into_iter().enumerate() {
        let program = build.link(&["restricted_later.c"], &[], &directory.path().join(number.to_string()));
        for hardened in hardened() {
            for (asked, left) in
                [("", hardened.by_default), ("window", hardened.window), ("breakpoint", hardened.breakpoint)]
            {
                let expected = if left == NONE { "-13" } else { "0" };
                for &mode in modes() {
                    let mut command = with_writer(&program, mode, asked);
                    run_if_possible(command.args([hardened.gives_up, expected]));
                }
            }
        }
    }
}

/// Breakpoints are the program's, too: its handlers get theirs, whenever they were installed.
#[test]
fn traps_of_the_program() {
    if !platform().has_breakpoints {
        eprintln!("skipped: this machine's code is not written with breakpoints");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["traps.c"], &[], &directory.path().join("traps"));
    for mode in [Some("inline"), Some("trampoline")] {
        let said = stdout(&mut with_writer(&program, mode, "breakpoint"));
        assert!(said.contains("writer 2"), "{said}");
        // A window needs no signal.
        run(&mut with_writer(&program, mode, "window"));
    }
}
