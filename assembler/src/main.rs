//! `static-call-as`: records the static calls that gcc compiles, before the assembler reads them.
//!
//! gcc runs the program `as` that it finds in a directory given by `-B`: this program. It marks each call of
//! a trampoline, as the pass does in LLVM ([`rewrite`]), and then executes the real assembler ([`real`]).
//! Source without such calls reaches the assembler unchanged. clang with `-fno-integrated-as` is served in
//! the same way.
//!
//! Source that this program does not understand is not an error: its calls stay on their trampolines, which
//! is correct. `STATIC_CALL_AS_LOG` lists the calls, and says why some are not marked. [`variables`]
//! describes the other variables.

#![deny(unsafe_code)]
// Before libc has started, there is no `memcpy` to call.
#![no_builtins]

mod arguments;
mod lengths;
mod machine;
mod real;
mod rewrite;
mod search;
mod section;
mod source;
#[cfg(all(
    target_os = "linux",
    target_feature = "crt-static",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod start;
mod statement;
mod variables;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use arguments::{Arguments, gcc_options};
use machine::Machine;
use real::Identity;
use rewrite::{Found, Pads, Settings};

fn main() -> ExitCode {
    let arguments = Arguments::new(std::env::args_os().skip(1));
    let assembler = match real::find(&arguments) {
        Ok(assembler) => assembler,
        Err(error) => return fail(&error.to_string()),
    };
    let input = match Input::read(&arguments) {
        Ok(input) => input,
        Err(error) => return fail(&format!("cannot read standard input: {error}")),
    };
    let marked = match input.text() {
        Some(text) if rewrite::concerns(text) => mark(text, &arguments, &assembler),
        _ => None,
    };
    let mut command = Command::new(&assembler);
    command.env(variables::RUNNING, "1");
    match marked.or(input.read_from_standard()) {
        None => {
            command.args(&arguments.all);
        }
        Some(text) => {
            command.args(arguments.for_standard_input());
            match standard_input(&text) {
                Ok(file) => {
                    command.stdin(file);
                }
                // There may be no place for one. gcc does not always need one either.
                Err(_) => {
                    return run_with_pipe(&mut command, &text)
                        .unwrap_or_else(|error| cannot_run(&assembler, &error));
                }
            }
        }
    }
    cannot_run(&assembler, &command.exec())
}

fn cannot_run(assembler: &Path, error: &io::Error) -> ExitCode {
    fail(&format!("cannot run {}: {error}", assembler.display()))
}

fn fail(message: &str) -> ExitCode {
    eprintln!("static-call-as: error: {message}");
    ExitCode::FAILURE
}

/// The assembler's input.
enum Input {
    /// The text of files that name a trampoline.
    Files(Vec<u8>),
    /// The text from standard input.
    Standard(Vec<u8>),
    /// Input that the assembler reads itself: files without trampolines, unreadable files, for which it has
    /// its own message, or files of arguments.
    Other,
}

impl Input {
    fn read(arguments: &Arguments) -> io::Result<Self> {
        let Some(files) = arguments.inputs() else { return Ok(Self::Other) };
        if files.is_empty() && !arguments.asks_only() {
            let mut text = Vec::new();
            io::stdin().read_to_end(&mut text)?;
            return Ok(Self::Standard(text));
        }
        // What a pipe has is lost if this program opens it first.
        let is_file = |file: &Path| fs::metadata(file).is_ok_and(|file| file.is_file());
        if !files.iter().all(|file| is_file(file))
            || !files
                .iter()
                .any(|file| File::open(file).is_ok_and(|file| names_trampoline(file).unwrap_or_default()))
        {
            return Ok(Self::Other);
        }
        let mut text = Vec::new();
        for file in files {
            let Ok(content) = fs::read(file) else { return Ok(Self::Other) };
            text.extend(content);
            // The assembler ends each file's last line.
            if text.last().is_some_and(|&byte| byte != b'\n') {
                text.push(b'\n');
            }
        }
        Ok(Self::Files(text))
    }

    /// The text, if this program has consumed it.
    fn read_from_standard(self) -> Option<Vec<u8>> {
        match self {
            Self::Standard(text) => Some(text),
            Self::Files(_) | Self::Other => None,
        }
    }

    fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Files(text) | Self::Standard(text) => Some(text),
            Self::Other => None,
        }
    }
}

/// Whether a file names a trampoline. Reads it in pieces, because most files are large and name none.
fn names_trampoline(mut file: File) -> io::Result<bool> {
    let mut buffer = [0; 1 << 16];
    let mut kept = 0;
    loop {
        let count = file.read(&mut buffer[kept..])?;
        let end = kept + count;
        if rewrite::names_trampoline(&buffer[..end]) {
            return Ok(true);
        }
        if count == 0 {
            return Ok(false);
        }
        // The name may continue in the next piece.
        let start = end.saturating_sub(rewrite::TRAMPOLINE.len() - 1);
        buffer.copy_within(start..end, 0);
        kept = end - start;
    }
}

/// The text with its calls marked. None if nothing changes.
fn mark(text: &[u8], arguments: &Arguments, assembler: &Path) -> Option<Vec<u8>> {
    let Some(Identity { target, version }) = Identity::ask(assembler) else {
        warn(&format!("{} is not GNU as", assembler.display()));
        return None;
    };
    let texts = arguments.texts();
    let machine = Machine::new(&target, &texts)?;
    // The first version with `o`, `?` and `unique`.
    if version < (2, 35) {
        let (major, minor) = version;
        warn(&format!("{} is version {major}.{minor}, and 2.35 is needed", assembler.display()));
        return None;
    }
    let (marked, found) = rewrite::rewrite(
        text,
        Settings {
            machine,
            retains: version >= (2, 36),
            pads: pads(&texts),
            returns_with_care: returns_with_care(text, &texts),
        },
    );
    if let Err(error) = log(&found) {
        eprintln!("static-call-as: warning: cannot write to the file in {}: {error}", variables::LOG);
    }
    marked
}

fn warn(why: &str) {
    eprintln!("static-call-as: warning: static calls go through their trampolines: {why}");
}

fn pads(arguments: &[&str]) -> Pads {
    let has = |start: &str| arguments.iter().any(|argument| argument.starts_with(start));
    match () {
        () if has("-malign-branch=") => Pads::All,
        () if has("-malign-branch-boundary") || has("-mbranches-within-32B-boundaries") => Pads::Jumps,
        () => Pads::Nothing,
    }
}

/// Whether functions must not end with a plain return, because returns go through a thunk or follow a fence
/// or code that clears registers.
fn returns_with_care(text: &[u8], arguments: &[&str]) -> bool {
    let options = variables::get(variables::COLLECT_GCC_OPTIONS).unwrap_or_default();
    let options = gcc_options(&options);
    let is_care = |option: &OsString| {
        option.to_str().is_some_and(|option| {
            option.starts_with("-mfunction-return=thunk")
                || option.strip_prefix("-fzero-call-used-regs=").is_some_and(|value| value != "skip")
        })
    };
    options.iter().any(is_care)
        || arguments.iter().any(|argument| argument.starts_with("-mlfence-before-ret="))
        || search::has(text, b"__x86_return_thunk")
}

/// Appends a line for each call to the log, if there is one. A single write keeps the lines together when
/// compilers run in parallel.
fn log(found: &[Found]) -> io::Result<()> {
    let Some(log) = variables::get(variables::LOG) else { return Ok(()) };
    let mut text = String::new();
    for Found { place, function, key, kind, left } in found {
        let kind = kind.name();
        text += &match left {
            None => format!("{place}: {function}: {kind} of {key}\n"),
            Some(why) => format!("{place}: {function}: {kind} of {key} is left to its trampoline: {why}\n"),
        };
    }
    match log.to_str() {
        Some("-") => io::stderr().write_all(text.as_bytes()),
        _ => OpenOptions::new().append(true).create(true).open(log)?.write_all(text.as_bytes()),
    }
}

/// An anonymous file with this text.
fn standard_input(text: &[u8]) -> io::Result<Stdio> {
    let mut number = 0_u32;
    let mut file: File = loop {
        let name = format!("static-call-as-{}-{number}.s", std::process::id());
        let path = std::env::temp_dir().join(name);
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                fs::remove_file(path)?;
                break file;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    };
    file.write_all(text)?;
    file.rewind()?;
    Ok(file.into())
}

/// Runs the assembler with this text in a pipe, and gives its exit code.
fn run_with_pipe(command: &mut Command, text: &[u8]) -> io::Result<ExitCode> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // An assembler that stops reading says why.
        let _ = pipe.write_all(text);
    }
    let code = child.wait()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
