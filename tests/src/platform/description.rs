//! The properties of a machine that programs are built for and run on.

use std::path::{Path, PathBuf};
use std::process::Command;

use static_call_abi::Layout;

use crate::paths::target;

/// A machine, and how to build and run programs for it.
#[derive(Debug)]
pub struct Platform {
    /// Rust's target name.
    pub name: &'static str,
    /// The prefix of its GNU programs, and the directory of its libraries below /usr. None for this machine.
    pub gnu: Option<&'static str>,
    /// Whether these are unpacked instead of installed (`newer_release` in `xtask/src/machines.rs`).
    pub is_unpacked: bool,
    /// The emulator of its programs, if this machine cannot run them.
    pub(super) emulator: Option<&'static str>,
    /// The size of a pointer in bytes.
    pub pointer: u64,
    /// The largest page size.
    pub page: u64,
    /// The unit of code that one store replaces.
    pub word: u64,
    /// The length of the shortest instruction that may be replaced.
    pub shortest_site: u64,
    /// Whether the runtime can write code with breakpoints here.
    pub has_breakpoints: bool,
    /// Finds the direct branches in code at this address.
    pub(super) disassemble: fn(&[u8], u64) -> Vec<Branch>,
    /// Whether a trampoline may start with this code (`is_trampoline_entry` in the runtime).
    pub is_trampoline_entry: fn(&[u8]) -> bool,
    /// The greatest length of a trampoline with its prefix: in position-dependent code, and in other code.
    pub trampoline_sizes: [u64; 2],
    /// The speculation barrier after a trampoline's jump. Empty if none is known to be needed.
    pub barrier: &'static [u8],
    /// clang's flags that keep linkers from relaxing a call's two instructions into one.
    pub unrelaxed: &'static [&'static str],
    /// clang's flags for this machine that change code.
    pub own_flags: &'static [&'static [&'static str]],
    /// clang's flags for this machine that add instructions or landing pads.
    pub own_instrumentation: &'static [&'static [&'static str]],
    /// Whether a tail call may be one conditional instruction.
    pub has_conditional_tail_calls: bool,
    /// The size of a site table entry in clang's default code model (`Site` in `runtime/abi`).
    pub entry: u64,
    /// Whether a tail call may be a jump.
    pub has_tail_calls: bool,
    /// Whether LLVM's machine outliner supports the machine.
    pub has_outliner: bool,
    /// Whether some code model makes calls indirect.
    pub has_far_calls: bool,
    /// Whether linkers insert veneers between calls and trampolines out of reach.
    pub has_veneers: bool,
    /// Whether code under XRay works.
    pub has_xray: bool,
    /// How far direct calls reach.
    pub reach: u64,
    /// Flags that clang accepts, but that do not work on this machine.
    pub broken_flags: &'static [&'static str],
    /// Whether a call may go to another image directly if the target is in reach.
    pub calls_other_images: bool,
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
    /// Its kind.
    pub kind: Kind,
}

/// The kind of a direct branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It returns.
    Call,
    /// It does not return.
    Jump,
    /// It is not always taken.
    ConditionalJump,
}

impl Platform {
    /// Whether the tests run on another machine.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.gnu.is_some()
    }

    /// Whether tests run here that would show the same on every other machine: this machine, an emulated one
    /// of 64 bits, and one of 32 bits.
    #[must_use]
    pub fn is_representative(&self) -> bool {
        !self.is_foreign() || ["aarch64-", "i686-"].iter().any(|start| self.name.starts_with(start))
    }

    /// Whether calls in Rust go through trampolines without the pass.
    #[must_use]
    pub fn macros_have_trampolines(&self) -> bool {
        !self.name.starts_with("powerpc64le-") && !self.is_windows()
    }

    /// Whether static branches are patched: elsewhere they are loads.
    #[must_use]
    pub fn has_branches(&self) -> bool {
        !self.name.starts_with("loongarch64-")
    }

    /// Whether calls in C go through trampolines without the pass.
    #[must_use]
    pub fn header_has_trampolines(&self) -> bool {
        !self.name.starts_with("powerpc64le-") && !self.is_windows()
    }

    /// Whether it is Windows: files are PE, and Wine runs programs.
    #[must_use]
    pub fn is_windows(&self) -> bool {
        self.name.contains("-windows-")
    }

    /// How the names of its programs end.
    #[must_use]
    pub fn program_suffix(&self) -> &'static str {
        if self.is_windows() { ".exe" } else { "" }
    }

    /// Whether an emulator runs its programs.
    #[must_use]
    pub fn is_emulated(&self) -> bool {
        self.emulator.is_some()
    }

    /// Whether the compiler accepts x86's flags.
    #[must_use]
    pub fn is_x86(&self) -> bool {
        ["x86_64-", "i686-"].iter().any(|start| self.name.starts_with(start))
    }

    /// The sizes and offsets of its tables.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        Layout { pointer: self.pointer }
    }

    /// The direct branches in `code`, which lies at `address`.
    #[must_use]
    pub fn branches(&self, code: &[u8], address: u64) -> Vec<Branch> {
        (self.disassemble)(code, address)
    }

    /// Runs a program that was built for this machine.
    #[must_use]
    pub fn execute(&self, program: &Path) -> Command {
        let (Some(emulator), Some(gnu)) = (self.emulator, self.gnu) else { return Command::new(program) };
        if self.is_windows() {
            let directory = target().join("cross").join(self.name);
            let mut wine = Command::new(emulator);
            wine.arg(program).env("WINEPREFIX", directory.join("wine")).env("WINEDEBUG", "-all");
            // Where DLLs are.
            wine.env("WINEPATH", format!("Z:{}", directory.join("prefix/bin").display()));
            return wine;
        }
        let root = self.root();
        let mut command = Command::new(root.join("usr/bin").join(emulator));
        command.arg("-L").arg(root.join("usr").join(gnu)).arg(program);
        command
    }

    /// Variables that make an emulator let every call see the updates that ended before it.
    ///
    /// An emulator translates blocks of instructions. A thread that has entered a block runs it to its end,
    /// whatever an update waits for, so it may call the old target after it has read that the update is over.
    /// No processor does that after membarrier(2). With these variables, the emulator translates one
    /// instruction at a time, which is ten times slower. (QEMU before 8.1 uses the second name.)
    #[must_use]
    pub fn strict(&self) -> &'static [(&'static str, &'static str)] {
        const ONE_BY_ONE: [(&str, &str); 2] = [("QEMU_ONE_INSN_PER_TB", "1"), ("QEMU_SINGLESTEP", "1")];
        if self.emulator.is_some() { &ONE_BY_ONE } else { &[] }
    }

    /// The root directory of the compilers, the libraries and the emulator.
    fn root(&self) -> PathBuf {
        match self.is_unpacked {
            true => target().join("cross").join(self.name).join("root"),
            false => "/".into(),
        }
    }

    /// One of GNU's compilers and linkers for this machine.
    #[must_use]
    pub fn gnu_program(&self, name: &str) -> Command {
        match self.gnu {
            None => Command::new(name),
            Some(gnu) => Command::new(self.root().join("usr/bin").join(format!("{gnu}-{name}"))),
        }
    }

    /// Whether the linker gold is installed and supports this machine.
    #[must_use]
    pub fn has_gold(&self) -> bool {
        let is_known = !["riscv", "loongarch"].iter().any(|name| self.name.starts_with(name));
        is_known && Command::new("ld.gold").arg("--version").output().is_ok()
    }

    /// clang's flags to compile for this machine.
    #[must_use]
    pub fn clang_flags(&self) -> Vec<String> {
        let target = self.gnu.map(|gnu| format!("--target={gnu}"));
        let sysroot = self.is_unpacked.then(|| format!("--sysroot={}", self.root().display()));
        target.into_iter().chain(sysroot).collect()
    }
}
