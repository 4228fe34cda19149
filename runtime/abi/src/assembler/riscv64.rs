/// RISC-V of 64 bits, for the pass and for Rust's macros.
///
/// A JAL replaces the AUIPC, which linkers would relax: relaxation is off. `t1` is what a tail call uses: no
/// calling convention passes anything in it, or in `t0`. The jump through it asks for a landing pad with the
/// label zero (Zicfilp), the only one that LLVM 22 makes. The fence makes the load an acquire, and the trap
/// stops speculation past the jump.
///
/// A load's displacement has twelve bits, sign included.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_riscv64 {
    (near) => {
        ".option push
        .option norelax
        .option norvc
        775: auipc t1, %pcrel_hi({key}+{offset})
        ld t1, %pcrel_lo(775b)(t1)
        fence r, rw
        jr t1
        unimp
        .p2align 3
        .option pop"
    };
    (far) => {
        $crate::__static_call_riscv64!(far "ld t1, {offset}(t1)")
    };
    (far $field:literal) => {
        ::core::concat!(
            ".option push
            .option norelax
            .option norvc
            775: auipc t1, %got_pcrel_hi({key})
            ld t1, %pcrel_lo(775b)(t1)
            ", $field, "
            fence r, rw
            jr t1
            unimp
            .p2align 3
            .option pop"
        )
    };
    // The key's address comes from the record at 771, for C: see AArch64.
    (recorded) => {
        ".option push
        .option norelax
        .option norvc
        775: auipc t1, %pcrel_hi(771f)
        ld t1, %pcrel_lo(775b)(t1)
        ld t1, (t1)
        fence r, rw
        jr t1
        unimp
        .p2align 3
        .option pop"
    };
    // A static branch, as in `x86_64.rs`. The check may use t1. The alignment is one that linkers keep where
    // they relax code. The jump is neither relaxed nor compressed, so one store changes it.
    (branch on) => {
        $crate::__static_call_riscv64!(branch "ld t1, 0(t1)" "beqz t1, 783f")
    };
    (branch off) => {
        $crate::__static_call_riscv64!(branch "ld t1, 0(t1)" "bnez t1, 783f")
    };
    // The lowest bit of `form` says that it calls none.
    (branch some) => {
        $crate::__static_call_riscv64!(branch "lbu t1, 32(t1)" "andi t1, t1, 1" "bnez t1, 783f")
    };
    (branch $($look:literal)+) => {
        ::core::concat!(
            ".p2align 2
            .option push
            .option norelax
            .option norvc
            ",
            $crate::__static_call_branch!(
                code "jal zero,"
                [
                    "mv t1, t1"
                    "784: auipc t1, %pcrel_hi(\".Lstatic_call_branch.{key}\")"
                    "ld t1, %pcrel_lo(784b)(t1)"
                ]
                [$($look)+]
            ),
            "\n.option pop"
        )
    };
    (hooks) => {
        "773: lla a0, 772b
        tail __static_call_register
        774: lla a0, 772b
        tail __static_call_unregister"
    };
}
