use static_call_abi::{__static_call_arm as text, ARM};

use super::conventions as cc;
use super::description::Target;
use super::site::SiteLayout;
use super::text::inline;

pub(super) const TARGET: Target = Target {
    architecture: ARM,
    // The versions with A32 and barriers. Triples of Thumb code start with "thumb".
    names: &[
        "armv7", "armv7a", "armv7l", "armv7r", "armv7ve", "armv8", "armv8a", "armv8l", "armv8r", "armv8.1a",
        "armv8.2a", "armv8.3a", "armv8.4a", "armv8.5a", "armv8.6a", "armv8.7a", "armv8.8a", "armv8.9a",
        "armv9a", "armv9.1a", "armv9.2a", "armv9.3a", "armv9.4a", "armv9.5a", "armv9.6a", "armv9.7a",
    ],
    other_pointers: &[],
    // Every instruction is an aligned word: ARM Architecture Reference Manual (DDI 0406C), A3.5.3.
    site_layout: |_, _| SiteLayout::ANYWHERE,
    no_register_left: &[cc::ANY_REG, cc::CXX_FAST_TLS, cc::PRESERVE_NONE],
    needs_indirect_call: |site, caller| match () {
        // It is in R12.
        () if site.has_argument_with("nest") => {
            Some("its static chain is in the register that a trampoline needs")
        }
        () if caller.has("execute-only") => {
            Some("a trampoline reads data in its code, which is execute-only")
        }
        () => None,
    },
    may_be_nop: &[cc::C, cc::COLD, cc::PRESERVE_MOST, cc::PRESERVE_ALL, cc::ARM_AAPCS, cc::ARM_AAPCS_VFP],
    has_tail_calls: true,
    thunk: |_| None,
    // Trampolines are A32 code, whatever the module's functions are.
    trampoline_features: "-thumb-mode",
    symbol_constraint: "s",
    jump_to_target,
    jump_at_fixed_address: None,
    jump_in_coff: None,
    checked: None,
};

/// `runtime/abi/src/assembler/arm.rs` explains the text.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    if near {
        return inline(text!(near), offset);
    }
    // No other register is free. A load's immediate has twelve bits, and ADD's has eight at any even
    // position.
    let low = offset & 0xfff;
    let parts = [12, 20, 28].map(|place| offset & 0xff << place).into_iter().filter(|&part| part != 0);
    let add: String = parts.map(|part| format!("add ip, ip, #{part}\n")).collect();
    inline(&text!(far "{add}ldr ip, [ip, #{offset}]").replace("{add}", &add), low)
}
