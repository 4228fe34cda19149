//! What compiles with `static_call.h`, in which languages and under which warnings, and what does not.

use std::process::Command;

use static_call_tests::c::source;
use static_call_tests::{failure, llvm, plugin, prefix, run};

/// A compiler that stops after the front end.
fn compiler(program: &str, standard: &str) -> Command {
    let mut command = if program.starts_with("clang") { llvm(program) } else { Command::new(program) };
    command.arg(format!("-std={standard}")).arg("-I").arg(prefix().join("include"));
    command
}

const WARNINGS: [&str; 12] = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wpedantic",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wunused",
    "-Wcast-qual",
    "-Wundef",
    "-Wredundant-decls",
    "-Wwrite-strings",
];

#[test]
fn no_warnings_in_any_c() {
    for program in ["clang", "gcc"] {
        for standard in ["c11", "c17", "c2x"] {
            for name in ["proposal.c", "keys.c", "two_files.c", "batch.c"] {
                let mut command = compiler(program, standard);
                command.args(WARNINGS).args(["-Wmissing-prototypes", "-Wstrict-prototypes"]);
                run(command.args(["-fsyntax-only", "-O2"]).arg(source(name)));
            }
        }
    }
}

#[test]
fn no_warnings_in_any_cpp() {
    for program in ["clang++", "g++"] {
        for standard in ["c++17", "c++20"] {
            for name in ["proposal.cpp", "keys.cpp", "scopes.cpp", "exceptions.cpp"] {
                let mut command = compiler(program, standard);
                command.args(WARNINGS).args(["-Wold-style-cast", "-Wextra-semi", "-Wnon-virtual-dtor"]);
                run(command.args(["-fsyntax-only", "-O2"]).arg(source(name)));
            }
        }
    }
}

/// Keys are ready before any constructor runs: nothing is initialized at run time.
#[test]
fn keys_need_no_initialization() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let object = directory.path().join("scopes.o");
    for program in ["clang++", "g++"] {
        for level in ["-O0", "-O2"] {
            let mut command = compiler(program, "c++17");
            run(command.args([level, "-c"]).arg(source("scopes.cpp")).arg("-o").arg(&object));
            let sections = static_call_tests::stdout(llvm("llvm-readelf").arg("-SW").arg(&object));
            assert!(!sections.contains(".init_array"), "{program} {level}:\n{sections}");
        }
    }
}

/// What one of the compilers says of one of the cases in `refused.c`.
fn refusal(program: &str, case: u32) -> String {
    let (standard, name) =
        if program.ends_with("++") { ("c++17", "refused.cpp") } else { ("c11", "refused.c") };
    let mut command = compiler(program, standard);
    command.args(["-Werror", "-fsyntax-only", &format!("-DCASE={case}")]);
    failure(command.arg(source(name)))
}

/// Each message names both types, or says what is wrong; and the line in the user's file.
#[test]
fn a_wrong_function_does_not_compile() {
    const C: [&str; 2] = ["clang", "gcc"];
    const CPP: [&str; 2] = ["clang++", "g++"];
    // The case, and words that one of C's and one of C++'s messages have to hold.
    let cases: [(u32, &[&str], &[&str]); 7] = [
        (1, &["long (*)(long, long)", "long int (*)(long int,  long int)"], &["int (*)(int, int)"]),
        (2, &["int (*)(int)"], &["int (*)(int, int)"]),
        (3, &["'int'", "‘int’"], &["'int'", "‘int’"]),
        (4, &["int (*)(int)"], &["int (*)(int, int)"]),
        (5, &["too few arguments"], &["too few arguments"]),
        (6, &["to parameter of type 'int'", "makes integer from pointer"], &["const char"]),
        (7, &["long (*)(long, long)", "long int (*)(long int,  long int)"], &["int (*)(int, int)"]),
    ];
    for (case, c, cpp) in cases {
        for (programs, words) in [(C, c), (CPP, cpp)] {
            for program in programs {
                let message = refusal(program, case);
                assert!(
                    words.iter().any(|word| message.contains(word)),
                    "{program}, case {case}:\n{message}"
                );
                assert!(message.contains("refused.c"), "{program}, case {case}:\n{message}");
                assert!(message.contains("error"), "{program}, case {case}:\n{message}");
            }
        }
    }
}

#[test]
fn a_key_starts_with_a_constant_and_has_to_exist() {
    for (program, words) in [
        ("clang", "not a compile-time constant"),
        ("gcc", "not constant"),
        ("clang++", "not an integral constant expression"),
        ("g++", "non-constant condition"),
    ] {
        let message = refusal(program, 8);
        assert!(message.contains(words), "{program}:\n{message}");
        assert!(refusal(program, 9).contains("no_such_key"), "{program}");
    }
}

#[test]
fn cpp_refuses_results_that_cannot_be_zero_or_missing() {
    for program in ["clang++", "g++"] {
        for case in 10..=12 {
            let message = refusal(program, case);
            assert!(message.contains("returns an integer, bool or pointer"), "{program}, {case}:\n{message}");
        }
        assert!(refusal(program, 13).contains("may be NULL returns void"), "{program}");
        assert!(refusal(program, 14).contains("noexcept"), "{program}");
    }
}

/// The cases fail for the reason that they name, and not for another one.
#[test]
fn the_right_case_compiles() {
    for (program, standard, name) in
        [("clang", "c11", "refused.c"), ("gcc", "c11", "refused.c"), ("clang++", "c++17", "refused.cpp")]
    {
        run(compiler(program, standard).args(["-DCASE=0", "-fsyntax-only", "-Werror"]).arg(source(name)));
    }
    // With the pass, too.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut clang = compiler("clang", "c11");
    clang.arg(format!("-fpass-plugin={}", plugin().display())).args(["-DCASE=0", "-c"]);
    run(clang.arg(source("refused.c")).arg("-o").arg(directory.path().join("refused.o")));
}
