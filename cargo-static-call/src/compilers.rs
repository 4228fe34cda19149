//! The compilers that a file names.

use crate::budget::Budget;
use crate::elf::Elf;
use crate::name;

/// The compilers that have written their names into `.comment`, without repetition. Those of the C library's
/// object files, with which every program starts, are among them. Linkers write there as well, and make no
/// calls.
#[must_use]
pub(crate) fn of(elf: &Elf<'_>, budget: &Budget) -> Vec<String> {
    const MOST: usize = 16;
    let mut compilers = Vec::new();
    let comment = elf.section(".comment").map_or(&[][..], |section| section.data);
    for text in comment.split(|&byte| byte == 0).filter(|text| !text.is_empty()) {
        if !budget.steps(1 + text.len()) || compilers.len() == MOST {
            break;
        }
        let is_linker = [&b"Linker: "[..], b"mold "].iter().any(|linker| text.starts_with(linker));
        let name = name::compiler(text);
        if !is_linker && !compilers.contains(&name) {
            compilers.push(name);
        }
    }
    compilers
}
