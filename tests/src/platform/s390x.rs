use super::description::{Branch, Kind, Platform};

pub(super) const PLATFORM: Platform = Platform {
    name: "s390x-unknown-linux-gnu",
    gnu: Some("s390x-linux-gnu"),
    is_unpacked: false,
    emulator: Some("qemu-s390x"),
    page: 4096,
    pointer: 8,
    word: 8,
    shortest_site: 6,
    has_breakpoints: false,
    disassemble,
    // lgrl %r1, larl %r1
    is_trampoline_entry: |code| matches!(code[..2], [0xc4, 0x18] | [0xc0, 0x10]),
    has_conditional_tail_calls: true,
    entry: 4,
    has_tail_calls: true,
    calls_other_images: true,
    has_outliner: false,
    has_far_calls: false,
    // Calls reach the whole image.
    has_veneers: false,
    // LLVM 22 drops tail calls under XRay: `return f();` only returns.
    has_xray: false,
    trampoline_sizes: [16, 24],
    barrier: &[],
    unrelaxed: &[],
    own_flags: &[&["-march=z10"], &["-march=z17"], &["-mbackchain"], &["-msoft-float", "-mpacked-stack"]],
    own_instrumentation: &[&["-pg", "-mfentry"]],
    reach: 1 << 32,
    broken_flags: &[],
};

/// The first two bits of an instruction encode its length. Branches of four bytes do not leave their
/// function.
fn disassemble(code: &[u8], address: u64) -> Vec<Branch> {
    let mut branches = Vec::new();
    let mut rest = code;
    while let [first, ..] = rest {
        let len = [2, 4, 4, 6][usize::from(first >> 6)];
        let Some((instruction, behind)) = rest.split_at_checked(len) else { break };
        let at = address + (code.len() - rest.len()) as u64;
        rest = behind;
        let [first, second, ref distance @ ..] = *instruction else { break };
        let kind = match (first, second) {
            (0xc0, 0xe5) => Kind::Call,
            (0xc0, 0xf4) => Kind::Jump,
            (0xc0, 0x14..0xf4) if second & 0x0f == 4 => Kind::ConditionalJump,
            _ => continue,
        };
        let halfwords = i32::from_be_bytes(distance.try_into().expect("six bytes"));
        let target = at.wrapping_add_signed(i64::from(halfwords) * 2);
        branches.push(Branch { at, len: len as u64, target, kind });
    }
    branches
}
