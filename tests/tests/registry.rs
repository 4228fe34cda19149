//! The registry: lists of keys, switches by pattern, and branches that are on from the start.

use std::path::Path;
use std::process::Command;

use static_call_tests::c::{Build, Compiler, SOME_BUILDS, builds, in_mode};
use static_call_tests::platform::platform;
use static_call_tests::run;
use static_call_tests::rust::{self, PLAIN};

/// Whether a program of C registers itself: it has recorded calls, trampolines or branches.
fn is_known(build: Build) -> bool {
    build.has_pass() || build.has_trampolines() || build.header_has_branches()
}

/// What a program prints, with the variable set, and what it logs.
fn said(command: &mut Command, patterns: &str) -> (String, String) {
    let output = run(command.env("STATIC_CALL_ENABLE", patterns));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The same of a program that registers itself.
fn said_by_registered(command: &mut Command, patterns: &str) -> (String, String) {
    let (said, log) = said(command, patterns);
    assert!(said.ends_with("ok\n"), "{said}{log}");
    (said, log)
}

/// The builds whose programs register themselves. All others' say so.
fn known_builds(directory: &Path) -> impl Iterator<Item = Build> {
    builds().iter().copied().filter(move |&build| {
        let is_known = is_known(build);
        if !is_known {
            let (told, log) = said(&mut in_mode(&link(build, directory), None), "*");
            assert_eq!(told, "not registered\n", "{build:?}: {log}");
        }
        is_known
    })
}

fn link(build: Build, directory: &Path) -> std::path::PathBuf {
    build.link_exporting("registry.c", &[], &directory.join("program"))
}

#[test]
fn keys_of_c_are_listed_and_switched_by_pattern() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in known_builds(directory.path()) {
        let program = link(build, directory.path());
        for (mode, (writer, _)) in build.runs() {
            let (said, _) = said_by_registered(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer), "");
            let is_told = said.contains("calls load their keys\n");
            assert_eq!(is_told, !(build.has_pass() || build.has_trampolines()), "{build:?}");
        }
    }
}

#[test]
fn keys_of_rust_are_listed_and_switched_by_pattern() {
    let builds = [
        PLAIN,
        rust::Build { name: "release", release: true, ..PLAIN },
        rust::Build { name: "without", wrapper: None, ..PLAIN },
    ];
    // Which calls and branches are patched makes no difference to names, and `branches` has the other builds.
    let count = if platform().is_representative() { builds.len() } else { 1 };
    for build in builds.into_iter().take(count) {
        let program = build.build(&["-p", "branches", "--bin", "registry"]).join("registry");
        for mode in ["inline", "trampoline", "generic"] {
            said_by_registered(&mut in_mode(&program, Some(mode)), "");
            let (on, _) =
                said_by_registered(in_mode(&program, Some(mode)).arg("say"), "registry::net::*,nothing");
            assert_eq!(on, "ways [true, true, false, true]\nok\n", "{build:?}, {mode}");
        }
    }
}

/// As if they had been defined as true.
#[test]
fn branches_are_on_from_the_start() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in known_builds(directory.path()) {
        let program = link(build, directory.path());
        for mode in [None, Some("trampoline"), Some("generic")] {
            let run = |patterns: &str| {
                let mut command = in_mode(&program, mode);
                said_by_registered(command.env("STATIC_CALL_LOG", "1").arg("say"), patterns)
            };
            let (without, log) = run("");
            assert_eq!(without, "ways 2\non disk_check 1\nok\n", "{build:?}, {mode:?}");
            assert!(!log.contains("STATIC_CALL_ENABLE"), "{log}");
            let (on, log) = run(" net_t*, disk_check,missing_*,chosen,");
            let mut lines: Vec<_> = on.lines().collect();
            lines.sort_unstable();
            assert_eq!(
                lines,
                ["ok", "on disk_check 1", "on net_trace 1", "ways 10"],
                "{build:?}, {mode:?}: {log}"
            );
            // The one that is on anyhow is not named.
            let named = log.matches("STATIC_CALL_ENABLE: ").collect::<Vec<_>>();
            assert_eq!(named.len(), 3, "{log}");
            assert!(log.contains("STATIC_CALL_ENABLE: net_trace is on\n"), "{log}");
            for pattern in ["missing_*", "chosen"] {
                let line = format!("STATIC_CALL_ENABLE: no branch's key matches {pattern} so far; patterns ");
                assert!(log.contains(&line), "{log}");
            }
        }
    }
}

/// By dlopen, and each time that the image comes anew. In a shared object whose branches are loads and which
/// has no other recorded use of a key, nobody knows of its keys.
#[test]
fn branches_of_images_that_are_loaded_later() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // gcc makes loads of position-independent code's branches there.
    let has_branches = |build: &Build| {
        build.header_has_branches()
            && !(platform().name.starts_with("armv7-") && build.compiler == Compiler::Gcc)
    };
    for build in SOME_BUILDS.into_iter().filter(has_branches) {
        let program = link(build, directory.path());
        let plugin = build.shared_object("registry_plugin.c", &directory.path().join("plugin.so"));
        for (patterns, is_on) in [("plugin_*", 1), ("net_*", 0)] {
            let mut command = in_mode(&program, None);
            let (on, log) = said_by_registered(command.env("STATIC_CALL_LOG", "1").arg(&plugin), patterns);
            assert_eq!(on.contains("plugin 1\n"), is_on == 1, "{build:?}: {on}{log}");
            assert_eq!(on.contains("on plugin_trace 1\n"), is_on == 1, "{build:?}: {on}{log}");
            assert_eq!(on.contains("again 1\n"), is_on == 1, "{build:?}: {on}{log}");
            assert_eq!(log.matches("plugin_trace is on\n").count(), 2 * is_on, "{build:?}: {log}");
        }
    }
}

#[test]
fn a_variable_that_is_too_long_is_named_and_ignored() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = link(SOME_BUILDS[0], directory.path());
    let (on, log) =
        said_by_registered(in_mode(&program, None).arg("say"), &("*,".to_owned() + &"x".repeat(5000)));
    assert!(on.starts_with("ways 2\n"), "{on}");
    assert_eq!(log, "static-call: STATIC_CALL_ENABLE is ignored: it has 5002 bytes, and may have 4096\n");
}
