//! Projects that use static-call by `find_package(StaticCall)`.

use std::fs;
use std::path::Path;
use std::process::Command;

use static_call_tests::{failure, install_another_pass, moved, plugin_in, prefix, root, run, stdout};
use tempfile::TempDir;

const CLANG: [&str; 2] = ["clang-22", "clang++-22"];
const GCC: [&str; 2] = ["gcc", "g++"];

/// What the consumer prints: its results, and that both of its calls are direct, or go through the pointer.
const DIRECT: &str = "7 0 12: 2 of 2\n";
const GENERIC: &str = "7 0 12: 0 of 0\n";

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Configures `source` in the directory `build`.
fn configure(prefix: &Path, compilers: [&str; 2], source: &Path, build: &Path) -> Command {
    let mut cmake = Command::new("cmake");
    cmake.arg("-S").arg(source).arg("-B").arg(build);
    cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    cmake.env("CC", compilers[0]).env("CXX", compilers[1]);
    cmake
}

fn build(directory: &Path) -> String {
    stdout(Command::new("cmake").arg("--build").arg(directory))
}

/// What the consumer's programs print, after `cmake` has configured them in a directory of this name.
fn consumer(prefix: &Path, compilers: [&str; 2], directory: &Path, options: &[&str]) -> [String; 2] {
    let cmake = &mut configure(prefix, compilers, &root().join("tests/consumer"), directory);
    run(cmake.args(options));
    build(directory);
    ["consumer_c", "consumer_cpp"].map(|name| stdout(&mut Command::new(directory.join(name))))
}

/// A project of this text, whose programs are the consumer's.
fn project(text: &str) -> TempDir {
    let directory = temporary();
    let consumer = root().join("tests/consumer/consumer.c");
    for name in ["consumer.c", "consumer.cpp"] {
        fs::copy(&consumer, directory.path().join(name)).expect("a copy");
    }
    fs::write(directory.path().join("CMakeLists.txt"), text).expect("a file");
    directory
}

#[test]
fn clang_22_builds_direct_calls_wherever_the_prefix_is_moved() {
    let (_directory, prefix) = moved("moved to/here");
    let build = temporary();
    let build = |name| build.path().join(name);
    for (name, options) in [
        ("make, static", &["-GUnix Makefiles"][..]),
        (
            "ninja, shared",
            &["-GNinja", "-DStaticCall_LIBRARY=static_call_shared", "-DCMAKE_BUILD_TYPE=Release"],
        ),
        ("optimized at link time", &["-GNinja", "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON"]),
        (
            "so in one configuration",
            &["-GNinja", "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION_RELEASE=ON"],
        ),
    ] {
        assert_eq!(consumer(&prefix, CLANG, &build(name), options), [DIRECT, DIRECT], "{name}");
        let dynamic = stdout(Command::new("readelf").arg("-d").arg(build(name).join("consumer_c")));
        assert_eq!(dynamic.contains("libstatic_call.so.0"), name == "ninja, shared", "{dynamic}");
    }
}

#[test]
fn gcc_builds_calls_through_pointers() {
    let build = temporary();
    assert_eq!(consumer(&prefix(), GCC, build.path(), &["-GNinja"]), [GENERIC, GENERIC]);
}

#[test]
fn all_is_built_anew_with_another_pass() {
    let (_directory, prefix) = moved("here");
    for generator in ["-GUnix Makefiles", "-GNinja"] {
        let directory = temporary();
        consumer(&prefix, CLANG, directory.path(), &[generator]);
        assert!(!build(directory.path()).contains("Building"));
        install_another_pass(&prefix);
        let output = build(directory.path());
        assert!(output.contains("consumer.c.o") && output.contains("consumer.cpp.o"), "{output}");
        assert!(!build(directory.path()).contains("Building"));
    }
}

/// Several directories that look for the package, one of which enables a language.
const TREE: &str = "cmake_minimum_required(VERSION 3.18)
if(NOT TARGET program)
  project(tree C)
  find_package(StaticCall REQUIRED)
  find_package(StaticCall REQUIRED)
  add_executable(program consumer.c)
  target_link_libraries(program PRIVATE StaticCall::static_call)
  add_subdirectory(. deeper)
else()
  project(branch CXX)
  set(StaticCall_REQUIRE_PASS ${DEEPER_REQUIRE_PASS})
  find_package(StaticCall REQUIRED)
  add_executable(deeper consumer.cpp)
  target_link_libraries(deeper PRIVATE StaticCall::static_call)
endif()
";

/// The number of our warnings, which are the only ones.
fn warnings(cmake: &mut Command) -> usize {
    let output = run(cmake);
    let said = String::from_utf8_lossy(&output.stderr);
    let warnings = said.matches("CMake Warning").count();
    assert_eq!(said.is_empty(), warnings == 0, "{said}");
    let about = said.matches("cannot").count() + said.matches("-flto among").count();
    assert_eq!(about, warnings, "{said}");
    warnings
}

#[test]
fn another_compiler_is_warned_about_once() {
    let tree = project(TREE);
    let directory = temporary();
    let path = |name| directory.path().join(name);
    let cmake =
        |compilers, name: &str| configure(&prefix(), compilers, tree.path(), &directory.path().join(name));
    assert_eq!(warnings(&mut cmake(GCC, "gcc")), 1);
    assert_eq!(warnings(&mut cmake(["clang-22", "clang++-19"], "mixed")), 1);
    assert_eq!(warnings(&mut cmake(CLANG, "clang")), 0);
    let both = configure(&prefix(), GCC, &root().join("tests/consumer"), &path("both")).output();
    let both = both.expect("it runs").stderr;
    let both = String::from_utf8_lossy(&both).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(both.matches("CMake Warning").count() == 1, "{both}");
    assert!(both.contains("of C (GNU ") && both.contains("and CXX (GNU "), "{both}");
    // The language that was enabled after the first call is compiled with the pass as well.
    build(&path("clang"));
    for program in ["program", "deeper/deeper"] {
        assert_eq!(stdout(&mut Command::new(path("clang").join(program))), DIRECT, "{program}");
    }
}

#[test]
fn another_compiler_is_an_error_where_the_pass_is_required() {
    let (tree, build) = (project(TREE), temporary());
    for (name, option) in [("a", "-DStaticCall_REQUIRE_PASS=ON"), ("b", "-DDEEPER_REQUIRE_PASS=ON")] {
        let mut cmake = configure(&prefix(), GCC, tree.path(), &build.path().join(name));
        let message = failure(cmake.arg(option));
        assert!(message.contains("CMake Error") && message.contains("needs clang 22"), "{message}");
        run(configure(&prefix(), CLANG, tree.path(), &build.path().join(name).join("clang")).arg(option));
    }
}

/// Link-time optimization that CMake does not know of.
#[test]
fn flags_that_lose_the_calls_are_warned_about() {
    let (tree, build) = (project(TREE), temporary());
    let cmake = |name: &str| configure(&prefix(), CLANG, tree.path(), &build.path().join(name));
    assert_eq!(warnings(cmake("lost").args(["-DCMAKE_C_FLAGS=-g -flto=thin", "-DCMAKE_CXX_FLAGS=-flto"])), 1);
    let pass = plugin_in(&prefix());
    let linked = format!("-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld -Wl,--load-pass-plugin={}", pass.display());
    assert_eq!(warnings(cmake("linked").args(["-DCMAKE_C_FLAGS=-flto", &linked])), 0);
    self::build(&build.path().join("linked"));
    assert_eq!(stdout(&mut Command::new(build.path().join("linked/program"))), DIRECT);
}

/// As Cargo does: 0.2 does not promise what 0.1 did.
#[test]
fn versions() {
    let version = env!("CARGO_PKG_VERSION");
    let (major, rest) = version.split_once('.').expect("a version");
    let (minor, patch) = rest.split_once('.').expect("a version");
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let (next_minor, next_patch) = (number(minor) + 1, number(patch) + 1);
    assert_eq!(major, "0", "write down here what is promised now");
    let cases = [
        ("", true),
        (&format!("{major}.{minor}"), true),
        (version, true),
        (&format!("{version} EXACT"), true),
        (&format!("{major}.{minor}.{next_patch}"), false),
        (&format!("{major}.{next_minor}"), false),
        ("0.0.9", false),
        ("1", false),
        (&format!("0.0.1...{version}"), true),
        (&format!("0.0.1...<{version}"), false),
        (&format!("{major}.{minor}...1"), true),
        (&format!("{next_minor}...9"), false),
    ];
    let mut text = "cmake_minimum_required(VERSION 3.19)\nproject(versions NONE)\n".to_owned();
    for (version, _) in cases {
        text += &format!(
            "find_package(StaticCall {version} QUIET)\nmessage(STATUS \"found: ${{StaticCall_FOUND}}\")\n"
        );
    }
    let project = project(&text);
    let said = stdout(&mut configure(&prefix(), CLANG, project.path(), &project.path().join("build")));
    let found: Vec<bool> =
        said.lines().filter_map(|line| line.strip_prefix("-- found: ")).map(|found| found == "1").collect();
    assert_eq!(found, cases.map(|(_, expected)| expected), "{said}");
}
