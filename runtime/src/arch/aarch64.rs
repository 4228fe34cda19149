//! AArch64: calls and jumps with a 26-bit displacement in units of instructions.
//!
//! Manual: Arm Architecture Reference Manual for A-profile architecture (DDI 0487, issue J.a), section C6.2:
//! B, BL, NOP.
//!
//! ```text
//!            Call                  Jump
//! Branch(t)  100101 imm26          000101 imm26          imm26 = (t - site) / 4
//! Nop        D503201F              -
//! Zero       -                     -
//! ```
//!
//! The bytes of a form say what kind of site it is, so nothing else has to record the kind. Where there is no
//! form, the site calls the function that does nothing or returns zero. There are no conditional tail calls:
//! B.cond has no relocation that reaches another function, and LLVM makes none.
//!
//! Replacing a form while other processors run it: section B2.2.5, "Concurrent modification and execution of
//! instructions", allows it without synchronization only if the old and the new instruction are both among B,
//! BL, BRK, HVC, ISB, NOP, SMC and SVC. A processor then runs one or the other. RET and MOV are not in the
//! list: replacing one of them could have any effect. So a tail call that is off jumps to a function that
//! returns, and a call that returns zero calls a function that does. (Linux keeps the same list,
//! `aarch64_insn_hotpatch_safe` in arch/arm64/kernel/patching.c.)
//!
//! Code is always little-endian (section B2.6.2, "Instruction endianness").
//!
//! Trampolines start with a NOP: `runtime/abi/src/assembler/aarch64.rs`.

use core::sync::atomic::AtomicU32;

pub(crate) use super::site::NoBulkRewrite as Rewrite;
use super::site::{Action, Code, Kind};

pub(crate) const SUPPORTED: bool = true;
pub(crate) const ARCHITECTURE: static_call_abi::Architecture = static_call_abi::AARCH64;
/// One instruction: an aligned access of four bytes is atomic (section B2.2.1).
pub(crate) type Number = u32;
pub(crate) type AtomicNumber = AtomicU32;
pub(crate) const WORD: usize = size_of::<Number>();
/// Linkers put code between calls and targets that are out of reach.
pub(crate) const HAS_VENEERS: bool = true;
/// The offset in a trampoline of the instruction that a jump replaces.
pub(crate) const TRAMPOLINE_JUMP: usize = 0;
/// What the code of a static branch that looks at its key starts with: `mov x16, x16`, which does nothing.
pub(crate) const CHECK: &[u8] = &0xaa10_03f0_u32.to_le_bytes();

const BL: u32 = 0x9400_0000;
const B: u32 = 0x1400_0000;
const OPCODE: u32 = 0xfc00_0000;
const NOP: u32 = 0xd503_201f;

/// Decodes the instruction at `pc`, where `bytes` starts.
#[inline]
pub(crate) fn decode(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    if !pc.is_multiple_of(WORD) {
        return None;
    }
    let instruction = u32::from_le_bytes(*bytes.first_chunk()?);
    match instruction & OPCODE {
        BL => Some((Kind::Call, go(pc, instruction))),
        B => Some((Kind::Jump, go(pc, instruction))),
        _ if instruction == NOP => Some((Kind::Call, Action::Nop)),
        _ => None,
    }
}

/// The instruction that does `action`, or None if there is none, or if the target is out of reach.
#[inline]
pub(crate) fn encode(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    let instruction = match (kind, action) {
        (Kind::Call, Action::Branch(target)) => BL | displacement(pc, target)?,
        (Kind::Jump, Action::Branch(target)) => B | displacement(pc, target)?,
        (Kind::Call, Action::Nop) => NOP,
        (Kind::Call, Action::Zero)
        | (Kind::Jump, Action::Nop | Action::Zero)
        | (Kind::ConditionalJump(_) | Kind::StaticBranch(_), _) => {
            return None;
        }
    };
    Some(Code::new(instruction.to_le_bytes()))
}

/// The same for a site that holds `_old`, which makes no difference here.
#[inline]
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, _old: &[u8]) -> Option<Code> {
    encode(kind, pc, action)
}

/// Whether a trampoline starts with an instruction that B may replace. Of all that the pass and linkers
/// write, only the NOP is one.
pub(crate) fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    word == NOP.to_le_bytes()
}

/// Has every processor fetch the word at `address` as it is now, once it has synchronized its context.
///
/// Section B2.7.4.2 ("Instruction and data coherency"): the data cache is cleaned to the point of unification
/// and the instruction cache invalidated there, each unless CTR_EL0 says that it need not be (bits IDC and
/// DIC, section D23.2.34). An aligned word lies in one line of each. Linux permits all of this at EL0.
///
/// # Safety
///
/// The address is mapped and readable.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn publish(address: usize) {
    const IDC: u64 = 1 << 28;
    const DIC: u64 = 1 << 29;
    let ctr: u64;
    // SAFETY: the caller's promise; reading this register only tells the properties of the caches.
    unsafe {
        core::arch::asm!("mrs {ctr}, ctr_el0", ctr = out(reg) ctr, options(nomem, nostack, preserves_flags));
        if ctr & IDC == 0 {
            core::arch::asm!("dc cvau, {at}", at = in(reg) address, options(nostack, preserves_flags));
        }
        core::arch::asm!("dsb ish", options(nostack, preserves_flags));
        if ctr & DIC == 0 {
            core::arch::asm!("ic ivau, {at}", at = in(reg) address, options(nostack, preserves_flags));
            core::arch::asm!("dsb ish", options(nostack, preserves_flags));
        }
        // membarrier does it on the other processors.
        core::arch::asm!("isb", options(nostack, preserves_flags));
    }
}

/// Where B and BL go.
fn go(pc: usize, instruction: u32) -> Action {
    // Moves imm26's sign bit to the top of the number, with two zero bits at the bottom.
    let distance = ((instruction << 6) as i32 >> 4) as isize;
    Action::Branch(pc.wrapping_add_signed(distance))
}

/// imm26, if the target is in reach: 128 MiB back, or one instruction less than that ahead.
fn displacement(pc: usize, target: usize) -> Option<u32> {
    const REACH: i64 = 1 << 27;
    let distance = (target as i64).checked_sub(pc as i64)?;
    let fits = (-REACH..REACH).contains(&distance) && distance % 4 == 0 && pc.is_multiple_of(WORD);
    fits.then_some((distance as u32 & 0x0fff_ffff) >> 2)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;
    use static_call_abi::__static_call_aarch64 as text;
    use yaxpeax_arch::{Decoder, U8Reader};
    use yaxpeax_arm::armv8::a64::{InstDecoder, Instruction, Opcode, Operand};

    use super::*;
    use crate::arch::oracle::{self, Case, Output};

    /// The same by LLVM's disassembler.
    #[test]
    fn forms_are_what_llvm_disassembles() {
        let nop = encode(Kind::Call, 0x1000, Action::Nop).unwrap();
        let mut cases = Vec::from([Case::new(nop.as_bytes(), "nop".to_string())]);
        for distance in oracle::distances(LOW, HIGH, 4) {
            for (kind, name) in [(Kind::Call, "bl"), (Kind::Jump, "b")] {
                let pc = 0x5555_4321_9874_usize;
                let action = Action::Branch(pc.wrapping_add_signed(distance as isize));
                let code = encode(kind, pc, action).unwrap();
                assert_eq!(decode(pc, code.as_bytes()), Some((kind, action)));
                cases.push(Case::new(code.as_bytes(), format!("{name} #{distance}")));
            }
        }
        oracle::check("aarch64-linux-gnu", &cases);
    }

    fn disassemble(code: &Code) -> Instruction {
        InstDecoder::default().decode(&mut U8Reader::new(code.as_bytes())).expect("an instruction")
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Call), Just(Kind::Jump)]
    }

    const LOW: i64 = -(1 << 27);
    const HIGH: i64 = (1 << 27) - 4;

    /// Distances over the whole range, with both ends and what lies beyond, in bytes.
    fn distances() -> impl Strategy<Value = i64> {
        prop_oneof![
            4 => (LOW / 4 - 2..=HIGH / 4 + 2).prop_map(|instructions| 4 * instructions),
            1 => LOW - 8..=HIGH + 8,
            1 => prop_oneof![Just(LOW - 4), Just(LOW), Just(HIGH), Just(HIGH + 4), Just(1i64 << 40)],
            1 => -10i64..=10,
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8192, ..ProptestConfig::default() })]

        #[test]
        fn branches_are_what_a_disassembler_sees(
            kind in kinds(),
            pc in 0x1000_0000usize..0x1_0000_0000_0000,
            distance in distances(),
        ) {
            let pc = pc & !3;
            let target = pc.wrapping_add_signed(distance as isize);
            let code = encode(kind, pc, Action::Branch(target));
            let reaches = distance % 4 == 0 && (LOW..=HIGH).contains(&distance);
            prop_assert_eq!(code.is_some(), reaches);
            if let Some(code) = code {
                let instruction = disassemble(&code);
                let opcode = if kind == Kind::Call { Opcode::BL } else { Opcode::B };
                prop_assert_eq!(instruction.opcode, opcode);
                prop_assert_eq!(instruction.operands[0], Operand::PCOffset(distance));
                prop_assert_eq!(decode(pc, code.as_bytes()), Some((kind, Action::Branch(target))));
            }
        }

        #[test]
        fn decoding_then_encoding_gives_the_bytes_back(
            noise: u32,
            opcode in prop_oneof![Just(BL), Just(B), Just(0xffff_ffff)],
            pc in 0x1000_0000usize..0x1_0000_0000_0000,
        ) {
            // Of random instructions few are branches.
            let bytes = (if opcode == u32::MAX { noise } else { noise & !OPCODE | opcode }).to_le_bytes();
            if let Some((kind, action)) = decode(pc, &bytes) {
                let code = encode(kind, pc, action).expect("what was decoded reaches");
                prop_assert_eq!(code.as_bytes(), &bytes);
            } else {
                prop_assert!(opcode == u32::MAX || pc % 4 != 0);
            }
        }
    }

    #[test]
    fn only_instructions_that_may_replace_each_other() {
        let nop = encode(Kind::Call, 0, Action::Nop).unwrap();
        assert_eq!(std::format!("{}", disassemble(&nop)), "nop");
        assert_eq!(decode(0x1000, nop.as_bytes()), Some((Kind::Call, Action::Nop)));
        for (kind, action) in
            [(Kind::Call, Action::Zero), (Kind::Jump, Action::Nop), (Kind::Jump, Action::Zero)]
        {
            assert_eq!(encode(kind, 0, action), None);
        }
        for action in [Action::Nop, Action::Zero, Action::Branch(0x1000)] {
            assert_eq!(encode(Kind::ConditionalJump(0), 0, action), None);
        }
        const RET: u32 = 0xd65f_03c0;
        const MOV_X0_0: u32 = 0xd280_0000;
        const B_EQ: u32 = 0x5400_0040;
        const BTI_C: u32 = 0xd503_245f;
        const YIELD: u32 = 0xd503_203f;
        for other in [RET, MOV_X0_0, B_EQ, BTI_C, YIELD, 0, u32::MAX] {
            assert_eq!(decode(0x1000, &other.to_le_bytes()), None, "{other:#x}");
            assert!(!is_trampoline_entry(other.to_le_bytes()), "{other:#x}");
        }
        assert!(is_trampoline_entry(NOP.to_le_bytes()));
    }

    #[test]
    fn branches_jump_to_a_check_after_linking() {
        for text in [text!(branch on), text!(branch off), text!(branch some)] {
            oracle::check_branch(("aarch64-linux-gnu", "", 64), text, decode, CHECK);
        }
    }

    #[test]
    fn trampolines_start_with_an_entry_after_linking() {
        for code in [oracle::with_key(text!(near), "near"), oracle::with_key(text!(far), "far")] {
            for output in [Output::Shared, Output::Program] {
                let linked = oracle::link_trampoline("aarch64-linux-gnu", "", &code, output);
                assert!(is_trampoline_entry(oracle::entry(&linked)), "{output:?}: {linked:02x?}");
            }
        }
    }

    #[test]
    fn a_truncated_or_crooked_instruction_is_none() {
        assert_eq!(decode(0, &[]), None);
        assert_eq!(decode(0, &[0, 0, 0]), None);
        assert_eq!(decode(2, &BL.to_le_bytes()), None);
        assert_eq!(encode(Kind::Call, 2, Action::Branch(2)), None);
    }
}
