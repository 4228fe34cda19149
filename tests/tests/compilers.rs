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
use static_call_tests::rust::{self, PLAIN, behaves_in_all_modes, cargo, oldest};
use static_call_tests::{failure, link_flags, pass_llvms, plugin, prefix, root, run};

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

/// Objects of two compilers in one program. Their bitcode is linked by the LLD of the newer one.
#[test]
fn two_compilers_make_one_program() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let pass = format!("-Wl,--load-pass-plugin={}", plugin().display());
    for clang in clangs() {
        let ours = Build { compiler: Compiler::Pass, level: "-O2" };
        let theirs = clang.build("-O2");
        let is_newer = clang.llvm.parse::<u32>().expect("a number") > 22;
        let (linker, lld) =
            if is_newer { (theirs, clang.find("ld.lld")) } else { (ours, Some("ld.lld-22".to_owned())) };
        let lld = lld.map(|lld| format!("--ld-path={lld}"));
        let with_bitcode = lld.as_ref().map(|lld| (linker, vec!["-flto", lld, &pass]));
        for (linker, flags) in [Some((ours, Vec::new())), with_bitcode].into_iter().flatten() {
            for (first, second) in [(ours, theirs), (theirs, ours)] {
                let compile = |build: Build, name: &str, object: &str| {
                    let mut compile = build.compiler(false);
                    compile.args(flags.first()).arg("-c").arg(source(name)).arg("-o").arg(at(object));
                    run(&mut compile);
                };
                compile(first, "two_files.c", "first.o");
                compile(second, "two_files_other.c", "second.o");
                let objects = [at("first.o"), at("second.o")];
                let mut link = linker.compiler(false);
                run(link.args(&flags).args(&objects).args(link_flags()).arg("-o").arg(at("program")));
                check(ours, &at("program"), &[&at("program")], &(0..=0));
            }
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

/// Where this LLVM runs no stage that could record them, calls load their key, and the file says why.
#[test]
fn on_power_and_loongarch_only_newer_llvms_have_direct_calls() {
    const SOURCE: &str = "@key__static_call_key = external global [5 x ptr]\n\
         declare ptr @__static_call_target(ptr)\n\
         define void @caller() {\n\
         %target = call ptr @__static_call_target(ptr @key__static_call_key)\n\
         call void %target()\n\
         ret void\n\
         }\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("caller.ll"), SOURCE).expect("a file");
    for clang in clangs() {
        for target in ["powerpc64le-linux-gnu", "loongarch64-linux-gnu"] {
            let mut compile = Command::new(clang.find("clang").expect("it was found before"));
            compile.arg(format!("-fpass-plugin={}", plugin().display())).args([
                "-S",
                "-O1",
                "-Wno-override-module",
            ]);
            run(compile.args(["-target", target]).arg(at("caller.ll")).arg("-o").arg(at("caller.s")));
            let text = std::fs::read_to_string(at("caller.s")).expect("the assembler");
            let has = |part: &str| text.contains(part);
            let found = [
                has("__static_call_trampoline.key__static_call_key"),
                has("LLVM before 21 cannot record calls on this target"),
            ];
            let is_newer = clang.llvm.parse::<u32>().expect("a number") >= 21;
            assert_eq!(found, [is_newer, !is_newer], "clang {}: {target}\n{text}", clang.llvm);
        }
    }
}

/// A rustc beside the one that builds everything.
struct Rustc {
    path: PathBuf,
    /// Such as `1.96.0`.
    release: String,
}

/// This machine's own, if its LLVM has a pass, and those in the list.
fn rustcs() -> Vec<Rustc> {
    if platform().is_foreign() {
        return Vec::new();
    }
    let find = |path: PathBuf| {
        let version = Command::new(&path).arg("-vV").output().ok()?;
        let version = String::from_utf8(version.stdout).expect("UTF-8");
        let field = |name| version.lines().find_map(|line| line.strip_prefix(name));
        let (release, llvm) = (field("release: ")?, field("LLVM version: ")?);
        println!("{}: rustc {release} with LLVM {llvm}", path.display());
        let is_served = pass_llvms().split(", ").any(|served| llvm.split('.').next() == Some(served));
        is_served.then(|| Rustc { path, release: release.to_owned() })
    };
    let here = PathBuf::from("/usr/bin");
    directories().into_iter().chain([here]).filter_map(|directory| find(directory.join("rustc"))).collect()
}

/// Rust of this rustc and C of another LLVM's clang in one program.
#[test]
fn programs_of_every_rustc_with_c_of_another_clang() {
    let clang = clangs().first().and_then(|clang| clang.find("clang")).unwrap_or_else(|| "clang-22".into());
    for rustc in rustcs() {
        let path = rustc.path.display().to_string();
        let environment: &[_] = &[("RUSTC", &*path), ("STATIC_CALL_TEST_CLANG", &*clang)];
        let build = rust::Build { name: "other-rustc", environment, ..PLAIN };
        let is_too_old = version(&rustc.release) < version(&oldest());
        if is_too_old {
            let mut cargo = cargo(None, &root().join("tests/rust"));
            cargo.args(["build", "-p", "behaviour", "--target-dir"]).arg(build.directory());
            let said = failure(cargo.envs(environment.iter().copied()));
            let words =
                [format!("rustc {} is not supported", rustc.release), format!("requires rustc {}", oldest())];
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
            continue;
        }
        for release in [false, true] {
            behaves_in_all_modes(&rust::Build { release, ..build }.behaviour());
        }
    }
}

/// The numbers of a version.
fn version(text: &str) -> Vec<u32> {
    text.split(['.', '-']).map_while(|number| number.parse().ok()).collect()
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
    for Rustc { path, release } in rustcs() {
        for level in ["-Copt-level=0", "-Copt-level=3"] {
            let mut rustc = Command::new(prefix().join("bin/static-call-rustc"));
            rustc.arg(&path).args(["--crate-name=caller", "--crate-type=lib", "--edition=2021", level]);
            rustc.arg("--emit=obj").arg("-o").arg(at("caller.o")).arg(at("caller.rs"));
            run(rustc.env("STATIC_CALL_REQUIRE", "1"));
            assert_eq!(sites_of_object(&at("caller.o")), 1, "rustc {release}: {level}");
        }
    }
}
