//! The Rust interface: one program that checks itself, built in several ways and run in every mode.

use std::process::Command;

use object::{Object, ObjectSymbol};
use static_call_tests::binary::{StaticCalls, Trampolines, has_site_table, keys_on_pages_of_their_own};
use static_call_tests::platform::platform;
use static_call_tests::rust::{Build, PLAIN, behaves, behaves_in_all_modes, cargo, other_rustc};
use static_call_tests::{execute, root, run, stdout, target};

#[test]
fn debug_build() {
    let program = PLAIN.behaviour();
    behaves_in_all_modes(&program);
    if platform().has_breakpoints {
        for mode in ["inline", "trampoline"] {
            let said = stdout(execute(&program).env("STATIC_CALL_MODE", mode).arg("masked"));
            assert!(said == "ok true\n" || said == "ok false\n", "{said}");
        }
    }
}

/// The lints of the crate that uses the macros do not complain about their output, in any edition.
#[test]
fn a_strict_crate_in_every_edition() {
    if platform().is_foreign() {
        eprintln!("skipped: it is the same source for all machines");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let target = target().join("tests/strict");
    // Macros may nest 128 deep.
    let documented = format!(
        "extern crate static_call;\nstatic_call::define! {{\n{}static KEY: fn() = main;\n}}\n\
         fn main() {{ if std::env::args().count() > 9 {{ KEY.call() }} }}\n",
        "/// One of many lines.\n".repeat(300)
    );
    std::fs::write(directory.path().join("documented.rs"), documented).expect("a file");
    for edition in ["2015", "2018", "2021", "2024"] {
        let manifest = format!(
            "[package]\nname = \"strict\"\nversion = \"0.0.0\"\nedition = \"{edition}\"\n\
             [lib]\npath = {:?}\n\
             [[bin]]\nname = \"documented\"\npath = \"documented.rs\"\n\
             [dependencies]\nstatic-call = {{ path = {:?} }}\n\
             [workspace]\n",
            root().join("tests/rust/strict/src/lib.rs"),
            root().join("runtime"),
        );
        std::fs::write(directory.path().join("Cargo.toml"), manifest).expect("a file");
        for command in ["check", "clippy"] {
            // clippy has a rustc of its own.
            if command == "clippy" && other_rustc().is_some() {
                continue;
            }
            run(cargo(None, directory.path()).args([command, "--quiet", "--target-dir"]).arg(&target));
        }
    }
}

#[test]
fn release_build() {
    behaves_in_all_modes(&Build { name: "release", release: true, ..PLAIN }.behaviour());
}

/// The other builds use rustc's own linker, which drops unused sections.
#[test]
fn other_linkers() {
    if !platform().is_representative() {
        eprintln!("skipped: `machine` and `pages` link for this machine in every way");
        return;
    }
    let (bfd, gold) = ("-Clink-arg=-fuse-ld=bfd", "-Clink-arg=-fuse-ld=gold");
    let mut ways = vec![("linker-static", "-Crelocation-model=static".into(), false)];
    // On other machines, it is the default.
    if !platform().is_foreign() {
        ways.push(("linker-bfd", format!("{bfd} -Clink-arg=-Wl,-z,start-stop-gc"), true));
        ways.push(("linker-bfd-static", format!("{bfd} -Crelocation-model=static -Clink-dead-code"), false));
    }
    if platform().has_gold() {
        ways.push(("linker-gold", gold.into(), true));
    }
    for (name, flags, shared) in ways {
        let environment: &[(&str, &str)] = &[("RUSTFLAGS", &flags)];
        let build = Build { name, environment, ..PLAIN };
        behaves_in_all_modes(&build.behaviour());
        if shared {
            let built = build.build(&["-p", "plugin"]);
            assert!(keys_on_pages_of_their_own(&built.join("libplugin.so")) > 0, "{name}");
        }
    }
}

#[test]
fn link_time_optimization_loses_no_site() {
    if !platform().is_representative() {
        eprintln!("skipped: `machine` optimizes C for this machine when it links");
        return;
    }
    // Other machines' code generators differ most if one module contains the whole program.
    for lto in if platform().is_foreign() { &["fat"][..] } else { &["fat", "thin", "off"] } {
        let environment: &[(&str, &str)] = match *lto {
            "thin" => &[("CARGO_PROFILE_RELEASE_LTO", "thin")],
            "fat" => &[("CARGO_PROFILE_RELEASE_LTO", "fat"), ("CARGO_PROFILE_RELEASE_PANIC", "unwind")],
            _ => &[("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")],
        };
        let program = Build { name: "lto", release: true, environment, ..PLAIN }.behaviour();
        let sites = StaticCalls::read(&program).checked();
        assert!(keys_on_pages_of_their_own(&program) > 10, "{lto}");
        let said = behaves(&program, Some("inline"));
        let number = |word: &str| said[word].parse::<usize>().expect("a number");
        assert_eq!(number("direct") + number("of_pointers"), sites, "{lto}");
    }
}

#[test]
fn nightly_build() {
    if platform().is_foreign() {
        eprintln!("skipped: other machines have one standard library, that of Debian's compiler");
        return;
    }
    if other_rustc().is_some() {
        eprintln!("skipped: this run is about another rustc");
        return;
    }
    let installed = Command::new("rustc").arg("+nightly").arg("-vV").output();
    let installed = installed.is_ok_and(|version| {
        version.status.success() && String::from_utf8_lossy(&version.stdout).contains("LLVM version: 22")
    });
    if !installed {
        eprintln!("skipped: no nightly toolchain with LLVM 22 is installed");
        return;
    }
    // The matrix optimizes with it.
    behaves_in_all_modes(&Build { name: "nightly", toolchain: Some("+nightly"), ..PLAIN }.behaviour());
}

/// Only this workspace's crates are wrapped: the runtime, a dependency, is built without the pass.
#[test]
fn workspace_wrapper() {
    if platform().is_foreign() {
        eprintln!("skipped: it is the same wrapper for all machines");
        return;
    }
    let name = "workspace-wrapper";
    behaves_in_all_modes(&Build { name, wrapper: Some("RUSTC_WORKSPACE_WRAPPER"), ..PLAIN }.behaviour());
}

/// Here the macros have no trampolines of their own.
#[test]
fn without_the_pass_the_same_source_calls_through_the_key() {
    if platform().macros_have_trampolines() {
        return;
    }
    for release in [false, true] {
        let name = if release { "generic-release" } else { "generic-debug" };
        let program = Build { name, release, wrapper: None, ..PLAIN }.behaviour();
        let has_branches = platform().has_branches();
        assert_eq!(has_site_table(&program), has_branches);
        let said = behaves(&program, None);
        let mode = if has_branches { "inline" } else { "generic" };
        assert_eq!((&*said["mode"], &*said["sites"], &*said["through_trampoline"]), (mode, "0", "0"));
    }
}

/// The matrix has more levels and kinds of link-time optimization. Calls in C load their keys.
#[test]
fn without_the_pass_the_same_source_calls_through_trampolines() {
    if !platform().macros_have_trampolines() {
        return;
    }
    let levels = [("0", "off"), ("3", "off"), ("2", "fat")];
    let count = if platform().is_foreign() { 1 } else { levels.len() };
    for (level, lto) in levels.into_iter().take(count) {
        let environment = [
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", level),
            ("CARGO_PROFILE_RELEASE_LTO", lto),
            ("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", if level == "0" { "true" } else { "false" }),
        ];
        let build =
            Build { name: "without", release: true, wrapper: None, environment: &environment, ..PLAIN };
        let program = build.behaviour();
        let calls = Trampolines::read(&program);
        assert!(calls.count > 60 && calls.branches > 60, "{level} {lto}: {calls:?}");
        // Keys whose types have names: no more than the calls that the sources have of them.
        let (of_names, others): (Vec<_>, Vec<_>) = calls
            .through_keys
            .iter()
            .partition(|call| call.contains("6strict5check") || call.contains("named_types"));
        assert_eq!(others, [""; 0], "{level} {lto}");
        let sources =
            [include_str!("../rust/strict/src/lib.rs"), include_str!("../rust/behaviour/src/signatures.rs")];
        let most: usize = sources.iter().map(|source| source.matches(".function()").count()).sum();
        assert!(of_names.len() <= most, "{level} {lto}: {of_names:?}");
        // rustc calls public functions through the global offset table, also those of its own crate.
        let is_public = |name: &String| name.contains("4keys") || name.contains("6strict");
        assert!(calls.by_pointer.iter().all(is_public), "{level} {lto}: {calls:?}");
        // Calls have no sites, but branches have.
        let best = if platform().has_branches() { "inline" } else { "trampoline" };
        for (asked, expected) in [
            (None, best),
            (Some("inline"), best),
            (Some("trampoline"), "trampoline"),
            (Some("generic"), "generic"),
        ] {
            // As in `behaves_in_all_modes`.
            if asked.is_none() && platform().is_foreign() {
                continue;
            }
            let said = behaves(&program, asked);
            let said = [&*said["mode"], &*said["sites"], &*said["direct"]];
            assert_eq!(said, [expected, "0", "0"], "{level} {lto} {asked:?}");
        }
        // An emulator has threads of its own, and its kernel sees no code that the program runs.
        if platform().is_emulated() {
            continue;
        }
        let waiting = build.build(&["-p", "behaviour", "--bin", "waiting"]).join("waiting");
        for threads in [None, Some("threaded")] {
            assert_eq!(stdout(execute(&waiting).args(threads)), "ok trampoline\n", "{level} {lto}");
        }
    }
}

/// Each has its own copy of the runtime, but only one copy may write to code.
#[test]
fn two_shared_objects_with_a_runtime_each() {
    two_copies_of(PLAIN, "1011 1011 1211\n");
    if platform().macros_have_trampolines() {
        two_copies_of(Build { name: "without", wrapper: None, ..PLAIN }, "1010 1010 1210\n");
    }
}

/// The last digit of each number says whether calls are direct.
fn two_copies_of(build: Build<'_>, expected: &str) {
    let plugin = build.build(&["-p", "plugin"]).join("libplugin.so");
    assert!(keys_on_pages_of_their_own(&plugin) > 0);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let copies = ["left.so", "right.so"].map(|name| directory.path().join(name));
    for copy in &copies {
        std::fs::copy(&plugin, copy).expect("a copy");
    }
    let program = directory.path().join("program");
    run(platform()
        .gnu_program("gcc")
        .arg(root().join("tests/c/two_cdylibs.c"))
        .arg("-ldl")
        .arg("-o")
        .arg(&program));
    for global in ["0", "1"] {
        let said = stdout(execute(&program).args(&copies).arg(global));
        assert_eq!(said, expected, "RTLD_GLOBAL: {global}");
    }
}

/// Without std and libc, with a writer of its own.
#[test]
fn a_program_that_brings_its_own_writer() {
    let flags =
        "-Crelocation-model=static -Clink-args=-nostartfiles -Clink-args=-nostdlib -Clink-args=-static";
    let build = Build {
        name: "freestanding",
        release: true,
        environment: &[
            ("RUSTFLAGS", flags),
            ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
            // With `--target`, cargo does not pass these flags to build scripts.
            ("CARGO_BUILD_TARGET", platform().name),
        ],
        ..PLAIN
    };
    // Cargo has another directory for a named target than the one returned.
    let _ = build.build(&["-p", "freestanding"]);
    let program = build.directory().join(platform().name).join("release/freestanding");
    let sites = StaticCalls::read(&program).checked();
    assert_eq!(stdout(&mut execute(&program)), format!("sites {sites} direct {sites} ok\n"));
    let data = std::fs::read(&program).expect("the program");
    let file = object::File::parse(&*data).expect("an ELF file");
    assert!(file.symbols().all(|symbol| !symbol.is_undefined() || symbol.name() == Ok("")), "no library");
    assert!(file.section_by_name(".dynamic").is_none(), "no dynamic linker");
}
