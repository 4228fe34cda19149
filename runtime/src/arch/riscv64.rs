//! RISC-V, 64 bits: JAL, and pairs of AUIPC and JALR, in which a JAL may replace the JALR.
//!
//! Manual: The RISC-V Instruction Set Manual, volume I, chapter "RV32I Base Integer Instruction Set":
//! "Integer Computational Instructions" (AUIPC, NOP), "Unconditional Jumps" (JAL, JALR).
//!
//! ```text
//!            Call                               Jump
//! Branch(t)  jal  ra, t                         jal  x0, t               t within 1 MiB of pc
//! Nop        nop                                ret
//! Zero       li   a0, 0                         -
//!
//!            auipc ra, hi                       auipc t1 (or t2), hi     stays as it is, and behind it
//! Branch(t)  jalr ra, lo(ra)                    jalr x0, lo(t1)          t within 2 KiB of pc + hi
//!            jal  ra, t                         jal  x0, t               t within 1 MiB of pc + 4
//! Nop, Zero  as above                           as above
//! ```
//!
//! - The first instruction of a pair never changes: a thread may be between the two, and every second
//!   instruction needs the same value in the register.
//! - `hi` is what the linker chose to reach the trampoline, so a pair can always go back to it. If both forms
//!   reach a target, JALR is used, so each target has one form. That includes all targets within 2 KiB of the
//!   trampoline.
//! - A linker replaces a pair by one JAL if the trampoline is close enough. That is a valid site. A C.J,
//!   which it may make of a tail call, is not: the two bytes after it are other code.
//! - What stands at a site decides what may replace it: [`encode_over`]. [`encode`] gives the forms of a
//!   single instruction, for the trampolines.
//! - The shared objects of a program lie further apart than 1 MiB: their sites stay on the trampolines, as do
//!   those of larger programs.
//! - Direct jumps need no landing pad (Zicfilp: only indirect ones through other registers than ra, t0 and t2
//!   do).
//!
//! # Replacing a form while other processors run it
//!
//! The base manual promises nothing without FENCE.I (chapter "Zifencei"). RISC-V Profiles, RVA20U64,
//! mandatory extension Ziccif: "Main memory regions with both the cacheability and coherence PMAs must
//! support instruction fetch, and any instruction fetches of naturally aligned power-of-2 sizes up to
//! min(ILEN,XLEN) (i.e., 32 bits for RVA20) are atomic." So an aligned instruction of four bytes may become
//! any other one. Linux' ftrace replaces the second instruction of an AUIPC pair in the same way, for the
//! same reason. The store may cover the four bytes, or the aligned eight around them, the others unchanged:
//! on RV64 either is one memory operation. A processor without Ziccif must not be patched; its platform has
//! to be RVA20 or later, which `riscv_hwprobe` cannot tell.
//!
//! The data FENCE and every hart's FENCE.I are those of `membarrier(PRIVATE_EXPEDITED_SYNC_CORE)`, since
//! Linux 6.10, and before that of the system call `riscv_flush_icache`, for all threads of the process.
//!
//! # What the compiler makes
//!
//! LLVM 22, at -O0 and -O2, with and without PIC: `PseudoCALL` and `PseudoTAIL`, one machine instruction
//! each, whose first operand is the function. The code emitter expands them, after everything else, to `auipc
//! ra, 0; jalr ra, 0(ra)` and `auipc t1, 0; jr t1` with one `R_RISCV_CALL_PLT` on the AUIPC, and
//! `R_RISCV_RELAX`; with Zicfilp the tail call's register is `t2`. A label before the pseudo instruction
//! (pcsections) is the AUIPC's address. There is no conditional tail call: it is branched around.
//!
//! The machine stage aligns the pair to eight bytes (`.p2align 3,,6`; with the compressed instructions that
//! takes two to six bytes of padding), with an `R_RISCV_ALIGN` for linkers that shrink code before it. It
//! writes tail calls as text, with `.option norelax`, so that none becomes a C.J; an option in a separate
//! text would not apply to instructions that the compiler writes. The outliner leaves calls and such text
//! alone.
//!
//! The usual code model of Rust is the medium one, where the entries of the site table are eight bytes long
//! (`Site` in `runtime/abi`).
//!
//! # Trampolines
//!
//! The text, and the reasons for it, are in `runtime/abi/src/assembler/riscv64.rs`. The first instruction is
//! an AUIPC, which a JAL replaces: a thread that has executed it goes on with the load, which has not moved.
//! So is the landing pad that the compiler puts there for Zicfilp; it need not stay, since only direct jumps,
//! and jumps through ra and t2, lead there.

use core::sync::atomic::AtomicU64;

use super::pair::{self, First};
pub(crate) use super::site::NoBulkRewrite as Rewrite;
use super::site::{Action, Code, Kind};

pub(crate) const SUPPORTED: bool = true;
pub(crate) const ARCHITECTURE: static_call_abi::Architecture = static_call_abi::RISCV64;
/// Both instructions of a pair; the first one never changes. An aligned store of eight bytes is one memory
/// operation.
pub(crate) type Number = u64;
pub(crate) type AtomicNumber = AtomicU64;
pub(crate) const WORD: usize = size_of::<Number>();
/// Calls reach all of an image: linkers put nothing between them and their targets.
pub(crate) const HAS_VENEERS: bool = false;
/// The offset in a trampoline of the instruction that a jump replaces.
pub(crate) const TRAMPOLINE_JUMP: usize = 0;
/// What the code of a static branch that looks at its key starts with: `mv t1, t1`, which does nothing.
pub(crate) const CHECK: &[u8] = &0x0003_0313_u32.to_le_bytes();

const AUIPC: u32 = 0x17;
const JAL: u32 = 0x6f;
const JALR: u32 = 0x67;
/// `addi x0, x0, 0`
const NOP: u32 = 0x0000_0013;
/// `addi a0, x0, 0`
const LI_A0_0: u32 = 0x0000_0513;
/// `jalr x0, 0(ra)`
const RET: u32 = 0x0000_8067;

const ZERO: u32 = 0;
const RA: u32 = 1;
const T1: u32 = 6;
const T2: u32 = 7;

/// The first instruction of a pair.
#[derive(Clone, Copy)]
struct Auipc {
    kind: Kind,
    register: u32,
    /// The value of its register.
    base: usize,
}

impl First for Auipc {
    fn is_first(instruction: u32) -> bool {
        instruction & 0x7f == AUIPC
    }

    fn decode(pc: usize, word: u32) -> Option<Self> {
        let register = word >> 7 & 31;
        let kind = match register {
            RA => Kind::Call,
            T1 | T2 => Kind::Jump,
            _ => return None,
        };
        let base = pc.wrapping_add_signed((word & 0xffff_f000).cast_signed() as isize);
        (word & 0x7f == AUIPC).then_some(Self { kind, register, base })
    }

    /// A JALR to `target`, if it is in reach.
    fn through_register(self, target: usize) -> Option<u32> {
        let low = fits(distance(self.base, target), 12)?;
        let low = low.is_multiple_of(2).then_some(low)?;
        Some(low << 20 | self.register << 15 | link(self.kind)? << 7 | JALR)
    }

    /// The target of a JALR behind it.
    fn target(self, second: u32) -> Option<usize> {
        let target = self.base.wrapping_add_signed((second.cast_signed() >> 20) as isize);
        (self.through_register(target) == Some(second)).then_some(target)
    }

    fn kind(self) -> Kind {
        self.kind
    }

    fn decode_single(pc: usize, word: u32) -> Option<(Kind, Action)> {
        match word {
            NOP => return Some((Kind::Call, Action::Nop)),
            LI_A0_0 => return Some((Kind::Call, Action::Zero)),
            RET => return Some((Kind::Jump, Action::Nop)),
            _ => {}
        }
        let kind = match word & 0xfff {
            low if low == ZERO << 7 | JAL => Kind::Jump,
            low if low == RA << 7 | JAL => Kind::Call,
            _ => return None,
        };
        // imm[20|10:1|11|19:12], from bit 31 to bit 12.
        let sign = (word.cast_signed() >> 31).cast_unsigned() << 20;
        let immediate = sign | word & 0xf_f000 | word >> 9 & 0x800 | word >> 20 & 0x7fe;
        Some((kind, Action::Branch(pc.wrapping_add_signed(immediate.cast_signed() as isize))))
    }

    fn encode_single(kind: Kind, pc: usize, action: Action) -> Option<u32> {
        match (kind, action) {
            (Kind::Call, Action::Nop) => Some(NOP),
            (Kind::Call, Action::Zero) => Some(LI_A0_0),
            (Kind::Jump, Action::Nop) => Some(RET),
            (_, Action::Branch(target)) => {
                let link = link(kind)?;
                let bits = fits(distance(pc, target), 21)?;
                let bits = bits.is_multiple_of(2).then_some(bits)?;
                let low = (bits & 0x7fe) << 20 | (bits & 0x800) << 9;
                let immediate = bits >> 20 << 31 | low | bits & 0xf_f000;
                Some(immediate | link << 7 | JAL)
            }
            _ => None,
        }
    }
}

/// Decodes the site at `pc`, where `bytes` starts.
pub(crate) fn decode(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    pair::decode::<Auipc>(pc, bytes)
}

/// The instruction of one word that does `action`, or None if there is none, or if the target is out of
/// reach.
pub(crate) fn encode(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    pair::encode::<Auipc>(kind, pc, action)
}

/// The code that does `action` at a site that holds `old` now: the whole site, with the first of two words
/// unchanged.
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, old: &[u8]) -> Option<Code> {
    pair::encode_over::<Auipc>(kind, pc, action, old)
}

/// Whether a trampoline starts with an instruction that a JAL may replace while threads are just leaving it:
/// `auipc t1, hi`, or the landing pad that the compiler puts before it (Zicfilp: `lpad`, which is `auipc
/// x0`).
pub(crate) fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    let [a, b, c, d, ..] = word;
    [T1 << 7 | AUIPC, ZERO << 7 | AUIPC].contains(&(u32::from_le_bytes([a, b, c, d]) & 0xfff))
}

/// Nothing to do for one word: FENCE.I, which every thread is asked to run when an update is over, is for all
/// of memory.
///
/// # Safety
///
/// None is needed.
pub(crate) unsafe fn publish(_address: usize) {}

/// The register for the return address.
fn link(kind: Kind) -> Option<u32> {
    match kind {
        Kind::Call => Some(RA),
        Kind::Jump => Some(ZERO),
        Kind::ConditionalJump(_) | Kind::StaticBranch(_) => None,
    }
}

fn distance(from: usize, to: usize) -> i64 {
    to.wrapping_sub(from).cast_signed() as i64
}

/// The lowest `bits` bits of a number, if they hold it with its sign.
fn fits(number: i64, bits: u32) -> Option<u32> {
    let half = 1i64 << (bits - 1);
    (-half..half).contains(&number).then_some((number & (2 * half - 1)) as u32)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;
    use static_call_abi::__static_call_riscv64 as text;

    use super::*;
    use crate::arch::oracle::{self, Case, Output};
    use crate::arch::pair::word;

    const TRIPLE: &str = "riscv64-linux-gnu";
    const PC: usize = 0x6543_2108;

    fn auipc(register: u32, high: u32) -> [u8; 8] {
        let [a, b, c, d] = (high << 12 | register << 7 | AUIPC).to_le_bytes();
        [a, b, c, d, 0, 0, 0, 0]
    }

    fn go(from: usize, distance: i64) -> Action {
        Action::Branch(from.wrapping_add_signed(distance as isize))
    }

    /// The second word that replaces a pair's, whose first one stays.
    fn second(kind: Kind, action: Action, old: [u8; 8]) -> [u8; 4] {
        let code = encode_over(kind, PC, action, &old).unwrap_or_else(|| panic!("{action:x?}"));
        assert_eq!(code.as_bytes()[..4], old[..4]);
        assert_eq!(decode(PC, code.as_bytes()), Some((kind, action)));
        code.as_bytes()[4..].try_into().unwrap()
    }

    #[test]
    fn forms_are_what_llvm_disassembles() {
        // Far off, so that the target within reach of JAL is not within that of JALR.
        let high = 0x7_0000;
        let base = PC + (high << 12);
        let call = auipc(RA, high as u32);
        let mut cases = Vec::from([
            Case::new(&call[..4], "auipc ra, 458752".to_string()),
            Case::new(&second(Kind::Call, Action::Nop, call), "nop".to_string()),
            Case::new(&second(Kind::Call, Action::Zero, call), "li a0, 0".to_string()),
        ]);
        for (register, name) in [(T1, "t1"), (T2, "t2")] {
            let jump = auipc(register, high as u32);
            cases.push(Case::new(&jump[..4], format!("auipc {name}, 458752")));
            cases.push(Case::new(&second(Kind::Jump, Action::Nop, jump), "ret".to_string()));
            for distance in oracle::distances(-2048, 2046, 2) {
                let text = match distance {
                    0 => format!("jr {name}"),
                    _ => format!("jr {distance}({name})"),
                };
                cases.push(Case::new(&second(Kind::Jump, go(base, distance), jump), text));
            }
            for distance in oracle::distances(-(1 << 20), (1 << 20) - 2, 2) {
                let bytes = second(Kind::Jump, go(PC + 4, distance), jump);
                cases.push(Case::new(&bytes, format!("j {distance}")));
            }
        }
        for distance in oracle::distances(-2048, 2046, 2) {
            let text = match distance {
                0 => "jalr ra".to_string(),
                _ => format!("jalr {distance}(ra)"),
            };
            cases.push(Case::new(&second(Kind::Call, go(base, distance), call), text));
        }
        for distance in oracle::distances(-(1 << 20), (1 << 20) - 2, 2) {
            let bytes = second(Kind::Call, go(PC + 4, distance), call);
            cases.push(Case::new(&bytes, format!("jal {distance}")));
            for (kind, name) in [(Kind::Call, "jal"), (Kind::Jump, "j")] {
                let code = encode(kind, PC, go(PC, distance)).unwrap();
                assert_eq!(decode(PC, code.as_bytes()), Some((kind, go(PC, distance))));
                cases.push(Case::new(code.as_bytes(), format!("{name} {distance}")));
            }
        }
        oracle::check(TRIPLE, &cases);
    }

    #[test]
    fn an_auipc_reaches_both_ways() {
        for (high, base) in [(0, 0), (1, 0x1000), (0x7_ffff, 0x7fff_f000), (0x8_0000, -0x8000_0000i64)] {
            let old = auipc(RA, high);
            let action = go(PC, base + 16);
            let [a, b, c, d] = (16 << 20 | RA << 15 | RA << 7 | JALR).to_le_bytes();
            assert_eq!(second(Kind::Call, action, old), [a, b, c, d], "{high:#x}");
        }
    }

    #[test]
    fn what_does_not_reach_or_is_no_such_form_is_none() {
        let base = PC + 0x7000_0000;
        for (kind, register) in [(Kind::Call, RA), (Kind::Jump, T1)] {
            let old = auipc(register, 0x7_0000);
            for distance in [-2050, -2049, 2047, 2048, 1, -1] {
                assert_eq!(encode_over(kind, PC, go(base, distance), &old), None, "{distance}");
            }
            for distance in [-(1 << 20) - 2, 1 << 20, 1, -1] {
                assert_eq!(encode_over(kind, PC, go(PC + 4, distance), &old), None, "{distance}");
                assert_eq!(encode(kind, PC, go(PC, distance)), None, "{distance}");
            }
        }
        assert_eq!(encode_over(Kind::Jump, PC, Action::Zero, &auipc(T1, 0)), None);
        assert_eq!(encode(Kind::ConditionalJump(0), PC, Action::Branch(PC)), None);
        // A pair of one kind does not become one of the other.
        assert_eq!(encode_over(Kind::Jump, PC, Action::Branch(PC), &auipc(RA, 0)), None);
        assert_eq!(encode_over(Kind::Call, PC, Action::Nop, &auipc(T1, 0)), None);
        // Another register; the second word's links elsewhere, or half of a pair.
        let mut other = auipc(5, 0);
        assert_eq!(decode(PC, &other), None);
        other = auipc(T1, 0);
        other[4..].copy_from_slice(&(T2 << 15 | JALR).to_le_bytes());
        assert_eq!(decode(PC, &other), None);
        other[4..].copy_from_slice(&NOP.to_le_bytes());
        assert_eq!(decode(PC, &other), None);
        assert_eq!(decode(PC, &auipc(RA, 0)[..4]), None);
        // A JAL to where the JALR reaches.
        let mut other = auipc(RA, 0);
        other[4..].copy_from_slice(&(RA << 7 | JAL).to_le_bytes());
        assert_eq!(decode(PC, &other), None);
    }

    #[test]
    fn branches_jump_to_a_check_after_linking() {
        for text in [text!(branch on), text!(branch off), text!(branch some)] {
            oracle::check_branch((TRIPLE, "+c,+relax", 64), text, decode, CHECK);
        }
    }

    #[test]
    fn trampolines_start_with_an_entry_after_linking() {
        for code in [oracle::with_key(text!(near), "near"), oracle::with_key(text!(far), "far")] {
            for output in [Output::Shared, Output::Program] {
                let linked = oracle::link_trampoline(TRIPLE, "+c,+relax", &code, output);
                assert!(is_trampoline_entry(oracle::entry(&linked)), "{output:?}: {linked:02x?}");
            }
        }
        assert!(is_trampoline_entry(auipc(ZERO, 0)));
        assert!(!is_trampoline_entry(auipc(RA, 0)));
        assert!(!is_trampoline_entry([0x13, 0, 0, 0, 0, 0, 0, 0]));
    }

    fn sites() -> impl Strategy<Value = (Kind, u32)> {
        prop_oneof![Just((Kind::Call, RA)), Just((Kind::Jump, T1)), Just((Kind::Jump, T2))]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8192, ..ProptestConfig::default() })]

        #[test]
        fn encoding_then_decoding_gives_the_site_back(
            (kind, register) in sites(),
            pc in (0x1_0000usize..1 << 28).prop_map(|pc| pc * 8),
            high in prop_oneof![0u32..1 << 20, 0u32..0x200, 0xf_fe00u32..1 << 20],
            distance in -0x11_0000i64..0x11_0000,
            from_base: bool,
        ) {
            let old = auipc(register, high);
            let base = Auipc::decode(pc, high << 12 | register << 7 | AUIPC).unwrap().base;
            let from = if from_base { base } else { pc + 4 };
            let Action::Branch(target) = go(from, distance) else { unreachable!() };
            let (near_base, near) =
                (target.wrapping_sub(base) as i64, target.wrapping_sub(pc + 4) as i64);
            let reaches = near_base % 2 == 0 && ((-2048..2048).contains(&near_base)
                || (-(1 << 20)..1 << 20).contains(&near));
            let code = encode_over(kind, pc, Action::Branch(target), &old);
            prop_assert_eq!(code.is_some(), reaches);
            if let Some(code) = code {
                prop_assert_eq!(&code.as_bytes()[..4], &old[..4]);
                prop_assert_eq!(decode(pc, code.as_bytes()), Some((kind, Action::Branch(target))));
            }
        }

        #[test]
        fn decoding_then_encoding_gives_the_bytes_back(
            mut bytes: [u8; 8],
            first in prop_oneof![Just(RA), Just(T1), Just(T2)],
            opcode in prop_oneof![Just(JAL), Just(RA << 7 | JAL), Just(RA << 15 | RA << 7 | JALR),
                Just(T1 << 15 | JALR), Just(T2 << 15 | JALR), Just(NOP), Just(LI_A0_0), Just(RET)],
            is_single: bool,
            is_pair: bool,
            pc in (0x1_0000usize..1 << 28).prop_map(|pc| pc * 4),
        ) {
            let at = if is_single { 0 } else { 4 };
            if is_pair {
                bytes[0] = (first << 7 | AUIPC) as u8;
                bytes[1] = bytes[1] & 0xf0 | (first >> 1) as u8;
            }
            let immediate = word(&bytes, at).unwrap() & 0xfff0_0000 | opcode;
            if is_single || is_pair {
                bytes[at..at + 4].copy_from_slice(&immediate.to_le_bytes());
            }
            if let Some((kind, action)) = decode(pc, &bytes) {
                let code = encode_over(kind, pc, action, &bytes).expect("what was decoded reaches");
                prop_assert_eq!(code.as_bytes(), &bytes[..code.as_bytes().len()]);
            }
        }
    }
}
