//! Projects that find static-call with `find_package(StaticCall)`.

use std::fs;
use std::path::Path;
use std::process::Command;

use static_call_tests::{
    failure, install_another_pass, moved, old_cmake, plugin_in, prefix, root, run, stdout,
};
use tempfile::TempDir;

const CLANG: [&str; 2] = ["clang-22", "clang++-22"];
const GCC: [&str; 2] = ["gcc", "g++"];
const OTHER_CLANG: [&str; 2] = ["clang-14", "clang++-14"];

/// The consumer's output: its results, and whether both of its calls are recorded and direct.
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

/// The output of the consumer's programs, configured by `cmake` in a directory of this name.
fn consumer(prefix: &Path, compilers: [&str; 2], directory: &Path, options: &[&str]) -> [String; 2] {
    let cmake = &mut configure(prefix, compilers, &root().join("tests/consumer"), directory);
    run(cmake.args(options));
    build(directory);
    ["consumer_c", "consumer_cpp"].map(|name| stdout(&mut Command::new(directory.join(name))))
}

/// A project with this text and the consumer's programs.
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
fn an_old_cmake_builds_direct_calls() {
    let Some(program) = old_cmake() else {
        eprintln!("skipped: there is no old CMake");
        return;
    };
    let directory = temporary();
    for compilers in [CLANG, GCC] {
        for optimized in ["OFF", "ON"] {
            let case = format!("{} {optimized}", compilers[0]);
            let build = directory.path().join(&case);
            fs::create_dir(&build).expect("a directory");
            let cmake = || {
                let mut cmake = Command::new(&program);
                cmake.current_dir(&build).env("CC", compilers[0]).env("CXX", compilers[1]);
                cmake
            };
            let mut configure = cmake();
            configure.arg(root().join("tests/consumer")).args(["-G", "Unix Makefiles"]);
            configure.arg(format!("-DCMAKE_INTERPROCEDURAL_OPTIMIZATION={optimized}"));
            let output = run(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display())));
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{case}");
            run(cmake().args(["--build", "."]));
            for name in ["consumer_c", "consumer_cpp"] {
                assert_eq!(stdout(&mut Command::new(build.join(name))), DIRECT, "{case}: {name}");
            }
        }
    }
}

/// A static library with static calls, and a program that links it. Before policy CMP0099 (CMake 3.17) the
/// linker options of a static library's private dependencies did not reach the program.
#[test]
fn the_linker_gets_the_pass_behind_a_static_library() {
    for minimum in ["3.10", "3.18"] {
        let text = format!(
            "cmake_minimum_required(VERSION {minimum})
project(behind C CXX)
find_package(StaticCall REQUIRED)
add_library(calls STATIC consumer.c)
target_link_libraries(calls PRIVATE StaticCall::static_call)
add_library(between STATIC empty.c)
target_link_libraries(between PRIVATE calls)
add_executable(once empty.c)
target_link_libraries(once PRIVATE between)
add_executable(twice consumer.cpp)
target_link_libraries(twice PRIVATE between StaticCall::static_call_shared)
"
        );
        let project = project(&text);
        fs::write(project.path().join("empty.c"), "").expect("a file");
        for generator in ["Unix Makefiles", "Ninja"] {
            let directory = project.path().join(generator);
            let mut cmake = configure(&prefix(), CLANG, project.path(), &directory);
            run(cmake.args(["-G", generator, "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON", "-Wno-dev"]));
            build(&directory);
            for program in ["once", "twice"] {
                let printed = stdout(&mut Command::new(directory.join(program)));
                assert_eq!(printed, DIRECT, "{program} by {generator} under {minimum}");
            }
        }
    }
}

/// A path with every character that CMake, Make, Ninja, the shell or the compiler driver treats specially.
#[test]
fn the_path_of_the_installation_may_have_these_characters() {
    let (_directory, prefix) = moved("a b,c'd\"e=f#(&)%*[g]<!@~ä");
    let cmake = prefix.join("lib/cmake/StaticCall");
    for generator in ["Unix Makefiles", "Ninja"] {
        for optimized in ["ON", "OFF"] {
            let directory = temporary();
            let mut command =
                configure(Path::new(""), CLANG, &root().join("tests/consumer"), directory.path());
            command.args(["-G", generator]).arg(format!("-DStaticCall_DIR={}", cmake.display()));
            run(command.arg(format!("-DCMAKE_INTERPROCEDURAL_OPTIMIZATION={optimized}")));
            build(directory.path());
            let printed = stdout(&mut Command::new(directory.path().join("consumer_c")));
            assert_eq!(printed, DIRECT, "{generator}, optimized: {optimized}");
        }
    }
}

#[test]
fn a_path_that_a_build_tool_would_mistake_is_refused() {
    let (directory, prefix) = moved("here");
    let cases = [("a;b", "Ninja"), ("a>b", "Ninja"), ("a$b", "Ninja"), ("a:b", "Unix Makefiles")];
    for (name, generator) in cases {
        let there = directory.path().join(name);
        fs::rename(&prefix, &there).expect("moved");
        let build = temporary();
        let mut cmake = configure(Path::new(""), CLANG, &root().join("tests/consumer"), build.path());
        cmake
            .args(["-G", generator])
            .arg(format!("-DStaticCall_DIR={}/lib/cmake/StaticCall", there.display()));
        let message = failure(&mut cmake).split_whitespace().collect::<Vec<_>>().join(" ");
        let character = format!("({})", &name[1..2]);
        assert!(
            message.contains(&character) && message.contains("Move the installation"),
            "{name}: {message}"
        );
        fs::rename(&there, &prefix).expect("moved back");
    }
}

/// LLD's ThinLTO cache ignores plugins and would reuse code that was made without the pass.
#[test]
fn a_cache_of_links_without_the_pass_is_not_believed() {
    let directory = temporary();
    let cache = directory.path().join("cache");
    let linker = format!("-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld -Wl,--thinlto-cache-dir={}", cache.display());
    let options = |option| ["-GNinja", "-DCMAKE_BUILD_TYPE=Release", option, &linker];
    let build = |name| directory.path().join(name);
    let without = options("-DCMAKE_C_FLAGS=-flto=thin");
    let printed = consumer(&prefix(), CLANG, &build("without"), &without);
    assert_eq!(printed[0], GENERIC);
    let number = || fs::read_dir(&cache).expect("the cache").count();
    let before = number();
    assert!(before > 0);
    let with = options("-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON");
    assert_eq!(consumer(&prefix(), CLANG, &build("with"), &with), [DIRECT, DIRECT]);
    // Repeating the links uses the cache.
    let after = number();
    assert!(after > before);
    assert_eq!(consumer(&prefix(), CLANG, &build("with it again"), &with), [DIRECT, DIRECT]);
    assert_eq!(number(), after);
}

#[test]
fn gcc_builds_direct_calls() {
    let build = temporary();
    let release = ["-GNinja", "-DCMAKE_BUILD_TYPE=Release"];
    assert_eq!(consumer(&prefix(), GCC, &build.path().join("a"), &release), [DIRECT, DIRECT]);
    let optimized = [&release[..], &["-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON"]].concat();
    assert_eq!(consumer(&prefix(), GCC, &build.path().join("b"), &optimized), [DIRECT, DIRECT]);
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

/// Several directories find the package, and one of them also enables a language.
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

/// The number of warnings, all of which must be ours.
fn warnings(cmake: &mut Command) -> usize {
    let output = run(cmake);
    let said = String::from_utf8_lossy(&output.stderr);
    let warnings = said.matches("CMake Warning").count();
    assert_eq!(said.is_empty(), warnings == 0, "{said}");
    let about = said.matches("cannot").count() + said.matches("flag -flto,").count();
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
    assert_eq!(warnings(&mut cmake(OTHER_CLANG, "other")), 1);
    assert_eq!(warnings(&mut cmake(["clang-22", "clang++-14"], "mixed")), 1);
    assert_eq!(warnings(&mut cmake(GCC, "gcc")), 0);
    assert_eq!(warnings(&mut cmake(CLANG, "clang")), 0);
    let both = configure(&prefix(), OTHER_CLANG, &root().join("tests/consumer"), &path("both")).output();
    let both = both.expect("it runs").stderr;
    let both = String::from_utf8_lossy(&both).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(both.matches("CMake Warning").count() == 1, "{both}");
    assert!(both.contains("for C (Clang 14") && both.contains("and CXX (Clang 14"), "{both}");
    // The language that was enabled after the first call also gets the pass.
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
        assert!(message.contains("CMake Error") && message.contains("needs clang "), "{message}");
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

/// As in Cargo, 0.2 is not compatible with 0.1.
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

/// The header cannot detect these flags.
#[test]
fn flags_for_retpolines_define_the_macro() {
    const TEXT: &str = "cmake_minimum_required(VERSION 3.10)\n\
        project(p C)\n\
        find_package(StaticCall REQUIRED)\n\
        add_executable(consumer consumer.c)\n\
        target_link_libraries(consumer StaticCall::static_call)\n";
    let project = project(TEXT);
    for (number, (flags, is_defined)) in [
        ("-O2", false),
        ("-O2 -mindirect-branch=thunk", true),
        ("-mindirect-branch=thunk-inline -O2", true),
        ("-mindirect-branch=keep", false),
    ]
    .into_iter()
    .enumerate()
    {
        let directory = project.path().join(number.to_string());
        run(configure(&prefix(), GCC, project.path(), &directory).arg(format!("-DCMAKE_C_FLAGS={flags}")));
        let log = stdout(Command::new("cmake").arg("--build").arg(&directory).args(["--", "VERBOSE=1"]));
        assert_eq!(log.contains("-DSTATIC_CALL_RETPOLINES"), is_defined, "{flags}: {log}");
    }
}
