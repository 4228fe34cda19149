//! What the inspector says of running processes.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use static_call_tests::c::{in_mode, modes, writers};
use static_call_tests::{clang, plain_clang, prefix, run, stdout};

const PROGRAM: &str = r#"
#include <dlfcn.h>
#include <static_call.h>
#include <stdio.h>
int one(int x) { return x + 1; }
int two(int x) { return x + 2; }
__attribute__((visibility("default"))) DEFINE_STATIC_CALL(key, one);
DEFINE_STATIC_CALL_NULL(hook, one);
__attribute__((noinline)) int caller(int x)
{
	static_call_cond(hook, x);
	return static_call(key, x);
}
int main(int argc, char **argv)
{
	char line[16];
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		void *library;
		switch (*line) {
		case 'u':
			static_call_update(key, two);
			break;
		case 'h':
			static_call_update(hook, two);
			break;
		case 'l':
			library = dlopen(argv[argc - 1], RTLD_NOW);
			static_call_update(key, (int (*)(int))dlsym(library, "three"));
		}
		printf("%d\n", caller(0));
		fflush(stdout);
	}
	return 0;
}
"#;
const LIBRARY: &str = "#include <static_call.h>\nDECLARE_STATIC_CALL(key, int(int));\n\
    int three(int x) { return x + 3; }\nint other(int x) { return static_call(key, x) * 2; }";

struct Workshop(tempfile::TempDir);

impl Workshop {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, mut compiler: Command) -> PathBuf {
        let (source, program) = (self.path("program.c"), self.path("program"));
        std::fs::write(&source, PROGRAM).expect("a file");
        let archive = prefix().join("lib/libstatic_call.a");
        compiler.args(["-O2", "-g", "-rdynamic", "-ldl"]).arg(&source).arg("-o").arg(&program);
        compiler.arg("-Wl,--whole-archive").arg(archive).arg("-Wl,--no-whole-archive");
        run(&mut compiler);
        program
    }

    fn shared_object(&self) -> PathBuf {
        let (source, library) = (self.path("library.c"), self.path("library.so"));
        std::fs::write(&source, LIBRARY).expect("a file");
        run(clang().args(["-O2", "-g", "-fPIC", "-shared"]).arg(&source).arg("-o").arg(&library));
        library
    }
}

struct Running {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut running = Self { child, output };
        assert_eq!(running.answer(), "ready");
        running
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, what: &str) -> String {
        let input = self.child.stdin.as_mut().expect("a pipe");
        writeln!(input, "{what}").expect("it reads");
        self.answer()
    }

    fn inspector(&self) -> Command {
        let mut inspector = Command::new(env!("CARGO_BIN_EXE_static-call-inspect"));
        inspector.args(["--pid", &self.child.id().to_string()]);
        inspector
    }

    fn inspect(&self) -> Value {
        serde_json::from_str(&stdout(self.inspector().arg("--json"))).expect("JSON")
    }

    fn requires(&self) -> Option<i32> {
        self.inspector().arg("--require-all-direct").output().expect("it runs").status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut keys = report["keys"].as_array().expect("keys").iter();
    keys.find(|key| key["name"] == name).unwrap_or_else(|| panic!("no key {name}: {report:#}"))
}

#[test]
fn todays_targets_in_every_mode_with_every_writer() {
    let workshop = Workshop::new();
    let program = workshop.program(clang());
    for &mode in modes() {
        for (writer, _) in writers() {
            let mut command = in_mode(&program, mode);
            command.env("STATIC_CALL_WRITER", writer);
            let mut running = Running::start(command);
            let expected = mode.unwrap_or("inline");
            for (what, answer, target, hook) in
                [("", "1", "one", "off"), ("u", "2", "two", "off"), ("h", "2", "two", "two")]
            {
                assert_eq!(running.ask(what), answer);
                let report = running.inspect();
                let case = format!("{mode:?} {writer} {what}: {report:#}");
                assert_eq!(report["mode"], expected, "{case}");
                assert_eq!(key(&report, "key")["target"], target, "{case}");
                assert_eq!(key(&report, "hook")["target"], hook, "{case}");
                let file = key(&report, "key")["target_file"].as_str().unwrap();
                assert_eq!(Path::new(file), program.canonicalize().unwrap(), "{case}");
                let direct = if expected == "inline" { 2 } else { 0 };
                assert_eq!((&report["sites"], &report["direct"]), (&2.into(), &direct.into()), "{case}");
                assert_eq!(report["indirect"].as_array().unwrap().len(), 2 - direct, "{case}");
                let shown = match (expected, *writer) {
                    ("generic", _) => "none",
                    (_, "breakpoint") => "breakpoint",
                    _ => "window or custom",
                };
                assert_eq!(report["writer"], shown, "{case}");
                assert_eq!(running.requires(), Some(i32::from(expected != "inline")), "{case}");
                // Who asks why is told, and nobody else.
                let text = stdout(&mut running.inspector());
                assert_eq!(text.contains("why not"), expected == "generic", "{case}: {text}");
                let image = &report["images"][0];
                assert_eq!(
                    image["state"],
                    if expected == "generic" { "registered" } else { "patched" },
                    "{case}"
                );
                if expected == "generic" {
                    assert_eq!(image["reason"], "STATIC_CALL_MODE asks for it", "{case}");
                }
            }
        }
    }
}

#[test]
fn a_target_in_a_file_that_was_loaded_later() {
    let workshop = Workshop::new();
    let (program, library) = (workshop.program(clang()), workshop.shared_object());
    let mut command = in_mode(&program, None);
    command.arg(&library);
    let mut running = Running::start(command);
    assert_eq!(running.ask("l"), "3");
    let report = running.inspect();
    assert_eq!(report["images"].as_array().unwrap().len(), 2, "{report:#}");
    let key = key(&report, "key");
    assert_eq!(key["target"], "three", "{report:#}");
    assert!(key["target_file"].as_str().unwrap().ends_with("library.so"), "{report:#}");
    assert_eq!(key["sites"], 2, "one of the program's, one of the library's: {report:#}");
    let text = stdout(&mut running.inspector());
    assert!(text.contains("three") && text.contains("mode inline"), "{text}");

    // A file that was replaced is not taken for the one that runs.
    let other = workshop.path("other.so");
    run(plain_clang("clang").args(["-shared", "-fPIC", "-x", "c", "/dev/null", "-o"]).arg(&other));
    std::fs::rename(&other, &library).expect("a file");
    let report = running.inspect();
    let root_reads_it_anyway = report["images"].as_array().unwrap().len() == 2;
    let unknown = report["unknown"].to_string();
    assert!(root_reads_it_anyway || unknown.contains("library.so"), "{report:#}");
}

#[test]
fn a_process_without_the_pass() {
    let workshop = Workshop::new();
    let mut compiler = plain_clang("clang");
    compiler.arg("-I").arg(prefix().join("include"));
    let mut running = Running::start(in_mode(&workshop.program(compiler), None));
    assert_eq!(running.ask("u"), "2");
    let report = running.inspect();
    assert_eq!((&report["mode"], &report["images"]), (&"generic".into(), &Value::Array(Vec::new())));
    assert_eq!(key(&report, "key")["target"], "two");
    assert_eq!(running.requires(), Some(1));
}

#[test]
fn what_cannot_be_read() {
    let failure = |mut command: Command, expected: &str| {
        let output = command.output().expect("it runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected), "{message}");
        message.into_owned()
    };
    let inspector = |pid: u32| {
        let mut inspector = Command::new(env!("CARGO_BIN_EXE_static-call-inspect"));
        inspector.args(["--pid", &pid.to_string()]);
        inspector
    };
    // One that has ended, and was waited for.
    let mut child = Command::new("true").spawn().expect("it runs");
    child.wait().expect("it ends");
    failure(inspector(child.id()), "there is no process");
    failure(inspector(u32::MAX), "there is no process");
    // One that has ended, and was not.
    let mut child = Command::new("true").spawn().expect("it runs");
    while !std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("a zombie").contains(") Z ") {
        std::thread::yield_now();
    }
    failure(inspector(child.id()), "has just ended");
    child.wait().expect("it ends");

    // Somebody else's: root's, seen by nobody.
    let own = stdout(Command::new("id").arg("-u"));
    if own.trim() != "0" {
        failure(inspector(1), "CAP_SYS_PTRACE");
        return;
    }
    let readable = PermissionsExt::from_mode(0o755);
    let directory = tempfile::Builder::new().permissions(readable).tempdir().expect("a temporary directory");
    let program = directory.path().join("static-call-inspect");
    std::fs::copy(env!("CARGO_BIN_EXE_static-call-inspect"), &program).expect("a copy");
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    let mut sleeper = Command::new("sleep").arg("60").spawn().expect("it runs");
    let message = {
        nobody.args(["--pid", &sleeper.id().to_string()]);
        failure(nobody, "CAP_SYS_PTRACE")
    };
    assert!(message.contains("it runs as user 0 and this as user 65534"), "{message}");
    sleeper.kill().expect("it runs");
    sleeper.wait().expect("it ends");
}
