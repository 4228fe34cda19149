//! The Rust interface: one program that checks itself, built in several ways and run in every mode.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSymbol};
use static_call_tests::binary::{StaticCalls, has_site_table, keys_on_pages_of_their_own};
use static_call_tests::platform::platform;
use static_call_tests::rust::{Build, PLAIN};
use static_call_tests::{execute, root, run, stdout};

/// Runs the program in a mode, if none is named in the one that it takes itself; what it printed, by its first word.
fn behaves(program: &Path, mode: Option<&str>) -> HashMap<String, String> {
    let mut command = execute(program);
    command.envs(platform().strict().iter().copied());
    if let Some(mode) = mode {
        command.env("STATIC_CALL_MODE", mode);
    }
    let printed = stdout(&mut command);
    let lines = printed.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(word, rest)| (word.to_owned(), rest.to_owned())).collect()
}

/// Runs the program in all modes and holds what it says of itself against its machine code.
fn behaves_in_all_modes(program: &Path) {
    let sites = StaticCalls::read(program).checked();
    assert!(sites > 60, "{sites}");
    assert!(keys_on_pages_of_their_own(program) > 10);
    for mode in [None, Some("inline"), Some("trampoline"), Some("generic")] {
        // Which one that is, C programs see there.
        if mode.is_none() && platform().is_foreign() {
            continue;
        }
        let said = behaves(program, mode);
        let expected = mode.unwrap_or("inline");
        let (direct, through) = if expected == "inline" { (sites, 0) } else { (0, sites) };
        let number = |word: &str| said[word].parse::<usize>().expect("a number");
        assert_eq!(said["mode"], expected);
        assert_eq!(
            (number("sites"), number("direct"), number("through_trampoline")),
            (sites, direct, through),
            "{expected}"
        );
    }
}

#[test]
fn debug_build() {
    behaves_in_all_modes(&Build { name: "debug", ..PLAIN }.behaviour());
}

#[test]
fn release_build() {
    behaves_in_all_modes(&Build { name: "release", release: true, ..PLAIN }.behaviour());
}

/// The other builds have rustc's own linker, which drops garbage.
#[test]
fn other_linkers() {
    let (bfd, gold) = ("-Clink-arg=-fuse-ld=bfd", "-Clink-arg=-fuse-ld=gold");
    let mut ways = vec![("linker-static", "-Crelocation-model=static".into(), false)];
    // For other machines it is the usual one.
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
        let built = build.build(if shared { &[] } else { &["-p", "behaviour"] });
        behaves_in_all_modes(&built.join("behaviour"));
        if shared {
            assert!(keys_on_pages_of_their_own(&built.join("libplugin.so")) > 0, "{name}");
        }
    }
}

#[test]
fn link_time_optimization_loses_no_site() {
    // With the optimizer's one module for all of Rust, a linker still has C's.
    const BFD: (&str, &str) = ("RUSTFLAGS", "-Clink-arg=-fuse-ld=bfd");
    let ways = [("lto-thin", "thin"), ("lto-fat", "fat"), ("lto-fat-bfd", "bfd"), ("lto-off", "off")];
    // What the last two add is the same for all machines.
    for (name, lto) in &ways[..if platform().is_foreign() { 2 } else { 4 }] {
        let environment: &[(&str, &str)] = match *lto {
            "thin" => &[("CARGO_PROFILE_RELEASE_LTO", "thin")],
            "fat" => &[("CARGO_PROFILE_RELEASE_LTO", "fat"), ("CARGO_PROFILE_RELEASE_PANIC", "unwind")],
            "bfd" => &[("CARGO_PROFILE_RELEASE_LTO", "fat"), BFD],
            _ => &[("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")],
        };
        let program = Build { name, release: true, environment, ..PLAIN }.behaviour();
        let sites = StaticCalls::read(&program).checked();
        assert!(keys_on_pages_of_their_own(&program) > 10, "{name}");
        assert_eq!(behaves(&program, Some("inline"))["direct"], sites.to_string(), "{name}");
    }
}

#[test]
fn nightly_build() {
    if platform().is_foreign() {
        eprintln!("skipped: other machines have one standard library, that of Debian's compiler");
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
    for release in [false, true] {
        let name = if release { "nightly-release" } else { "nightly-debug" };
        behaves_in_all_modes(&Build { name, toolchain: Some("+nightly"), release, ..PLAIN }.behaviour());
    }
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

#[test]
fn without_the_pass_the_same_source_calls_through_the_key() {
    for release in [false, true] {
        let name = if release { "generic-release" } else { "generic-debug" };
        let program = Build { name, release, wrapper: None, ..PLAIN }.behaviour();
        assert!(!has_site_table(&program));
        let said = behaves(&program, None);
        assert_eq!((&*said["mode"], &*said["sites"]), ("generic", "0"));
    }
}

/// Each has its own copy of the runtime, but only one of them may write to code.
#[test]
fn two_shared_objects_with_a_runtime_each() {
    let plugin = Build { name: "debug", ..PLAIN }.build(&[]).join("libplugin.so");
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
        assert_eq!(said, "1011 1011 1211\n", "RTLD_GLOBAL: {global}");
    }
}

/// Without std and without libc, with a writer of its own.
#[test]
fn a_program_that_brings_its_own_writer() {
    let flags =
        "-Crelocation-model=static -Clink-args=-nostartfiles -Clink-args=-nostdlib -Clink-args=-static";
    let build = Build {
        name: "freestanding",
        release: true,
        environment: &[("RUSTFLAGS", flags), ("CARGO_PROFILE_RELEASE_PANIC", "abort")],
        ..PLAIN
    };
    let program = build.build(&["-p", "freestanding"]).join("freestanding");
    let sites = StaticCalls::read(&program).checked();
    assert_eq!(stdout(&mut execute(&program)), format!("sites {sites} direct {sites} ok\n"));
    let data = std::fs::read(&program).expect("the program");
    let file = object::File::parse(&*data).expect("an ELF file");
    assert!(file.symbols().all(|symbol| !symbol.is_undefined() || symbol.name() == Ok("")), "no library");
    assert!(file.section_by_name(".dynamic").is_none(), "no dynamic linker");
}
