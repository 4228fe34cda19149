//! POWER, 64 bits, little-endian, ELFv2: B and BL.
//!
//! Manuals: Power ISA 3.0B, book I, section 2.4 (Branch, I-form) and 3.3.13 (Logical: "ori 0,0,0" is the preferred
//! no-op); Power Architecture 64-Bit ELF V2 ABI, sections 2.3.2.1 (function prologue) and 3.4.1 (st_other).
//!
//! ```text
//!            Call             Jump
//! Go(t)      bl  t            b  t            t within 32 MiB of pc
//! Nop        ori 0, 0, 0      -
//! Zero       -                -
//! ```
//!
//! A conditional tail call is not decoded.
//!
//! # Targets
//!
//! A function pointer is the address of the *global* entry, which wants that address in R12, and makes the TOC
//! pointer (R2) from it. A BL cannot bring it. It goes to the *local* entry, which wants the caller's TOC pointer
//! to be its own too. So before `encode` the runtime has to turn a target into its local entry, with
//! [`local_entry`], and to compare the TOC pointer that it gives with that of the site's image (the address of
//! `.TOC.`, which the pass can put into the image's descriptor, `.quad .TOC.@tocbase`).
//!
//! The distance of both entries is in the symbol's `st_other`, which is not loaded with the program, except for
//! exported functions (.dynsym). What is there is code: if it starts with the sequence that makes a TOC pointer, the local
//! entry is behind it. If it does not, the function may be a leaf without a TOC (the same entry, and safe), or one that
//! changes R2 on the caller's behalf (`st_other` 1: POWER10's code without a TOC), or hand-written and in need of R12:
//! this cannot be told, and the site stays on its trampoline. So do sites in POWER10 code (`bl f@notoc`), whose R2 is
//! anything.
//!
//! # Replacing a form while other processors run it
//!
//! Power ISA, book II, "Concurrent Modification and Execution of Instructions" (section 1.8.1 in version 2.03): the
//! results are defined if every value that an aligned word has had, since instruction storage was last made
//! consistent, is of the *patch class*: I-form branches (b, bl, ba, bla) and the preferred no-op. Then one of the
//! values is executed. BLR and `li 3, 0` are not in it: such sites go to the function that returns, or returns zero.
//!
//! Then dcbst, sync, icbi, sync, isync for each changed word: all may be executed by a program (book II, section 4.3,
//! "Instruction Cache Instructions"), and icbi reaches all processors. Every thread's isync is
//! `membarrier(PRIVATE_EXPEDITED_SYNC_CORE)`.
//!
//! # What the compiler makes
//!
//! LLVM 22, at -O0 and -O2, with and without PIC: `BL8_NOP`, one machine instruction whose first operand is the function
//! and which is two words, `bl f; nop`, with `R_PPC64_REL24` on the first. There is **no tail call**: code that has a TOC
//! calls functions of which it does not know the TOC, also a trampoline that it defines itself, since that is
//! `linkonce` and has a section of its own. For POWER10 it is `BL8_NOTOC` (`bl f`, `R_PPC64_REL24_NOTOC`) and `TAILB8`
//! (`b f`), before which stands `TCRETURNdi8`, a call with the same operand that becomes no instruction: the machine stage
//! has to skip it. Conditional tail calls are branched around (`bclr` the other way). Instructions are aligned as
//! they are.
//!
//! # The no-op behind a call
//!
//! If a target has another TOC, R2 is wrong when it returns. Linkers' stubs for calls of other images save R2 at 24(1) and
//! make the no-op behind the call `ld 2, 24(1)`. To them a trampoline is a function of the same TOC. So the machine
//! stage itself has to save R2 before every site, and to restore it behind (`std 2, 24(1); bl f; ld 2, 24(1)`, as LLVM does
//! for an indirect call: `BCTRL8_LDinto_toc`), or the key may only have targets in its own image.
//!
//! # Trampolines
//!
//! The first instruction is the preferred no-op, since it must be of the patch class. R2 is the TOC pointer of the image
//! (st_other is 0), R12 and CTR are free between functions. The target's global entry finds itself in R12. Near, and
//! through the GOT:
//!
//! ```text
#![doc = include_str!("trampolines/powerpc64-near.s")]
//!
#![doc = include_str!("trampolines/powerpc64-far.s")]
//! ```
//!
//! For callers without a TOC (POWER10, `+pcrelative-memops`); the prefixed instruction must not cross 64 bytes:
//!
//! ```text
#![doc = include_str!("trampolines/powerpc64-near-notoc.s")]
//!
#![doc = include_str!("trampolines/powerpc64-far-notoc.s")]
//! ```

use super::{Action, Code, Kind};

pub(crate) const SUPPORTED: bool = true;

/// One instruction.
pub(crate) const WORD: usize = 4;

const B: u32 = 0x4800_0000;
/// The LK bit.
const BL: u32 = B | 1;
/// `ori 0, 0, 0`
const NOP: u32 = 0x6000_0000;
/// LI, the distance without its two lowest bits.
const DISTANCE: u32 = 0x03ff_fffc;

/// What the instruction at `pc` is. `bytes` starts there.
pub(crate) fn decode(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    let instruction = word(bytes, 0)?;
    let kind = match instruction & !DISTANCE {
        BL => Kind::Call,
        B => Kind::Jump,
        _ => return (instruction == NOP).then_some((Kind::Call, Action::Nop)),
    };
    // Shifted up and down again: the sign is bit 25.
    let distance = ((instruction & DISTANCE) << 6).cast_signed() >> 6;
    Some((kind, Action::Go(pc.wrapping_add_signed(distance as isize))))
}

/// The instruction that does `action`, or None where there is none or it does not reach.
///
/// A target is where the branch goes: a local entry.
pub(crate) fn encode(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    let (opcode, target) = match (kind, action) {
        (Kind::Call, Action::Nop) => return Some(Code::new(NOP.to_le_bytes())),
        (Kind::Call, Action::Go(target)) => (BL, target),
        (Kind::Jump, Action::Go(target)) => (B, target),
        _ => return None,
    };
    let distance = target.wrapping_sub(pc).cast_signed();
    let reaches = (-(1 << 25)..1 << 25).contains(&distance) && distance % 4 == 0;
    reaches.then(|| Code::new((opcode | distance as u32 & DISTANCE).to_le_bytes()))
}

/// The same for a site, where `_old` stands now: it does not matter.
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, _old: &[u8]) -> Option<Code> {
    encode(kind, pc, action)
}

/// Whether a trampoline starts with an instruction that a branch may replace: the preferred no-op.
pub(crate) fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    word == NOP.to_le_bytes()
}

/// Where a branch may enter a function whose callers have its TOC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalEntry {
    pub(crate) address: usize,
    /// The TOC pointer that the function uses.
    pub(crate) toc: usize,
}

/// The local entry of the function whose global entry is at `address`, and what stands there in `bytes`. None:
/// there is no sequence that makes a TOC pointer, or one that nobody can follow.
///
/// ```text
/// addis 2, 12, hi          3C4C hi     or, in a program with a fixed address,   lis 2, hi     3C40 hi
/// addi  2, 2, lo           3842 lo
/// ```
///
/// In the large code model it is `ld 2, x(12); add 2, 2, 12`, with the distance in memory that need not be code.
pub(crate) fn local_entry(address: usize, bytes: &[u8]) -> Option<LocalEntry> {
    let (first, second) = (word(bytes, 0)?, word(bytes, 4)?);
    let base = match first >> 16 {
        0x3c4c => address,
        0x3c40 => 0,
        _ => return None,
    };
    if second >> 16 != 0x3842 {
        return None;
    }
    let (high, low) = ((first << 16).cast_signed(), i32::from((second as u16).cast_signed()));
    let toc = base.wrapping_add_signed(high as isize).wrapping_add_signed(low as isize);
    Some(LocalEntry { address: address.wrapping_add(8), toc })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::arch::oracle::{self, Case, Output};

    const TRIPLE: &str = "powerpc64le-linux-gnu";
    const PC: usize = 0x4321_0010;

    fn at(distance: i64) -> Action {
        Action::Go((PC as i64 + distance) as usize)
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

    #[test]
    fn local_entries_are_behind_the_toc_pointer() {
        let code = |words: [u32; 2]| words.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        let entry = |words| local_entry(0x1_0000_1000, &code(words)).map(|entry| (entry.address, entry.toc));
        assert_eq!(entry([0x3c4c_0002, 0x3842_7f00]), Some((0x1_0000_1008, 0x1_0002_8f00)));
        assert_eq!(entry([0x3c4c_0002, 0x3842_8000]), Some((0x1_0000_1008, 0x1_0001_9000)));
        assert_eq!(entry([0x3c4c_ffff, 0x3842_0000]), Some((0x1_0000_1008, 0xffff_1000)));
        assert_eq!(entry([0x3c40_1002, 0x3842_ff00]), Some((0x1_0000_1008, 0x1001_ff00)));
        // Other registers, the large code model, no prologue, half of one.
        assert_eq!(entry([0x3c4b_0002, 0x3842_0000]), None);
        assert_eq!(entry([0x3c4c_0002, 0x3843_0000]), None);
        assert_eq!(entry([0xe84c_fff8, 0x7c42_6214]), None);
        assert_eq!(entry([0x7c08_02a6, 0xf821_ffe1]), None);
        assert_eq!(local_entry(0, &code([0x3c4c_0002, 0x3842_0000])[..7]), None);
    }

    #[test]
    fn local_entries_are_what_lld_links() {
        // A function as LLVM makes it, and one as a linker may leave it in a program with a fixed address; behind
        // each is the TOC pointer (less the function's address in the first).
        let relative = "1:\taddis\t2, 12, .TOC.-1b@ha\n\taddi\t2, 2, .TOC.-1b@l\n\t.quad .TOC.-1b, 0\n";
        let absolute = "\tlis\t2, .TOC.@ha\n\taddi\t2, 2, .TOC.@l\n\t.quad .TOC.@tocbase, 0\n";
        for (address, function, output) in [
            (0, relative, Output::Shared),
            (0, relative, Output::Program),
            (0x5000, absolute, Output::Program),
        ] {
            let linked = oracle::link_trampoline(TRIPLE, "", function, output);
            let entry = local_entry(address, &linked).expect("it starts like one");
            let toc = u64::from_le_bytes(linked[8..16].try_into().unwrap());
            assert_eq!((entry.address, entry.toc as u64), (address + 8, toc), "{function}");
            assert_ne!(toc, 0);
        }
    }

    #[test]
    fn trampolines_start_with_an_entry_after_linking() {
        let notoc = "+prefix-instrs,+pcrelative-memops";
        let all: [(&str, &str); 4] = [
            (include_str!("trampolines/powerpc64-near.s"), ""),
            (include_str!("trampolines/powerpc64-far.s"), ""),
            (include_str!("trampolines/powerpc64-near-notoc.s"), notoc),
            (include_str!("trampolines/powerpc64-far-notoc.s"), notoc),
        ];
        for (code, features) in all {
            for output in [Output::Shared, Output::Program] {
                let linked = oracle::link_trampoline(TRIPLE, features, code, output);
                assert!(is_trampoline_entry(oracle::entry(&linked)), "{output:?}: {linked:02x?}");
            }
        }
        assert!(!is_trampoline_entry(0x6021_0000_u32.to_le_bytes()));
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
            let code = encode(kind, pc, Action::Go(target));
            prop_assert_eq!(code.is_some(), (-(1 << 23)..1 << 23).contains(&distance));
            if let Some(code) = code {
                prop_assert_eq!(decode(pc, code.as_bytes()), Some((kind, Action::Go(target))));
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
