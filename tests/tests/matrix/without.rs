//! The workspace `tests/matrix` without the pass. rustc compiles its crates one by one, so that many ways to
//! build take little time. Each call in Rust goes to a patched trampoline, however the optimizer changes the
//! call and whichever crate it is compiled in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use libtest_mimic::Trial;
use static_call_tests::binary::Trampolines;
use static_call_tests::platform::platform;
use static_call_tests::{prefix, root, run, rust, stdout, target};

use crate::outcome::{Branch, Outcome, calls_in, has, inspect};

mod conventions;
mod mixed;

/// What is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    Program,
    Cdylib,
    Staticlib,
    /// A dylib, and a program that needs it.
    Dylib,
}

/// One way to build.
#[derive(Clone, Copy, Debug)]
struct BuildWay {
    name: &'static str,
    product: Product,
    /// Flags for all crates.
    flags: &'static str,
    /// Flags for linked crates.
    link_flags: &'static str,
    /// Flags that static-call needs too, because they decide what its macros write.
    common: &'static str,
    /// Strings in the linked file that prove that the flags had an effect.
    traces: &'static [&'static str],
}

const USUAL: BuildWay =
    BuildWay { name: "", product: Product::Program, flags: "", link_flags: "", common: "", traces: &[] };

/// The inspector's text for calls that reach a trampoline by a branch or through the global offset table.
const UNRECORDED: &str = "branches to trampolines are not recorded: ";

const RETPOLINES: &str = "-Zretpoline -Cunsafe-allow-abi-mismatch=retpoline";

const WAYS: &[BuildWay] = &[
    BuildWay { name: "O0", flags: "-Cdebug-assertions -Cdebuginfo=2", ..USUAL },
    BuildWay { name: "O1", flags: "-Copt-level=1", ..USUAL },
    BuildWay { name: "O2", flags: "-Copt-level=2", link_flags: "-Clto=off", ..USUAL },
    BuildWay { name: "O3", flags: "-Copt-level=3 -Ccodegen-units=1", ..USUAL },
    BuildWay { name: "Os", flags: "-Copt-level=s", link_flags: "-Clink-arg=-fuse-ld=bfd", ..USUAL },
    BuildWay {
        name: "Oz",
        flags: "-Copt-level=z",
        link_flags: "-Clink-arg=-fuse-ld=mold",
        traces: &["mold "],
        ..USUAL
    },
    BuildWay { name: "lto_thin", flags: "-Copt-level=2", link_flags: "-Clto=thin", ..USUAL },
    BuildWay { name: "lto_fat", flags: "-Copt-level=3", link_flags: "-Clto=fat", ..USUAL },
    BuildWay {
        name: "lto_fat_abort",
        flags: "-Copt-level=s -Cpanic=abort",
        link_flags: "-Clto=fat",
        ..USUAL
    },
    BuildWay {
        name: "linker_plugin_lto",
        flags: "-Copt-level=2 -Clinker-plugin-lto",
        link_flags: "-Clinker=clang-22 -Clink-arg=-fuse-ld=lld",
        traces: &["LLD 22"],
        ..USUAL
    },
    BuildWay { name: "abort", flags: "-Copt-level=2 -Cpanic=abort", ..USUAL },
    BuildWay {
        name: "static",
        flags: "-Copt-level=2 -Ctarget-feature=+crt-static -Crelocation-model=static",
        ..USUAL
    },
    BuildWay {
        name: "coverage",
        flags: "-Copt-level=1 -Cinstrument-coverage",
        traces: &["__llvm_covmap"],
        ..USUAL
    },
    BuildWay {
        name: "address",
        flags: "-Copt-level=1 -Zsanitizer=address",
        traces: &["__asan_init"],
        ..USUAL
    },
    BuildWay {
        name: "thread",
        flags: "-Copt-level=1 -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
        traces: &["__tsan_init"],
        ..USUAL
    },
    BuildWay {
        name: "retpoline",
        flags: "-Copt-level=2",
        common: RETPOLINES,
        traces: &["__llvm_retpoline_"],
        ..USUAL
    },
    BuildWay {
        name: "retpoline_plt",
        flags: "-Copt-level=2 -Zplt=yes",
        common: RETPOLINES,
        traces: &["__llvm_retpoline_"],
        ..USUAL
    },
    BuildWay { name: "cdylib", product: Product::Cdylib, flags: "-Copt-level=2", ..USUAL },
    BuildWay {
        name: "cdylib_lto",
        product: Product::Cdylib,
        flags: "-Copt-level=3",
        link_flags: "-Clto=fat",
        ..USUAL
    },
    BuildWay { name: "staticlib", product: Product::Staticlib, flags: "-Copt-level=2", ..USUAL },
    BuildWay { name: "dylib", product: Product::Dylib, flags: "-Copt-level=2 -Cprefer-dynamic", ..USUAL },
    BuildWay { name: "dylib_debug", product: Product::Dylib, flags: "-Cprefer-dynamic", ..USUAL },
];

pub(crate) fn cells() -> Vec<Trial> {
    if !platform().macros_have_trampolines() {
        return Vec::new();
    }
    let trial = |name: &str, check: Box<dyn FnOnce() + Send>| {
        Trial::test(format!("without::{name}"), move || {
            check();
            Ok(())
        })
    };
    let mut trials = vec![
        trial("conventions", Box::new(|| conventions::check(static_call("")))),
        trial("incremental", Box::new(incremental)),
        trial("mixed", Box::new(|| mixed::check(static_call("")))),
    ];
    trials.extend(WAYS.iter().map(|way| trial(way.name, Box::new(|| way.check()))));
    trials
}

/// The directory of static-call, compiled once for all ways.
fn static_call(common: &str) -> &'static Path {
    static PLAIN: LazyLock<PathBuf> = LazyLock::new(|| build_static_call("plain", ""));
    static THUNKS: LazyLock<PathBuf> = LazyLock::new(|| build_static_call("retpoline", RETPOLINES));
    if common.is_empty() { &PLAIN } else { &THUNKS }
}

fn build_static_call(name: &str, flags: &str) -> PathBuf {
    let directory = target().join("tests/matrix-without").join(name);
    let mut cargo = rust::cargo(None, &root().join("tests/matrix"));
    cargo.args(["build", "--quiet", "--release", "-p", "static-call", "--target-dir"]).arg(&directory);
    // cargo omits what link-time optimization needs.
    cargo.env("RUSTFLAGS", format!("-Cembed-bitcode=yes {flags}")).env("RUSTC_BOOTSTRAP", "1");
    run(&mut cargo);
    directory.join("release")
}

impl BuildWay {
    fn directory(self) -> PathBuf {
        target().join("tests/matrix-without").join(self.name)
    }

    fn check(self) {
        let sources = root().join("tests/matrix");
        let directory = self.directory();
        let _ = fs::remove_dir_all(&directory);
        self.build(&sources, &directory);
        self.check_built(&sources, &directory);
    }

    /// A compilation of one crate.
    fn rustc(self, sources: &Path, directory: &Path, package: &str, kind: &str) -> Command {
        let file = if ["program", "dynamic"].contains(&package) { "main" } else { "lib" };
        let static_call = static_call(self.common);
        let mut rustc = Command::new("rustc");
        rustc.current_dir(directory).env("RUSTC_BOOTSTRAP", "1");
        rustc.args(["--edition=2024", "--crate-name", package, "--crate-type", kind]);
        rustc.arg(sources.join(package).join("src").join(file).with_extension("rs"));
        rustc
            .arg("--extern")
            .arg(format!("static_call={}", static_call.join("libstatic_call.rlib").display()));
        rustc.arg("-L").arg(format!("dependency={}", static_call.join("deps").display()));
        rustc.args(["-L", "dependency=.", "-L", "native=."]);
        for name in ["keys", "sites", "shared"] {
            let found = ["rlib", "so"].map(|kind| directory.join(format!("lib{name}.{kind}")));
            if let Some(found) = found.iter().find(|path| path.exists()) {
                rustc.arg("--extern").arg(format!("{name}={}", found.display()));
            }
        }
        if kind == "proc-macro" {
            rustc.args(["--extern", "proc_macro"]);
            return rustc;
        }
        rustc.arg("--extern").arg(format!("macros={}", directory.join("libmacros.so").display()));
        rustc.args(self.flags.split_whitespace().chain(self.common.split_whitespace()));
        if kind != "rlib" {
            rustc.args(self.link_flags.split_whitespace());
        }
        rustc
    }

    fn build(self, sources: &Path, directory: &Path) {
        fs::create_dir_all(directory).expect("a directory");
        // The compiler loads a macro crate, which is built without these flags.
        run(&mut USUAL.rustc(sources, directory, "macros", "proc-macro"));
        let mut gcc = Command::new("gcc");
        gcc.arg("-I").arg(prefix().join("include")).args(["-c", "-O2", "-fPIC", "-Wall", "-Werror"]);
        run(gcc.arg(sources.join("sites/src/calls.c")).arg("-o").arg(directory.join("calls.o")));
        run(Command::new("ar").current_dir(directory).args(["crs", "libcalls.a", "calls.o"]));
        run(&mut self.rustc(sources, directory, "keys", "rlib"));
        run(self.rustc(sources, directory, "sites", "rlib").arg("-lstatic=calls"));
        let kinds = match self.product {
            Product::Program => vec![("program", "bin")],
            Product::Cdylib => vec![("library", "cdylib")],
            Product::Staticlib => vec![("library", "staticlib")],
            Product::Dylib => vec![("shared", "dylib"), ("dynamic", "bin")],
        };
        for (package, kind) in kinds {
            run(self.rustc(sources, directory, package, kind).args(["-Clink-arg=-Wl,-rpath,$ORIGIN"]));
        }
    }

    fn check_built(self, sources: &Path, directory: &Path) {
        let file = |name: &str| directory.join(name);
        let with_main = |arguments: &[&str]| {
            let program = file("with_main");
            let mut gcc = Command::new("gcc");
            gcc.current_dir(directory).arg(root().join("tests/matrix/c/main.c")).args(arguments);
            run(gcc.arg("-Wl,-rpath,$ORIGIN").arg("-o").arg(&program));
            program
        };
        let (program, images) = match self.product {
            Product::Program => (file("program"), vec![file("program")]),
            Product::Cdylib => (with_main(&["-L.", "-llibrary"]), vec![file("liblibrary.so")]),
            Product::Staticlib => (with_main(&["liblibrary.a"]), vec![file("with_main")]),
            // The program's calls go to the trampoline of the shared object.
            Product::Dylib => (file("dynamic"), vec![file("libshared.so")]),
        };
        for text in self.traces {
            assert!(has(&images[0], text), "the linked file has no {text}");
        }
        let libraries = stdout(Command::new("rustc").args(["--print", "target-libdir"]));
        let mut command = Command::new(&program);
        command.env("LD_LIBRARY_PATH", libraries.trim_end());
        let outcome = Outcome::of(command.env("LLVM_PROFILE_FILE", program.with_extension("profraw")));

        let own: &[&str] = match self.product {
            Product::Program => &["program/src"],
            Product::Cdylib | Product::Staticlib => &["library/src"],
            Product::Dylib => &["shared/src", "dynamic/src"],
        };
        let calls = |list: &[&str]| {
            let paths: Vec<PathBuf> = list.iter().map(|path| sources.join(path)).collect();
            calls_in(&paths.iter().map(|path| path.to_str().expect("UTF-8")).collect::<Vec<_>>())
        };
        let in_rust = calls(&[&["keys/src", "sites/src/lib.rs", "macros/src"], own].concat());
        let in_c = calls(&["sites/src/calls.c"]);
        let past = |calls: &BTreeSet<u32>| &outcome.loaded & calls;
        assert_eq!(past(&in_rust), BTreeSet::new(), "calls that load their key's pointer");
        assert_eq!(&outcome.reached & &in_rust, in_rust, "calls that reach the patched jump");
        assert_eq!(&outcome.reached | &outcome.loaded, &in_rust | &in_c, "all calls");
        assert_eq!((&*outcome.mode, outcome.sites, outcome.direct), ("inline", 0, 0));
        let images: Vec<&Path> = images.iter().map(PathBuf::as_path).collect();
        outcome.check_branches(&[Branch::Rust, Branch::C], false, &images);
        assert_eq!(outcome.macros.as_deref(), Some("trampoline sites 0 direct 0 reached"));
        // mold splits the sections.
        assert_eq!(outcome.is_sealed, !self.traces.contains(&"mold "), "whether the keys are sealed");
        for image in &images {
            self.check_code(image);
            let said = inspect(image, false);
            assert!(said.contains("(by gcc: without static-call-as), and go through trampolines"), "{said}");
            // With retpolines, only C's calls are listed: the inspector does not follow an address into a
            // thunk.
            assert!(said.contains(UNRECORDED), "{said}");
        }
        if self.product == Product::Dylib {
            let said = inspect(&program, false);
            assert!(said.contains(UNRECORDED) && !said.contains("no static calls were found"), "{said}");
        }
    }

    /// All branches lead to trampolines, except for public keys: rustc calls other crates' functions through
    /// the global offset table.
    fn check_code(self, image: &Path) {
        let trampolines = Trampolines::read(image);
        assert_eq!(trampolines.through_keys, [""; 0], "{trampolines:?}");
        let is_public = |name: &String| name.contains("4keys");
        assert!(trampolines.by_pointer.iter().all(is_public), "{trampolines:?}");
        if self.flags.contains("-Zplt=yes") {
            assert_eq!(trampolines.by_pointer, [""; 0], "{trampolines:?}");
            assert!(trampolines.branches > 12, "{trampolines:?}");
        }
    }
}

/// Builds twice, with a new call in between.
fn incremental() {
    let way =
        BuildWay { name: "incremental", flags: "-Cincremental=incremental -Ccodegen-units=64", ..USUAL };
    let directory = way.directory();
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    let sources = directory.join("source");
    run(Command::new("cp").arg("-R").arg(root().join("tests/matrix")).arg(&sources));
    way.build(&sources, &directory);
    way.check_built(&sources, &directory);
    let main = sources.join("program/src/main.rs");
    let text = fs::read_to_string(&main).expect("a source file");
    let edited = text
        .replace("plus: 1 }", "plus: 1 }, Site { run: added, plus: 2 }")
        .replace("fn main()", "fn added(value: u64) -> u64 {\n    KEY.call(30, value) + 2\n}\n\nfn main()");
    assert!(edited.contains("KEY.call(30") && edited.contains("run: added"), "{edited}");
    fs::write(&main, edited).expect("a source file");
    way.build(&sources, &directory);
    way.check_built(&sources, &directory);
}
