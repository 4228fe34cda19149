use static_call_abi::RISCV64;

use super::{SiteKind, SiteLayout, Target};

pub(super) const TARGET: Target = Target {
    architecture: RISCV64,
    names: &["riscv64"],
    other_pointers: &["ilp32"],
    site_layout,
    // anyreg, CXX_FAST_TLS, preserve_none. (None of the others passes anything in t0 or t1.)
    no_register_left: &[13, 17, 21],
    needs_indirect_call: |_| None,
    // C, cold, preserve_most, and the one that passes vectors.
    may_vanish: &[0, 9, 14, 110],
    has_tail_calls: true,
    thunk: |_| None,
    symbol_constraint: "S",
    trampoline_features: "",
    jump_to_target,
    jump_at_fixed_address: None,
};

/// A call is two instructions, which have to lie in one word, since the runtime replaces the second one and checks
/// the first. With compressed instructions it may start at any even address, otherwise at every fourth.
///
/// Linkers relax a call to one instruction, which is a site as well. Of a tail call they make one of two bytes, which is
/// none: so that one is written such that they leave it alone.
fn site_layout(kind: SiteKind, _instruction: &str) -> SiteLayout {
    // Jumps inside a function reach 1 MiB, and padding nearly doubles a function that consists of calls.
    let max_function = 1 << 19;
    const TAIL: &str = ".option push\n\t.option norelax\n\ttail $0\n\t.option pop";
    match kind {
        SiteKind::Call => SiteLayout { max_function, ..SiteLayout::aligned(3, 6) },
        SiteKind::Jump | SiteKind::ConditionalJump => {
            SiteLayout { max_function, ..SiteLayout::aligned_assembler(3, 6, TAIL) }
        }
    }
}

/// The AUIPC is what a JAL replaces; it is never relaxed. A tail call leaves t1 and t0 alone. The fence makes the load an
/// acquire, and the trap stops speculation behind the jump.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    // The runtime's tests link the same text.
    const NEAR: &str = include_str!("../../../runtime/src/arch/trampolines/riscv64-near.s");
    const FAR: &str = include_str!("../../../runtime/src/arch/trampolines/riscv64-far.s");
    if near {
        return NEAR.replace("near+8", &format!("${{0:c}}+{offset}"));
    }
    let field = match offset {
        0..2048 => format!("ld\tt1, {offset}(t1)"),
        _ => format!("li\tt0, {offset}\n\tadd\tt1, t1, t0\n\tld\tt1, 0(t1)"),
    };
    FAR.replace("ld\tt1, 8(t1)", &field).replace("(far)", "(${0:c})")
}
