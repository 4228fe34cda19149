//! Marks the calls of trampolines in assembler source.
//!
//! ```text
//!     call t      ->      .byte 0x67; .p2align 3,0x67,4; .Lstatic_call_as1: call t;
//!                         .pushsection static_call_sites,"aw?o",%progbits,.Lstatic_call_as1;
//!                         .p2align 2; .long .Lstatic_call_as1-.; .popsection
//! ```
//!
//! All of this stays on the call's own line, so the assembler's messages and line tables keep their line
//! numbers. The entry's section is linked to the call's section (`o`), by the first of our labels in it, and
//! joins its group (`?`), so a linker keeps or drops both.
//!
//! An unmarked call is correct too: it goes through its trampoline. So unusual source stays unchanged.

use std::collections::HashMap;

use static_call_abi::{KEY_SUFFIX, Placement, SECTIONS, SITES_SECTION, TRAMPOLINE_PREFIX};

use crate::lengths;
use crate::machine::{Kind, Layout, Machine};
use crate::search;
use crate::section::{Place, Section, Sections};
use crate::source::{Source, is_function};
use crate::statement::{Splitter, Statement, is_in_name};

/// The prefix of our labels.
const LABEL: &str = ".Lstatic_call_as";

/// A part of every trampoline's name.
pub(crate) const TRAMPOLINE: &[u8] =
    TRAMPOLINE_PREFIX.split_at(TRAMPOLINE_PREFIX.len() - ".".len()).0.as_bytes();

/// The prefixes of C++ trampolines, which the header makes with a template: of a class for clang, of a
/// function for gcc.
const TEMPLATE_PREFIXES: [&str; 2] = ["_ZN24__static_call_trampolineI", "_Z24__static_call_trampolineI"];

/// What the command line and the assembler's version determine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) machine: Machine,
    /// Whether the assembler can retain an unreferenced section (`R`, GNU as 2.36).
    pub(crate) retains: bool,
    /// Which branches the assembler was told to pad.
    pub(crate) pads: Pads,
    /// Whether functions must not end with a plain return.
    pub(crate) returns_with_care: bool,
}

impl Settings {
    /// Why branches of this kind must not be marked.
    fn refuses(&self, kind: Kind) -> Option<&'static str> {
        let is_padded = match self.pads {
            Pads::Nothing => false,
            Pads::Jumps => kind != Kind::Call,
            Pads::All => true,
        };
        match kind {
            _ if is_padded => {
                Some("the assembler was told to pad such branches, and may move it away from its label")
            }
            Kind::Jump | Kind::ConditionalJump if self.returns_with_care => {
                Some("its function must not end with a plain return, which may replace it")
            }
            _ => None,
        }
    }
}

/// Which branches the assembler pads itself, possibly between our label and the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pads {
    Nothing,
    Jumps,
    All,
}

/// A branch to a trampoline, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) place: String,
    pub(crate) function: String,
    pub(crate) key: String,
    pub(crate) kind: Kind,
    /// Why it is not marked.
    pub(crate) left: Option<&'static str>,
}

/// Whether a text may contain calls to mark.
pub(crate) fn names_trampoline(text: &[u8]) -> bool {
    search::has(text, TRAMPOLINE)
}

/// Whether it does, and is not marked yet.
pub(crate) fn concerns(text: &[u8]) -> bool {
    names_trampoline(text) && !search::has(text, LABEL.as_bytes())
}

/// Marks the calls in `text`. None if it contains none.
pub(crate) fn rewrite(text: &[u8], settings: Settings) -> (Option<Vec<u8>>, Vec<Found>) {
    let too_long = lengths::too_long(text, settings.machine);
    let mut writer = Writer {
        settings,
        output: Vec::with_capacity(text.len() + text.len() / 4),
        sections: Sections::new(),
        source: Source::default(),
        links: HashMap::new(),
        labels: 0,
        is_thumb: false,
        nop: None,
        found: Vec::new(),
        too_long,
        keys: hashed_keys(text),
    };
    let mut splitter = Splitter::new(settings.machine.comment());
    let mut lines = text.split_inclusive(|&byte| byte == b'\n');
    while let Some(line) = lines.next() {
        writer.line(line, &mut splitter, lines.clone().next());
    }
    let is_changed = writer.labels > 0;
    (is_changed.then_some(writer.output), writer.found)
}

struct Writer {
    settings: Settings,
    output: Vec<u8>,
    sections: Sections,
    source: Source,
    /// The label to which a section's entries are linked.
    links: HashMap<Section, usize>,
    /// The number of labels so far.
    labels: usize,
    is_thumb: bool,
    /// What replaces the next statement, a no-op.
    nop: Option<&'static str>,
    found: Vec<Found>,
    too_long: lengths::TooLong,
    /// The keys of trampolines whose names do not contain them.
    keys: HashMap<Vec<u8>, String>,
}

impl Writer {
    fn line(&mut self, line: &[u8], splitter: &mut Splitter, next: Option<&[u8]>) {
        let end = line.len() - usize::from(line.ends_with(b"\n"));
        let mut statements = Vec::new();
        splitter.split(&line[..end], |statement| statements.push(statement));
        let mut copied = 0;
        for index in 0..statements.len() {
            let statement = statements[index];
            if let Some(nop) = self.nop.take() {
                self.output.extend(&line[copied..statement.start]);
                self.output.extend(nop.as_bytes());
                copied = statement.end;
                continue;
            }
            let is_last = index + 1 == statements.len();
            let follower = match is_last {
                false => Some(statements[index + 1]),
                true => next.and_then(|next| only_statement(next, splitter)),
            };
            let Some(site) = self.statement(statement, follower) else { continue };
            self.output.extend(&line[copied..statement.start]);
            let instruction = &line[statement.start..statement.end];
            self.site(instruction, site);
            copied = statement.end;
        }
        self.output.extend(&line[copied..]);
    }

    /// Processes a statement. Some if it must be marked.
    fn statement(&mut self, statement: Statement<'_>, follower: Option<Statement<'_>>) -> Option<Layout> {
        let Statement { label, mnemonic, operands, .. } = statement;
        let is_pushed = self.sections.is_pushed();
        let place = self.sections.follow(mnemonic, operands);
        if place == Place::Nowhere {
            return None;
        }
        if is_function(label) && !is_pushed {
            self.source.function_starts(label);
            self.too_long.function();
        }
        if mnemonic.starts_with(b".") {
            if place == Place::Here {
                self.directive(mnemonic, operands);
            }
            return None;
        }
        let name = named_trampoline(operands)?;
        let settings = self.settings;
        let (kind, destination) = settings.machine.branch(mnemonic, operands)?;
        let layout = settings.machine.layout(kind);
        let left = match layout {
            _ if !is_destination(settings.machine, destination, name) => {
                Some("it is more than a plain branch")
            }
            _ if place == Place::InMacro => Some("it is in a macro or a repetition"),
            _ if self.is_thumb => Some("it is Thumb code"),
            _ if self.too_long.is_set() => {
                Some("its function is so long that padding could break its branches")
            }
            None => Some("this machine's trampolines take no jumps"),
            Some(layout) if layout.instead_of_nop.is_some() && !follower.is_some_and(is_nop) => {
                Some("no no-op follows it, in whose place the TOC pointer could be restored")
            }
            Some(_) => settings.refuses(kind),
        };
        let key = self.keys.get(name).cloned().unwrap_or_else(|| key(name));
        let (place, function) = (self.source.place(), self.source.function());
        self.found.push(Found { place, function, key, kind, left });
        layout.filter(|_| left.is_none())
    }

    fn directive(&mut self, name: &[u8], operands: &[u8]) {
        match name {
            b".arm" => self.is_thumb = false,
            b".thumb" | b".thumb_func" => self.is_thumb = true,
            b".code" => self.is_thumb = operands == b"16",
            _ => self.source.directive(name, operands),
        }
    }

    /// Writes a marked instruction.
    fn site(&mut self, instruction: &[u8], layout: Layout) {
        if self.labels == 0 {
            self.name_sections();
        }
        self.labels += 1;
        let label = self.labels;
        let section = self.sections.current();
        // Under a condition, the label may be missing for other calls.
        let link = match section.is_known {
            true => *self.links.entry(section).or_insert(label),
            false => label,
        };
        let Layout { place, prefix, always, around: [before, after], instead_of_nop } = layout;
        let Placement { log2_align, max_bytes, .. } = place;
        let mut text = String::new();
        // The assembler starts the line table's row here, so a breakpoint on the call's line lands on its
        // first prefix.
        if always && let Some(prefix) = prefix {
            text += &format!(".byte {prefix}; ");
        }
        if log2_align != 0 {
            text += &format!(".p2align {log2_align},{},{max_bytes}; ", prefix.unwrap_or_default());
        }
        if !before.is_empty() {
            text += &format!("{before}; ");
        }
        self.output.extend(format!("{text}{LABEL}{label}: ").as_bytes());
        self.output.extend(instruction);
        if !after.is_empty() {
            self.output.extend(format!("; {after}").as_bytes());
        }
        self.output.extend(
            format!(
                "; .pushsection {SITES_SECTION},\"aw?o\",%progbits,{LABEL}{link}; .p2align 2; \
                 .long {LABEL}{label}-.; .popsection"
            )
            .as_bytes(),
        );
        self.nop = instead_of_nop;
    }

    /// Linkers place our sections in the order in which they first see them, and this file may be the first
    /// to use any. So name each section once, empty and retained.
    fn name_sections(&mut self) {
        let flags = if self.settings.retains { "awR" } else { "aw" };
        for section in SECTIONS {
            let directive =
                format!(".pushsection {section},\"{flags}\",%progbits,unique,1000000; .popsection; ");
            self.output.extend(directive.as_bytes());
        }
    }
}

/// The statement of a line with exactly one statement and no label.
fn only_statement<'a>(line: &'a [u8], splitter: &Splitter) -> Option<Statement<'a>> {
    let mut found = Vec::new();
    splitter.clone().split(line.trim_ascii_end(), |statement| found.push(statement));
    found.first().copied()
}

fn is_nop(statement: Statement<'_>) -> bool {
    statement.label.is_empty() && statement.mnemonic == b"nop" && statement.operands.is_empty()
}

/// The trampoline that an operand names.
fn named_trampoline(operands: &[u8]) -> Option<&[u8]> {
    let place = operands.windows(TRAMPOLINE.len()).position(|window| window == TRAMPOLINE)?;
    let before = operands[..place].iter().rev();
    let name = match before.clone().position(|&byte| byte == b'"') {
        Some(length) => operands[place - length..].split(|&byte| byte == b'"').next()?,
        None => {
            let start = place - before.take_while(|&&byte| is_in_name(byte)).count();
            let length = operands[start..].iter().take_while(|&&byte| is_in_name(byte)).count();
            &operands[start..start + length]
        }
    };
    let starts = [TRAMPOLINE_PREFIX].into_iter().chain(TEMPLATE_PREFIXES);
    let is_one = { starts }.any(|start| name.starts_with(start.as_bytes()));
    Some(name).filter(|name| is_one && !name.contains(&b'\\'))
}

/// The name of a trampoline's key as the source writes it, or else its symbol.
fn key(trampoline: &[u8]) -> String {
    let text = String::from_utf8_lossy(trampoline);
    let plain = text.strip_prefix(TRAMPOLINE_PREFIX);
    let name = plain.and_then(|key| Some(key.split_once(KEY_SUFFIX)?.0)).or_else(|| mangled_key(&text));
    name.or(plain).unwrap_or(&text).to_owned()
}

/// The keys of gcc's trampolines in C++, whose names are hashes: the header's text has both symbols.
fn hashed_keys(text: &[u8]) -> HashMap<Vec<u8>, String> {
    let mut keys = HashMap::new();
    if !search::has(text, TEMPLATE_PREFIXES[1].as_bytes()) {
        return keys;
    }
    let mut last = None;
    for line in text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii) {
        if let Some(symbol) = line.strip_prefix(b".irp k, ") {
            last = Some(String::from_utf8_lossy(symbol));
        } else if let Some(name) = line.strip_prefix(b".irp t, ")
            && let Some(symbol) = last.take()
        {
            let plain = symbol.strip_suffix(KEY_SUFFIX).filter(|name| !name.starts_with("_Z"));
            if let Some(key) = plain.or_else(|| mangled_key(&symbol)) {
                keys.insert(name.to_owned(), key.to_owned());
            }
        }
    }
    keys
}

/// The key's name in a C++ symbol, in which the length precedes it.
fn mangled_key(symbol: &str) -> Option<&str> {
    let end = symbol.find(KEY_SUFFIX)?;
    let is_start = |&start: &usize| {
        let Some(before) = symbol.get(..start) else { return false };
        let digits = before.bytes().rev().take_while(u8::is_ascii_digit).count();
        before[start - digits..].parse() == Ok(end - start + KEY_SUFFIX.len())
    };
    symbol.get((1..end).find(is_start)?..end)
}

/// Whether a branch's destination is this symbol and nothing else.
fn is_destination(machine: Machine, destination: &[u8], name: &[u8]) -> bool {
    let (before, after): (&[u8], &[&[u8]]) = match machine {
        Machine::Arm => (b"", &[b"", b"(PLT)"]),
        Machine::Loongarch64 if destination.starts_with(b"%plt(") => (b"%plt(", &[b")"]),
        Machine::Aarch64 | Machine::Loongarch64 | Machine::Powerpc64 => (b"", &[b""]),
        _ => (b"", &[b"", b"@PLT", b"@plt"]),
    };
    let Some(rest) = destination.strip_prefix(before) else { return false };
    let rest = match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted.strip_prefix(name).and_then(|rest| rest.strip_prefix(b"\"")),
        None => rest.strip_prefix(name),
    };
    rest.is_some_and(|rest| after.contains(&rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings =
        Settings { machine: Machine::X86_64, retains: true, pads: Pads::Nothing, returns_with_care: false };

    /// The places of the marked calls, and why the others are not marked.
    fn marked(text: &str, settings: Settings) -> Vec<String> {
        let (output, found) = rewrite(text.as_bytes(), settings);
        let output = output.map(|output| String::from_utf8(output).expect("UTF-8"));
        if let Some(output) = &output {
            assert_eq!(output.lines().count(), text.lines().count(), "the lines keep their numbers");
        }
        let entries = output.unwrap_or_default().matches(".long .Lstatic_call_as").count();
        assert_eq!(found.iter().filter(|found| found.left.is_none()).count(), entries);
        let line = |found: Found| {
            let Found { place, function, key, kind, left } = found;
            format!("{place} {function} {key} {} {}", kind.name(), left.unwrap_or("marked"))
        };
        found.into_iter().map(line).collect()
    }

    #[test]
    fn whole_branches_to_trampolines_are_marked_and_nothing_else() {
        let text = "\t.file \"t.c\"
f:\tcall __static_call_trampoline.a__static_call_key # why not
1: nop; jmp \"__static_call_trampoline.b\"@PLT; ret
\tjne\t__static_call_trampoline.é /* and */
\tcall *__static_call_trampoline.a(%rip)
\tcall __static_call_trampoline.a+4
\tlea __static_call_trampoline.a(%rip), %rax
\t.quad __static_call_trampoline.a
\t.ascii \"call __static_call_trampoline.a\"
# call __static_call_trampoline.a
/* call __static_call_trampoline.a
call __static_call_trampoline.a */
\t.macro m
\tcall __static_call_trampoline.a
\t.endm
\tcall g
";
        let more = "it is more than a plain branch";
        let expected = [
            "t.c f a call marked".to_owned(),
            "t.c f b tail call marked".to_owned(),
            "t.c f é conditional tail call marked".to_owned(),
            format!("t.c f a call {more}"),
            format!("t.c f a call {more}"),
            "t.c f a call it is in a macro or a repetition".to_owned(),
        ];
        assert_eq!(marked(text, SETTINGS), expected);
        let padded = marked(text, Settings { pads: Pads::Jumps, ..SETTINGS });
        assert!(padded[0].ends_with("marked") && padded[1].contains("pad") && padded[2].contains("pad"));
        let careful = marked(text, Settings { returns_with_care: true, ..SETTINGS });
        assert!(careful[0].ends_with("marked") && careful[1].contains("plain return"));
        assert!(marked(text, Settings { pads: Pads::All, ..SETTINGS })[0].contains("pad"));
    }

    #[test]
    fn the_trampolines_of_the_header_are_known() {
        let text = "f:
\t.irp k, _ZN2ns18d__static_call_keyE
\t.irp t, _Z24__static_call_trampolineILm1ELm2ELm3EEvv
\t.endr
\t.endr
\tcall \"__static_call_trampoline.a__static_call_key./some dir/t.c\"
\tcall _ZN24__static_call_trampolineIXadL_Z20a_1__static_call_keyEELm9E6__codeE
\tcall _ZN24__static_call_trampolineIXadL_ZN2ns18c__static_call_keyEEELm9E6__codeE@PLT
\tcall _Z24__static_call_trampolineILm1ELm2ELm3EEvv@PLT
\tcall _Z24__static_call_trampolinev
\tcall my__static_call_trampoline.a
";
        assert_eq!(
            marked(text, SETTINGS),
            [" f a call marked", " f a_1 call marked", " f c call marked", " f d call marked"]
        );
    }

    /// Inline assembler that switches to another section and back.
    #[test]
    fn a_trampoline_in_a_function_does_not_end_it() {
        let text = "f:
\t.if x
\t.pushsection .text.static_call,\"ax\"
\"__static_call_trampoline.a\":
\tnop
\t.popsection
\t.endif
\tcall __static_call_trampoline.a
\tcall __static_call_trampoline.a
";
        assert_eq!(marked(text, SETTINGS), [" f a call marked"; 2]);
        let (output, _) = rewrite(text.as_bytes(), SETTINGS);
        let output = String::from_utf8(output.expect("calls")).expect("UTF-8");
        assert_eq!(output.matches("%progbits,.Lstatic_call_as1").count(), 2, "one section: {output}");
    }

    #[test]
    fn entries_are_linked_to_a_label_of_their_section() {
        let call = "call __static_call_trampoline.a\n";
        let sections = [
            (".text", "1"),
            (".section .text.b,\"ax\",@progbits", "2"),
            (".text", "1"),
            (".pushsection .text.b,\"ax\",@progbits", "2"),
            (".popsection", "1"),
            (".section .text.c,\"ax?\",@progbits", "6"),
            (".section .text.c,\"ax?\",@progbits", "7"),
            // It is unknown whether this is assembled.
            (".text; .if x; .data; .endif", "8"),
            (".text", "9"),
        ];
        let text: String = sections.iter().map(|(directive, _)| format!("{directive}\n{call}")).collect();
        let (output, _) = rewrite(text.as_bytes(), SETTINGS);
        let output = String::from_utf8(output.expect("calls")).expect("UTF-8");
        let links = output.lines().filter_map(|line| {
            let (_, link) = line.split_once("%progbits,.Lstatic_call_as")?;
            link.split(';').next()
        });
        assert_eq!(links.collect::<Vec<_>>(), sections.map(|(_, link)| link));
    }

    #[test]
    fn the_lines_of_calls_are_told() {
        let text = "\t.file 1 \"/dir\" \"a.h\" md5 0x12\nf:\n\t.loc 1 7 3\n\tnop\n\
                    \tcall __static_call_trampoline.a\n\t.loc 1 8 3\n\tjmp __static_call_trampoline.a\n";
        assert_eq!(marked(text, SETTINGS), ["a.h:7 f a call marked", "a.h:8 f a tail call marked"]);
    }

    #[test]
    fn other_machines_have_rules_of_their_own() {
        let on = |machine, text: &str| marked(text, Settings { machine, ..SETTINGS });
        let t = "__static_call_trampoline.a";
        let tail = " f a tail call marked";
        let call = " f a call marked";
        assert_eq!(on(Machine::Aarch64, &format!("f: bl {t} // x\n b {t}\n b.eq {t}\n")), [call, tail]);
        let arm = format!("f: bl {t}(PLT) @ x\n .thumb\n bl {t}\n .arm\n bl {t}\n blx {t}\n");
        assert_eq!(on(Machine::Arm, &arm), [call, " f a call it is Thumb code", call]);
        assert_eq!(on(Machine::Riscv64, &format!("f: call {t}@plt\n tail {t}\n")), [call, tail]);
        let s390x = format!("f: brasl %r14,{t}@PLT\n jg {t}\n brasl %r1,{t}\n jgne {t}\n");
        assert_eq!(on(Machine::S390x, &s390x), [call, tail]);
        let loongarch = format!("f: bl %plt({t})\n b {t}\n la.local $r4,{t}\n");
        assert_eq!(on(Machine::Loongarch64, &loongarch), [call, tail]);
        let power = format!("f:\n bl {t}\n nop\n bl {t}\n blr\n b {t}\n");
        let found = on(Machine::Powerpc64, &power);
        assert!(found[0] == call && found[1].contains("no-op") && found[2].contains("no jumps"), "{found:?}");
        let (output, _) = rewrite(power.as_bytes(), Settings { machine: Machine::Powerpc64, ..SETTINGS });
        let output = String::from_utf8(output.expect("a call")).expect("UTF-8");
        assert_eq!(output.lines().nth(2), Some(" ld 2, 24(1)"), "{output}");
    }

    #[test]
    fn functions_that_must_not_become_longer_keep_their_length() {
        let t = "__static_call_trampoline.a";
        let on = |nops: usize, machine| {
            let text = format!("f:\n{}brasl %r14,{t}\ng:\nbrasl %r14,{t}\n", "nopr\n".repeat(nops));
            let found = marked(&text, Settings { machine, ..SETTINGS });
            found.iter().map(|found| found.ends_with("marked")).collect::<Vec<_>>()
        };
        // Six bytes for each, and four for the call.
        assert_eq!(on(65520 / 6, Machine::S390x), [true, true]);
        assert_eq!(on(65532 / 6, Machine::S390x), [false, true]);
    }
}
