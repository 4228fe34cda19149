//! LoongArch, 64 bits: BL and B, and pairs of PCADDU18I and JIRL, in which a BL or B may replace the JIRL.
//!
//! Manual: LoongArch Reference Manual, volume 1: Basic Architecture (v1.10), section 2.2.1 (PCADDU18I, ANDI,
//! OR) and 2.2.5.3 to 2.2.5.4 (B, BL, JIRL).
//!
//! ```text
//!            Call                  Jump
//! Branch(t)  bl t                  b t                        t within 128 MiB of pc
//! Nop        andi $zero, $zero, 0  jirl $zero, $ra, 0 (ret)
//! Zero       or $a0, $zero, $zero  -
//!
//!            pcaddu18i $ra, hi     pcaddu18i $t8, hi          stays as it is, and behind it
//! Branch(t)  jirl $ra, $ra, lo     jirl $zero, $t8, lo        t within 128 KiB of pc + hi * 2^18
//!            bl t                  b t                        t within 128 MiB of pc + 4
//! Nop, Zero  as above              as above
//! ```
//!
//! The first is the "normal" code model, the second the "medium" one. `hi` is what the linker chose to reach
//! the trampoline, so a pair can always go back to it. If both forms reach a target, JIRL is used, so each
//! target has one form. [`encode`] gives the forms of a single word; what stands at a site decides what may
//! replace it: [`encode_over`]. A pair that a linker relaxed is a BL or a B, which works as well.
//!
//! # Replacing a form while other processors run it
//!
//! The manual has no rule for it. Section 2.2.8.2 (IBAR) orders the stores and the instruction fetches of one
//! core; caches are kept coherent by the hardware. This relies on practice: Linux replaces an aligned
//! instruction word by one store (`larch_insn_patch_text`), under jump labels and ftrace. Instructions have a
//! fixed size of four bytes and are fetched as such. A pair is replaced by one access of eight bytes, which
//! changes its second instruction alone.
//!
//! The other cores have to execute an IBAR or its equivalent, which `membarrier(PRIVATE_EXPEDITED_SYNC_CORE)`
//! is for. **No Linux for LoongArch that was checked has it** (its `ARCH_HAS_MEMBARRIER_SYNC_CORE` is
//! "TODO"). If it is refused, nothing is patched: every call goes through its key. Emulators pass the call to
//! the host's Linux.
//!
//! # What the compiler makes
//!
//! LLVM 22's default, for `llc`, clang and rustc, is the medium code model: `PseudoCALL_MEDIUM` and
//! `PseudoTAIL_MEDIUM`, one machine instruction each, whose first operand is the function, at -O0 and -O2,
//! with and without PIC; they become `pcaddu18i $ra, 0; jirl $ra, $ra, 0` and `pcaddu18i $t8, 0; jr $t8` with
//! one `R_LARCH_CALL36` and `R_LARCH_RELAX`. That happens after the machine stage ("LoongArch pseudo
//! instruction expansion pass", among the last before the AsmPrinter), and the two new instructions do not
//! take the pcsections with them. So the machine stage writes an empty piece of assembler before the call,
//! which keeps them. In the normal code model (`-mcmodel=normal`, "small" in LLVM) they are `BL` and
//! `PseudoB_TAIL`: `bl f`, `b f` with `R_LARCH_B26`. There is no conditional tail call. The large code model
//! ("extreme") calls through registers: calls load their keys.
//!
//! A pair is aligned to eight bytes (`.p2align 3`, with an `R_LARCH_ALIGN` where the linker relaxes); a
//! single word is always aligned. A pair that is not aligned stays on its trampoline.
//!
//! # Trampolines
//!
//! The text, and the reasons for it, are in `runtime/abi/src/assembler/loongarch64.rs`. The first instruction
//! is a PCALAU12I, which a B replaces: a thread that has executed it goes on with the load, which has not
//! moved.

use core::sync::atomic::AtomicU64;

use super::pair::{self, First};
pub(crate) use super::site::NoBulkRewrite as Rewrite;
use super::site::{Action, Code, Kind};

pub(crate) const SUPPORTED: bool = true;
pub(crate) const ARCHITECTURE: static_call_abi::Architecture = static_call_abi::LOONGARCH64;
/// Both instructions of a pair; the first one never changes.
pub(crate) type Number = u64;
pub(crate) type AtomicNumber = AtomicU64;
pub(crate) const WORD: usize = size_of::<Number>();
/// Linkers add no veneers: a pair reaches all of an image, and they refuse a single BL or B that does not
/// reach its target.
pub(crate) const HAS_VENEERS: bool = false;
/// The offset in a trampoline of the instruction that a jump replaces.
pub(crate) const TRAMPOLINE_JUMP: usize = 0;
/// There are no static branches: Linux would refuse to patch them, and a load is better than a jump to one.
pub(crate) const CHECK: &[u8] = &[];

const BL: u32 = 0x5400_0000;
const B: u32 = 0x5000_0000;
const JIRL: u32 = 0x4c00_0000;
const PCADDU18I: u32 = 0x1e00_0000;
const PCALAU12I: u32 = 0x1a00_0000;
/// `andi $zero, $zero, 0`
const NOP: u32 = 0x0340_0000;
/// `or $a0, $zero, $zero`
const MOVE_A0_ZERO: u32 = 0x0015_0004;
/// `jirl $zero, $ra, 0`
const RET: u32 = JIRL | RA << 5;

const ZERO: u32 = 0;
const RA: u32 = 1;
const T8: u32 = 20;

/// The first word of a pair.
#[derive(Clone, Copy)]
struct Pcaddu18i {
    kind: Kind,
    register: u32,
    /// The value of its register.
    base: usize,
}

impl First for Pcaddu18i {
    fn is_first(instruction: u32) -> bool {
        instruction & 0xfe00_0000 == PCADDU18I
    }

    fn decode(pc: usize, word: u32) -> Option<Self> {
        let register = word & 31;
        let kind = match register {
            RA => Kind::Call,
            T8 => Kind::Jump,
            _ => return None,
        };
        // Shifted up and down again: the sign is bit 24.
        let high = i64::from((word << 7).cast_signed() >> 12) << 18;
        let base = pc.wrapping_add_signed(high as isize);
        (word & 0xfe00_0000 == PCADDU18I).then_some(Self { kind, register, base })
    }

    /// A JIRL to `target`, if it is in reach.
    fn through_register(self, target: usize) -> Option<u32> {
        let low = words(self.base, target, 16)?;
        Some(JIRL | low << 10 | self.register << 5 | if self.kind == Kind::Call { RA } else { ZERO })
    }

    /// The target of a JIRL behind it.
    fn target(self, second: u32) -> Option<usize> {
        let low = ((second << 6).cast_signed() >> 16) * 4;
        let target = self.base.wrapping_add_signed(low as isize);
        (self.through_register(target) == Some(second)).then_some(target)
    }

    fn kind(self) -> Kind {
        self.kind
    }

    fn decode_single(pc: usize, word: u32) -> Option<(Kind, Action)> {
        match word {
            NOP => return Some((Kind::Call, Action::Nop)),
            MOVE_A0_ZERO => return Some((Kind::Call, Action::Zero)),
            RET => return Some((Kind::Jump, Action::Nop)),
            _ => {}
        }
        let kind = match word & 0xfc00_0000 {
            BL => Kind::Call,
            B => Kind::Jump,
            _ => return None,
        };
        // The upper ten bits come last. Shifted up and down again: the sign is bit 9 of the word.
        let distance = ((word << 22 | word >> 4 & 0x003f_ffc0).cast_signed() >> 6) * 4;
        Some((kind, Action::Branch(pc.wrapping_add_signed(distance as isize))))
    }

    fn encode_single(kind: Kind, pc: usize, action: Action) -> Option<u32> {
        let opcode = match (kind, action) {
            (Kind::Call, Action::Nop) => return Some(NOP),
            (Kind::Call, Action::Zero) => return Some(MOVE_A0_ZERO),
            (Kind::Jump, Action::Nop) => return Some(RET),
            (Kind::Call, Action::Branch(_)) => BL,
            (Kind::Jump, Action::Branch(_)) => B,
            _ => return None,
        };
        let Action::Branch(target) = action else { return None };
        let words = words(pc, target, 26)?;
        Some(opcode | (words & 0xffff) << 10 | words >> 16)
    }
}

/// Decodes the site at `pc`, where `bytes` starts.
pub(crate) fn decode(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    pair::decode::<Pcaddu18i>(pc, bytes)
}

/// The instruction of one word that does `action`, or None if there is none, or if the target is out of
/// reach.
pub(crate) fn encode(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    pair::encode::<Pcaddu18i>(kind, pc, action)
}

/// The code that does `action` at a site that holds `old` now: the whole site, with the first of two words
/// unchanged.
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, old: &[u8]) -> Option<Code> {
    pair::encode_over::<Pcaddu18i>(kind, pc, action, old)
}

/// Whether a trampoline starts with an instruction that a B may replace while threads are just leaving it:
/// `pcalau12i $t8, hi`.
pub(crate) fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    let [a, b, c, d, ..] = word;
    u32::from_le_bytes([a, b, c, d]) & 0xfe00_001f == PCALAU12I | T8
}

/// Has this processor fetch what it has stored; the hardware keeps its caches coherent (section 2.2.8.2).
///
/// # Safety
///
/// None is needed.
#[cfg(target_arch = "loongarch64")]
pub(crate) unsafe fn publish(_address: usize) {
    // SAFETY: it only orders what others do.
    unsafe { core::arch::asm!("ibar 0", options(nostack, preserves_flags)) };
}

/// The distance in instructions, if `bits` bits hold it with its sign.
fn words(from: usize, to: usize, bits: u32) -> Option<u32> {
    let distance = to.wrapping_sub(from).cast_signed() as i64;
    let (words, half) = (distance / 4, 1i64 << (bits - 1));
    let fits = distance % 4 == 0 && (-half..half).contains(&words);
    fits.then_some((words & (2 * half - 1)) as u32)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;
    use static_call_abi::__static_call_loongarch64 as text;

    use super::*;
    use crate::arch::oracle::{self, Case, Output};

    const TRIPLE: &str = "loongarch64-linux-gnu";
    const PC: usize = 0x1_6543_2108;

    fn pcaddu18i(register: u32, high: u32) -> [u8; 8] {
        let [a, b, c, d] = (PCADDU18I | high << 5 | register).to_le_bytes();
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
        // Far off, so that the target within reach of B is not within that of JIRL.
        let high = 0x7_0000;
        let base = PC + (high << 18);
        let (call, jump) = (pcaddu18i(RA, high as u32), pcaddu18i(T8, high as u32));
        let mut cases = Vec::from([
            Case::new(&call[..4], "pcaddu18i $ra, 458752".to_string()),
            Case::new(&jump[..4], "pcaddu18i $t8, 458752".to_string()),
            Case::new(&second(Kind::Call, Action::Nop, call), "nop".to_string()),
            Case::new(&second(Kind::Call, Action::Zero, call), "move $a0, $zero".to_string()),
            Case::new(&second(Kind::Jump, Action::Nop, jump), "ret".to_string()),
        ]);
        let reach = 1 << 27;
        for distance in oracle::distances(-reach, reach - 4, 4) {
            for (kind, name, old) in [(Kind::Call, "bl", call), (Kind::Jump, "b", jump)] {
                let text = format!("{name} {distance}");
                cases.push(Case::new(&second(kind, go(PC + 4, distance), old), text.clone()));
                let code = encode(kind, PC, go(PC, distance)).unwrap();
                assert_eq!(decode(PC, code.as_bytes()), Some((kind, go(PC, distance))));
                cases.push(Case::new(code.as_bytes(), text));
            }
        }
        for distance in oracle::distances(-(1 << 17), (1 << 17) - 4, 4) {
            let call = second(Kind::Call, go(base, distance), call);
            cases.push(Case::new(&call, format!("jirl $ra, $ra, {distance}")));
            let text = match distance {
                0 => "jr $t8".to_string(),
                _ => format!("jirl $zero, $t8, {distance}"),
            };
            cases.push(Case::new(&second(Kind::Jump, go(base, distance), jump), text));
        }
        oracle::check(TRIPLE, &cases);
    }

    #[test]
    fn a_pcaddu18i_reaches_both_ways() {
        for (high, base) in [(0, 0), (1, 1 << 18), (0x7_ffff, 0x7_ffff << 18), (0x8_0000, -(1i64 << 37))] {
            let old = pcaddu18i(RA, high);
            let expected = JIRL | 4 << 10 | RA << 5 | RA;
            assert_eq!(second(Kind::Call, go(PC, base + 16), old), expected.to_le_bytes(), "{high:#x}");
        }
    }

    #[test]
    fn what_does_not_reach_or_is_no_such_form_is_none() {
        let base = PC + (0x7_0000 << 18);
        for (kind, register) in [(Kind::Call, RA), (Kind::Jump, T8)] {
            let old = pcaddu18i(register, 0x7_0000);
            for distance in [-(1 << 17) - 4, 1 << 17, 1, 2, -2] {
                assert_eq!(encode_over(kind, PC, go(base, distance), &old), None, "{distance}");
            }
            for distance in [-(1 << 27) - 4, 1 << 27, 1, 2, -2] {
                assert_eq!(encode_over(kind, PC, go(PC + 4, distance), &old), None, "{distance}");
                assert_eq!(encode(kind, PC, go(PC, distance)), None, "{distance}");
            }
        }
        assert_eq!(encode_over(Kind::Jump, PC, Action::Zero, &pcaddu18i(T8, 0)), None);
        assert_eq!(encode(Kind::ConditionalJump(0), PC, Action::Branch(PC)), None);
        // A pair of one kind does not become one of the other.
        assert_eq!(encode_over(Kind::Jump, PC, Action::Branch(PC), &pcaddu18i(RA, 0)), None);
        assert_eq!(encode_over(Kind::Call, PC, Action::Nop, &pcaddu18i(T8, 0)), None);
        // Another register, a second word of the other kind, half of a pair.
        assert_eq!(decode(PC, &pcaddu18i(5, 0)), None);
        let mut other = pcaddu18i(T8, 0);
        other[4..].copy_from_slice(&NOP.to_le_bytes());
        assert_eq!(decode(PC, &other), None);
        assert_eq!(decode(PC, &pcaddu18i(RA, 0)[..4]), None);
        // Between two instructions.
        assert_eq!(decode(PC + 4, &NOP.to_le_bytes()), Some((Kind::Call, Action::Nop)));
        assert_eq!(decode(PC + 2, &NOP.to_le_bytes()), None);
        // A BL to where the JIRL reaches.
        let mut other = pcaddu18i(RA, 0);
        other[4..].copy_from_slice(&BL.to_le_bytes());
        assert_eq!(decode(PC, &other), None);
    }

    #[test]
    fn trampolines_start_with_an_entry_after_linking() {
        for code in [oracle::with_key(text!(near), "near"), oracle::with_key(text!(far), "far")] {
            for output in [Output::Shared, Output::Program] {
                let linked = oracle::link_trampoline(TRIPLE, "+d,+relax", &code, output);
                assert!(is_trampoline_entry(oracle::entry(&linked)), "{output:?}: {linked:02x?}");
            }
        }
        assert!(!is_trampoline_entry(pcaddu18i(T8, 0)));
        let other_register = PCALAU12I | RA;
        let [a, b, c, d] = other_register.to_le_bytes();
        assert!(!is_trampoline_entry([a, b, c, d, 0, 0, 0, 0]));
    }

    fn sites() -> impl Strategy<Value = (Kind, u32)> {
        prop_oneof![Just((Kind::Call, RA)), Just((Kind::Jump, T8))]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8192, ..ProptestConfig::default() })]

        #[test]
        fn encoding_then_decoding_gives_the_site_back(
            (kind, register) in sites(),
            pc in (0x1_0000usize..1 << 28).prop_map(|pc| pc * 8),
            high in prop_oneof![0u32..1 << 20, 0u32..0x400, 0xf_fc00u32..1 << 20],
            distance in prop_oneof![-0x880_0000i64..0x880_0000, -0x3_0000i64..0x3_0000],
            from_base: bool,
        ) {
            let old = pcaddu18i(register, high);
            let base = Pcaddu18i::decode(pc, PCADDU18I | high << 5 | register).unwrap().base;
            let from = if from_base { base } else { pc + 4 };
            let Action::Branch(target) = go(from, distance) else { unreachable!() };
            let (near_base, near) =
                (target.wrapping_sub(base) as i64, target.wrapping_sub(pc + 4) as i64);
            let reaches = near_base % 4 == 0 && (-(1 << 17)..1 << 17).contains(&near_base)
                || near % 4 == 0 && (-(1 << 27)..1 << 27).contains(&near);
            let code = encode_over(kind, pc, Action::Branch(target), &old);
            prop_assert_eq!(code.is_some(), reaches);
            if let Some(code) = code {
                prop_assert_eq!(&code.as_bytes()[..4], &old[..4]);
                prop_assert_eq!(decode(pc, code.as_bytes()), Some((kind, Action::Branch(target))));
            }
        }

        #[test]
        fn decoding_then_encoding_gives_the_bytes_back(
            low: u32,
            high: u32,
            first in prop_oneof![Just(RA), Just(T8)],
            opcode in prop_oneof![Just(B), Just(BL), Just(JIRL)],
            fixed in prop_oneof![4 => Just(None), 1 => Just(Some(NOP)), 1 => Just(Some(RET)),
                1 => Just(Some(MOVE_A0_ZERO))],
            is_pair: bool,
            pc in (0x1_0000usize..1 << 28).prop_map(|pc| pc * 4),
        ) {
            let mut second = fixed.unwrap_or(opcode | low & 0x03ff_ffff);
            if opcode == JIRL && fixed.is_none() {
                second = second & !0x3ff | first << 5 | if first == RA { RA } else { ZERO };
            }
            let pair = PCADDU18I | (high & 0xf_ffff) << 5 | first;
            let words = if is_pair { [pair, second] } else { [second, high] };
            let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
            if let Some((kind, action)) = decode(pc, &bytes) {
                let code = encode_over(kind, pc, action, &bytes).expect("what was decoded reaches");
                prop_assert_eq!(code.as_bytes(), &bytes[..code.as_bytes().len()]);
            }
        }
    }
}
