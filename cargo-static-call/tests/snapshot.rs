//! The inspector's JSON as a whole, held against files in `tests/snapshots`.
//!
//! Programs read these fields. A field that goes away, or gets another name, type or meaning, needs a new
//! [`FORMAT`]; a new field does not. After a change that is meant, write the files again and review the diff:
//!
//! ```text
//! BLESS=1 cargo test -p cargo-static-call --test snapshot
//! ```

use std::path::Path;
use std::process::Command;

use cargo_static_call::schema::{
    BranchKeyReport, BranchReport, Caller, Code, FORMAT, File, Indirect, KeyReport, LiveBranchKey, LiveImage,
    LiveKey, Overhead, Place, Process, SiteReport,
};
use serde_json::Value;
use static_call_tests::{clang, link_flags, plain_clang, prefix, run, stdout};

/// Fails unless the JSON is that of the file.
fn matches(name: &str, json: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    let text = format!("{json:#}\n");
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(&path, text).expect("the snapshot can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let (was, is): (Vec<_>, Vec<_>) = (expected.lines().collect(), text.lines().collect());
    let same = was.iter().zip(&is).take_while(|(was, is)| was == is).count();
    let part =
        |lines: &[&str]| lines[same..].iter().take(5).map(|line| format!("    {line}\n")).collect::<String>();
    assert!(
        was == is,
        "{} differs from line {}:\n  expected\n{}  found\n{}\
         If programs that read format {FORMAT} would break, raise FORMAT. Then run the test with BLESS=1.",
        path.display(),
        same + 1,
        part(&was),
        part(&is)
    );
}

/// Each field's name and type. Every list and every option has a value. A new field does not compile until it
/// is added here.
#[test]
fn every_field() {
    let text = || Some("text".to_owned());
    let place = || Place {
        address: 1,
        key: text(),
        dispatch: Some("inline"),
        compiler: text(),
        function: text(),
        inlined_into: text(),
        inlined_at: vec![Caller { function: text(), file: text(), line: Some(2) }],
        file: text(),
        line: Some(2),
    };
    let code = || Some(Code { bytes: "90".into(), does: "text".into() });
    let site = || SiteReport {
        kind: Some("call"),
        is_behind_veneer: true,
        stays_because: Some("reason"),
        padding: Some(3),
        before: code(),
        after: code(),
        place: place(),
    };
    let list = || vec!["text".to_owned()];
    let file = File {
        format: FORMAT,
        file: "path".into(),
        kind: "kind".into(),
        size: 1,
        is_image: true,
        keys: vec![KeyReport {
            name: "name".into(),
            symbol: text(),
            address: Some(1),
            is_in_section: true,
            ty: text(),
            file: text(),
            line: Some(2),
            default_target: text(),
            sites: vec![site()],
            trampolines: vec![1],
        }],
        other_sites: vec![site()],
        sites: 1,
        branch_keys: vec![BranchKeyReport {
            name: "name".into(),
            symbol: text(),
            address: Some(1),
            is_on: Some(true),
            is_hook: true,
            branches: vec![BranchReport {
                is_likely: true,
                stays_because: Some("reason"),
                before: code(),
                after: code(),
                place: place(),
            }],
        }],
        branches: 1,
        overhead: Overhead {
            sites: 1,
            branches: 1,
            records: 1,
            keys: 1,
            trampolines: Some(1),
            pages: 1,
            padding: Some(1),
        },
        unrecorded: vec![place()],
        left_indirect: vec![Indirect { reason: "reason".into(), is_value: true, place: place() }],
        loads: Some(vec![place()]),
        without_pass: vec![place()],
        crates_without_pass: list(),
        files_without_pass: list(),
        damage: list(),
        idle_because: Some("reason"),
        unknown: list(),
        all_direct: true,
        not_direct_because: list(),
    };
    matches("file-fields.json", &serde_json::to_value(file).expect("JSON"));
    let process = Process {
        format: FORMAT,
        pid: 1,
        program: "path".into(),
        mode: "mode",
        writer: "writer",
        keys: vec![LiveKey {
            name: "name".into(),
            address: 1,
            target: text(),
            target_address: Some(1),
            target_file: text(),
            stores: Some(1),
            sites: 1,
            direct: 1,
            trampolines: 1,
            patched_trampolines: 1,
        }],
        images: vec![LiveImage {
            file: "path".into(),
            base: 1,
            state: "state",
            reason: text(),
            keys: 1,
            sites: 1,
            direct: 1,
            branches: 1,
            patched_branches: 1,
            patched_trampolines: 1,
        }],
        sites: 1,
        direct: 1,
        branch_keys: vec![LiveBranchKey {
            name: "name".into(),
            address: 1,
            is_on: Some(true),
            count: Some(1),
            stores: Some(1),
            branches: 1,
            patched_branches: 1,
        }],
        branches: 1,
        patched_branches: 1,
        indirect: vec![place()],
        calls: Vec::new(),
        unknown: list(),
        all_direct: true,
        not_direct_because: list(),
    };
    matches("process-fields.json", &serde_json::to_value(process).expect("JSON"));
}

const PROGRAM: &str = r#"#include <static_call.h>
static int one(int x) { return x + 1; }
DEFINE_STATIC_CALL(counted, one);
DEFINE_STATIC_CALL_NULL(hook, one);
DEFINE_STATIC_CALL_RET0(zero, one);
static inline int inner(int x) { return static_call(counted, x); }
__attribute__((noinline)) int outer(int x)
{
	static_call_cond(hook, x);
	return inner(x) + static_call(zero, x);
}
__attribute__((noinline)) int tail(int x) { return static_call(counted, x); }
"#;
const WITHOUT_PASS: &str = r#"#include <static_call.h>
DECLARE_STATIC_CALL(counted, int(int));
int outer(int), tail(int);
int main(int argc, char **argv) { return outer(argc) + tail(argc) + static_call(counted, argc) == 0; }
"#;

/// Masks what depends on where the linker puts things, on the directory and on the compiler's version.
fn mask(json: &mut Value, directory: &str) {
    const MASKED: [&str; 6] = ["address", "size", "padding", "trampolines", "overhead", "bytes"];
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "compiler" && value.is_string() {
                    *value = "<compiler>".into();
                } else if MASKED.contains(&name.as_str()) {
                    mask_numbers(value);
                } else {
                    mask(value, directory);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| mask(value, directory)),
        Value::String(text) => *text = text.replace(directory, "<directory>"),
        _ => {}
    }
}

fn mask_numbers(json: &mut Value) {
    match json {
        Value::Object(fields) => fields.values_mut().for_each(mask_numbers),
        Value::Array(values) => values.iter_mut().for_each(mask_numbers),
        Value::Number(_) | Value::String(_) => *json = "<number>".into(),
        _ => {}
    }
}

/// The values that a real program gives. Other machines have other instructions.
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the program of the snapshot is one of x86-64")]
#[test]
fn a_program() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path().canonicalize().expect("the temporary directory");
    let path = |name: &str| directory.join(name);
    let compile = |mut clang: Command, name: &str, source: &str| {
        std::fs::write(path(name), source).expect("a file");
        run(clang
            .args(["-O2", "-g", "-c", name, "-o"])
            .arg(path(name).with_extension("o"))
            .current_dir(&directory));
    };
    compile(clang(), "program.c", PROGRAM);
    let mut without_pass = plain_clang("clang");
    without_pass.arg("-DSTATIC_CALL_POINTERS").arg("-I").arg(prefix().join("include"));
    compile(without_pass, "without_pass.c", WITHOUT_PASS);
    let objects = ["program.o", "without_pass.o"].map(path);
    run(plain_clang("clang").args(objects).arg("-o").arg(path("program")).args(link_flags()));
    let mut inspector = Command::new(env!("CARGO_BIN_EXE_static-call-inspect"));
    let report = stdout(inspector.arg("--json").arg(path("program")));
    let mut report = serde_json::from_str(&report).expect("JSON");
    mask(&mut report, directory.to_str().expect("a path"));
    matches("program.json", &report);
}
