use super::description::{Branch, Kind, Platform};

pub(super) const PLATFORM: Platform = Platform {
    name: "armv7-unknown-linux-gnueabihf",
    gnu: Some("arm-linux-gnueabihf"),
    is_unpacked: false,
    emulator: Some("qemu-arm"),
    pointer: 4,
    page: 65536,
    word: 4,
    shortest_site: 4,
    has_breakpoints: false,
    disassemble,
    // nop
    is_trampoline_entry: |code| code[..4] == [0x00, 0xf0, 0x20, 0xe3],
    has_conditional_tail_calls: false,
    entry: 4,
    has_tail_calls: true,
    calls_other_images: true,
    has_outliner: true,
    // clang has no large code model for Arm.
    has_far_calls: false,
    has_veneers: true,
    has_xray: true,
    reach: 1 << 25,
    broken_flags: &[],
    trampoline_sizes: [40, 48],
    // dsb sy; isb
    barrier: &[0x4f, 0xf0, 0x7f, 0xf5, 0x6f, 0xf0, 0x7f, 0xf5],
    unrelaxed: &[],
    own_flags: &[
        &["-march=armv8-a"],
        &["-march=armv8.2-a+crypto", "-mfpu=neon-fp-armv8"],
        // It predicts returns, so calls that do not return use other instructions.
        &["-mcpu=cortex-a9"],
        &["-mno-movt"],
        &["-mno-unaligned-access"],
        &["-ffixed-r9"],
        &["-mfix-cortex-a57-aes-1742098", "-mfpu=neon-fp-armv8", "-march=armv8-a"],
    ],
    own_instrumentation: &[&["-mtp=soft"]],
};

/// B<c> counts too: compilers emit none that leaves its function, but linkers accept them. BLX (immediate),
/// whose condition is 15, leads to Thumb code.
fn disassemble(code: &[u8], address: u64) -> Vec<Branch> {
    let instructions = (address..).step_by(4).zip(code.as_chunks::<4>().0);
    let branches = instructions.filter_map(|(at, instruction)| {
        let instruction = u32::from_le_bytes(*instruction);
        let kind = match (instruction >> 28, instruction >> 24 & 15) {
            (15, _) => return None,
            (_, 0b1011) => Kind::Call,
            (14, 0b1010) => Kind::Jump,
            (_, 0b1010) => Kind::ConditionalJump,
            _ => return None,
        };
        let distance = i64::from(instruction.cast_signed() << 8 >> 8) * 4 + 8;
        Some(Branch { at, len: 4, target: at.wrapping_add_signed(distance), kind })
    });
    branches.collect()
}
