//! The machine that the programs are built for and run on: this one, or another one, mostly under an emulator.
//!
//! `cargo xtask test --target NAME` names it in `STATIC_CALL_TEST_TARGET`. The tests themselves always run on
//! this machine; to add another one, write a file like `aarch64.rs`, and give it a row in `xtask/src/cross.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::target;

mod aarch64;
mod arm;
mod loongarch64;
mod powerpc64le;
mod riscv64;
mod s390x;
mod x86;
mod x86_64;

/// A machine, and how programs get there.
#[derive(Debug)]
pub struct Platform {
    /// Rust's name of it.
    pub name: &'static str,
    /// What the names of GNU's programs for it start with; its libraries lie in this directory below /usr.
    pub gnu: Option<&'static str>,
    /// They are not installed, but unpacked (`newer_release` in `xtask/src/cross.rs`).
    pub is_unpacked: bool,
    /// Runs its programs, if this machine does not.
    emulator: Option<&'static str>,
    /// The size of a pointer in bytes.
    pub pointer: u64,
    /// The largest unit in which memory is protected.
    pub page: u64,
    /// The unit of code that is replaced at once.
    pub word: u64,
    /// How long an instruction that may be replaced is at the least.
    pub shortest_site: u64,
    /// Whether the runtime can write code with breakpoints here.
    pub has_breakpoints: bool,
    /// Finds the direct branches in code at an address.
    disassemble: fn(&[u8], u64) -> Vec<Branch>,
    /// Whether a trampoline of ours may start with this code (`is_trampoline_entry` in the runtime).
    pub is_trampoline_entry: fn(&[u8]) -> bool,
    /// How long a trampoline with its prefix is at the most: at a fixed address, and elsewhere.
    pub trampoline_sizes: [u64; 2],
    /// What stands behind a trampoline's jump, and stops speculation; empty where that is not known to be needed.
    pub barrier: &'static [u8],
    /// Flags of clang's that keep linkers from making one instruction of a call's two.
    pub unrelaxed: &'static [&'static str],
    /// Flags of clang's for this machine that change how code looks.
    pub own_flags: &'static [&'static [&'static str]],
    /// Flags of clang's for this machine that add instructions or landing pads.
    pub own_instrumentation: &'static [&'static [&'static str]],
    /// Whether a tail call may be one conditional instruction.
    pub has_conditional_tail_calls: bool,
    /// The size of an entry of the site table, as clang makes it by default (`Site` in `runtime/abi`).
    pub entry: u64,
    /// Whether a tail call may be a jump.
    pub has_tail_calls: bool,
    /// Whether LLVM's machine outliner knows the machine.
    pub has_outliner: bool,
    /// Whether calls are indirect in some code model.
    pub has_far_calls: bool,
    /// Whether a linker puts a veneer between a call and a trampoline that is out of its reach.
    pub has_veneers: bool,
    /// Whether code under XRay does what it shall.
    pub has_xray: bool,
    /// How far direct calls reach.
    pub reach: u64,
    /// Flags of clang's that do not work for this machine, although clang has them.
    pub broken_flags: &'static [&'static str],
    /// Whether a call may go to another image without its trampoline, if that is in reach.
    pub calls_other_images: bool,
}

/// Where the fields of a [`static_call_abi::Record`] lie on a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLayout {
    /// Its size.
    pub size: usize,
    /// Where the fields lie that are the runtime's alone.
    pub runtimes_own: [usize; 4],
    /// Where the distance to the trampoline lies.
    pub trampoline: usize,
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

const PLATFORMS: [Platform; 8] = [
    x86_64::PLATFORM,
    x86::PLATFORM,
    aarch64::PLATFORM,
    arm::PLATFORM,
    loongarch64::PLATFORM,
    powerpc64le::PLATFORM,
    riscv64::PLATFORM,
    s390x::PLATFORM,
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
        [x86_64::PLATFORM.name, x86::PLATFORM.name].contains(&self.name)
    }

    /// Where the fields of a [`static_call_abi::Record`] lie: three pointers, two numbers, eight bytes.
    #[must_use]
    pub const fn record(&self) -> RecordLayout {
        let pointer = self.pointer as usize;
        let count = 3 * pointer;
        let (trampoline, saved) = (count + 4, count + 8);
        RecordLayout { size: saved + 8, runtimes_own: [pointer, 2 * pointer, count, saved], trampoline }
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
        let root = self.root();
        let mut command = Command::new(root.join("usr/bin").join(emulator));
        command.arg("-L").arg(root.join("usr").join(gnu)).arg(program);
        command
    }

    /// What an emulator wants to be told for a program that counts on every call that starts behind an update.
    ///
    /// An emulator translates several instructions at once, and a thread that has entered them runs them to their
    /// end, whatever an update waits for: it would make a call to the old target after it has read that the update
    /// is over. No processor does that behind membarrier(2). So it shall translate one instruction at a time, which
    /// takes ten times as long. (The second name is that of QEMU before 8.1.)
    #[must_use]
    pub fn strict(&self) -> &'static [(&'static str, &'static str)] {
        const ONE_BY_ONE: [(&str, &str); 2] = [("QEMU_ONE_INSN_PER_TB", "1"), ("QEMU_SINGLESTEP", "1")];
        if self.emulator.is_some() { &ONE_BY_ONE } else { &[] }
    }

    /// The directory below which the compilers, the libraries and the emulator lie.
    fn root(&self) -> PathBuf {
        match self.is_unpacked {
            true => target().join("cross").join(self.name).join("root"),
            false => "/".into(),
        }
    }

    /// One of GNU's compilers and linkers, for this machine.
    #[must_use]
    pub fn gnu_program(&self, name: &str) -> Command {
        match self.gnu {
            None => Command::new(name),
            Some(gnu) => Command::new(self.root().join("usr/bin").join(format!("{gnu}-{name}"))),
        }
    }

    /// Whether the linker gold is there, and knows this machine.
    #[must_use]
    pub fn has_gold(&self) -> bool {
        let is_known = !["riscv", "loongarch"].iter().any(|name| self.name.starts_with(name));
        is_known && Command::new("ld.gold").arg("--version").output().is_ok()
    }

    /// The flags that have clang compile for this machine.
    #[must_use]
    pub fn clang_flags(&self) -> Vec<String> {
        let target = self.gnu.map(|gnu| format!("--target={gnu}"));
        let sysroot = self.is_unpacked.then(|| format!("--sysroot={}", self.root().display()));
        target.into_iter().chain(sysroot).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use static_call_abi::Record;

    use super::*;

    #[test]
    fn records_of_this_machine_are_as_its_pointers_say() {
        let fields = [
            offset_of!(Record, next),
            offset_of!(Record, sites),
            offset_of!(Record, count),
            offset_of!(Record, saved),
        ];
        let (size, trampoline) = (size_of::<Record>(), offset_of!(Record, trampoline));
        assert_eq!(x86_64::PLATFORM.record(), RecordLayout { size, runtimes_own: fields, trampoline });
    }
}
