//! The version of rustc, according to `rustc -vV`, which is cached.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::unavailable::Unavailable;
use crate::{cache, variables};

/// What a compiler says about itself.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// The command that was run.
    pub(crate) compiler: String,
    /// For example `1.95.0`, `1.96.0-beta.3`, `1.97.0-nightly` or `1.97.0-dev`.
    pub(crate) release: String,
    /// For example `22.1.2`.
    pub(crate) llvm: String,
}

impl Toolchain {
    /// Asks the compiler, given as `RUSTC [+TOOLCHAIN]`, or takes its answer from the cache.
    pub(crate) fn of(compiler: &[OsString]) -> Result<Self, Unavailable> {
        let name = compiler.join(" ".as_ref()).to_string_lossy().into_owned();
        let unknown = |problem| Unavailable::UnknownToolchain { compiler: name.clone(), problem };
        let ask = || ask(compiler).map_err(unknown);
        let answer = match compiler {
            [rustc] => match toolchain_binary(Path::new(rustc)) {
                Some(binary) => cache::remember(&binary, ask)?,
                None => ask()?,
            },
            _ => ask()?,
        };
        let field = |name| field(&answer, name).map(str::to_owned).map_err(unknown);
        let (release, llvm) = (field("release")?, field("LLVM version")?);
        Ok(Self { compiler: name.clone(), release, llvm })
    }

    pub(crate) fn llvm_major(&self) -> &str {
        self.llvm.split('.').next().unwrap_or_default()
    }

    /// Whether rustc is of a channel that permits unstable features.
    pub(crate) fn is_nightly(&self) -> bool {
        self.release.ends_with("-nightly") || self.release.ends_with("-dev")
    }
}

/// The output of `rustc -vV`, or the problem.
fn ask(compiler: &[OsString]) -> Result<String, String> {
    let output = Command::new(&compiler[0]).args(&compiler[1..]).arg("-vV").output();
    let output = output.map_err(|error| format!("cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("fails with {}", output.status));
    }
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    field(&answer, "release")?;
    field(&answer, "LLVM version")?;
    Ok(answer)
}

/// The value of a line `name: value`.
fn field<'a>(answer: &'a str, name: &str) -> Result<&'a str, String> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    answer.lines().find_map(value).ok_or_else(|| format!("has no line `{name}: …`"))
}

/// The file that changes when the compiler changes, if there is one.
///
/// It is the rustc in a toolchain, which has `lib/rustlib` next to its `bin`. Rustup's proxy runs the one
/// that `RUSTUP_TOOLCHAIN` selects, which cargo under rustup always sets. Without that variable the proxy's
/// answer depends on the directory and on settings, and a script's answer on anything: those must be asked
/// every time.
fn toolchain_binary(rustc: &Path) -> Option<PathBuf> {
    let mut binary = find_program(rustc)?.canonicalize().ok()?;
    if binary.ends_with("rustup") {
        let home = variables::get(variables::RUSTUP_HOME).map(PathBuf::from);
        let home = home.or_else(|| Some(Path::new(&variables::get(variables::HOME)?).join(".rustup")))?;
        let toolchain = home.join("toolchains").join(variables::get(variables::RUSTUP_TOOLCHAIN)?);
        binary = toolchain.join("bin").join(rustc.file_name()?).canonicalize().ok()?;
    }
    let root = binary.parent()?.parent()?;
    root.join("lib/rustlib").is_dir().then_some(binary)
}

/// The path of a program, which is searched in `PATH` if it is a bare name.
fn find_program(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(program.to_owned());
    }
    let path = variables::get(variables::PATH)?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}
