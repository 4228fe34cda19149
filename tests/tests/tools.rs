//! Common cargo tools, with the wrapper, on the crate `tests/tools`.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_tests::rust::cargo;
use static_call_tests::{failure, install_another_pass, moved, prefix, root, run, stdout, target};

/// The output of the crate's program with a direct call, and without the pass.
const DIRECT: &str = "5 9: 1 of 1\n";
const GENERIC: &str = "5 9: 0 of 0\n";

/// A user's cargo in the crate's directory, with our subcommand in the path.
fn command(prefix: &Path, directory: &Path, arguments: &[&str]) -> Command {
    let mut cargo = cargo(None, &root().join("tests/tools"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [prefix.join("bin")].into_iter().chain(std::env::split_paths(&path));
    cargo.env("PATH", std::env::join_paths(path).expect("a path"));
    cargo.env("CARGO_TARGET_DIR", directory).args(arguments);
    cargo
}

/// Whether cargo has this external subcommand.
fn has(subcommand: &str) -> bool {
    let has = Command::new("cargo").args([subcommand, "--version"]).output();
    let has = has.is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("cargo-{subcommand} is not installed: skipped; `cargo xtask tools` installs it");
    }
    has
}

/// The build scripts' output, by package.
fn told(directory: &Path) -> BTreeMap<String, String> {
    let scripts = fs::read_dir(directory.join("debug/build")).expect("a directory");
    let output = |script: fs::DirEntry| {
        let text = fs::read_to_string(script.path().join("output")).ok()?;
        let name = script.file_name().into_string().expect("UTF-8");
        let (package, _hash) = name.rsplit_once('-').expect("a hash");
        Some((package.to_owned(), text.replace(directory.to_str().expect("UTF-8"), "")))
    };
    scripts.filter_map(|script| output(script.expect("an entry"))).collect()
}

#[test]
fn cargos_own_commands_and_others() {
    let directory = target().join("tests/tools");
    let _ = fs::remove_dir_all(&directory);
    let with_pass = directory.join("static-call");
    let plain = |arguments: &[&str]| command(&prefix(), &directory, arguments);
    let ours = |arguments: &[&str]| plain(&[&["static-call"], arguments].concat());
    assert_eq!(stdout(&mut plain(&["run", "--quiet"])), GENERIC);
    assert_eq!(stdout(&mut ours(&["run", "--quiet"])), DIRECT);
    let told_plain = told(&directory);
    assert!(told_plain.contains_key("anyhow") && told_plain["tools"].contains("has_stable_syntax"));
    assert_eq!(told_plain, told(&with_pass), "what compilers are asked, they answer as without the wrapper");

    run(&mut ours(&["check", "--quiet"]));
    let lint =
        |arguments: &[&str]| ours(&[&["clippy", "--quiet"], arguments, &["--", "-Dwarnings"]].concat());
    run(&mut lint(&[]));
    assert!(failure(&mut lint(&["--features=clumsy"])).contains("clippy::bool-comparison"));
    run(ours(&["doc", "--quiet", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings"));
    let page = fs::read_to_string(with_pass.join("doc/tools/static.KEY.html")).expect("the key's page");
    assert!(page.contains("The key that <code>here</code> calls."), "{page}");
    let tested = stdout(&mut ours(&["test", "--quiet"]));
    assert_eq!(
        tested.matches("test result: ok").count(),
        3,
        "the library's, the program's, the documentation's"
    );

    if has("nextest") {
        run(&mut ours(&["nextest", "run"]));
    }
    if has("llvm-cov") {
        let mut cover = ours(&["llvm-cov", "run", "--text"]);
        let output = run(cover.env("LLVM_COV", "llvm-cov-22").env("LLVM_PROFDATA", "llvm-profdata-22"));
        let [report, program] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
        assert!(program.contains(DIRECT), "{program}");
        let line = report.lines().find(|line| line.contains("KEY.call(value) + 1")).expect("the source");
        assert_eq!(line.split('|').nth(1).map(str::trim), Some("2"), "{line}");
    }
}

/// Our own sccache server, with an empty cache.
struct Sccache {
    directory: tempfile::TempDir,
    port: u16,
}

impl Sccache {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let directory = tempfile::tempdir().expect("a temporary directory");
        // On a busy machine, the server takes longer to start than the ten seconds that a client waits.
        fs::write(directory.path().join("conf"), "server_startup_timeout_ms = 120000\n").expect("a file");
        Self { directory, port: port.expect("a free port").port() }
    }

    fn configure<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let directory = self.directory.path();
        command.env("SCCACHE_CONF", directory.join("conf")).env("SCCACHE_DIR", directory.join("cache"));
        command.env("SCCACHE_SERVER_PORT", self.port.to_string())
    }

    fn call(&self, arguments: &[&str]) -> String {
        stdout(self.configure(&mut Command::new("sccache")).args(arguments))
    }

    /// The number of cache hits and misses for this language since the last time.
    fn hits_and_misses(&self, language: &str) -> (u32, u32) {
        let stats = self.call(&["--show-stats"]);
        self.call(&["--zero-stats"]);
        let count = |name: &str| {
            let name = format!("{name} ({language})");
            stats.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse().ok()).unwrap_or(0)
        };
        (count("Cache hits"), count("Cache misses"))
    }
}

impl Drop for Sccache {
    fn drop(&mut self) {
        let _ = self.configure(&mut Command::new("sccache")).arg("--stop-server").output();
    }
}

#[test]
fn sccache_tells_one_pass_from_another() {
    let (directory, prefix) = moved("prefix");
    let sccache = Sccache::new();
    let target = directory.path().join("target");
    let build = |subcommand: &[&str], expected: &str| {
        let _ = fs::remove_dir_all(&target);
        let mut cargo = command(&prefix, &target, subcommand);
        sccache.configure(&mut cargo).env("RUSTC_WRAPPER", "sccache").env("CARGO_INCREMENTAL", "0");
        assert_eq!(stdout(cargo.arg("run")), expected);
        sccache.hits_and_misses("Rust")
    };
    let with_pass = || build(&["static-call"], DIRECT);
    let (hits, crates) = with_pass();
    assert_eq!(hits, 0);
    assert!(crates >= 8, "{crates}");
    assert_eq!(with_pass(), (crates, 0), "all is found again");
    assert_eq!(build(&[], GENERIC), (0, crates), "nothing of it without the pass");
    install_another_pass(&prefix);
    assert_eq!(with_pass(), (0, crates), "nor with another one");
    assert_eq!(with_pass(), (crates, 0));
}

#[test]
fn compilation_caches_tell_one_pass_from_another_in_c() {
    let (directory, prefix) = moved("prefix");
    let sccache = Sccache::new();
    let compile = |cache: &str| {
        let mut pkg_config = Command::new("pkg-config");
        let flags = stdout(pkg_config.arg("--cflags").arg(prefix.join("lib/pkgconfig/static-call.pc")));
        let mut compiler = Command::new(cache);
        sccache.configure(&mut compiler).env("CCACHE_DIR", directory.path().join("ccache"));
        compiler.args(["clang-22", "-O2", "-c", "-o"]).arg(directory.path().join("consumer.o"));
        run(compiler.args(flags.split_whitespace()).arg(root().join("tests/consumer/consumer.c")));
    };
    let ccache = || {
        let stats = stdout(
            Command::new("ccache").env("CCACHE_DIR", directory.path().join("ccache")).arg("--print-stats"),
        );
        let count = |names: &[&str]| -> u32 {
            let values = stats.lines().filter_map(|line| line.split_once('\t'));
            values
                .filter(|(name, _)| names.contains(name))
                .map(|(_, value)| value.parse::<u32>().unwrap())
                .sum()
        };
        (count(&["direct_cache_hit", "preprocessed_cache_hit"]), count(&["cache_miss"]))
    };
    for _ in 0..2 {
        compile("sccache");
        compile("ccache");
    }
    assert_eq!(sccache.hits_and_misses("C/C++"), (1, 1));
    assert_eq!(ccache(), (1, 1));
    install_another_pass(&prefix);
    compile("sccache");
    compile("ccache");
    assert_eq!(sccache.hits_and_misses("C/C++"), (0, 1));
    assert_eq!(ccache(), (1, 2));
}

/// A program without static calls that uses the standard library's generics.
const PLAIN: &str = "use std::collections::HashMap;\n\
    fn show<T: std::fmt::Debug>(value: T) -> String { format!(\"{value:?}\") }\n\
    fn main() { let map: HashMap<u8, Vec<i32>> = [(1, vec![2, 3])].into(); println!(\"{}\", show(map)); }\n";

#[test]
fn a_program_without_static_calls_is_the_same_to_the_byte() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| -> PathBuf { directory.path().join(name) };
    fs::write(path("plain.rs"), PLAIN).expect("a file");
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    for flags in
        [&["-Cdebuginfo=2"][..], &["-Copt-level=3", "-Cdebuginfo=1"], &["-Copt-level=s", "-Clto=fat"]]
    {
        let compile = |compiler: &mut Command| {
            compiler.args(["--edition=2024", "--crate-name=plain"]).args(flags).arg(path("plain.rs"));
            run(compiler.arg("-o").arg(path("plain")));
            fs::read(path("plain")).expect("the program")
        };
        let without = compile(&mut Command::new(&rustc));
        let mut wrapper = Command::new(prefix().join("bin/static-call-rustc"));
        wrapper.env_remove("STATIC_CALL_PASS").env("STATIC_CALL_REQUIRE", "1");
        let with = compile(wrapper.arg(&rustc));
        assert!(without == with, "{flags:?}: the wrapper changes a program that has nothing to do with it");
    }
}
