//! Finds the assembler that would have run without this program.

use std::env;
use std::fmt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::{self, Arguments};
use crate::variables;

/// Finds the assembler as the compiler would have, or explains why it cannot.
///
/// gcc searches the directories of `-B` and `COMPILER_PATH`, then those of its target, then `PATH`. clang
/// passes an assembler no such variables, so only the arguments name the target.
pub(crate) fn find(arguments: &Arguments) -> Result<PathBuf, NotFound> {
    // Another copy of this program, which would find this one again, may have run it.
    let is_first = variables::get(variables::RUNNING).is_none();
    if let Some(named) = variables::get(variables::ASSEMBLER).filter(|_| is_first) {
        return Ok(named.into());
    }
    let own = env::current_exe().and_then(std::fs::metadata).ok();
    let is_other = |candidate: &PathBuf| {
        let Ok(found) = std::fs::metadata(candidate) else { return false };
        let is_own = own.as_ref().is_some_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()));
        found.is_file() && found.permissions().mode() & 0o111 != 0 && !is_own
    };
    let compiler = variables::get(variables::COLLECT_GCC).map(PathBuf::from);
    let mut candidates = Vec::new();
    if is_first {
        candidates.extend(given());
    }
    let prefix = match &compiler {
        Some(compiler) => target_of_compiler(compiler),
        None => target_of_arguments(&arguments.texts()).map(str::to_owned),
    };
    if let Some(prefix) = prefix {
        let name = format!("{prefix}-as");
        let compiler = compiler.as_deref().map(resolve);
        let root = compiler.as_deref().and_then(|compiler| compiler.parent()?.parent());
        candidates.push(root.unwrap_or(Path::new("/usr")).join(&prefix).join("bin/as"));
        candidates.extend(in_path(&name));
        candidates.extend(root.map(|root| root.join("bin").join(&name)));
    }
    candidates.extend(in_path("as"));
    candidates.into_iter().find(is_other).ok_or(NotFound { compiler })
}

/// The directories of `-B`, which gcc searches first, and those that it passes to its children.
fn given() -> Vec<PathBuf> {
    let options = variables::get(variables::COLLECT_GCC_OPTIONS).unwrap_or_default();
    let given = arguments::prefixes(&arguments::gcc_options(&options));
    let told = variables::get(variables::COMPILER_PATH).unwrap_or_default();
    let told: Vec<PathBuf> = env::split_paths(&told).collect();
    let directories = given.iter().chain(&told).map(|directory| directory.join("as"));
    // `-B` may name a prefix instead of a directory.
    let beginnings = given.iter().map(|prefix| {
        let mut path = prefix.as_os_str().to_owned();
        path.push("as");
        PathBuf::from(path)
    });
    directories.chain(beginnings).collect()
}

fn in_path(name: &str) -> Vec<PathBuf> {
    // Where `execvp`, by which gcc runs the assembler, searches without a PATH.
    let path = variables::get(variables::PATH).unwrap_or_else(|| "/bin:/usr/bin".into());
    env::split_paths(&path).map(|directory| directory.join(name)).collect()
}

/// The compiler's own path.
fn resolve(compiler: &Path) -> PathBuf {
    let is_name = compiler.components().count() == 1;
    let name = compiler.to_str().filter(|_| is_name);
    name.and_then(|name| in_path(name).into_iter().find(|path| path.exists())).unwrap_or(compiler.into())
}

/// The target in the name of a cross compiler: `aarch64-linux-gnu-gcc-12`.
fn target_of_compiler(compiler: &Path) -> Option<String> {
    let name = compiler.file_name()?.to_str()?;
    let is_version = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let name = name.rsplit_once('-').filter(|(_, end)| is_version(end)).map_or(name, |(name, _)| name);
    let (target, _) = name.rsplit_once('-')?;
    target.contains('-').then(|| target.to_owned())
}

/// The target that clang's arguments imply, if it is not this machine.
fn target_of_arguments(arguments: &[&str]) -> Option<&'static str> {
    let has = |start: &str| arguments.iter().any(|argument| argument.starts_with(start));
    let target = match () {
        () if has("--64") || has("--32") || has("--x32") => "x86_64-linux-gnu",
        () if has("-a64") || has("-mppc64") => "powerpc64le-linux-gnu",
        () if has("rv64") || has("-march=rv64") => "riscv64-linux-gnu",
        () if has("-mabi=lp64d") => "loongarch64-linux-gnu",
        () if has("-march=z") => "s390x-linux-gnu",
        () if has("-mfloat-abi=") || has("-mfpu=") => "arm-linux-gnueabihf",
        () if has("-EL") => "aarch64-linux-gnu",
        () => return None,
    };
    let machine = target.split('-').next()?;
    (machine != env::consts::ARCH && !(machine == "powerpc64le" && env::consts::ARCH == "powerpc64"))
        .then_some(target)
}

/// The compiler would not have found an assembler either.
#[derive(Debug)]
pub(crate) struct NotFound {
    compiler: Option<PathBuf>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compiler = self.compiler.as_deref().unwrap_or(Path::new("the compiler"));
        write!(
            f,
            "cannot find the assembler of {}: it is neither in the directories of -B and of its target nor \
             in PATH. Name it in {}",
            compiler.display(),
            variables::ASSEMBLER
        )
    }
}

/// How an assembler identifies itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The target for which it was configured.
    pub(crate) target: String,
    /// The major and minor version of GNU as.
    pub(crate) version: (u32, u32),
}

impl Identity {
    /// Asks the assembler. None if it is not GNU as.
    pub(crate) fn ask(assembler: &Path) -> Option<Self> {
        let output = Command::new(assembler).arg("--version").env("LC_ALL", "C").output().ok()?;
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    fn parse(text: &str) -> Option<Self> {
        let first = text.lines().next()?;
        let mut numbers = first.rsplit(' ').next()?.split(['.', '-']).map(str::parse);
        let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let (_, target) = text.split_once("configured for a target of `")?;
        Some(Self { target: target.split('\'').next()?.to_owned(), version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_a_cross_compiler_is_in_its_name() {
        let of = |name: &str| target_of_compiler(Path::new(name));
        assert_eq!(of("/usr/bin/aarch64-linux-gnu-gcc-12").as_deref(), Some("aarch64-linux-gnu"));
        assert_eq!(of("x86_64-pc-linux-gnu-g++").as_deref(), Some("x86_64-pc-linux-gnu"));
        assert_eq!(of("gcc-12.2"), None);
        assert_eq!(of("c89-gcc"), None);
        assert_eq!(of("cc"), None);
    }

    #[test]
    fn an_assembler_says_what_it_is() {
        let text = "GNU assembler (GNU Binutils for Debian) 2.40\nCopyright…\nThis assembler was configured \
                    for a target of `x86_64-linux-gnu'.\n";
        let identity = Identity::parse(text).expect("GNU as");
        assert_eq!((identity.target.as_str(), identity.version), ("x86_64-linux-gnu", (2, 40)));
        let text = text.replace("2.40", "version 2.35.2-30.el9");
        assert_eq!(Identity::parse(&text).expect("GNU as").version, (2, 35));
        assert_eq!(Identity::parse("Debian clang version 22.1.0\nTarget: x86_64-pc-linux-gnu\n"), None);
    }
}
