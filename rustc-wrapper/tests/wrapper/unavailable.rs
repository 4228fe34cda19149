//! Builds without the pass.

use std::path::Path;
use std::{fs, iter};

use crate::world::{COMPILATION, Call, Outcome, WRAPPER, World, install, shared_object};

/// Asserts one warning with all these words, and an otherwise unchanged compilation.
#[track_caller]
fn assert_goes_on(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.arguments, COMPILATION, "{outcome:?}");
    assert_eq!(outcome.bootstrap.as_deref(), Some("unset"), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    for word in iter::once(&"warning: building without the pass").chain(words) {
        assert!(outcome.stderr.contains(word), "no `{word}` in {}", outcome.stderr);
    }
}

/// Asserts that no compiler was run, and one error with all these words.
#[track_caller]
fn assert_refused(outcome: &Outcome, words: &[&str]) {
    assert_eq!((outcome.code, &outcome.bootstrap), (Some(1), &None), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    for word in iter::once(&"error: ").chain(words) {
        assert!(outcome.stderr.contains(word), "no `{word}` in {}", outcome.stderr);
    }
}

#[test]
fn another_llvm_is_told_and_the_build_goes_on() {
    let world = World::new();
    for (release, llvm, install) in [
        ("1.94.0", "21.1.8", "`cargo xtask install --llvm 21`"),
        ("1.99.0", "23.0.0", "`cargo xtask install --llvm 23`"),
        ("2.0.0", "220.1.0", "`cargo xtask install --llvm 220`"),
        ("1.0.0", "2.0.0", "`cargo xtask install --llvm 2`"),
    ] {
        world.install_rustc(release, llvm);
        let outcome = world.call(COMPILATION).env("FAKE_EXIT", "3").run();
        let told = "is built for LLVM 19, 22; use a rustc with one of these";
        assert_goes_on(&outcome, &[release, llvm, told, install]);
        assert_eq!(outcome.code, Some(3));
    }
}

#[test]
fn another_llvm_is_an_error_where_the_pass_is_required() {
    let world = World::new();
    world.install_rustc("1.94.0", "21.1.8");
    let call = |value| world.call(COMPILATION).env("STATIC_CALL_REQUIRE", value);
    assert_refused(&call("1").run(), &["LLVM 21.1.8", "LLVM 19, 22", "STATIC_CALL_REQUIRE"]);
    // The same for a dependency.
    assert_refused(&call("1").env("CARGO_PKG_NAME", "dependency").run(), &["LLVM 21.1.8"]);
    assert_goes_on(&call("0").run(), &[]);
    assert_goes_on(&call("").run(), &[]);
}

#[test]
fn under_cargo_only_primary_packages_are_warned_about() {
    let world = World::new();
    world.install_rustc("1.94.0", "21.1.8");
    let dependency = || world.call(COMPILATION).env("CARGO_PKG_NAME", "demo");
    dependency().run().assert_untouched(&COMPILATION);
    assert_goes_on(&dependency().env("CARGO_PRIMARY_PACKAGE", "1").run(), &["LLVM 21.1.8"]);
}

#[test]
fn a_compiler_that_does_not_answer_is_told() {
    let world = World::new();
    let answers = [
        ("exit 2", "fails with exit status: 2"),
        ("echo release: 1.95.0", "has no line `LLVM version: …`"),
        ("echo LLVM version: 22.1.2", "has no line `release: …`"),
    ];
    for (answer, problem) in answers {
        let rest = "printf 'argument %s\\n' \"$@\"; echo bootstrap ${RUSTC_BOOTSTRAP-unset}";
        let text = format!("#!/bin/sh\n[ \"$*\" != -vV ] || {{ {answer}; exit; }}\n{rest}\n");
        world.install_program(&world.rustc(), &text);
        assert_goes_on(&world.call(COMPILATION).run(), &[problem, "toolchain/bin/rustc -vV"]);
    }
    let outcome = world.bare_call(["/no/rustc"]).args(COMPILATION).run();
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("cannot run `/no/rustc`"), "{}", outcome.stderr);
}

#[test]
fn a_plugin_that_is_missing_is_told_with_its_path() {
    let world = World::new();
    let call = || world.call(COMPILATION).env("STATIC_CALL_PASS", "/no/plugin.so");
    assert_goes_on(&call().run(), &["/no/plugin.so", "cannot be read", "STATIC_CALL_PASS"]);
    assert_refused(&call().env("STATIC_CALL_REQUIRE", "1").run(), &["/no/plugin.so"]);

    let wrapper = world.path("prefix/bin/static-call-rustc");
    install(Path::new(WRAPPER), &wrapper);
    let outcome = Call::new(&world, &wrapper).args([world.rustc()]).args(COMPILATION).run();
    let places =
        ["lib/static-call/libstatic_call_pass.so or ", "bin/libstatic_call_pass.so;", "setup --from"];
    assert_goes_on(&outcome, &places);
}

#[test]
fn a_plugin_of_another_version_is_told() {
    let world = World::new();
    let own = format!("static_call_version={};", env!("CARGO_PKG_VERSION"));
    let text = shared_object();
    let at = text.windows(own.len()).position(|text| text == own.as_bytes()).expect("its version");
    let other = |version: &str| {
        let mut plugin = text[..at].to_vec();
        plugin.extend(version.as_bytes());
        plugin.extend(&text[at + own.len()..]);
        fs::write(world.plugin(), plugin).unwrap();
        world.call(COMPILATION)
    };
    let words = |version| {
        [format!("is of static-call {version}, but this wrapper of "), own[20..].replace(';', "; ")]
    };
    for (text, version) in [("static_call_version=9.1.0;", "9.1.0"), ("", "0.1")] {
        let words = words(version);
        assert_goes_on(&other(text).run(), &words.each_ref().map(|word| &**word));
        assert_refused(&other(text).env("STATIC_CALL_REQUIRE", "1").run(), &[&words[0]]);
    }
}

/// As `cargo install` leaves the wrapper: without the pass beside it.
#[test]
fn the_plugin_that_was_set_up_is_found() {
    let world = World::new();
    let wrapper = world.path("bin/static-call-rustc");
    install(Path::new(WRAPPER), &wrapper);
    for (variable, data) in [("XDG_DATA_HOME", "data"), ("HOME", "home/.local/share")] {
        let call = || {
            let call = Call::new(&world, &wrapper).args([world.rustc()]).args(COMPILATION);
            call.env(variable, world.path(data.split('/').next().unwrap()))
        };
        let plugin = world.path(data).join("static-call/current/lib/static-call/libstatic_call_pass.so");
        assert_goes_on(&call().run(), &[plugin.to_str().unwrap()]);
        fs::create_dir_all(plugin.parent().unwrap()).unwrap();
        fs::copy(world.plugin(), &plugin).unwrap();
        assert!(call().run().has_pass(), "{variable}");
    }
}

#[test]
fn a_plugin_that_is_damaged_is_told_with_its_path() {
    let world = World::new();
    let sound = shared_object();
    let changed = |offset: usize, byte: u8| {
        let mut bytes = sound.clone();
        bytes[offset] = byte;
        bytes
    };
    let damages = [
        (Vec::new(), "is not an ELF file"),
        (sound[..63].to_vec(), "is not an ELF file"),
        (changed(0, 0), "is not an ELF file"),
        (changed(4, 1), "is built for another machine"), // ELFCLASS32
        (changed(5, 9), "is built for another machine"), // neither byte order
        (changed(18, 99), "is built for another machine"),
        (changed(16, 2), "is not a shared object"), // ET_EXEC, in little-endian files
        (sound[..127].to_vec(), "is truncated: it has 127 of 128 bytes"),
    ];
    for (bytes, problem) in damages {
        fs::write(world.plugin(), bytes).unwrap();
        assert_goes_on(&world.call(COMPILATION).run(), &["plugin.so", problem]);
    }
    fs::write(world.plugin(), &sound).unwrap();
    assert!(world.call(COMPILATION).run().has_pass());
}

#[test]
fn a_path_rustc_would_misread_is_told() {
    let world = World::new();
    for name in ["plug in.so", "plug,in.so"] {
        let split = world.path(name);
        fs::copy(world.plugin(), &split).unwrap();
        let outcome = world.call(COMPILATION).env("STATIC_CALL_PASS", &split).run();
        assert_goes_on(&outcome, &[name, "a space or a comma"]);
    }
    let outcome = world.call(COMPILATION).env("STATIC_CALL_PASS", "plugin.so").run();
    assert_goes_on(&outcome, &["plugin.so", "relative"]);
}

/// Cargo reads from there when to recompile the crate.
#[test]
fn cargo_is_told_that_the_pass_was_not_required() {
    let world = World::new();
    let list = world.path("demo-0123.d");
    let call = || {
        fs::write(&list, "demo: demo.rs\n").unwrap();
        let output = ["--emit=dep-info,link", "-C", "extra-filename=-0123", "--out-dir"];
        world.call(COMPILATION).args(output).args([world.path("")])
    };
    let listed = || fs::read_to_string(&list).unwrap();
    assert!(call().run().has_pass());
    assert_eq!(listed(), "demo: demo.rs\n", "with the pass there is nothing to require");

    world.install_rustc("1.94.0", "21.1.8");
    let expected = [(None, ""), (Some(""), "="), (Some("0"), "=0")];
    for (value, line) in expected {
        let call = value.into_iter().fold(call(), |call, value| call.env("STATIC_CALL_REQUIRE", value));
        assert_eq!(call.run().code, Some(0));
        assert_eq!(listed(), format!("demo: demo.rs\n\n# env-dep:STATIC_CALL_REQUIRE{line}\n"));
    }
    assert_eq!(call().env("FAKE_EXIT", "101").run().code, Some(101));
    assert_eq!(call().env("FAKE_SIGNAL", "TERM").run().code, Some(128 + 15));
    assert_eq!(listed(), "demo: demo.rs\n", "rustc has not made it");

    let there = world.path("nowhere");
    let outcome = world.call(COMPILATION).args(["--emit", "dep-info", "--out-dir"]).args([there]).run();
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("nowhere/demo.d"), "{}", outcome.stderr);
}
