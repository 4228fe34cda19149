//! The registry: lists of keys, switches by pattern, and branches that are on from the start.

use std::path::Path;
use std::process::Command;

use static_call_tests::c::{Build, SOME_BUILDS, builds, in_mode};
use static_call_tests::platform::platform;
use static_call_tests::run;
use static_call_tests::rust::{self, PLAIN};

/// Whether every build of a program that has branches registers itself.
fn is_known() -> bool {
    !platform().is_foreign() && cfg!(target_arch = "x86_64")
}

/// What a program prints, with the variable set, and what it logs.
fn said(command: &mut Command, patterns: &str) -> (String, String) {
    let output = run(command.env("STATIC_CALL_ENABLE", patterns));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, log) = (text(&output.stdout), text(&output.stderr));
    assert!(said.ends_with("ok\n") || (!is_known() && said == "not registered\n"), "{said}{log}");
    (said, log)
}

fn link(build: Build, directory: &Path) -> std::path::PathBuf {
    build.link_exporting("registry.c", &[], &directory.join("program"))
}

#[test]
fn keys_of_c_are_listed_and_switched_by_pattern() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for &build in builds() {
        let program = link(build, directory.path());
        for (mode, (writer, _)) in build.runs() {
            said(in_mode(&program, mode).env("STATIC_CALL_WRITER", writer), "");
        }
    }
}

#[test]
fn keys_of_rust_are_listed_and_switched_by_pattern() {
    for build in [
        PLAIN,
        rust::Build { name: "release", release: true, ..PLAIN },
        rust::Build { name: "without", wrapper: None, ..PLAIN },
    ] {
        let program = build.build(&["-p", "branches"]).join("registry");
        for mode in ["inline", "trampoline", "generic"] {
            let (known, _) = said(&mut in_mode(&program, Some(mode)), "");
            if known == "not registered\n" {
                continue;
            }
            let (on, _) = said(in_mode(&program, Some(mode)).arg("say"), "registry::net::*,nothing");
            assert_eq!(on, "ways [true, true, false, true]\nok\n", "{build:?}, {mode}");
        }
    }
}

/// As if they had been defined as true.
#[test]
fn branches_are_on_from_the_start() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for &build in builds() {
        let program = link(build, directory.path());
        for mode in [None, Some("trampoline"), Some("generic")] {
            let run = |patterns: &str| {
                let mut command = in_mode(&program, mode);
                said(command.env("STATIC_CALL_LOG", "1").arg("say"), patterns)
            };
            let (without, log) = run("");
            if without == "not registered\n" {
                continue;
            }
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
                let line = format!("STATIC_CALL_ENABLE: no branch's key matches {pattern} so far\n");
                assert!(log.contains(&line), "{log}");
            }
        }
    }
}

/// By dlopen, and each time that the image comes anew. (An older gcc makes loads of a shared object's
/// branches, which nobody knows of.)
#[test]
fn branches_of_images_that_are_loaded_later() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for build in SOME_BUILDS.into_iter().filter(|build| build.has_pass()) {
        let program = link(build, directory.path());
        let plugin = build.shared_object("registry_plugin.c", &directory.path().join("plugin.so"));
        for (patterns, is_on) in [("plugin_*", 1), ("net_*", 0)] {
            let mut command = in_mode(&program, None);
            let (on, log) = said(command.env("STATIC_CALL_LOG", "1").arg(&plugin), patterns);
            if on == "not registered\n" {
                continue;
            }
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
    let (on, log) = said(in_mode(&program, None).arg("say"), &("*,".to_owned() + &"x".repeat(5000)));
    assert!(on.starts_with("ways 2\n"), "{on}");
    assert_eq!(log, "static-call: STATIC_CALL_ENABLE is ignored: it has 5002 bytes, and may have 4096\n");
}
