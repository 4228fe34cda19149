//! What a call of a trampoline looks like in the assembler of each machine, and how it must be placed.
//!
//! The pass (`llvm-pass/src/target`) explains the layouts and cites the manuals.

use static_call_abi::{self as abi, Placement};

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
    /// Where it must lie. Statements before it count as padding.
    pub(crate) place: Placement,
    /// The byte to pad with, a prefix of the instruction. None: no-ops.
    pub(crate) prefix: Option<&'static str>,
    /// Whether one of these bytes is always there.
    pub(crate) always: bool,
    /// Statements before and after the instruction, or empty.
    pub(crate) around: [&'static str; 2],
    /// A statement that takes the place of the no-op after the instruction, which must be there.
    pub(crate) instead_of_nop: Option<&'static str>,
}

impl Layout {
    const ANYWHERE: Self = Self {
        place: Placement::ANYWHERE,
        prefix: None,
        always: false,
        around: ["", ""],
        instead_of_nop: None,
    };
}

/// A machine whose calls can be recorded.
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
    /// The machine that an assembler was configured for, if its calls can be recorded and no argument selects
    /// another machine.
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

    /// The kind and the destination of a branch. None if the runtime does not replace such an instruction.
    pub(crate) fn branch<'a>(self, mnemonic: &[u8], operands: &'a [u8]) -> Option<(Kind, &'a [u8])> {
        let is = |names: &[&str]| names.iter().any(|name| name.as_bytes() == mnemonic);
        let kind = match self {
            X86_64 if is(&["call", "callq"]) => Kind::Call,
            X86_64 if is(&["jmp", "jmpq"]) => Kind::Jump,
            X86 if is(&["call", "calll"]) => Kind::Call,
            X86 if is(&["jmp", "jmpl"]) => Kind::Jump,
            // The short branches (jcxz, jecxz, jrcxz) do not reach another section.
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

    /// How a branch of this kind must be placed. None if it is not recorded.
    pub(crate) fn layout(self, kind: Kind) -> Option<Layout> {
        let any = Layout { place: self.place(), ..Layout::ANYWHERE };
        Some(match (self, kind) {
            (X86_64 | X86, _) => {
                let prefix = if self == X86_64 { abi::X86_64_PREFIX } else { abi::X86_PREFIX }.text;
                let place = match kind {
                    Kind::Call | Kind::Jump => any.place,
                    Kind::ConditionalJump => Placement::X86_CONDITIONAL_JUMP,
                };
                Layout { place, prefix: Some(prefix), always: kind != Kind::ConditionalJump, ..any }
            }
            (Riscv64, Kind::Jump | Kind::ConditionalJump) => {
                Layout { around: [".option push; .option norelax", ".option pop"], ..any }
            }
            (Powerpc64, Kind::Call) => {
                let [save, restore] = abi::POWERPC64_TOC;
                let place = Placement { max_bytes: 4, ..any.place };
                Layout { place, around: [save, ""], instead_of_nop: Some(restore), ..any }
            }
            (Powerpc64, _) => return None,
            (Riscv64 | S390x | Aarch64 | Arm | Loongarch64, _) => any,
        })
    }

    /// The longest function that may be padded: the compiler has already chosen short branches, and GNU as
    /// does not lengthen them here. None where it does, or where sites need no padding.
    pub(crate) fn longest_function(self) -> Option<u64> {
        let longest = match self {
            // Saving the TOC pointer lengthens the code, and conditional branches reach 32 KiB.
            Powerpc64 => 32764,
            _ => self.place().max_function.into(),
        };
        (longest != 0).then_some(longest)
    }

    fn place(self) -> Placement {
        let architecture = match self {
            X86_64 => abi::X86_64,
            X86 => abi::X86,
            Aarch64 => abi::AARCH64,
            Arm => abi::ARM,
            Riscv64 => abi::RISCV64,
            Powerpc64 => abi::POWERPC64,
            S390x => abi::S390X,
            Loongarch64 => abi::LOONGARCH64,
        };
        architecture.site
    }

    /// The most bytes that an instruction with this mnemonic assembles to.
    pub(crate) fn longest_instruction(self, mnemonic: &[u8]) -> u64 {
        match self {
            Riscv64 if mnemonic == b"li" => 32,
            Riscv64 => 8,
            S390x => 6,
            // POWER10's prefixed instructions.
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
