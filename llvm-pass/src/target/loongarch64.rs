use static_call_abi::LOONGARCH64;

use super::{SiteLayout, Target};

pub(super) const TARGET: Target = Target {
    architecture: LOONGARCH64,
    names: &["loongarch64"],
    other_pointers: &[],
    // The compiler has chosen its conditional branches already, which reach 128 KiB.
    site_layout: |_, _| SiteLayout { max_function: (1 << 17) - 4, ..SiteLayout::PAIRS },
    // anyreg, CXX_FAST_TLS, preserve_none. (None of the others passes anything in $t0 or $t8, or wants them back.)
    no_register_left: &[13, 17, 21],
    needs_indirect_call: |_| None,
    // C, cold, preserve_most.
    may_vanish: &[0, 9, 14],
    has_tail_calls: true,
    thunk: |_| None,
    trampoline_features: "",
    symbol_constraint: "s",
    jump_to_target,
    jump_at_fixed_address: None,
};

/// The PCALAU12I is what a B replaces. DBAR 20 makes the load an acquire, as LLVM does. Nothing but a trap follows
/// the jump.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    // The runtime's tests link the same text.
    const NEAR: &str = include_str!("../../../runtime/src/arch/trampolines/loongarch64-near.s");
    const FAR: &str = include_str!("../../../runtime/src/arch/trampolines/loongarch64-far.s");
    let code = if near {
        NEAR.replace("near+8", &format!("KEY+{offset}"))
    } else {
        let field = match offset {
            0..2048 => format!("ld.d\t$t8, $t8, {offset}"),
            _ => format!("li.d\t$t0, {offset}\n\tadd.d\t$t8, $t8, $t0\n\tld.d\t$t8, $t8, 0"),
        };
        FAR.replace("ld.d\t$t8, $t8, 8", &field).replace("(far)", "(KEY)")
    };
    // In LLVM's text a dollar sign starts an operand.
    code.replace('$', "$$").replace("KEY", "${0:c}")
}
