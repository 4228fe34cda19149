use super::description::{Branch, Kind, Platform};

pub(super) const PLATFORM: Platform = Platform {
    name: "riscv64gc-unknown-linux-gnu",
    gnu: Some("riscv64-linux-gnu"),
    is_unpacked: false,
    emulator: Some("qemu-riscv64"),
    pointer: 8,
    page: 4096,
    word: 8,
    shortest_site: 4,
    has_breakpoints: false,
    disassemble,
    // auipc t1; lpad
    is_trampoline_entry: |code| matches!([code[0], code[1] & 0x0f], [0x17, 0x03 | 0x00]),
    has_conditional_tail_calls: false,
    trampoline_sizes: [32, 32],
    // unimp
    barrier: &[0x73, 0x10, 0x00, 0xc0],
    unrelaxed: &[],
    own_flags: &[
        &["-march=rv64g"],
        &["-mno-relax"],
        &["-march=rv64gc_zcb_zba_zbb"],
        &["-march=rv64gcv"],
        &["-msave-restore"],
        &["-ffixed-x5", "-ffixed-x18"],
        &["-mcmodel=medany"],
    ],
    own_instrumentation: &[
        &["-fsanitize=shadow-call-stack", "-ffixed-x18"],
        &["-menable-experimental-extensions", "-march=rv64gc_zicfilp1p0_zicfiss1p0", "-fcf-protection=full"],
    ],
    entry: 4,
    has_tail_calls: true,
    calls_other_images: true,
    has_outliner: true,
    has_far_calls: true,
    has_xray: true,
    has_veneers: false,
    reach: 1 << 20,
    // Debian's assembler does not support all extensions that clang names, and its linker (2.40) crashes on
    // relocations of clang's debug information. LLVM has no MemorySanitizer for RISC-V.
    broken_flags: &["-fno-integrated-as", "-gdwarf-5", "-fsanitize=memory"],
};

/// JAL, C.J, and pairs of AUIPC and JALR.
fn disassemble(code: &[u8], address: u64) -> Vec<Branch> {
    let half = |at: usize| Some(u32::from(u16::from_le_bytes(code.get(at..at + 2)?.try_into().ok()?)));
    let word = |at: usize| Some(half(at)? | half(at + 2)? << 16);
    let kind = |link: u32| if link == 0 { Kind::Jump } else { Kind::Call };
    // Moves each bit of an immediate to its place, and extends the sign.
    let gather = |word: u32, bits: &[(u32, u32)], sign: u32| {
        let number = bits.iter().fold(0, |sum, (from, to)| sum | (word >> from & 1) << to);
        i64::from((number << (31 - sign)).cast_signed() >> (31 - sign))
    };
    let range = |from: u32, to: u32, count: u32| (0..count).map(move |bit| (from + bit, to + bit));
    let mut branches = Vec::new();
    let mut at = 0;
    while let Some(first) = half(at) {
        let here = address + at as u64;
        let mut add = |len, kind, distance| {
            branches.push(Branch { at: here, len, target: here.wrapping_add_signed(distance), kind });
        };
        if first & 3 != 3 {
            if first & 0xe003 == 0xa001 {
                let bits = [
                    (12, 11),
                    (11, 4),
                    (10, 9),
                    (9, 8),
                    (8, 10),
                    (7, 6),
                    (6, 7),
                    (5, 3),
                    (4, 2),
                    (3, 1),
                    (2, 5),
                ];
                add(2, Kind::Jump, gather(first, &bits, 11));
            }
            at += 2;
            continue;
        }
        let Some(instruction) = word(at) else { break };
        let register = instruction >> 7 & 31;
        match (instruction & 0x7f, word(at + 4)) {
            (0x6f, _) => {
                let bits: Vec<_> = [(31, 20), (20, 11)]
                    .into_iter()
                    .chain(range(21, 1, 10))
                    .chain(range(12, 12, 8))
                    .collect();
                add(4, kind(register), gather(instruction, &bits, 20));
            }
            (0x17, Some(second)) if second & 0x707f == 0x67 && second >> 15 & 31 == register => {
                let high = i64::from((instruction & 0xffff_f000).cast_signed());
                add(8, kind(second >> 7 & 31), high + i64::from(second.cast_signed() >> 20));
            }
            _ => {}
        }
        at += 4;
    }
    branches
}
