//! Tracks which section a statement is in.

use std::collections::{HashMap, HashSet};

/// A section. Each place whose section is uncertain gets a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Section {
    number: usize,
    /// Whether it may contain code.
    pub(crate) is_code: bool,
    /// Whether this number always means the same section.
    pub(crate) is_known: bool,
}

/// The current and previous sections at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    current: Section,
    previous: Section,
    pushed: usize,
}

/// An open conditional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// The condition is known, and so is whether this branch is assembled.
    Known(bool),
    /// The condition is unknown: each branch must end in the section where it began.
    Unknown(State),
}

/// How a statement is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is, or may be, assembled here.
    Here,
    /// It belongs to a macro or a repetition.
    InMacro,
    /// It is a directive handled here, or is not assembled.
    Nowhere,
}

/// Follows the directives that change the section, or decide what is assembled, as GNU as documents them
/// ("Sub-Sections", `.pushsection`, `.if`, `.macro`, `.irp`).
#[derive(Debug)]
pub(crate) struct Sections {
    current: Section,
    previous: Section,
    pushed: Vec<[Section; 2]>,
    numbers: HashMap<Vec<u8>, usize>,
    next: usize,
    conditions: Vec<Condition>,
    /// The open macros and repetitions; true for those that are assembled once, as written.
    repetitions: Vec<bool>,
    /// The names of macros.
    macros: HashSet<Vec<u8>>,
    /// Whether the section is unknown because a condition, a macro or another file may have changed it.
    is_lost: bool,
}

impl Sections {
    pub(crate) fn new() -> Self {
        let text = Section { number: 0, is_code: true, is_known: true };
        Self {
            current: text,
            previous: text,
            pushed: Vec::new(),
            numbers: HashMap::from([(b".text".to_vec(), 0)]),
            next: 1,
            conditions: Vec::new(),
            repetitions: Vec::new(),
            macros: HashSet::new(),
            is_lost: false,
        }
    }

    /// The section of the next statement. It is unknown under a condition, and after one that left it
    /// unknown.
    pub(crate) fn current(&self) -> Section {
        let is_conditional =
            self.conditions.iter().any(|condition| matches!(condition, Condition::Unknown(_)));
        Section { is_known: self.current.is_known && !self.is_lost && !is_conditional, ..self.current }
    }

    /// Whether the next statement is between `.pushsection` and `.popsection`, and so outside the function.
    pub(crate) fn is_pushed(&self) -> bool {
        !self.pushed.is_empty()
    }

    /// Follows a statement.
    pub(crate) fn follow(&mut self, mnemonic: &[u8], operands: &[u8]) -> Place {
        if self.repetitions.contains(&false) {
            match mnemonic {
                b".macro" | b".rept" | b".irp" | b".irpc" => self.repetitions.push(false),
                b".endm" | b".endr" => {
                    self.repetitions.pop();
                }
                _ if is_followed(mnemonic) => self.is_lost = true,
                _ => return Place::InMacro,
            }
            return Place::Nowhere;
        }
        if self.follow_condition(mnemonic, operands) || self.conditions.contains(&Condition::Known(false)) {
            return Place::Nowhere;
        }
        match mnemonic {
            b".macro" | b".rept" | b".irp" | b".irpc" => {
                let mut names = operands.split(|&byte| byte == b',' || byte.is_ascii_whitespace());
                if mnemonic == b".macro" {
                    self.macros.extend(names.next().map(<[u8]>::to_vec));
                }
                self.repetitions.push(mnemonic == b".irp" && has_one_value(operands));
            }
            b".endm" | b".endr" => {
                self.repetitions.pop();
            }
            b".include" => self.is_lost = true,
            _ if is_followed(mnemonic) => self.follow_section(mnemonic, operands),
            _ => {
                // Its effect is unknown.
                self.is_lost |= self.macros.contains(mnemonic);
                return Place::Here;
            }
        }
        Place::Nowhere
    }

    fn follow_section(&mut self, directive: &[u8], operands: &[u8]) {
        let next = match directive {
            b".section" => self.named(operands),
            b".pushsection" => {
                self.pushed.push([self.current, self.previous]);
                self.named(operands)
            }
            b".popsection" => {
                if let Some([current, previous]) = self.pushed.pop() {
                    (self.current, self.previous) = (current, previous);
                }
                return;
            }
            b".previous" => self.previous,
            // A part of the same section.
            b".subsection" => self.current,
            _ => self.named(directive),
        };
        (self.current, self.previous) = (next, self.current);
    }

    fn state(&self) -> State {
        State { current: self.current, previous: self.previous, pushed: self.pushed.len() }
    }

    /// Processes a conditional directive. False for any other.
    fn follow_condition(&mut self, directive: &[u8], operands: &[u8]) -> bool {
        if directive.starts_with(b".if") {
            let number = std::str::from_utf8(operands).ok().and_then(|text| text.parse::<u64>().ok());
            self.conditions.push(match number.filter(|_| directive == b".if") {
                Some(number) => Condition::Known(number != 0),
                None => Condition::Unknown(self.state()),
            });
            return true;
        }
        let is_end = directive == b".endif";
        if !is_end && !directive.starts_with(b".else") {
            return false;
        }
        let state = self.state();
        match self.conditions.last_mut() {
            Some(Condition::Known(is_assembled)) if is_end || directive == b".else" => {
                *is_assembled = !*is_assembled;
            }
            Some(Condition::Unknown(before)) if *before == state => {}
            _ => self.is_lost = true,
        }
        if is_end {
            self.conditions.pop();
        }
        true
    }

    /// The section with this name and these flags.
    fn named(&mut self, name: &[u8]) -> Section {
        let is_text = name.starts_with(b".text") || name.starts_with(b"\".text");
        let flags = name.split(|&byte| byte == b',').nth(1).map(<[u8]>::trim_ascii).unwrap_or_default();
        let is_quoted = flags.starts_with(b"\"");
        let is_code = is_text || is_quoted && flags.contains(&b'x') || !is_quoted && !is_data(name);
        // `?` means the previous section's group. A quoted name may contain a comma.
        let is_known = !(name.starts_with(b"\"") || is_quoted && flags.contains(&b'?'));
        let next = self.next;
        let number = match is_known {
            true => *self.numbers.entry(name.to_vec()).or_insert(next),
            false => next,
        };
        self.next += usize::from(number == next);
        Section { number, is_code, is_known }
    }
}

fn is_data(name: &[u8]) -> bool {
    [&b".data"[..], b".bss", b".rodata", b".debug"].iter().any(|start| name.starts_with(start))
}

/// Whether a directive changes the section.
fn is_followed(directive: &[u8]) -> bool {
    const ALL: [&[u8]; 8] = [
        b".text",
        b".data",
        b".bss",
        b".section",
        b".pushsection",
        b".popsection",
        b".previous",
        b".subsection",
    ];
    ALL.contains(&directive)
}

/// Whether the operands of `.irp` are a name and one value, quoted or not.
fn has_one_value(operands: &[u8]) -> bool {
    let Some(comma) = operands.iter().position(|&byte| byte == b',') else { return false };
    let value = operands[comma + 1..].trim_ascii();
    match value.strip_prefix(b"\"") {
        Some(rest) => rest.iter().position(|&byte| byte == b'"') == Some(rest.len().saturating_sub(1)),
        None => !value.is_empty() && !value.iter().any(|byte| b",\" \t".contains(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(directives: &[&str]) -> Sections {
        let mut sections = Sections::new();
        for directive in directives {
            let (name, operands) = directive.split_once(' ').unwrap_or((directive, ""));
            sections.follow(name.as_bytes(), operands.as_bytes());
        }
        sections
    }

    #[test]
    fn sections_are_followed() {
        let text = Sections::new().current();
        assert!(text.is_code && text.is_known);
        let data = ".section .rodata.str1.1,\"aMS\",@progbits,1";
        let f = ".pushsection .text.f,\"axG\",@progbits,f,comdat";
        assert!(!followed(&[data]).current().is_code);
        assert_eq!(followed(&[data, ".previous"]).current(), text);
        assert!(followed(&[data, f]).current().is_code && followed(&[data, f]).is_pushed());
        assert!(followed(&[f]).current() != text);
        assert_eq!(followed(&[f, ".data", ".popsection"]).current(), text);
        // `.popsection` also restores the previous section.
        assert!(!followed(&[data, ".text", f, ".popsection", ".previous"]).current().is_code);
        assert_eq!(followed(&[".text.f", ".text", ".p2align 3"]).current(), text);
        let again = ".section .text.g,\"ax?\",@progbits";
        assert!(followed(&[again]).current() != followed(&[again, again]).current());
        assert!(!followed(&[again]).current().is_known);
        assert!(!followed(&[".include \"x\""]).current().is_known);
    }

    #[test]
    fn a_condition_must_keep_the_section() {
        let is_known = |directives: &[&str]| followed(directives).current().is_known;
        assert!(is_known(&[".ifndef x", ".pushsection .a", ".data", ".popsection", ".endif"]));
        assert!(is_known(&[".if x", ".if y", ".pushsection .a", ".popsection", ".else", ".endif", ".endif"]));
        assert!(!is_known(&[".if x", ".data", ".endif"]));
        assert!(!is_known(&[".if x", ".pushsection .a", ".endif", ".popsection"]));
        assert!(!is_known(&[".if x", ".data", ".else", ".text", ".endif"]));
        assert!(!is_known(&[".if x"]));
    }

    #[test]
    fn what_is_known_not_to_be_assembled_is_left_out() {
        let section = |directives: &[&str]| {
            let sections = followed(directives);
            (sections.current(), sections.pushed.len())
        };
        let text = Sections::new().current();
        let both = [".if 0", ".pushsection .a", ".else", ".pushsection .b", ".endif"];
        assert_eq!(section(&both), section(&[".pushsection .b"]));
        assert_eq!(section(&[&both[..], &[".popsection"]].concat()), (text, 0));
        assert_eq!(section(&[".if 0", ".if x", ".data", ".endif", ".endif"]), (text, 0));
        assert_eq!(section(&[".if 2", ".else", ".if 1", ".data", ".endif", ".endif"]), (text, 0));
        let once = [&[".irp k, \"a b\""], &both[..], &[".endr"]].concat();
        assert_eq!(section(&once), section(&[".pushsection .b"]));
        let twice = followed(&[".irp k, a, b", ".pushsection .b", ".endr"]);
        assert!(!twice.current().is_known);
        let unused = followed(&[".macro m x", ".endm"]);
        assert!(unused.current().is_known);
        assert!(!followed(&[".macro m x", ".endm", "m 1"]).current().is_known);
    }
}
