//! What the runtime answers to a bad environment: rights that are missing, code that somebody else wrote.

use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSymbol};
use static_call_tests::binary::{StaticCalls, has_site_table};
use static_call_tests::c::{Build, Compiler, in_mode, source, writers};
use static_call_tests::platform::platform;
use static_call_tests::{execute, failure, link_flags, llvm, plugin, prefix, run};

const PASS: Build = Build { compiler: Compiler::Pass, level: "-O2" };
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_unknown_mode_or_writer_is_named_on_one_line_and_ignored() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["plain.c"], &[], &directory.path().join("plain"));
    let by_default = run(&mut in_mode(&program, None));
    assert!(by_default.stderr.is_empty());
    for (variable, valid) in [
        ("STATIC_CALL_MODE", ["inline", "trampoline", "generic"]),
        ("STATIC_CALL_WRITER", ["window", "breakpoint", "none"]),
    ] {
        let output = run(in_mode(&program, None).env(variable, "fast"));
        let stderr = text(&output.stderr);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        for word in valid.into_iter().chain([variable, "=fast"]) {
            assert!(stderr.contains(word), "{word}: {stderr}");
        }
        assert_eq!(output.stdout, by_default.stdout);
        assert!(run(in_mode(&program, None).env(variable, "")).stderr.is_empty(), "empty is unset");
    }
}

/// A breakpoint in a site, or in a trampoline, stops updates of its key until it is gone.
#[test]
fn code_that_somebody_else_patched() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = PASS.link(&["foreign_patch.c"], &[], &directory.path().join("program"));
    let main = symbol(&program, "main").0;
    let (start, size) = symbol(&program, "call_second");
    let sites = StaticCalls::read(&program).recorded;
    let site = sites.into_iter().find(|site| (start..start + size).contains(site)).expect("a site");
    let trampoline = symbol(&program, "__static_call_trampoline.second__static_call_key").0;
    for (mode, address) in [
        (None, site),
        (None, site + 1),
        (Some("trampoline"), trampoline),
        (Some("trampoline"), trampoline + 2),
    ] {
        for (writer, _) in writers() {
            let offset = address.cast_signed() - main.cast_signed();
            run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer).arg(offset.to_string()));
        }
    }
}

/// Address and size.
fn symbol(program: &Path, name: &str) -> (u64, u64) {
    let data = std::fs::read(program).expect("the program");
    let file = object::File::parse(&*data).expect("an ELF file");
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name)).expect(name);
    (symbol.address(), symbol.size())
}

/// Every clang may load the plugin, to be told that it is the wrong one.
#[test]
fn another_llvm_is_named_and_the_build_goes_on_without_the_pass() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    let compile = || {
        let mut clang = Command::new("clang-19");
        clang.arg(format!("-fpass-plugin={}", plugin().display())).arg("-I").arg(prefix().join("include"));
        clang
            .args(platform().clang_flags())
            .arg(source("proposal.c"))
            .args(link_flags())
            .arg("-o")
            .arg(&program);
        clang
    };
    let said = run(&mut compile()).stderr;
    let said = String::from_utf8_lossy(&said);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("has LLVM 19") && said.contains("built for LLVM 22"), "{said}");
    run(&mut execute(&program));
    assert!(!has_site_table(&program));
    let error = failure(compile().env("STATIC_CALL_REQUIRE", "1"));
    assert!(error.contains("has LLVM 19") && error.contains("STATIC_CALL_REQUIRE=1"), "{error}");
}

/// clang itself refuses a file that is no plugin, and names it.
#[test]
fn a_missing_or_damaged_plugin_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let damaged = directory.path().join("libdamaged.so");
    std::fs::write(&damaged, &std::fs::read(plugin()).expect("the plugin")[..1000]).expect("a copy");
    for file in [damaged, directory.path().join("libmissing.so")] {
        let mut clang = llvm("clang");
        clang.arg(format!("-fpass-plugin={}", file.display())).arg("-I").arg(prefix().join("include"));
        let error = failure(clang.arg("-c").arg(source("proposal.c")).arg("-o").arg("/dev/null"));
        assert!(error.contains(&*file.to_string_lossy()), "{error}");
    }
}
