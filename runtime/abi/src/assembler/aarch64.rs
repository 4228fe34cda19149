/// AArch64, for the pass and for Rust's macros.
///
/// B replaces the NOP, because none of the other instructions may be replaced while another thread executes
/// it (DDI 0487, B2.2.5). x16 and x17 are the intra-procedure-call registers (AAPCS64, section 6.1.1), and BR
/// through x16 may land on BTI C. LDAR is an acquire. The barriers stop speculation past the jump.
///
/// LDAR has no displacement: `far` alone is for a key at the symbol itself.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_aarch64 {
    (near) => {
        $crate::__static_call_aarch64!(near "")
    };
    (near $check:literal) => {
        ::core::concat!(
            "nop
            adrp x16, {key}+{offset}
            add x16, x16, :lo12:{key}+{offset}
            ldar x16, [x16]
            ", $check, "
            br x16
            dsb sy
            isb
            .p2align 3"
        )
    };
    (far) => {
        $crate::__static_call_aarch64!(far "" "")
    };
    (far $field:literal $check:literal) => {
        ::core::concat!(
            "nop
            adrp x16, :got:{key}
            ldr x16, [x16, :got_lo12:{key}]
            ", $field, "
            ldar x16, [x16]
            ", $check, "
            br x16
            dsb sy
            isb
            .p2align 3"
        )
    };
    // Checks the type of the function in x16, with registers that no argument of C is in. BRK's number names
    // the two registers, as those of compilers do.
    (check) => {
        "ldur w17, [x16, #-{distance}]
        movz w9, #{hash_low}
        movk w9, #{hash_high}, lsl #16
        cmp w17, w9
        b.eq 777f
        movz w9, #{stand_in_low}
        movk w9, #{stand_in_high}, lsl #16
        cmp w17, w9
        b.eq 777f
        brk #0x8130
        777:"
    };
    // The key's address comes from the record at 771. For C: GNU as asks for the entry of a local key in the
    // global offset table by section and offset, and GNU ld then has one entry for the whole section.
    (recorded) => {
        "nop
        adrp x16, 771f
        ldr x16, [x16, :lo12:771f]
        ldar x16, [x16]
        br x16
        dsb sy
        isb
        .p2align 3"
    };
    // A static branch, as in `x86_64.rs`. The check may use x16, and changes no flags.
    (branch on) => {
        $crate::__static_call_aarch64!(branch "ldr x16, [x16]" "cbz x16, 783f")
    };
    (branch off) => {
        $crate::__static_call_aarch64!(branch "ldr x16, [x16]" "cbnz x16, 783f")
    };
    // The lowest bit of `form` says that it calls none.
    (branch some) => {
        $crate::__static_call_aarch64!(branch "ldrb w16, [x16, #32]" "tbnz w16, #0, 783f")
    };
    (branch $($look:literal)+) => {
        $crate::__static_call_branch!(
            code "b"
            [
                "mov x16, x16"
                "adrp x16, \".Lstatic_call_branch.{key}\""
                "ldr x16, [x16, :lo12:\".Lstatic_call_branch.{key}\"]"
            ]
            [$($look)+]
        )
    };
    // `hint 34` is BTI C, for assemblers that do not know it.
    (hooks) => {
        ".p2align 2
        773: hint 34
        adrp x0, 772b
        add x0, x0, :lo12:772b
        b __static_call_register
        774: hint 34
        adrp x0, 772b
        add x0, x0, :lo12:772b
        b __static_call_unregister"
    };
}
