//! One pass for several LLVMs: each clang that it is built for compiles the programs of `tests/c`, and every
//! recorded call is direct.
//!
//! `STATIC_CALL_TEST_COMPILERS` lists directories with more compilers. `cargo xtask test --compilers` sets
//! it.

use std::path::PathBuf;
use std::process::Command;

use static_call_tests::binary::{StaticCalls, sites_of_object};
use static_call_tests::c::{Build, Compiler, check, source};
use static_call_tests::platform::platform;
use static_call_tests::{link_flags, pass_llvms, plugin, prefix, run};

/// A compiler and its LLVM version.
struct Clang {
    llvm: String,
    /// The directory of its programs. None if they are in `PATH`.
    directory: Option<PathBuf>,
}

impl Clang {
    /// The path of a program, such as `clang`, if it exists.
    fn find(&self, name: &str) -> Option<String> {
        let name = format!("{name}-{}", self.llvm);
        let path =
            self.directory.as_ref().map_or_else(|| name.clone(), |it| it.join(&name).display().to_string());
        Command::new(&path)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
            .then_some(path)
    }

    fn build(&self, level: &'static str) -> Build {
        let find = |name| -> &'static str { self.find(name).expect("clang has it").leak() };
        Build { compiler: Compiler::OtherPass([find("clang"), find("clang++")]), level }
    }
}

fn directories() -> Vec<PathBuf> {
    let directories = std::env::var_os("STATIC_CALL_TEST_COMPILERS").unwrap_or_default();
    std::env::split_paths(&directories).filter(|path| !path.as_os_str().is_empty()).collect()
}

/// All clangs that the pass supports, except LLVM 22's, which all other suites use.
fn clangs() -> Vec<Clang> {
    if platform().is_foreign() {
        eprintln!("skipped: the pass is the same for other machines");
        return Vec::new();
    }
    let mut clangs = Vec::new();
    for llvm in pass_llvms().split(", ").filter(|&llvm| llvm != "22") {
        let here = || [None].into_iter().chain(directories().into_iter().map(Some));
        let found = here().map(|directory| Clang { llvm: llvm.to_owned(), directory });
        match found.into_iter().find(|clang| clang.find("clang").is_some()) {
            Some(clang) => clangs.push(clang),
            None => eprintln!("skipped: no clang-{llvm} is installed"),
        }
    }
    println!("with clang {}", clangs.iter().map(|clang| &*clang.llvm).collect::<Vec<_>>().join(", "));
    clangs
}

#[test]
fn every_call_of_every_program_is_direct() {
    const PROGRAMS: [&[&str]; 12] = [
        &["proposal.c"],
        &["proposal.cpp"],
        &["keys.c"],
        &["keys.cpp"],
        &["scopes.cpp"],
        &["two_files.c", "two_files_other.c"],
        &["off.c"],
        &["signatures.c"],
        &["batch.c"],
        &["lifecycle.c"],
        &["control.c"],
        &["exceptions.cpp"],
    ];
    let directory = tempfile::tempdir().expect("a temporary directory");
    for clang in clangs() {
        for level in ["-O0", "-O2", "-Os"] {
            for sources in PROGRAMS {
                let program = directory.path().join("program");
                let _ = clang.build(level).link(sources, &[], &program);
                check(clang.build(level), &program, &[&program], &(0..=0));
            }
        }
    }
}

/// The number of recorded calls is that of LLVM 22, which other suites compare with the source.
#[test]
fn as_many_calls_are_recorded_as_with_llvm_22() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    for clang in clangs() {
        // At -O0 no call is copied, merged or dropped.
        for sources in [&["keys.c"] as &[_], &["signatures.c"], &["off.c"], &["scopes.cpp"]] {
            let sites = |build: Build| StaticCalls::read(&build.link(sources, &[], &program)).checked();
            let expected = sites(Build { compiler: Compiler::Pass, level: "-O0" });
            assert_eq!(sites(clang.build("-O0")), expected, "clang {}: {sources:?}", clang.llvm);
        }
    }
}

/// Objects of two compilers in one program.
#[test]
fn two_compilers_make_one_program() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    for clang in clangs() {
        let ours = Build { compiler: Compiler::Pass, level: "-O2" };
        for (first, second) in [(ours, clang.build("-O2")), (clang.build("-O2"), ours)] {
            run(first.compiler(false).arg("-c").arg(source("two_files.c")).arg("-o").arg(at("first.o")));
            run(second
                .compiler(false)
                .arg("-c")
                .arg(source("two_files_other.c"))
                .arg("-o")
                .arg(at("second.o")));
            let objects = [at("first.o"), at("second.o")];
            run(ours.compiler(false).args(&objects).args(link_flags()).arg("-o").arg(at("program")));
            check(ours, &at("program"), &[&at("program")], &(0..=0));
        }
    }
}

/// With the LLD of the same LLVM, if there is one.
#[test]
fn link_time_optimization() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    for clang in clangs() {
        let Some(linker) = clang.find("ld.lld") else {
            eprintln!("skipped: there is no ld.lld-{}", clang.llvm);
            continue;
        };
        for kind in ["-flto", "-flto=thin"] {
            let linker = format!("--ld-path={linker}");
            let pass = format!("-Wl,--load-pass-plugin={}", plugin().display());
            let flags = [kind, &linker, &pass];
            let _ = clang.build("-O2").link(&["two_files.c", "two_files_other.c"], &flags, &program);
            check(clang.build("-O2"), &program, &[&program], &(0..=0));
        }
    }
}

/// The code generation of LLVM's new pass manager, which cannot run a plugin's machine passes.
#[test]
fn code_generation_by_the_new_pass_manager() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    for clang in clangs() {
        for level in ["-O0", "-O2"] {
            let build = clang.build(level);
            let is_taken = |flags: &&[&str]| {
                let mut compile = build.compiler(false);
                compile.args(*flags).arg("-c").arg(source("keys.c")).arg("-o").arg(&program);
                compile.output().is_ok_and(|output| output.status.success())
            };
            let flags = [&["-Xclang", "-fenable-new-pm-codegen"][..], &["-mllvm", "-force-new-pm-codegen"]];
            let Some(flags) = flags.into_iter().find(is_taken) else {
                eprintln!("skipped: clang {} does not have it", clang.llvm);
                continue;
            };
            let program = build.link(&["keys.c"], flags, &program);
            check(build, &program, &[&program], &(0..=0));
        }
    }
}

/// Through the wrapper.
#[test]
fn every_rustc_records_calls() {
    const SOURCE: &str = "#![no_std]\n\
         extern \"C\" {\n\
         fn __static_call_target(key: *const [usize; 5]) -> *const ();\n\
         static key__static_call_key: [usize; 5];\n\
         }\n\
         #[no_mangle]\n\
         pub unsafe fn caller() {\n\
         core::mem::transmute::<*const (), fn()>(__static_call_target(&raw const key__static_call_key))();\n\
         }\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("caller.rs"), SOURCE).expect("a file");
    for compiler in directories().iter().map(|directory| directory.join("rustc")).filter(|path| path.exists())
    {
        for level in ["-Copt-level=0", "-Copt-level=3"] {
            let mut rustc = Command::new(prefix().join("bin/static-call-rustc"));
            rustc.arg(&compiler).args(["--crate-name=caller", "--crate-type=lib", "--edition=2021", level]);
            rustc.arg("--emit=obj").arg("-o").arg(at("caller.o")).arg(at("caller.rs"));
            run(rustc.env("STATIC_CALL_REQUIRE", "1"));
            assert_eq!(sites_of_object(&at("caller.o")), 1, "{}: {level}", compiler.display());
        }
        println!("with {}", String::from_utf8_lossy(&run(Command::new(&compiler).arg("-V")).stdout));
    }
}
