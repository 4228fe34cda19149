use super::description::{Branch, Kind, Platform};

pub(super) const PLATFORM: Platform = Platform {
    name: "aarch64-unknown-linux-gnu",
    gnu: Some("aarch64-linux-gnu"),
    is_unpacked: false,
    emulator: Some("qemu-aarch64"),
    pointer: 8,
    page: 65536,
    word: 4,
    shortest_site: 4,
    has_breakpoints: false,
    disassemble,
    // nop
    is_trampoline_entry: |code| code[..4] == [0x1f, 0x20, 0x03, 0xd5],
    has_conditional_tail_calls: false,
    entry: 4,
    has_tail_calls: true,
    has_outliner: true,
    has_far_calls: true,
    has_veneers: true,
    has_xray: true,
    calls_other_images: true,
    trampoline_sizes: [40, 40],
    // dsb sy; isb
    barrier: &[0x9f, 0x3f, 0x03, 0xd5, 0xdf, 0x3f, 0x03, 0xd5],
    unrelaxed: &[],
    own_flags: &[
        &["-moutline"],
        &["-march=armv9-a+sve2"],
        &["-mno-outline-atomics", "-ffixed-x18"],
        &["-mfix-cortex-a53-835769"],
        &["-mcmodel=tiny"],
    ],
    own_instrumentation: &[
        &["-mbranch-protection=standard"],
        &["-mbranch-protection=pac-ret+leaf+b-key+bti"],
        &["-fsanitize=hwaddress"],
        &["-fsanitize=shadow-call-stack", "-ffixed-x18"],
        &["-fsanitize=memtag-stack", "-march=armv8.5-a+memtag"],
    ],
    reach: 1 << 27,
    broken_flags: &[],
};

/// B.cond, CBZ and TBZ do not leave their function.
fn disassemble(code: &[u8], address: u64) -> Vec<Branch> {
    let instructions = (address..).step_by(4).zip(code.as_chunks::<4>().0);
    let branches = instructions.filter_map(|(at, instruction)| {
        let instruction = u32::from_le_bytes(*instruction);
        let kind = match instruction >> 26 {
            0b10_0101 => Kind::Call,
            0b00_0101 => Kind::Jump,
            _ => return None,
        };
        let distance = i64::from(instruction.cast_signed() << 6 >> 6) * 4;
        Some(Branch { at, len: 4, target: at.wrapping_add_signed(distance), kind })
    });
    branches.collect()
}
