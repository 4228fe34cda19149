/// z/Architecture of 64 bits, for the pass and for Rust's macros.
///
/// LGRL, and the LARL that a linker may make of one that reads the GOT, are as long as the JG that replaces
/// them. LGRL requires a key that is aligned to eight bytes. (LLVM before 20 does not know `@GOTENT`, and
/// means the same by `@GOT`.) Loads are in order (SA22-7832-13, chapter 5, "Conceptual Sequence",
/// storage-operand fetches), so each is an acquire. R1 is free between functions (ELF Application Binary
/// Interface, s390x Supplement, section 1.2.3).
///
/// A displacement has twenty bits, sign included.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_s390x {
    (near) => {
        "lgrl %r1, {key}+{offset}
        br %r1
        .p2align 3"
    };
    (far) => {
        $crate::__static_call_s390x!(far "lg %r1, {offset}(%r1)")
    };
    (far $field:literal) => {
        ::core::concat!(
            "lgrl %r1, {key}@GOT
            ", $field, "
            br %r1
            .p2align 3"
        )
    };
    // The key's address comes from the record at 771, for C: see AArch64.
    (recorded) => {
        "lgrl %r1, 771f
        lg %r1, 0(%r1)
        br %r1
        .p2align 3"
    };
    // A static branch, as in `x86_64.rs`. The check may use r1 and the condition code. The jump lies in one
    // doubleword, as calls do, behind NOPRs.
    (branch on) => {
        $crate::__static_call_s390x!(branch "cghsi 0(%r1), 0" "je 783f")
    };
    (branch off) => {
        $crate::__static_call_s390x!(branch "cghsi 0(%r1), 0" "jne 783f")
    };
    // The lowest bit of `form` says that it calls none.
    (branch some) => {
        $crate::__static_call_s390x!(branch "tm 35(%r1), 1" "jne 783f")
    };
    (branch $($look:literal)+) => {
        ::core::concat!(
            ".p2align 3, 0x07, 4
            ",
            $crate::__static_call_branch!(
                code "jg"
                ["lgr %r1, %r1" "lgrl %r1, \".Lstatic_call_branch.{key}\""]
                [$($look)+]
            )
        )
    };
    (hooks) => {
        "773: larl %r2, 772b
        jg __static_call_register@PLT
        774: larl %r2, 772b
        jg __static_call_unregister@PLT"
    };
}
