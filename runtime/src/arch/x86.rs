//! i686: calls and jumps with a 32-bit displacement.
//!
//! Manuals: AMD64 Architecture Programmer's Manual, volume 3 (24594, rev. 3.36): CALL (Near), JMP (Near),
//! Jcc, LEA, MOV, RET (Near); the same pages in Intel's Software Developer's Manual, volume 2.
//!
//! ```text
//!            Call                Jump                 ConditionalJump
//! Branch(t)  E8 rel32            E9 rel32             0F 8x rel32       rel32 = t - end, modulo 2^32
//! Nop        3E 8D 74 26 00      C3 CC CC CC CC       -
//! Zero       B8 00 00 00 00      -                    -
//! ```
//!
//! - The sum of instruction pointer and displacement wraps at 32 bits, so every address is in reach.
//! - Nop is `lea %ds:0(%esi), %esi`, which every 32-bit processor has; `0F 1F` came with the Pentium Pro.
//! - Zero is `mov $0, %eax`. A result of 64 bits comes in EDX:EAX: the pass marks such a call as one that
//!   must not become a no-op, and also one in stdcall (64), fastcall (65), thiscall (70) or vectorcall (80),
//!   whose callee removes the arguments, and one with a structure result, whose callee removes the hidden
//!   pointer.
//!
//! # Replacing a form while other processors run it
//!
//! As on x86-64, and not only in 64-bit mode: AMD64 APM volume 2 (24593, rev. 3.42), section 7.6.1, allows it
//! "via a single store ... contained entirely within a naturally-aligned quadword". The store is LOCK
//! CMPXCHG8B, which every processor since the Pentium has. Every form is one instruction. Caches need
//! nothing; pipelines are told by `membarrier(PRIVATE_EXPEDITED_SYNC_CORE)`. Breakpoints are those of x86-64.
//!
//! # The first byte
//!
//! It never changes, for uprobes: see `x86_64.rs`. Here calls and jumps have the prefix FS (64), since LEA
//! with an address-size prefix is shorter. No form addresses memory: LEA only computes an address (APM volume
//! 3, LEA: "does not access memory"), so a segment has no effect; Intel's manual, volume 2A, 2.1.1, calls it
//! reserved before branches.
//!
//! # What the compiler makes
//!
//! LLVM 22, at -O0 and -O2, with and without PIC: `CALLpcrel32`, `TAILJMPd` and (-O2 only) `TAILJMPd_CC`, one
//! machine instruction each, whose first operand is the function: `calll f`, `jmp f`, `jne f`. With PIC, EBX
//! holds the GOT's address at a call, which a hidden function does not need. The layout is that of x86-64:
//! the instruction must not cross an eight-byte boundary (`.p2align 3,,4`, a conditional jump `.p2align
//! 3,,5`).
//!
//! # Trampolines
//!
//! The text, and the reasons for it, are in `runtime/abi/src/assembler/x86.rs`. The first instruction after
//! the no-op is at least as long as a jump. At a fixed address it is the jump through the key. Elsewhere it
//! is a call of the next instruction, whose displacement 0 the processors' return predictors do not count as
//! a call; a thread that has executed it continues after it with the address on its stack, whatever has
//! replaced it. EAX must be free, so a call with an `inreg` argument (-mregparm) or in regcall stays
//! indirect, at a fixed address as well.

use core::sync::atomic::AtomicU64;

pub(crate) use super::site::NoBulkRewrite as Rewrite;
use super::site::{Action, Code, Kind};
#[allow(unused_imports, reason = "only for breakpoints")]
pub(crate) use super::x86_64::{BREAKPOINT, holds, length};
use super::x86_64::{CALL, JCC, JMP, NOP, RET5, ZERO5};

pub(crate) const SUPPORTED: bool = true;
pub(crate) const ARCHITECTURE: static_call_abi::Architecture = static_call_abi::X86;
/// A quadword, which CMPXCHG8B replaces.
pub(crate) type Number = u64;
pub(crate) type AtomicNumber = AtomicU64;
pub(crate) const WORD: usize = size_of::<Number>();
/// Calls reach everything: linkers put nothing between them and their targets.
pub(crate) const HAS_VENEERS: bool = false;

pub(crate) use super::x86_64::TRAMPOLINE_JUMP;
/// What the code of a static branch that looks at its key starts with: `pushl %eax`, and a call of the next
/// instruction.
pub(crate) const CHECK: &[u8] = &[0x50, CALL, 0, 0, 0, 0];

/// `lea %ds:0(%esi,%eiz,1), %esi`
const NOP5: [u8; 5] = [0x3e, 0x8d, 0x74, 0x26, 0x00];

/// Decodes the instruction at `pc`, where `bytes` starts.
#[inline]
pub(crate) fn decode(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    let five: [u8; 5] = bytes.get(..5)?.try_into().ok()?;
    let site = match five {
        [CALL, a, b, c, d] => (Kind::Call, go(pc, 5, [a, b, c, d])?),
        [JMP, a, b, c, d] => (Kind::Jump, go(pc, 5, [a, b, c, d])?),
        NOP5 => (Kind::Call, Action::Nop),
        ZERO5 => (Kind::Call, Action::Zero),
        RET5 => (Kind::Jump, Action::Nop),
        [first, second, a, b, c] if first == JCC[0] && second & 0xf0 == JCC[1] => {
            (Kind::ConditionalJump(second & 0x0f), go(pc, 6, [a, b, c, *bytes.get(5)?])?)
        }
        _ => return None,
    };
    Some(site)
}

/// The instruction that does `action`, or None where there is none.
#[inline]
pub(crate) fn encode(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    match (kind, action) {
        (Kind::Call, Action::Nop) => Some(Code::new(NOP5)),
        (Kind::Call, Action::Zero) => Some(Code::new(ZERO5)),
        (Kind::Jump, Action::Nop) => Some(Code::new(RET5)),
        (Kind::Call, Action::Branch(target)) => {
            let [a, b, c, d] = displacement(pc, 5, target)?;
            Some(Code::new([CALL, a, b, c, d]))
        }
        (Kind::Jump, Action::Branch(target)) => {
            let [a, b, c, d] = displacement(pc, 5, target)?;
            Some(Code::new([JMP, a, b, c, d]))
        }
        (Kind::ConditionalJump(condition), Action::Branch(target)) => {
            let [a, b, c, d] = displacement(pc, 6, target)?;
            Some(Code::new([JCC[0], JCC[1] | (condition & 0x0f), a, b, c, d]))
        }
        (Kind::Jump, Action::Zero) | (Kind::ConditionalJump(_), Action::Nop | Action::Zero) => None,
        (Kind::StaticBranch(_), _) => None,
    }
}

/// The same for a site that holds `_old`, which makes no difference here.
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, _old: &[u8]) -> Option<Code> {
    encode(kind, pc, action)
}

/// Whether a trampoline starts with a no-op and an instruction that a five-byte jump may replace while
/// threads are just leaving it:
///
/// ```text
/// 90               nop, before each of them
/// FF 25 disp32     jmp *key
/// FF 35 disp32     push key
/// A1 disp32        mov key, %eax
/// E8 00 00 00 00   call of the next instruction
/// ```
pub(crate) fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    matches!(word, [NOP, 0xff, 0x25 | 0x35, ..] | [NOP, 0xa1, ..] | [NOP, CALL, 0, 0, 0, 0, ..])
}

/// Nothing to do: instruction caches are coherent (AMD64 APM volume 2, section 7.6.1).
///
/// # Safety
///
/// None is needed.
#[inline]
pub(crate) unsafe fn publish(_address: usize) {}

fn go(pc: usize, length: u32, displacement: [u8; 4]) -> Option<Action> {
    let end = u32::try_from(pc).ok()?.wrapping_add(length);
    Some(Action::Branch(end.wrapping_add(u32::from_le_bytes(displacement)) as usize))
}

fn displacement(pc: usize, length: u32, target: usize) -> Option<[u8; 4]> {
    let end = u32::try_from(pc).ok()?.wrapping_add(length);
    Some(u32::try_from(target).ok()?.wrapping_sub(end).to_le_bytes())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;
    use static_call_abi::__static_call_x86 as text;

    use super::*;
    use crate::arch::oracle::{self, Case, Output};

    const TRIPLE: &str = "i686-linux-gnu";

    #[test]
    fn forms_are_what_llvm_disassembles() {
        let fixed = |kind, action, text: &str| {
            let code = encode(kind, 0x1000, action).unwrap();
            assert_eq!(decode(0x1000, code.as_bytes()), Some((kind, action)));
            Case::new(code.as_bytes(), text.to_string())
        };
        let mut cases = Vec::from([
            fixed(Kind::Call, Action::Nop, "leal %ds:(%esi,%eiz), %esi"),
            fixed(Kind::Call, Action::Zero, "movl $0, %eax"),
        ]);
        let ret = encode(Kind::Jump, 0x1000, Action::Nop).unwrap();
        assert_eq!(decode(0x1000, ret.as_bytes()), Some((Kind::Jump, Action::Nop)));
        assert_eq!(ret.as_bytes()[1..], [0xcc; 4]);
        cases.push(Case::new(&ret.as_bytes()[..1], "retl".to_string()));
        for distance in oracle::distances(i32::MIN.into(), i32::MAX.into(), 1) {
            let condition = (distance & 15) as u8;
            let name = oracle::CONDITIONS[usize::from(condition)];
            for (kind, length, name) in [
                (Kind::Call, 5, "calll"),
                (Kind::Jump, 5, "jmp"),
                (Kind::ConditionalJump(condition), 6, name),
            ] {
                let pc = 0x8765_4321_u32;
                let target = (pc + length).wrapping_add(distance as u32);
                let code = encode(kind, pc as usize, Action::Branch(target as usize)).unwrap();
                cases.push(Case::new(code.as_bytes(), format!("{name} {distance}")));
            }
        }
        oracle::check(TRIPLE, &cases);
    }

    #[test]
    fn forms_that_do_not_exist_are_none() {
        assert_eq!(encode(Kind::Jump, 0, Action::Zero), None);
        assert_eq!(encode(Kind::ConditionalJump(4), 0, Action::Nop), None);
        assert_eq!(encode(Kind::ConditionalJump(4), 0, Action::Zero), None);
        assert_eq!(decode(0, &[]), None);
        assert_eq!(decode(0, &[CALL, 0, 0, 0]), None);
        assert_eq!(decode(0, &[0x0f, 0x84, 0, 0, 0]), None);
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn addresses_beyond_32_bits_are_none() {
        assert_eq!(encode(Kind::Call, 0x1000, Action::Branch(1 << 32)), None);
        assert!(encode(Kind::Call, 0x1000, Action::Branch((1 << 32) - 1)).is_some());
        assert_eq!(encode(Kind::Call, 1 << 32, Action::Branch(0x1000)), None);
        assert_eq!(decode(1 << 32, &[CALL, 0, 0, 0, 0]), None);
    }

    #[test]
    fn branches_jump_to_a_check_after_linking() {
        for text in [text!(branch on), text!(branch off), text!(branch some)] {
            oracle::check_branch((TRIPLE, "", 32), text, decode, CHECK);
        }
    }

    #[test]
    fn trampolines_start_with_an_entry_after_linking() {
        let near = oracle::with_key(text!(near), "near");
        let far = oracle::with_key(text!(far), "far");
        let fixed = oracle::with_key(text!(fixed), "near");
        let stacked = oracle::with_key(text!(fixed stacked), "near");
        for (code, output) in [
            (&near, Output::Shared),
            (&near, Output::Program),
            (&far, Output::Shared),
            (&far, Output::Program),
            (&fixed, Output::Program),
            (&stacked, Output::Program),
        ] {
            let linked = oracle::link_trampoline(TRIPLE, "", code, output);
            assert!(is_trampoline_entry(oracle::entry(&linked)), "{output:?}: {linked:02x?}");
        }
        for other in [[0x90; 8], [NOP, CALL, 1, 0, 0, 0, 0x58, 0], [0xff, 0x25, 0, 0, 0, 0, 0, 0]] {
            assert!(!is_trampoline_entry(other), "{other:02x?}");
        }
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Call), Just(Kind::Jump), (0u8..16).prop_map(Kind::ConditionalJump)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn encoding_then_decoding_gives_the_site_back(kind in kinds(), pc: u32, target: u32) {
            let (pc, target) = (pc as usize, target as usize);
            let code = encode(kind, pc, Action::Branch(target)).expect("everything reaches");
            prop_assert_eq!(decode(pc, code.as_bytes()), Some((kind, Action::Branch(target))));
        }

        #[test]
        fn decoding_then_encoding_gives_the_bytes_back(
            mut bytes: [u8; 8],
            opcode in prop_oneof![Just(CALL), Just(JMP), Just(0x0f), any::<u8>()],
            pc: u32,
        ) {
            bytes[0] = opcode;
            if let Some((kind, action)) = decode(pc as usize, &bytes) {
                let code = encode(kind, pc as usize, action).expect("what was decoded reaches");
                prop_assert_eq!(code.as_bytes(), &bytes[..code.as_bytes().len()]);
            }
        }
    }
}
