//! A temporary directory with a fake toolchain, a fake plugin, and room for a cache.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub(crate) const WRAPPER: &str = env!("CARGO_BIN_EXE_static-call-rustc");
pub(crate) const STABLE: &str = "1.95.0";

/// The arguments of a compilation that matter to the wrapper.
pub(crate) const COMPILATION: [&str; 5] =
    ["--crate-name", "demo", "--check-cfg", "cfg(docsrs,test)", "demo.rs"];

/// A `rustc` that prints its arguments and exits as the environment says. It answers `-vV` and counts these
/// calls in the file `asked`.
const COMPILER: &str = r#"#!/bin/sh
printf 'argument %s\n' "$@"
echo "bootstrap ${RUSTC_BOOTSTRAP-unset}"
case "$*" in *-vV) echo "$*" >> "ROOT/asked"; echo "release: RELEASE"; echo "LLVM version: LLVM"; exit ;; esac
[ -z "$FAKE_SIGNAL" ] || kill -s "$FAKE_SIGNAL" $$
exit ${FAKE_EXIT:-0}
"#;

/// A wrapper that prints its name and runs its arguments.
const OTHER_WRAPPER: &str = "#!/bin/sh\necho \"through ${0##*/}\"\nexec \"$@\"\n";

pub(crate) struct World {
    directory: TempDir,
}

impl World {
    /// A stable toolchain with the LLVM that the plugin needs, and a valid plugin.
    pub(crate) fn new() -> Self {
        let world = Self { directory: TempDir::new().unwrap() };
        for directory in ["toolchain/bin", "toolchain/lib/rustlib", "cache", "tmp"] {
            fs::create_dir_all(world.path(directory)).unwrap();
        }
        world.install_rustc(STABLE, "22.1.2");
        fs::write(world.plugin(), shared_object()).unwrap();
        world
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    pub(crate) fn rustc(&self) -> PathBuf {
        self.path("toolchain/bin/rustc")
    }

    pub(crate) fn plugin(&self) -> PathBuf {
        self.path("plugin.so")
    }

    pub(crate) fn install_rustc(&self, release: &str, llvm: &str) {
        self.install_compiler(&self.rustc(), release, llvm);
    }

    pub(crate) fn install_compiler(&self, path: &Path, release: &str, llvm: &str) {
        let root = self.directory.path().to_str().unwrap();
        let text = COMPILER.replace("ROOT", root).replace("RELEASE", release);
        self.install_program(path, &text.replace("LLVM\"", &format!("{llvm}\"")));
    }

    /// Creates a wrapper that prints `through NAME`.
    pub(crate) fn install_wrapper(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        self.install_program(&path, OTHER_WRAPPER);
        path
    }

    pub(crate) fn install_program(&self, path: &Path, text: &str) {
        let draft = self.path("draft");
        fs::write(&draft, text).unwrap();
        install(&draft, path);
    }

    /// How often a compiler was asked `-vV`.
    pub(crate) fn times_asked(&self) -> usize {
        fs::read_to_string(self.path("asked")).map_or(0, |text| text.lines().count())
    }

    /// The wrapper, called for the fake rustc.
    pub(crate) fn call<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Call {
        self.bare_call([self.rustc()]).args(arguments)
    }

    /// The wrapper, called with these arguments.
    pub(crate) fn bare_call<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Call {
        Call::new(self, Path::new(WRAPPER)).args(words).env("STATIC_CALL_PASS", self.plugin())
    }

    /// The arguments that the wrapper should add for the plugin at `path` with this hash.
    pub(crate) fn added(&self, path: &Path, hash: &str) -> Vec<String> {
        [
            &format!("-Zllvm-plugins={}", path.display()),
            "--cfg",
            "static_call_pass",
            "--cfg",
            &format!("static_call_pass=\"{hash}\""),
            "--check-cfg",
            "cfg(static_call_pass,values(any()))",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

/// A call of the wrapper, in an environment with nothing but `PATH` from the machine.
pub(crate) struct Call(Command);

impl Call {
    pub(crate) fn new(world: &World, wrapper: &Path) -> Self {
        let mut command = Command::new(wrapper);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("XDG_CACHE_HOME", world.path("cache")).env("TMPDIR", world.path("tmp"));
        command.current_dir(world.path(""));
        Self(command)
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.0.env_remove(name);
        self
    }

    pub(crate) fn run(mut self) -> Outcome {
        let output = self.0.output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let values = |name: &str| -> Vec<String> {
            stdout.lines().filter_map(|line| line.strip_prefix(name)).map(str::to_owned).collect()
        };
        Outcome {
            through: values("through "),
            arguments: values("argument "),
            bootstrap: values("bootstrap ").pop(),
            code: output.status.code(),
            signal: output.status.signal(),
            stderr,
        }
    }
}

/// The outcome of a call.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The other wrappers that were run.
    pub(crate) through: Vec<String>,
    /// The arguments that reached the compiler.
    pub(crate) arguments: Vec<String>,
    /// Its `RUSTC_BOOTSTRAP`, or `unset`; `None` if no compiler was run.
    pub(crate) bootstrap: Option<String>,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Asserts that the compiler got these arguments, its own environment, and no warning.
    #[track_caller]
    pub(crate) fn assert_untouched(&self, arguments: &[&str]) {
        assert_eq!(self.arguments, arguments, "{self:?}");
        assert_eq!(self.bootstrap.as_deref(), Some("unset"), "{self:?}");
        assert_eq!(self.stderr, "");
    }

    pub(crate) fn has_pass(&self) -> bool {
        self.arguments.iter().any(|argument| argument.starts_with("-Zllvm-plugins="))
    }

    pub(crate) fn closes_features(&self) -> bool {
        self.arguments.iter().any(|argument| argument == "-Zallow-features=")
    }

    /// The value of `--cfg static_call_pass="…"`.
    #[track_caller]
    pub(crate) fn hash(&self) -> &str {
        let value = |argument: &'_ String| argument.starts_with("static_call_pass=\"");
        let argument = self.arguments.iter().find(|argument| value(argument));
        argument.expect("there is a hash").split('"').nth(1).unwrap()
    }
}

/// The smallest file that passes for a shared object for this machine: a header followed by one section
/// header.
pub(crate) fn shared_object() -> Vec<u8> {
    let mut bytes = fs::read(WRAPPER).unwrap()[..128].to_vec();
    bytes[16..18].copy_from_slice(&3_u16.to_ne_bytes()); // ET_DYN
    bytes[40..48].copy_from_slice(&64_u64.to_ne_bytes()); // the offset of the section headers,
    bytes[58..60].copy_from_slice(&64_u16.to_ne_bytes()); // their size,
    bytes[60..62].copy_from_slice(&1_u16.to_ne_bytes()); // and number
    bytes.extend(
        concat!(
            "static_call_llvms=x static_call_version=",
            env!("CARGO_PKG_VERSION"),
            ";static_call_llvms=19, 22; and so on"
        )
        .as_bytes(),
    );
    bytes
}

/// Copies a program in a separate process. If this process wrote the file, a child that another test forks
/// meanwhile would keep it open for writing, and running it would fail.
pub(crate) fn install(from: &Path, to: &Path) {
    let status = Command::new("install").args(["-D", "-m", "755"]).args([from, to]).status();
    assert!(status.unwrap().success());
}
