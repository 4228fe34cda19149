use static_call_abi::AARCH64;

use super::{SiteLayout, Target};

pub(super) const TARGET: Target = Target {
    architecture: AARCH64,
    names: &["aarch64", "arm64"],
    other_pointers: &["ilp32"],
    // Every instruction is an aligned word: Arm Architecture Reference Manual (DDI 0487), B2.2.1.
    site_layout: |_, _| SiteLayout::ANYWHERE,
    // anyreg, CXX_FAST_TLS, preserve_none. (A linker may insert code that changes x16 and x17 into any call, so
    // that the others leave these two.)
    no_register_left: &[13, 17, 21],
    needs_indirect_call: |_| None,
    // C, cold, preserve_most, preserve_all, and those that pass vectors.
    may_vanish: &[0, 9, 14, 15, 97, 98],
    has_tail_calls: true,
    thunk: |_| None,
    trampoline_features: "",
    symbol_constraint: "S",
    jump_to_target,
    jump_at_fixed_address: None,
};

/// The NOP is what B replaces: of the other instructions none may be replaced while it runs (DDI 0487, B2.2.5).
/// x16 and x17 are the intra-procedure-call registers (AAPCS64, section 6.1.1), and BR through x16 may land on
/// BTI C. The barriers stop speculation behind it.
fn jump_to_target(near: bool, offset: i64, _thunk: Option<&str>) -> String {
    let (address, offset) = if near {
        let key = format!("${{0:c}}+{offset}");
        (format!("adrp x16, {key}\n\tadd x16, x16, :lo12:{key}"), 0)
    } else {
        ("adrp x16, :got:${0:c}\n\tldr x16, [x16, :got_lo12:${0:c}]".to_owned(), offset)
    };
    let field = match offset {
        0 => String::new(),
        1..4096 => format!("\n\tadd x16, x16, #{offset}"),
        _ => {
            let part = |shift: u32| offset >> shift & 0xffff;
            let (low, middle, high) = (part(0), part(16), part(32));
            format!(
                "\n\tmovz x17, #{low}\n\tmovk x17, #{middle}, lsl #16\n\tmovk x17, #{high}, lsl #32\
                 \n\tadd x16, x16, x17"
            )
        }
    };
    format!("nop\n\t{address}{field}\n\tldar x16, [x16]\n\tbr x16\n\tdsb sy\n\tisb\n\t.p2align 3")
}
