//! `cargo static-call build` and other commands: runs cargo with the wrapper in a separate target directory.
//!
//! Cargo ignores the wrapper when it decides whether to rebuild, so it would reuse artifacts built without
//! the pass. Output therefore goes to `static-call` below the usual target directory, and both stay cached.
//! Cargo does not know the pass either, so that directory holds a hash of the pass and is emptied when
//! another pass is installed.
//!
//! A project and the content of its target directory are untrusted: `static-call` there is no link, nor is a
//! file that this program writes. As with cargo, the target directory itself may be one.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions, TryLockError};
use std::hash::Hasher;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use static_call_abi::installation::{CHAINED_WRAPPER, PASS, PASS_FILE, PASS_PATH, SETUP_PATH};

const WRAPPER: &str = "RUSTC_WRAPPER";
const TARGET: &str = "CARGO_TARGET_DIR";
/// The directory for cargo's intermediate artifacts, which is the target directory by default.
const BUILD: &str = "CARGO_BUILD_BUILD_DIR";
/// The file in the target directory that holds the hash of the pass.
const STAMP: &str = ".static-call-pass";

/// How to run cargo.
#[derive(Debug)]
pub struct Plan {
    /// The wrapper, which is installed beside this program.
    pub wrapper: PathBuf,
    /// The user's own wrapper, which ours runs.
    pub chained: Option<OsString>,
    /// The target directory. None: there is no project.
    pub target: Option<PathBuf>,
    /// Whether the user chose the target directory on the command line.
    is_users: bool,
}

impl Plan {
    /// Determines how to run cargo with these arguments.
    ///
    /// # Errors
    ///
    /// If the wrapper is missing, or `--config` sets a build directory.
    pub fn new(arguments: &[OsString]) -> Result<Self> {
        if let Some(toolchain) = arguments.iter().find(|word| word.as_encoded_bytes().starts_with(b"+")) {
            let toolchain = toolchain.display();
            bail!("name the toolchain first: `cargo {toolchain} static-call …`");
        }
        let wrapper = wrapper()?;
        let named = target_argument(arguments);
        let is_users = named.is_some();
        let cargos = cargo_target(arguments)?.map(|target| target.join("static-call"));
        Ok(Self { chained: chained(&wrapper, arguments), wrapper, target: named.or(cargos), is_users })
    }

    /// The environment variables for cargo.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![(WRAPPER, self.wrapper.clone().into_os_string())];
        if let Some(chained) = &self.chained {
            variables.push((CHAINED_WRAPPER, chained.clone()));
        }
        if let Some(target) = &self.target {
            if !self.is_users {
                variables.push((TARGET, target.clone().into_os_string()));
            }
            // A build directory from cargo's configuration would be shared with builds without the pass.
            variables.push((BUILD, target.clone().into_os_string()));
        }
        variables
    }

    /// Makes sure that the target directory has no artifacts built with another pass or without one.
    fn prepare(&self) -> Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let shown = target.display();
        if !self.is_users && fs::symlink_metadata(target).is_ok_and(|data| data.is_symlink()) {
            bail!(
                "{shown} is a symbolic link, which is not followed: remove it, or choose a directory with \
                 --target-dir"
            );
        }
        let now = pass_hash(&self.wrapper);
        if stamp(target).as_ref() == Some(&now) {
            return Ok(());
        }
        // The lock keeps two builds from emptying the directory at once. A directory that the user chose is
        // never emptied.
        let _lock = if self.is_users { None } else { Some(lock_beside(target)?) };
        let before = stamp(target);
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        let was_built = target.join(".rustc_info.json").exists();
        if was_built && (self.is_users || before.is_none()) {
            let how = if before.is_none() { "without `cargo static-call`" } else { "with another pass" };
            bail!(
                "{shown} has artifacts built {how}, which cargo would reuse: choose another directory, or \
                 remove this one"
            );
        }
        if was_built {
            eprintln!("cargo-static-call: the pass has changed: rebuilding everything in {shown}");
            // Wait until no cargo builds there.
            let _locks = cargos_locks(target)?;
            fs::remove_dir_all(target).with_context(|| format!("cannot remove {shown}"))?;
        }
        let is_new = !target.exists();
        fs::create_dir_all(target).with_context(|| format!("cannot create {shown}"))?;
        if is_new {
            // Backup programs skip directories with this tag, which cargo writes as well.
            let tag = "Signature: 8a477f597d28d172789f06886806bc55\n";
            write(&target.join("CACHEDIR.TAG"), tag)?;
        }
        write(&target.join(STAMP), &now)
    }
}

/// The hash in a target directory's stamp, if the stamp is a regular file.
fn stamp(target: &Path) -> Option<String> {
    // More than a hash.
    const LONGEST: u64 = 64;
    let mut options = File::options();
    // Do not follow a link, and do not block on a pipe.
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(target.join(STAMP)).ok()?;
    let is_file = file.metadata().ok()?.is_file();
    let mut text = String::new();
    let read = is_file.then(|| file.take(LONGEST).read_to_string(&mut text))?;
    read.ok().map(|_| text)
}

/// Replaces a file or a link; the target of a link stays unchanged.
fn write(to: &Path, text: &str) -> Result<()> {
    let directory = to.parent().unwrap_or(Path::new("."));
    let put = || -> std::io::Result<()> {
        let mut draft = tempfile::Builder::new();
        // The permissions of other files; the umask applies.
        let mut draft = draft.permissions(Permissions::from_mode(0o666)).tempfile_in(directory)?;
        draft.write_all(text.as_bytes())?;
        draft.persist(to)?;
        Ok(())
    };
    put().with_context(|| format!("cannot write {}", to.display()))
}

/// Locks a directory as a whole, by a file beside it.
fn lock_beside(directory: &Path) -> Result<File> {
    let parent = directory.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    lock(&parent.join(".static-call-lock"))
}

/// Waits for the lock of a file, which is released when the returned file is dropped. File systems without
/// locks are ignored, as cargo does.
fn lock(file: &Path) -> Result<File> {
    let mut options = File::options();
    // Do not follow a link, and do not block on a pipe.
    options.write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let locked = || {
        let opened = options.open(file)?;
        if let Err(TryLockError::WouldBlock) = opened.try_lock() {
            eprintln!("cargo-static-call: waiting for another build ({})", file.display());
            opened.lock()?;
        }
        Ok::<_, std::io::Error>(opened)
    };
    locked().with_context(|| format!("cannot lock {}", file.display()))
}

/// Takes the locks that cargo holds during a build: one for each profile, in `PROFILE/` or `TARGET/PROFILE/`.
fn cargos_locks(target: &Path) -> Result<Vec<File>> {
    let directories = |of: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(of).into_iter().flatten().filter_map(Result::ok);
        let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        entries.filter(is_directory).map(|entry| entry.path()).collect()
    };
    let profiles = directories(target);
    let deeper: Vec<PathBuf> = profiles.iter().flat_map(|directory| directories(directory)).collect();
    let locks = profiles.iter().chain(&deeper).map(|directory| directory.join(".cargo-lock"));
    locks.filter(|file| file.is_file()).map(|file| lock(&file)).collect()
}

/// Replaces this process by cargo. Returns only on failure.
///
/// # Errors
///
/// If the wrapper is missing, the target directory cannot be used, or cargo cannot be run.
pub fn run(arguments: &[OsString]) -> Result<std::convert::Infallible> {
    let plan = Plan::new(arguments)?;
    plan.prepare()?;
    let mut cargo = cargo();
    cargo.args(arguments).envs(plan.variables());
    let error = cargo.exec();
    Err(error).with_context(|| format!("cannot run {}", cargo.get_program().display()))
}

/// The cargo that runs this program, or the one in `PATH`.
#[must_use]
pub fn cargo() -> Command {
    Command::new(variable("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The value of an environment variable; an empty one counts as unset.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The directory of this program.
fn directory() -> PathBuf {
    let own = std::env::current_exe().and_then(|path| path.canonicalize()).unwrap_or_default();
    own.parent().unwrap_or_else(|| Path::new("")).to_owned()
}

/// The directory of what `cargo static-call setup` installs. None: the user has no home.
#[must_use]
pub fn data_directory() -> Option<PathBuf> {
    set_up().and_then(|current| Some(current.parent()?.to_owned()))
}

/// The installation that `cargo static-call setup` has chosen, if any.
fn set_up() -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(absolute("HOME")?.join(".local/share"));
    Some(absolute("XDG_DATA_HOME").or_else(home)?.join(SETUP_PATH))
}

/// The wrapper beside this program, or the one that was set up.
fn wrapper() -> Result<PathBuf> {
    const NAME: &str = "static-call-rustc";
    let beside = directory().join(NAME);
    let set_up = set_up().map(|prefix| prefix.join("bin").join(NAME));
    let places: Vec<PathBuf> = [beside].into_iter().chain(set_up).collect();
    if let Some(wrapper) = places.iter().find(|wrapper| wrapper.is_file()) {
        return Ok(wrapper.clone());
    }
    let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    bail!(
        "the wrapper is missing: {}; get it with the pass (`cargo static-call setup --from ARCHIVE`), or \
         install all of static-call",
        places.join(" or ")
    )
}

/// The directory in which this wrapper's installation is.
#[must_use]
pub fn prefix(wrapper: &Path) -> PathBuf {
    let prefix = wrapper.parent().and_then(Path::parent).unwrap_or_else(|| Path::new("")).to_owned();
    match set_up() {
        Some(set_up) if !prefix.join("include/static_call.h").exists() => set_up,
        _ => prefix,
    }
}

/// The path where the wrapper looks for the pass.
#[must_use]
pub fn pass(wrapper: &Path) -> PathBuf {
    let directory = wrapper.parent().unwrap_or_else(|| Path::new(""));
    let installed = directory.with_file_name(PASS_PATH);
    let beside = directory.join(PASS_FILE);
    let set_up = set_up().map(|prefix| prefix.join(PASS_PATH));
    if let Some(path) = variable(PASS) {
        return path.into();
    }
    let others = [beside].into_iter().chain(set_up);
    [installed.clone()].into_iter().chain(others).find(|path| path.exists()).unwrap_or(installed)
}

/// A hash of the pass, or a text that says that there is none.
fn pass_hash(wrapper: &Path) -> String {
    let Ok(content) = fs::read(pass(wrapper)) else { return "none\n".into() };
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&content);
    format!("{:016x}\n", hasher.finish())
}

/// The user's own wrapper from the environment or cargo's configuration, which ours will run.
fn chained(wrapper: &Path, arguments: &[OsString]) -> Option<OsString> {
    if let Some(chained) = variable(CHAINED_WRAPPER) {
        return Some(chained);
    }
    // An empty variable disables a configured wrapper.
    let users = std::env::var_os(WRAPPER).or_else(|| configured("build.rustc-wrapper", arguments));
    let users = users.filter(|users| !users.is_empty())?;
    let is_ours = Path::new(&users).file_name() == wrapper.file_name();
    (!is_ours).then_some(users)
}

/// The compiler that cargo would run.
#[must_use]
pub fn rustc() -> OsString {
    variable("RUSTC").or_else(|| configured("build.rustc", &[])).unwrap_or_else(|| "rustc".into())
}

/// A program in cargo's configuration, including `--config` arguments. Stable cargo has this command only
/// with `RUSTC_BOOTSTRAP`.
fn configured(program: &str, arguments: &[OsString]) -> Option<OsString> {
    let mut cargo = cargo();
    cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Zunstable-options", "config", "get", "--show-origin", program]);
    let output = pass_on(&mut cargo, &["--config"], arguments).stderr(Stdio::null()).output().ok()?;
    origin_and_value(str::from_utf8(&output.stdout).ok()?)
}

/// The value in a line `build.rustc-wrapper = "value" # origin`. A value with a slash is relative to the
/// parent of the configuration file's directory (`.cargo`), or to the current directory if a variable or an
/// argument sets it.
fn origin_and_value(line: &str) -> Option<OsString> {
    let (value, origin) = line.split_once(" = ")?.1.trim_end().rsplit_once(" # ")?;
    let value: String = serde_json::from_str(value).ok()?;
    if !value.contains('/') {
        return Some(value.into());
    }
    let base = Path::new(origin).parent().and_then(Path::parent).unwrap_or(Path::new(""));
    std::path::absolute(base.join(value)).ok().map(PathBuf::into_os_string)
}

/// The value of `--target-dir` among cargo's own arguments.
fn target_argument(arguments: &[OsString]) -> Option<PathBuf> {
    value_of(arguments, "--target-dir").last().and_then(|directory| std::path::absolute(directory).ok())
}

/// The values of a long option, spelled `--option value` or `--option=value`.
fn value_of<'a>(arguments: &'a [OsString], option: &'a str) -> impl Iterator<Item = &'a OsStr> {
    let cargos = arguments.iter().take_while(|&word| word != "--");
    cargos.enumerate().filter_map(move |(index, word)| match word.to_str()?.strip_prefix(option)? {
        "" => arguments.get(index + 1).map(OsString::as_os_str),
        rest => rest.strip_prefix('=').map(OsStr::new),
    })
}

/// Passes on these options and their values from the arguments.
fn pass_on<'a>(cargo: &'a mut Command, options: &[&str], arguments: &[OsString]) -> &'a mut Command {
    for option in options {
        for value in value_of(arguments, option) {
            cargo.arg(option).arg(value);
        }
    }
    cargo
}

/// The target directory that cargo would use, according to `cargo metadata`.
fn cargo_target(arguments: &[OsString]) -> Result<Option<PathBuf>> {
    const BUILD_HERE: &str = "/static-call";
    let mut cargo = cargo();
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]).env(BUILD, BUILD_HERE);
    let cargo = pass_on(&mut cargo, &["--manifest-path", "--config"], arguments);
    let Ok(output) = cargo.stderr(Stdio::null()).output() else { return Ok(None) };
    let Ok(metadata) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else { return Ok(None) };
    let directory = |name| metadata.get(name)?.as_str();
    if directory("build_directory").is_some_and(|build| build != BUILD_HERE) {
        bail!(
            "`--config` sets build.build-dir, which builds without the pass would share: leave it out; \
             everything is built in the target directory"
        );
    }
    Ok(directory("target_directory").map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_wrapper_is_relative_to_its_configuration() {
        let found = |value: &str| {
            let line = format!("build.rustc-wrapper = \"{value}\" # /p/.cargo/config.toml\n");
            origin_and_value(&line).unwrap()
        };
        assert_eq!(found("sccache"), "sccache");
        assert_eq!(found("tools/w.sh"), "/p/tools/w.sh");
        assert_eq!(found("/usr/bin/w # x"), "/usr/bin/w # x");
        assert_eq!(origin_and_value(""), None);
        let here = origin_and_value("build.rustc-wrapper = \"tools/w\" # --config cli option\n");
        assert_eq!(here.unwrap(), *std::env::current_dir().unwrap().join("tools/w"));
    }

    #[test]
    fn options_after_two_dashes_are_not_cargos() {
        let words: Vec<OsString> =
            ["run", "--target-dir", "a", "--target-dir=b", "--", "--target-dir=c"].map(OsString::from).into();
        let found: Vec<&OsStr> = value_of(&words, "--target-dir").collect();
        assert_eq!(found, ["a", "b"]);
        assert!(target_argument(&words).unwrap().ends_with("b"));
        assert_eq!(value_of(&words[..2], "--target-dir").count(), 0);
    }
}
