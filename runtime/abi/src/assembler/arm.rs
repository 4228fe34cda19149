/// ARMv7 (A32 code), for the pass and for Rust's macros.
///
/// The first instruction is a number, since GNU as takes `nop` for MOV R0, R0 where it was told no
/// architecture. R12 is free between functions (AAPCS, section 6.1.1). DMB makes the load an acquire, and the
/// barriers behind BX stop speculation past it.
///
/// A load's displacement has twelve bits.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_arm {
    (near) => {
        ".inst 0xe320f000
        ldr ip, 776f
        775: ldr ip, [pc, ip]
        dmb ish
        bx ip
        dsb sy
        isb
        776: .long {key}+{offset}-(775b+8)
        .p2align 3"
    };
    (far) => {
        $crate::__static_call_arm!(far "ldr ip, [ip, #{offset}]")
    };
    (far $field:literal) => {
        ::core::concat!(
            ".inst 0xe320f000
            ldr ip, 776f
            775: ldr ip, [pc, ip]
            ", $field, "
            dmb ish
            bx ip
            dsb sy
            isb
            776: .long {key}(GOT_PREL)-((775b+8)-776b)
            .p2align 3"
        )
    };
    // The key's address comes from the record at 771, for C: see AArch64.
    (recorded) => {
        ".inst 0xe320f000
        ldr ip, 776f
        775: ldr ip, [pc, ip]
        ldr ip, [ip]
        dmb ish
        bx ip
        dsb sy
        isb
        776: .long 771f-(775b+8)
        .p2align 3"
    };
    // A static branch, as in `x86_64.rs`. The check may use r12 and the flags.
    (branch on) => {
        $crate::__static_call_arm!(branch "ldr ip, [ip]" "cmp ip, #0" "beq 783f")
    };
    (branch off) => {
        $crate::__static_call_arm!(branch "ldr ip, [ip]" "cmp ip, #0" "bne 783f")
    };
    // The lowest bit of `form` says that it calls none.
    (branch some) => {
        $crate::__static_call_arm!(branch "ldrb ip, [ip, #16]" "tst ip, #1" "bne 783f")
    };
    (branch $($look:literal)+) => {
        $crate::__static_call_branch!(
            code "b"
            ["mov ip, ip" "ldr ip, 785f" "784: ldr ip, [pc, ip]"]
            [$($look)+]
            "785: .long \".Lstatic_call_branch.{key}\"-(784b+8)"
        )
    };
    (hooks) => {
        ".p2align 2
        773: ldr r0, 775f
        776: add r0, pc, r0
        b __static_call_register
        774: ldr r0, 777f
        778: add r0, pc, r0
        b __static_call_unregister
        775: .long 772b-(776b+8)
        777: .long 772b-(778b+8)"
    };
}
