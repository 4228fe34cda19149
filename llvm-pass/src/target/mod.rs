//! What the pass must know about an architecture: whether sites are recorded, and how they must be placed.
//!
//! To add one: a file like `aarch64.rs`, and its name below. The trampolines' assembler is in
//! `runtime/abi/src/assembler/`.

mod aarch64;
mod arm;
pub(crate) mod conventions;
mod description;
mod loongarch64;
mod powerpc64;
mod riscv64;
mod s390x;
mod site;
mod text;
mod x86;
mod x86_64;

pub(crate) use description::{CoffJump, Features, Target};
pub(crate) use site::{SiteKind, SiteLayout};

/// The architectures with a backend in the runtime.
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

/// The target of an LLVM triple (`architecture-vendor-system-environment`), if the runtime knows it.
pub(crate) fn from_triple(triple: &str) -> Option<&'static Target> {
    let mut parts = triple.split('-');
    let architecture = parts.next()?;
    let rest: Vec<&str> = parts.collect();
    TARGETS.iter().find(|target| {
        let has_other_pointers =
            rest.iter().any(|part| target.other_pointers.iter().any(|end| part.ends_with(end)));
        target.names.contains(&architecture) && !has_other_pointers
    })
}
