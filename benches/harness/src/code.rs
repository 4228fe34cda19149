//! Inspects a program's machine code with objdump.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use object::{Object, ObjectSection};

use xtask::run::output;

/// An instruction: its address, and objdump's text for it.
pub(crate) type Instruction = (u64, String);

/// The functions of a program, by name.
pub(crate) fn functions(program: &Path) -> Result<HashMap<String, Vec<Instruction>>> {
    let text =
        output(Command::new("objdump").args(["-d", "--no-show-raw-insn", "--section=.text"]).arg(program))?;
    let mut functions = HashMap::new();
    let mut current: &mut Vec<Instruction> = &mut Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
            current = functions.entry(name.1.to_owned()).or_default();
        } else if let Some((address, instruction)) = line.split_once(":\t")
            && let Ok(address) = u64::from_str_radix(address.trim(), 16)
        {
            current.push((address, instruction.trim().to_owned()));
        }
    }
    Ok(functions)
}

/// Writes some functions to a file, so that readers can check a number.
pub(crate) fn write(
    functions: &HashMap<String, Vec<Instruction>>,
    is_wanted: impl Fn(&&String) -> bool,
    path: &Path,
) -> Result<()> {
    let mut names: Vec<&String> = functions.keys().filter(|name| is_wanted(name)).collect();
    names.sort();
    let mut text = String::new();
    for name in names {
        writeln!(text, "{name}:")?;
        for (address, instruction) in functions[name].iter().filter(|(_, text)| text != "int3") {
            writeln!(text, "  {address:8x}  {instruction}")?;
        }
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The destination of a branch in objdump's output.
pub(crate) fn destination(branch: &str) -> Option<u64> {
    u64::from_str_radix(branch.split_whitespace().nth(1)?, 16).ok()
}

/// A program's procedure linkage tables, through which ifuncs are called.
pub(crate) struct Stubs(Vec<(u64, Vec<u8>)>);

impl Stubs {
    pub(crate) fn of(program: &Path) -> Result<Self> {
        let bytes = std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        let file = object::File::parse(&*bytes)?;
        let is_plt = |section: &object::Section<'_, '_>| {
            section.name().is_ok_and(|name| [".plt", ".plt.got", ".plt.sec", ".iplt"].contains(&name))
        };
        let section = |section: object::Section<'_, '_>| Ok((section.address(), section.data()?.to_vec()));
        file.sections().filter(is_plt).map(section).collect::<Result<_>>().map(Self)
    }

    /// Whether the entry at this address jumps through a pointer, and not through a retpoline. None if there
    /// is no entry.
    pub(crate) fn jumps(&self, address: u64) -> Option<bool> {
        /// `jmp *pointer(%rip)`
        const JUMP: [u8; 2] = [0xff, 0x25];
        Some(self.entry(address)?.windows(JUMP.len()).any(|bytes| bytes == JUMP))
    }

    /// The 16 bytes of the entry at this address.
    fn entry(&self, address: u64) -> Option<&[u8]> {
        self.0.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(from..from.checked_add(16)?)
        })
    }
}

/// The last loop of a function.
pub(crate) struct Loop {
    /// Where it starts.
    pub(crate) start: u64,
    /// Its instructions without nops, and without the destinations of calls and jumps.
    pub(crate) instructions: Vec<String>,
    /// What it calls.
    pub(crate) callees: Vec<String>,
}

impl Loop {
    pub(crate) fn of(function: &[Instruction]) -> Option<Self> {
        Self::ending_at(
            function,
            function.iter().rev().filter(|(_, instruction)| instruction.starts_with('j')),
        )
    }

    /// The first one that ends in a condition: cold code behind it jumps back into it.
    pub(crate) fn first(function: &[Instruction]) -> Option<Self> {
        let is_condition = |text: &str| text.starts_with('j') && !text.starts_with("jmp");
        Self::ending_at(function, function.iter().filter(|(_, instruction)| is_condition(instruction)))
    }

    /// The one whose last instruction is the first of these that jumps back.
    fn ending_at<'a>(
        function: &[Instruction],
        mut jumps: impl Iterator<Item = &'a Instruction>,
    ) -> Option<Self> {
        let first = function.first()?.0;
        let (start, end) = jumps.find_map(|(address, instruction)| {
            let target = destination(instruction)?;
            (first..*address).contains(&target).then_some((target, *address))
        })?;
        let body = || {
            let inside = function.iter().filter(|(address, _)| (start..=end).contains(address));
            inside
                .map(|(_, instruction)| without_padding(instruction))
                .filter(|instruction| !is_nop(instruction))
        };
        let is_branch = |instruction: &str| instruction.starts_with('j') || instruction.starts_with("call");
        let instructions = body().map(|instruction| match instruction.split_once(' ') {
            Some((branch, _)) if is_branch(branch) => branch.to_owned(),
            _ => instruction.to_owned(),
        });
        let callees = body().filter(|instruction| instruction.starts_with("call"));
        Some(Self {
            start,
            instructions: instructions.collect(),
            callees: callees.map(str::to_owned).collect(),
        })
    }
}

/// A static call may have prefixes without effect.
fn without_padding(instruction: &str) -> &str {
    instruction.trim_start_matches("addr32 ").trim_start_matches("cs ")
}

fn is_nop(instruction: &str) -> bool {
    instruction.contains("nop") || instruction == "xchg   %ax,%ax"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_starts_where_the_last_jump_back_goes() {
        let function = [
            (0x40, "test   %edi,%edi"),
            (0x42, "je     60 <f+0x20>"),
            (0x50, "mov    %rax,%rdi"),
            (0x53, "addr32 addr32 call 100 <target>"),
            (0x5a, "nop"),
            (0x5b, "jne    50 <f+0x10>"),
            (0x60, "jmp    70 <g>"),
        ]
        .map(|(address, instruction)| (address, instruction.to_owned()));
        let body = Loop::of(&function).expect("a loop");
        assert_eq!(body.start, 0x50);
        assert_eq!(body.instructions, ["mov    %rax,%rdi", "call", "jne"]);
        assert_eq!(body.callees, ["call 100 <target>"]);
        assert_eq!(destination(&body.callees[0]), Some(0x100));
        assert!(Loop::of(&function[5..]).is_none());

        // A branch, and the block behind it that jumps back into the loop.
        let function = [
            (0x50, "mov    %rax,%rdi"),
            (0x53, "cs jmp 70 <f+0x30>"),
            (0x59, "jne    50 <f+0x10>"),
            (0x5b, "ret"),
            (0x5c, "call   100 <hook>"),
            (0x61, "jmp    59 <f+0x19>"),
        ]
        .map(|(address, instruction)| (address, instruction.to_owned()));
        let body = Loop::first(&function).expect("a loop");
        assert_eq!(body.instructions, ["mov    %rax,%rdi", "jmp", "jne"]);
        assert_eq!(body.callees, [""; 0]);
    }
}
