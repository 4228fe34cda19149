use static_call_abi::{__static_call_aarch64 as text, AARCH64, STAND_IN, TypeCheck};

use super::conventions as cc;
use super::description::{Checked, Target};
use super::site::SiteLayout;
use super::text::inline;

pub(super) const TARGET: Target = Target {
    architecture: AARCH64,
    names: &["aarch64", "arm64"],
    other_pointers: &["ilp32"],
    // Every instruction is an aligned word: Arm Architecture Reference Manual (DDI 0487), B2.2.1.
    site_layout: |_, _| SiteLayout::ANYWHERE,
    // The other conventions use neither x16 nor x17, because a linker's veneer may change both in any call.
    no_register_left: &[cc::ANY_REG, cc::CXX_FAST_TLS, cc::PRESERVE_NONE],
    needs_indirect_call: |_, _| None,
    may_be_nop: &[
        cc::C,
        cc::COLD,
        cc::PRESERVE_MOST,
        cc::PRESERVE_ALL,
        cc::AARCH64_VECTORCALL,
        cc::AARCH64_SVE_VECTORCALL,
    ],
    has_tail_calls: true,
    thunk: |_| None,
    trampoline_features: "",
    symbol_constraint: "S",
    jump_to_target,
    jump_at_fixed_address: None,
    jump_in_coff: None,
    checked: Some(Checked { no_op: 4, jump_to_target: jump_to_checked_target }),
};

/// `runtime/abi/src/assembler/aarch64.rs` explains the text.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    jump_with(near, offset, "")
}

/// The same with a check of the target's type.
fn jump_to_checked_target(near: bool, offset: i64, _thunk: Option<&str>, check: TypeCheck) -> String {
    let half = |word: u32, shift: u32| (word >> shift & 0xffff).to_string();
    let check = text!(check)
        .replace("{distance}", &check.distance.to_string())
        .replace("{hash_low}", &half(check.hash, 0))
        .replace("{hash_high}", &half(check.hash, 16))
        .replace("{stand_in_low}", &half(STAND_IN, 0))
        .replace("{stand_in_high}", &half(STAND_IN, 16));
    jump_with(near, offset, &check)
}

fn jump_with(near: bool, offset: i64, check: &str) -> String {
    if near {
        return inline(&text!(near "{check}").replace("{check}", check), offset);
    }
    let field = match offset {
        0 => String::new(),
        1..4096 => "add x16, x16, #{offset}".to_owned(),
        _ => {
            let part = |shift: u32| offset >> shift & 0xffff;
            let (low, middle, high) = (part(0), part(16), part(32));
            format!(
                "movz x17, #{low}\nmovk x17, #{middle}, lsl #16\nmovk x17, #{high}, lsl #32\n\
                 add x16, x16, x17"
            )
        }
    };
    inline(&text!(far "{field}" "{check}").replace("{field}", &field).replace("{check}", check), offset)
}
