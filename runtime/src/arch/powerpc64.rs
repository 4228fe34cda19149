//! POWER, 64 bits, little-endian, ELFv2: B and BL.
//!
//! Manuals: Power ISA 3.0B, book I, section 2.4 (Branch, I-form) and 3.3.13 (Logical: "ori 0,0,0" is the
//! preferred no-op); Power Architecture 64-Bit ELF V2 ABI, sections 2.3.2.1 (function prologue) and 3.4.1
//! (st_other).
//!
//! ```text
//!            Call             Jump
//! Branch(t)  bl  t            b  t            t within 32 MiB of pc
//! Nop        ori 0, 0, 0      -
//! Zero       -                -
//! ```
//!
//! Conditional tail calls are not decoded.
//!
//! # Targets
//!
//! A function pointer is the address of the *global* entry point, which expects that address in R12 and
//! computes the TOC pointer (R2) from it. A BL cannot set R12, so it must go to the *local* entry point,
//! which expects the caller to have the same TOC pointer. The distance between the two is in the symbol's
//! `st_other`, which is not loaded with the program, except for exported functions. So [`entry`] reads the
//! code instead. If a target starts with the sequence that computes the TOC pointer of the site's image,
//! calls go to the instruction after the sequence. If the sequence computes another TOC pointer, as in every
//! target in another image, calls stay on the trampoline. If there is no such sequence, the function needs
//! neither R12 nor R2 (`st_other` 0 and 1). This is assumed only of code in the site's own image, and not of
//! code that looks like a linker's stub, which reads R12.
//!
//! # R2 after a call
//!
//! R2 may differ after a call if the target belongs to another image, or is code without a TOC (`st_other`
//! 1). For calls to other images, linkers' stubs save R2 at 24(1), and the linker turns the no-op after the
//! call into `ld 2, 24(1)`. But to linkers, a trampoline is a function of the same image. So a site saves and
//! restores R2 itself, as compilers do for a call through a pointer (section 2.2.3.3.4). Unwinders recognize
//! the instruction after the call and also restore R2 from there.
//!
//! ```text
//! std 2, 24(1)
//! bl  trampoline        the site
//! ld  2, 24(1)
//! ```
//!
//! **Tail calls are not sites**, because they could not restore R2. POWER10's code without a TOC (`bl
//! f@notoc`, `b f@notoc`) has no TOC pointer to pass to a local entry point. It enters trampolines after
//! their first instruction, so its calls always go through the key.
//!
//! # Replacing a form while other processors run it
//!
//! Power ISA, book II, "Concurrent Modification and Execution of Instructions" (section 1.8.1 in version
//! 2.03): the results are defined if every value that an aligned word has had since instruction storage was
//! last made consistent belongs to the *patch class*: I-form branches (b, bl, ba, bla) and the preferred
//! no-op. Then one of these values is executed. BLR and `li 3, 0` are not in this class, so such sites call a
//! function that returns, or returns zero.
//!
//! # Trampolines
//!
//! `runtime/abi/src/assembler/powerpc64.rs` has the code and explains it. The first instruction is the
//! preferred no-op, because it must be in the patch class. The TOC pointer that a trampoline computes is its
//! caller's, or does not matter. [`entry`] reads the caller's from there.

use core::ops::Range;
use core::sync::atomic::AtomicU32;

pub(crate) use super::site::NoBulkRewrite as Rewrite;
use super::site::{Action, Code, Kind};

pub(crate) const SUPPORTED: bool = true;
pub(crate) const ARCHITECTURE: static_call_abi::Architecture = static_call_abi::POWERPC64;
/// One instruction: an aligned access of four bytes is atomic (book II, section 1.4, "Single-Copy
/// Atomicity").
pub(crate) type Number = u32;
pub(crate) type AtomicNumber = AtomicU32;
pub(crate) const WORD: usize = size_of::<Number>();
/// Linkers put code between calls and targets that are out of reach.
pub(crate) const HAS_VENEERS: bool = true;
/// The offset in a trampoline of the instruction that a jump replaces.
pub(crate) const TRAMPOLINE_JUMP: usize = 0;
/// What the code of a static branch that looks at its key starts with: `mr 12, 12`, which does nothing.
pub(crate) const CHECK: &[u8] = &0x7d8c_6378_u32.to_le_bytes();

const B: u32 = 0x4800_0000;
/// The LK bit.
const BL: u32 = B | 1;
/// `ori 0, 0, 0`
const NOP: u32 = 0x6000_0000;
/// LI, the distance without its two lowest bits.
const DISTANCE: u32 = 0x03ff_fffc;

/// Decodes the instruction at `pc`, where `bytes` starts.
#[inline]
pub(crate) fn decode(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    if !pc.is_multiple_of(WORD) {
        return None;
    }
    let instruction = u32::from_le_bytes(*bytes.first_chunk()?);
    let kind = match instruction & !DISTANCE {
        BL => Kind::Call,
        B => Kind::Jump,
        _ => return (instruction == NOP).then_some((Kind::Call, Action::Nop)),
    };
    // Shifted up and down again: the sign is bit 25.
    let distance = ((instruction & DISTANCE) << 6).cast_signed() >> 6;
    Some((kind, Action::Branch(pc.wrapping_add_signed(distance as isize))))
}

/// The instruction that does `action`, or None if there is none, or if the target is out of reach.
///
/// The target is a local entry point.
#[inline]
pub(crate) fn encode(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    let (opcode, target) = match (kind, action) {
        (Kind::Call, Action::Nop) => return Some(Code::new(NOP.to_le_bytes())),
        (Kind::Call, Action::Branch(target)) => (BL, target),
        (Kind::Jump, Action::Branch(target)) => (B, target),
        _ => return None,
    };
    let distance = target.wrapping_sub(pc).cast_signed();
    let reaches = (-(1 << 25)..1 << 25).contains(&distance) && distance % 4 == 0;
    reaches.then(|| Code::new((opcode | distance as u32 & DISTANCE).to_le_bytes()))
}

/// The same for a site that contains `_old` now, which does not matter.
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, _old: &[u8]) -> Option<Code> {
    encode(kind, pc, action)
}

/// Whether a trampoline starts with an instruction that a branch may replace: the preferred no-op.
pub(crate) fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    word == NOP.to_le_bytes()
}

/// Where a branch enters the function at `target`. None if a caller with the TOC pointer of this trampoline's
/// image must not branch to it. The image's code is `text`; `load` loads an instruction.
pub(crate) fn entry(
    target: usize,
    trampoline: usize,
    text: &Range<usize>,
    load: impl Fn(usize) -> u32,
) -> Option<usize> {
    if !target.is_multiple_of(WORD) {
        return None;
    }
    let first = load(target);
    if !starts_toc(first) {
        return (text.contains(&target) && !reads_r12(first)).then_some(target);
    }
    let [start, end] = [TOC, TOC + 2 * WORD - 1].map(|at| trampoline.wrapping_add(at));
    if !text.contains(&start) || !text.contains(&end) {
        return None;
    }
    let callers = toc(start, trampoline.wrapping_add(OWN_ADDRESS), &load)?;
    (toc(target, target, &load)? == callers).then(|| target.wrapping_add(2 * WORD))
}

/// The offset of a trampoline's instructions that compute the TOC pointer, and that of the address from which
/// they compute it.
const TOC: usize = 20;
const OWN_ADDRESS: usize = 12;

/// Whether this may be the first of the instructions that [`toc`] decodes.
fn starts_toc(instruction: u32) -> bool {
    [ADDIS_2_12, LIS_2].contains(&(instruction >> 16))
}

const ADDIS_2_12: u32 = 0x3c4c;
const LIS_2: u32 = 0x3c40;

/// The TOC pointer that the instructions at `at` compute if R12 contains `r12`.
///
/// ```text
/// addis 2, 12, hi          or, if a linker knows the address,   lis 2, hi
/// addi  2, 2, lo
/// ```
///
/// The large code model's `ld 2, x(12); add 2, 2, 12` is not decoded: its distance is in memory that may not
/// be code.
fn toc(at: usize, r12: usize, load: impl Fn(usize) -> u32) -> Option<usize> {
    const ADDI_2_2: u32 = 0x3842;
    let (first, second) = (load(at), load(at.wrapping_add(WORD)));
    let base = match first >> 16 {
        ADDIS_2_12 => r12,
        LIS_2 => 0,
        _ => return None,
    };
    if second >> 16 != ADDI_2_2 {
        return None;
    }
    let (high, low) = ((first << 16).cast_signed(), i32::from((second as u16).cast_signed()));
    Some(base.wrapping_add_signed(high as isize).wrapping_add_signed(low as isize))
}

/// Whether the instruction's RA is R12. In the large code model, functions start with `ld 2, x(12)`. GNU ld's
/// stubs for functions of other images start with `addis 12, 12, x`, and libffi's closures with `ld 11,
/// x(12)`.
fn reads_r12(instruction: u32) -> bool {
    instruction >> 16 & 0x1f == 12
}

/// Makes every processor fetch the current word at `address` once it has synchronized its context.
///
/// Book II, section 4.3.1 ("Instruction Cache Instructions") and the sequence in section 1.8 ("Instruction
/// Storage"): the block is stored, and then invalidated in all instruction caches. Both instructions are
/// allowed in problem state. An aligned word lies in one block.
///
/// # Safety
///
/// The address is mapped and readable.
#[cfg(target_arch = "powerpc64")]
pub(crate) unsafe fn publish(address: usize) {
    // SAFETY: the caller's promise; nothing changes but caches. The other processors' isync is membarrier's.
    unsafe {
        core::arch::asm!(
            "dcbst 0, {at}",
            "sync",
            "icbi 0, {at}",
            "sync",
            "isync",
            at = in(reg) address,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use proptest::prelude::*;
    use static_call_abi::__static_call_powerpc64 as text;

    use super::*;
    use crate::arch::oracle::{self, Case, Output};

    const TRIPLE: &str = "powerpc64le-linux-gnu";
    const PC: usize = 0x4321_0010;

    fn at(distance: i64) -> Action {
        Action::Branch((PC as i64 + distance) as usize)
    }

    #[test]
    fn forms_are_what_llvm_disassembles() {
        let nop = encode(Kind::Call, PC, Action::Nop).unwrap();
        assert_eq!(decode(PC, nop.as_bytes()), Some((Kind::Call, Action::Nop)));
        let mut cases = Vec::from([Case::new(nop.as_bytes(), "nop".to_string())]);
        for distance in oracle::distances(-(1 << 25), (1 << 25) - 4, 4) {
            for (kind, name) in [(Kind::Call, "bl"), (Kind::Jump, "b")] {
                let code = encode(kind, PC, at(distance)).unwrap();
                cases.push(Case::new(code.as_bytes(), format!("{name} .{distance:+}")));
            }
        }
        oracle::check(TRIPLE, &cases);
    }

    #[test]
    fn branches_jump_to_a_check_after_linking() {
        for text in [text!(branch on), text!(branch off), text!(branch some)] {
            oracle::check_branch((TRIPLE, "", 64), text, decode, CHECK);
        }
    }

    #[test]
    fn what_does_not_reach_or_is_no_such_form_is_none() {
        for kind in [Kind::Call, Kind::Jump] {
            for distance in [-(1 << 25) - 4, 1 << 25, 1, 2, 3, -1] {
                assert_eq!(encode(kind, PC, at(distance)), None, "{kind:?} {distance}");
            }
            assert_eq!(encode(kind, PC, Action::Zero), None);
        }
        assert_eq!(encode(Kind::Jump, PC, Action::Nop), None);
        assert_eq!(encode(Kind::ConditionalJump(0), PC, at(0)), None);
        // bla, ba, blr, bc, another no-op, and a truncated bl.
        for other in [B | 3, B | 2, 0x4e80_0020, 0x4182_0008, 0x6021_0000] {
            assert_eq!(decode(PC, &other.to_le_bytes()), None);
        }
        assert_eq!(decode(PC, &[1, 0, 0]), None);
    }

    const TEXT: Range<usize> = 0x1_0000_0000..0x1_0010_0000;
    const TRAMPOLINE: usize = 0x1_0000_8000;
    const TARGET: usize = 0x1_0000_1000;

    /// The entry of a function at `target` that starts like this, called from an image with this TOC pointer.
    fn entry_of(target: usize, toc: i64, code: [u32; 2]) -> Option<usize> {
        let distance = (toc - TRAMPOLINE as i64 - 12) as u32;
        entry(target, TRAMPOLINE, &TEXT, |address| match address {
            _ if address == target => code[0],
            _ if address == target + 4 => code[1],
            _ if address == TRAMPOLINE + TOC => 0x3c4c_0000 | distance.wrapping_add(0x8000) >> 16,
            _ if address == TRAMPOLINE + TOC + 4 => 0x3842_0000 | distance & 0xffff,
            _ => panic!("{address:#x} is loaded"),
        })
    }

    #[test]
    fn branches_enter_functions_behind_the_toc_pointer_that_both_have() {
        for (code, toc) in [
            ([0x3c4c_0002, 0x3842_7f00], 0x1_0002_8f00),
            ([0x3c4c_0002, 0x3842_8000], 0x1_0001_9000),
            ([0x3c4c_ffff, 0x3842_0000], 0xffff_1000),
        ] {
            assert_eq!(entry_of(TARGET, toc, code), Some(TARGET + 8));
            for other in [toc + 8, toc - 0x1_0000, toc ^ 1 << 20] {
                assert_eq!(entry_of(TARGET, other, code), None, "another image's");
            }
        }
        // Half of the sequence, and it adds to another register.
        for second in [0x3843_0000, 0x3862_7f00, 0x6000_0000] {
            for first in [0x3c4c_0003, 0x3c40_0003] {
                assert_eq!(entry_of(TARGET, 0x1_0003_1000, [first, second]), None);
            }
        }
    }

    #[test]
    fn functions_without_a_toc_have_one_entry() {
        // blr, mflr 0, li 3 0, nop; addis with another base or another result.
        for first in [0x4e80_0020, 0x7c08_02a6, 0x3860_0000, 0x6000_0000, 0x3c4b_0002, 0x3c6d_0002] {
            assert_eq!(entry_of(TARGET, 0, [first, 0]), Some(TARGET), "{first:08x}");
            // In another image, such code proves nothing.
            assert_eq!(entry_of(TEXT.end, 0, [first, 0]), None, "{first:08x}");
        }
        // ld 2, -8(12); addis 12, 12, 1; ld 11, 24(12)
        for first in [0xe84c_fff8, 0x3d8c_0001, 0xe96c_0018] {
            assert_eq!(entry_of(TARGET, 0, [first, 0]), None, "{first:08x}");
        }
        assert_eq!(entry_of(TARGET + 2, 0, [0x4e80_0020, 0]), None);
    }

    #[test]
    fn a_trampoline_that_is_cut_off_has_no_toc() {
        for end in TRAMPOLINE..=TRAMPOLINE + TOC + 8 {
            let found = entry(TARGET, TRAMPOLINE, &(TEXT.start..end), |address| match address {
                TARGET => 0x3c40_0002,
                _ if address == TRAMPOLINE + TOC => 0x3c40_0002,
                _ => 0x3842_7000,
            });
            let is_whole = end == TRAMPOLINE + TOC + 8;
            assert_eq!(found, is_whole.then_some(TARGET + 8), "{end:#x}");
        }
    }

    fn link(function: &str, output: Output) -> Vec<u8> {
        oracle::link_trampoline(TRIPLE, "", function, output)
    }

    #[test]
    fn entries_are_what_lld_links() {
        // A function as LLVM makes it, and one as a linker may change it in a program with a fixed address;
        // then a trampoline, and the distance from the function to the TOC.
        let relative = "2:\naddis 2, 12, .TOC.-2b@ha\naddi 2, 2, .TOC.-2b@l\n";
        let absolute = "2:\nlis 2, .TOC.@ha\naddi 2, 2, .TOC.@l\n";
        for trampoline in &trampolines() {
            let loads_toc = "addis 2, 12, .TOC.-775b@ha\naddi 2, 2, .TOC.-775b@l\n";
            let fixed = &trampoline.replace(loads_toc, &absolute[3..]);
            assert_ne!(trampoline, fixed);
            for (function, trampoline, output) in [
                (relative, trampoline, Output::Shared),
                (relative, trampoline, Output::Program),
                (absolute, trampoline, Output::Program),
                (absolute, fixed, Output::Program),
                (relative, fixed, Output::Program),
            ] {
                let linked = link(&format!("{function}{trampoline}\n.p2align 3\n.quad .TOC.-2b\n"), output);
                let word = |at: usize| u32::from_le_bytes(linked[at..at + 4].try_into().unwrap());
                let (distance, high) = (word(linked.len() - 8) as usize, word(linked.len() - 4));
                assert!(distance != 0 && high == 0);
                // In a program, the fixed address is that of the TOC.
                let fixed = [0, 8 + TOC].into_iter().find(|&at| word(at) >> 16 == LIS_2);
                let target = fixed.map_or(0x1000, |at| toc(at, 0, word).unwrap() - distance);
                let text = target..target + linked.len();
                let entry = entry(target, target + 8, &text, |address| word(address - target));
                assert_eq!(entry, Some(target + 8), "{function}{trampoline}");
            }
        }
    }

    #[test]
    fn trampolines_start_with_an_entry_after_linking() {
        for trampoline in &trampolines() {
            for output in [Output::Shared, Output::Program] {
                let linked = link(trampoline, output);
                assert!(is_trampoline_entry(oracle::entry(&linked)), "{output:?}: {linked:02x?}");
                // The MFLR that receives BCL's result is at this address.
                assert_eq!(linked[OWN_ADDRESS - 4..OWN_ADDRESS + 4], [5, 0, 0x9f, 0x42, 0xa6, 2, 0x88, 0x7d]);
            }
        }
        assert!(!is_trampoline_entry(0x6021_0000_u32.to_le_bytes()));
    }

    fn trampolines() -> [String; 2] {
        [oracle::with_key(text!(near), "near"), oracle::with_key(text!(far), "far")]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn encoding_then_decoding_gives_the_site_back(
            is_call: bool,
            pc in (1usize << 28..1 << 30).prop_map(|pc| pc * 4),
            distance in -(1i32 << 23) - 100..(1 << 23) + 100,
        ) {
            let kind = if is_call { Kind::Call } else { Kind::Jump };
            let target = pc.wrapping_add_signed(distance as isize * 4);
            let code = encode(kind, pc, Action::Branch(target));
            prop_assert_eq!(code.is_some(), (-(1 << 23)..1 << 23).contains(&distance));
            if let Some(code) = code {
                prop_assert_eq!(decode(pc, code.as_bytes()), Some((kind, Action::Branch(target))));
            }
        }

        #[test]
        fn decoding_then_encoding_gives_the_bytes_back(
            low: u32,
            opcode in prop_oneof![4 => Just(18u32), 1 => 0u32..64],
            pc in (1usize << 28..1 << 30).prop_map(|pc| pc * 4),
        ) {
            let bytes = (opcode << 26 | low >> 6).to_le_bytes();
            if let Some((kind, action)) = decode(pc, &bytes) {
                let code = encode(kind, pc, action).expect("what was decoded reaches");
                prop_assert_eq!(code.as_bytes(), &bytes);
            }
        }
    }
}
