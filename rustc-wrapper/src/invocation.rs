//! What cargo, or a build script, asked the wrapper to run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::variables;

/// Options that print something and compile nothing. `--print` is treated apart.
const QUESTIONS: [&str; 7] = ["-V", "-vV", "-Vv", "--version", "-h", "--help", "--explain"];
/// Options that list what there is if their value is `help`.
const LISTED: [&str; 12] = [
    "-A",
    "-C",
    "-D",
    "-F",
    "-W",
    "-Z",
    "--allow",
    "--codegen",
    "--deny",
    "--forbid",
    "--force-warn",
    "--warn",
];
/// Kinds of `--print` that rustc answers while it compiles.
const PRINTED_WHILE_COMPILING: [&str; 2] = ["native-static-libs", "link-args"];

/// A command line of the form `[WRAPPER] RUSTC [+TOOLCHAIN] ARGS…`.
pub(crate) struct Invocation {
    /// All of it, to be passed on as it is.
    words: Vec<OsString>,
    /// The part of it that runs the bare compiler: `RUSTC [+TOOLCHAIN]`.
    compiler: std::ops::Range<usize>,
    /// `ARGS`, with response files (`@file`) opened: only to look at.
    arguments: Vec<String>,
}

impl Invocation {
    /// Splits the wrapper's arguments; `None` if they name no compiler.
    pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Option<Self> {
        let words: Vec<_> = words.collect();
        // An option comes from a program that takes the wrapper itself for a compiler.
        if words.first().is_none_or(|word| word.as_encoded_bytes().starts_with(b"-")) {
            return None;
        }
        // With both of cargo's wrapper variables set, or under clippy, another wrapper comes first.
        let start = usize::from(words.get(1).is_some_and(|word| is_rustc(word)));
        let is_toolchain = |word: &OsString| word.as_encoded_bytes().starts_with(b"+");
        let end = start + 1 + usize::from(words.get(start + 1).is_some_and(is_toolchain));
        let arguments = words[end..].iter().flat_map(open_response_file).collect();
        Some(Self { words, compiler: start..end, arguments })
    }

    /// The command as it was given, through the chained wrapper if there is one.
    pub(crate) fn command(&self) -> Command {
        let chained = variables::get(variables::CHAINED_WRAPPER);
        let mut words = chained.iter().chain(&self.words);
        let mut command = Command::new(words.next().expect("`parse` leaves no command empty"));
        command.args(words);
        // Were the chained wrapper this one, it would chain to itself for ever.
        command.env_remove(variables::CHAINED_WRAPPER);
        command
    }

    /// What runs the compiler itself, without wrappers: its name, and rustup's `+toolchain` if given.
    pub(crate) fn compiler(&self) -> &[OsString] {
        &self.words[self.compiler.clone()]
    }

    /// Whether this only asks the compiler something, so that nothing may be added: a version, a list, a
    /// `--print`, or a source read from stdin, which is how cargo and build scripts ask.
    pub(crate) fn is_probe(&self) -> bool {
        let is_question = |argument: &String| QUESTIONS.contains(&argument.as_str());
        let is_answered_first = |kind: &str| {
            let kind = kind.split('=').next().unwrap_or(kind); // `KIND=FILE`
            !PRINTED_WHILE_COMPILING.contains(&kind)
        };
        self.arguments.is_empty()
            || self.arguments.iter().any(is_question)
            || LISTED.iter().any(|option| self.asks_for_help(option))
            || self.reads_stdin()
            || self.values_of("--print").any(is_answered_first)
    }

    /// Whether an argument is exactly this.
    pub(crate) fn contains(&self, argument: &str) -> bool {
        self.arguments.iter().any(|given| given == argument)
    }

    /// Whether there is an option of this name with a value.
    pub(crate) fn has_option(&self, name: &str) -> bool {
        self.values_of(name).next().is_some()
    }

    /// Whether there is a `-Z` option.
    pub(crate) fn has_unstable_options(&self) -> bool {
        self.arguments.iter().any(|argument| argument.starts_with("-Z"))
    }

    /// Whether there is a `-C` option of this name.
    pub(crate) fn has_codegen_option(&self, name: &str) -> bool {
        self.codegen_options().any(|(given, _)| given == name)
    }

    /// The names of `-C` options and their values, however they are spelled.
    fn codegen_options(&self) -> impl Iterator<Item = (String, &str)> {
        let joined = self.arguments.iter().filter_map(|argument| argument.strip_prefix("-C"));
        let options = joined.chain(self.values_of("-C")).chain(self.values_of("--codegen"));
        options.map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            (name.replace('_', "-"), value)
        })
    }

    /// The file in which rustc tells cargo what the crate depends on, if it is asked to.
    pub(crate) fn dep_info(&self) -> Option<PathBuf> {
        self.values_of("--emit").flat_map(|kinds| kinds.split(',')).find(|&kind| kind == "dep-info")?;
        let extra = self.codegen_options().find(|(name, _)| name == "extra-filename");
        let name = format!("{}{}.d", self.crate_name()?, extra.map_or("", |(_, extra)| extra));
        Some(Path::new(self.values_of("--out-dir").next()?).join(name))
    }

    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.values_of("--crate-name").next()
    }

    /// Whether an option has the value `help`, spelled apart or joined.
    fn asks_for_help(&self, option: &str) -> bool {
        let is_joined = |argument: &String| argument.strip_prefix(option) == Some("help");
        self.values_of(option).any(|value| value == "help") || self.arguments.iter().any(is_joined)
    }

    /// A `-` is the source, unless it is where `-o` writes.
    fn reads_stdin(&self) -> bool {
        let before = std::iter::once("").chain(self.arguments.iter().map(String::as_str));
        before.zip(&self.arguments).any(|(before, argument)| argument == "-" && before != "-o")
    }

    /// The values of an option, spelled `--option value` or `--option=value`.
    fn values_of<'a>(&'a self, option: &'a str) -> impl Iterator<Item = &'a str> {
        let arguments = self.arguments.iter().map(String::as_str).enumerate();
        arguments.filter_map(move |(index, argument)| match argument.strip_prefix(option)? {
            "" => self.arguments.get(index + 1).map(String::as_str),
            rest => rest.strip_prefix('='),
        })
    }
}

/// Whether a word names a compiler: clippy-driver's own rule, and `rustc-1.95` too.
fn is_rustc(word: &OsStr) -> bool {
    let name = Path::new(word).file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.starts_with("rustc") && !name.ends_with(".rs")
}

/// An `@file` argument becomes the file's lines. One that cannot be read stays: rustc complains.
fn open_response_file(argument: &OsString) -> Vec<String> {
    let argument = argument.to_string_lossy();
    match argument.strip_prefix('@').map(std::fs::read_to_string) {
        Some(Ok(text)) => text.lines().map(str::to_owned).collect(),
        _ => vec![argument.into_owned()],
    }
}
