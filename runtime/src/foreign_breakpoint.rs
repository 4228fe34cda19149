//! Breakpoints that others set: debuggers and probes.

use crate::text::Text;
use crate::writer::breakpoint;

/// Whether somebody else has set a breakpoint at `pc`, where none of ours can be.
#[cold]
pub(crate) fn has_breakpoint(pc: usize, text: Text) -> bool {
    text.fetch(pc).and_then(|fetched| fetched.bytes().first().copied()).is_some_and(breakpoint::is_one)
}
