//! Checks that no line is longer than rustfmt's limit, which rustfmt does not enforce for comments and
//! literals.
//!
//! `documents.rs` checks the documents. `tests/ir/*.ll` may be wider, since each of FileCheck's patterns, and
//! each instruction of LLVM, is one line.

use std::fs;

use anyhow::{Context, Result, bail};
use xtask::run::{root, tracked_files};

/// As in rustfmt.toml and .clang-format.
pub(crate) const WIDTH: usize = 110;
const TAB: usize = 8;

/// Prints the lines that are too long. An error if there are any.
pub(crate) fn check() -> Result<()> {
    let mut count = 0;
    let files =
        ["*.rs", "*.c", "*.h", "*.cpp", "*.cppm", "*.s", "*.toml", "*.cmake", "*.in", "*.css", "*.js"];
    for file in tracked_files(&files)? {
        let text = fs::read_to_string(root().join(&file)).with_context(|| format!("cannot read {file}"))?;
        for (line, length) in long_lines(&text) {
            println!("{file}:{line}: {length} columns");
            count += 1;
        }
    }
    if count > 0 {
        bail!("{count} lines have more than {WIDTH} columns");
    }
    Ok(())
}

/// The numbers and lengths of long lines.
fn long_lines(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let lengths = text.lines().map(length).zip(1..);
    lengths.filter(|&(length, _)| length > WIDTH).map(|(length, line)| (line, length))
}

fn length(line: &str) -> usize {
    line.chars().fold(0, |length, c| if c == '\t' { (length / TAB + 1) * TAB } else { length + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_found() {
        let fits = "ä".repeat(WIDTH);
        let text =
            format!("{fits}\n{fits}x\n\t{}\n  \t{}y\n", "x".repeat(WIDTH - TAB), "x".repeat(WIDTH - TAB));
        assert_eq!(long_lines(&text).collect::<Vec<_>>(), [(2, WIDTH + 1), (4, WIDTH + 1)]);
    }
}
