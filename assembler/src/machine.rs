//! What a call of a trampoline looks like in the assembler of each machine, and how it must be placed.
//!
//! The layouts are those of the pass (`llvm-pass/src/target`), which explains them and cites the manuals.

use static_call_abi::{X86_64_PREFIX, X86_PREFIX};

/// How a site returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Jump,
    ConditionalJump,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Jump => "tail call",
            Self::ConditionalJump => "conditional tail call",
        }
    }
}

/// Where an instruction must lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The instruction must not cross a multiple of this power of two; 0 where none can.
    pub(crate) log2_align: u32,
    /// The most padding that this can need.
    pub(crate) max_bytes: u64,
    /// The byte to pad with, a prefix of the instruction. None: no-ops.
    pub(crate) prefix: Option<&'static str>,
    /// Whether one of these bytes is always there.
    pub(crate) always: bool,
    /// Statements around the instruction.
    pub(crate) around: [&'static str; 2],
    /// A statement that takes the place of the no-op after the instruction, which must be there.
    pub(crate) instead_of_nop: Option<&'static str>,
}

impl Layout {
    const ANYWHERE: Self = Self {
        log2_align: 0,
        max_bytes: 0,
        prefix: None,
        always: false,
        around: ["", ""],
        instead_of_nop: None,
    };
}

/// A machine that has sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    X86_64,
    X86,
    Aarch64,
    Arm,
    Riscv64,
    Powerpc64,
    S390x,
    Loongarch64,
}

use Machine::{Aarch64, Arm, Loongarch64, Powerpc64, Riscv64, S390x, X86, X86_64};

impl Machine {
    /// The machine that an assembler was configured for, if it has sites, and its arguments choose no other.
    pub(crate) fn new(triple: &str, arguments: &[&str]) -> Option<Self> {
        let is_given = |wanted: &[&str]| arguments.iter().any(|argument| wanted.contains(argument));
        let architecture = triple.split('-').next()?;
        let is_x86_64 = ["x86_64", "amd64"].contains(&architecture);
        let is_x86 = architecture.len() == 4 && architecture.starts_with('i') && architecture.ends_with("86");
        if is_x86_64 || is_x86 {
            let last = arguments.iter().rev().find(|argument| ["--64", "--32", "--x32"].contains(argument));
            return match last {
                Some(&"--64") => Some(X86_64),
                Some(&"--32") => Some(X86),
                Some(_) => None,
                None if triple.ends_with("x32") => None,
                None => Some(if is_x86_64 { X86_64 } else { X86 }),
            };
        }
        if is_given(&["-EB", "-mbig", "-mbig-endian", "-be", "-a32", "-mppc", "-m31"])
            || arguments.iter().any(|argument| argument.contains("ilp32") || argument.contains("rv32"))
        {
            return None;
        }
        match architecture {
            "aarch64" => Some(Aarch64),
            "riscv64" => Some(Riscv64),
            "powerpc64le" => Some(Powerpc64),
            "s390x" => Some(S390x),
            "loongarch64" => Some(Loongarch64),
            arm if arm.starts_with("arm") && !arm.starts_with("armeb") => Some(Arm),
            _ => None,
        }
    }

    /// Starts a comment in the middle of a line. (At the start of a line, `#` does everywhere.)
    pub(crate) fn comment(self) -> &'static [u8] {
        match self {
            Aarch64 => b"//",
            Arm => b"@",
            _ => b"#",
        }
    }

    /// The kind of a branch with this mnemonic and operand, and the operand that is the destination. None:
    /// not one that the runtime replaces.
    pub(crate) fn branch<'a>(self, mnemonic: &[u8], operands: &'a [u8]) -> Option<(Kind, &'a [u8])> {
        let is = |names: &[&str]| names.iter().any(|name| name.as_bytes() == mnemonic);
        let kind = match self {
            X86_64 if is(&["call", "callq"]) => Kind::Call,
            X86_64 if is(&["jmp", "jmpq"]) => Kind::Jump,
            X86 if is(&["call", "calll"]) => Kind::Call,
            X86 if is(&["jmp", "jmpl"]) => Kind::Jump,
            // The short ones (jcxz, jecxz, jrcxz) reach no other section.
            X86_64 | X86 if mnemonic.starts_with(b"j") && !mnemonic.ends_with(b"cxz") => {
                Kind::ConditionalJump
            }
            Aarch64 | Arm | Powerpc64 | Loongarch64 if is(&["bl"]) => Kind::Call,
            Aarch64 | Arm | Powerpc64 | Loongarch64 if is(&["b"]) => Kind::Jump,
            Riscv64 if is(&["call"]) => Kind::Call,
            Riscv64 if is(&["tail"]) => Kind::Jump,
            S390x if is(&["brasl"]) => {
                let (register, destination) = split_at_comma(operands)?;
                return (register == b"%r14").then_some((Kind::Call, destination));
            }
            S390x if is(&["jg"]) => Kind::Jump,
            _ => return None,
        };
        Some((kind, operands))
    }

    /// How a branch of this kind is placed. None: it is no site.
    pub(crate) fn layout(self, kind: Kind) -> Option<Layout> {
        let any = Layout::ANYWHERE;
        Some(match (self, kind) {
            (X86_64 | X86, _) => {
                let prefix = if self == X86_64 { X86_64_PREFIX } else { X86_PREFIX }.text;
                let is_conditional = kind == Kind::ConditionalJump;
                let max_bytes = if is_conditional { 5 } else { 4 };
                Layout { log2_align: 3, max_bytes, prefix: Some(prefix), always: !is_conditional, ..any }
            }
            (Riscv64, Kind::Call) => Layout { log2_align: 3, max_bytes: 6, ..any },
            (Riscv64, _) => {
                let around = [".option push; .option norelax; ", "; .option pop"];
                Layout { log2_align: 3, max_bytes: 6, around, ..any }
            }
            (S390x, _) => Layout { log2_align: 3, max_bytes: 4, ..any },
            (Powerpc64, Kind::Call) => {
                let around = ["std 2, 24(1); ", ""];
                Layout { max_bytes: 4, around, instead_of_nop: Some("ld 2, 24(1)"), ..any }
            }
            (Powerpc64, _) => return None,
            (Aarch64 | Arm | Loongarch64, _) => any,
        })
    }

    /// The longest function that may become longer: the compiler has chosen its short branches, and this
    /// assembler does not lengthen them. None where it does, or where sites need no padding.
    pub(crate) fn longest_function(self) -> Option<u64> {
        match self {
            Riscv64 => Some(1 << 19),
            S390x => Some(65534),
            Powerpc64 => Some(32764),
            X86_64 | X86 | Aarch64 | Arm | Loongarch64 => None,
        }
    }

    /// The most bytes that a statement with this mnemonic assembles to.
    pub(crate) fn longest_instruction(self, mnemonic: &[u8]) -> u64 {
        match self {
            Riscv64 if mnemonic == b"li" => 32,
            Riscv64 => 8,
            S390x => 6,
            // The prefixed ones of POWER10.
            Powerpc64 if mnemonic.starts_with(b"p") => 8,
            Powerpc64 | Aarch64 | Arm | Loongarch64 => 4,
            X86_64 | X86 => 15,
        }
    }
}

fn split_at_comma(operands: &[u8]) -> Option<(&[u8], &[u8])> {
    let comma = operands.iter().position(|&byte| byte == b',')?;
    Some((operands[..comma].trim_ascii(), operands[comma + 1..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assembler_and_its_arguments_name_the_machine() {
        let cases: [(&str, &[&str], Option<Machine>); 14] = [
            ("x86_64-linux-gnu", &["--64"], Some(X86_64)),
            ("x86_64-linux-gnu", &["--32"], Some(X86)),
            ("x86_64-pc-linux-gnu", &["--x32"], None),
            ("x86_64-linux-gnux32", &[], None),
            ("i686-linux-gnu", &[], Some(X86)),
            ("i686-linux-gnu", &["--32", "--64"], Some(X86_64)),
            ("aarch64-linux-gnu", &["-EL", "-mabi=lp64"], Some(Aarch64)),
            ("aarch64-linux-gnu", &["-EB"], None),
            ("aarch64-linux-gnu", &["-mabi=ilp32"], None),
            ("arm-linux-gnueabihf", &[], Some(Arm)),
            ("riscv64-linux-gnu", &["-march=rv32gc", "-mabi=ilp32d"], None),
            ("powerpc64le-linux-gnu", &["-a64"], Some(Powerpc64)),
            ("s390x-linux-gnu", &["-m31"], None),
            ("mips64el-linux-gnuabi64", &[], None),
        ];
        for (triple, arguments, machine) in cases {
            assert_eq!(Machine::new(triple, arguments), machine, "{triple} {arguments:?}");
        }
    }
}
