//! Bad environments: missing rights, code that others have changed, and the wrong clang.

use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSymbol};
use static_call_tests::binary::{StaticCalls, sites_of_object};
use static_call_tests::c::{Build, Compiler, in_mode, source, writers};
use static_call_tests::{execute, failure, link_flags, llvm, pass_llvms, plugin, prefix, run};

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
        ("STATIC_CALL_MODE", &["inline", "trampoline", "generic"][..]),
        ("STATIC_CALL_WRITER", &["window", "alias", "breakpoint", "none"]),
    ] {
        let output = run(in_mode(&program, None).env(variable, "fast"));
        let stderr = text(&output.stderr);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        for word in valid.iter().copied().chain([variable, "=fast"]) {
            assert!(stderr.contains(word), "{word}: {stderr}");
        }
        assert_eq!(output.stdout, by_default.stdout);
        assert!(run(in_mode(&program, None).env(variable, "")).stderr.is_empty(), "empty is unset");
    }
}

/// A breakpoint in a site or a trampoline stops updates of its key until it is gone.
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
        // On x86 our part starts at the second byte at the earliest, so a probe may be on the first.
        (Some("trampoline"), trampoline + 1),
        (Some("trampoline"), trampoline + 2),
    ] {
        for (writer, _) in writers() {
            let offset = address.cast_signed() - main.cast_signed();
            run(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer).arg(offset.to_string()));
        }
    }
}

/// A function's address and size.
fn symbol(program: &Path, name: &str) -> (u64, u64) {
    let data = std::fs::read(program).expect("the program");
    let file = object::File::parse(&*data).expect("an ELF file");
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name)).expect(name);
    (symbol.address(), symbol.size())
}

/// Any clang can load the plugin, which reports that the clang is the wrong one. Here a clang pretends to be
/// another.
#[test]
fn another_llvm_is_named_and_the_build_goes_on_without_the_pass() {
    const OTHERS: [(&str, &str, &str); 2] = [
        // It has LLVM 22's plugin interface.
        (
            "void LLVMGetVersion(unsigned *major, unsigned *minor, unsigned *patch) {\n\
             (void)minor, (void)patch;\n*major = 23;\n}\n",
            "has LLVM 23, but the pass was built for LLVM ",
            "23",
        ),
        ("int _ZN4llvm23EnableABIBreakingChecksE;\n", "has LLVM 22 with assertions", "none"),
    ];
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    for (text, expected, llvm) in OTHERS {
        if pass_llvms().split(", ").any(|served| served == llvm) {
            eprintln!("skipped: the pass is built for LLVM {llvm}");
            continue;
        }
        std::fs::write(at("other.c"), text).expect("a file");
        run(Command::new("gcc").args(["-shared", "-fPIC", "-o"]).args([at("other.so"), at("other.c")]));
        let compile = || {
            let mut clang = static_call_tests::clang();
            clang.env("LD_PRELOAD", at("other.so"));
            clang.arg(source("proposal.c")).args(link_flags()).arg("-o").arg(at("program"));
            clang
        };
        let said = self::text(&run(&mut compile()).stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(expected) && said.contains("as they do without it"), "{said}");
        run(&mut execute(&at("program")));
        let mut compile_only = static_call_tests::clang();
        compile_only.env("LD_PRELOAD", at("other.so")).arg("-c").arg(source("proposal.c"));
        run(compile_only.arg("-o").arg(at("object.o")));
        assert_eq!(sites_of_object(&at("object.o")), 0);
        let error = failure(compile().env("STATIC_CALL_REQUIRE", "1"));
        assert!(error.contains(expected) && error.contains("STATIC_CALL_REQUIRE=1"), "{error}");
    }
}

/// Each LLVM gets the structure that it has room for, with the version that it expects. So will future ones,
/// as far as we know.
#[test]
fn every_llvm_gets_its_own_structure() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let build = |name: &str, flags: &[&str]| {
        let program = directory.path().join(name);
        let mut gcc = Command::new("gcc");
        run(gcc.args(flags).args(["-rdynamic", "-o"]).arg(&program).arg(source("plugin_info.c")).arg("-ldl"));
        program
    };
    let loader = build("loader", &["-DHAS_VERSION", "-DHAS_STRINGS"]);
    let ask = |loader: &Path, major: &str, required: &str| {
        let output = run(Command::new(loader).arg(plugin()).arg(major).env("STATIC_CALL_REQUIRE", required));
        (text(&output.stdout), text(&output.stderr))
    };
    for (major, expected) in [
        ("16", "version 1, 32 bytes\n"),
        ("21", "version 1, 32 bytes\n"),
        ("22", "version 2, 40 bytes\n"),
        ("23", "version 2, 40 bytes\n"),
        ("24", "version 3, 48 bytes\n"),
        ("99", "version 3, 48 bytes\n"),
    ] {
        let (printed, said) = ask(&loader, major, "");
        assert_eq!(printed, expected, "LLVM {major}");
        let is_told = said.contains(&format!("has LLVM {major}, but the pass was built for LLVM "));
        assert_eq!(is_told, !pass_llvms().split(", ").any(|served| served == major), "{said}");
    }
    let (printed, said) = ask(&loader, "99", "1");
    assert_eq!(printed, "version 0, 48 bytes\n");
    assert!(said.contains("STATIC_CALL_REQUIRE=1 makes an error"), "{said}");

    let (printed, said) = ask(&build("ancient", &[]), "0", "");
    assert_eq!(printed, "version 1, 32 bytes\n");
    assert!(said.contains("older than 16, or one that hides its symbols from plugins"), "{said}");

    // clang is often built with libc++ elsewhere.
    let other_library = build("other-library", &["-DHAS_VERSION"]);
    let (printed, said) = ask(&other_library, "22", "");
    assert_eq!(printed, "version 2, 40 bytes\n");
    assert!(said.contains("has LLVM 22 with another C++ library than libstdc++"), "{said}");
    assert_eq!(ask(&other_library, "22", "1").0, "version 0, 40 bytes\n");
}

/// One serves, and says that the other one does not. It is the first that LLVM loads.
#[test]
fn of_two_copies_of_the_pass_one_serves() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let copy = at("copy.so");
    std::fs::copy(plugin(), &copy).expect("a copy");
    let compile = |passes: &[&Path]| {
        let mut clang = llvm("clang");
        clang.args(passes.iter().map(|pass| format!("-fpass-plugin={}", pass.display())));
        clang.arg("-I").arg(prefix().join("include")).arg("-c").arg(source("keys.c"));
        let said = text(&run(clang.arg("-o").arg(at("object.o"))).stderr);
        (said, std::fs::read(at("object.o")).expect("the object"))
    };
    let installed = plugin();
    let (said, alone) = compile(&[&installed]);
    assert_eq!(said, "");
    assert!(sites_of_object(&at("object.o")) > 0);
    for passes in [[&*installed, &*copy], [&*copy, &*installed]] {
        let (said, object) = compile(&passes);
        let [first, second] = passes.map(Path::display);
        assert_eq!(
            said,
            format!("static-call: this compiler has loaded the pass {first}; {second} does nothing here\n")
        );
        assert_eq!(object, alone);
    }
    // The same file is one plugin, however often it is named.
    assert_eq!(compile(&[&installed, &installed]), (String::new(), alone));
}

/// clang fails and names the file if it is no plugin. The wrapper looks first: it builds without the pass.
#[test]
fn a_missing_or_damaged_plugin_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let content = std::fs::read(plugin()).expect("the plugin");
    std::fs::write(at("main.rs"), "fn main() {}").expect("a file");
    let whole = format!("of {} bytes", content.len());
    for (length, problem) in [
        (None, "cannot be read"),
        (Some(0), "is not an ELF file"),
        (Some(1000), &*whole),
        (Some(content.len() / 2), &*whole),
    ] {
        let file = at("plugin.so");
        let _ = std::fs::remove_file(&file);
        if let Some(length) = length {
            std::fs::write(&file, &content[..length]).expect("a part");
        }
        let name = file.display().to_string();
        let mut clang = llvm("clang");
        // Where the loader maps a page that the file lacks, clang crashes, and says what it was asked.
        clang.arg(format!("-fpass-plugin={name}")).arg("-I").arg(prefix().join("include"));
        clang.env("TMPDIR", directory.path());
        let error = failure(clang.arg("-c").arg(source("proposal.c")).arg("-o").arg("/dev/null"));
        assert!(error.contains(&name), "{error}");

        let compile = || {
            let mut rustc = Command::new(prefix().join("bin/static-call-rustc"));
            rustc.arg(std::env::var_os("RUSTC").unwrap_or("rustc".into())).arg("--crate-name=main");
            // A package of cargo's that nobody asked for gets no warning.
            rustc.env_remove("CARGO_PKG_NAME");
            rustc.env("STATIC_CALL_PASS", &file).arg(at("main.rs")).arg("-o").arg(at("main"));
            rustc
        };
        let said = text(&run(&mut compile()).stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        for word in ["warning: building without the pass", &name, problem] {
            assert!(said.contains(word), "no `{word}` in {said}");
        }
        run(&mut Command::new(at("main")));
        let error = failure(compile().env("STATIC_CALL_REQUIRE", "1"));
        assert!(error.contains(&name) && error.contains(problem), "{error}");
    }
}
