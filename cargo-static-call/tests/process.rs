//! The inspector's reports on running processes.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use static_call_tests::c::{in_mode, modes, writers};
use static_call_tests::{Scratch, clang, plain_clang, prefix, run, stdout};

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
	int error = 0;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		void *library;
		switch (*line) {
		case 'u':
			error = static_call_update(key, two);
			break;
		case 'h':
			error = static_call_update(hook, two);
			break;
		case 'l':
			library = dlopen(argv[argc - 1], RTLD_NOW);
			error = static_call_update(key, (int (*)(int))dlsym(library, "three"));
		}
		if (error)
			return 1;
		printf("%d\n", caller(0));
		fflush(stdout);
	}
	return 0;
}
"#;
const LIBRARY: &str = "#include <static_call.h>\nDECLARE_STATIC_CALL(key, int(int));\n\
    int three(int x) { return x + 3; }\nint other(int x) { return static_call(key, x) * 2; }";

fn program(scratch: &Scratch, mut compiler: Command) -> PathBuf {
    let (source, program) = (scratch.file("program.c", PROGRAM), scratch.path("program"));
    let archive = prefix().join("lib/libstatic_call.a");
    compiler.args(["-O2", "-g", "-rdynamic", "-ldl"]).arg(&source).arg("-o").arg(&program);
    compiler.arg("-Wl,--whole-archive").arg(archive).arg("-Wl,--no-whole-archive");
    run(&mut compiler);
    program
}

fn shared_object(scratch: &Scratch) -> PathBuf {
    let (source, library) = (scratch.file("library.c", LIBRARY), scratch.path("library.so"));
    run(clang().args(["-O2", "-g", "-fPIC", "-shared"]).arg(&source).arg("-o").arg(&library));
    library
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
    let scratch = Scratch::new();
    let program = program(&scratch, clang());
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
                for name in ["key", "hook"] {
                    let key = key(&report, name);
                    let patched = usize::from(expected == "trampoline");
                    let counted = (&key["trampolines"], &key["patched_trampolines"]);
                    assert_eq!(counted, (&1.into(), &patched.into()), "{case}");
                }
                let shown = match (expected, *writer) {
                    ("generic", _) => "none",
                    (_, "breakpoint" | "alias") => writer,
                    _ => "window or custom",
                };
                assert_eq!(report["writer"], shown, "{case}");
                assert_eq!(running.requires(), Some(i32::from(expected != "inline")), "{case}");
                // The column with reasons appears only if there are any.
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
    let scratch = Scratch::new();
    let (program, library) = (program(&scratch, clang()), shared_object(&scratch));
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

    // A file that replaced the loaded one is not used.
    let other = scratch.path("other.so");
    run(plain_clang("clang").args(["-shared", "-fPIC", "-x", "c", "/dev/null", "-o"]).arg(&other));
    std::fs::rename(&other, &library).expect("a file");
    let report = running.inspect();
    let root_reads_it_anyway = report["images"].as_array().unwrap().len() == 2;
    let unknown = report["unknown"].to_string();
    assert!(root_reads_it_anyway || unknown.contains("library.so"), "{report:#}");
}

#[test]
fn a_process_without_the_pass() {
    let scratch = Scratch::new();
    let mut compiler = plain_clang("clang");
    compiler.arg("-DSTATIC_CALL_POINTERS").arg("-I").arg(prefix().join("include"));
    let mut running = Running::start(in_mode(&program(&scratch, compiler), None));
    assert_eq!(running.ask("u"), "2");
    let report = running.inspect();
    assert_eq!((&report["mode"], &report["images"]), (&"generic".into(), &Value::Array(Vec::new())));
    assert_eq!(key(&report, "key")["target"], "two");
    assert_eq!(running.requires(), Some(1));
}

/// A process with thousands of mappings of one file under thousands of names.
#[test]
fn thousands_of_maps() {
    const MAZE: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char name[300];
	(void)argc;
	for (int i = 0; i < 20000; i++) {
		int file;
		if (i < 2000) {
			snprintf(name, sizeof name, "%s/%d", argv[1], i);
			if (link(argv[2], name) != 0)
				return 1;
		}
		file = open(name, O_RDONLY);
		if (mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED)
			return 2;
		close(file);
	}
	puts("ready");
	fflush(stdout);
	return getchar();
}
"#;
    let scratch = Scratch::new();
    let [source, program, names] = ["maze.c", "maze", "names"].map(|name| scratch.path(name));
    std::fs::write(&source, MAZE).expect("a file");
    run(plain_clang("clang").arg(&source).arg("-o").arg(&program));
    std::fs::create_dir(&names).expect("a directory");
    let mut command = Command::new(&program);
    command.arg(&names).arg(&program);
    let running = Running::start(command);
    let start = std::time::Instant::now();
    let report = running.inspect();
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!(report["images"], Value::Array(Vec::new()));
    assert!(!report["unknown"].to_string().contains("one run"), "{:.1000}", report["unknown"]);
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
    // A process that has ended and was waited for.
    let mut child = Command::new("true").spawn().expect("it runs");
    child.wait().expect("it ends");
    failure(inspector(child.id()), "there is no process");
    failure(inspector(u32::MAX), "there is no process");
    // A process that has ended and was not waited for.
    let mut child = Command::new("true").spawn().expect("it runs");
    while !std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("a zombie").contains(") Z ") {
        std::thread::yield_now();
    }
    failure(inspector(child.id()), "has just ended");
    child.wait().expect("it ends");

    // Another user's process: root's, read by nobody.
    let own = stdout(Command::new("id").arg("-u"));
    if own.trim() != "0" {
        failure(inspector(1), "CAP_SYS_PTRACE");
        return;
    }
    let readable = PermissionsExt::from_mode(0o755);
    let directory = tempfile::Builder::new().permissions(readable).tempdir().expect("a temporary directory");
    let program = directory.path().join("static-call-inspect");
    // Another process writes it: a child of another test's could still have our file open for writing.
    run(Command::new("cp").arg(env!("CARGO_BIN_EXE_static-call-inspect")).arg(&program));
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
    let mut sleeper = Command::new("sleep").arg("60").spawn().expect("it runs");
    let message = {
        nobody.args(["--pid", &sleeper.id().to_string()]);
        failure(nobody, "CAP_SYS_PTRACE")
    };
    assert!(message.contains("it runs as user 0 and the inspector as user 65534"), "{message}");
    sleeper.kill().expect("it runs");
    sleeper.wait().expect("it ends");
}

/// Keys of branches and lazy hooks, in the file and while the program runs.
#[cfg_attr(not(target_arch = "x86_64"), ignore = "branches are loads on other machines")]
#[test]
fn branches_and_their_keys() {
    const BRANCHES: &str = r#"
#include <static_branch.h>
#include <stdio.h>
DEFINE_STATIC_KEY_FALSE(traced);
DEFINE_STATIC_KEY_TRUE(checked);
DEFINE_STATIC_KEY_FALSE(unused);
static int seen;
static void see(int x) { seen = x; }
DEFINE_STATIC_CALL_NULL(hook, see);
__attribute__((noinline)) int caller(int x)
{
	static_call_lazy(hook, x + 1);
	if (static_branch_unlikely(&traced))
		x += 10;
	if (static_branch_likely(&traced))
		x += 100;
	if (static_branch_likely(&checked))
		x += 1000;
	return x;
}
int main(void)
{
	char line[16];
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		if (*line == 't' && (static_branch_inc(&traced) || static_branch_inc(&traced)))
			return 1;
		if (*line == 'c' && static_branch_disable(&checked))
			return 1;
		if (*line == 'h' && static_call_update(hook, see))
			return 1;
		const int called = caller(1);
		printf("%d %d\n", called, seen);
		fflush(stdout);
	}
	return static_key_enabled(&unused);
}
"#;
    let scratch = Scratch::new();
    let source = scratch.path("branches.c");
    std::fs::write(&source, BRANCHES).expect("a file");
    for (name, mut compiler) in
        [("with", clang()), ("without", plain_clang("clang")), ("gcc", Command::new("gcc"))]
    {
        let program = scratch.path(name);
        compiler.args(["-O2", "-g", "-I"]).arg(prefix().join("include"));
        compiler.arg(&source).arg("-o").arg(&program).arg(prefix().join("lib/libstatic_call.a"));
        run(&mut compiler);
        let inspector = || {
            let mut inspector = Command::new(env!("CARGO_BIN_EXE_static-call-inspect"));
            inspector.arg(&program);
            inspector
        };
        let report: Value = serde_json::from_str(&stdout(inspector().arg("--json"))).expect("JSON");
        let case = format!("{name}: {report:#}");
        assert_eq!(report["damage"].as_array().map(Vec::len), Some(0), "{case}");
        assert_eq!(report["branches"], 4, "{case}");
        // Name, whether it is on, whether it is a hook, and which of its branches are likely.
        let mut keys: Vec<_> = report["branch_keys"]
            .as_array()
            .expect("keys")
            .iter()
            .map(|key| {
                let branches = key["branches"].as_array().expect("branches").iter();
                let mut likely: Vec<_> =
                    branches.clone().map(|branch| branch["is_likely"].as_bool().unwrap()).collect();
                likely.sort_unstable();
                for branch in branches {
                    assert_eq!(
                        (&branch["function"], &branch["stays_because"]),
                        (&"caller".into(), &Value::Null)
                    );
                    assert!(
                        branch["file"].as_str().is_some_and(|file| file.ends_with("branches.c")),
                        "{case}"
                    );
                }
                let (name, is_hook) = (key["name"].as_str().unwrap(), key["is_hook"].as_bool().unwrap());
                (name, key["is_on"].as_bool().unwrap(), is_hook, likely)
            })
            .collect();
        keys.sort();
        let expected = [
            ("checked", true, false, vec![true]),
            ("hook", false, true, vec![false]),
            ("traced", false, false, vec![false, true]),
            ("unused", false, false, vec![]),
        ];
        assert_eq!(keys, expected, "{case}");
        let records = report["overhead"]["records"].as_u64().expect("bytes");
        assert_eq!(report["overhead"]["branches"], 4 * 12, "{case}");
        assert!(records.is_multiple_of(40) && records >= 4 * 40, "{case}");
        assert_eq!(report["overhead"]["keys"], 4 * 40, "{case}");
        let text = stdout(&mut inspector());
        assert!(
            text.contains("4 branch keys:")
                && text.contains("1 lazy call of hook:")
                && text.contains("2 recorded branches of traced:"),
            "{text}"
        );

        for mode in ["inline", "trampoline", "generic"] {
            let mut running = Running::start(in_mode(&program, Some(mode)));
            for (ask, answer, traced, checked, hook) in [
                ("", "1001 0", (false, 0), (true, 1), false),
                ("t", "1111 0", (true, 2), (true, 1), false),
                ("c", "111 0", (true, 2), (false, 0), false),
                ("h", "111 2", (true, 2), (false, 0), true),
            ] {
                assert_eq!(running.ask(ask), answer, "{name}, {mode}, {ask:?}");
                let report = running.inspect();
                let case = format!("{name}, {mode}, {ask:?}: {report:#}");
                let patched = |all: u64| if mode == "inline" { all } else { 0 };
                let of = |name: &str| {
                    let mut keys = report["branch_keys"].as_array().expect("keys").iter();
                    let key = keys.find(|key| key["name"] == name).expect("the key");
                    let counts = ["branches", "patched_branches"].map(|field| key[field].as_u64().unwrap());
                    (key["is_on"].as_bool().unwrap(), key["count"].as_u64(), counts)
                };
                assert_eq!(of("traced"), (traced.0, Some(traced.1), [2, patched(2)]), "{case}");
                assert_eq!(of("checked"), (checked.0, Some(checked.1), [1, patched(1)]), "{case}");
                assert_eq!(of("hook"), (hook, None, [1, patched(1)]), "{case}");
                assert_eq!(of("unused"), (false, Some(0), [0, 0]), "{case}");
                for report in [&report, &report["images"][0]] {
                    let counts = ["branches", "patched_branches"].map(|field| report[field].as_u64());
                    assert_eq!(counts, [Some(4), Some(patched(4))], "{case}");
                }
                let because = report["not_direct_because"].to_string();
                let is_said = because.contains("4 of 4 branches look at their keys");
                assert_eq!(is_said, mode != "inline", "{case}");
            }
        }
    }
}

/// The program's own list, and what the inspector sees from outside; branches are on from the start.
#[cfg_attr(not(target_arch = "x86_64"), ignore = "branches are loads on other machines")]
#[test]
fn the_registry_says_the_same() {
    const REGISTRY: &str = r#"
#include <static_branch.h>
#include <static_call_registry.h>
#include <stdio.h>
DEFINE_STATIC_KEY_FALSE(traced);
DEFINE_STATIC_KEY_FALSE(unused);
DEFINE_STATIC_KEY_TRUE(checked);
static int one(void) { return 1; }
DEFINE_STATIC_CALL(called, one);
DEFINE_STATIC_CALL_NULL(hook, one);
DEFINE_STATIC_CALL_RET0(level, one);
int main(void)
{
	char line[16];
	int sum = 0;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		struct static_call_entry entry = STATIC_CALL_FIRST;
		static_call_cond(hook);
		sum += static_call(called) + static_call(level);
		sum += static_branch_unlikely(&traced) + static_branch_likely(&checked);
		if (*line == 'i' && static_branch_inc_matching("*", NULL) < 0)
			return 1;
		while (static_call_next("*", &entry) == 1)
			printf("%s/%u/%zu/%zu/%zu ", entry.name, entry.state, entry.count,
			       entry.info.branches, entry.info.patched_branches);
		puts("");
		fflush(stdout);
	}
	return sum > 0;
}
"#;
    let scratch = Scratch::new();
    let source = scratch.path("registry.c");
    std::fs::write(&source, REGISTRY).expect("a file");
    for (name, mut compiler) in [("with", clang()), ("without", plain_clang("clang"))] {
        let program = scratch.path(name);
        compiler.args(["-O2", "-I"]).arg(prefix().join("include"));
        compiler.arg(&source).arg("-o").arg(&program).arg(prefix().join("lib/libstatic_call.a"));
        run(&mut compiler);
        let mut command = in_mode(&program, None);
        command.env("STATIC_CALL_ENABLE", "t*,u*");
        let mut running = Running::start(command);
        for (what, count) in [("", 1), ("i", 2)] {
            let answer = running.ask(what);
            let mut listed: Vec<_> = answer.split_whitespace().map(str::to_owned).collect();
            listed.sort_unstable();
            let report = running.inspect();
            let case = format!("{name}, {what}: {answer}, {report:#}");
            let branches = report["branch_keys"].as_array().expect("keys").iter().map(|key| {
                let number = |field: &str| key[field].as_u64().expect("a number");
                assert_eq!(key["is_on"], number("count") > 0, "{case}");
                let [count, branches, patched] = ["count", "branches", "patched_branches"].map(number);
                format!("{}/3/{count}/{branches}/{patched}", key["name"].as_str().expect("a name"))
            });
            let functions = report["keys"].as_array().expect("keys").iter().map(|key| {
                let state = match key["target"].as_str() {
                    Some("off") => 1,
                    Some("returns zero") => 2,
                    _ => 0,
                };
                format!("{}/{state}/0/0/0", key["name"].as_str().expect("a name"))
            });
            let mut inspected: Vec<_> = branches.chain(functions).collect();
            inspected.sort_unstable();
            assert_eq!(listed, inspected, "{case}");
            // Nobody asks for the last one.
            for line in [
                format!("traced/3/{count}/1/1"),
                format!("checked/3/{count}/1/1"),
                format!("unused/3/{count}/0/0"),
            ] {
                assert!(listed.contains(&line), "{line}: {case}");
            }
        }
    }
}
