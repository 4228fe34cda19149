//! Which code compiles with `static_call.h`, in which languages and with which warnings, and which does not.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use static_call_tests::c::{SOME_BUILDS, builds, in_mode, modes, source};
use static_call_tests::{failure, llvm, plugin, prefix, run};

/// clang 22 or gcc, for this standard, with the header.
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
const C_WARNINGS: [&str; 4] =
    ["-Wmissing-prototypes", "-Wstrict-prototypes", "-Wbad-function-cast", "-Wnested-externs"];
const CPP_WARNINGS: [&str; 4] =
    ["-Wold-style-cast", "-Wextra-semi", "-Wnon-virtual-dtor", "-Wzero-as-null-pointer-constant"];

/// The warnings of clang 22's `-Weverything` about the header, and why they can be ignored.
const NOT_EVERYTHING: [&str; 9] = [
    // These names are reserved for libraries, so users have no such names.
    "-Wno-reserved-identifier",
    "-Wno-reserved-macro-identifier",
    // Features newer than C++98, or than the standard before the requested one.
    "-Wno-c++98-compat-pedantic",
    "-Wno-pre-c11-compat",
    "-Wno-pre-c23-compat",
    // An unused key is not a mistake, so its type is marked unused.
    "-Wno-used-but-marked-unused",
    // A key holds functions of every type.
    "-Wno-cast-function-type-strict",
    // The end of `struct static_call_change`.
    "-Wno-padded",
    // A dispatched key is resolved by a constructor.
    "-Wno-global-constructors",
];

/// The other versions of clang that are installed.
fn other_clangs(cpp: &str) -> Vec<String> {
    let names = (13..22).chain(23..30).map(|version| format!("clang{cpp}-{version}"));
    names.filter(|name| Command::new(name).arg("--version").output().is_ok()).collect()
}

/// Like [`compiler`], for a program with a version in its name.
fn any_compiler(program: &str, standard: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("-std={standard}")).arg("-I").arg(prefix().join("include"));
    command
}

#[test]
fn no_warnings_in_any_c() {
    for program in ["clang", "gcc"] {
        for standard in ["c11", "c17", "c2x"] {
            for name in ["proposal.c", "keys.c", "two_files.c", "batch.c"] {
                let mut command = compiler(program, standard);
                command.args(WARNINGS).args(C_WARNINGS);
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
                command.args(WARNINGS).args(CPP_WARNINGS);
                run(command.args(["-fsyntax-only", "-O2"]).arg(source(name)));
            }
        }
    }
}

/// The whole interface in every standard, with the header as a user header and as a system header.
#[test]
fn no_warnings_in_any_standard() {
    let c = ["c99", "gnu99", "c11", "gnu11", "c17", "gnu17", "c2x", "gnu2x"];
    let cpp = ["c++11", "gnu++11", "c++14", "gnu++14", "c++17", "c++20", "c++23", "gnu++23"];
    let mut clangs = other_clangs("");
    clangs.push("clang-22".into());
    clangs.push("gcc".into());
    let mut clangpps = other_clangs("++");
    clangpps.push("clang++-22".into());
    clangpps.push("g++".into());
    for (programs, standards, warnings, names) in [
        (clangs, c, C_WARNINGS, ["interface.c", "branch_interface.c"]),
        (clangpps, cpp, CPP_WARNINGS, ["interface.cpp", "branch_interface.cpp"]),
    ] {
        for program in programs {
            for standard in standards {
                // These versions call it by another name.
                let is_old = ["-13", "-14", "-15", "-16"].iter().any(|end| program.ends_with(end));
                if is_old && standard.ends_with("++23") {
                    continue;
                }
                let mut command = any_compiler(&program, standard);
                command.args(WARNINGS).args(warnings);
                command.args((program == "g++").then_some("-Wuseless-cast"));
                run(command.arg("-fsyntax-only").args(names.map(source)));
            }
            let mut command = Command::new(&program);
            command.args(WARNINGS).arg("-fsyntax-only").arg("-isystem").arg(prefix().join("include"));
            run(command.args(names.map(source)));
        }
    }
}

#[test]
fn no_warnings_under_weverything() {
    for (program, standards, names) in [
        ("clang", ["c99", "c11", "c23"], ["interface.c", "branch_interface.c"]),
        ("clang++", ["c++11", "c++17", "c++23"], ["interface.cpp", "branch_interface.cpp"]),
    ] {
        for standard in standards {
            let mut command = compiler(program, standard);
            command.args(["-Weverything", "-Werror", "-fsyntax-only"]).args(NOT_EVERYTHING);
            run(command.args(names.map(source)));
        }
    }
}

/// The whole interface works in the oldest and the newest standards, in each build and mode.
#[test]
fn the_whole_interface() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    for &build in builds() {
        for (name, standards) in [
            ("interface.c", ["-std=c99", "-std=c2x"]),
            ("interface.cpp", ["-std=c++11", "-std=c++23"]),
            ("branch_interface.c", ["-std=c99", "-std=c2x"]),
            ("branch_interface.cpp", ["-std=c++11", "-std=c++23"]),
        ] {
            for standard in standards {
                let program = build.link(&[name], &[standard], &program);
                let is_patched = build.has_pass() || build.has_trampolines();
                for &mode in modes().iter().take(if is_patched { usize::MAX } else { 1 }) {
                    run(&mut in_mode(&program, mode));
                }
            }
        }
    }
}

/// Flags that change enumerations, structs and characters. The library is compiled without these flags.
#[test]
fn flags_that_change_layouts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    let flags = [
        &["-fshort-enums", "-fpack-struct"][..],
        &["-funsigned-char", "-fno-exceptions", "-fno-asynchronous-unwind-tables"],
    ];
    for build in SOME_BUILDS {
        for flags in flags {
            for name in ["interface.c", "interface.cpp"] {
                run(&mut in_mode(&build.link(&[name], flags, &program), None));
            }
        }
        run(&mut in_mode(&build.link(&["interface.cpp"], &["-fno-rtti"], &program), None));
    }
}

/// A header's text, without comments and literals.
fn header(name: &str) -> String {
    let text = std::fs::read_to_string(prefix().join("include").join(name)).expect("the header");
    let mut code = String::new();
    let mut rest = &*text;
    while let Some(at) = rest.find(['/', '"']) {
        code.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = if let Some(comment) = rest.strip_prefix("/*") {
            &comment[comment.find("*/").expect("the comment's end") + 2..]
        } else if let Some(literal) = rest.strip_prefix('"') {
            let mut end = literal.find('"').expect("the literal's end");
            while literal[..end].ends_with('\\') {
                end += 1 + literal[end + 1..].find('"').expect("the literal's end");
            }
            &literal[end + 1..]
        } else {
            code.push('/');
            &rest[1..]
        };
    }
    code + rest
}

fn identifiers(code: &str) -> BTreeSet<&str> {
    let words = code.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    words.filter(|word| word.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())).collect()
}

fn is_of_the_interface(name: &str) -> bool {
    ["static_call", "STATIC_CALL", "DEFINE_STATIC_CALL", "DECLARE_STATIC_CALL"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Whether a name belongs to the interface of branches, or to that of calls.
fn is_of_branches(name: &str) -> bool {
    ["static_", "STATIC_", "DEFINE_STATIC_", "DECLARE_STATIC_"].iter().any(|start| name.starts_with(start))
}

#[test]
fn the_interface_is_tested_as_a_whole() {
    let headers = header("static_call.h") + &header("static_call_registry.h");
    let test = std::fs::read_to_string(source("interface.c")).expect("the test");
    let tested = identifiers(&test);
    let is_ours = |name: &str| is_of_the_interface(name) || name.starts_with("static_branch_");
    let names = identifiers(&headers).into_iter().filter(|name| is_ours(name) && !name.ends_with("_H"));
    let missing: Vec<_> = names.filter(|name| !tested.contains(name)).collect();
    assert!(missing.is_empty(), "tests/c/interface.c says nothing of {missing:?}");
}

#[test]
fn the_interface_of_branches_is_tested_as_a_whole() {
    let header = header("static_branch.h");
    let read = |name| std::fs::read_to_string(source(name)).expect("the test");
    let (test, arrays) = (read("branch_interface.c"), read("kernel_keys.c"));
    let (tested, tested_arrays) = (identifiers(&test), identifiers(&arrays));
    let names: Vec<_> = identifiers(&header).into_iter().filter(|name| is_of_branches(name)).collect();
    assert!(names.len() > 25, "{names:?}");
    // The header's own, the language's, and those of the other header.
    const OTHERS: [&str; 2] = ["STATIC_BRANCH_H", "static_cast"];
    let is_of_calls = |name: &str| is_of_the_interface(name) && name != "static_call_lazy";
    let is_missing = |name: &&str| {
        let tested = if name.contains("_ARRAY_") { &tested_arrays } else { &tested };
        !tested.contains(name) && !OTHERS.contains(name) && !is_of_calls(name)
    };
    let missing: Vec<_> = names.into_iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "tests/c/branch_interface.c says nothing of {missing:?}");
}

/// Users may have macros like `#define N 100`. So this test defines every identifier of the headers as a
/// macro that is not valid C, except for those of the language, the standard library and the headers'
/// interface.
#[test]
fn macros_of_users_break_nothing() {
    const HEADERS: [&str; 5] = [
        "static_call.h",
        "static_branch.h",
        "static_call_registry.h",
        "static_call_trampoline.h",
        "static_call_without_library.h",
    ];
    const KEYWORDS: [&str; 24] = [
        "char", "const", "defined", "do", "else", "goto", "if", "double", "enum", "extern", "float", "int",
        "long", "return", "short", "signed", "sizeof", "static", "struct", "typedef", "union", "unsigned",
        "void", "while",
    ];
    const CPP_KEYWORDS: [&str; 19] = [
        "for",
        "bool",
        "char16_t",
        "char32_t",
        "char8_t",
        "constexpr",
        "decltype",
        "noexcept",
        "nullptr",
        "reinterpret_cast",
        "static_assert",
        "static_cast",
        "template",
        "typename",
        "using",
        "volatile",
        "wchar_t",
        "true",
        "false",
    ];
    // Identifiers of <stddef.h> and <stdint.h>.
    const LIBRARY: [&str; 6] = ["size_t", "ptrdiff_t", "intptr_t", "uint32_t", "UINT32_C", "SIZE_MAX"];
    // Users name these fields; a macro of that name has to survive the header.
    const FIELDS: [&str; 13] = [
        "keys",
        "sites",
        "direct",
        "through_trampoline",
        "images",
        "branches",
        "patched_branches",
        "key",
        "target",
        "count",
        "info",
        "state",
        "name",
    ];
    let headers = HEADERS.map(header).concat();
    let is_reserved = |name: &str| {
        name.strip_prefix('_')
            .is_some_and(|rest| rest.starts_with(|c: char| c == '_' || c.is_ascii_uppercase()))
    };
    let names = |keywords: &[&[&str]]| -> String {
        let names = identifiers(&headers).into_iter().filter(|name| {
            let is_keyword = keywords.iter().any(|keywords| keywords.contains(name));
            !(is_keyword || is_reserved(name) || is_of_branches(name) || LIBRARY.contains(name))
        });
        let mut text = String::new();
        for name in names.chain(["N", "inline", "unused", "target", "name", "form"]) {
            writeln!(text, "#undef {name}\n#define {name} ) not C (").expect("a string");
        }
        text
    };
    let fields = FIELDS.map(|field| format!("#ifndef {field}\n#error {field}\n#endif\n")).concat();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("macros.c");
    let include = |name: &str| format!("#include \"{}\"\n", source(name).display());
    let ours = HEADERS[..3].iter().map(|name| format!("#include <{name}>\n")).collect::<String>();
    for (programs, standards, keywords) in [
        (["clang-22", "gcc"], ["c99", "c2x"], &[&KEYWORDS[..], &["volatile"]][..]),
        (["clang++-22", "g++"], ["c++11", "c++23"], &[&KEYWORDS[..], &CPP_KEYWORDS]),
    ] {
        let macros = names(keywords);
        assert!(macros.lines().count() > 60 && macros.contains("#define found "), "{macros}");
        // The standard headers come first, so that the macros affect only our headers.
        let before = format!("#include <stddef.h>\n#include <stdint.h>\n{macros}");
        for text in [
            format!("{before}{}", include("interface.c")),
            format!("{before}{}", include("branch_interface.c")),
            format!("{ours}{macros}{}", include("interface.c")),
            format!("{ours}{macros}{}", include("branch_interface.c")),
            format!("{before}{ours}{fields}"),
        ] {
            std::fs::write(&file, &text).expect("a file");
            for program in programs {
                for standard in standards {
                    let mut command = any_compiler(program, standard);
                    command.args(["-fsyntax-only", "-Wall", "-Wextra", "-Werror"]);
                    command.args(["-x", if program.contains("++") { "c++" } else { "c" }]);
                    // The last text uses no key.
                    run(command.arg("-Wno-unused").arg(&file));
                }
            }
        }
    }
}

/// C++ programs often include headers of C projects in this way.
#[test]
fn inside_extern_c() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("inside.cpp");
    for name in ["interface.c", "branch_interface.c"] {
        let text = format!(
            "extern \"C\" {{\n#include <static_call.h>\n#include <static_branch.h>\n\
             #include <static_call_registry.h>\n}}\n#include \"{}\"\n",
            source(name).display()
        );
        std::fs::write(&file, text).expect("a file");
        for program in ["clang++-22", "g++"] {
            for standard in ["c++11", "c++20"] {
                run(any_compiler(program, standard).args(WARNINGS).arg("-fsyntax-only").arg(&file));
            }
        }
    }
}

/// Compilers warn if an update's result is ignored, and there is a way to ignore it on purpose.
#[test]
fn refusals_are_not_overlooked() {
    let calls = [
        "static_call_update(key, add)",
        "static_call_update_at(add, &table[0], add)",
        "static_call_update_ret0(key)",
        "static_call_make_pointer(key)",
        "static_call_update_ret0_at(&table[0])",
        "static_call_update_batch(NULL, 0)",
        "static_call_seal()",
    ];
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file: PathBuf = directory.path().join("ignored.c");
    for (program, language, standards) in [
        ("clang-22", "c", ["c99", "c2x"]),
        ("gcc", "c", ["c99", "c2x"]),
        ("clang++-22", "c++", ["c++11", "c++20"]),
        ("g++", "c++", ["c++11", "c++20"]),
    ] {
        for standard in standards {
            let warnings = |statement: &dyn Fn(&str) -> String| {
                let statements = calls.map(|call| format!("\t{}\n", statement(call))).concat();
                let text = format!(
                    "#include <static_call.h>\nint add(int a, int b);\nDEFINE_STATIC_CALL(key, add);\n\
                     extern struct static_call_key table[];\n\
                     void test(void);\nvoid test(void)\n{{\n{statements}}}\n"
                );
                std::fs::write(&file, text).expect("a file");
                let mut command = any_compiler(program, standard);
                command.args(["-Wall", "-Wextra", "-c", "-o", "/dev/null", "-x", language]).arg(&file);
                String::from_utf8(run(&mut command).stderr).expect("UTF-8")
            };
            let ignored = warnings(&|call| format!("{call};"));
            assert_eq!(
                ignored.matches("[-Wunused-result]").count(),
                calls.len(),
                "{program} {standard}: {ignored}"
            );
            assert_eq!(warnings(&|call| format!("if ({call}) {{}}")), "", "{program} {standard}");
            let void = warnings(&|call| format!("(void){call};"));
            // gcc's attribute accepts nothing but a check, as the header says.
            let expected = if (program, standard) == ("gcc", "c99") { calls.len() } else { 0 };
            assert_eq!(void.matches("[-Wunused-result]").count(), expected, "{program} {standard}: {void}");
        }
    }
}

/// Keys are initialized at compile time, so they are ready before any constructor.
#[test]
fn keys_need_no_initialization() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let object = directory.path().join("scopes.o");
    for program in ["clang++", "g++"] {
        for level in ["-O0", "-O2"] {
            let mut command = compiler(program, "c++17");
            run(command.args([level, "-c"]).arg(source("scopes.cpp")).arg("-o").arg(&object));
            let sections = static_call_tests::stdout(llvm("llvm-readelf").arg("-SW").arg(&object));
            // The image's own constructor runs before all others.
            let other = sections.replace(".init_array.101", "");
            assert!(!other.contains(".init_array"), "{program} {level}:\n{sections}");
        }
    }
}

/// A compiler's message for one of the cases in `refused.c`.
fn refusal(program: &str, case: u32) -> String {
    let (standard, name) =
        if program.ends_with("++") { ("c++17", "refused.cpp") } else { ("c11", "refused.c") };
    let mut command = compiler(program, standard);
    command.args(["-Werror", "-fsyntax-only", &format!("-DCASE={case}")]);
    failure(command.arg(source(name)))
}

/// Each message names the user's file, and names both types or says what is wrong.
#[test]
fn a_wrong_function_does_not_compile() {
    const C: [&str; 2] = ["clang", "gcc"];
    const CPP: [&str; 2] = ["clang++", "g++"];
    // The case, the words of which a C compiler's message must contain one, and those for C++.
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

/// A resolver returns a pointer to another type, or is no resolver.
#[test]
fn a_wrong_resolver_does_not_compile() {
    for (program, words) in [
        ("clang", ["int (*)(int)", "too few arguments"]),
        ("gcc", ["int (*)(int)", "too few arguments"]),
        ("clang++", ["a resolver takes nothing and returns a pointer to a function of the key's type"; 2]),
        ("g++", ["a resolver takes nothing and returns a pointer to a function of the key's type"; 2]),
    ] {
        for (case, words) in (15..).zip(words) {
            let message = refusal(program, case);
            assert!(message.contains(words), "{program}, case {case}:\n{message}");
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

#[test]
fn cpp_knows_every_kind_of_result() {
    for (program, flags) in [("clang++", &[][..]), ("g++", &[]), ("clang++", &["-m32", "-ffreestanding"])] {
        for case in 0..=7 {
            let mut command = compiler(program, "c++11");
            command.args(["-Wno-ignored-qualifiers", "-fsyntax-only", &format!("-DCASE={case}")]).args(flags);
            command.arg(source("results.cpp"));
            if case == 0 || (case == 1 && flags.is_empty()) {
                run(&mut command);
            } else {
                let message = failure(&mut command);
                assert!(
                    message.contains("a static call that may "),
                    "{program}, {flags:?}, {case}:\n{message}"
                );
            }
        }
    }
}

/// Without the mistake, the cases compile.
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
