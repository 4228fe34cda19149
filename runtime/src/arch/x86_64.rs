//! x86-64: calls and jumps with a 32-bit displacement.
//!
//! Manuals: AMD64 Architecture Programmer's Manual, volume 3 (24594, rev. 3.36): CALL (Near), JMP
//! (Near), Jcc, MOV, NOP, RET (Near); the same pages in Intel's Software Developer's Manual, volume 2.
//!
//! ```text
//!            Call                Jump                 ConditionalJump
//! Branch(t)  E8 rel32            E9 rel32             0F 8x rel32       rel32 = t - end
//! Nop        0F 1F 44 00 00      C3 CC CC CC CC       -
//! Zero       B8 00 00 00 00      -                    -
//! ```
//!
//! The bytes of a form say what kind of site it is, so nothing else has to record the kind. Where there is no
//! form, the site calls the function that does nothing or returns zero.
//!
//! Replacing a form while other processors run it: AMD64 APM volume 2 (24593, rev. 3.42), section 7.6.1,
//! allows it "via a single store ... contained entirely within a naturally-aligned quadword". So every form
//! is one instruction (the INT3s after a RET are never reached): no thread can stop inside it and continue
//! with the second half of another one.
//!
//! # The first byte
//!
//! Linux' uprobes (`arch/x86/kernel/uprobes.c`) put an INT3 on an instruction's first byte, and when the
//! probe is removed, they put back that byte *of the file*. For a thread that hits the INT3 they do what the
//! file's instruction does. The opcode of a form may differ from the file's. So a byte that never changes
//! precedes what changes:
//!
//! ```text
//! 67 E8 rel32     addr32 call, in the file     any form, with the same prefix
//! 90 FF 25 …      nop; jmp *key(%rip)          90 E9 rel32
//! ```
//!
//! Address-size prefixes have no effect where no memory is addressed: APM volume 3, section 1.2.3. (Intel's
//! manual, volume 2A, 2.1.1, calls its use there reserved; linkers write `addr32 call` all the same, x86-64
//! psABI, section B.2.) Uprobes refuse instructions with `cs`, `ds`, `es`, `ss` (`is_prefix_bad`), and other
//! prefixes mean something to some of the forms. A conditional jump keeps its opcode, and so needs none. In a
//! trampoline, a prefix would change the RIP-relative operand, so it starts with a no-op instead. (A REX
//! prefix would cost nothing, but a thread whose breakpoint has been removed continues after the no-op.)

use core::ops::Range;

use super::site::{Action, BulkRewrite, Code, Kind};

pub(crate) const SUPPORTED: bool = true;
pub(crate) const ARCHITECTURE: static_call_abi::Architecture = static_call_abi::X86_64;
/// A quadword, see above.
pub(crate) const WORD: usize = 8;
/// For Miri, which cannot run assembler.
#[cfg(miri)]
pub(crate) type Number = u64;
#[cfg(miri)]
pub(crate) type AtomicNumber = core::sync::atomic::AtomicU64;
/// Calls reach all of an image: linkers put nothing between them and their targets.
pub(crate) const HAS_VENEERS: bool = false;

/// `int3`: one byte, so that it can stand in the place of any instruction.
pub(crate) const BREAKPOINT: u8 = 0xcc;

/// The offset in a trampoline of the instruction that a jump replaces: after the no-op.
pub(crate) const TRAMPOLINE_JUMP: usize = 1;
/// What the code of a static branch that looks at its key starts with: `leaq -128(%rsp), %rsp; pushq %rax`.
pub(crate) const CHECK: &[u8] = &[0x48, 0x8d, 0x64, 0x24, 0x80, 0x50];
pub(super) const NOP: u8 = 0x90;

pub(super) const CALL: u8 = 0xe8;
pub(super) const JMP: u8 = 0xe9;
pub(super) const JCC: [u8; 2] = [0x0f, 0x80];
/// `nopl 0(%rax,%rax,1)`
const NOP5: [u8; 5] = [0x0f, 0x1f, 0x44, 0x00, 0x00];
/// `mov $0, %eax`, which clears the upper half as well. (`xor` would need so many prefixes to be as long
/// that, with the site's own, valgrind could not decode it.)
pub(super) const ZERO5: [u8; 5] = [0xb8, 0x00, 0x00, 0x00, 0x00];
/// `ret`, and `int3` to stop speculation past it.
pub(super) const RET5: [u8; 5] = [0xc3, 0xcc, 0xcc, 0xcc, 0xcc];

/// Decodes the instruction at `pc`, where `bytes` starts.
#[inline]
pub(crate) fn decode(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    let five: [u8; 5] = bytes.get(..5)?.try_into().ok()?;
    let site = match five {
        [CALL, a, b, c, d] => (Kind::Call, go(pc + 5, [a, b, c, d])),
        [JMP, a, b, c, d] => (Kind::Jump, go(pc + 5, [a, b, c, d])),
        NOP5 => (Kind::Call, Action::Nop),
        ZERO5 => (Kind::Call, Action::Zero),
        RET5 => (Kind::Jump, Action::Nop),
        [first, second, a, b, c] if first == JCC[0] && second & 0xf0 == JCC[1] => {
            let displacement = [a, b, c, *bytes.get(5)?];
            (Kind::ConditionalJump(second & 0x0f), go(pc + 6, displacement))
        }
        _ => return None,
    };
    Some(site)
}

/// The instruction that does `action`, or None if there is none, or if the target is out of reach.
#[inline]
pub(crate) fn encode(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    match (kind, action) {
        (Kind::Call, Action::Nop) => Some(Code::new(NOP5)),
        (Kind::Call, Action::Zero) => Some(Code::new(ZERO5)),
        (Kind::Jump, Action::Nop) => Some(Code::new(RET5)),
        (Kind::Call, Action::Branch(target)) => {
            let [a, b, c, d] = displacement(pc + 5, target)?;
            Some(Code::new([CALL, a, b, c, d]))
        }
        (Kind::Jump, Action::Branch(target)) => {
            let [a, b, c, d] = displacement(pc + 5, target)?;
            Some(Code::new([JMP, a, b, c, d]))
        }
        (Kind::ConditionalJump(condition), Action::Branch(target)) => {
            let [a, b, c, d] = displacement(pc + 6, target)?;
            Some(Code::new([JCC[0], JCC[1] | (condition & 0x0f), a, b, c, d]))
        }
        (Kind::Jump, Action::Zero) | (Kind::ConditionalJump(_), Action::Nop | Action::Zero) => None,
        (Kind::StaticBranch(_), _) => None,
    }
}

/// The same for a site that holds `_old`, which makes no difference here.
#[inline]
pub(crate) fn encode_over(kind: Kind, pc: usize, action: Action, _old: &[u8]) -> Option<Code> {
    encode(kind, pc, action)
}

/// How long an instruction of this kind is.
pub(crate) const fn length(kind: Kind) -> usize {
    match kind {
        Kind::Call | Kind::Jump | Kind::StaticBranch(_) => 5,
        Kind::ConditionalJump(_) => 6,
    }
}

/// Where in its word the displacement of the instruction at `offset` starts, if none but its bits are in
/// `changed`.
#[inline]
pub(crate) fn only_displacement(kind: Kind, offset: usize, changed: u64) -> Option<usize> {
    let at = offset + length(kind) - 4;
    let bits = 0xffff_ffff_u64.checked_shl(8 * at as u32)?;
    (at <= WORD - 4 && changed & !bits == 0).then_some(at)
}

/// Whether a conditional jump jumps, with these flags (APM volume 3, table 1-10, "rFLAGS for Jcc").
pub(crate) const fn holds(condition: u8, flags: u64) -> bool {
    const CF: u64 = 1 << 0;
    const PF: u64 = 1 << 2;
    const ZF: u64 = 1 << 6;
    const SF: u64 = 1 << 7;
    const OF: u64 = 1 << 11;
    let less = (flags & SF != 0) != (flags & OF != 0);
    let holds = match condition >> 1 & 7 {
        0 => flags & OF != 0,
        1 => flags & CF != 0,
        2 => flags & ZF != 0,
        3 => flags & (CF | ZF) != 0,
        4 => flags & SF != 0,
        5 => flags & PF != 0,
        6 => less,
        _ => less || flags & ZF != 0,
    };
    // The lowest bit negates the condition.
    holds != (condition & 1 != 0)
}

/// Replaces calls, or jumps, that do one thing by ones that do another: what does not depend on the site is
/// computed once, since an update may have many sites.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rewrite {
    from: Template,
    to: Template,
}

/// An instruction of five bytes, as a number, but for its displacement.
#[derive(Clone, Copy, Debug)]
struct Template {
    bytes: u64,
    /// The displacement's bits, or none.
    mask: u64,
    target: usize,
}

impl Template {
    /// The instruction anywhere in a range of code, if there is one.
    fn new(kind: Kind, action: Action, code: &Range<usize>) -> Option<Self> {
        let instruction = |pc| Some(u64::from_le_bytes(encode(kind, pc, action)?.bytes));
        // If the target is in reach from both ends, it is from everywhere between them.
        let (bytes, _) = (instruction(code.start)?, instruction(code.end)?);
        Some(match action {
            Action::Branch(target) => Self { bytes: bytes & 0xff, mask: 0xff_ffff_ff00, target },
            Action::Nop | Action::Zero => Self { bytes, mask: 0, target: 0 },
        })
    }

    #[inline]
    fn ending_at(&self, end: usize) -> u64 {
        self.bytes | ((self.target.wrapping_sub(end) as u64) << 8) & self.mask
    }
}

/// The length of the instructions that have a template.
const LEN: usize = 5;
const MASK: u64 = (1 << (8 * LEN)) - 1;

impl Rewrite {
    /// Those that exist.
    pub(crate) fn all(from: Action, to: Action, code: &Range<usize>) -> [Option<Self>; 2] {
        [Kind::Call, Kind::Jump].map(|kind| {
            let [from, to] = [Template::new(kind, from, code)?, Template::new(kind, to, code)?];
            Some(Self { from, to })
        })
    }

    /// Where the call or jump at `pc` goes, if it lies in this word. Otherwise it has to be decoded.
    #[inline]
    pub(crate) fn target(word: [u8; WORD], pc: usize) -> Option<usize> {
        let offset = pc % WORD;
        let instruction = u64::from_le_bytes(word) >> (8 * offset);
        let is_whole_branch = offset <= WORD - LEN && matches!(instruction as u8, CALL | JMP);
        let displacement = ((instruction >> 8) as u32).cast_signed();
        is_whole_branch.then(|| pc.wrapping_add(LEN).wrapping_add_signed(displacement as isize))
    }
}

impl BulkRewrite<WORD> for Rewrite {
    #[inline]
    fn is_at(&self, word: [u8; WORD], pc: usize) -> bool {
        let offset = pc % WORD;
        offset <= WORD - LEN
            && u64::from_le_bytes(word) >> (8 * offset) & MASK == self.from.ending_at(pc.wrapping_add(LEN))
    }

    #[inline]
    fn apply(&self, word: [u8; WORD], pc: usize) -> [u8; WORD] {
        let shift = 8 * (pc % WORD);
        let new = self.to.ending_at(pc.wrapping_add(LEN)) << shift;
        (u64::from_le_bytes(word) & !(MASK << shift) | new).to_le_bytes()
    }

    /// If both are branches.
    #[inline]
    fn only_displacement(&self, pc: usize) -> Option<(usize, u32)> {
        let is_all = self.from.mask & self.to.mask != 0;
        let displacement = self.to.target.wrapping_sub(pc.wrapping_add(LEN)) as u32;
        is_all.then_some((pc % WORD + 1, displacement))
    }
}

/// Whether a trampoline starts with a no-op and an instruction that a five-byte jump may replace while
/// threads are just leaving it: at least as long as the jump, so that what follows stays where it is.
///
/// The pass makes these, and linkers relax the second into the third or the fourth (x86-64 psABI,
/// section B.2):
///
/// ```text
/// 90           nop                           before each of them
/// 48/4C 8B /r  mov  key(%rip), %reg           modrm.mod = 00, modrm.rm = 101
/// 48/4C 8B /r  mov  key@GOTPCREL(%rip), %reg
/// 48/4C 8D /r  lea  key(%rip), %reg
/// 48/49 C7 /0  mov  $key, %reg
/// FF 25        jmp  *key(%rip)
/// ```
pub(crate) fn is_trampoline_entry(word: [u8; WORD]) -> bool {
    match word {
        [NOP, 0x48 | 0x4c, 0x8b | 0x8d, modrm, ..] => modrm & 0xc7 == 0x05,
        [NOP, 0x48 | 0x49, 0xc7, modrm, ..] => modrm & 0xf8 == 0xc0,
        [NOP, 0xff, 0x25, ..] => true,
        _ => false,
    }
}

/// Nothing to do: instruction caches are coherent (AMD64 APM volume 2, section 7.6.1).
///
/// # Safety
///
/// None is needed.
#[inline]
pub(crate) unsafe fn publish(_address: usize) {}

fn go(end: usize, displacement: [u8; 4]) -> Action {
    let displacement = i32::from_le_bytes(displacement) as isize;
    Action::Branch(end.wrapping_add_signed(displacement))
}

/// `target - end`, if 32 bits hold it. The address space does not wrap: the sum of CALL and JMP is
/// cut to 64 bits, but no program lies at both its ends.
fn displacement(end: usize, target: usize) -> Option<[u8; 4]> {
    let distance = target.wrapping_sub(end) as i64;
    Some(i32::try_from(distance).ok()?.to_le_bytes())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use iced_x86::{Code as Iced, Decoder, DecoderOptions, FlowControl};
    use proptest::prelude::*;

    use super::*;
    use crate::arch::oracle::{self, Case};

    /// The same by LLVM's disassembler, which prints a distance as it stands there.
    #[test]
    fn forms_are_what_llvm_disassembles() {
        let fixed = |kind, action, len: usize, text: &str| {
            let code = encode(kind, 0x1000, action).unwrap();
            assert_eq!(decode(0x1000, code.as_bytes()), Some((kind, action)));
            // Behind a RET are breakpoints.
            assert!(code.as_bytes()[len..].iter().all(|&byte| byte == BREAKPOINT));
            Case::new(&code.as_bytes()[..len], text.to_string())
        };
        let mut cases = Vec::from([
            fixed(Kind::Call, Action::Nop, 5, "nopl (%rax,%rax)"),
            fixed(Kind::Call, Action::Zero, 5, "movl $0, %eax"),
            fixed(Kind::Jump, Action::Nop, 1, "retq"),
        ]);
        for distance in oracle::distances(i32::MIN.into(), i32::MAX.into(), 1) {
            let condition = (distance & 15) as u8;
            let name = oracle::CONDITIONS[usize::from(condition)];
            for (kind, name) in
                [(Kind::Call, "callq"), (Kind::Jump, "jmp"), (Kind::ConditionalJump(condition), name)]
            {
                let pc = 0x5555_4321_9876_usize;
                let action = Action::Branch((pc + length(kind)).wrapping_add_signed(distance as isize));
                let code = encode(kind, pc, action).unwrap();
                assert_eq!(decode(pc, code.as_bytes()), Some((kind, action)));
                cases.push(Case::new(code.as_bytes(), format!("{name} {distance}")));
            }
        }
        oracle::check("x86_64-linux-gnu", &cases);
    }

    fn disassemble(pc: usize, code: &Code) -> iced_x86::Instruction {
        let bytes = code.as_bytes();
        let mut decoder = Decoder::with_ip(64, bytes, pc as u64, DecoderOptions::NONE);
        decoder.decode()
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Call), Just(Kind::Jump), (0u8..16).prop_map(Kind::ConditionalJump)]
    }

    /// Distances over the whole range, with both ends and one beyond.
    fn distances() -> impl Strategy<Value = i64> {
        let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
        prop_oneof![low - 2..=high + 2, Just(low - 1), Just(low), Just(high), Just(high + 1), -10i64..=10]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn branches_are_what_a_disassembler_sees(
            kind in kinds(),
            pc in 0x1_0000_0000usize..0x7fff_0000_0000,
            distance in distances(),
        ) {
            let len = if matches!(kind, Kind::ConditionalJump(_)) { 6 } else { 5 };
            let target = (pc + len).wrapping_add_signed(distance as isize);
            let code = encode(kind, pc, Action::Branch(target));
            prop_assert_eq!(code.is_some(), i32::try_from(distance).is_ok());
            if let Some(code) = code {
                let instruction = disassemble(pc, &code);
                prop_assert_eq!(instruction.len(), code.as_bytes().len());
                prop_assert_eq!(instruction.near_branch_target(), target as u64);
                let flow = match kind {
                    Kind::Call => FlowControl::Call,
                    Kind::Jump => FlowControl::UnconditionalBranch,
                    Kind::ConditionalJump(_) => FlowControl::ConditionalBranch,
                    Kind::StaticBranch(_) => unreachable!("it is a jump"),
                };
                prop_assert_eq!(instruction.flow_control(), flow);
                if let Kind::ConditionalJump(condition) = kind {
                    prop_assert_eq!(code.as_bytes()[1], 0x80 | condition);
                }
                prop_assert_eq!(
                    decode(pc, code.as_bytes()),
                    Some((kind, Action::Branch(target)))
                );
            }
        }

        #[test]
        fn decoding_then_encoding_gives_the_bytes_back(bytes: [u8; 8], pc in 0x1_0000usize..1 << 46) {
            if let Some((kind, action)) = decode(pc, &bytes) {
                let code = encode(kind, pc, action).expect("what was decoded reaches");
                prop_assert_eq!(code.as_bytes(), &bytes[..code.as_bytes().len()]);
            }
        }
    }

    #[test]
    fn the_forms_without_a_target_are_single_instructions_with_their_effect() {
        let nop = encode(Kind::Call, 0, Action::Nop).unwrap();
        assert_eq!(disassemble(0, &nop).code(), Iced::Nop_rm32);
        assert_eq!(disassemble(0, &nop).len(), 5);
        let zero = encode(Kind::Call, 0, Action::Zero).unwrap();
        assert_eq!(disassemble(0, &zero).code(), Iced::Mov_r32_imm32);
        assert_eq!(disassemble(0, &zero).len(), 5);
        let ret = encode(Kind::Jump, 0, Action::Nop).unwrap();
        assert_eq!(disassemble(0, &ret).code(), Iced::Retnq);
        for (kind, action) in
            [(Kind::Call, Action::Nop), (Kind::Call, Action::Zero), (Kind::Jump, Action::Nop)]
        {
            let code = encode(kind, 0x1000, action).unwrap();
            assert_eq!(decode(0x1000, code.as_bytes()), Some((kind, action)));
        }
        assert_eq!(encode(Kind::Jump, 0, Action::Zero), None);
        assert_eq!(encode(Kind::ConditionalJump(4), 0, Action::Nop), None);
    }

    #[test]
    fn conditions_hold_as_the_processor_says() {
        // Every combination of the flags that conditions look at, tested by the processor itself.
        #[cfg(target_arch = "x86_64")]
        for bits in 0..32u64 {
            let [cf, pf, zf, sf, of] = [0, 1, 2, 3, 4].map(|bit| bits >> bit & 1);
            let flags = cf | pf << 2 | zf << 6 | sf << 7 | of << 11;
            let mut taken = [0u8; 16];
            macro_rules! set {
                ($($condition:literal $name:literal),*) => {$(
                    // SAFETY: flags are popped and read, and no other register changes.
                    unsafe {
                        core::arch::asm!("push {flags}", "popfq", concat!("set", $name, " {taken}"),
                            flags = in(reg) flags | 2, taken = out(reg_byte) taken[$condition]);
                    }
                )*};
            }
            set!(0 "o", 1 "no", 2 "b", 3 "ae", 4 "e", 5 "ne", 6 "be", 7 "a", 8 "s", 9 "ns", 10 "p", 11 "np",
                12 "l", 13 "ge", 14 "le", 15 "g");
            for (condition, taken) in taken.into_iter().enumerate() {
                assert_eq!(
                    holds(condition as u8, flags),
                    taken == 1,
                    "condition {condition}, flags {flags:#x}"
                );
            }
        }
    }

    fn actions(low: usize, high: usize) -> impl Strategy<Value = Action> {
        let branches = (low..high).prop_map(Action::Branch);
        prop_oneof![4 => branches, 1 => Just(Action::Nop), 1 => Just(Action::Zero)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8192, ..ProptestConfig::default() })]

        /// The short way gives what decoding and encoding give, or nothing.
        #[test]
        fn rewriting_is_decoding_and_encoding(
            kind in kinds(),
            at in 0usize..0x1_0000,
            // Within reach of some of the code, of all of it, or of none.
            from in actions(0x1_0000_0000, 0x3_0000_0000),
            to in actions(0x1_0000_0000, 0x3_0000_0000),
            noise: [u8; 8],
            is_noise in proptest::bool::weighted(0.1),
        ) {
            let code = 0x2_0000_0000..0x2_0001_0000;
            let pc = code.start + at;
            let before = encode(kind, pc, from).and_then(|code| code.splice(noise, pc % WORD));
            let word = if is_noise { noise } else { before.unwrap_or(noise) };
            let all = Rewrite::all(from, to, &code);
            if let Some(rewrite) = all.iter().flatten().find(|one| one.is_at(word, pc)) {
                let new = rewrite.apply(word, pc);
                let (found, action) = decode(pc, &word[pc % WORD..]).expect("an instruction");
                prop_assert_eq!(action, from);
                let expected = encode(found, pc, to).and_then(|code| code.splice(word, pc % WORD));
                prop_assert_eq!(expected, Some(new));
                let is_displacement = matches!((from, to), (Action::Branch(_), Action::Branch(_)));
                prop_assert_eq!(rewrite.only_displacement(pc).is_some(), is_displacement);
                if let Some((at, displacement)) = rewrite.only_displacement(pc) {
                    let mut stored = word;
                    stored[at..at + 4].copy_from_slice(&displacement.to_le_bytes());
                    prop_assert_eq!(stored, new);
                }
            } else if let (false, Some(_), Some(_)) = (is_noise, before, encode(kind, pc, to)) {
                let ends = [code.start, code.end];
                let reaches = |action| ends.iter().all(|&pc| encode(kind, pc, action).is_some());
                prop_assert!(matches!(kind, Kind::ConditionalJump(_)) || !reaches(from) || !reaches(to));
            }
        }

        /// The short way finds what decoding finds, or nothing.
        #[test]
        fn a_target_is_the_decoded_one(
            kind in kinds(),
            at in 0usize..0x1_0000,
            action in actions(0x1_0000_0000, 0x3_0000_0000),
            noise: [u8; 8],
        ) {
            let pc = 0x2_0000_0000 + at;
            let word = encode(kind, pc, action).and_then(|code| code.splice(noise, pc % WORD));
            for (word, is_noise) in [(noise, true), (word.unwrap_or(noise), word.is_none())] {
                let decoded = decode(pc, &word[pc % WORD..]);
                match Rewrite::target(word, pc) {
                    Some(target) => {
                        let branch = |kind| Some((kind, Action::Branch(target)));
                        prop_assert!([Kind::Call, Kind::Jump].map(branch).contains(&decoded));
                    }
                    None => {
                        let is_go = !is_noise && matches!(action, Action::Branch(_));
                        prop_assert!(!is_go || matches!(kind, Kind::ConditionalJump(_)));
                    }
                }
            }
        }

        /// What is stored alone holds all that changes, and nothing that is not the instruction's.
        #[test]
        fn a_displacement_changes_alone_or_not_at_all(
            kind in kinds(),
            offset in 0usize..8,
            changed: u64,
            mask in 0usize..9,
        ) {
            let changed = changed & (!0 << (8 * mask.min(7))) & (!0 >> (8 * (mask % 4)));
            let stored = only_displacement(kind, offset, changed);
            let own = offset + length(kind) - 4..offset + length(kind);
            let bytes = changed.to_le_bytes();
            let is_own = |at: usize| own.contains(&at);
            let is_right = own.end <= WORD && (0..WORD).all(|at| bytes[at] == 0 || is_own(at));
            prop_assert_eq!(stored, is_right.then_some(own.start));
        }
    }

    #[test]
    fn kinds_are_as_long_as_their_instructions() {
        for kind in [Kind::Call, Kind::Jump, Kind::ConditionalJump(7)] {
            assert_eq!(encode(kind, 0x1000, Action::Branch(0x2000)).unwrap().as_bytes().len(), length(kind));
        }
    }

    #[test]
    fn a_truncated_instruction_is_none() {
        assert_eq!(decode(0, &[]), None);
        assert_eq!(decode(0, &[CALL, 0, 0, 0]), None);
        assert_eq!(decode(0, &[0x0f, 0x84, 0, 0, 0]), None);
    }

    #[test]
    fn trampoline_entries_are_at_least_as_long_as_the_jump() {
        // Every opcode pair and modrm byte that is accepted, measured by the disassembler.
        let mut accepted = 0;
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                for modrm in 0..=255u8 {
                    let word = [NOP, first, second, modrm, 1, 2, 3, 4];
                    if is_trampoline_entry(word) {
                        accepted += 1;
                        let entry = &word[TRAMPOLINE_JUMP..];
                        let mut decoder = Decoder::with_ip(64, entry, 0, DecoderOptions::NONE);
                        assert!(decoder.decode().len() >= 5, "{word:02x?}");
                    }
                }
            }
        }
        assert_eq!(accepted, 2 * 2 * 8 + 2 * 8 + 256);
    }
}
