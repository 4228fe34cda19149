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
    // A static branch, as in `x86_64.rs`. The check may use r0, r12 and cr0. The function may have no TOC
    // pointer, so the record's address is made from that of the check; the link register comes back.
    (branch on) => {
        $crate::__static_call_powerpc64!(branch "ld 12, 0(12)" "cmpdi 12, 0" "beq 783f")
    };
    (branch off) => {
        $crate::__static_call_powerpc64!(branch "ld 12, 0(12)" "cmpdi 12, 0" "bne 783f")
    };
    // The lowest bit of `form` says that it calls none.
    (branch some) => {
        $crate::__static_call_powerpc64!(branch "lbz 12, 32(12)" "andi. 12, 12, 1" "bne 783f")
    };
    (branch $($look:literal)+) => {
        $crate::__static_call_branch!(
            code "b"
            [
                "mr 12, 12"
                "mflr 0"
                "bcl 20, 31, 784f"
                "784: mflr 12"
                "mtlr 0"
                "addis 12, 12, 0+\".Lstatic_call_branch.{key}\"-784b@ha"
                "addi 12, 12, 0+\".Lstatic_call_branch.{key}\"-784b@l"
                "ld 12, 0(12)"
            ]
            [$($look)+]
        )
    };
    // Called by their addresses, which are in r12. The functions may be another image's.
    (hooks) => {
        ::core::concat!(
            $crate::__static_call_powerpc64!(@hook "773" "__static_call_register"),
            $crate::__static_call_powerpc64!(@hook "774" "__static_call_unregister")
        )
    };
    (@hook $label:literal $function:literal) => {
        ::core::concat!(
            ".p2align 2
            ", $label, ": addis 2, 12, .TOC.-", $label, "b@ha
            addi 2, 2, .TOC.-", $label, "b@l
            mflr 0
            std 0, 16(1)
            stdu 1, -32(1)
            addis 3, 2, 772b@toc@ha
            addi 3, 3, 772b@toc@l
            bl ", $function, "
            nop
            addi 1, 1, 32
            ld 0, 16(1)
            mtlr 0
            blr
            "
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
