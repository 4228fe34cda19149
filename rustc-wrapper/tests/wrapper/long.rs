//! The end of the options, and very long command lines.

use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use crate::world::{COMPILATION, WRAPPER, World};

/// Rustc takes the arguments after `--` for files.
#[test]
fn options_come_before_what_ends_them() {
    let world = World::new();
    let options = &COMPILATION[..4];
    let last = world.path("last");
    fs::write(&last, "--\ndemo.rs\n").unwrap();
    let file = format!("@{}", last.display());
    for end in [&["--", "demo.rs"][..], &["--", "--version"], &[&file]] {
        let outcome = world.call(options).args(end).run();
        let hash = outcome.hash();
        let added = world.added(&world.plugin(), hash);
        let expected: Vec<&str> = options.iter().copied().chain(added.iter().map(String::as_str)).collect();
        let (before, behind) = outcome.arguments.split_at(outcome.arguments.len() - end.len());
        assert_eq!(behind, end, "{outcome:?}");
        assert_eq!(before[..expected.len()], expected, "{outcome:?}");
    }
    // A source on standard input is a query by cargo, as always.
    world.call(options).args(["--", "-"]).run().assert_untouched(&[options, &["--", "-"]].concat());
}

/// A compiler that prints its arguments like [`World`]'s, including those in files.
const COMPILER: &str = r#"#!/bin/sh
case "$*" in *-vV) echo "release: 1.95.0"; echo "LLVM version: 22.1.2"; exit ;; esac
for word; do
  case $word in @*) sed 's/^/argument /' "${word#@}" ;; *) printf 'argument %s\n' "$word" ;; esac
done
ls -ld "$TMPDIR"/static-call-rustc-* >&2
exit 3
"#;

/// The longest command that fits, by means of its last argument. With the wrapper's options it no longer
/// fits.
#[test]
fn a_command_that_just_fits_is_run() {
    let world = World::new();
    world.install_program(&world.rustc(), COMPILER);
    let response = world.path("response");
    fs::write(&response, "--cfg\nfrom_file\n").unwrap();
    let file = format!("@{}", response.display());
    // As long as the compiler's name, but not a compiler: the wrapper ends at once.
    let no_compiler = format!("-{}", "x".repeat(world.rustc().as_os_str().len() - 1));
    let fits = |arguments: &[String]| {
        let mut wrapper = Command::new(WRAPPER);
        wrapper.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        wrapper.env("XDG_CACHE_HOME", world.path("cache")).env("TMPDIR", world.path("tmp"));
        wrapper.env("STATIC_CALL_PASS", world.plugin()).current_dir(world.path(""));
        wrapper.arg(&no_compiler).args(COMPILATION).arg(&file).args(arguments);
        match wrapper.stderr(Stdio::null()).status() {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ArgumentListTooLong);
                false
            }
        }
    };
    let argument = |len: usize| "a".repeat(len);
    let mut arguments = Vec::new();
    while fits(&arguments) {
        arguments.push(argument(100_000));
    }
    arguments.pop();
    let (mut some, mut too_many) = (0, 100_000);
    while too_many - some > 1 {
        let middle = usize::midpoint(some, too_many);
        let tried = [&arguments[..], &[argument(middle)]].concat();
        *(if fits(&tried) { &mut some } else { &mut too_many }) = middle;
    }
    arguments.push(argument(some));

    let outcome = world.call(COMPILATION).args([&file]).args(&arguments).run();
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(outcome.has_pass());
    let expected: Vec<&str> = COMPILATION.iter().copied().chain(["--cfg", "from_file"]).collect();
    assert_eq!(outcome.arguments[..expected.len()], expected);
    assert_eq!(outcome.arguments[expected.len()..expected.len() + arguments.len()], arguments);
    // The directory was private, and is removed.
    assert!(outcome.stderr.starts_with("drwx------"), "{}", outcome.stderr);
    assert_eq!(fs::read_dir(world.path("tmp")).unwrap().count(), 0);
}
