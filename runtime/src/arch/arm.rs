//! ARMv7, A32: B and BL.
//!
//! Manual: ARM Architecture Reference Manual, ARMv7-A and ARMv7-R edition (DDI 0406C), chapter A8: B
//! (A8.8.18), BL (A8.8.25, encoding A1), NOP (A8.8.119, encoding A1).
//!
//! ```text
//!            Call              Jump              on a condition
//! Branch(t)  EB imm24  BL      EA imm24  B       cA imm24  B<c>  cB imm24  BL<c>    imm24 = (t - pc - 8) / 4
//! Nop        E320F000  NOP     -                 -
//! Zero       -                 -                 -
//! ```
//!
//! - From 32 MiB below to 32 MiB less four bytes above pc + 8.
//! - A target with bit 0 set is Thumb code. Only BLX and BX switch the instruction set, and neither may be
//!   written or replaced while other threads run it. So the site stays on its trampoline, whose BX switches.
//! - A conditional call (`BLEQ`) counts as a conditional jump in [`Kind`], since only its return address
//!   tells them apart: its number is the condition and [`LINK`]. It has no no-op, which would lose the
//!   condition.
//! - Thumb code has no sites: the pass records none.
//!
//! # Replacing a form while other processors run it
//!
//! DDI 0406C, section A3.5.4 "Concurrent modification and execution of instructions": of the A32
//! instructions, B, BL, NOP, BKPT, SVC, HVC and SMC may be replaced by one another without synchronization,
//! and each thread executes the old or the new one. A branch's condition and target may not both change at
//! once; here the condition never does. `BX LR` and `MOV R0, #0` are not in the list. So a tail call that is
//! off, and a call that returns zero, branch to a function that does it.
//!
//! Code is always little-endian here: BE-8 and BE-32 are other triples (`armeb`).
//!
//! # What the compiler makes
//!
//! LLVM 22, at -O0 and -O2, with and without PIC:
//!
//! - `BL` and `TAILJMPd`, one machine instruction each, whose first operand is the function: `bl f`, `b f`.
//! - `BL_pred`, if the trampoline is internal (so it is certainly A32 code): the if-converter turns it into
//!   `bleq f`. There is no conditional tail call: LLVM returns on the opposite condition (`bxeq lr`).
//! - `BMOVPCB_CALL`, for a call that does not return, on processors that predict returns (`-mcpu=cortex-a9`):
//!   `mov lr, pc; b f`. The machine stage sees from its size that it is more than one instruction, and leaves
//!   it on its trampoline.
//! - In Thumb functions (`target("thumb")`) the tail call is `tTAILJMPdND`, whose first operand is the
//!   function: the machine stage asks the subtarget, and records none. A whole module of Thumb code
//!   (`-mthumb`) has another triple, for which the pass has no trampolines.
//!
//! A trampoline is A32 code, also for a Thumb function (`-thumb-mode` among its features); linkers turn the
//! Thumb function's BL into a BLX, and send its B.W through a veneer.
//!
//! # Trampolines
//!
//! The text, and the reasons for it, are in `runtime/abi/src/assembler/arm.rs`. The first instruction is a
//! NOP, which is in the manual's list. Calls with a `nest` argument, which R12 carries, stay indirect. So do
//! those in execute-only code (`-mexecute-only`), where a trampoline could not load the word after it.
//!
//! The unwinder's table (`.ARM.exidx`) says that a trampoline's caller has the same state as the trampoline,
//! which is true at each of its instructions. The table names `__aeabi_unwind_cpp_pr0`, which a program
//! without libgcc has to provide.

use core::sync::atomic::AtomicU32;

pub(crate) use super::site::NoBulkRewrite as Rewrite;
use super::site::{Action, Code, Kind};

pub(crate) const SUPPORTED: bool = true;
pub(crate) const ARCHITECTURE: static_call_abi::Architecture = static_call_abi::ARM;
/// One instruction: an aligned access of four bytes is atomic (section A3.5.3).
pub(crate) type Number = u32;
pub(crate) type AtomicNumber = AtomicU32;
pub(crate) const WORD: usize = size_of::<Number>();
/// Linkers put code between calls and targets that are out of reach.
pub(crate) const HAS_VENEERS: bool = true;
/// The offset in a trampoline of the instruction that a jump replaces.
pub(crate) const TRAMPOLINE_JUMP: usize = 0;
/// What the code of a static branch that looks at its key starts with: `mov ip, ip`, which does nothing.
pub(crate) const CHECK: &[u8] = &0xe1a0_c00c_u32.to_le_bytes();

const BL: u32 = 0xeb00_0000;
const B: u32 = 0xea00_0000;
const NOP: u32 = 0xe320_f000;
/// Bits 27 to 24 of BL and of B; the condition is above them.
const OPCODE: u32 = 0x0f00_0000;
/// The condition "always". The next higher number encodes other instructions.
const ALWAYS: u8 = 14;
/// The bit that tells BL from B, within the instruction's upper eight bits. A conditional jump's number has
/// it above the condition.
const LINK: u8 = 1 << 4;

/// Decodes the instruction at `pc`, where `bytes` starts.
#[inline]
pub(crate) fn decode(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    let instruction = u32::from_le_bytes(*bytes.first_chunk()?);
    if !pc.is_multiple_of(WORD) {
        return None;
    }
    if instruction == NOP {
        return Some((Kind::Call, Action::Nop));
    }
    let condition = (instruction >> 28) as u8;
    let links = instruction & OPCODE == BL & OPCODE;
    if !links && instruction & OPCODE != B & OPCODE {
        return None;
    }
    let kind = match condition {
        0..ALWAYS => Kind::ConditionalJump(if links { condition | LINK } else { condition }),
        ALWAYS if links => Kind::Call,
        ALWAYS => Kind::Jump,
        _ => return None,
    };
    // Shifted up and down again: the sign is bit 23.
    let distance = (instruction << 8).cast_signed() >> 6;
    let pc = u32::try_from(pc).ok()?;
    Some((kind, Action::Branch(pc.wrapping_add(8).wrapping_add_signed(distance) as usize)))
}

/// The instruction that does `action`, or None if there is none, or if the target is out of reach.
#[inline]
pub(crate) fn encode(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    let opcode = match (kind, action) {
        (Kind::Call, Action::Nop) => return Some(Code::new(NOP.to_le_bytes())),
        (Kind::Call, Action::Branch(_)) => BL,
        (Kind::Jump, Action::Branch(_)) => B,
        (Kind::ConditionalJump(number), Action::Branch(_)) => {
            let condition = number & !LINK;
            if condition >= ALWAYS {
                return None;
            }
            u32::from(condition) << 28 | OPCODE & if number == condition { B } else { BL }
        }
        _ => return None,
    };
    let Action::Branch(target) = action else { return None };
    // The program counter has 32 bits, and the sum wraps.
    let (pc, target) = (u32::try_from(pc).ok()?, u32::try_from(target).ok()?);
    let distance = target.wrapping_sub(pc.wrapping_add(8)).cast_signed();
    let reaches = (-(1 << 25)..1 << 25).contains(&distance) && distance % 4 == 0 && pc.is_multiple_of(4);
    reaches.then(|| Code::new((opcode | (distance >> 2).cast_unsigned() & 0x00ff_ffff).to_le_bytes()))
}

/// The same for a site that holds `_old`, which makes no difference here.
#[inline]
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, _old: &[u8]) -> Option<Code> {
    encode(kind, pc, action)
}

/// Whether a trampoline starts with an instruction that a branch may replace, which is NOP.
pub(crate) fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    word == NOP.to_le_bytes()
}

/// Has every processor fetch the word at `address` as it is now, once it has synchronized its context.
///
/// User mode may not clean and invalidate caches itself: Linux does it, on all processors (`cacheflush`,
/// arch/arm/ kernel/traps.c, and arch/arm64/kernel/sys_compat.c). Not every C library has a wrapper for it.
///
/// # Safety
///
/// The address is mapped and readable.
#[cfg(all(target_arch = "arm", target_os = "linux"))]
pub(crate) unsafe fn publish(address: usize) {
    // arch/arm/include/uapi/asm/unistd.h
    const CACHEFLUSH: u32 = 0x0f_0002;
    // SAFETY: the caller's promise; the kernel changes only R0, and R7, which the compiler may reserve, is
    // restored.
    unsafe {
        core::arch::asm!(
            "mov {saved}, r7",
            "mov r7, {number}",
            "svc #0",
            "mov r7, {saved}",
            number = in(reg) CACHEFLUSH,
            saved = out(reg) _,
            inout("r0") address => _,
            in("r1") address + WORD,
            in("r2") 0,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;
    use static_call_abi::__static_call_arm as text;

    use super::*;
    use crate::arch::oracle::{self, Case, Output};

    const TRIPLE: &str = "armv7-linux-gnueabihf";
    const CONDITIONS: [&str; 14] =
        ["eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"];
    const PC: usize = 0x4321_0010;

    fn at(distance: i64) -> Action {
        Action::Branch((PC as i64 + 8 + distance) as usize)
    }

    #[test]
    fn forms_are_what_llvm_disassembles() {
        let nop = encode(Kind::Call, PC, Action::Nop).unwrap();
        assert_eq!(decode(PC, nop.as_bytes()), Some((Kind::Call, Action::Nop)));
        let mut cases = Vec::from([Case::new(nop.as_bytes(), "nop".to_string())]);
        for distance in oracle::distances(-(1 << 25), (1 << 25) - 4, 4) {
            let condition = (distance >> 2 & 15) as u8 % 14;
            let name = format!("b{}", CONDITIONS[usize::from(condition)]);
            let linking = format!("bl{}", CONDITIONS[usize::from(condition)]);
            for (kind, name) in [
                (Kind::Call, "bl"),
                (Kind::Jump, "b"),
                (Kind::ConditionalJump(condition), &*name),
                (Kind::ConditionalJump(condition | LINK), &*linking),
            ] {
                let code = encode(kind, PC, at(distance)).unwrap();
                cases.push(Case::new(code.as_bytes(), format!("{name} #{distance}")));
            }
        }
        oracle::check(TRIPLE, &cases);
    }

    #[test]
    fn what_does_not_reach_or_is_no_such_form_is_none() {
        for kind in [Kind::Call, Kind::Jump, Kind::ConditionalJump(0), Kind::ConditionalJump(LINK)] {
            for distance in [-(1 << 25) - 4, 1 << 25, 1, 2, 3] {
                assert_eq!(encode(kind, PC, at(distance)), None, "{kind:?} {distance}");
            }
            assert_eq!(encode(kind, PC, Action::Zero), None);
        }
        for kind in [Kind::Jump, Kind::ConditionalJump(0), Kind::ConditionalJump(LINK)] {
            assert_eq!(encode(kind, PC, Action::Nop), None);
        }
        for condition in [14, 15, 30, 31, 32] {
            assert_eq!(encode(Kind::ConditionalJump(condition), PC, at(0)), None);
        }
        // BLX in both its forms, BX LR, MOV R0, #0, SVC, and a truncated or crooked BL.
        for other in [0xfa00_0000, 0xfb00_0000, 0xe12f_ff1e, 0xe3a0_0000, 0xef00_0000_u32] {
            assert_eq!(decode(PC, &other.to_le_bytes()), None);
        }
        assert_eq!(decode(PC, &[0, 0, 0xeb]), None);
        assert_eq!(decode(PC + 2, &BL.to_le_bytes()), None);
        assert_eq!(encode(Kind::Call, PC + 2, at(2)), None);
    }

    #[test]
    fn branches_jump_to_a_check_after_linking() {
        for text in [text!(branch on), text!(branch off), text!(branch some)] {
            oracle::check_branch((TRIPLE, "", 32), text, decode, CHECK);
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
        // MOV R0, R0 is no NOP in the sense of the list.
        assert!(!is_trampoline_entry(0xe1a0_0000_u32.to_le_bytes()));
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Call),
            Just(Kind::Jump),
            (0..ALWAYS).prop_map(Kind::ConditionalJump),
            (LINK..LINK + ALWAYS).prop_map(Kind::ConditionalJump),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn encoding_then_decoding_gives_the_site_back(
            kind in kinds(),
            pc in (0u32..1 << 30).prop_map(|pc| pc * 4),
            distance in -(1i32 << 23) - 100..(1 << 23) + 100,
        ) {
            let target = pc.wrapping_add(8).wrapping_add_signed(distance * 4) as usize;
            let code = encode(kind, pc as usize, Action::Branch(target));
            prop_assert_eq!(code.is_some(), (-(1 << 23)..1 << 23).contains(&distance));
            if let Some(code) = code {
                prop_assert_eq!(decode(pc as usize, code.as_bytes()), Some((kind, Action::Branch(target))));
            }
        }

        #[test]
        fn decoding_then_encoding_gives_the_bytes_back(
            low: u32,
            // BL, B, either on any condition, and anything.
            opcode in prop_oneof![
                Just(0xebu32),
                Just(0xea),
                (0u32..32).prop_map(|bits| (bits & 15) << 4 | 0xa | bits >> 4),
                0u32..256,
            ],
            pc in 0u32..1 << 30,
        ) {
            let bytes = (opcode << 24 | low >> 8).to_le_bytes();
            let pc = pc as usize * 4;
            if let Some((kind, action)) = decode(pc, &bytes) {
                let code = encode(kind, pc, action).expect("what was decoded reaches");
                prop_assert_eq!(code.as_bytes(), &bytes);
            }
        }
    }
}
