//! Projects that find static-call by pkg-config: with Make, and with Meson. The prefix was moved to a path with a space.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::{install_another_pass, moved, plugin_in, root, run, stdout};
use tempfile::TempDir;

/// What the consumer prints: its results, and that both of its calls are direct, or go through the pointer.
const DIRECT: &str = "7 0 12: 2 of 2\n";
const GENERIC: &str = "7 0 12: 0 of 0\n";

/// The prefix, and room to build.
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

/// What both programs print.
fn printed(directory: &Path) -> [String; 2] {
    ["consumer_c", "consumer_cpp"].map(|name| stdout(&mut Command::new(directory.join(name))))
}

/// Whether a program needs our shared library, if it needs any.
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
    check("gcc", &["CC=gcc", "CXX=g++"], GENERIC, Some(true));
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
    check("gcc", ["gcc", "g++"], &[], GENERIC, true);
    // The linker makes the code, so it needs the pass.
    let pass = plugin_in(&world.prefix);
    let link = |language| {
        format!("-D{language}_link_args=['-fuse-ld=lld', '-Wl,--load-pass-plugin={}']", pass.display())
    };
    check("optimized", clang, &["-Db_lto=true", &link("c"), &link("cpp")], DIRECT, true);

    // Meson keeps what pkg-config has said, until it is told to forget that.
    install_another_pass(&world.prefix);
    let directory = world.directory.path().join("shared");
    run(Command::new("meson").args(["configure", "--clearcache"]).arg(&directory));
    let built = stdout(Command::new("ninja").arg("-C").arg(&directory));
    assert!(built.contains("Compiling C object") && built.contains("Compiling C++ object"), "{built}");
    assert_eq!(printed(&directory), [DIRECT, DIRECT]);
}
