//! z/Architecture: BRASL and BRCL, of six bytes. Big-endian.
//!
//! Manual: z/Architecture Principles of Operation (SA22-7832-13), chapter 7, "General Instructions": BRANCH
//! RELATIVE AND SAVE LONG, BRANCH RELATIVE ON CONDITION LONG, BRANCH ON CONDITION, LOAD IMMEDIATE (LGFI).
//!
//! ```text
//!            Call                          Jump                        ConditionalJump
//! Branch(t)  C0 E5 rel32  brasl %r14, t    C0 F4 rel32  jg t           C0 m4 rel32  brcl m, t
//! Nop        C0 04 00000000  brcl 0, 0     07 FE 00000000  br %r14     -
//! Zero       C0 21 00000000  lgfi %r2, 0   -                           -
//! ```
//!
//! `rel32` counts halfwords from the instruction's own address: 4 GiB down, 4 GiB less two bytes up. The mask
//! m is 1 to 14; 0 never branches, and 15 always does. The two halfwords after `br %r14` are not
//! instructions.
//!
//! The bytes of a form say what kind of site it is, so nothing else has to record the kind. Where there is no
//! form, the site calls the function that does nothing or returns zero.
//!
//! # Replacing a form while other processors run it
//!
//! **Practice, not the manual.** Chapter 5, "Program Execution", section "Sequence of Storage References",
//! "Instruction Fetching": the bytes of an instruction may be fetched piecemeal, ahead, and more than once;
//! what was fetched ahead is discarded when the processor serializes. Caches are coherent. So the manual does
//! not say that a changed instruction is fetched as the old or the new one; it says so ("block-concurrent",
//! "Storage-Operand Consistency") of operands in an aligned doubleword only.
//!
//! This relies on processors fetching instructions in blocks of at least that size. HotSpot relies on a part
//! of that: it changes the displacement of a BRASL that other threads run with one store, which is aligned to
//! a word for that purpose (`NativeCall::set_destination_mt_safe`); Linux' function graph tracer changes the
//! mask of a branch on condition in the same way. Here the aligned doubleword that holds the whole
//! instruction is replaced by one CSG, and every form is one instruction of the same six bytes, or of two
//! bytes followed by bytes that are never reached. A design could rely on less: BRASL and `brcl 0` with the
//! *same* displacement differ in one byte, and a displacement at a multiple of four is a word.
//!
//! The caches need no maintenance. Every other processor has to serialize, which
//! `membarrier(PRIVATE_EXPEDITED_SYNC_CORE)` does, as every interruption serializes.
//!
//! # What the compiler makes
//!
//! LLVM 22, at -O0 and -O2, with and without PIC: `CallBRASL` and `CallJG`, one machine instruction each,
//! whose first operand is the function: `brasl %r14, f`, `jg f`. With optimization also `CallBRCL 15, mask,
//! f` (`jglh f`), whose function is the third. All have `R_390_PLT32DBL`, and no linker adds a veneer. The
//! instruction must not cross an eight-byte boundary: instructions are aligned to two, so it may start at 0
//! or 2 of a doubleword, `.p2align 3,,4`.
//!
//! Branches inside a function reach 64 KiB. LLVM takes longer ones where they have to reach further, but
//! before there is any padding, and its assembler leaves them as they are. So in a function that could become
//! longer than that, sites stay on their trampolines.
//!
//! # Trampolines
//!
//! The text, and the reasons for it, are in `runtime/abi/src/assembler/s390x.rs`. The first instruction is as
//! long as the JG that replaces it: a thread that has executed it goes on with the next one, which has not
//! moved.

use core::sync::atomic::AtomicU64;

pub(crate) use super::site::NoBulkRewrite as Rewrite;
use super::site::{Action, Code, Kind};

pub(crate) const SUPPORTED: bool = true;
pub(crate) const ARCHITECTURE: static_call_abi::Architecture = static_call_abi::S390X;
/// What CSG replaces.
pub(crate) type Number = u64;
pub(crate) type AtomicNumber = AtomicU64;
pub(crate) const WORD: usize = size_of::<Number>();
/// Calls reach all of an image: linkers put nothing between them and their targets.
pub(crate) const HAS_VENEERS: bool = false;
/// The offset in a trampoline of the instruction that a jump replaces.
pub(crate) const TRAMPOLINE_JUMP: usize = 0;
/// What the code of a static branch that looks at its key starts with: `lgr %r1, %r1`, which does nothing.
pub(crate) const CHECK: &[u8] = &[0xb9, 0x04, 0x00, 0x11];

const BRASL_R14: [u8; 2] = [0xc0, 0xe5];
/// The lower half of BRCL's second byte; the upper half is its mask.
const BRCL: [u8; 2] = [0xc0, 0x04];
const ALWAYS: u8 = 15;
const JGNOP: [u8; 6] = [0xc0, 0x04, 0, 0, 0, 0];
/// `lgfi %r2, 0`
const ZERO6: [u8; 6] = [0xc0, 0x21, 0, 0, 0, 0];
/// `br %r14`, and four bytes that are not instructions.
const RET6: [u8; 6] = [0x07, 0xfe, 0, 0, 0, 0];

/// Decodes the instruction at `pc`, where `bytes` starts.
#[inline]
pub(crate) fn decode(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    if !pc.is_multiple_of(2) {
        return None;
    }
    let six: [u8; 6] = *bytes.first_chunk()?;
    let [first, second, a, b, c, d] = six;
    match six {
        JGNOP => return Some((Kind::Call, Action::Nop)),
        ZERO6 => return Some((Kind::Call, Action::Zero)),
        RET6 => return Some((Kind::Jump, Action::Nop)),
        _ => {}
    }
    let kind = match ([first, second & 0x0f], second >> 4) {
        _ if [first, second] == BRASL_R14 => Kind::Call,
        (BRCL, ALWAYS) => Kind::Jump,
        (BRCL, mask @ 1..ALWAYS) => Kind::ConditionalJump(mask),
        _ => return None,
    };
    let distance = i64::from(i32::from_be_bytes([a, b, c, d])) * 2;
    Some((kind, Action::Branch(pc.wrapping_add_signed(distance as isize))))
}

/// The instruction that does `action`, or None if there is none, or if the target is out of reach.
#[inline]
pub(crate) fn encode(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    let ([first, second], target) = match (kind, action) {
        (Kind::Call, Action::Nop) => return Some(Code::new(JGNOP)),
        (Kind::Call, Action::Zero) => return Some(Code::new(ZERO6)),
        (Kind::Jump, Action::Nop) => return Some(Code::new(RET6)),
        (Kind::Call, Action::Branch(target)) => (BRASL_R14, target),
        (Kind::Jump, Action::Branch(target)) => ([BRCL[0], BRCL[1] | ALWAYS << 4], target),
        (Kind::ConditionalJump(mask @ 1..ALWAYS), Action::Branch(target)) => {
            ([BRCL[0], BRCL[1] | mask << 4], target)
        }
        _ => return None,
    };
    let distance = target.wrapping_sub(pc).cast_signed() as i64;
    let halfwords = i32::try_from(distance / 2).ok().filter(|_| distance % 2 == 0)?;
    let [a, b, c, d] = halfwords.to_be_bytes();
    Some(Code::new([first, second, a, b, c, d]))
}

/// The same for a site that holds `_old`, which makes no difference here.
#[inline]
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, _old: &[u8]) -> Option<Code> {
    encode(kind, pc, action)
}

/// Whether a trampoline starts with an instruction that a JG may replace while threads are just leaving it:
///
/// ```text
/// C4 18 rel32   lgrl %r1, key (or its entry in the GOT)
/// C0 10 rel32   larl %r1, key
/// ```
pub(crate) fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    matches!(word, [0xc4, 0x18, ..] | [0xc0, 0x10, ..])
}

/// Has every processor fetch the word at `address` as it is now, once it has serialized.
///
/// Nothing to do: caches are coherent, and this processor has serialized (chapter 7, COMPARE AND SWAP: "A
/// serialization function is performed before the operand is fetched and again after the operation is
/// completed").
///
/// # Safety
///
/// None is needed.
#[cfg(target_arch = "s390x")]
pub(crate) unsafe fn publish(_address: usize) {}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;
    use static_call_abi::__static_call_s390x as text;

    use super::*;
    use crate::arch::oracle::{self, Case, Output};

    const TRIPLE: &str = "s390x-linux-gnu";
    const PC: usize = 0x8_7654_3212;
    /// The names of BRCL by its mask, from 1.
    const CONDITIONS: [&str; 14] = [
        "jgo", "jgh", "jgnle", "jgl", "jgnhe", "jglh", "jgne", "jge", "jgnlh", "jghe", "jgnl", "jgle",
        "jgnh", "jgno",
    ];

    fn at(distance: i64) -> Action {
        Action::Branch((PC as i64 + distance) as usize)
    }

    #[test]
    fn forms_are_what_llvm_disassembles() {
        let fixed = |kind, action, bytes: usize, text: &str| {
            let code = encode(kind, PC, action).unwrap();
            assert_eq!(code.as_bytes().len(), 6);
            assert_eq!(decode(PC, code.as_bytes()), Some((kind, action)));
            Case::new(&code.as_bytes()[..bytes], text.to_string())
        };
        let mut cases = Vec::from([
            fixed(Kind::Call, Action::Nop, 6, "jgnop 0"),
            fixed(Kind::Call, Action::Zero, 6, "lgfi %r2, 0"),
            fixed(Kind::Jump, Action::Nop, 2, "br %r14"),
        ]);
        for distance in oracle::distances(-(1 << 32), (1 << 32) - 2, 2) {
            let mask = 1 + (distance >> 1 & 15) as u8 % 14;
            let name = CONDITIONS[usize::from(mask) - 1];
            for (kind, name) in
                [(Kind::Call, "brasl %r14,"), (Kind::Jump, "jg"), (Kind::ConditionalJump(mask), name)]
            {
                let code = encode(kind, PC, at(distance)).unwrap();
                cases.push(Case::new(code.as_bytes(), format!("{name} {distance}")));
            }
        }
        oracle::check(TRIPLE, &cases);
    }

    #[test]
    fn what_does_not_reach_or_is_no_such_form_is_none() {
        for kind in [Kind::Call, Kind::Jump, Kind::ConditionalJump(8)] {
            for distance in [-(1 << 32) - 2, -(1 << 32) - 1, 1 << 32, 1, -1] {
                assert_eq!(encode(kind, PC, at(distance)), None, "{kind:?} {distance}");
            }
        }
        assert_eq!(encode(Kind::Jump, PC, Action::Zero), None);
        for action in [Action::Nop, Action::Zero] {
            assert_eq!(encode(Kind::ConditionalJump(8), PC, action), None);
        }
        for mask in [0, 15, 16] {
            assert_eq!(encode(Kind::ConditionalJump(mask), PC, at(0)), None);
        }
        // Another register's BRASL, a nop with a displacement, and truncated forms.
        assert_eq!(decode(PC, &[0xc0, 0xd5, 0, 0, 0, 0]), None);
        assert_eq!(decode(PC, &[0xc0, 0x04, 0, 0, 0, 4]), None);
        assert_eq!(decode(PC, &[0xc0, 0xe5, 0, 0, 0]), None);
        assert_eq!(decode(PC, &[0x07, 0xfe]), None);
        assert_eq!(decode(PC + 1, &JGNOP), None);
    }

    #[test]
    fn branches_jump_to_a_check_after_linking() {
        for text in [text!(branch on), text!(branch off), text!(branch some)] {
            oracle::check_branch((TRIPLE, "", 64), text, decode, CHECK);
        }
    }

    #[test]
    fn trampolines_start_with_an_entry_after_linking() {
        for code in [oracle::with_key(text!(near), "near"), oracle::with_key(text!(far), "far")] {
            for output in [Output::Shared, Output::Program] {
                let linked = oracle::link_trampoline(TRIPLE, "", &code, output);
                assert!(is_trampoline_entry(oracle::entry(&linked)), "{output:?}: {linked:02x?}");
            }
        }
        // LGRL of another register, BRASL.
        for other in [[0xc4, 0x28, 0, 0, 0, 0, 0x07, 0xf2], [0xc0, 0xe5, 0, 0, 0, 0, 0x07, 0xf1]] {
            assert!(!is_trampoline_entry(other), "{other:02x?}");
        }
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Call), Just(Kind::Jump), (1u8..15).prop_map(Kind::ConditionalJump)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn encoding_then_decoding_gives_the_site_back(
            kind in kinds(),
            pc in (1usize << 40..1 << 46).prop_map(|pc| pc * 2),
            halfwords in -(1i64 << 31) - 100..(1 << 31) + 100,
        ) {
            let target = pc.wrapping_add_signed(halfwords as isize * 2);
            let code = encode(kind, pc, Action::Branch(target));
            prop_assert_eq!(code.is_some(), i32::try_from(halfwords).is_ok());
            if let Some(code) = code {
                prop_assert_eq!(decode(pc, code.as_bytes()), Some((kind, Action::Branch(target))));
            }
        }

        #[test]
        fn decoding_then_encoding_gives_the_bytes_back(
            mut bytes: [u8; 6],
            opcode in prop_oneof![Just([0xc0, 0xe5]), (0u8..16).prop_map(|mask| [0xc0, mask << 4 | 4]),
                any::<[u8; 2]>()],
            pc in (1usize << 40..1 << 46).prop_map(|pc| pc * 2),
        ) {
            bytes[..2].copy_from_slice(&opcode);
            if let Some((kind, action)) = decode(pc, &bytes) {
                let code = encode(kind, pc, action).expect("what was decoded reaches");
                prop_assert_eq!(code.as_bytes(), &bytes);
            }
        }
    }
}
