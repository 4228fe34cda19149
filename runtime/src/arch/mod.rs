//! What the bytes of a site mean on each architecture.
//!
//! A backend is pure: it turns instructions into bytes and back, touches no memory and asks nothing of the
//! operating system. Every backend is compiled, and its tests run, on every host; `native` is the one that
//! this process runs on. Only `publish`, which makes replaced words visible to instruction fetches, is
//! compiled for its own architecture alone.
//!
//! To add an architecture: write a file like `aarch64.rs`, give it a row below, and one in
//! `llvm-pass/src/target/`. The trampolines' assembler is in `runtime/abi/src/assembler/`.

/// Names the backends. Those that this process does not run on are there for their tests.
macro_rules! backends {
    ($($name:ident for $target:meta;)*) => {
        $(
            #[cfg_attr(not(all($target, feature = "os")), allow(dead_code, unused_imports))]
            pub(crate) mod $name;
            #[cfg($target)]
            pub(crate) use $name as native;
        )*
        #[cfg_attr(any($($target),*), allow(dead_code, unused_imports))]
        pub(crate) mod unsupported;
        #[cfg(not(any($($target),*)))]
        pub(crate) use unsupported as native;
    };
}

backends! {
    x86_64 for target_arch = "x86_64";
    x86 for all(target_arch = "x86", target_has_atomic = "64");
    aarch64 for all(target_arch = "aarch64", target_endian = "little", target_pointer_width = "64");
    loongarch64 for target_arch = "loongarch64";
    arm for all(target_arch = "arm", target_endian = "little", target_os = "linux");
    riscv64 for target_arch = "riscv64";
    s390x for target_arch = "s390x";
    powerpc64 for all(target_arch = "powerpc64", target_endian = "little");
}

/// Only POWER's functions have two entries.
#[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
pub(crate) use powerpc64::entry;

/// Where a branch enters the function at `target`.
#[cfg(not(all(target_arch = "powerpc64", target_endian = "little")))]
#[inline]
pub(crate) fn entry(
    target: usize,
    _trampoline: usize,
    _text: &core::ops::Range<usize>,
    _load: impl Fn(usize) -> u32,
) -> Option<usize> {
    Some(target)
}

#[cfg(test)]
mod oracle;
mod site;
// Like the backends that use it.
#[cfg_attr(
    not(all(any(target_arch = "riscv64", target_arch = "loongarch64"), feature = "os")),
    allow(dead_code)
)]
mod pair;

pub(crate) use site::{Action, BulkRewrite, Code, Exchange, Jumps, Kind, first, to_number};

/// What the instruction of a static branch at `pc` does. `bytes` starts there.
///
/// On every architecture it is the jump of a tail call, or the no-op of a call that is off: both are one
/// instruction of the same length, or word, and each architecture's rules for code that runs let one replace
/// the other.
#[inline]
pub(crate) fn decode_branch(pc: usize, bytes: &[u8]) -> Option<Action> {
    match native::decode(pc, bytes)? {
        (Kind::Jump, action @ Action::Branch(_)) | (Kind::Call, action @ Action::Nop) => Some(action),
        _ => None,
    }
}

/// Whether the code of a static branch that looks at its key may start like this, as the texts in
/// `runtime/abi` do. Other jumps of the program lead elsewhere.
pub(crate) fn is_check(bytes: &[u8]) -> bool {
    !native::CHECK.is_empty() && bytes.starts_with(native::CHECK)
}

/// The instruction of a static branch that does `action`, or None where it does not reach.
#[inline]
pub(crate) fn encode_branch(pc: usize, action: Action) -> Option<Code> {
    match action {
        Action::Branch(_) => native::encode(Kind::Jump, pc, action),
        Action::Nop => native::encode(Kind::Call, pc, action),
        Action::Zero => None,
    }
}

/// The instruction of a static branch when its key is switched, so that it jumps from then on or does not any
/// more. None where a jump does not reach the target.
#[inline]
pub(crate) fn exchange_branch(pc: usize, target: usize, will_jump: bool) -> Option<Exchange> {
    let (jump, nop) = (encode_branch(pc, Action::Branch(target))?, encode_branch(pc, Action::Nop)?);
    Some(if will_jump { Exchange { from: nop, to: jump } } else { Exchange { from: jump, to: nop } })
}

/// The unit that is replaced at once, in bytes: aligned to its size, never torn.
pub(crate) const WORD: usize = native::WORD;
