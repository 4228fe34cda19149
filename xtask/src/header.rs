//! `cargo xtask header`: generates the assembler of C's headers from that of the pass and Rust's macros.
//!
//! In `static_call.h`, the extended assembler of a call also contains the trampoline. Its operands are the
//! key, the trampoline, and whether other files share the trampoline. In `static_branch.h`, the operand of a
//! branch is its key.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use static_call_abi as abi;

use crate::run::root;

/// How the text is to be read.
#[derive(PartialEq, Eq)]
enum Dialect {
    /// In the only way.
    Only,
    /// In AT&T's syntax, whichever of both the compiler's is. gcc and clang print symbols by other modifiers.
    Att,
    /// As A32 code, in the syntax of both instruction sets. The function around it may be Thumb code, and
    /// compilers go back to that.
    A32,
}

/// A machine's assembler.
struct Machine {
    /// The compilers' macros that identify the machine.
    condition: &'static str,
    page: usize,
    image: [&'static str; 3],
    fields: &'static str,
    /// The trampoline's code, if calls in C have trampolines there.
    near: Option<&'static str>,
    /// The code for images that lie anywhere, if the machine has one.
    far: Option<&'static str>,
    /// Both with a thunk, if the machine has one.
    thunks: [Option<&'static str>; 2],
    /// The code after the signature.
    data: &'static str,
    /// The operand modifier for a bare symbol or number.
    bare: &'static str,
    dialect: Dialect,
    /// The lines before the code and behind it.
    around: [&'static str; 2],
    /// What aligns a trampoline.
    alignment: &'static str,
    /// Branches that jump while their key is on, while it is off, and while it has a function.
    branches: Option<[&'static str; 3]>,
    /// The registers that a branch may change.
    clobbers: &'static str,
    record: &'static str,
}

const MACHINES: [Machine; 8] = [X86_64, AARCH64, RISCV64, S390X, X86, ARM, POWERPC64, LOONGARCH64];

const ALIGNMENT: &str = ".p2align 3";
const FRAME: [&str; 2] = [abi::__static_call_record!(start), abi::__static_call_record!(end)];

const X86_64: Machine = Machine {
    condition: "defined(__x86_64__) && !defined(__ILP32__)",
    page: abi::X86_64.page_size,
    image: [
        abi::__static_call_image!(open 64),
        abi::__static_call_x86_64!(hooks),
        abi::__static_call_image!(close 64),
    ],
    fields: abi::__static_call_record!(fields 64),
    near: Some(abi::__static_call_x86_64!(near)),
    far: Some(abi::__static_call_x86_64!(far)),
    thunks: [
        Some(abi::__static_call_x86_64!(near abi::__static_call_x86_64!(retpoline))),
        Some(abi::__static_call_x86_64!(far abi::__static_call_x86_64!(retpoline))),
    ],
    data: abi::__static_call_x86_64!(data),
    bare: "c",
    dialect: Dialect::Att,
    around: FRAME,
    alignment: ALIGNMENT,
    branches: Some([
        abi::__static_call_x86_64!(branch on),
        abi::__static_call_x86_64!(branch off),
        abi::__static_call_x86_64!(branch some),
    ]),
    clobbers: "\"cc\"",
    record: abi::__static_call_branch!(record 64),
};

const AARCH64: Machine = Machine {
    condition: "defined(__aarch64__) && !defined(__ILP32__) && !defined(__AARCH64EB__)",
    page: abi::AARCH64.page_size,
    image: [
        abi::__static_call_image!(open 64),
        abi::__static_call_aarch64!(hooks),
        abi::__static_call_image!(close 64),
    ],
    fields: abi::__static_call_record!(fields 64),
    near: Some(abi::__static_call_aarch64!(near)),
    far: Some(abi::__static_call_aarch64!(recorded)),
    thunks: [None; 2],
    data: "",
    bare: "c",
    dialect: Dialect::Only,
    around: FRAME,
    alignment: ALIGNMENT,
    branches: Some([
        abi::__static_call_aarch64!(branch on),
        abi::__static_call_aarch64!(branch off),
        abi::__static_call_aarch64!(branch some),
    ]),
    clobbers: "\"x16\"",
    record: abi::__static_call_branch!(record 64),
};

const RISCV64: Machine = Machine {
    condition: "defined(__riscv) && __riscv_xlen == 64",
    page: abi::RISCV64.page_size,
    image: [
        abi::__static_call_image!(open 64),
        abi::__static_call_riscv64!(hooks),
        abi::__static_call_image!(close 64),
    ],
    fields: abi::__static_call_record!(fields 64),
    near: Some(abi::__static_call_riscv64!(near)),
    far: Some(abi::__static_call_riscv64!(recorded)),
    thunks: [None; 2],
    data: "",
    bare: "",
    dialect: Dialect::Only,
    around: FRAME,
    // Without relaxation: a linker would take padding away.
    alignment: ".option push\n.option norelax\n.p2align 3\n.option pop",
    branches: Some([
        abi::__static_call_riscv64!(branch on),
        abi::__static_call_riscv64!(branch off),
        abi::__static_call_riscv64!(branch some),
    ]),
    clobbers: "\"t1\"",
    record: abi::__static_call_branch!(record 64),
};

const S390X: Machine = Machine {
    // z10 or newer, for `lgrl`.
    condition: "defined(__s390x__) && __ARCH__ >= 8",
    page: abi::S390X.page_size,
    image: [
        abi::__static_call_image!(open 64),
        abi::__static_call_s390x!(hooks),
        abi::__static_call_image!(close 64),
    ],
    fields: abi::__static_call_record!(fields 64),
    near: Some(abi::__static_call_s390x!(near)),
    far: Some(abi::__static_call_s390x!(recorded)),
    thunks: [None; 2],
    data: "",
    bare: "",
    dialect: Dialect::Only,
    around: FRAME,
    alignment: ALIGNMENT,
    branches: Some([
        abi::__static_call_s390x!(branch on),
        abi::__static_call_s390x!(branch off),
        abi::__static_call_s390x!(branch some),
    ]),
    clobbers: "\"r1\", \"cc\"",
    record: abi::__static_call_branch!(record 64),
};

const X86: Machine = Machine {
    // Only a register holds the address of position-independent code, and a function may take an argument
    // in each of them.
    condition: "defined(__i386__) && !defined(__PIC__)",
    page: abi::X86.page_size,
    image: [
        abi::__static_call_image!(open 32),
        abi::__static_call_x86!(hooks),
        abi::__static_call_image!(close 32),
    ],
    fields: abi::__static_call_record!(fields 32),
    near: Some(abi::__static_call_x86!(fixed)),
    far: None,
    thunks: [Some(abi::__static_call_x86!(fixed stacked)), None],
    data: "",
    bare: "c",
    dialect: Dialect::Att,
    around: FRAME,
    alignment: ALIGNMENT,
    branches: Some([
        abi::__static_call_x86!(branch on),
        abi::__static_call_x86!(branch off),
        abi::__static_call_x86!(branch some),
    ]),
    clobbers: "\"cc\"",
    record: abi::__static_call_branch!(record 32),
};

const ARM: Machine = Machine {
    condition: "defined(__arm__) && !defined(__ARMEB__) && !defined(__thumb__) && __ARM_ARCH >= 7",
    page: abi::ARM.page_size,
    image: [
        abi::__static_call_image!(open 32),
        abi::__static_call_arm!(hooks),
        abi::__static_call_image!(close 32),
    ],
    fields: abi::__static_call_record!(fields 32),
    near: Some(abi::__static_call_arm!(near)),
    far: Some(abi::__static_call_arm!(recorded)),
    thunks: [None; 2],
    data: "",
    bare: "c",
    dialect: Dialect::A32,
    around: [abi::__static_call_record!(start open), abi::__static_call_record!(end open)],
    alignment: ALIGNMENT,
    branches: Some([
        abi::__static_call_arm!(branch on),
        abi::__static_call_arm!(branch off),
        abi::__static_call_arm!(branch some),
    ]),
    clobbers: "\"ip\", \"cc\"",
    record: abi::__static_call_branch!(record 32),
};

const POWERPC64: Machine = Machine {
    condition: "defined(__powerpc64__) && defined(__LITTLE_ENDIAN__) && _CALL_ELF == 2",
    page: abi::POWERPC64.page_size,
    image: [
        abi::__static_call_image!(open 64),
        abi::__static_call_powerpc64!(hooks),
        abi::__static_call_image!(close 64),
    ],
    fields: abi::__static_call_record!(fields 64),
    // Nothing restores R2 behind a call of a function in the same image, and a trampoline may lead to another
    // image, which changes it.
    near: None,
    far: None,
    thunks: [None; 2],
    data: "",
    bare: "",
    dialect: Dialect::Only,
    around: FRAME,
    alignment: ALIGNMENT,
    branches: Some([
        abi::__static_call_powerpc64!(branch on),
        abi::__static_call_powerpc64!(branch off),
        abi::__static_call_powerpc64!(branch some),
    ]),
    clobbers: "\"r0\", \"r12\", \"cr0\"",
    record: abi::__static_call_branch!(record 64),
};

const LOONGARCH64: Machine = Machine {
    condition: "defined(__loongarch64)",
    page: abi::LOONGARCH64.page_size,
    image: [
        abi::__static_call_image!(open 64),
        abi::__static_call_loongarch64!(hooks),
        abi::__static_call_image!(close 64),
    ],
    fields: abi::__static_call_record!(fields 64),
    near: Some(abi::__static_call_loongarch64!(near)),
    far: Some(abi::__static_call_loongarch64!(recorded)),
    thunks: [None; 2],
    data: "",
    bare: "",
    dialect: Dialect::Only,
    around: FRAME,
    // Without a value for its padding, a linker would relax it.
    alignment: ".p2align 3, 0xff",
    // Linux refuses to patch code there, and a load costs less than a branch that nobody patches.
    branches: None,
    clobbers: "",
    record: "",
};

/// The first lines of a call's assembler. A label tells whether the key already has its trampoline. Symbols
/// that need quotes have them; `\k` and `\t` are the symbols without quotes.
const BEGIN: &str = r#".irp k, {key}
.irp t, {trampoline}
.ifndef ".Lstatic_call.\k:\t"
.set ".Lstatic_call.\k:\t", 1
.set .Lstatic_call_is_new, 1
.else
.set .Lstatic_call_is_new, 0
.endif
.endr
.endr
.if .Lstatic_call_is_new"#;

/// The trampoline's section and symbol.
const PLACE: &str = r#".irp k, {key}
.if {shared}
.pushsection ".text.static_call.\k", "axG", %progbits, {trampoline}, comdat
.else
.pushsection ".text.static_call.\k", "ax", %progbits
.endif
.endr
.if {shared}
.weak {trampoline}
.hidden {trampoline}
.endif
.ifdef {trampoline}
.error "static-call: two static keys have one name, in files of one name: rename one (LTO)"
.endif
{aligned}
.type {trampoline}, %function
{trampoline}:
.Lstatic_call_trampoline.{number}:"#;

const END: &str = ".size {trampoline}, . - {trampoline}
.popsection
.endif";

/// The header.
#[must_use]
pub fn path() -> PathBuf {
    root().join("runtime/include/static_call_trampoline.h")
}

/// Writes it.
pub fn write() -> Result<()> {
    std::fs::write(path(), text()).with_context(|| format!("cannot write {}", path().display()))
}

/// The expected content.
fn text() -> String {
    let mut text = "/* static_call_trampoline.h - assembler for our other headers alone.\n \
        *\n \
        * `cargo xtask header` has made it from the texts that the compiler pass and Rust's macros use. Do\n \
        * not change it here.\n \
        *\n \
        * SPDX-License-Identifier: MIT OR Apache-2.0\n \
        */\n\
        #ifndef __STATIC_CALL_TRAMPOLINE_H\n\
        #define __STATIC_CALL_TRAMPOLINE_H\n\n"
        .to_owned();
    for (name, signature) in [("", abi::SIGNATURE_WITHOUT_SITES), ("_THUNK", abi::SIGNATURE_THUNK)] {
        writeln!(text, "#define __STATIC_CALL_SIGNATURE{name} \"{signature:#x}\"").expect("a string");
    }
    text.push('\n');
    for (index, machine) in MACHINES.iter().enumerate() {
        let keyword = if index == 0 { "if" } else { "elif" };
        writeln!(text, "#{keyword} {}", machine.condition).expect("a string");
        machine.define(&mut text);
    }
    text + "#endif\n\n#endif /* __STATIC_CALL_TRAMPOLINE_H */\n"
}

impl Machine {
    fn define(&self, text: &mut String) {
        let (enter, leave) = match self.dialect {
            Dialect::Only => ("", ""),
            Dialect::Att => ("\"{|.att_syntax prefix\\n\\t}\" ", " \"{|\\n\\t.intel_syntax noprefix}\""),
            Dialect::A32 => ("\"\\t.syntax unified\\n\\t.arm\\n\" ", ""),
        };
        writeln!(text, "#define __STATIC_CALL_ASM_KEY \"{}\"", self.symbol(0)).expect("a string");
        self.define_one(text, "IMAGE", "", &self.image.join("\n"), "");
        if let Some(near) = self.near {
            self.define_trampolines(text, near, enter, leave);
        }
        let Some(branches) = self.branches else { return };
        writeln!(text, "#define __STATIC_CALL_ASM_CLOBBERS {}", self.clobbers).expect("a string");
        // A branch is in the function, so it cannot be A32 code in a function of Thumb code.
        let enter = if self.dialect == Dialect::A32 { "" } else { enter };
        for (name, branch) in
            ["BRANCH_ON(key)", "BRANCH_OFF(key)", "BRANCH_SOME(key)"].into_iter().zip(branches)
        {
            let code = [".Lstatic_branch.{number}:", branch, abi::__static_call_branch!(names)];
            let before = format!("{enter}__STATIC_CALL_ASM_IMAGE ");
            self.define_one(text, name, &before, &code.join("\n"), "");
        }
        let section = ".pushsection static_call_branches, \"awo?\", %progbits, .Lstatic_branch.{number}";
        let entry = [self.record, section, abi::__static_call_branch!(entry)].join("\n");
        self.define_one(text, "BRANCH_END(key, polarity)", "", &entry, leave);
    }

    fn define_trampolines(&self, text: &mut String, near: &str, enter: &str, leave: &str) {
        let place = PLACE.replace("{aligned}", self.alignment);
        let [start, end] = self.around;
        let place = [&place, start].join("\n");
        let end = shared(&[end, self.fields, self.data, END].join("\n"));
        self.define_one(text, "IF_NEW(key)", "", BEGIN, "");
        self.define_one(text, "PLACE(key)", "", &place, "");
        let parts = ["IF_NEW(key)", "IMAGE", "PLACE(key)"].map(|part| format!("__STATIC_CALL_ASM_{part}"));
        writeln!(text, "#define __STATIC_CALL_ASM_BEGIN(key) {enter}\\\n\t{}", parts.join(" "))
            .expect("a string");
        let [near_thunk, far_thunk] = self.thunks;
        let codes = [Some(near), self.far, near_thunk, far_thunk];
        for (name, code) in
            ["NEAR(key)", "FAR(key)", "NEAR_THUNK(key)", "FAR_THUNK(key)"].into_iter().zip(codes)
        {
            if let Some(code) = code {
                self.define_one(text, name, "", code, "");
            }
        }
        self.define_one(text, "END(key, signature)", "", &end, leave);
    }

    fn define_one(&self, text: &mut String, name: &str, before: &str, assembler: &str, after: &str) {
        writeln!(text, "#define __STATIC_CALL_ASM_{name} {before}\\").expect("a string");
        // A part of the assembler may be empty.
        let lines = assembler.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<String> = lines.map(|line| self.line(line)).collect();
        writeln!(text, "{}{after}", lines.join(" \\\n")).expect("a string");
    }

    /// An operand as a bare symbol, inside a C literal.
    fn symbol(&self, number: u32) -> String {
        if self.dialect == Dialect::Att {
            format!("%\" __STATIC_CALL_PLAIN \"{number}")
        } else {
            format!("%{}{number}", self.bare)
        }
    }

    /// A line of assembler as a C literal in extended assembler.
    fn line(&self, line: &str) -> String {
        let escaped = line.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
        let filled = escaped
            .replace("{key}+{offset}", "{key}")
            .replace("{offset}(%%r", "(%%r")
            .replace("{key}", "\" key \"")
            .replace(
                "{in_group}",
                "\" \\\n\t\
                 __STATIC_CALL_IN_GROUP(\".Lstatic_call_trampoline.{number}\", \"{trampoline}\") \\\n\t\"",
            )
            .replace("{trampoline}", &self.symbol(1))
            .replace("{shared}", &format!("%{}2", self.bare))
            .replace("{number}", "%=")
            .replace("{page}", &self.page.to_string())
            .replace("{version}", &abi::VERSION.to_string())
            .replace("{record}", &abi::BRANCH_RECORD.to_string())
            .replace("{polarity}", "\" \\\n\tpolarity \"")
            .replace("{target}", "%l[__static_call_jump]")
            .replace("{signature}", "\" signature \"");
        let indent = if filled.contains(':') && !filled.contains(' ') { "" } else { "\\t" };
        let literal = format!("\"{indent}{filled}\\n\"");
        if line.starts_with(".cfi_") {
            format!("\t__STATIC_CALL_CFI({literal})")
        } else {
            format!("\t{literal}")
        }
    }
}

/// The assembler that puts a record beside its trampoline, even if files share the trampoline.
fn shared(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(".pushsection static_call_records") {
            // GNU as accepts no quoted name here.
            let alone = line.replace("{trampoline}", ".Lstatic_call_trampoline.{number}");
            let in_group = ".pushsection static_call_records, {in_group}".to_owned();
            lines.extend([".if {shared}".to_owned(), in_group, ".else".into(), alone, ".endif".into()]);
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_header_is_fresh() {
        let found = std::fs::read_to_string(super::path()).expect("the header");
        assert!(found == super::text(), "run `cargo xtask header`");
    }
}
