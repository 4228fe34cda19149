//! Asks debug information for the sources of code and keys, and for the types of functions.
//!
//! All questions are asked at once, so that one walk through the units answers them and only the answers are
//! kept.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::answers::{Answers, Questions};
use crate::budget::Budget;
use crate::dwarf::{Debug, Missing};
use crate::elf::Elf;
use crate::name::{counted, printable};
use crate::walk::Walk;

/// Asks a file's debug information. None: the file has none.
#[must_use]
pub fn ask(path: &Path, elf: &Elf<'_>, mut questions: Questions, budget: &Budget) -> Option<Answers> {
    let debug = Debug::find(path, elf, budget)?;
    questions.places.sort_unstable();
    questions.places.dedup();
    let mut walk = Walk::new(questions, budget);
    let missing = debug.visit(&mut walk, budget);
    let mut answers = walk.answers;
    answers.missing = missing_in_words(missing);
    answers.loads.sort_by_key(|load| load.ranges[0].start);
    answers.loads.dedup_by(|one, other| one.ranges == other.ranges);
    for load in &answers.loads {
        let start = load.ranges[0].start;
        answers.places.entry(start).or_insert_with(|| load.places.clone());
        if let Some(compiler) = &load.compiler {
            answers.compilers.entry(start).or_insert_with(|| Rc::clone(compiler));
        }
    }
    Some(answers)
}

fn missing_in_words(missing: Missing) -> Option<String> {
    let (path, count): (PathBuf, usize) = missing?;
    Some(format!(
        "types, inlined functions and Rust's source lines of {}, whose split debug information cannot be \
         read (the first is {})",
        counted(count, "compilation unit"),
        printable(&path.to_string_lossy())
    ))
}
