//! The example on a small text: it checks itself, and its report says what the text has.

use std::path::Path;
use std::process::{Command, Output};

fn trace(text: &str, directory: &Path, mode: &str) -> Output {
    let file = directory.join("text.json");
    std::fs::write(&file, text).expect("a file");
    let mut trace = Command::new(env!("CARGO_BIN_EXE_trace"));
    trace.arg(file).arg("3").env("STATIC_CALL_MODE", mode);
    trace.output().expect("the example")
}

#[test]
fn a_small_text_in_every_mode() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let line = "{\"a\": [1, -2.5e3, true, false, null], \"b\\n\\u00e9\": {}}\n";
    let text = line.repeat(400);
    for mode in ["inline", "trampoline", "generic"] {
        let output = trace(&text, directory.path(), mode);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
        let events = "events while all are on:\n  \
             OBJECT 800, OBJECT_END 800, ARRAY 400, ARRAY_END 400, COLON 800\n  \
             COMMA 2000, LINE 400, SPACES 2800, TRUE 400, FALSE 400\n  \
             NULL 400, ESCAPE 400, UNICODE 400, MINUS 400, FRACTION 400\n  \
             EXPONENT 400, BEGIN 1, STRING 800, NUMBER 800, END 1\n";
        assert!(said.ends_with(events), "{mode}: {said}");
        if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            let is_patched = said.starts_with("20 trace points: 20 branches, of which 20 are patched");
            assert_eq!(is_patched, mode == "inline", "{mode}: {said}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_trace")).arg("/nowhere").output().expect("the example");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read /nowhere"));
}
