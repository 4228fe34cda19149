//! Runs `cargo static-call` on a user's project.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use static_call_tests::{plugin_in, prefix, root, run, stdout};

/// A crate with a key, a crate that calls it, and a program that uses both.
const KEYS: &str = "static_call::define! { pub static KEY: fn(value: u64) -> u64 = once; }\n\
    pub fn once(value: u64) -> u64 { value }\n\
    pub fn twice(value: u64) -> u64 { 2 * value }\n\
    #[inline(never)] pub fn here(value: u64) -> u64 { KEY.call(value) + 1 }\n";
const CALLER: &str = "static_call::define! { pub static OTHER: fn(value: u64) -> u64 = keys::once; }\n\
    #[inline(never)] pub fn there(value: u64) -> u64 { keys::KEY.call(value) + OTHER.call(2) }\n";
const MAIN: &str = "fn main() {\n\
    let before = (keys::here(4), caller::there(4));\n\
    keys::KEY.update(keys::twice).unwrap();\n\
    caller::OTHER.update(keys::twice).unwrap();\n\
    println!(\"{before:?} {:?} {} {}\", (keys::here(4), caller::there(4)), static_call::mode(),\n\
        static_call::process_info().sites);\n}\n\
    #[test] fn inline() {\n\
    assert_eq!(keys::here(4) + caller::there(4), 11);\n\
    assert_eq!(static_call::mode(), static_call::Mode::Inline);\n}\n";

struct Project {
    directory: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let project = Self { directory };
        let write = |name: &str, text: &str| {
            let path = project.path(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(path, text).expect("a file");
        };
        let runtime = root().join("runtime");
        let package = |name: &str, dependencies: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\n\
                 static-call = {{ path = {runtime:?} }}\n{dependencies}"
            )
        };
        let dependencies = "keys = { path = \"keys\" }\ncaller = { path = \"caller\" }\n";
        let workspace = "[workspace]\nmembers = [\"keys\", \"caller\"]\n";
        write("Cargo.toml", &(package("program", dependencies) + workspace));
        write("keys/Cargo.toml", &package("keys", ""));
        write("caller/Cargo.toml", &package("caller", "keys = { path = \"../keys\" }\n"));
        write("keys/src/lib.rs", KEYS);
        write("caller/src/lib.rs", CALLER);
        write("src/main.rs", MAIN);
        // An installation like that of `cargo xtask install`, with the programs under test.
        let there = project.prefix();
        run(Command::new("cp").arg("-a").arg(prefix()).arg(&there));
        for (name, program) in [
            ("cargo-static-call", env!("CARGO_BIN_EXE_cargo-static-call")),
            ("static-call-inspect", env!("CARGO_BIN_EXE_static-call-inspect")),
        ] {
            let _ = fs::remove_file(there.join("bin").join(name));
            fs::copy(program, there.join("bin").join(name)).expect("a copy");
        }
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("project").join(name)
    }

    fn prefix(&self) -> PathBuf {
        self.directory.path().join("prefix")
    }

    /// The user's cargo, with the subcommand in `PATH`.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new("cargo");
        for (variable, _) in std::env::vars() {
            if variable.starts_with("CARGO") && variable != "CARGO_HOME"
                || variable.starts_with("STATIC_CALL")
            {
                cargo.env_remove(variable);
            }
        }
        cargo.env_remove("RUSTC_WRAPPER").env_remove("RUSTFLAGS").env_remove("RUSTUP_TOOLCHAIN");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [self.prefix().join("bin")].into_iter().chain(std::env::split_paths(&path));
        cargo.env("PATH", std::env::join_paths(path).expect("a path")).env("CARGO_NET_OFFLINE", "true");
        cargo.current_dir(self.path("")).args(arguments);
        cargo
    }

    fn static_call(&self, arguments: &[&str]) -> Command {
        self.cargo(&[&["static-call"], arguments].concat())
    }

    fn program(&self) -> PathBuf {
        self.path("target/static-call/debug/program")
    }

    fn sites(&self, program: &Path) -> Value {
        let path = program.to_str().expect("UTF-8");
        let report: Value =
            serde_json::from_str(&stdout(&mut self.static_call(&["inspect", "--json", path]))).expect("JSON");
        report["sites"].clone()
    }
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("a file");
}

const SITES: u64 = 3;
const INLINE: &str = "(5, 6) (9, 12) inline 3\n";
const WITHOUT: &str = "(5, 6) (9, 12) trampoline 0\n";

#[test]
fn both_builds_stay_cached() {
    let project = Project::new();
    assert_eq!(stdout(&mut project.cargo(&["run", "--quiet"])), WITHOUT);
    let output = run(&mut project.static_call(&["build"]));
    assert!(says(&output).contains("Compiling keys"), "{}", says(&output));
    assert_eq!(stdout(&mut Command::new(project.program())), INLINE);
    assert_eq!(project.sites(&project.program()), SITES);
    for command in [&mut project.cargo(&["build"]), &mut project.static_call(&["build"])] {
        let output = run(command);
        assert!(!says(&output).contains("Compiling"), "{}", says(&output));
    }
    assert_eq!(project.sites(&project.path("target/debug/program")), 0);
    // Other subcommands behave the same.
    assert_eq!(stdout(&mut project.static_call(&["run", "--quiet"])), INLINE);
    run(&mut project.static_call(&["test", "--quiet"]));
    if Command::new("cargo")
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        run(&mut project.static_call(&["nextest", "run"]));
    } else {
        eprintln!("cargo-nextest is not installed: skipped");
    }
    // Exit codes are cargo's.
    assert_eq!(project.static_call(&["build", "--nonsense"]).output().unwrap().status.code(), Some(1));

    // With another pass, everything is rebuilt.
    let pass = plugin_in(&project.prefix());
    let mut content = fs::read(&pass).expect("the pass");
    content.extend(b"another");
    fs::write(&pass, content).expect("a file");
    let output = run(&mut project.static_call(&["build"]));
    assert!(says(&output).contains("the pass has changed") && says(&output).contains("Compiling keys"));
    assert!(!says(&run(&mut project.static_call(&["build"]))).contains("Compiling"));
}

/// A repository is untrusted and may contain a target directory.
#[test]
fn a_link_in_the_target_directory_is_not_followed() {
    let project = Project::new();
    let victim = project.path("../victim");
    fs::write(&victim, "mine").expect("a file");
    let stamp = project.path("target/static-call/.static-call-pass");
    fs::create_dir_all(stamp.parent().expect("a directory")).expect("a directory");
    symlink(&victim, &stamp).expect("a link");
    run(&mut project.static_call(&["metadata", "--format-version=1"]));
    assert_eq!(fs::read_to_string(&victim).expect("the file"), "mine");
    assert!(fs::symlink_metadata(&stamp).expect("a file").is_file());
    // A stamp that is a link is ignored: its target could have the hash of any pass.
    fs::rename(&stamp, &victim).expect("renamed");
    symlink(&victim, &stamp).expect("a link");
    fs::write(project.path("target/static-call/.rustc_info.json"), "").expect("a file");
    let output = project.static_call(&["metadata", "--format-version=1"]).output().expect("it runs");
    assert!(says(&output).contains("has artifacts built without `cargo static-call`"), "{}", says(&output));
    let lock = project.path("target/.static-call-lock");
    fs::remove_file(&lock).expect("the lock");
    symlink(project.path("../new"), &lock).expect("a link");
    let output = project.static_call(&["metadata", "--format-version=1"]).output().expect("it runs");
    assert!(says(&output).contains("cannot lock") && !project.path("../new").exists(), "{}", says(&output));
    // The directory itself.
    let (built, elsewhere) = (project.path("target/static-call"), project.path("../elsewhere"));
    fs::remove_dir_all(&built).expect("the directory");
    fs::remove_file(&lock).expect("the link");
    fs::create_dir(&elsewhere).expect("a directory");
    symlink(&elsewhere, &built).expect("a link");
    let output = project.static_call(&["metadata", "--format-version=1"]).output().expect("it runs");
    assert!(says(&output).contains("static-call is a symbolic link"), "{}", says(&output));
    assert_eq!(fs::read_dir(&elsewhere).expect("the directory").count(), 0);
}

/// A directory in which another build still writes is not emptied.
#[test]
fn another_pass_waits_for_the_build_with_the_old_one() {
    let project = Project::new();
    let metadata = || project.static_call(&["metadata", "--format-version=1"]);
    run(&mut metadata());
    // The state after a build.
    let built = project.path("target/static-call");
    fs::create_dir(built.join("debug")).expect("a directory");
    fs::write(built.join(".rustc_info.json"), "").expect("a file");
    let lock = File::create(built.join("debug/.cargo-lock")).expect("a file");
    lock.lock().expect("the lock");
    let pass = plugin_in(&project.prefix());
    let content = [fs::read(&pass).expect("the pass"), b"another".to_vec()].concat();
    fs::write(&pass, content).expect("a file");

    let said = File::create(project.path("said")).expect("a file");
    let start = || {
        let mut command = metadata();
        command.stdout(Stdio::null()).stderr(said.try_clone().expect("a file"));
        command.spawn().expect("it starts")
    };
    let mut builds = [start(), start(), start()];
    let said = || fs::read_to_string(project.path("said")).expect("what they say");
    while said().matches("waiting for another build").count() < builds.len() {
        assert!(builds.iter_mut().all(|build| build.try_wait().expect("a process").is_none()), "{}", said());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(built.join("debug/.cargo-lock").exists());
    drop(lock);
    for build in &mut builds {
        assert!(build.wait().expect("a process").success(), "{}", said());
    }
    assert_eq!(said().matches("rebuilding everything").count(), 1, "{}", said());
    assert!(!built.join("debug").exists());
}

#[test]
fn the_users_own_target_directory() {
    let project = Project::new();
    let there = project.path("elsewhere");
    // From the environment: both builds are below this directory.
    run(project.cargo(&["build", "--quiet"]).env("CARGO_TARGET_DIR", &there));
    run(project.static_call(&["build", "--quiet"]).env("CARGO_TARGET_DIR", &there));
    assert_eq!(project.sites(&there.join("debug/program")), 0);
    assert_eq!(project.sites(&there.join("static-call/debug/program")), SITES);
    // Cargo may keep intermediate artifacts elsewhere, for all builds.
    let build = project.path("build");
    for _ in 0..2 {
        run(project.cargo(&["build", "--quiet"]).env("CARGO_BUILD_BUILD_DIR", &build));
        run(project.static_call(&["build", "--quiet"]).env("CARGO_BUILD_BUILD_DIR", &build));
        assert_eq!(project.sites(&project.path("target/debug/program")), 0);
        assert_eq!(project.sites(&project.program()), SITES);
    }
    // From the command line: used as it is, unless cargo would reuse artifacts of another pass.
    let elsewhere = there.to_str().expect("UTF-8");
    let output = project.static_call(&["build", "--target-dir", elsewhere]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(says(&output).contains("has artifacts built without `cargo static-call`"), "{}", says(&output));
    let new = project.path("new");
    run(&mut project.static_call(&["build", "--quiet", &format!("--target-dir={}", new.display())]));
    assert_eq!(project.sites(&new.join("debug/program")), SITES);
    let shared = ["build", "--config", "build.build-dir='build'"];
    let output = project.static_call(&shared).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(says(&output).contains("`--config` sets build.build-dir"), "{}", says(&output));
    // From another directory.
    let manifest = project.path("Cargo.toml");
    let mut cargo = project.static_call(&["build", "--quiet", "--manifest-path", manifest.to_str().unwrap()]);
    run(cargo.current_dir("/"));
    assert_eq!(project.sites(&project.program()), SITES);
}

#[test]
fn the_users_own_wrapper_is_called() {
    let project = Project::new();
    let (wrapper, log) = (project.path("wrapper"), project.path("log"));
    script(&wrapper, &format!("#!/bin/sh\necho \"$@\" >> {}\nexec \"$@\"\n", log.display()));
    let check = |cargo: &mut Command| {
        let _ = fs::remove_file(&log);
        let _ = fs::remove_dir_all(project.path("target"));
        run(cargo);
        assert_eq!(project.sites(&project.program()), SITES);
        let log = fs::read_to_string(&log).expect("what the wrapper was asked");
        assert!(log.contains("--crate-name keys") && log.contains("-Zllvm-plugins="), "{log}");
    };
    check(project.static_call(&["build", "--quiet"]).env("RUSTC_WRAPPER", &wrapper));
    fs::create_dir(project.path(".cargo")).expect("a directory");
    fs::write(project.path(".cargo/config.toml"), format!("[build]\nrustc-wrapper = {wrapper:?}\n"))
        .expect("a file");
    check(&mut project.static_call(&["build", "--quiet"]));
    fs::remove_file(project.path(".cargo/config.toml")).expect("a file");
    check(&mut project.static_call(&["build", "--quiet", "--config=build.rustc-wrapper='./wrapper'"]));
    // The wrapper does not run itself.
    let own = project.prefix().join("bin/static-call-rustc");
    let _ = fs::remove_dir_all(project.path("target"));
    run(project.static_call(&["build", "--quiet"]).env("RUSTC_WRAPPER", own));
    assert_eq!(project.sites(&project.program()), SITES);
}

/// This includes crates that cargo built before the variable was set.
#[test]
fn a_pass_that_is_required() {
    let project = Project::new();
    let pass = plugin_in(&project.prefix());
    let hidden = pass.with_extension("hidden");
    fs::rename(&pass, &hidden).expect("the pass");
    let check = || project.static_call(&["check"]);
    assert!(says(&run(&mut check())).contains("warning: building without the pass: no plugin at"));
    assert!(!says(&run(&mut check())).contains("Checking"), "not required, it stays");
    let output = check().env("STATIC_CALL_REQUIRE", "1").output().expect("it runs");
    assert_eq!(output.status.code(), Some(101), "{}", says(&output));
    assert!(says(&output).contains("STATIC_CALL_REQUIRE is set"), "{}", says(&output));
    fs::rename(&hidden, &pass).expect("the pass");
    run(project.static_call(&["build"]).env("STATIC_CALL_REQUIRE", "1"));
    assert_eq!(project.sites(&project.program()), SITES);
    let output = run(&mut project.static_call(&["build"]));
    assert!(!says(&output).contains("Compiling"), "with the pass it stays, required or not");
}

/// All programs work with the pass, and report it.
#[test]
fn a_crate_that_was_built_without_the_pass() {
    let project = Project::new();
    let wrapper = project.prefix().join("bin/static-call-rustc");
    let real = wrapper.with_file_name("real");
    fs::rename(&wrapper, &real).expect("a file");
    script(
        &wrapper,
        &format!(
            "#!/bin/sh\ncase \"$*\" in *'--crate-name caller'*) exec \"$@\";; esac\n\
            STATIC_CALL_PASS={} exec {} \"$@\"\n",
            plugin_in(&project.prefix()).display(),
            real.display()
        ),
    );
    for (profile, flags) in
        [("debug", &["build", "--quiet"][..]), ("release", &["build", "--quiet", "--release"])]
    {
        run(project.static_call(flags).env("CARGO_PROFILE_RELEASE_DEBUG", "1"));
        let program = project.path("target/static-call").join(profile).join("program");
        assert_eq!(project.sites(&program), 1);
        let output = run(Command::new(&program).env("STATIC_CALL_LOG", "1"));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "(5, 6) (9, 12) inline 1\n");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("1 sites of 2 keys, inline"), "{log}");
        assert!(log.contains("key caller::OTHER: no recorded call"), "{log}");
        assert!(!log.contains("keys::KEY: no"), "{log}");

        let path = program.to_str().expect("UTF-8");
        let output =
            project.static_call(&["inspect", "--require-all-direct", path]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{}", says(&output));
        let said = says(&output);
        assert!(said.contains("crates that seem to be built without the pass: caller"), "{said}");
        assert!(said.contains("caller::OTHER") && said.contains("compiled without the pass (1)"), "{said}");
    }
    let output = project.static_call(&["doctor"]).output().expect("it runs");
    let said = says(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("target/static-call/debug/program: not every call can be made direct"), "{said}");
}

#[test]
fn options_before_the_command() {
    let project = Project::new();
    let output = project.static_call(&["--offline", "build"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(says(&output).contains("`cargo static-call build --offline …`"), "{}", says(&output));
}

#[test]
fn the_doctor() {
    let project = Project::new();
    let doctor = |change: &dyn Fn(&mut Command)| {
        let mut doctor = project.static_call(&["doctor"]);
        change(&mut doctor);
        let output = doctor.output().expect("it runs");
        (output.status.code(), says(&output))
    };
    let (code, said) = doctor(&|_| {});
    assert_eq!(code, Some(0), "{said}");
    for expected in [
        "the pass is built for LLVM ",
        "rustc loads the pass",
        "clang-22 loads the pass",
        "membarrier",
        "target/static-call can be written",
        "no problems found",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(said.contains("`window`") && said.contains("target/static-call cargo build"), "{said}");

    run(&mut project.static_call(&["build", "--quiet"]));
    let (code, said) = doctor(&|_| {});
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("debug/program: 3 calls of 2 keys can be made direct"), "{said}");

    let damaged = project.path("damaged.so");
    fs::write(&damaged, "nothing").expect("a file");
    let (code, said) = doctor(&|doctor| _ = doctor.env("STATIC_CALL_PASS", &damaged));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is not an ELF file") && said.contains("what to do"), "{said}");
    assert!(said.contains("damaged.so is missing or damaged"), "{said}");

    // A clang without a version in its name.
    let clang = project.path("programs/clang");
    fs::create_dir(project.path("programs")).expect("a directory");
    for (version, is_served) in [("22", true), ("14", false)] {
        script(&clang, &format!("#!/bin/sh\nexec clang-{version} \"$@\"\n"));
        let (code, said) = doctor(&|doctor| {
            let path = doctor.get_envs().find(|variable| variable.0 == "PATH").expect("it is set").1;
            let paths = std::env::split_paths(path.expect("a path"));
            let path = std::env::join_paths(std::iter::once(project.path("programs")).chain(paths));
            doctor.env("PATH", path.expect("a path"));
        });
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.contains("ok    clang loads the pass"), is_served, "{said}");
    }

    let rustc = project.path("rustc");
    script(&rustc, "#!/bin/sh\necho 'release: 1.76.0'\necho 'LLVM version: 17.0.6'\n");
    let (code, said) = doctor(&|doctor| _ = doctor.env("RUSTC", &rustc));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("BAD   rustc 1.76.0 has LLVM 17.0.6"), "{said}");
    // Cargo may get the compiler from its configuration.
    fs::create_dir(project.path(".cargo")).expect("a directory");
    let configuration = project.path(".cargo/config.toml");
    fs::write(&configuration, "[build]\nrustc = './rustc'\n").expect("a file");
    let (code, said) = doctor(&|_| {});
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("BAD   rustc 1.76.0 has LLVM 17.0.6"), "{said}");
    fs::remove_file(&configuration).expect("a file");

    // A directory that cannot be written.
    let (code, said) = doctor(&|doctor| _ = doctor.env("CARGO_TARGET_DIR", "/proc/self/target"));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("BAD   /proc/self/target/static-call cannot be written"), "{said}");

    // A process that cannot make its code writable.
    let (source, launcher) = (project.path("launcher.c"), project.path("launcher"));
    let text = "#include <sys/prctl.h>\n#include <unistd.h>\nint main(int argc, char **argv) {\n\
        if (prctl(65, 1L, 0L, 0L, 0L)) return 77;\nexecv(argv[1], argv + argc - 2); return 78; }";
    fs::write(&source, text).expect("a file");
    run(Command::new("gcc").arg(&source).arg("-o").arg(&launcher));
    let program = project.prefix().join("bin/cargo-static-call");
    let mut restricted = project.cargo(&[]);
    restricted = {
        let mut command = Command::new(&launcher);
        command.envs(restricted.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.arg(&program).args(["cargo-static-call", "doctor"]).current_dir(project.path(""));
        command
    };
    let output = restricted.output().expect("it runs");
    if output.status.code() == Some(77) {
        eprintln!("this kernel has no PR_SET_MDWE: skipped");
        return;
    }
    let said = says(&output);
    assert!(said.contains("PR_SET_MDWE is on") && said.contains("`alias`"), "{said}");

    // Without the wrapper, every command fails.
    fs::remove_file(project.prefix().join("bin/static-call-rustc")).expect("the wrapper");
    let (code, said) = doctor(&|_| {});
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the wrapper is missing"), "{said}");
    let output = project.static_call(&["build"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{}", says(&output));
}
