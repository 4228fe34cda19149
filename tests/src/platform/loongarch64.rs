use super::description::{Branch, Kind, Platform};

pub(super) const PLATFORM: Platform = Platform {
    name: "loongarch64-unknown-linux-gnu",
    gnu: Some("loongarch64-linux-gnu"),
    is_unpacked: true,
    emulator: Some("qemu-loongarch64"),
    pointer: 8,
    page: 65536,
    word: 8,
    shortest_site: 4,
    has_breakpoints: false,
    disassemble,
    // pcalau12i $t8
    is_trampoline_entry: |code| word(code, 0) & 0xfe00_001f == 0x1a00_0014,
    has_conditional_tail_calls: false,
    entry: 8,
    has_tail_calls: true,
    calls_other_images: true,
    has_outliner: false,
    has_far_calls: true,
    has_veneers: false,
    has_xray: true,
    reach: 1 << 27,
    broken_flags: &[],
    trampoline_sizes: [32, 32],
    // jr $t8; break 0
    barrier: &[0x80, 0x02, 0x00, 0x4c, 0x00, 0x00, 0x2a, 0x00],
    unrelaxed: &["-mno-relax"],
    own_flags: &[
        &["-mcmodel=normal"],
        &["-mno-relax"],
        &["-mcmodel=normal", "-mno-relax"],
        &["-mlasx"],
        &["-march=la664"],
    ],
    own_instrumentation: &[&["-mcmodel=normal", "-fsanitize=undefined", "-fno-sanitize=function"]],
};

/// BL, B, and pairs of PCADDU18I and JIRL. Conditional branches do not leave their function.
fn disassemble(code: &[u8], address: u64) -> Vec<Branch> {
    let ats = (0..code.len().saturating_sub(3)).step_by(4);
    let branches = ats.filter_map(|offset| {
        let at = address + offset as u64;
        let instruction = word(code, offset);
        // The signed number in these bits, from bit `from` on.
        let field = |instruction: u32, from: u32, bits: u32| {
            i64::from((instruction << (32 - from - bits)).cast_signed() >> (32 - bits))
        };
        let single = |kind| {
            let distance = (field(instruction, 0, 10) << 16) | i64::from(instruction >> 10 & 0xffff);
            Some(Branch { at, len: 4, target: at.wrapping_add_signed(4 * distance), kind })
        };
        let pair = |kind, next: u32| {
            if offset + 8 > code.len() || word(code, offset + 4) & 0xfc00_03ff != next {
                return None;
            }
            let distance = (field(instruction, 5, 20) << 18) + 4 * field(word(code, offset + 4), 10, 16);
            Some(Branch { at, len: 8, target: at.wrapping_add_signed(distance), kind })
        };
        match (instruction >> 26, instruction & 0xfe00_001f) {
            (0b01_0101, _) => single(Kind::Call),
            (0b01_0100, _) => single(Kind::Jump),
            // pcaddu18i $ra; jirl $ra, $ra
            (_, 0x1e00_0001) => pair(Kind::Call, 0x4c00_0021),
            // pcaddu18i $t8; jirl $zero, $t8
            (_, 0x1e00_0014) => pair(Kind::Jump, 0x4c00_0280),
            _ => None,
        }
    });
    branches.collect()
}

fn word(code: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(code[offset..offset + 4].try_into().expect("four bytes"))
}
