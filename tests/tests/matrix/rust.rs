//! The workspace `tests/matrix`: Rust, built by `cargo static-call`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use libtest_mimic::Trial;
use static_call_tests::{plugin, prefix, root, run, rust, stdout, target};

use crate::outcome::{Branch, Expected, Outcome, calls_in, has, inspect};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A rustc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Toolchain {
    /// The default rustc of `cargo`.
    Usual,
    /// rustup's.
    Nightly,
    /// Debian's package rustc-web.
    Debian,
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

impl Toolchain {
    /// Whether it is installed and has the right LLVM.
    fn is_there(self) -> bool {
        let mut rustc = match self {
            Self::Usual => return true,
            Self::Nightly => Command::new("rustc"),
            Self::Debian => Command::new(DEBIAN_RUSTC),
        };
        rustc.args((self == Self::Nightly).then_some("+nightly")).arg("-vV");
        let version = rustc.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        version.is_ok_and(|version| version.contains("LLVM version: 22"))
    }
}

/// The kind of program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Package {
    /// An executable from rlibs.
    Program,
    /// A cdylib and a staticlib.
    Library,
    /// A dylib, and an executable that needs it.
    Dynamic,
}

impl Package {
    fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Library => "library",
            Self::Dynamic => "dynamic",
        }
    }

    /// The calls in its source.
    fn calls(self) -> BTreeSet<u32> {
        let own: &[&str] = match self {
            Self::Program => &["program/src"],
            Self::Library => &["library/src"],
            Self::Dynamic => &["shared/src", "dynamic/src"],
        };
        calls_in(&[&["keys/src", "sites/src", "macros/src"], own].concat())
    }
}

/// One way to build.
#[derive(Clone, Copy, Debug)]
struct Cell {
    name: &'static str,
    toolchain: Toolchain,
    package: Package,
    /// Settings of the profile, each with a name and a value.
    profile: &'static [(&'static str, &'static str)],
    /// Flags for rustc. `PASS` stands for the pass.
    flags: &'static str,
    /// Flags for clang, which compiles the workspace's C.
    c_flags: &'static str,
    /// Strings in the linked file that prove that the flags had an effect.
    traces: &'static [&'static str],
    expected: Expected,
}

/// The default cell.
const USUAL: Cell = Cell {
    name: "",
    toolchain: Toolchain::Usual,
    package: Package::Program,
    profile: &[],
    flags: "",
    c_flags: "-O2",
    traces: &[],
    expected: Expected::Direct,
};

const O1: &[(&str, &str)] = &[("OPT_LEVEL", "1"), ("DEBUG", "0")];
const O2: &[(&str, &str)] = &[("OPT_LEVEL", "2"), ("DEBUG", "0"), ("CODEGEN_UNITS", "16")];
const O3_FAT: &[(&str, &str)] =
    &[("OPT_LEVEL", "3"), ("DEBUG", "0"), ("LTO", "fat"), ("CODEGEN_UNITS", "1"), ("PANIC", "abort")];

const CELLS: &[Cell] = &[
    // Levels, link-time optimization, codegen units, panics, debug information and linkers: each at least
    // once.
    Cell {
        name: "O1_thin_local_abort_bfd",
        profile: &[
            ("OPT_LEVEL", "1"),
            ("DEBUG", "0"),
            ("LTO", "false"),
            ("CODEGEN_UNITS", "16"),
            ("PANIC", "abort"),
        ],
        flags: "-Clink-arg=-fuse-ld=bfd \
                -Clink-arg=-Wl,--gc-sections,-z,start-stop-gc,-z,pack-relative-relocs",
        traces: &[".relr.dyn"],
        ..USUAL
    },
    Cell {
        name: "O2_debug_lld",
        profile: &[("OPT_LEVEL", "2"), ("DEBUG", "2"), ("LTO", "off"), ("CODEGEN_UNITS", "16")],
        flags: "-Clinker=clang-22 -Clink-arg=-fuse-ld=lld \
                -Clink-arg=-Wl,--gc-sections,--icf=all,-z,start-stop-gc,-z,pack-relative-relocs",
        traces: &["LLD 22", ".relr.dyn", ".debug_line"],
        ..USUAL
    },
    Cell {
        name: "O3_thin_rust_lld",
        profile: &[("OPT_LEVEL", "3"), ("DEBUG", "0"), ("LTO", "thin"), ("CODEGEN_UNITS", "16")],
        flags: "-Clinker-features=+lld -Clink-self-contained=+linker -Zunstable-options \
                -Clink-arg=-Wl,--gc-sections,--icf=all,-z,start-stop-gc,-z,pack-relative-relocs",
        traces: &["LLD 22", ".relr.dyn"],
        ..USUAL
    },
    Cell { name: "O3_fat_abort", profile: O3_FAT, ..USUAL },
    Cell {
        name: "Os_fat_mold",
        profile: &[("OPT_LEVEL", "s"), ("DEBUG", "0"), ("LTO", "fat"), ("CODEGEN_UNITS", "1")],
        flags: "-Clink-arg=-fuse-ld=mold -Clink-arg=-Wl,--gc-sections,--icf=all,-z,start-stop-gc",
        traces: &["mold 1"],
        ..USUAL
    },
    Cell {
        name: "Oz_one_unit_mold",
        profile: &[("OPT_LEVEL", "z"), ("DEBUG", "2"), ("CODEGEN_UNITS", "1")],
        flags: "-Clink-arg=-fuse-ld=mold",
        traces: &["mold 1"],
        ..USUAL
    },
    // GNU ld and mold keep uncalled `#[inline]` functions.
    Cell { name: "bfd_as_it_is", flags: "-Clink-arg=-fuse-ld=bfd", expected: Expected::Copied, ..USUAL },
    Cell {
        name: "linker_plugin_lto",
        profile: O2,
        flags: "-Clinker-plugin-lto -Clinker=clang-22 -Clink-arg=-fuse-ld=lld \
                -Clink-arg=-Wl,--load-pass-plugin=PASS",
        c_flags: "-O2 -flto=thin",
        traces: &["LLD 22"],
        ..USUAL
    },
    Cell {
        name: "linker_plugin_lto_fat",
        profile: O3_FAT,
        flags: "-Clinker-plugin-lto -Clinker=clang-22 -Clink-arg=-fuse-ld=lld \
                -Clink-arg=-Wl,--load-pass-plugin=PASS",
        c_flags: "-O2 -flto=full",
        traces: &["LLD 22"],
        ..USUAL
    },
    Cell {
        name: "linker_plugin_lto_without_the_pass_in_the_linker",
        profile: O2,
        flags: "-Clinker-plugin-lto -Clinker=clang-22 -Clink-arg=-fuse-ld=lld",
        c_flags: "-O2 -flto=thin",
        expected: Expected::Trampolines("branches to trampolines are not recorded"),
        ..USUAL
    },
    Cell {
        name: "retpoline",
        profile: O2,
        flags: "-Zretpoline -Cunsafe-allow-abi-mismatch=retpoline",
        c_flags: "-O2 -mretpoline",
        traces: &["__llvm_retpoline_"],
        ..USUAL
    },
    Cell {
        name: "cf_protection",
        profile: O2,
        flags: "-Zcf-protection=full -Ccontrol-flow-guard",
        c_flags: "-O2 -fcf-protection=full",
        ..USUAL
    },
    Cell { name: "coverage", flags: "-Cinstrument-coverage", traces: &["__llvm_covmap"], ..USUAL },
    Cell { name: "address", profile: O1, flags: "-Zsanitizer=address", traces: &["__asan_init"], ..USUAL },
    Cell {
        name: "thread",
        profile: O1,
        flags: "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
        traces: &["__tsan_init"],
        ..USUAL
    },
    Cell {
        name: "static_pie",
        profile: O2,
        // Not folded: a call in two equal functions has two entries for one place.
        flags: "-Ctarget-feature=+crt-static -Clink-arg=-fuse-ld=mold \
                -Clink-arg=-Wl,--gc-sections,--pack-dyn-relocs=relr",
        expected: Expected::Copied,
        traces: &["mold 1", ".relr.dyn"],
        ..USUAL
    },
    Cell {
        name: "static",
        profile: O2,
        flags: "-Ctarget-feature=+crt-static -Crelocation-model=static",
        c_flags: "-O2 -fno-pie",
        ..USUAL
    },
    Cell { name: "cdylib_and_staticlib", package: Package::Library, profile: O2, ..USUAL },
    Cell {
        name: "dylib",
        package: Package::Dynamic,
        profile: O2,
        flags: "-Cprefer-dynamic -Clink-arg=-Wl,-rpath,$ORIGIN",
        // A dylib exports its `#[inline]` functions.
        expected: Expected::Copied,
        ..USUAL
    },
    // Debian's linker is GNU ld.
    Cell { name: "debian_O0", toolchain: Toolchain::Debian, expected: Expected::Copied, ..USUAL },
    Cell {
        name: "debian_O3_fat",
        toolchain: Toolchain::Debian,
        profile: O3_FAT,
        expected: Expected::Copied,
        ..USUAL
    },
    Cell { name: "nightly_O0", toolchain: Toolchain::Nightly, ..USUAL },
    Cell { name: "nightly_O3_fat", toolchain: Toolchain::Nightly, profile: O3_FAT, ..USUAL },
];

/// All cells of Rust, the longest first.
pub(crate) fn cells() -> Vec<Trial> {
    let trial = |name: &str, toolchain: Toolchain, check: Box<dyn FnOnce() + Send>| {
        let is_there = toolchain.is_there();
        if !is_there {
            eprintln!("skipped: rust::{name}: that rustc is not installed, or has another LLVM than 22");
        }
        let check = move || {
            check();
            Ok(())
        };
        Trial::test(format!("rust::{name}"), check).with_ignored_flag(!is_there)
    };
    let mut trials = vec![
        trial("musl_static", Toolchain::Debian, Box::new(musl_static)),
        trial("profile_guided", Toolchain::Usual, Box::new(profile_guided)),
        trial("incremental", Toolchain::Usual, Box::new(incremental)),
        trial("one_crate_without_the_pass", Toolchain::Usual, Box::new(one_crate_without_the_pass)),
        trial("rust_without_the_pass", Toolchain::Usual, Box::new(rust_without_the_pass)),
    ];
    let cell = |&cell: &Cell| trial(cell.name, cell.toolchain, Box::new(move || cell.check(&Slot::take())));
    trials.extend(CELLS.iter().map(cell));
    trials
}

/// A target directory, used by one cell at a time. Common crates are built once in each.
struct Slot {
    number: usize,
    directory: PathBuf,
}

/// Which directories are in use.
static SLOTS: Mutex<Vec<bool>> = Mutex::new(Vec::new());

impl Slot {
    fn take() -> Self {
        let mut slots = SLOTS.lock().expect("nobody panics with it");
        let number = slots.iter().position(|is_used| !is_used).unwrap_or(slots.len());
        if number == slots.len() {
            slots.push(true);
        }
        slots[number] = true;
        Self { number, directory: target().join("tests").join(format!("matrix-{number}")) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        SLOTS.lock().expect("nobody panics with it")[self.number] = false;
    }
}

impl Cell {
    fn check(self, slot: &Slot) {
        self.check_built(&self.build(slot, &root().join("tests/matrix")));
    }

    /// Checks the products in a directory.
    fn check_built(self, built: &Path) {
        match self.package {
            Package::Program => {
                let program = built.join("program");
                for text in self.traces {
                    assert!(has(&program, text), "the linked file has no {text}");
                }
                let is_static = self.flags.contains("+crt-static");
                assert_eq!(has(&program, ".interp"), !is_static, "whether it has a dynamic linker");
                self.check_outcome(self.outcome(&program), self.expected, &[&program]);
            }
            Package::Dynamic => {
                let (program, shared) = (built.join("dynamic"), built.join("libshared.so"));
                self.check_outcome(self.outcome(&program), self.expected, &[&program, &shared]);
            }
            Package::Library => {
                let compile = |name: &str, arguments: &[String]| {
                    let program = built.join(name);
                    let mut gcc = Command::new("gcc");
                    gcc.arg(root().join("tests/matrix/c/main.c")).args(arguments).arg("-o").arg(&program);
                    run(&mut gcc);
                    program
                };
                let directory = built.display();
                let cdylib = compile(
                    "with_cdylib",
                    &[format!("-L{directory}"), "-llibrary".into(), format!("-Wl,-rpath,{directory}")],
                );
                let image = built.join("liblibrary.so");
                self.check_outcome(self.outcome(&cdylib), Expected::Direct, &[&image]);
                let staticlib = compile("with_staticlib", &[format!("{directory}/liblibrary.a")]);
                // GNU ld keeps uncalled `#[inline]` functions.
                self.check_outcome(self.outcome(&staticlib), Expected::Copied, &[&staticlib]);
            }
        }
    }

    fn check_outcome(self, outcome: Outcome, expected: Expected, images: &[&Path]) {
        outcome.check(expected, &self.package.calls(), images);
        outcome.check_branches(&[Branch::Rust, Branch::C], matches!(expected, Expected::Copied), images);
    }

    /// Runs a program.
    fn outcome(self, program: &Path) -> Outcome {
        let mut command = Command::new(program);
        // `profile_guided` looks there for coverage and profiles.
        command.env("LLVM_PROFILE_FILE", program.with_extension("profraw"));
        if self.package == Package::Dynamic {
            let libraries = stdout(Command::new("rustc").args(["--print", "target-libdir"]));
            command.env("LD_LIBRARY_PATH", libraries.trim_end());
        }
        Outcome::of(&mut command)
    }

    /// Builds the workspace or a copy of it. Returns the output directory.
    fn build(self, slot: &Slot, workspace: &Path) -> PathBuf {
        self.build_for(TARGET, slot, workspace, |_| ())
    }

    /// The same for another target; `adjust` may change the command.
    fn build_for(
        self,
        target: &str,
        slot: &Slot,
        workspace: &Path,
        adjust: impl FnOnce(&mut Command),
    ) -> PathBuf {
        let mut cargo = self.cargo(workspace);
        let path = std::env::var("PATH").expect("a path");
        cargo.env("PATH", format!("{}:{path}", prefix().join("bin").display()));
        cargo.args(["static-call", "build", "--quiet", "--target", target, "-p", self.package.name()]);
        adjust(cargo.env("CARGO_TARGET_DIR", &slot.directory));
        run(&mut cargo);
        slot.directory.join("static-call").join(target).join("debug")
    }

    /// cargo with all the variables of this cell.
    fn cargo(self, workspace: &Path) -> Command {
        let mut cargo = rust::cargo((self.toolchain == Toolchain::Nightly).then_some("+nightly"), workspace);
        if self.toolchain == Toolchain::Debian {
            cargo.env("RUSTC", DEBIAN_RUSTC);
        }
        // The test reads the machine code function by function.
        cargo.env("CARGO_PROFILE_DEV_STRIP", "none");
        for (setting, value) in self.profile {
            cargo.env(format!("CARGO_PROFILE_DEV_{setting}"), value);
        }
        let flags = self.flags.replace("PASS", &plugin().display().to_string());
        cargo.env("RUSTFLAGS", flags);
        // Only for the program: with `--target`, macros and build scripts are built without these flags.
        cargo.env("CFLAGS_x86_64_unknown_linux_gnu", self.c_flags);
        if self.flags.contains("-Z") {
            cargo.env("RUSTC_BOOTSTRAP", "1");
        }
        cargo.env("STATIC_CALL_REQUIRE", "1").env("STATIC_CALL_TEST_PASS", plugin());
        cargo.env("STATIC_CALL_TEST_INCLUDE", prefix().join("include"));
        cargo
    }
}

/// Builds with counters, runs, and builds again with the profile.
fn profile_guided() {
    let slot = Slot::take();
    let generate = Cell { flags: "-Cprofile-generate", profile: O2, ..USUAL };
    generate.check(&slot);
    let counted = slot.directory.join("static-call").join(TARGET).join("debug/program.profraw");
    let data = slot.directory.join("matrix.profdata");
    run(Command::new("llvm-profdata-22").arg("merge").arg(counted).arg("-o").arg(&data));
    let flags: &'static str = format!("-Cprofile-use={}", data.display()).leak();
    Cell { flags, expected: Expected::Copied, ..generate }.check(&slot);
}

/// A static program with musl and the standard library from Debian's sources, since no installed rustc has
/// one for musl.
fn musl_static() {
    const MUSL: &str = "x86_64-unknown-linux-musl";
    let slot = Slot::take();
    let directory = slot.directory.join("musl");
    fs::create_dir_all(&directory).expect("a directory");
    // rustc expects the unwinder under this name. Debian's needs a function of glibc that musl lacks; a stub
    // may find nothing.
    let unwinder = stdout(Command::new("gcc").arg("-print-file-name=libgcc_eh.a"));
    fs::copy(unwinder.trim_end(), directory.join("libunwind.a")).expect("the unwinder");
    let [source, object] = ["find.c", "find.o"].map(|name| directory.join(name));
    fs::write(&source, "int _dl_find_object(void *address, void *result) { return -1; }\n").expect("a file");
    run(Command::new("musl-gcc").arg("-c").arg(&source).arg("-o").arg(&object));
    run(Command::new("ar").arg("r").arg(directory.join("libunwind.a")).arg(&object));

    let flags = format!(
        "-Ctarget-feature=+crt-static -Crelocation-model=static -Clink-self-contained=no -L{}",
        directory.display()
    );
    let profile = &[("DEBUG", "0"), ("PANIC", "abort"), ("INCREMENTAL", "false")];
    // GNU ld keeps uncalled `#[inline]` functions.
    let expected = Expected::Copied;
    let cell = Cell { toolchain: Toolchain::Debian, flags: flags.leak(), profile, expected, ..USUAL };
    let built = cell.build_for(MUSL, &slot, &root().join("tests/matrix"), |cargo| {
        let headers = "-O2 -nostdlibinc -isystem /usr/include/x86_64-linux-musl";
        // Without backtraces, which would be a fifth of the work.
        cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]).env("RUSTC_BOOTSTRAP", "1");
        cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "musl-gcc");
        cargo.env("CFLAGS_x86_64_unknown_linux_musl", headers);
    });
    cell.check_built(&built);
}

/// Builds three times, with edits in between.
fn incremental() {
    let slot = Slot::take();
    let copy = slot.directory.join("source");
    let _ = fs::remove_dir_all(&copy);
    fs::create_dir_all(&slot.directory).expect("a directory");
    run(Command::new("cp").arg("-R").arg(root().join("tests/matrix")).arg(&copy));
    let edit = |file: &str, from: &str, to: &str| {
        let path = copy.join(file);
        let text = fs::read_to_string(&path).expect("a source file");
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replace(from, to)).expect("a source file");
    };
    edit("Cargo.toml", "../../runtime", root().join("runtime").to_str().expect("UTF-8"));
    let cell = Cell { profile: &[("INCREMENTAL", "true")], c_flags: "-O0", ..USUAL };
    let check = |number: u32| {
        let program = cell.build(&slot, &copy).join("program");
        let sources =
            ["keys/src", "sites/src", "macros/src", "program/src"].map(|directory| copy.join(directory));
        let calls = calls_in(&sources.each_ref().map(|path| path.to_str().expect("UTF-8")));
        assert_eq!(number != 0, calls.contains(&number));
        cell.outcome(&program).check(Expected::Direct, &calls, &[&program]);
    };
    check(0);
    // First a new call in the program, then one in the keys' crate.
    let main = "program/src/main.rs";
    edit(main, "plus: 1 }", "plus: 1 }, Site { run: added, plus: 2 }");
    edit(main, "fn main()", "fn added(value: u64) -> u64 {\n    KEY.call(30, value) + 2\n}\n\nfn main()");
    check(30);
    edit("keys/src/lib.rs", "KEY.call(1, value) + 1", "KEY.call(31, value) + 1");
    check(31);
}

/// Builds with the pass, except for some crates, in a new directory: cargo does not know which crates had the
/// pass.
fn partly(without: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let wrapper = directory.path().join("rustc");
    let names: Vec<String> = without.iter().map(|name| format!("*' --crate-name {name} '*")).collect();
    let pass = prefix().join("bin/static-call-rustc");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in\n{}) exec \"$@\" ;;\n*) exec {} \"$@\" ;;\nesac\n",
        names.join(" | "),
        pass.display()
    );
    fs::write(&wrapper, script).expect("a script");
    fs::set_permissions(&wrapper, PermissionsExt::from_mode(0o755)).expect("a script");
    let mut cargo = USUAL.cargo(&root().join("tests/matrix"));
    cargo.args(["build", "--quiet", "--target", TARGET, "--target-dir"]).arg(directory.path());
    run(cargo.env("RUSTC_WRAPPER", wrapper));
    let program = directory.path().join(TARGET).join("debug/program");
    (directory, program)
}

/// Calls compiled in that crate go through their keys, all others are direct, and the inspector names the
/// crate.
fn one_crate_without_the_pass() {
    let (_directory, program) = partly(&["sites"]);
    let outcome = USUAL.outcome(&program);
    let in_c = calls_in(&["sites/src/calls.c"]);
    let elsewhere = calls_in(&["program/src"]);
    // The other calls of the crate with the keys are generic or inlined.
    let not_generic = BTreeSet::from([1, 2]);
    let direct: BTreeSet<u32> = &(&in_c | &elsewhere) | &not_generic;
    assert_eq!(outcome.loaded, &Package::Program.calls() - &direct);
    assert_eq!(outcome.reached, direct);
    assert_eq!((outcome.sites, outcome.direct), (direct.len(), direct.len()));
    let said = inspect(&program, false);
    // Generic code is named after the crate that defines it.
    assert!(said.contains("crates that seem to be built without the pass: keys, sites"), "{said}");
    doctor_complains(&program);
    let said = log(&program);
    assert!(said.contains("key keys::definitions::KEY: a call that loads it"), "{said}");
}

/// The runtime's log.
fn log(program: &Path) -> String {
    let output = run(Command::new(program).env("STATIC_CALL_LOG", "1"));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The doctor looks into named programs.
fn doctor_complains(program: &Path) {
    let mut doctor = Command::new(prefix().join("bin/cargo-static-call"));
    let output = doctor.args(["static-call", "doctor"]).arg(program).output().expect("the doctor");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    let complaint = format!("{}: not every call can be made direct", program.display());
    assert!(said.contains(&complaint), "{said}");
}

/// Only the calls in C are direct; the others go through trampolines, and the runtime says so.
fn rust_without_the_pass() {
    let (_directory, program) = partly(&["keys", "sites", "program"]);
    let outcome = USUAL.outcome(&program);
    let in_c = calls_in(&["sites/src/calls.c"]);
    assert_eq!(outcome.loaded, BTreeSet::new());
    assert_eq!(outcome.reached, Package::Program.calls());
    assert_eq!((outcome.sites, outcome.direct), (in_c.len(), in_c.len()));
    inspect(&program, false);
    doctor_complains(&program);
    let said = log(&program);
    assert!(
        said.contains("key keys::definitions::KEY: no recorded call; calls go through its trampoline"),
        "{said}"
    );
    assert!(!said.contains("key keys::definitions::KEY_OF_C: no recorded call"), "{said}");
}
