//! The command that reaches the compiler, and its result.

use std::fs;

use crate::world::{COMPILATION, WRAPPER, World};

#[test]
fn a_probe_is_untouched() {
    let world = World::new();
    fs::write(world.path("probe"), "--print\ncfg\n").unwrap();
    let probes: [&[&str]; 17] = [
        &[],
        &["-vV"],
        &["-V"],
        &["--version"],
        &["--version", "--verbose"],
        &["--help"],
        &["--print", "sysroot"],
        &["--print=cfg", "--target", "wasm32-unknown-unknown"],
        &["--print", "native-static-libs", "--print=target-list"],
        &["-", "--crate-name", "___", "--print=file-names"],
        &["--crate-name", "probe", "--emit=metadata", "-"],
        &["--explain", "E0001"],
        &["-W", "help"],
        &["demo.rs", "-Whelp"],
        &["-C", "help"],
        &["--force-warn=help"],
        &["@probe"],
    ];
    for probe in probes {
        // Even a plugin that cannot be loaded does not matter.
        let outcome = world.call(probe).env("STATIC_CALL_PASS", "/nowhere").run();
        // The fake's `printf` prints its line once even without arguments.
        outcome.assert_untouched(if probe.is_empty() { &[""] } else { probe });
    }
    assert_eq!(world.times_asked(), 1, "by the probe itself");
}

#[test]
fn what_looks_like_a_probe_but_compiles_gets_the_pass() {
    let world = World::new();
    let compilations: [&[&str]; 5] = [
        &["demo.rs", "-o", "-"],
        &["demo.rs", "--print", "native-static-libs"],
        &["demo.rs", "--print=native-static-libs=list.txt", "--print=link-args"],
        &["demo.rs", "--printer"],
        &["demo.rs", "-Dwarnings", "-o", "help"],
    ];
    for compilation in compilations {
        let outcome = world.call(compilation).run();
        assert!(outcome.has_pass(), "{outcome:?}");
    }
}

#[test]
fn a_response_file_is_passed_on_with_the_flags_behind_it() {
    let world = World::new();
    fs::write(world.path("arguments"), COMPILATION.join("\n")).unwrap();
    let outcome = world.call(["@arguments"]).run();
    assert_eq!(outcome.arguments[0], "@arguments");
    assert!(outcome.has_pass(), "{outcome:?}");

    let outcome = world.call(["@missing"]).run();
    assert_eq!(outcome.arguments[0], "@missing");
}

#[test]
fn exit_code_is_rustcs() {
    let world = World::new();
    let outcome = world.call(COMPILATION).env("FAKE_EXIT", "101").run();
    assert_eq!(outcome.code, Some(101));
    assert_eq!(world.call(["-V"]).env("FAKE_EXIT", "7").run().code, Some(7));
}

#[test]
fn signal_is_rustcs() {
    let world = World::new();
    let outcome = world.call(COMPILATION).env("FAKE_SIGNAL", "TERM").run();
    assert_eq!((outcome.code, outcome.signal), (None, Some(15)));
}

#[test]
fn chains_to_another_wrapper() {
    let world = World::new();
    let chained = world.install_wrapper("sccache");
    let outcome = world.call(COMPILATION).env("STATIC_CALL_RUSTC_WRAPPER", &chained).run();
    assert_eq!(outcome.through, ["sccache"]);
    assert_eq!(outcome.arguments[..COMPILATION.len()], COMPILATION);
    assert!(outcome.has_pass(), "{outcome:?}");

    let outcome = world.call(["-V"]).env("STATIC_CALL_RUSTC_WRAPPER", &chained).run();
    assert_eq!(outcome.through, ["sccache"]);
    outcome.assert_untouched(&["-V"]);
}

#[test]
fn chained_to_itself_it_ends() {
    let world = World::new();
    let outcome = world.call(COMPILATION).env("STATIC_CALL_RUSTC_WRAPPER", WRAPPER).run();
    assert_eq!(outcome.arguments, world.call(COMPILATION).run().arguments);
}

#[test]
fn a_chained_wrapper_that_is_missing_is_named_with_its_variable() {
    let world = World::new();
    let outcome = world.call(COMPILATION).env("STATIC_CALL_RUSTC_WRAPPER", "/no/sccache").run();
    assert_eq!((outcome.code, outcome.bootstrap), (Some(1), None));
    assert!(outcome.stderr.contains("/no/sccache"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("STATIC_CALL_RUSTC_WRAPPER"), "{}", outcome.stderr);
}

#[test]
fn clippy_driver_before_rustc_is_a_wrapper() {
    let world = World::new();
    let driver = world.install_wrapper("clippy-driver");
    for rustc in ["rustc", "rustc-1.95"] {
        let rustc = world.rustc().with_file_name(rustc);
        world.install_compiler(&rustc, "1.95.0", "22.1.2");
        let outcome = world.bare_call([&driver, &rustc]).args(COMPILATION).run();
        assert_eq!(outcome.through, ["clippy-driver"]);
        assert_eq!(outcome.arguments[..COMPILATION.len()], COMPILATION);
        assert!(outcome.has_pass(), "{outcome:?}");

        let outcome = world.bare_call([&driver, &rustc]).args(["-vV"]).run();
        outcome.assert_untouched(&["-vV"]);
    }
}

#[test]
fn a_source_file_named_like_rustc_is_none() {
    let world = World::new();
    let outcome = world.call(["rustc_demo.rs"]).run();
    assert_eq!(outcome.arguments[0], "rustc_demo.rs");
    assert!(outcome.has_pass(), "{outcome:?}");
}

#[test]
fn in_both_of_cargos_variables_it_loads_the_plugin_once() {
    let world = World::new();
    let outcome = world.bare_call([WRAPPER.as_ref(), world.rustc().as_path()]);
    let outcome = outcome.args(COMPILATION).run();
    assert_eq!(outcome.arguments, world.call(COMPILATION).run().arguments);
}

#[test]
fn without_a_compiler_it_says_how_it_is_used() {
    // The second one is how sccache identifies a compiler.
    for words in [&[][..], &["-E", "test.c"], &["-vV"]] {
        let outcome = World::new().bare_call(words).run();
        assert_eq!(outcome.code, Some(1));
        for expected in ["RUSTC_WRAPPER=static-call-rustc", "STATIC_CALL_RUSTC_WRAPPER"] {
            assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("without the pass"), "{}", outcome.stderr);
    }
}
