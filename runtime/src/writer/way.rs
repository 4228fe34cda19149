//! Where the words of code are written.

use crate::writer::alias;
use crate::writer::code_writer::CodeWriter;

/// How an update reaches the words that it replaces.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Where they are executed.
    InPlace,
    /// Through a second mapping.
    Alias,
    /// As the program's own writer says.
    Custom(&'static dyn CodeWriter),
}

impl Way {
    /// Where the word at an address is written, if it can be.
    #[inline]
    pub(crate) fn place(self, word: usize) -> Option<usize> {
        match self {
            Self::InPlace => Some(word),
            Self::Alias => alias::of(word),
            Self::Custom(writer) => Some(writer.alias(word as *mut u8).addr()),
        }
    }
}
