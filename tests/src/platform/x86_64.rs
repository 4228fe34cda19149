use iced_x86::{Decoder, DecoderOptions, FlowControl};

use super::description::{Branch, Kind, Platform};

pub(super) const PLATFORM: Platform = Platform {
    name: "x86_64-unknown-linux-gnu",
    gnu: None,
    is_unpacked: false,
    emulator: None,
    pointer: 8,
    page: 4096,
    word: 8,
    shortest_site: 5,
    has_breakpoints: true,
    disassemble: |code, address| disassemble(64, code, address),
    is_trampoline_entry: |code| match code[..4] {
        [0x90, 0x48 | 0x4c, 0x8b | 0x8d, modrm] => modrm & 0xc7 == 0x05,
        [0x90, 0x48 | 0x49, 0xc7, modrm] => modrm & 0xf8 == 0xc0,
        [0x90, 0xff, 0x25, _] => true,
        _ => false,
    },
    has_conditional_tail_calls: true,
    entry: 4,
    has_tail_calls: true,
    has_outliner: true,
    has_far_calls: true,
    has_veneers: false,
    has_xray: true,
    calls_other_images: true,
    trampoline_sizes: [16, 24],
    barrier: &[0xcc],
    unrelaxed: &[],
    own_flags: &[&["-mavx512f"], &["-masm=intel"]],
    own_instrumentation: &[&["-fcf-protection=full"], &["-pg", "-mfentry"]],
    reach: 1 << 31,
    broken_flags: &[],
};

/// The prefixes that pad sites, in 64-bit and in 32-bit code.
const PADDING: [u8; 2] = [0x67, 0x64];

/// `bits` is the processor's mode. A branch's address is that of its opcode.
pub(super) fn disassemble(bits: u32, code: &[u8], address: u64) -> Vec<Branch> {
    let instructions = Decoder::with_ip(bits, code, address, DecoderOptions::NONE);
    let branches = instructions.into_iter().filter_map(|instruction| {
        let kind = match instruction.flow_control() {
            FlowControl::Call => Kind::Call,
            FlowControl::UnconditionalBranch => Kind::Jump,
            FlowControl::ConditionalBranch => Kind::ConditionalJump,
            _ => return None,
        };
        let own = &code[(instruction.ip() - address) as usize..];
        let padding = own.iter().take_while(|byte| PADDING.contains(byte)).count() as u64;
        let (at, len) = (instruction.ip() + padding, instruction.len() as u64 - padding);
        Some(Branch { at, len, target: instruction.near_branch_target(), kind })
    });
    branches.collect()
}
