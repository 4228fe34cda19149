//! What the pass has to know of an architecture: whether sites are recorded, and how they must lie.
//!
//! To add one: a file like `aarch64.rs`, and its name below.

use static_call_abi::Architecture;

use crate::shim::Text;

mod aarch64;
mod arm;
mod loongarch64;
mod powerpc64;
mod riscv64;
mod s390x;
mod x86;
mod x86_64;

/// The architectures with a backend in the runtime. On every other one, and where the object format is not ELF,
/// the intrinsic becomes a load of the key.
static TARGETS: [Target; 8] = [
    x86_64::TARGET,
    x86::TARGET,
    aarch64::TARGET,
    arm::TARGET,
    loongarch64::TARGET,
    powerpc64::TARGET,
    riscv64::TARGET,
    s390x::TARGET,
];

/// An architecture with a backend in the runtime.
#[derive(Debug)]
pub(crate) struct Target {
    /// What the runtime knows as well.
    architecture: Architecture,
    /// What triples call it.
    names: &'static [&'static str],
    /// The ends of environments whose pointers are not those that the runtime's backend reads.
    other_pointers: &'static [&'static str],
    /// See [`Target::site_layout`].
    site_layout: fn(SiteKind, &str) -> SiteLayout,
    /// The calling conventions (`llvm::CallingConv`) that leave a trampoline no register to jump through.
    no_register_left: &'static [u32],
    /// Why this call cannot go through a trampoline, whatever its convention.
    needs_indirect_call: fn(&Call<'_>) -> Option<&'static str>,
    /// The calling conventions in which a call can become a nop: the caller removes the arguments, and the
    /// result, if there is one, comes in the register that "return zero" clears.
    may_vanish: &'static [u32],
    /// Whether a tail call may be a jump to a trampoline.
    has_tail_calls: bool,
    /// The function that these features of a caller want indirect jumps to go through.
    thunk: fn(Features<'_>) -> Option<&'static str>,
    /// The `target-features` that a trampoline has, whatever its callers have.
    trampoline_features: &'static str,
    /// The constraint of an operand of assembler that is a symbol, even where the program's code does not know
    /// its address.
    symbol_constraint: &'static str,
    /// See [`Target::jump_to_target`].
    jump_to_target: fn(near: bool, offset: i64, thunk: Option<&str>) -> String,
    /// A shorter form for a near key in code that lies at a fixed address.
    jump_at_fixed_address: Option<fn(offset: i64, thunk: Option<&str>) -> String>,
}

/// A function's `target-features`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features<'a>(pub(crate) &'a str);

/// What decides whether a call may go through a trampoline.
pub(crate) struct Call<'a> {
    /// Its calling convention (`llvm::CallingConv`).
    pub(crate) convention: u32,
    /// Whether it has an argument with this attribute.
    pub(crate) has_argument: &'a dyn Fn(&str) -> bool,
    /// Those of the function that it is in.
    pub(crate) features: Features<'a>,
}

impl Features<'_> {
    fn has(self, name: &str) -> bool {
        self.0.split(',').any(|feature| feature.strip_prefix('+') == Some(name))
    }
}

/// The kinds of site that the machine stage tells apart; numbered as in `shim.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SiteKind {
    Call,
    Jump,
    ConditionalJump,
}

/// `StaticCallSiteLayout` of `shim.h`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct SiteLayout {
    /// The instruction must not cross a boundary of this power of two.
    log2_align: u32,
    /// The padding that this needs at the most; with more, the instruction does not cross it anyway.
    max_bytes: u32,
    /// The byte that it consists of, which does nothing as a prefix of the instruction; empty: no-ops.
    padding: Text,
    /// The longest function that may be padded: in a longer one there may be branches that just reach. Zero where
    /// the assembler takes a longer branch then.
    max_function: u32,
    /// Assembler that the machine stage writes instead of the instruction, with the trampoline as `$0`; empty: it
    /// leaves the instruction as it is.
    assembler: Text,
    /// All of this is about calls of two instructions, which are one until a pass behind the machine stage makes them
    /// and drops its mark. A call of one instruction is left as it is.
    only_pairs: bool,
    /// Assembler that stands before the instruction and behind it. If something is to stand behind, it takes the
    /// place of a no-op that belongs to the instruction.
    before: Text,
    behind: Text,
    /// Not zero: this is no site, and enters the trampoline this many bytes behind its start.
    skip: u32,
}

impl SiteLayout {
    /// Where every instruction lies in one word.
    const ANYWHERE: Self = Self::aligned(0, 0);

    /// The instruction must not cross a boundary of this power of two, and this much padding sees to it.
    const fn aligned(log2_align: u32, max_bytes: u32) -> Self {
        const NOTHING: Text = Text::new("");
        Self {
            log2_align,
            max_bytes,
            padding: NOTHING,
            max_function: 0,
            assembler: NOTHING,
            only_pairs: false,
            before: NOTHING,
            behind: NOTHING,
            skip: 0,
        }
    }

    /// The same, padded with prefixes.
    const fn prefixed(log2_align: u32, max_bytes: u32, prefix: &'static str) -> Self {
        Self { padding: Text::new(prefix), ..Self::aligned(log2_align, max_bytes) }
    }

    /// The same for assembler that is written instead of the instruction.
    const fn aligned_assembler(log2_align: u32, max_bytes: u32, assembler: &'static str) -> Self {
        Self { assembler: Text::new(assembler), ..Self::aligned(log2_align, max_bytes) }
    }

    /// Pairs of instructions start an aligned word of eight bytes; one instruction lies in one anyway.
    const PAIRS: Self = Self { only_pairs: true, ..Self::aligned(3, 4) };
}

impl SiteKind {
    pub(crate) fn from_u32(number: u32) -> Option<Self> {
        [Self::Call, Self::Jump, Self::ConditionalJump].get(number as usize).copied()
    }
}

impl Target {
    /// The target of an LLVM triple (`architecture-vendor-system-environment`), if it has sites.
    pub(crate) fn from_triple(triple: &str) -> Option<&'static Self> {
        let mut parts = triple.split('-');
        let architecture = parts.next()?;
        let rest: Vec<&str> = parts.collect();
        // Everything but these writes ELF, bare metal ("none", "elf") included.
        let not_elf = [
            "apple",
            "darwin",
            "macos",
            "ios",
            "windows",
            "win32",
            "uefi",
            "cygwin",
            "wasi",
            "macho",
            "coff",
            "xcoff",
            "zos",
            "driverkit",
            "tvos",
            "watchos",
            "xros",
            "visionos",
            "goff",
        ];
        if rest.iter().any(|part| not_elf.iter().any(|name| part.starts_with(name))) {
            return None;
        }
        TARGETS.iter().find(|target| {
            let has_other_pointers =
                rest.iter().any(|part| target.other_pointers.iter().any(|end| part.ends_with(end)));
            target.names.contains(&architecture) && !has_other_pointers
        })
    }

    /// How a site of this kind must lie, so that one atomic store can replace it. `instruction` is LLVM's name
    /// of it.
    pub(crate) fn site_layout(&self, kind: SiteKind, instruction: &str) -> SiteLayout {
        (self.site_layout)(kind, instruction)
    }

    /// Whether a call of a trampoline is only right with what the machine stage writes behind it.
    pub(crate) fn needs_machine_stage(&self) -> bool {
        !self.site_layout(SiteKind::Call, "").behind.is_empty()
    }

    /// Whether a tail call may be a jump to a trampoline.
    pub(crate) const fn has_tail_calls(&self) -> bool {
        self.has_tail_calls
    }

    /// The unit in which memory is protected, and in which the linkers lay out segments by default.
    pub(crate) fn page_size(&self) -> u32 {
        self.architecture.page_size.try_into().expect("a small number")
    }

    /// Alignment of a trampoline. Its prefix is eight bytes long, so that the first instruction
    /// starts an aligned word.
    pub(crate) const fn trampoline_alignment(&self) -> u32 {
        8
    }

    /// Why a call cannot go through a trampoline.
    pub(crate) fn needs_indirect_call(&self, call: &Call<'_>) -> Option<&'static str> {
        let no_register_left = self.no_register_left.contains(&call.convention);
        no_register_left
            .then_some("its calling convention leaves a trampoline no register")
            .or_else(|| (self.needs_indirect_call)(call))
    }

    /// The function that these `target-features` of a caller want indirect jumps to go through.
    pub(crate) fn thunk(&self, features: &str) -> Option<&'static str> {
        (self.thunk)(Features(features))
    }

    /// The `target-features` of trampolines that need no thunk; empty if they are the module's.
    pub(crate) const fn trampoline_features(&self) -> &'static str {
        self.trampoline_features
    }

    /// The constraint of an operand of assembler that is a symbol, even where the program's code does not know
    /// its address.
    pub(crate) const fn symbol_constraint(&self) -> &'static str {
        self.symbol_constraint
    }

    /// A trampoline's code: it jumps to the target of the key that lies `offset` bytes into `$0`.
    ///
    /// The runtime knows the first instruction. It is one that a jump may replace while threads are about to run
    /// it or have just done so, and no register changes that carries an argument or that the caller wants back.
    /// The word that holds it belongs to the trampoline as a whole.
    ///
    /// If the key is `near`, its address is a constant distance away; otherwise the linker has a table
    /// of such addresses, and simplifies the access where it can.
    pub(crate) fn jump_to_target(
        &self,
        near: bool,
        is_movable: bool,
        offset: i64,
        thunk: Option<&str>,
    ) -> String {
        match self.jump_at_fixed_address {
            Some(jump) if near && !is_movable => jump(offset, thunk),
            _ => (self.jump_to_target)(near, offset, thunk),
        }
    }

    /// Whether a call in this convention can become a nop.
    pub(crate) fn may_vanish(&self, convention: u32) -> bool {
        self.may_vanish.contains(&convention)
    }
}

/// How code reads a key's pointer, so that it sees what was written before the update that set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// An acquire load. Where the processor has none, it becomes a call of libatomic, as it does without
    /// the pass.
    Acquire,
    /// A relaxed load and an acquire fence, which is at least as strong.
    RelaxedAndFence,
    /// A volatile load: one access of a whole word, which an interrupt cannot split. It orders nothing for
    /// other processors; there is no instruction for that which all processors of the architecture have.
    Volatile,
    /// An ordinary load. It may be moved and repeated, so nothing may update a key while code runs there.
    Plain,
}

impl Read {
    /// The way that compiles on every processor of the triple's architecture.
    ///
    /// Which processor it is need not be known before code generation. So this goes by the poorest.
    pub(crate) fn for_triple(triple: &str) -> Self {
        let architecture = triple.split('-').next().unwrap_or_default();
        match architecture {
            // PTX has acquire loads since sm_70, and fences always.
            "nvptx" | "nvptx64" => Self::RelaxedAndFence,
            // BPF has atomic loads since v4, and never a fence; the others have no atomics at all, nor a
            // libatomic.
            "bpf" | "bpfel" | "bpfeb" | "bpf_le" | "bpf_be" | "lanai" | "msp430" => Self::Volatile,
            // Only an ordinary load finds its way from the address space of all things to that of globals.
            "r600" => Self::Plain,
            _ => Self::Acquire,
        }
    }
}
