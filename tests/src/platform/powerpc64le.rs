use super::description::{Branch, Kind, Platform};

pub(super) const PLATFORM: Platform = Platform {
    name: "powerpc64le-unknown-linux-gnu",
    gnu: Some("powerpc64le-linux-gnu"),
    is_unpacked: false,
    emulator: Some("qemu-ppc64le"),
    pointer: 8,
    page: 65536,
    word: 4,
    shortest_site: 4,
    has_breakpoints: false,
    disassemble,
    // nop
    is_trampoline_entry: |code| code[..4] == [0x00, 0x00, 0x00, 0x60],
    has_conditional_tail_calls: false,
    has_tail_calls: false,
    entry: 8,
    has_outliner: false,
    has_far_calls: false,
    has_veneers: true,
    has_xray: true,
    calls_other_images: false,
    // This includes the twelve bytes of the traceback table that LLVM appends to every function.
    trampoline_sizes: [76, 76],
    // b .
    barrier: &[0x00, 0x00, 0x00, 0x48],
    unrelaxed: &[],
    reach: 1 << 25,
    broken_flags: &[],
    own_flags: &[
        &["-mcpu=power8"],
        &["-mcpu=power9"],
        &["-mcpu=power10", "-mno-pcrel"],
        &["-mcmodel=medium"],
        &["-mlong-double-64", "-mno-vsx"],
    ],
    own_instrumentation: &[&["-mcpu=power9", "-mrop-protect"]],
};

/// BC has no relocation to other sections, so LLVM branches around a call instead.
fn disassemble(code: &[u8], address: u64) -> Vec<Branch> {
    let instructions = (address..).step_by(4).zip(code.as_chunks::<4>().0);
    let branches = instructions.filter_map(|(at, instruction)| {
        let instruction = u32::from_le_bytes(*instruction);
        // The I-form with AA = 0.
        let kind = match (instruction >> 26, instruction & 3) {
            (18, 0) => Kind::Jump,
            (18, 1) => Kind::Call,
            _ => return None,
        };
        let distance = i64::from((instruction & !3).cast_signed() << 6 >> 6);
        Some(Branch { at, len: 4, target: at.wrapping_add_signed(distance), kind })
    });
    branches.collect()
}
