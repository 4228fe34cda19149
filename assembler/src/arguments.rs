//! The command line of GNU as.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Options whose value is the next argument.
pub(crate) const WITH_VALUE: [&str; 12] = [
    "-o",
    "-I",
    "-MD",
    "--MD",
    "-defsym",
    "--defsym",
    "-debug-prefix-map",
    "--debug-prefix-map",
    "-march",
    "-mabi",
    "-G",
    "--hash-size",
];

/// An assembler's command line.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    pub(crate) all: Vec<OsString>,
    /// The indices of its input files.
    inputs: Vec<usize>,
}

impl Arguments {
    pub(crate) fn new(arguments: impl Iterator<Item = OsString>) -> Self {
        let all: Vec<OsString> = arguments.collect();
        let mut inputs = Vec::new();
        let mut is_value = false;
        for (index, argument) in all.iter().enumerate() {
            let is_option = argument.as_bytes().starts_with(b"-") && argument != "-";
            if !is_value && !is_option {
                inputs.push(index);
            }
            is_value = !is_value && WITH_VALUE.iter().any(|option| argument == option);
        }
        Self { all, inputs }
    }

    /// The input files; empty for standard input alone. None if the command line does not tell.
    pub(crate) fn inputs(&self) -> Option<Vec<&Path>> {
        let inputs = || self.inputs.iter().map(|&index| self.all[index].as_os_str());
        match self.inputs.as_slice() {
            [] => Some(Vec::new()),
            [index] if self.all[*index] == "-" => Some(Vec::new()),
            _ if inputs().any(|input| input == "-" || input.as_bytes().starts_with(b"@")) => None,
            _ => Some(inputs().map(Path::new).collect()),
        }
    }

    /// Whether the assembler only prints something, such as its version, and reads nothing.
    pub(crate) fn asks_only(&self) -> bool {
        ["--version", "-version", "--help", "--target-help"]
            .iter()
            .any(|option| self.all.iter().any(|argument| argument == option))
    }

    /// The same arguments for source on standard input.
    pub(crate) fn for_standard_input(&self) -> Vec<OsString> {
        let mut all: Vec<OsString> = Vec::with_capacity(self.all.len() + 1);
        let others = self.all.iter().enumerate().filter(|(index, _)| !self.inputs.contains(index));
        all.extend(others.map(|(_, argument)| argument.clone()));
        all.push("-".into());
        all
    }

    /// The arguments that are valid UTF-8.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.all.iter().filter_map(|argument| argument.to_str()).collect()
    }
}

/// Splits `COLLECT_GCC_OPTIONS`, which gcc quotes for a shell.
pub(crate) fn gcc_options(text: &OsStr) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut is_quoted = false;
    let mut is_escaped = false;
    for &byte in text.as_bytes() {
        match byte {
            _ if is_escaped => {
                word.get_or_insert_default().push(byte);
                is_escaped = false;
            }
            b'\\' if !is_quoted => is_escaped = true,
            b'\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            b' ' if !is_quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words.into_iter().map(|word| OsStr::from_bytes(&word).to_owned()).collect()
}

/// The values of gcc's option `-B`.
pub(crate) fn prefixes(options: &[OsString]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut is_value = false;
    for option in options {
        if is_value {
            found.push(option.into());
        } else if let Some(value) = option.as_bytes().strip_prefix(b"-B").filter(|value| !value.is_empty()) {
            found.push(OsStr::from_bytes(value).into());
        }
        is_value = !is_value && option == "-B";
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Arguments {
        Arguments::new(arguments.iter().map(OsString::from))
    }

    #[test]
    fn inputs_are_told_from_values() {
        let files = |arguments: &[&str]| {
            parse(arguments)
                .inputs()
                .map(|inputs| inputs.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        };
        let some = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(files(&["--64", "-o", "a.o", "/tmp/a.s"]), some(&["/tmp/a.s"]));
        assert_eq!(files(&["-mabi", "lp64d", "-march", "rv64gc", "-o", "-", "a.s"]), some(&["a.s"]));
        assert_eq!(files(&["--64", "-o", "a.o"]), some(&[]));
        assert_eq!(files(&["-o", "a.o", "-"]), some(&[]));
        assert_eq!(files(&["a.s", "b.s"]), some(&["a.s", "b.s"]));
        assert_eq!(files(&["a.s", "-"]), None);
        assert_eq!(files(&["@list"]), None);
        assert_eq!(parse(&["a.s", "-o", "a.o", "b.s"]).for_standard_input(), ["-o", "a.o", "-"]);
    }

    #[test]
    fn gccs_options_are_unquoted() {
        let options = gcc_options(OsStr::new(r"'-B' '/a b/' '-DX='\''y'\''' '-B/c' '-O2'  '-o' ''"));
        assert_eq!(options, ["-B", "/a b/", "-DX='y'", "-B/c", "-O2", "-o", ""]);
        assert_eq!(prefixes(&options), [Path::new("/a b/"), Path::new("/c")]);
    }
}
