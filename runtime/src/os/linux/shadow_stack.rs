//! Shadow stacks (Intel CET), which hold a second copy of each return address.

/// Linux has shadow stacks for programs of 64 bits alone.
#[cfg(target_arch = "x86")]
pub(crate) fn has_shadow_stack() -> bool {
    false
}

/// Whether this thread has a shadow stack (Intel CET), which nobody but a call instruction may write to.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_shadow_stack() -> bool {
    use super::system_call::system_call;

    // linux/arch/x86/include/uapi/asm/prctl.h
    const ARCH_SHSTK_STATUS: usize = 0x5005;
    let mut features: u64 = 0;
    let arguments = [ARCH_SHSTK_STATUS, (&raw mut features).expose_provenance()];
    // SAFETY: arch_prctl(2) writes the features; older kernels do not know it, and have none.
    let status = unsafe { system_call(libc::SYS_arch_prctl, arguments) };
    status.is_ok() && features != 0
}
