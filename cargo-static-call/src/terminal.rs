//! The terminal, if standard output is one: its colours, its size, and a screen that is redrawn.

use std::io::{self, IsTerminal, Write};

use anstream::AutoStream;
use clap::ColorChoice;

use crate::table::{Length, Presentation};

/// How to print on standard output. `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` decide about colours unless
/// the user does.
#[must_use]
pub fn presentation(color: ColorChoice, length: Length) -> Presentation {
    let has_color = match color {
        ColorChoice::Auto => AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
        ColorChoice::Always => true,
        ColorChoice::Never => false,
    };
    Presentation { length, width: size().map(|(width, _)| width), has_color }
}

/// The columns and lines of the terminal. None: standard output is none.
#[must_use]
pub fn size() -> Option<(usize, usize)> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    // A terminal that does not tell its size, such as a serial line, is taken for an old one.
    let size = terminal_size::terminal_size_of(&out);
    let (width, height) = size.map_or((80, 24), |(width, height)| (width.0.into(), height.0.into()));
    Some((if width == 0 { 80 } else { width }, if height == 0 { 24 } else { height }))
}

/// A screen beside the terminal's usual one, which it comes back to when this is dropped.
#[derive(Debug)]
pub(crate) struct Screen {
    _private: (),
}

/// xterm's control sequences (ctlseqs): the alternate screen (1049), the cursor (25), and automatic wrapping
/// (7), which would move the lines below one that is too long.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

impl Screen {
    pub(crate) fn enter() -> io::Result<Self> {
        write(ENTER)?;
        Ok(Self { _private: () })
    }

    /// Shows this text from the first line on, as far as it fits.
    pub(crate) fn draw(&self, text: &str) -> io::Result<()> {
        let (_, height) = size().unwrap_or((80, 24));
        let mut out = String::from("\x1b[H");
        for (number, line) in text.lines().take(height).enumerate() {
            out += if number == 0 { "" } else { "\r\n" };
            out += line;
            // What was there before, behind the line.
            out += "\x1b[K";
        }
        write(&(out + "\x1b[J"))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = write(LEAVE);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}
