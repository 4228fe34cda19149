//! Shows on a terminal how far the reading of a large file is.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Smaller files are read before anybody wonders.
const LARGE: u64 = 64 << 20;

/// How far a run is. It shows nothing unless it was asked to.
#[derive(Debug, Default)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows the progress on standard error if that is a terminal and the file is large.
    #[must_use]
    pub fn shown_for(size: u64) -> Self {
        let bar = (size >= LARGE && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{msg:16} {wide_bar} {bytes}/{total_bytes}");
            let bar = ProgressBar::new(size);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar }
    }

    /// Begins a part of the work in which this many bytes are read.
    pub fn begin(&self, what: &'static str, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(bytes);
            bar.set_position(0);
            bar.set_message(what);
        }
    }

    /// More bytes were read.
    pub fn advance(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }
}

/// The line is gone before anything else is printed.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
