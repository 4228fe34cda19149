//! Static branches: programs that check themselves in every mode and with each writer, and the machine code
//! of a branch that is off.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::c::{Build, Compiler, builds, in_mode, source};
use static_call_tests::platform::platform;
use static_call_tests::rust::{self, PLAIN};
use static_call_tests::{execute, llvm, prefix, run, stdout};

/// `STATIC_CALL_MODE` and `STATIC_CALL_WRITER`.
const WRITERS: [(&str, &str); 4] =
    [("inline", "window"), ("inline", "breakpoint"), ("trampoline", "window"), ("generic", "none")];

/// Runs the program in a mode, with a writer. Returns its output lines by their first word.
fn said(program: &Path, mode: &str, writer: &str) -> HashMap<String, String> {
    let mut command = execute(program);
    command.envs(platform().strict().iter().copied());
    command.env("STATIC_CALL_MODE", mode).env("STATIC_CALL_WRITER", writer);
    let printed = stdout(&mut command);
    assert!(printed.ends_with("ok\n"), "{printed}");
    let lines = printed.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(word, rest)| (word.to_owned(), rest.to_owned())).collect()
}

fn check(program: &Path) {
    // Elsewhere branches are loads, which are not recorded.
    let is_recorded = platform().has_branches();
    for (mode, writer) in WRITERS {
        if writer == "breakpoint" && !platform().has_breakpoints {
            continue;
        }
        let said = said(program, mode, writer);
        let number = |word: &str| said[word].parse::<usize>().expect("a number");
        assert!(said["mode"] == mode || !is_recorded);
        // At least one for each branch of the key in the source: `OFF` has ten.
        assert_eq!(number("branches") >= 10, is_recorded, "{said:?}");
        let expected = if mode == "inline" { number("branches") } else { 0 };
        assert_eq!(
            (number("patched"), number("images")),
            (expected, usize::from(is_recorded)),
            "{mode}, {writer}: {said:?}"
        );
    }
}

/// The instructions of a function up to its return.
fn hot_path(program: &Path, function: &str) -> Vec<String> {
    let mut objdump = llvm("llvm-objdump");
    objdump
        .args(["--no-show-raw-insn", "--no-leading-addr", "-d"])
        .arg(format!("--disassemble-symbols={function}"));
    let listing = stdout(objdump.arg(program));
    let start = listing.split_once(&format!("<{function}>:\n")).expect("the function").1;
    let mut path = Vec::new();
    for line in start.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")) {
        path.push(line.clone());
        if line.starts_with("ret") {
            return path;
        }
    }
    panic!("it does not return: {listing}");
}

fn without_the_pass(name: &'static str) -> rust::Build<'static> {
    rust::Build { name, wrapper: None, ..PLAIN }
}

fn built(build: rust::Build<'_>) -> std::path::PathBuf {
    build.build(&["-p", "branches", "--bin", "branches"]).join("branches")
}

#[test]
fn in_debug_builds() {
    check(&built(PLAIN));
}

#[test]
fn without_the_pass_in_debug_builds() {
    check(&built(without_the_pass("without")));
}

#[test]
fn in_release_builds() {
    check(&built(rust::Build { name: "release", release: true, ..PLAIN }));
}

/// The argument moves to the result's register and is incremented, and the branch is one instruction. No
/// register is saved, no argument of the other function is prepared, and nothing is loaded.
#[test]
fn a_branch_that_is_off_is_one_instruction() {
    if !platform().is_representative() {
        eprintln!("skipped: its machine code is not compared, and `in_release_builds` runs the same source");
        return;
    }
    let program = built(rust::Build { release: true, ..without_the_pass("without") });
    check(&program);
    for function in ["hot_leaf", "hot_likely", "hot_lazy"] {
        check_hot_path(&program, function);
    }
}

/// Checks that one instruction of a function is the branch, and all others are those of the addition.
fn check_hot_path(program: &Path, function: &str) {
    let (jump, addition): (_, &[&str]) = match platform().name.split('-').next() {
        Some("x86_64") => ("jmp ", &["leaq 0x1(%rdi), %rax", "movq %rdi, %rax", "incq %rax", "retq"]),
        Some("aarch64") => ("b ", &["add x0, x0, #0x1", "ret"]),
        _ => return,
    };
    let path = hot_path(program, function);
    let is_branch = |line: &str| line.trim_start_matches("addr32 ").starts_with(jump);
    let others: Vec<_> = path.iter().filter(|line| !is_branch(line)).collect();
    assert_eq!(path.len() - others.len(), 1, "{function}: {path:#?}");
    let is_needed = |line: &&String| addition.contains(&line.as_str());
    assert!(others.iter().all(is_needed) && others.len() <= 3, "{function}: {path:#?}");
}

/// The same in C, where neither compiler needs the pass.
#[test]
fn in_c() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in builds() {
        check_c(*build, "branches.c", &[], directory.path());
    }
}

#[test]
fn a_branch_that_is_off_is_one_instruction_in_c() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for compiler in [Compiler::Pass, Compiler::Clang, Compiler::Gcc] {
        for level in ["-O2", "-O3"] {
            let build = Build { compiler, level };
            let program = build.link(&["branches.c"], &[], &directory.path().join("program"));
            for function in ["hot_leaf", "hot_likely", "hot_lazy"] {
                check_hot_path(&program, function);
            }
        }
    }
}

/// Templates, classes, exceptions and coroutines.
#[test]
fn in_code_of_cpp_alone() {
    // What differs between machines is in C as well.
    if platform().is_foreign() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    for compiler in [Compiler::Pass, Compiler::Clang, Compiler::Gcc] {
        for (level, standard) in [("-O0", "-std=c++20"), ("-O2", "-std=c++17"), ("-O2", "-std=c++20")] {
            check_c(Build { compiler, level }, "branch_scopes.cpp", &[standard], directory.path());
        }
    }
}

/// The same for clang 14, the oldest that is known, without its pass.
#[test]
fn in_code_of_cpp_of_the_oldest_clang() {
    if platform().is_foreign() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    for flags in [["-O0", "-std=c++17"], ["-O2", "-std=c++17"], ["-O2", "-std=c++20"]] {
        let mut clang = Command::new("clang++-14");
        clang
            .args(platform().clang_flags())
            .args(flags)
            .args(["-Wall", "-Wextra", "-Werror", "-pthread", "-I"]);
        clang.arg(prefix().join("include")).arg(source("branch_scopes.cpp")).arg("-o").arg(&program);
        run(clang.arg(prefix().join("lib/libstatic_call.a")));
        for (mode, writer) in WRITERS {
            let output = run(in_mode(&program, Some(mode))
                .envs([("STATIC_CALL_WRITER", writer), ("STATIC_CALL_LOG", "1")]));
            let log = String::from_utf8_lossy(&output.stderr);
            assert!(mode != "inline" || log.contains(" keys, inline; "), "{flags:?}, {writer}: {log}");
        }
    }
}

/// The source of a kernel module, with keys in arrays and structs.
#[test]
fn in_code_of_the_kernel() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in builds() {
        check_c(*build, "kernel_keys.c", &[], directory.path());
    }
}

/// clang takes no `$` in assembler then, and both compilers' own code is Intel's.
#[test]
fn in_intel_syntax() {
    if !platform().is_x86() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    for compiler in [Compiler::Clang, Compiler::Gcc, Compiler::Pass] {
        for (level, flags) in
            [("-O0", &["-masm=intel"][..]), ("-O2", &["-masm=intel", "-fno-pie", "-no-pie"])]
        {
            for name in ["branches.c", "kernel_keys.c"] {
                check_c(Build { compiler, level }, name, flags, directory.path());
            }
        }
    }
}

/// They follow their keys all the same.
#[test]
fn branches_that_are_loads_say_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for compiler in [Compiler::Clang, Compiler::Gcc] {
        let build = Build { compiler, level: "-O2" };
        let program =
            build.link(&["branches.c"], &["-DSTATIC_CALL_POINTERS"], &directory.path().join("program"));
        let output = run(in_mode(&program, None).env("STATIC_CALL_LOG", "1"));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(
            log.contains("branch off: no recorded instruction; whatever asks for it loads its key\n"),
            "{log}"
        );
        assert!(!log.contains(" branches of "), "{log}");
    }
}

/// clang takes the keys for constants there, since they lie in a section and come from a compiled module.
#[test]
fn in_modules_of_cpp20() {
    if platform().is_foreign() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    for compiler in [Compiler::Pass, Compiler::Clang] {
        for level in ["-O0", "-O3"] {
            let clang = || {
                let mut clang = Build { compiler, level }.compiler(true);
                clang.args(["-std=c++20", "-Wno-unused-command-line-argument"]);
                clang
            };
            run(clang()
                .arg("--precompile")
                .arg(source("module_branch.cppm"))
                .arg("-o")
                .arg(at("module.pcm")));
            run(clang().arg("-c").arg(at("module.pcm")).arg("-o").arg(at("module.o")));
            let mut link = clang();
            link.arg(format!("-fmodule-file=branches={}", at("module.pcm").display()));
            link.arg(source("module_branch_main.cpp")).arg(at("module.o")).arg("-o").arg(at("program"));
            run(link.arg(prefix().join("lib/libstatic_call.a")));
            for mode in ["inline", "generic"] {
                run(&mut in_mode(&at("program"), Some(mode)));
            }
        }
    }
}

/// Builds and runs a program in each mode with each writer.
fn check_c(build: Build, name: &str, flags: &[&str], directory: &Path) -> PathBuf {
    let program = build.link(&[name], flags, &directory.join("program"));
    // i686's are only patched there.
    let is_fixed = platform().name.starts_with("i686-") && flags.contains(&"-no-pie");
    for (mode, writer) in WRITERS {
        if writer == "breakpoint" && !platform().has_breakpoints {
            continue;
        }
        let mut command = in_mode(&program, Some(mode));
        let output = run(command.env("STATIC_CALL_WRITER", writer).env("STATIC_CALL_LOG", "1"));
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        if (build.header_has_branches() || is_fixed) && mode == "inline" {
            assert!(log.contains(" keys, inline; "), "{build:?}, {flags:?}, {writer}: {log}");
        }
    }
    program
}

/// Every level, and all crates in one module.
#[test]
fn at_other_levels() {
    let levels = [
        ("branches-lto", "-Copt-level=3 -Clto=fat -Cembed-bitcode=yes"),
        ("branches-s", "-Copt-level=s"),
        ("branches-1", "-Copt-level=1 -Crelocation-model=static"),
    ];
    if !platform().is_representative() {
        eprintln!("skipped: `in_release_builds` optimizes for this machine");
        return;
    }
    let count = if platform().is_foreign() { 1 } else { levels.len() };
    for (name, flags) in levels.into_iter().take(count) {
        let environment: &[(&str, &str)] = &[("RUSTFLAGS", flags)];
        check(&built(rust::Build { environment, ..without_the_pass(name) }));
    }
}

/// As C++, and without the library, where a branch is a load.
#[test]
fn in_cpp_and_without_the_library() {
    // What differs between machines is in C as well.
    if platform().is_foreign() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let library = prefix().join("lib/libstatic_call.a");
    for (c, cpp) in [("clang-22", "clang++-22"), ("gcc", "g++")] {
        for (number, (name, standard)) in
            [(c, "-std=gnu11"), (cpp, "-std=c++17"), (cpp, "-std=gnu++20")].into_iter().enumerate()
        {
            for (level, without) in [("-O0", false), ("-O2", false), ("-O0", true), ("-O2", true)] {
                let program = directory.path().join(format!("{name}{number}{level}{without}"));
                let mut compiler = Command::new(name);
                compiler.args(["-Wall", "-Wextra", "-Werror", level, standard, "-pthread", "-x"]);
                compiler.arg(if name == c { "c" } else { "c++" }).arg(source("branches.c"));
                compiler.arg("-I").arg(prefix().join("include")).arg("-o").arg(&program);
                match without {
                    true => compiler.arg("-DSTATIC_CALL_WITHOUT_LIBRARY"),
                    false => compiler.args(["-x", "none"]).arg(&library),
                };
                run(&mut compiler);
                let is_patched = !without && cfg!(target_arch = "x86_64");
                let modes = if without { &[None][..] } else { &[None, Some("generic")] };
                for &mode in modes {
                    let mut command = in_mode(&program, mode);
                    let output = run(command.env("STATIC_CALL_LOG", "1"));
                    let log = String::from_utf8_lossy(&output.stderr);
                    let is_told = log.contains(" branches of ") && log.contains(" keys, inline; ");
                    assert_eq!(is_told, is_patched && mode.is_none(), "{compiler:?}: {log}");
                }
            }
        }
    }
}
