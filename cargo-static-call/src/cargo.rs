//! `cargo static-call build` and the like: cargo, with the wrapper, in a target directory of its own.
//!
//! Cargo does not know that a wrapper changes what is built: what it has built without one it takes for good, and
//! the other way round. So builds with the pass have a directory of their own, `static-call` in the one that cargo would
//! use, and both stay cached. Nor does cargo know the pass: the directory holds a hash of it, and is emptied when another
//! one is installed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::Hasher;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

const WRAPPER: &str = "RUSTC_WRAPPER";
const CHAINED: &str = "STATIC_CALL_RUSTC_WRAPPER";
const TARGET: &str = "CARGO_TARGET_DIR";
/// Where cargo keeps what it has built and how, if not in the target directory.
const BUILD: &str = "CARGO_BUILD_BUILD_DIR";
/// The pass's path, instead of the places relative to the wrapper.
pub const PASS: &str = "STATIC_CALL_PASS";
/// The file in the target directory that tells which pass it was built with.
const STAMP: &str = ".static-call-pass";

/// How cargo is to be run.
#[derive(Debug)]
pub struct Plan {
    /// The wrapper beside this program.
    pub wrapper: PathBuf,
    /// The user's own wrapper, which ours calls.
    pub chained: Option<OsString>,
    /// Where cargo builds; None where there is no project, so that it has none.
    pub target: Option<PathBuf>,
    /// Whether the user named that directory on the command line.
    is_users: bool,
}

impl Plan {
    /// Finds out how to run cargo with these arguments.
    ///
    /// # Errors
    ///
    /// If the wrapper is not there, or `--config` names a build directory.
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

    /// The variables for cargo.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![(WRAPPER, self.wrapper.clone().into_os_string())];
        if let Some(chained) = &self.chained {
            variables.push((CHAINED, chained.clone()));
        }
        if let Some(target) = &self.target {
            if !self.is_users {
                variables.push((TARGET, target.clone().into_os_string()));
            }
            // A directory in cargo's configuration would be that of builds without the pass, too.
            variables.push((BUILD, target.clone().into_os_string()));
        }
        variables
    }

    /// Sees to it that nothing in the target directory was built with another pass, or without one.
    fn prepare(&self) -> Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let now = pass_hash(&self.wrapper);
        let stamp = target.join(STAMP);
        let before = fs::read_to_string(&stamp).ok();
        if before.as_ref() == Some(&now) {
            return Ok(());
        }
        let was_built = target.join(".rustc_info.json").exists();
        let shown = target.display();
        if was_built && (self.is_users || before.is_none()) {
            let how = if before.is_none() { "without `cargo static-call`" } else { "with another pass" };
            bail!(
                "{shown} holds what was built {how}, and cargo would not build it again: name another directory, or \
                 remove that one"
            );
        }
        if was_built {
            eprintln!("cargo-static-call: the pass is another one than before: building anew in {shown}");
            fs::remove_dir_all(target).with_context(|| format!("cannot remove {shown}"))?;
        }
        let is_new = !target.exists();
        fs::create_dir_all(target).with_context(|| format!("cannot make {shown}"))?;
        if is_new {
            // As cargo does, so that backups leave it out.
            let tag = "Signature: 8a477f597d28d172789f06886806bc55\n";
            fs::write(target.join("CACHEDIR.TAG"), tag)
                .with_context(|| format!("cannot write into {shown}"))?;
        }
        fs::write(&stamp, now).with_context(|| format!("cannot write {}", stamp.display()))
    }
}

/// Becomes cargo. Returns only if that fails.
///
/// # Errors
///
/// If the wrapper is missing, the target directory cannot be used, or cargo does not start.
pub fn run(arguments: &[OsString]) -> Result<std::convert::Infallible> {
    let plan = Plan::new(arguments)?;
    plan.prepare()?;
    let mut cargo = cargo();
    cargo.args(arguments).envs(plan.variables());
    let error = cargo.exec();
    Err(error).with_context(|| format!("cannot run {}", cargo.get_program().display()))
}

/// The cargo that runs us, or the one that the user has.
#[must_use]
pub fn cargo() -> Command {
    Command::new(variable("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A variable's value; an empty one counts as unset.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Where this program lies.
fn directory() -> PathBuf {
    let own = std::env::current_exe().and_then(|path| path.canonicalize()).unwrap_or_default();
    own.parent().unwrap_or_else(|| Path::new("")).to_owned()
}

fn wrapper() -> Result<PathBuf> {
    let wrapper = directory().join("static-call-rustc");
    if !wrapper.is_file() {
        bail!(
            "the wrapper is missing: {}; install static-call as a whole (`cargo xtask install`)",
            wrapper.display()
        );
    }
    Ok(wrapper)
}

/// The directory that static-call is installed in.
#[must_use]
pub fn prefix() -> PathBuf {
    directory().parent().unwrap_or_else(|| Path::new("")).to_owned()
}

/// The pass as the wrapper finds it.
#[must_use]
pub fn pass(wrapper: &Path) -> PathBuf {
    const NAME: &str = "libstatic_call_pass.so";
    let directory = wrapper.parent().unwrap_or_else(|| Path::new(""));
    let installed = directory.with_file_name("lib").join("static-call").join(NAME);
    let beside = directory.join(NAME);
    match variable(PASS) {
        Some(path) => path.into(),
        None if !installed.exists() && beside.exists() => beside,
        None => installed,
    }
}

/// Tells one pass from another; also its absence.
fn pass_hash(wrapper: &Path) -> String {
    let Ok(content) = fs::read(pass(wrapper)) else { return "none\n".into() };
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&content);
    format!("{:016x}\n", hasher.finish())
}

/// The wrapper that the user has set, in the environment or in cargo's configuration: ours shall call it.
fn chained(wrapper: &Path, arguments: &[OsString]) -> Option<OsString> {
    if let Some(chained) = variable(CHAINED) {
        return Some(chained);
    }
    // An empty variable switches a configured wrapper off.
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

/// A program in cargo's configuration, with what the arguments add to that. Stable cargo tells it only when it is asked
/// like this.
fn configured(program: &str, arguments: &[OsString]) -> Option<OsString> {
    let mut cargo = cargo();
    cargo.env("RUSTC_BOOTSTRAP", "1").args(["-Zunstable-options", "config", "get", "--show-origin", program]);
    let output = pass_on(&mut cargo, &["--config"], arguments).stderr(Stdio::null()).output().ok()?;
    origin_and_value(str::from_utf8(&output.stdout).ok()?)
}

/// The value in a line `build.rustc-wrapper = "value" # origin`. With a slash in it, it is relative to the directory that
/// holds the configuration's (`.cargo`), or to ours if no file but a variable or an argument gives it.
fn origin_and_value(line: &str) -> Option<OsString> {
    let (value, origin) = line.split_once(" = ")?.1.trim_end().rsplit_once(" # ")?;
    let value: String = serde_json::from_str(value).ok()?;
    if !value.contains('/') {
        return Some(value.into());
    }
    let base = Path::new(origin).parent().and_then(Path::parent).unwrap_or(Path::new(""));
    std::path::absolute(base.join(value)).ok().map(PathBuf::into_os_string)
}

/// The value of `--target-dir`, as far as the arguments are cargo's.
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

/// Gives cargo the values of these options among the arguments.
fn pass_on<'a>(cargo: &'a mut Command, options: &[&str], arguments: &[OsString]) -> &'a mut Command {
    for option in options {
        for value in value_of(arguments, option) {
            cargo.arg(option).arg(value);
        }
    }
    cargo
}

/// The directory that cargo would use, as it says itself.
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
            "`--config` sets build.build-dir, and builds without the pass would share that directory: leave it out; \
             what is built with the pass lies in the target directory"
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
    fn options_are_found_before_the_programs_own() {
        let words: Vec<OsString> =
            ["run", "--target-dir", "a", "--target-dir=b", "--", "--target-dir=c"].map(OsString::from).into();
        let found: Vec<&OsStr> = value_of(&words, "--target-dir").collect();
        assert_eq!(found, ["a", "b"]);
        assert!(target_argument(&words).unwrap().ends_with("b"));
        assert_eq!(value_of(&words[..2], "--target-dir").count(), 0);
    }
}
