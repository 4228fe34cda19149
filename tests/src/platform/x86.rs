use super::description::Platform;
use super::x86_64;

/// x86-64's kernels and processors run its programs.
pub(super) const PLATFORM: Platform = Platform {
    name: "i686-unknown-linux-gnu",
    gnu: Some("i686-linux-gnu"),
    is_unpacked: false,
    emulator: None,
    pointer: 4,
    page: 4096,
    word: 8,
    shortest_site: 5,
    has_breakpoints: true,
    disassemble: |code, address| x86_64::disassemble(32, code, address),
    // call 1f; jmp *key; push key; mov key, %eax
    is_trampoline_entry: |code| {
        matches!(code, [0x90, 0xe8, 0, 0, 0, 0, ..] | [0x90, 0xff, 0x25 | 0x35, ..] | [0x90, 0xa1, ..])
    },
    has_conditional_tail_calls: true,
    entry: 4,
    has_tail_calls: true,
    calls_other_images: true,
    has_outliner: true,
    // Calls reach everything.
    has_far_calls: false,
    has_veneers: false,
    has_xray: false,
    reach: 1 << 32,
    broken_flags: &[],
    trampoline_sizes: [16, 32],
    barrier: &[0xcc],
    unrelaxed: &[],
    own_flags: &[&["-mavx512f"], &["-march=i586"], &["-masm=intel"], &["-mno-sse", "-msoft-float"]],
    own_instrumentation: &[&["-fcf-protection=full"]],
};
