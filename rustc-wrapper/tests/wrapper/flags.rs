//! The options that are added to a compilation.

use std::fs;
use std::path::Path;

use crate::world::{COMPILATION, Call, STABLE, WRAPPER, World, install, shared_object};

#[test]
fn the_flags_come_last() {
    let world = World::new();
    let outcome = world.call(COMPILATION).run();
    let (given, added) = outcome.arguments.split_at(COMPILATION.len());
    assert_eq!(given, COMPILATION);
    let mut expected = world.added(&world.plugin(), outcome.hash());
    let stable = ["-Zallow-features=", "-Zunstable-options", "-Csymbol-mangling-version=legacy"];
    expected.extend(stable.map(str::to_owned));
    assert_eq!(added, expected);
    assert_eq!(outcome.bootstrap.as_deref(), Some("1"));
    assert_eq!(outcome.stderr, "");
}

#[test]
fn names_are_checked_only_where_they_were() {
    let world = World::new();
    for (name, is_checked) in [("--check-cfg", true), ("--cfg", false)] {
        let outcome = world.call(["--crate-name", "demo", name, "cfg(test)", "demo.rs"]).run();
        assert_eq!(outcome.arguments.iter().any(|argument| argument == "--check-cfg"), is_checked);
    }
}

#[test]
fn features_stay_as_closed_as_they_were() {
    let world = World::new();
    // The release, the user's RUSTC_BOOTSTRAP, and whether rustc permits this crate unstable features.
    let cases = [
        (STABLE, None, false),
        ("1.96.0-beta.3", None, false),
        ("1.97.0-nightly", None, true),
        ("1.97.0-dev", None, true),
        (STABLE, Some("1"), true),
        (STABLE, Some("other,demo"), true),
        (STABLE, Some("other"), false),
        ("1.97.0-nightly", Some("-1"), false),
        ("1.97.0-nightly", Some("other"), true),
    ];
    for case @ (release, bootstrap, is_open) in cases {
        world.install_rustc(release, "22.1.2");
        let mut call = world.call(COMPILATION);
        if let Some(value) = bootstrap {
            call = call.env("RUSTC_BOOTSTRAP", value);
        }
        let outcome = call.run();
        assert!(outcome.has_pass(), "{case:?} {outcome:?}");
        assert_eq!(outcome.closes_features(), !is_open, "{case:?} {outcome:?}");
        let expected = if is_open { bootstrap.unwrap_or("unset") } else { "1" };
        assert_eq!(outcome.bootstrap.as_deref(), Some(expected), "{case:?}");
    }
}

#[test]
fn symbols_are_named_as_stable_rustc_does_unless_the_user_says_how() {
    let world = World::new();
    let are_legacy = |arguments: &[&str]| {
        let outcome = world.call([&COMPILATION, arguments].concat()).run();
        assert!(outcome.has_pass() && outcome.closes_features(), "{outcome:?}");
        outcome.arguments.contains(&"-Csymbol-mangling-version=legacy".to_owned())
    };
    for arguments in
        [&["-Copt-level=3"][..], &["-C", "opt-level=3"], &["--cfg", "symbol-mangling-version=v0"]]
    {
        assert!(are_legacy(arguments), "{arguments:?}");
    }
    for arguments in [
        &["-Csymbol-mangling-version=v0"][..],
        &["-C", "symbol-mangling-version=v0"],
        &["--codegen", "symbol_mangling_version=v0"],
        &["--codegen=symbol-mangling-version=v0"],
        &["-Cinstrument-coverage"],
        &["-C", "instrument_coverage=on"],
    ] {
        assert!(!are_legacy(arguments), "{arguments:?}");
    }
    world.install_rustc("1.97.0-nightly", "22.1.2");
    assert!(!world.call(COMPILATION).run().arguments.iter().any(|argument| argument.contains("mangling")));
}

#[test]
fn gnu_ld_keeps_the_sites_of_programs_for_windows() {
    let world = World::new();
    let added = |arguments: &[&str]| {
        let outcome = world.call([&COMPILATION, arguments].concat()).run();
        assert!(outcome.has_pass(), "{outcome:?}");
        let flags = outcome.arguments[COMPILATION.len() + arguments.len()..].iter();
        flags.filter(|flag| flag.starts_with("-Clink-arg")).cloned().collect::<Vec<_>>()
    };
    for target in ["x86_64-pc-windows-gnu", "i686-pc-windows-gnu", "a/b/x86_64-own-windows-gnu.json"] {
        assert_eq!(added(&["--target", target]), ["-Clink-arg=-Wl,--no-gc-sections"], "{target}");
    }
    let windows = "--target=x86_64-pc-windows-gnu";
    for linker in ["-Clinker=x86_64-w64-mingw32-gcc", "-Clinker=/lld/bin/clang.exe"] {
        assert_eq!(added(&[windows, linker]), ["-Clink-arg=-Wl,--no-gc-sections"], "{linker}");
    }
    for linker in ["ld", "/usr/bin/x86_64-w64-mingw32-ld", "x86_64-w64-mingw32-ld.bfd", "ld.exe"] {
        assert_eq!(added(&[windows, "-C", &format!("linker={linker}")]), ["-Clink-arg=--no-gc-sections"]);
    }
    for linker in ["-Clinker=ld.lld-22", "-Clinker=rust-lld.exe", "-Clink-arg=-fuse-ld=lld"] {
        assert_eq!(added(&[windows, linker]), [""; 0], "{linker}");
    }
    for target in ["x86_64-pc-windows-msvc", "x86_64-pc-windows-gnullvm", "x86_64-unknown-linux-gnu"] {
        assert_eq!(added(&["--target", target]), [""; 0], "{target}");
    }
    assert_eq!(added(&[]), [""; 0]);
}

#[test]
fn an_unstable_option_is_left_to_stable_rustc_to_refuse() {
    let world = World::new();
    for option in [["-Zthreads=2"].as_slice(), &["-Z", "threads=2"]] {
        let arguments = [&COMPILATION, option].concat();
        world.call(&arguments).run().assert_untouched(&arguments);
        assert!(world.call(&arguments).env("RUSTC_BOOTSTRAP", "1").run().has_pass());
    }
}

#[test]
fn the_hash_follows_the_content() {
    let world = World::new();
    let first = world.call(COMPILATION).run().hash().to_owned();

    let copy = world.path("copy.so");
    fs::copy(world.plugin(), &copy).unwrap();
    let outcome = world.call(COMPILATION).env("STATIC_CALL_PASS", &copy).run();
    assert_eq!(outcome.hash(), first, "same content at another path");

    // Longer than a tick of the clock for file times.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let mut content = shared_object();
    *content.last_mut().unwrap() ^= 1;
    fs::write(world.plugin(), &content).unwrap();
    assert_ne!(world.call(COMPILATION).run().hash(), first, "one bit changed");
}

#[test]
fn the_plugin_is_found_next_to_the_wrapper() {
    let world = World::new();
    let wrapper = world.path("prefix/bin/static-call-rustc");
    install(Path::new(WRAPPER), &wrapper);
    let link = world.path("link");
    std::os::unix::fs::symlink(&wrapper, &link).unwrap();
    // In the order of increasing precedence.
    for place in ["bin/libstatic_call_pass.so", "bin/../lib/static-call/libstatic_call_pass.so"] {
        let plugin = world.path("prefix").join(place);
        install(&world.plugin(), &plugin);
        let outcome = Call::new(&world, &link).args([world.rustc()]).args(COMPILATION).run();
        let load = format!("-Zllvm-plugins={}", plugin.display());
        assert!(outcome.arguments.contains(&load), "{outcome:?}");
    }
}
