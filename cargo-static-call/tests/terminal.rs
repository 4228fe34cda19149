//! What people see: colours, the width of a terminal, watched processes, pages of HTML, the manual.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use static_call_tests::{Scratch, clang, prefix, run, stdout};

/// It updates its key each time that it is told to.
const PROGRAM: &str = r#"
#include <static_call.h>
#include <stdio.h>
int first_of_two_functions(int x) { return x + 1; }
int second_of_two_functions(int x) { return x + 2; }
DEFINE_STATIC_CALL(a_key_whose_name_takes_half_of_a_narrow_terminal, first_of_two_functions);
DEFINE_STATIC_CALL_NULL(hook, first_of_two_functions);
__attribute__((noinline)) int caller(int x)
{
	static_call_cond(hook, x); /* the hook */
	return static_call(a_key_whose_name_takes_half_of_a_narrow_terminal, x);
}
int main(void)
{
	char line[16];
	int count = 0;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		for (int i = 0; i < *line - '0'; i++, count++)
			if (static_call_update(a_key_whose_name_takes_half_of_a_narrow_terminal,
					       count % 2 ? first_of_two_functions : second_of_two_functions))
				return 1;
		printf("%d\n", caller(0));
		fflush(stdout);
	}
	return 0;
}
"#;
const KEY: &str = "a_key_whose_name_takes_half_of_a_narrow_terminal";

static WORKSHOP: LazyLock<(Scratch, PathBuf)> = LazyLock::new(|| {
    let scratch = Scratch::new();
    let (source, program) = (scratch.file("program.c", PROGRAM), scratch.path("program"));
    let archive = prefix().join("lib/libstatic_call.a");
    run(clang().args(["-O2", "-g"]).arg(source).arg(archive).arg("-o").arg(&program));
    (scratch, program)
});

fn program() -> &'static Path {
    &WORKSHOP.1
}

fn inspector() -> Command {
    let mut inspector = Command::new(env!("CARGO_BIN_EXE_static-call-inspect"));
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        inspector.env_remove(variable);
    }
    inspector
}

/// The inspector on a terminal of this many columns and 30 lines. script(1) makes the terminal.
fn on_a_terminal(columns: usize, arguments: &str) -> Command {
    let mut script = Command::new("script");
    let inspector = env!("CARGO_BIN_EXE_static-call-inspect");
    let command = format!("stty cols {columns} rows 30; exec '{inspector}' {arguments}");
    script.args(["-q", "-e", "-c", &command, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm");
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        script.env_remove(variable);
    }
    script
}

/// A text without escape sequences of colours.
fn without_colors(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').expect("a colour").1).collect::<String>()
}

struct Running {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start() -> Self {
        let mut command = Command::new(program());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut running = Self { child, output };
        running.answer();
        running
    }

    fn answer(&mut self) {
        self.output.read_line(&mut String::new()).expect("a line");
    }

    /// Has it update its key this many times.
    fn update(&mut self, times: usize) {
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{times}").expect("it reads");
        self.answer();
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let is_colored = |command: &mut Command| stdout(command).contains("\x1b[");
    let file = program();
    let mut pipe = inspector();
    assert!(!is_colored(pipe.arg(file)));
    assert!(is_colored(inspector().arg(file).env("CLICOLOR_FORCE", "1")));
    assert!(!is_colored(inspector().arg(file).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1")));
    assert!(is_colored(inspector().arg(file).args(["--color", "always"]).env("NO_COLOR", "1")));
    assert!(!is_colored(inspector().arg(file).args(["--color", "never"]).env("CLICOLOR_FORCE", "1")));
    // Programs read this.
    assert!(!is_colored(inspector().arg(file).args(["--json", "--color", "always"])));
    let shown = file.display().to_string();
    assert!(is_colored(&mut on_a_terminal(100, &shown)));
    assert!(!is_colored(on_a_terminal(100, &shown).env("NO_COLOR", "1")));
    assert!(!is_colored(on_a_terminal(100, &shown).env("TERM", "dumb")));
    assert!(!is_colored(&mut on_a_terminal(100, &format!("{shown} --color=never"))));
}

#[test]
fn names_are_shortened_on_a_terminal_and_nowhere_else() {
    let whole = stdout(inspector().arg(program()));
    assert!(whole.contains(KEY) && !whole.contains('\u{2026}'), "{whole}");
    for columns in [80, 100, 140] {
        let text = stdout(&mut on_a_terminal(columns, &program().display().to_string()));
        let text = without_colors(&text).replace('\r', "");
        let rows = text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("  -"));
        for line in rows {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
        let is_cut = text.lines().any(|line| line.starts_with("  a_") && line.contains('\u{2026}'));
        assert_eq!(is_cut, columns < 120, "{columns}:\n{text}");
        // What is not in a column stays whole.
        assert!(text.contains(&format!("1 recorded call of {KEY}:")), "{columns}:\n{text}");
    }
    // Whoever redirects colours into a file wants the names.
    let forced = stdout(inspector().arg(program()).args(["--color", "always"]));
    assert_eq!(without_colors(&forced), whole);
}

/// The lines that a watching inspector prints.
struct Watching {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Watching {
    fn start(running: &Running, more: &[&str]) -> Self {
        let mut inspector = inspector();
        inspector.args(["--pid", &running.pid()]).args(more);
        let mut child = inspector.stdout(Stdio::piped()).spawn().expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}

#[test]
fn a_watched_process_shows_its_updates_and_its_end() {
    let mut running = Running::start();
    let mut watching = Watching::start(&running, &["--watch=0.05"]);
    assert!(watching.line().starts_with(&format!("process {}: ", running.pid())));
    assert_eq!(watching.line(), "mode inline, writer window or custom");
    running.update(3);
    let line = watching.line();
    let change = format!("{KEY}: first_of_two_functions \u{2192} second_of_two_functions (3 updates, ");
    assert!(line.starts_with('+') && line.contains(&change) && line.ends_with(" a second)"), "{line}");
    // There and back again: only the counter of updates tells.
    running.update(2);
    let line = watching.line();
    assert!(line.contains(&format!("{KEY}: second_of_two_functions again (2 updates, ")), "{line}");
    running.end();
    let line = watching.line();
    assert!(line.contains("has ended after") && line.ends_with(": 5 updates of 1 key were seen"), "{line}");
    assert_eq!(watching.line(), "");
    assert_eq!(watching.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn watching_in_json_gives_a_report_in_each_line() {
    let mut running = Running::start();
    let mut watching = Watching::start(&running, &["--watch=0.05", "--json"]);
    let mut stores = || {
        let report: Value = serde_json::from_str(&watching.line()).expect("JSON");
        let mut keys = report["keys"].as_array().expect("keys").iter();
        keys.find(|key| key["name"] == KEY).expect("the key")["stores"].as_u64().expect("a number")
    };
    let before = stores();
    running.update(4);
    // A look may have begun before the updates, but not a second one.
    let after = [stores(), stores()];
    assert_eq!(after[1], before + 4);
    running.end();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut watching.output, &mut rest).expect("lines");
    assert!(rest.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{rest}");
    assert_eq!(watching.child.wait().expect("it ends").code(), Some(0));
}

/// Nobody reads the rest, so the inspector ends as well.
#[test]
fn a_pipe_that_is_closed_ends_the_watch() {
    let mut running = Running::start();
    let mut watching = Watching::start(&running, &["--watch=0.02"]);
    watching.line();
    drop(watching.output);
    while watching.child.try_wait().expect("a child").is_none() {
        running.update(1);
    }
    assert_eq!(watching.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn the_terminal_is_as_it_was_after_ctrl_c_and_at_the_end() {
    const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
    const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
    let inspector = env!("CARGO_BIN_EXE_static-call-inspect");
    for signal in [Some("INT"), Some("TERM"), None] {
        let mut running = Running::start();
        // Kills it after a look, or ends the process that it watches.
        let pid = running.pid();
        let victim = if signal.is_some() { "$$" } else { &pid };
        let killer = format!("(sleep 0.5; kill -{} {victim}) &", signal.unwrap_or("KILL"));
        let command = format!("stty cols 80 rows 24; {killer} exec '{inspector}' --pid {pid} --watch=0.1");
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &command, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm");
        let output = script.output().expect("script runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let (before, behind) = text.split_once(ENTER).expect("a screen of its own");
        assert_eq!(before, "", "{signal:?}");
        let (screen, behind) = behind.rsplit_once(LEAVE).expect("the old screen");
        assert!(screen.contains("watched for") && screen.contains("first_of_two_functions"), "{screen:?}");
        let code = output.status.code();
        match signal {
            Some(signal) => {
                assert!(!behind.contains("\x1b["), "{behind:?}");
                // script(1) reports a signal as a shell does.
                let number = if signal == "INT" { 2 } else { 15 };
                assert!(code == Some(128 + number) || output.status.signal().is_some(), "{output:?}");
            }
            None => {
                assert!(behind.contains("has ended after"), "{behind:?}");
                assert_eq!(code, Some(0));
            }
        }
        running.end();
    }
}

#[test]
fn what_cannot_be_watched() {
    let refused = |arguments: &[&str], expected: &str| {
        let output = inspector().args(arguments).output().expect("it runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    };
    refused(&["--watch", "file"], "cannot be used with");
    refused(&["--watch"], "--pid");
    refused(&["--pid=1", "--watch=0"], "between 0.01 and 86400");
    refused(&["--pid=1", "--watch=often"], "between 0.01 and 86400");
    refused(&["--pid=1", "--watch", "--require-all-direct"], "cannot be used with");
    refused(&["--pid=4294967295", "--watch"], "there is no process");
}

#[test]
fn a_page_has_the_calls_of_each_key_with_their_code_and_lines() {
    let (scratch, program) = &*WORKSHOP;
    let page = scratch.path("page.html");
    let line = PROGRAM.lines().position(|line| line.contains("/* the hook */")).expect("the call") + 1;
    let mut command = inspector();
    assert_eq!(stdout(command.arg(program).arg("--html").arg(&page)), "");
    let text = std::fs::read_to_string(&page).expect("the page");
    let place = format!("program.c:{line}");
    let nothing = if cfg!(target_arch = "x86_64") { "0f 1f 44 00 00</code><code>nothing" } else { "nothing" };
    for expected in [KEY, &place, "the trampoline of hook", nothing] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // A running process: the code in its file, and the code in its memory.
    let mut running = Running::start();
    running.update(1);
    stdout(inspector().args(["--pid", &running.pid(), "--html"]).arg(&page));
    let text = std::fs::read_to_string(&page).expect("the page");
    for expected in
        ["<span>now</span>", "jump to second_of_two_functions", &place, "<dd class=\"mono\">1</dd>"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // Where it cannot be written, the old one stays, and the place is named.
    let output =
        inspector().arg(program).arg("--html").arg(scratch.path("no/page.html")).output().expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && message.contains("cannot write"), "{message}");
    // A pipe gets the page, too.
    let piped = stdout(inspector().arg(program).args(["--html", "/dev/stdout"]));
    assert!(piped.starts_with("<!doctype html>") && piped.ends_with("</html>\n"), "{piped}");
}

/// What is installed beside the programs: manual pages, and completions for three shells.
#[test]
fn the_manual_and_the_completions_have_no_faults() {
    let scratch = Scratch::new();
    let share = scratch.path("share");
    run(Command::new(env!("CARGO_BIN_EXE_cargo-static-call")).args(["static-call", "share"]).arg(&share));
    let pages = [
        "cargo-static-call",
        "cargo-static-call-doctor",
        "cargo-static-call-inspect",
        "cargo-static-call-share",
        "static-call-inspect",
    ];
    for name in pages {
        let page = share.join(format!("man/man1/{name}.1"));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        if name.contains("inspect") {
            // An option is written with the minus of keyboards.
            for option in ["pid", "watch", "html", "color", "json", "all", "require\\-all\\-direct"] {
                assert!(text.contains(&format!("\\-\\-{option}")), "{name}: {option}: {text}");
            }
        }
        let output = Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(&page).output();
        let faults = output.expect("mandoc is installed").stdout;
        let faults = String::from_utf8_lossy(&faults);
        let faults: Vec<&str> = faults.lines().filter(|line| !line.contains("missing date")).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
    for (shell, place) in [
        ("bash", "bash-completion/completions/"),
        ("zsh", "zsh/site-functions/_"),
        ("fish", "fish/vendor_completions.d/"),
    ] {
        for name in ["cargo-static-call", "static-call-inspect"] {
            let end = if shell == "fish" { ".fish" } else { "" };
            let script = share.join(format!("{place}{name}{end}"));
            let text = std::fs::read_to_string(&script).expect("a script");
            assert!(text.contains("require-all-direct"), "{shell}: {text}");
            run(Command::new(shell).arg("-n").arg(&script));
        }
    }
}

/// fish knows `cargo static-call` as a command of cargo's, and asks for our completions and cargo's.
#[test]
fn fish_completes_the_subcommand_of_cargo() {
    let scratch = Scratch::new();
    let (share, program) = (scratch.path("share"), Path::new(env!("CARGO_BIN_EXE_cargo-static-call")));
    run(Command::new(program).args(["static-call", "share"]).arg(&share));
    let here = std::env::var_os("PATH").unwrap_or_default();
    let path = program.parent().into_iter().map(Path::to_owned).chain(std::env::split_paths(&here));
    let path = std::env::join_paths(path).expect("a path");
    let data = format!("{}:/usr/share", share.display());
    for (line, expected) in [
        ("cargo static-call ins", "inspect\t"),
        ("cargo +stable static-call inspect --require", "--require-all-direct\t"),
        ("cargo static-call inspect --color al", "always"),
        ("cargo static-call build --rel", "--release\t"),
        // Cargo's own completions are still there.
        ("cargo ben", "bench\t"),
    ] {
        let mut fish = Command::new("fish");
        fish.args(["-c", "complete -C $argv[1]", line]).env("PATH", &path).env("HOME", scratch.path("home"));
        let said = stdout(fish.env("XDG_DATA_DIRS", &data).env_remove("XDG_CONFIG_HOME"));
        assert!(said.lines().any(|found| found.starts_with(expected)), "{line}: {said}");
    }
}
