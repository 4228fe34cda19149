//! Reports how a command ended.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

use crate::variables;

/// The exit code that a shell would report.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Reports that the command cannot be run.
pub(crate) fn cannot_run(command: &Command, error: &io::Error) -> ExitCode {
    let program = command.get_program().display();
    eprintln!("static-call-rustc: error: cannot run `{program}`: {error}");
    if let Some(wrapper) = variables::get(variables::CHAINED_WRAPPER)
        && wrapper == command.get_program()
    {
        let variable = variables::CHAINED_WRAPPER;
        eprintln!("static-call-rustc: it comes from {variable}; correct or unset that variable");
    }
    ExitCode::FAILURE
}
