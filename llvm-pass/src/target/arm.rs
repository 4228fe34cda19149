use static_call_abi::ARM;

use super::{SiteLayout, Target};

pub(super) const TARGET: Target = Target {
    architecture: ARM,
    // Those that have A32 and barriers. Triples of Thumb code start with "thumb".
    names: &[
        "armv7", "armv7a", "armv7l", "armv7r", "armv7ve", "armv8", "armv8a", "armv8l", "armv8r", "armv8.1a",
        "armv8.2a", "armv8.3a", "armv8.4a", "armv8.5a", "armv8.6a", "armv8.7a", "armv8.8a", "armv8.9a",
        "armv9a", "armv9.1a", "armv9.2a", "armv9.3a", "armv9.4a", "armv9.5a", "armv9.6a", "armv9.7a",
    ],
    other_pointers: &[],
    // Every instruction is an aligned word: ARM Architecture Reference Manual (DDI 0406C), A3.5.3.
    site_layout: |_, _| SiteLayout::ANYWHERE,
    // anyreg, CXX_FAST_TLS, preserve_none.
    no_register_left: &[13, 17, 21],
    needs_indirect_call: |call| match () {
        // In R12.
        () if (call.has_argument)("nest") => {
            Some("its static chain comes in the register that a trampoline needs")
        }
        () if call.features.has("execute-only") => Some("a trampoline reads what lies in its code"),
        () => None,
    },
    // C, cold, preserve_most, preserve_all, AAPCS, AAPCS with floating-point registers.
    may_vanish: &[0, 9, 14, 15, 67, 68],
    has_tail_calls: true,
    thunk: |_| None,
    // A32 code, whatever the module's functions are.
    trampoline_features: "-thumb-mode",
    symbol_constraint: "s",
    jump_to_target,
    jump_at_fixed_address: None,
};

/// One text for the runtime's tests and the pass; its head says why it is so (`runtime/src/arch/arm.rs`).
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    const NEAR: &str = include_str!("../../../runtime/src/arch/trampolines/arm-near.s");
    const FAR: &str = include_str!("../../../runtime/src/arch/trampolines/arm-far.s");
    if near {
        return NEAR.replace("near+8", &format!("${{0:c}}+{offset}"));
    }
    // An immediate of a load has twelve bits, and one of ADD eight at any even place: no other register is free.
    let low = offset & 0xfff;
    let parts = [12, 20, 28].map(|place| offset & 0xff << place).into_iter().filter(|&part| part != 0);
    let field: String = parts.map(|part| format!("add\tip, ip, #{part}\n\t")).collect();
    FAR.replace("far", "${0:c}").replace("ldr\tip, [ip, #8]", &format!("{field}ldr\tip, [ip, #{low}]"))
}
