//! The machine that the programs are built for and run on: this one, or another one under an emulator.
//!
//! `cargo xtask test --target NAME` names it in `STATIC_CALL_TEST_TARGET`. The tests themselves always run on
//! this machine; to add another one, give it a row below and one in `xtask/src/cross.rs`.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use iced_x86::{Decoder, DecoderOptions, FlowControl};

/// A machine, and how programs get there.
#[derive(Debug)]
pub struct Platform {
    /// Rust's name of it.
    pub name: &'static str,
    /// What the names of GNU's programs for it start with; its libraries lie in this directory below /usr.
    pub gnu: Option<&'static str>,
    /// Runs its programs.
    emulator: Option<&'static str>,
    /// The largest unit in which memory is protected.
    pub page: u64,
    /// The unit of code that is replaced at once.
    pub word: u64,
    /// Whether the runtime can write code with breakpoints here.
    pub has_breakpoints: bool,
    /// Finds the direct branches in code at an address.
    disassemble: fn(&[u8], u64) -> Vec<Branch>,
    /// Whether a trampoline of ours may start with this code (`is_trampoline_entry` in the runtime).
    pub is_trampoline_entry: fn(&[u8]) -> bool,
    /// How long a trampoline with its prefix is at the most: at a fixed address, and elsewhere.
    pub trampoline_sizes: [u64; 2],
    /// What stands behind a trampoline's jump, and stops speculation.
    pub barrier: &'static [u8],
    /// Flags of clang's for this machine that change how code looks.
    pub own_flags: &'static [&'static [&'static str]],
    /// Flags of clang's for this machine that add instructions or landing pads.
    pub own_instrumentation: &'static [&'static [&'static str]],
    /// Whether a tail call may be one conditional instruction.
    pub has_conditional_tail_calls: bool,
}

/// A direct call or jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its address.
    pub at: u64,
    /// Its length in bytes.
    pub len: u64,
    /// Where it goes.
    pub target: u64,
    /// What it is.
    pub kind: Kind,
}

/// What kind a direct branch is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It comes back.
    Call,
    /// It does not.
    Jump,
    /// It only happens sometimes.
    ConditionalJump,
}

const PLATFORMS: [Platform; 2] = [
    Platform {
        name: "x86_64-unknown-linux-gnu",
        gnu: None,
        emulator: None,
        page: 4096,
        word: 8,
        has_breakpoints: true,
        disassemble: x86_64,
        is_trampoline_entry: |code| match code[..3] {
            [0x48 | 0x4c, 0x8b | 0x8d, modrm] => modrm & 0xc7 == 0x05,
            [0x48 | 0x49, 0xc7, modrm] => modrm & 0xf8 == 0xc0,
            [0xff, 0x25, _] => true,
            _ => false,
        },
        has_conditional_tail_calls: true,
        trampoline_sizes: [16, 24],
        barrier: &[0xcc],
        own_flags: &[&["-mavx512f"], &["-masm=intel"]],
        own_instrumentation: &[&["-fcf-protection=full"], &["-pg", "-mfentry"]],
    },
    Platform {
        name: "aarch64-unknown-linux-gnu",
        gnu: Some("aarch64-linux-gnu"),
        emulator: Some("qemu-aarch64"),
        page: 65536,
        word: 4,
        has_breakpoints: false,
        disassemble: aarch64,
        // nop
        is_trampoline_entry: |code| code[..4] == [0x1f, 0x20, 0x03, 0xd5],
        has_conditional_tail_calls: false,
        trampoline_sizes: [40, 40],
        // dsb sy; isb
        barrier: &[0x9f, 0x3f, 0x03, 0xd5, 0xdf, 0x3f, 0x03, 0xd5],
        own_flags: &[
            &["-moutline"],
            &["-march=armv9-a+sve2"],
            &["-mno-outline-atomics", "-ffixed-x18"],
            &["-mfix-cortex-a53-835769"],
            &["-mcmodel=tiny"],
        ],
        own_instrumentation: &[
            &["-mbranch-protection=standard"],
            &["-mbranch-protection=pac-ret+leaf+b-key+bti"],
            &["-fsanitize=hwaddress"],
            &["-fsanitize=shadow-call-stack", "-ffixed-x18"],
            &["-fsanitize=memtag-stack", "-march=armv8.5-a+memtag"],
        ],
    },
];

/// The machine that programs are built for.
///
/// # Panics
///
/// If it is none of those that the tests know.
#[must_use]
pub fn platform() -> &'static Platform {
    static PLATFORM: LazyLock<Platform> = LazyLock::new(|| {
        let name = std::env::var("STATIC_CALL_TEST_TARGET");
        let name = name.as_deref().unwrap_or("x86_64-unknown-linux-gnu");
        let known = PLATFORMS.into_iter().find(|platform| platform.name == name);
        known.unwrap_or_else(|| panic!("STATIC_CALL_TEST_TARGET={name}: the tests do not know this target"))
    });
    &PLATFORM
}

impl Platform {
    /// Whether this is another machine than the one that the tests run on.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.gnu.is_some()
    }

    /// Whether the compiler has the flags that only x86 has.
    #[must_use]
    pub fn is_x86(&self) -> bool {
        self.name.starts_with("x86_64")
    }

    /// The direct branches in `code`, which lies at `address`.
    #[must_use]
    pub fn branches(&self, code: &[u8], address: u64) -> Vec<Branch> {
        (self.disassemble)(code, address)
    }

    /// A program that was built for this machine.
    #[must_use]
    pub fn execute(&self, program: &Path) -> Command {
        let (Some(emulator), Some(gnu)) = (self.emulator, self.gnu) else { return Command::new(program) };
        let mut command = Command::new(emulator);
        command.arg("-L").arg(format!("/usr/{gnu}")).arg(program);
        // An emulator translates several instructions at once, and a thread that has entered them runs them to
        // their end, whatever an update waits for: it would make a call to the old target after it has read
        // that the update is over. No processor does that behind membarrier(2). (The second name is that of
        // QEMU before 8.1.)
        command.env("QEMU_ONE_INSN_PER_TB", "1").env("QEMU_SINGLESTEP", "1");
        command
    }

    /// One of GNU's compilers and linkers, for this machine.
    #[must_use]
    pub fn gnu_program(&self, name: &str) -> Command {
        match self.gnu {
            None => Command::new(name),
            Some(gnu) => Command::new(format!("{gnu}-{name}")),
        }
    }

    /// The flags that have clang compile for this machine.
    #[must_use]
    pub fn clang_flags(&self) -> Option<String> {
        self.gnu.map(|gnu| format!("--target={gnu}"))
    }
}

fn x86_64(code: &[u8], address: u64) -> Vec<Branch> {
    let instructions = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let branches = instructions.into_iter().filter_map(|instruction| {
        let kind = match instruction.flow_control() {
            FlowControl::Call => Kind::Call,
            FlowControl::UnconditionalBranch => Kind::Jump,
            FlowControl::ConditionalBranch => Kind::ConditionalJump,
            _ => return None,
        };
        let (at, len) = (instruction.ip(), instruction.len() as u64);
        Some(Branch { at, len, target: instruction.near_branch_target(), kind })
    });
    branches.collect()
}

/// B.cond, CBZ and TBZ do not leave their function.
fn aarch64(code: &[u8], address: u64) -> Vec<Branch> {
    let instructions = (address..).step_by(4).zip(code.as_chunks::<4>().0);
    let branches = instructions.filter_map(|(at, instruction)| {
        let instruction = u32::from_le_bytes(*instruction);
        let kind = match instruction >> 26 {
            0b10_0101 => Kind::Call,
            0b00_0101 => Kind::Jump,
            _ => return None,
        };
        let distance = i64::from(instruction.cast_signed() << 6 >> 6) * 4;
        Some(Branch { at, len: 4, target: at.wrapping_add_signed(distance), kind })
    });
    branches.collect()
}
