//! What the pass has to know of an architecture: whether sites are recorded, and how they must lie.

/// An architecture with a backend in the runtime. On every other one, and where the object format
/// is not ELF, the intrinsic becomes a load of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    X86_64,
    AArch64,
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

/// The kinds of site that the machine stage tells apart; numbered as in `shim.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SiteKind {
    Call,
    Jump,
    ConditionalJump,
}

/// `StaticCallSiteLayout` of `shim.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SiteLayout {
    /// The instruction must not cross a boundary of this power of two.
    log2_align: u32,
    /// The padding that this needs at the most; with more, the instruction does not cross it anyway.
    max_bytes: u32,
}

impl SiteKind {
    pub(crate) fn from_u32(number: u32) -> Option<Self> {
        [Self::Call, Self::Jump, Self::ConditionalJump].get(number as usize).copied()
    }
}

impl Target {
    /// The target of an LLVM triple (`architecture-vendor-system-environment`), if it has sites.
    pub(crate) fn from_triple(triple: &str) -> Option<Self> {
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
            "driverkit",
            "tvos",
            "watchos",
            "xros",
            "visionos",
        ];
        if rest.iter().any(|part| not_elf.iter().any(|name| part.starts_with(name))) {
            return None;
        }
        match architecture {
            // x32: pointers of four bytes, which the runtime's backend does not read.
            "x86_64" | "amd64" if !rest.iter().any(|part| part.ends_with("x32")) => Some(Self::X86_64),
            // Nor ILP32's.
            "aarch64" | "arm64" if !rest.iter().any(|part| part.ends_with("ilp32")) => Some(Self::AArch64),
            _ => None,
        }
    }

    /// How a site of this kind must lie, so that one atomic store can replace it.
    pub(crate) const fn site_layout(self, kind: SiteKind) -> SiteLayout {
        match self {
            // One aligned eight-byte word holds the whole instruction: AMD64 Architecture
            // Programmer's Manual, volume 2 (24593), section 7.6.1. A five-byte instruction at
            // offset 4 of its word needs four bytes of padding; at 0 to 3 it fits as it is.
            Self::X86_64 => SiteLayout {
                log2_align: 3,
                max_bytes: match kind {
                    SiteKind::Call | SiteKind::Jump => 4,
                    SiteKind::ConditionalJump => 5,
                },
            },
            // Every instruction is an aligned word: Arm Architecture Reference Manual (DDI 0487), B2.2.1.
            Self::AArch64 => SiteLayout { log2_align: 0, max_bytes: 0 },
        }
    }

    /// The unit in which memory is protected, and in which the linkers lay out segments by default; the largest
    /// where systems differ. The runtime has the same (`runtime/src/seal.rs`).
    pub(crate) const fn page_size(self) -> u32 {
        match self {
            Self::X86_64 => 4096,
            Self::AArch64 => 65536,
        }
    }

    /// Alignment of a trampoline. Its prefix is eight bytes long, so that the first instruction
    /// starts an aligned word.
    pub(crate) const fn trampoline_alignment(self) -> u32 {
        match self {
            Self::X86_64 | Self::AArch64 => 8,
        }
    }

    /// Why a call in this convention cannot go through a trampoline.
    ///
    /// The numbers are `llvm::CallingConv`'s: anyreg, CXX_FAST_TLS, preserve_none and interrupt handlers
    /// leave no register for the jump. (On AArch64 a linker may insert code that changes x16 and x17 into any
    /// call, so that the others leave these two.)
    pub(crate) fn needs_indirect_call(self, convention: u32) -> Option<&'static str> {
        let no_register_left = match self {
            Self::X86_64 => [13, 17, 21, 83].contains(&convention),
            Self::AArch64 => [13, 17, 21].contains(&convention),
        };
        no_register_left.then_some("its calling convention leaves a trampoline no register")
    }

    /// The function that these `target-features` of a caller want indirect jumps to go through.
    pub(crate) fn thunk(self, features: &str) -> Option<&'static str> {
        let has = |name: &str| features.split(',').any(|feature| feature.strip_prefix('+') == Some(name));
        match self {
            Self::X86_64 if has("retpoline-external-thunk") => Some("__x86_indirect_thunk_r11"),
            Self::X86_64 if has("retpoline") || has("retpoline-indirect-calls") => {
                Some("__llvm_retpoline_r11")
            }
            Self::X86_64 if has("lvi-cfi") => Some("__llvm_lvi_thunk_r11"),
            Self::X86_64 | Self::AArch64 => None,
        }
    }

    /// The constraint of an operand of assembler that is a symbol, even where the program's code does not know
    /// its address.
    pub(crate) const fn symbol_constraint(self) -> &'static str {
        match self {
            Self::X86_64 => "^Ws",
            Self::AArch64 => "S",
        }
    }

    /// A trampoline's code: it jumps to the target of the key that lies `offset` bytes into `$0`.
    ///
    /// The runtime knows the first instruction. It is one that a jump may replace while threads are about to run
    /// it or have just done so,
    /// and no register changes that carries an argument or that the caller wants back. The word that
    /// holds it belongs to the trampoline as a whole.
    ///
    /// If the key is `near`, its address is a constant distance away; otherwise the linker has a table
    /// of such addresses, and simplifies the access where it can.
    pub(crate) fn jump_to_target(self, near: bool, offset: i64, thunk: Option<&str>) -> String {
        match self {
            // A load is an acquire on x86-64. The trap stops speculation behind the jump.
            Self::X86_64 => {
                let (address, target) = if near {
                    ("", format!("${{0:c}}+{offset}(%rip)"))
                } else {
                    ("movq ${0:c}@GOTPCREL(%rip), %r11\n\t", format!("{offset}(%r11)"))
                };
                let jump = match thunk {
                    None => format!("jmpq *{target}"),
                    Some(thunk) => format!("movq {target}, %r11\n\tjmp {thunk}"),
                };
                format!("{address}{jump}\n\tint3\n\t.p2align 3, 0xcc")
            }
            // The NOP is what B replaces: of the other instructions none may be replaced while it runs (DDI 0487,
            // B2.2.5). x16 and x17 are the intra-procedure-call registers (AAPCS64, section 6.1.1), and BR
            // through x16 may land on BTI C. The barriers stop speculation behind it.
            Self::AArch64 => {
                let (address, offset) = if near {
                    let key = format!("${{0:c}}+{offset}");
                    (format!("adrp x16, {key}\n\tadd x16, x16, :lo12:{key}"), 0)
                } else {
                    ("adrp x16, :got:${0:c}\n\tldr x16, [x16, :got_lo12:${0:c}]".to_owned(), offset)
                };
                let field = match offset {
                    0 => String::new(),
                    1..4096 => format!("\n\tadd x16, x16, #{offset}"),
                    _ => {
                        let part = |shift: u32| offset >> shift & 0xffff;
                        let (low, middle, high) = (part(0), part(16), part(32));
                        format!(
                            "\n\tmovz x17, #{low}\n\tmovk x17, #{middle}, lsl #16\n\tmovk x17, #{high}, lsl #32\
                             \n\tadd x16, x16, x17"
                        )
                    }
                };
                format!("nop\n\t{address}{field}\n\tldar x16, [x16]\n\tbr x16\n\tdsb sy\n\tisb\n\t.p2align 3")
            }
        }
    }

    /// Whether a call in this convention can become a nop: the caller removes the arguments, and
    /// the result, if there is one, comes in the register that "return zero" clears.
    ///
    /// The numbers are `llvm::CallingConv`'s: C, cold, preserve_most, preserve_all, SysV, Win64; on AArch64
    /// those that pass vectors.
    pub(crate) fn may_vanish(self, convention: u32) -> bool {
        match self {
            Self::X86_64 => [0, 9, 14, 15, 78, 79].contains(&convention),
            Self::AArch64 => [0, 9, 14, 15, 97, 98].contains(&convention),
        }
    }
}
