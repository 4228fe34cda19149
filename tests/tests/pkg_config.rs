//! Projects that find static-call with pkg-config, using Make and Meson. The prefix was moved to a path with
//! a space.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::{install_another_pass, moved, root, run, stdout};
use tempfile::TempDir;

/// The consumer's output: its results, and whether both of its calls are recorded and direct.
const DIRECT: &str = "7 0 12: 2 of 2\n";
const GENERIC: &str = "7 0 12: 0 of 0\n";

/// The prefix, and a directory for builds.
struct World {
    directory: TempDir,
    prefix: PathBuf,
}

impl World {
    fn new() -> Self {
        let (directory, prefix) = moved("moved to/here");
        Self { directory, prefix }
    }

    fn with(&self, program: &str, directory: &str) -> (Command, PathBuf) {
        let there = self.directory.path().join(directory);
        fs::create_dir(&there).expect("a directory");
        let mut command = Command::new(program);
        command.env("PKG_CONFIG_PATH", self.prefix.join("lib/pkgconfig")).current_dir(&there);
        (command, there)
    }
}

fn sources() -> PathBuf {
    root().join("tests/consumer")
}

/// The output of both programs.
fn printed(directory: &Path) -> [String; 2] {
    ["consumer_c", "consumer_cpp"].map(|name| stdout(&mut Command::new(directory.join(name))))
}

/// Whether a program needs our shared library.
fn needs_library(directory: &Path) -> Option<bool> {
    let dynamic = stdout(Command::new("readelf").arg("-d").arg(directory.join("consumer_c")));
    dynamic.contains("NEEDED").then(|| dynamic.contains("[libstatic_call.so.0]"))
}

#[test]
fn make() {
    let world = World::new();
    let check = |name: &str, arguments: &[&str], expected: &str, needs: Option<bool>| {
        let (mut make, directory) = world.with("make", name);
        make.arg("-f").arg(sources().join("Makefile")).arg(format!("VPATH={}", sources().display()));
        let said = run(make.args(["CFLAGS=-O2 -Werror", "CXXFLAGS=-O2 -Werror"]).args(arguments)).stderr;
        assert_eq!(String::from_utf8_lossy(&said), "", "{name}");
        assert_eq!(printed(&directory), [expected, expected], "{name}");
        assert_eq!(needs_library(&directory), needs, "{name}");
    };
    check("shared", &[], DIRECT, Some(true));
    check("static", &["STATIC=1"], DIRECT, None);
    check("gcc", &["CC=gcc", "CXX=g++"], DIRECT, Some(true));
    check("another LLVM", &["CC=clang-19", "CXX=clang++-19"], DIRECT, Some(true));
    check("an old clang", &["CC=clang-14", "CXX=clang++-14"], GENERIC, Some(true));
}

#[test]
fn meson() {
    let world = World::new();
    let check = |name: &str, compilers: [&str; 2], options: &[&str], expected: &str, needs: bool| {
        let (mut meson, directory) = world.with("meson", name);
        meson.env("CC", compilers[0]).env("CXX", compilers[1]);
        meson.args(["setup", "--fatal-meson-warnings", "-Dwerror=true"]).args(options);
        run(meson.arg(&directory).arg(sources()));
        run(Command::new("ninja").arg("-C").arg(&directory));
        assert_eq!(printed(&directory), [expected, expected], "{name}");
        assert_eq!(needs_library(&directory), Some(needs), "{name}");
    };
    let clang = ["clang-22", "clang++-22"];
    check("shared", clang, &["-Dbuildtype=release"], DIRECT, true);
    check("static", clang, &["-Dprefer_static=true"], DIRECT, false);
    check("another LLVM", ["clang-19", "clang++-19"], &["-Dbuildtype=release"], DIRECT, true);
    check("an old clang", ["clang-14", "clang++-14"], &["-Dbuildtype=release"], GENERIC, true);
    check("gcc", ["gcc", "g++"], &["-Dbuildtype=release"], DIRECT, true);
    check("optimized by gcc", ["gcc", "g++"], &["-Dbuildtype=release", "-Db_lto=true"], DIRECT, true);
    // The linker generates the code, so it needs the pass.
    check("optimized", clang, &["-Db_lto=true"], DIRECT, true);

    // Meson caches pkg-config's answers until told to forget them.
    install_another_pass(&world.prefix);
    let directory = world.directory.path().join("shared");
    run(Command::new("meson").args(["configure", "--clearcache"]).arg(&directory));
    let built = stdout(Command::new("ninja").arg("-C").arg(&directory));
    assert!(built.contains("Compiling C object") && built.contains("Compiling C++ object"), "{built}");
    assert_eq!(printed(&directory), [DIRECT, DIRECT]);
}

/// A path with every character that the shell, pkg-config or the compiler driver treats specially.
#[test]
fn the_path_of_the_installation_may_have_these_characters() {
    let (directory, prefix) = moved("a b,c=d#&%*[e]!@~ä");
    let program = directory.path().join("program");
    for (compiler, package, flags) in [
        ("clang-22", "static-call", "-O2"),
        ("clang-22", "static-call-lto", "-O2 -flto"),
        ("clang-22", "static-call-lto", "-flto=thin"),
        ("gcc", "static-call-gcc", "-O2"),
        ("gcc", "static-call-gcc", "-O2 -flto"),
    ] {
        // As in a Makefile, the shell reads pkg-config's output.
        let script =
            format!("eval \"{compiler} {flags} consumer.c -o $0 $(pkg-config --cflags --libs {package})\"");
        let mut shell = Command::new("sh");
        shell.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).current_dir(sources());
        run(shell.arg("-c").arg(script).arg(&program));
        let printed = stdout(Command::new(&program).env("LD_LIBRARY_PATH", prefix.join("lib")));
        assert_eq!(printed, DIRECT, "{package} {flags}");
    }
}
