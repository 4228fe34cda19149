//! Code that is written through a second mapping of its pages.

use static_call_tests::c::{Build, Compiler, Report, in_mode};
use static_call_tests::platform::platform;
use static_call_tests::run;

const INLINE: usize = 2;
const BREAKPOINT: usize = 2;
const ALIAS: usize = 4;

/// What is mapped, and what forks, debuggers, plugins and the seal do to it.
#[test]
fn aliases_of_code() {
    if platform().is_foreign() {
        eprintln!("skipped: an emulator does not see what is written through another mapping of the code");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    for level in ["-O0", "-O2"] {
        let build = Build { compiler: Compiler::Pass, level };
        let plugin = build.shared_object("plugin.c", &directory.path().join("plugin.so"));
        let program = build.link_exporting("aliases.c", &[], &directory.path().join("program"));
        let report = |variables: &[(&str, &str)]| {
            let mut command = in_mode(&program, None);
            command.arg(&plugin).env("STATIC_CALL_LOG", "1").envs(variables.iter().copied());
            let output = run(&mut command);
            (Report::find(&output.stdout), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (found, log) = report(&[("STATIC_CALL_WRITER", "alias")]);
        assert_eq!((found.mode, found.writer), (INLINE, ALIAS), "{found:?}: {log}");
        // Whoever has written to a page of code may know it by its file. So it keeps that.
        let (found, log) = report(&[("STATIC_CALL_WRITER", "alias"), ("COPY_EARLY", "1")]);
        assert_eq!((found.direct, found.writer), (0, 0), "{found:?}: {log}");
        let (found, log) = report(&[("DENY", "1"), ("COPY_EARLY", "1")]);
        assert_eq!((found.mode, found.writer), (INLINE, BREAKPOINT), "{found:?}: {log}");
        let (found, log) = report(&[("DENY", "1")]);
        assert_eq!((found.mode, found.writer), (INLINE, ALIAS), "{found:?}: {log}");
    }
}
