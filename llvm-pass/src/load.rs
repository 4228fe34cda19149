//! How a call that stays indirect reads its key.

use inkwell::AtomicOrdering;
use inkwell::builder::Builder;
use inkwell::module::Module;
use inkwell::types::PointerType;
use inkwell::values::{BasicValue, PointerValue};

use crate::module;

/// How code reads a key's pointer, so that it also sees what was written before the update that stored the
/// pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// An acquire load. Where the processor has none, it becomes a call of libatomic, as it does without
    /// the pass.
    Acquire,
    /// A relaxed load and an acquire fence, which is at least as strong.
    RelaxedAndFence,
    /// A volatile load: one access of a whole word, which an interrupt cannot split. It orders nothing for
    /// other processors, because no instruction does so on every processor of the architecture.
    Volatile,
    /// An ordinary load. It may be moved and repeated, so nothing may update a key while code runs there.
    Plain,
}

impl Read {
    /// The way that compiles on every processor of the architecture: the module need not say which one it is
    /// for.
    fn for_architecture(architecture: &str) -> Self {
        match architecture {
            // PTX has acquire loads since sm_70, and fences always.
            "nvptx" | "nvptx64" => Self::RelaxedAndFence,
            // BPF has atomic loads since v4, and never a fence; the others have no atomics at all, nor a
            // libatomic.
            "bpf" | "bpfel" | "bpfeb" | "bpf_le" | "bpf_be" | "lanai" | "msp430" => Self::Volatile,
            // Only an ordinary load can be rewritten from the generic address space to that of globals.
            "r600" => Self::Plain,
            _ => Self::Acquire,
        }
    }
}

/// Loads what a key points at, in the order that an update published it.
///
/// Volatile, so that no optimizer infers what a key holds: the function that stands for NULL may have another
/// calling convention than the call, which an optimizer would take for a call that never happens.
///
/// `pointer` is the type of a function's address: code may have an address space of its own.
pub(crate) fn target<'ctx>(
    module: &Module<'ctx>,
    builder: &Builder<'ctx>,
    pointer: PointerType<'ctx>,
    key: PointerValue<'ctx>,
) -> PointerValue<'ctx> {
    let target = builder.build_load(pointer, key, "target").expect("the builder has a position");
    let load = target.as_instruction_value().expect("a load is an instruction");
    load.set_alignment(module::pointer_size(module).next_power_of_two()).expect("a power of two");
    let triple = module::triple(module);
    let read = Read::for_architecture(triple.split('-').next().unwrap_or_default());
    load.set_volatile(read != Read::Plain).expect("a load may be volatile");
    match read {
        Read::Acquire => load.set_atomic_ordering(AtomicOrdering::Acquire).expect("a load may be atomic"),
        Read::RelaxedAndFence => {
            load.set_atomic_ordering(AtomicOrdering::Monotonic).expect("a load may be atomic");
            builder.build_fence(AtomicOrdering::Acquire, false, "").expect("the builder has a position");
        }
        Read::Volatile | Read::Plain => {}
    }
    target.into_pointer_value()
}
