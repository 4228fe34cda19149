//! A project that uses static-call by `find_package(StaticCall)`.

use std::process::Command;

use static_call_tests::{failure, prefix, root, run, stdout};

fn configure(compiler: (&str, &str), build: &std::path::Path) -> Command {
    let mut cmake = Command::new("cmake");
    cmake.arg("-S").arg(root().join("tests/cmake")).arg("-B").arg(build);
    cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display()));
    cmake.arg(format!("-DCMAKE_C_COMPILER={}", compiler.0));
    cmake.arg(format!("-DCMAKE_CXX_COMPILER={}", compiler.1));
    cmake
}

/// What both programs print after a build: before, error, after, mode.
fn built(compiler: (&str, &str)) -> [String; 2] {
    let build = tempfile::tempdir().expect("a temporary directory");
    run(&mut configure(compiler, build.path()));
    run(Command::new("cmake").arg("--build").arg(build.path()));
    ["consumer_c", "consumer_cpp"].map(|name| stdout(&mut Command::new(build.path().join(name))))
}

#[test]
fn clang_22_builds_direct_calls() {
    assert_eq!(built(("clang-22", "clang++-22")), ["7 0 12 2\n", "7 0 12 2\n"]);
}

#[test]
fn gcc_builds_calls_through_pointers() {
    assert_eq!(built(("gcc", "g++")), ["7 0 12 0\n", "7 0 12 0\n"]);
}

#[test]
fn another_compiler_is_an_error_if_the_pass_is_required() {
    let build = tempfile::tempdir().expect("a temporary directory");
    let message = failure(configure(("gcc", "g++"), build.path()).arg("-DStaticCall_REQUIRE_PASS=ON"));
    assert!(message.contains("needs clang 22"), "{message}");
}
