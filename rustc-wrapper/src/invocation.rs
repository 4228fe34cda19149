//! The command that cargo or a build script asked the wrapper to run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::variables;

/// Options that print something and compile nothing. `--print` is handled separately.
const QUESTIONS: [&str; 7] = ["-V", "-vV", "-Vv", "--version", "-h", "--help", "--explain"];
/// Options that print a list if their value is `help`.
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
/// Kinds of `--print` that do not keep rustc from compiling.
const PRINTED_WHILE_COMPILING: [&str; 2] = ["native-static-libs", "link-args"];

/// A command line of the form `[WRAPPER] RUSTC [+TOOLCHAIN] ARGS…`.
pub(crate) struct Invocation {
    /// The whole command line, which is passed on unchanged.
    words: Vec<OsString>,
    /// The part that runs the compiler itself: `RUSTC [+TOOLCHAIN]`.
    compiler: std::ops::Range<usize>,
    /// The options among `ARGS`, with response files (`@file`) expanded. They are only read.
    arguments: Vec<String>,
    /// Where options can be added: at the end, or before the word that contains the `--` which ends the
    /// options.
    end: usize,
    /// Whether a `--` ends the options.
    has_inputs: bool,
}

impl Invocation {
    /// Splits the wrapper's arguments; `None` if they name no compiler.
    pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Option<Self> {
        let words: Vec<_> = words.collect();
        // An option means that a program took the wrapper itself for a compiler.
        if words.first().is_none_or(|word| word.as_encoded_bytes().starts_with(b"-")) {
            return None;
        }
        // If both of cargo's wrapper variables are set, or under clippy, another wrapper comes first.
        let start = usize::from(words.get(1).is_some_and(|word| is_rustc(word)));
        let is_toolchain = |word: &OsString| word.as_encoded_bytes().starts_with(b"+");
        let first = start + 1 + usize::from(words.get(start + 1).is_some_and(is_toolchain));
        let mut arguments = Vec::new();
        let (mut end, mut inputs) = (words.len(), Vec::new());
        for (index, word) in words.iter().enumerate().skip(first) {
            let mut opened = open_response_file(word);
            if let Some(position) = opened.iter().position(|argument| argument == "--") {
                inputs = opened.split_off(position);
                end = index;
            }
            arguments.append(&mut opened);
            if !inputs.is_empty() {
                inputs.extend(words[index + 1..].iter().flat_map(open_response_file));
                break;
            }
        }
        let has_inputs = inputs.len() > 1;
        let reads_stdin = inputs.iter().any(|input| input == "-");
        arguments.extend(reads_stdin.then(|| "-".into()));
        Some(Self { words, compiler: start..first, arguments, end, has_inputs })
    }

    /// The given command with additional options, run through the chained wrapper if there is one.
    pub(crate) fn command(&self, added: &[OsString]) -> Command {
        let chained = variables::get(variables::CHAINED_WRAPPER);
        let (before, behind) = self.words.split_at(self.end);
        let mut words = chained.iter().chain(before).chain(added).chain(behind);
        let mut command = Command::new(words.next().expect("`parse` leaves no command empty"));
        command.args(words);
        // If the chained wrapper is this program, this keeps it from running itself forever.
        command.env_remove(variables::CHAINED_WRAPPER);
        command
    }

    /// How many words of [`Self::command`]'s arguments come before the compiler's own.
    pub(crate) fn first_argument(&self) -> usize {
        let chained = variables::get(variables::CHAINED_WRAPPER);
        self.compiler.end + usize::from(chained.is_some()) - 1
    }

    /// The compiler without wrappers: its name, and rustup's `+toolchain` if given.
    pub(crate) fn compiler(&self) -> &[OsString] {
        &self.words[self.compiler.clone()]
    }

    /// Whether this is a query, to which no options may be added: a version, a list, a `--print`, or a source
    /// read from stdin, with which cargo and build scripts probe the compiler.
    pub(crate) fn is_probe(&self) -> bool {
        let is_question = |argument: &String| QUESTIONS.contains(&argument.as_str());
        let is_answered_first = |kind: &str| {
            let kind = kind.split('=').next().unwrap_or(kind); // `KIND=FILE`
            !PRINTED_WHILE_COMPILING.contains(&kind)
        };
        (self.arguments.is_empty() && !self.has_inputs)
            || self.arguments.iter().any(is_question)
            || LISTED.iter().any(|option| self.asks_for_help(option))
            || self.reads_stdin()
            || self.values_of("--print").any(is_answered_first)
    }

    /// Whether an argument is exactly this.
    pub(crate) fn contains(&self, argument: &str) -> bool {
        self.arguments.iter().any(|given| given == argument)
    }

    /// Whether there is an option with this name and a value.
    pub(crate) fn has_option(&self, name: &str) -> bool {
        self.values_of(name).next().is_some()
    }

    /// Whether there is a `-Z` option.
    pub(crate) fn has_unstable_options(&self) -> bool {
        self.arguments.iter().any(|argument| argument.starts_with("-Z"))
    }

    /// Whether there is a `-C` option with this name.
    pub(crate) fn has_codegen_option(&self, name: &str) -> bool {
        self.codegen_options().any(|(given, _)| given == name)
    }

    /// The names of `-C` options and their values, however they are spelled.
    pub(crate) fn codegen_options(&self) -> impl Iterator<Item = (String, &str)> {
        let joined = self.arguments.iter().filter_map(|argument| argument.strip_prefix("-C"));
        let options = joined.chain(self.values_of("-C")).chain(self.values_of("--codegen"));
        options.map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            (name.replace('_', "-"), value)
        })
    }

    /// The file in which rustc lists the crate's dependencies for cargo, if there is one.
    pub(crate) fn dep_info(&self) -> Option<PathBuf> {
        self.values_of("--emit").flat_map(|kinds| kinds.split(',')).find(|&kind| kind == "dep-info")?;
        let extra = self.codegen_options().find(|(name, _)| name == "extra-filename");
        let name = format!("{}{}.d", self.crate_name()?, extra.map_or("", |(_, extra)| extra));
        Some(Path::new(self.values_of("--out-dir").next()?).join(name))
    }

    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.values_of("--crate-name").next()
    }

    /// Whether an option has the value `help`, separate or joined.
    fn asks_for_help(&self, option: &str) -> bool {
        let is_joined = |argument: &String| argument.strip_prefix(option) == Some("help");
        self.values_of(option).any(|value| value == "help") || self.arguments.iter().any(is_joined)
    }

    /// Whether the source is read from stdin: a `-` that is not the value of `-o`.
    fn reads_stdin(&self) -> bool {
        let before = std::iter::once("").chain(self.arguments.iter().map(String::as_str));
        before.zip(&self.arguments).any(|(before, argument)| argument == "-" && before != "-o")
    }

    /// The values of an option, spelled `--option value` or `--option=value`.
    pub(crate) fn values_of<'a>(&'a self, option: &'a str) -> impl Iterator<Item = &'a str> {
        let arguments = self.arguments.iter().map(String::as_str).enumerate();
        arguments.filter_map(move |(index, argument)| match argument.strip_prefix(option)? {
            "" => self.arguments.get(index + 1).map(String::as_str),
            rest => rest.strip_prefix('='),
        })
    }
}

/// Whether a word names a compiler: the rule of clippy-driver, extended to names such as `rustc-1.95`.
fn is_rustc(word: &OsStr) -> bool {
    let name = Path::new(word).file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.starts_with("rustc") && !name.ends_with(".rs")
}

/// Expands an `@file` argument to the lines of the file. An unreadable one stays, and rustc reports it.
fn open_response_file(argument: &OsString) -> Vec<String> {
    let argument = argument.to_string_lossy();
    match argument.strip_prefix('@').map(std::fs::read_to_string) {
        Some(Ok(text)) => text.lines().map(str::to_owned).collect(),
        _ => vec![argument.into_owned()],
    }
}
