//! Finds the functions that are too long to be padded.

use crate::machine::Machine;
use crate::section::{Place, Sections};
use crate::source::is_function;
use crate::statement::{Splitter, Statement};

/// The functions in the order of their labels.
#[derive(Debug)]
pub(crate) struct TooLong {
    functions: Vec<bool>,
    current: usize,
}

impl TooLong {
    /// Moves to the next function.
    pub(crate) fn function(&mut self) {
        self.current += 1;
    }

    pub(crate) fn is_set(&self) -> bool {
        self.functions.get(self.current).copied().unwrap_or_default()
    }
}

/// Computes an upper bound of each function's length, including the padding of its sites. Code before the
/// first label counts as a function.
pub(crate) fn too_long(text: &[u8], machine: Machine) -> TooLong {
    let mut found = TooLong { functions: Vec::new(), current: 0 };
    let Some(longest) = machine.longest_function() else { return found };
    let mut sections = Sections::new();
    let mut splitter = Splitter::new(machine.comment());
    let mut length = 0_u64;
    for line in text.split(|&byte| byte == b'\n') {
        splitter.split(line, |statement| {
            let is_pushed = sections.is_pushed();
            match sections.follow(statement.mnemonic, statement.operands) {
                Place::Here => {}
                // The number of repetitions is unknown.
                Place::InMacro => length = u64::MAX,
                Place::Nowhere => return,
            }
            if is_function(statement.label) && !is_pushed {
                found.functions.push(length > longest);
                length = 0;
            }
            if sections.current().is_code {
                length = length.saturating_add(self::length(statement, machine));
            }
        });
    }
    found.functions.push(length > longest);
    found
}

/// The most bytes that a statement can assemble to.
fn length(statement: Statement<'_>, machine: Machine) -> u64 {
    let Statement { mnemonic, operands, .. } = statement;
    if mnemonic.is_empty() {
        return 0;
    }
    if !mnemonic.starts_with(b".") {
        let padding = match machine.branch(mnemonic, operands) {
            Some((kind, _)) => machine.layout(kind).map_or(0, |layout| u64::from(layout.place.max_bytes)),
            None => 0,
        };
        return machine.longest_instruction(mnemonic) + padding;
    }
    let values = 1 + operands.iter().filter(|&&byte| byte == b',').count() as u64;
    let number = || {
        let first = operands.split(|&byte| byte == b',').next()?.trim_ascii();
        std::str::from_utf8(first).ok()?.parse::<u64>().ok()
    };
    match mnemonic {
        b".p2align" | b".align" | b".balign" => number().map_or(u64::MAX, |number| match mnemonic {
            b".balign" => number,
            // The unit of `.align` is bytes or powers of two, depending on the target.
            _ => number.max(1_u64.checked_shl(number.min(63) as u32).unwrap_or(u64::MAX)),
        }),
        b".byte" | b".2byte" | b".4byte" | b".8byte" | b".short" | b".half" | b".hword" | b".word"
        | b".long" | b".quad" | b".dword" | b".int" | b".insn" => 16 * values,
        b".zero" | b".skip" | b".space" => number().unwrap_or(u64::MAX),
        b".ascii" | b".asciz" | b".string" => operands.len() as u64 + values,
        b".fill" | b".org" | b".incbin" => u64::MAX,
        _ => 0,
    }
}
