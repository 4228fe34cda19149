//! C programs under AddressSanitizer and UndefinedBehaviorSanitizer, and under valgrind.

use std::path::Path;
use std::process::Command;

use static_call_tests::c::{Build, Compiler, Report, in_mode, modes, source};
use static_call_tests::{failure, prefix, run};

const PROGRAMS: [&str; 5] = ["keys.c", "batch.c", "control.c", "lifecycle.c", "off.c"];
/// Without the check of function types at indirect calls, because the functions for NULL and "return zero"
/// have other types.
const SANITIZERS: [&str; 3] =
    ["-fsanitize=address,undefined", "-fno-sanitize=function", "-fno-sanitize-recover=all"];

const BUILD: Build = Build { compiler: Compiler::Pass, level: "-O1" };

/// The program that loads shared objects, and such an object.
fn plugin_host(directory: &Path, flags: &[&str]) -> [std::path::PathBuf; 2] {
    let plugin = directory.join("plugin.so");
    let mut command = BUILD.compiler(false);
    command.args(flags).args(["-fvisibility=hidden", "-fPIC", "-shared"]).arg(source("plugin.c"));
    run(command.arg("-o").arg(&plugin));
    let archive = prefix().join("lib/libstatic_call.a").display().to_string();
    let whole = ["-Wl,--whole-archive", &archive, "-Wl,--no-whole-archive"];
    let exported = [flags, &["-fvisibility=hidden", "-rdynamic", "-ldl"], &whole].concat();
    [BUILD.link(&["plugin_host.c"], &exported, &directory.join("plugin_host")), plugin]
}

/// Builds each program and runs it by `start`.
fn check(flags: &[&str], mut start: impl FnMut(&Path, &[&Path])) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in PROGRAMS {
        start(&BUILD.link(&[name], flags, &directory.path().join(name)), &[]);
    }
    let [host, plugin] = plugin_host(directory.path(), flags);
    let copy = directory.path().join("second.so");
    std::fs::copy(&plugin, &copy).expect("a copy");
    start(&host, &[&plugin, &copy]);
}

#[test]
fn sanitized_programs_are_clean_in_every_mode() {
    check(&SANITIZERS, |program, arguments| {
        for &mode in modes() {
            run(in_mode(program, mode).args(arguments));
        }
    });
}

/// ThreadSanitizer replaces mmap(2), and writes to the shadow of what is mapped; that of code is read-only.
#[test]
fn an_alias_under_thread_sanitizer() {
    const ALIAS: usize = 4;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = BUILD.link(&["keys.c"], &["-fsanitize=thread"], &directory.path().join("keys"));
    let output = run(in_mode(&program, None).env("STATIC_CALL_WRITER", "alias"));
    assert_eq!(Report::find(&output.stdout).writer, ALIAS);
}

/// A program that reads freed memory.
#[test]
fn an_error_is_noticed() {
    const BAD: &str = "#include <stdlib.h>
        int main(void) { int *volatile a = calloc(1, 4); free(a); return *a ? 1 : 0; }";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (file, program) = (directory.path().join("bad.c"), directory.path().join("bad"));
    std::fs::write(&file, BAD).expect("a file");
    let build = |flags: &[&str]| {
        run(BUILD.compiler(false).args(flags).arg(&file).arg("-o").arg(&program));
    };
    build(&SANITIZERS);
    assert!(failure(&mut Command::new(&program)).contains("heap-use-after-free"));
    build(&[]);
    assert!(failure(&mut valgrind(&program, "inline")).contains("Invalid read"));
}

fn valgrind(program: &Path, mode: &str) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["-q", "--error-exitcode=99", "--trace-children=no"]).env("STATIC_CALL_MODE", mode);
    // valgrind caches translations, so it must check whether code has changed.
    command.arg("--smc-check=all").env_remove("STATIC_CALL_LOG").arg(program);
    command
}

#[test]
fn programs_are_clean_under_valgrind() {
    check(&[], |program, arguments| {
        for (number, mode) in ["generic", "trampoline", "inline"].into_iter().enumerate() {
            let output = run(valgrind(program, mode).args(arguments));
            // valgrind passes membarrier(2) to the kernel, so code is patched there too.
            assert_eq!(Report::find(&output.stdout).mode, number, "{mode}: {output:?}");
        }
    });
}
