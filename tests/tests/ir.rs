//! The IR stage: FileCheck on the output of `opt -passes=static-call,verify` for `tests/ir/*.ll`.
//!
//! As in LLVM's own tests, `; RUN:` lines contain the commands. The substitutions are `%s` (the file), `%t`
//! (a scratch file), `%plugin`, `%lower` (the pass, then the verifier) and the programs of LLVM 22 by their
//! names without the version.

use std::fs;
use std::path::Path;
use std::process::Command;

use static_call_tests::{plugin, root};

/// These names denote LLVM 22's programs.
const PROGRAMS: &[&str] = &[
    "opt",
    "clang",
    "llc",
    "llvm-link",
    "llvm-objdump",
    "llvm-readelf",
    "FileCheck",
    "not",
    "count",
    "split-file",
];

fn run_lines(text: &str) -> Vec<String> {
    let mut commands = vec![String::new()];
    for line in text.lines().filter_map(|line| line.trim_start_matches(['/', ';', ' ']).strip_prefix("RUN:"))
    {
        let current = commands.last_mut().expect("never empty");
        match line.trim().strip_suffix('\\') {
            Some(part) => current.push_str(part),
            None => {
                current.push_str(line.trim());
                commands.push(String::new());
            }
        }
    }
    commands.pop();
    commands
}

fn substitute(command: &str, file: &Path, scratch: &Path) -> String {
    let plugin = plugin();
    let lower = format!("opt -load-pass-plugin={} -passes=static-call,verify", plugin.display());
    let command = command
        .replace("%lower", &lower)
        .replace("%plugin", &plugin.display().to_string())
        .replace("%s", &file.display().to_string())
        .replace("%t", &scratch.join("t").display().to_string());
    let words = command.split(' ').map(|word| match PROGRAMS.contains(&word) {
        true => format!("{word}-22"),
        false => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn check(name: &str) {
    let file = root().join("tests/ir").join(name).with_extension("ll");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let commands = run_lines(&text);
    assert!(!commands.is_empty(), "{} has no RUN line", file.display());
    for command in commands {
        let command = substitute(&command, &file, scratch.path());
        let output = Command::new("bash").args(["-o", "pipefail", "-c", &command]).output().expect("bash");
        assert!(
            output.status.success(),
            "{command}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(&stringify!($name).replace('_', "-")) })*

        #[test]
        fn every_file_is_run() {
            let mut files: Vec<String> = fs::read_dir(root().join("tests/ir"))
                .expect("tests/ir")
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "ll"))
                .map(|path| path.file_stem().expect("a name").to_string_lossy().replace('-', "_"))
                .collect();
            files.sort();
            assert_eq!(files, [$(stringify!($name)),*]);
        }
    };
}

files! {
    aarch64
    abi
    arm
    bundles
    call
    defined_keys
    global_merge
    indirect
    intrinsic
    kcfi
    keys
    local_record
    no_key
    notes
    null_check
    other_targets
    quoted_names
    remarks
    reserved_names
    s390x
    signature
    site_attributes
    thunks
    two_modules
    type_conflict
    unbounded_array
    unchanged
    unknown_key
    value
    x86
}
