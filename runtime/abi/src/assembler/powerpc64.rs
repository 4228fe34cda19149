/// POWER of 64 bits, little-endian, for the pass.
///
/// A branch replaces the NOP, which is the preferred no-op, because both must be in the patch class. R0, R12,
/// LR and CTR are free between functions, but not R11, which may contain a nested function's frame. Callers
/// may have no TOC, so the trampoline computes the TOC pointer from its own address, as a function does.
/// LWSYNC makes the load an acquire, and the branch after the jump stops speculation past it.
///
/// A load's displacement has sixteen bits, including the sign. In a sum, the offset precedes the key, because
/// LLVM's assembler refuses an operand that starts with a quoted name.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_powerpc64 {
    (near) => {
        ::core::concat!(
            $crate::__static_call_powerpc64!(@toc),
            "addis 12, 2, {offset}+{key}@toc@ha
            ld 12, {offset}+{key}@toc@l(12)
            ",
            $crate::__static_call_powerpc64!(@jump)
        )
    };
    (far) => {
        $crate::__static_call_powerpc64!(far "ld 12, {offset}(12)")
    };
    (far $field:literal) => {
        ::core::concat!(
            $crate::__static_call_powerpc64!(@toc),
            "addis 12, 2, 0+{key}@got@ha
            ld 12, 0+{key}@got@l(12)
            ", $field, "
            ",
            $crate::__static_call_powerpc64!(@jump)
        )
    };
    // Sets r2 to the TOC pointer.
    (@toc) => {
        "nop
        mflr 0
        .cfi_register lr, 0
        bcl 20, 31, 775f
        775: mflr 12
        mtlr 0
        .cfi_restore lr
        addis 2, 12, .TOC.-775b@ha
        addi 2, 2, .TOC.-775b@l
        "
    };
    // Jumps to the address in r12.
    (@jump) => {
        "lwsync
        mtctr 12
        bctr
        b ."
    };
}
