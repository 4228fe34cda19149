//! Libraries that use static calls internally, and programs that use these libraries.

use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::c::{Build, Compiler};
use static_call_tests::{old_cmake, prefix, root, run, stdout};
use tempfile::TempDir;

/// The consumer's output: one call, which is direct.
const DIRECT: &str = "8 0 14: 1 of 1\n";

fn sources() -> PathBuf {
    root().join("tests/embedding")
}

/// Builds the library with clang and the pass, and installs it.
fn library(is_shared: bool) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (build, installed) = (directory.path().join("build"), directory.path().join("installed"));
    let mut cmake = Command::new("cmake");
    cmake.arg("-S").arg(sources()).arg("-B").arg(&build).args(["-GNinja", "-DCMAKE_C_COMPILER=clang-22"]);
    cmake.arg(format!("-DBUILD_SHARED_LIBS={}", if is_shared { "ON" } else { "OFF" }));
    run(cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display())).arg("-DCMAKE_BUILD_TYPE=Release"));
    run(Command::new("cmake").arg("--build").arg(&build));
    run(Command::new("cmake").arg("--install").arg(&build).arg("--prefix").arg(&installed));
    (directory, installed)
}

/// Runs a command that must print nothing on standard error.
fn run_silently(command: &mut Command) {
    assert_eq!(String::from_utf8_lossy(&run(command).stderr), "", "{command:?}");
}

/// The program's output with the installed libraries.
fn printed(program: &Path, paths: &[PathBuf]) -> String {
    let paths = paths.iter().map(|path| path.join("lib"));
    stdout(Command::new(program).env("LD_LIBRARY_PATH", std::env::join_paths(paths).expect("paths")))
}

#[test]
fn consumers_need_neither_the_pass_nor_a_warning() {
    for is_shared in [false, true] {
        let (directory, installed) = library(is_shared);
        // A shared library's users do not need static-call at all.
        let mut paths = vec![installed];
        paths.extend((!is_shared).then(prefix));
        let list = |separator: &str, below: &str| {
            let paths: Vec<String> =
                paths.iter().map(|path| path.join(below).display().to_string()).collect();
            paths.join(separator)
        };
        for compiler in ["gcc", "clang-22", "clang-14"] {
            let case = |name: &str| directory.path().join(format!("{name}-{compiler}"));
            let here = PathBuf::from("cmake");
            let ways = [("3.10", &here), ("3.25", &here)].into_iter();
            let old = old_cmake();
            for (number, (minimum, program)) in ways.chain(old.iter().map(|old| ("3.10", old))).enumerate() {
                let build = case(&number.to_string());
                std::fs::create_dir(&build).expect("a directory");
                let cmake = || {
                    let mut cmake = Command::new(program);
                    cmake.current_dir(&build);
                    cmake
                };
                let mut configure = cmake();
                configure.arg(sources().join("consumer")).args(["-Wno-dev", "-GUnix Makefiles"]);
                configure.arg(format!("-DMINIMUM={minimum}")).arg(format!("-DCMAKE_C_COMPILER={compiler}"));
                run_silently(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", list(";", ""))));
                run_silently(cmake().args(["--build", "."]));
                assert_eq!(printed(&build.join("consumer"), &paths), DIRECT, "{compiler} {number}");
            }
            let build = case("make");
            std::fs::create_dir(&build).expect("a directory");
            let mut make = Command::new("make");
            make.current_dir(&build).env("PKG_CONFIG_PATH", list(":", "lib/pkgconfig"));
            make.arg("-f").arg(sources().join("consumer/Makefile"));
            make.arg(format!("VPATH={}", sources().join("consumer").display())).arg(format!("CC={compiler}"));
            run_silently(make.args((!is_shared).then_some("STATIC=1")));
            assert_eq!(printed(&build.join("consumer"), &paths), DIRECT, "{compiler}");
        }
        let build = directory.path().join("meson");
        let mut meson = Command::new("meson");
        meson.arg("setup").args((!is_shared).then_some("-Dprefer_static=true")).arg("--fatal-meson-warnings");
        meson.env("CC", "gcc").env("PKG_CONFIG_PATH", list(":", "lib/pkgconfig"));
        run_silently(meson.arg(&build).arg(sources().join("consumer")));
        run(Command::new("ninja").arg("-C").arg(&build));
        assert_eq!(printed(&build.join("consumer"), &paths), DIRECT);
    }
}

/// The symbols that a shared library exports.
fn exported(library: &Path) -> Vec<String> {
    let listing = stdout(Command::new("nm").args(["-D", "--defined-only"]).arg(library));
    listing.lines().filter_map(|line| line.split_whitespace().nth(2)).map(str::to_owned).collect()
}

#[test]
fn an_embedded_runtime_is_not_exported() {
    let (_directory, installed) = library(true);
    let mut symbols = exported(&installed.join("lib/libcounter.so"));
    // GNU ld defines these protected symbols for sections.
    symbols.retain(|name| {
        !["__start_static_call_", "__stop_static_call_"].iter().any(|start| name.starts_with(start))
    });
    assert_eq!(symbols.len(), 5, "{symbols:?}");
    assert!(symbols.iter().all(|name| name.starts_with("counter_")), "{symbols:?}");
}

/// Each has its own runtime, which knows only its own calls; the seal applies to the process.
#[test]
fn libraries_with_runtimes_of_their_own_live_side_by_side() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let build = Build { compiler: Compiler::Pass, level: "-O2" };
    let archive = prefix().join("lib/libstatic_call_embedded.a");
    for name in ["first", "second"] {
        let mut clang = build.compiler(false);
        clang.args(["-fPIC", "-shared", "-fvisibility=hidden"]).arg(format!("-DCOUNTER(name)={name}_##name"));
        clang.arg(sources().join("counter.c")).arg(&archive).arg("-o");
        run(clang.arg(directory.path().join(format!("lib{name}.so"))));
    }
    let program = directory.path().join("two");
    let mut gcc = Command::new("gcc");
    gcc.arg(sources().join("two.c")).arg("-o").arg(&program).arg("-L").arg(directory.path());
    run(gcc.args(["-lfirst", "-lsecond", "-Wl,-rpath,$ORIGIN"]));
    assert_eq!(stdout(&mut Command::new(program)), "16 0 14 8: 1 of 1, 1 of 1\n0 1 8\n");
}
