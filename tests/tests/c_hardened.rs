//! Processes that lack rights: which mode and writer they get, and whether their calls are right.

use std::path::Path;
use std::process::{Command, Output};

use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{Build, Compiler, Report, in_mode, modes, source, writers};
use static_call_tests::platform::platform;
use static_call_tests::{llvm, prefix, run, stdout};

const PASS: Build = Build { compiler: Compiler::Pass, level: "-O2" };
const WITHOUT: Build = Build { compiler: Compiler::Gcc, level: "-O0" };
/// The test programs' exit code if the kernel does not have what they need.
const UNKNOWN_TO_THE_KERNEL: i32 = 77;

const NONE: usize = 0;
const WINDOW: usize = 1;
const BREAKPOINT: usize = 2;
const ALIAS: usize = 4;

/// The right that a process gives up, and the writer that it then gets, by default and on request.
struct Hardened {
    gives_up: &'static str,
    by_default: usize,
    window: usize,
    alias: usize,
    breakpoint: usize,
    /// A part of the reason, if there is no writer by default.
    reason: &'static str,
}

const HARDENED: [Hardened; 7] = [
    Hardened {
        gives_up: "nothing",
        by_default: WINDOW,
        window: WINDOW,
        alias: ALIAS,
        breakpoint: BREAKPOINT,
        reason: "",
    },
    Hardened {
        gives_up: "seccomp",
        by_default: ALIAS,
        window: NONE,
        alias: ALIAS,
        breakpoint: BREAKPOINT,
        reason: "",
    },
    Hardened {
        gives_up: "mdwe",
        by_default: ALIAS,
        window: NONE,
        alias: ALIAS,
        breakpoint: BREAKPOINT,
        reason: "",
    },
    Hardened {
        gives_up: "mseal",
        by_default: BREAKPOINT,
        window: NONE,
        alias: NONE,
        breakpoint: BREAKPOINT,
        reason: "",
    },
    Hardened {
        gives_up: "seccomp-noproc",
        by_default: NONE,
        window: NONE,
        alias: NONE,
        breakpoint: NONE,
        reason: "may not be written",
    },
    Hardened {
        gives_up: "mdwe-noproc",
        by_default: NONE,
        window: NONE,
        alias: NONE,
        breakpoint: NONE,
        reason: "PR_SET_MDWE",
    },
    Hardened {
        gives_up: "membarrier",
        by_default: NONE,
        window: NONE,
        alias: NONE,
        breakpoint: NONE,
        reason: "membarrier",
    },
];

impl Hardened {
    /// What `STATIC_CALL_WRITER` asks for, and the writer that it gets.
    fn asked(&self) -> impl Iterator<Item = (&'static str, usize)> {
        // Emulators do not see what is written through another mapping of the code.
        let alias = platform().has_breakpoints.then_some(("alias", self.alias));
        let others = [("", self.by_default), ("window", self.window), ("breakpoint", self.breakpoint)];
        others.into_iter().chain(alias)
    }
}

/// [`HARDENED`] for the platform, with or without breakpoints.
fn hardened() -> impl Iterator<Item = Hardened> {
    HARDENED.into_iter().map(|hardened| match hardened {
        hardened if platform().has_breakpoints => hardened,
        hardened if hardened.by_default == BREAKPOINT => {
            Hardened { by_default: NONE, breakpoint: NONE, reason: "may not be written", ..hardened }
        }
        hardened => Hardened { breakpoint: NONE, ..hardened },
    })
}

/// Runs a program that must succeed. None if the kernel lacks what it needs.
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

/// A program is right with its remaining rights, and reports what it does and why.
#[test]
fn rights_missing_from_the_start() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["plain.c", "restricted_early.c"], &[], &directory.path().join("plain"));
    let sites = StaticCalls::read(&program).checked();
    for hardened in hardened() {
        for (asked, left) in hardened.asked().chain([("none", NONE)]) {
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
                // The log says it on stderr, static_call_mode_reason() on stdout.
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
                let name = ["none", "window", "breakpoint", "custom", "alias"][report.writer];
                assert!(text(&output.stderr).contains(&format!("writer: {name}")), "{case}");
            }
        }
    }
}

/// If a right is lost later, updates use another writer, or fail and change nothing.
#[test]
fn rights_lost_on_the_way() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (number, build) in [PASS, WITHOUT].into_iter().enumerate() {
        let program = build.link(&["restricted_later.c"], &[], &directory.path().join(number.to_string()));
        for hardened in hardened() {
            for (asked, left) in hardened.asked() {
                // If there is no writer from the start, trampolines are never patched and jump through their
                // keys.
                let is_patched = build.has_pass() || asked != "breakpoint" || platform().has_breakpoints;
                // What is mapped a second time stays writable there.
                let has_alias = asked == "alias" && hardened.gives_up != "membarrier";
                let expected = if left == NONE && is_patched && !has_alias { "-13" } else { "0" };
                for &mode in modes() {
                    let mut command = with_writer(&program, mode, asked);
                    run_if_possible(command.args([hardened.gives_up, expected]));
                }
            }
        }
    }
}

/// A default that updates its own key always returns the right result if it calls its choice itself.
#[test]
fn lazy_dispatch_where_updates_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // Without breakpoints there is no writer left.
    let masked = if platform().has_breakpoints { "-11" } else { "-13" };
    for (number, build) in [PASS, WITHOUT].into_iter().enumerate() {
        let program = build.link(&["lazy.c"], &[], &directory.path().join(number.to_string()));
        for &mode in modes() {
            run(in_mode(&program, mode).arg("sealed"));
            run_if_possible(in_mode(&program, mode).args(["masked", masked]));
        }
    }
}

/// A program may use breakpoints of its own. Its handlers get their signals, whenever they were installed.
#[test]
fn traps_of_the_program() {
    if !platform().has_breakpoints {
        eprintln!("skipped: the breakpoint writer does not support this machine");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["traps.c"], &[], &directory.path().join("traps"));
    for mode in [Some("inline"), Some("trampoline")] {
        let said = stdout(&mut with_writer(&program, mode, "breakpoint"));
        assert!(said.contains("writer 2"), "{said}");
        // The window writer uses no signal.
        run(&mut with_writer(&program, mode, "window"));
    }
}

/// A cancelled thread can call every function of the library and ends only afterwards: with either writer,
/// and while the process steps down from one to the other.
#[test]
fn cancelled_threads() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (number, build) in [PASS, WITHOUT].into_iter().enumerate() {
        let plugin = build.shared_object("plugin.c", &directory.path().join(format!("{number}.so")));
        let program = build.link_exporting("cancelled.c", &[], &directory.path().join(number.to_string()));
        let steps_down = platform().has_breakpoints.then_some(("", "mdwe"));
        for (writer, gives_up) in writers().iter().map(|&(writer, _)| (writer, "nothing")).chain(steps_down) {
            for &mode in modes() {
                let mut command = with_writer(&program, mode, writer);
                run_if_possible(command.arg(&plugin).arg(gives_up));
            }
        }
    }
}

/// Many plugins, each with its own runtime, share SIGTRAP with the program, which may change its handler at
/// any time. They are unloaded in any order.
#[test]
fn traps_of_several_copies() {
    if !platform().has_breakpoints {
        eprintln!("skipped: the breakpoint writer does not support this machine");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plugins: Vec<_> = (0..70).map(|number| directory.path().join(format!("{number}.so"))).collect();
    let flags = ["-fPIC", "-shared", "-fvisibility=hidden", "-Wl,--exclude-libs,ALL"];
    let _ = PASS.link(&["copies_plugin.c"], &flags, &plugins[0]);
    for plugin in &plugins[1..] {
        std::fs::copy(&plugins[0], plugin).expect("a copy");
    }
    let program = directory.path().join("copies");
    run(PASS.compiler(false).arg(source("copies.c")).arg("-o").arg(&program).arg("-ldl"));
    for mode in [Some("inline"), Some("trampoline")] {
        for &(writer, _) in writers() {
            run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer).args(&plugins));
        }
    }
}

/// The library calls no function of the C library that may be a cancellation point (pthreads(7)).
#[test]
fn only_functions_that_are_no_cancellation_points() {
    const FUNCTIONS: [&str; 16] = [
        "__errno_location",
        "abort",
        "atexit",
        "clock_gettime",
        "dl_iterate_phdr",
        "getauxval",
        "getenv",
        "mmap",
        "pthread_atfork",
        "pthread_self",
        "sigaction",
        "sigismember",
        "strlen",
        "syscall",
        // It only asks for the page size, which is not a cancellation point.
        "sysconf",
        "bcmp",
    ];
    let archive = prefix().join("lib/libstatic_call.a");
    let output =
        run(llvm("llvm-nm").args(["--undefined-only", "--just-symbol-name", "--quiet"]).arg(archive));
    let symbols = text(&output.stdout);
    assert!(symbols.lines().any(|symbol| symbol == "syscall"), "{symbols}");
    for symbol in symbols.lines().filter(|symbol| !symbol.is_empty() && !symbol.ends_with(':')) {
        // POWER's `.TOC.` is an address, not a function.
        let is_known = FUNCTIONS.contains(&symbol)
            || ["mem", "_"].iter().any(|start| symbol.starts_with(start))
            || symbol == ".TOC.";
        assert!(is_known, "may {symbol} be a cancellation point?");
    }
}

/// Updates fail while a thread blocks SIGTRAP in any way, but not because the C library blocks it for a
/// moment.
#[test]
fn threads_that_block_sigtrap() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["masked.c"], &[], &directory.path().join("masked"));
    for mode in [Some("inline"), Some("trampoline")] {
        for &(writer, number) in writers() {
            let output = run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer));
            assert_eq!(Report::find(&output.stdout).writer, number);
        }
    }
}

/// Repeating a refused update is cheap.
#[test]
fn refused_updates_that_are_asked_for_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["refused_again.c"], &["-ldl"], &directory.path().join("program"));
    for mode in [Some("inline"), Some("trampoline")] {
        if platform().has_breakpoints {
            run(in_mode(&program, mode).env("STATIC_CALL_WRITER", "breakpoint").arg("masked"));
        }
        for gives_up in ["seccomp", "mdwe"] {
            run_if_possible(in_mode(&program, mode).env("STATIC_CALL_WRITER", "window").arg(gives_up));
        }
    }
}

/// A breakpoint needs no more stack than is documented, even with lazy binding.
#[test]
fn breakpoints_on_small_stacks() {
    if !platform().has_breakpoints {
        eprintln!("skipped: the breakpoint writer does not support this machine");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in [PASS, Build { compiler: Compiler::PassShared, ..PASS }] {
        let program = build.link(&["small_stacks.c"], &["-Wl,-z,lazy"], &directory.path().join("program"));
        for mode in [Some("inline"), Some("trampoline")] {
            for &(writer, _) in writers() {
                run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer));
            }
        }
    }
}

/// Threads may update while the process exits: the handler of SIGTRAP stays as long as it is needed.
#[test]
fn threads_that_update_while_the_process_exits() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["exit_race.c"], &[], &directory.path().join("program"));
    for &(writer, _) in writers() {
        run(in_mode(&program, None).env("STATIC_CALL_WRITER", writer));
    }
}

/// A set-user-ID program ignores the variables: its user can neither choose its mode nor read its log. Any
/// other program logs which update failed, and why.
#[test]
fn set_user_id_programs_obey_no_variable() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["set_user_id.c"], &[], &directory.path().join("program"));
    let started = |command: &mut Command| {
        command.env("STATIC_CALL_ENABLE", "trace?");
        let output = run(command.env("STATIC_CALL_MODE", "generic").env("STATIC_CALL_LOG", "1"));
        (Report::find(&output.stdout), text(&output.stdout), text(&output.stderr))
    };
    let (report, said, log) = started(&mut in_mode(&program, None));
    // The registry knows the keys of an image with recorded calls, also those that are only loaded.
    assert!(said.contains("secure 0\ntraced 1\n") && report.mode == 0, "{said}");
    for line in ["key plain_key: an update to NULL failed: ", "key null_key: an update to return 0 failed: "]
    {
        assert!(log.contains(line), "{log}");
    }
    let is_root = std::process::Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if platform().is_foreign() || !is_root {
        eprintln!("skipped: an emulator is not set-user-ID, and only root has another user start a program");
        return;
    }
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    };
    set(directory.path(), 0o755);
    set(&program, 0o4755);
    let mut other = Command::new("setpriv");
    other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
    let (report, said, log) = started(&mut other);
    if said.contains("secure 0") {
        eprintln!("SKIPPED: the temporary directory is mounted with nosuid");
        return;
    }
    assert_eq!((report.mode, report.direct, log.as_str()), (2, report.sites, ""), "{said}");
    assert!(said.contains("traced 0\n"), "{said}");
}
