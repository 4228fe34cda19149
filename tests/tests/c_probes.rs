//! Uprobes on calls and trampolines. They need root and a kernel with uprobes.

use static_call_tests::c::{Build, Compiler, in_mode};
use static_call_tests::platform::platform;

#[test]
fn uprobes_come_and_go() {
    if !platform().is_x86() {
        eprintln!(
            "skipped: an emulator has no uprobes, and where instructions are words the whole one is put back"
        );
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let ways = [(None, "window"), (None, "breakpoint"), (Some("trampoline"), "window")];
    let without = &["-DWITHOUT_PASS"];
    for (compiler, level, flags) in [
        (Compiler::Pass, "-O0", &[] as &[_]),
        (Compiler::Pass, "-Os", &["-DCONDITIONAL", "-mretpoline", "-fPIC"]),
        (Compiler::Clang, "-O0", without),
        (Compiler::Gcc, "-O0", without),
    ] {
        let build = Build { compiler, level };
        if !build.has_pass() && !build.has_trampolines() {
            continue;
        }
        let program = build.link(&["probes.c"], flags, &directory.path().join("program"));
        for (mode, writer) in ways {
            let output = in_mode(&program, mode)
                .env("STATIC_CALL_WRITER", writer)
                .output()
                .expect("the program starts");
            let said = String::from_utf8_lossy(&output.stdout);
            if output.status.code() == Some(77) {
                eprintln!("{said}");
                return;
            }
            assert!(
                output.status.success(),
                "{build:?} {flags:?} {mode:?} {writer}: {}\n{said}{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}
