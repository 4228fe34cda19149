//! Command lines that are too long for the system.
//!
//! A command that barely fits may become too long with the added options. Rustc also reads arguments from
//! files (`@file`, one argument per line), so they go there. To remove the files afterwards, this process
//! waits instead of becoming the command, and reports a signal that ends the compiler as an exit code.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::ending::{cannot_run, exit_code};

/// Runs the command with the arguments from index `first` on in files.
pub(crate) fn run(command: &Command, first: usize) -> ExitCode {
    let directory = match Directory::new() {
        Ok(directory) => directory,
        Err(error) => return cannot_run(command, &error),
    };
    let mut short = Command::new(command.get_program());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => short.env(name, value),
            None => short.env_remove(name),
        };
    }
    let arguments: Vec<&OsStr> = command.get_args().collect();
    let (before, arguments) = arguments.split_at(first);
    match directory.put(arguments).and_then(|files| short.args(before).args(files).status()) {
        Ok(status) => exit_code(status),
        Err(error) => cannot_run(command, &error),
    }
}

/// A private directory, which is removed when this value is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Self> {
        let process = std::process::id();
        for number in 0..1000 {
            let path = std::env::temp_dir().join(format!("static-call-rustc-{process}-{number}"));
            // An existing entry, even a link, belongs to somebody else.
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return result.map(|()| Self(path)),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    /// Writes the arguments to files and returns the arguments that replace them. An argument that names a
    /// file itself is kept, since rustc does not expand files in files.
    fn put(&self, arguments: &[&OsStr]) -> io::Result<Vec<OsString>> {
        let names_file = |argument: &OsStr| argument.as_encoded_bytes().starts_with(b"@");
        let mut words = Vec::new();
        for run in arguments.chunk_by(|one, other| !names_file(one) && !names_file(other)) {
            if names_file(run[0]) {
                words.extend(run.iter().map(OsString::from));
                continue;
            }
            let path = self.0.join(words.len().to_string());
            write(&path, run)?;
            let mut word = OsString::from("@");
            word.push(path);
            words.push(word);
        }
        Ok(words)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(path: &Path, arguments: &[&OsStr]) -> io::Result<()> {
    let mut text = Vec::new();
    for argument in arguments {
        let bytes = argument.as_encoded_bytes();
        if bytes.contains(&b'\n') {
            return Err(io::Error::new(
                ErrorKind::ArgumentListTooLong,
                "the command line is too long, and an argument with a line break cannot go into a file",
            ));
        }
        text.extend(bytes);
        text.push(b'\n');
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(&text)
}
