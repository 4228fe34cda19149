use static_call_abi::S390X;

use super::{SiteLayout, Target};

pub(super) const TARGET: Target = Target {
    architecture: S390X,
    names: &["s390x", "systemz"],
    other_pointers: &[],
    // A doubleword holds the whole instruction. It is six bytes long and starts with a halfword, so that only at 4
    // and 6 it does not fit. LLVM's assembler leaves short branches as they are: they reach 65534 bytes ahead.
    site_layout: |_, _| SiteLayout { max_function: 65534, ..SiteLayout::aligned(3, 4) },
    // anyreg.
    no_register_left: &[13],
    needs_indirect_call: |_| None,
    // C, cold, preserve_most, preserve_all.
    may_vanish: &[0, 9, 14, 15],
    has_tail_calls: true,
    thunk: |_| None,
    trampoline_features: "",
    symbol_constraint: "i",
    jump_to_target,
    jump_at_fixed_address: None,
};

/// LGRL and LARL, which a linker may make of the one with GOTENT, are as long as the JG that replaces them; LGRL wants
/// a key that is aligned to eight. Loads are in order (SA22-7832-13, chapter 5, "Conceptual Sequence", storage-operand
/// fetches), so that each is an acquire. R1 is free between functions (ELF Application Binary Interface, s390x
/// Supplement, section 1.2.3).
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    // The runtime's tests link the same text.
    const NEAR: &str = include_str!("../../../runtime/src/arch/trampolines/s390x-near.s");
    const FAR: &str = include_str!("../../../runtime/src/arch/trampolines/s390x-far.s");
    if near {
        return NEAR.replace("near+8", &format!("${{0:c}}+{offset}"));
    }
    // A displacement has twenty bits, with its sign.
    let field = if offset < 1 << 19 {
        format!("lg\t%r1, {offset}(%r1)")
    } else {
        // The low half and its carry, then the high one in its place.
        let (high, low) = (offset >> 32, offset & 0xffff_ffff);
        let swap = "rllg\t%r1, %r1, 32";
        format!("algfi\t%r1, {low}\n\t{swap}\n\talgfi\t%r1, {high}\n\t{swap}\n\tlg\t%r1, 0(%r1)")
    };
    FAR.replace("lg\t%r1, 8(%r1)", &field).replace("far@", "${0:c}@")
}
