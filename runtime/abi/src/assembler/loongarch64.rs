/// LoongArch of 64 bits, for the pass and for Rust's macros.
///
/// A B replaces the PCALAU12I. `$t8` is what a tail call uses: no calling convention passes anything in it or
/// wants it back. DBAR 20 makes the load an acquire (Reference Manual, section 2.2.8.1), as in LLVM's own
/// code. BREAK stops speculation past the jump.
///
/// Linkers would relax both instructions into PCADDI, if the assembler let them. `.option norelax` would
/// forbid it, but LLVM 22 crashes where it looks for symbols in a module's assembler and finds that. So the
/// relocations stand beside the instructions. Nor is an alignment relaxed if its padding has a value.
///
/// A load's displacement has twelve bits, sign included.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_loongarch64 {
    (near) => {
        "775: pcalau12i $t8, 0
        .reloc 775b, R_LARCH_PCALA_HI20, {key}+{offset}
        776: ld.d $t8, $t8, 0
        .reloc 776b, R_LARCH_PCALA_LO12, {key}+{offset}
        dbar 20
        jr $t8
        break 0
        nop
        .p2align 3, 0xff"
    };
    (far) => {
        $crate::__static_call_loongarch64!(far "ld.d $t8, $t8, {offset}")
    };
    (far $field:literal) => {
        ::core::concat!(
            "775: pcalau12i $t8, 0
            .reloc 775b, R_LARCH_GOT_PC_HI20, {key}
            776: ld.d $t8, $t8, 0
            .reloc 776b, R_LARCH_GOT_PC_LO12, {key}
            ", $field, "
            dbar 20
            jr $t8
            break 0
            .p2align 3, 0xff"
        )
    };
    // The key's address comes from the record at 771, for C: see AArch64.
    (recorded) => {
        "775: pcalau12i $t8, 0
        .reloc 775b, R_LARCH_PCALA_HI20, 771f
        776: ld.d $t8, $t8, 0
        .reloc 776b, R_LARCH_PCALA_LO12, 771f
        ld.d $t8, $t8, 0
        dbar 20
        jr $t8
        break 0
        .p2align 3, 0xff"
    };
    (hooks) => {
        ".p2align 2
        773: la.local $a0, 772b
        tail36 $t8, __static_call_register
        774: la.local $a0, 772b
        tail36 $t8, __static_call_unregister"
    };
}
