//! Calls of two instructions, of which only the second one changes: those of RISC-V and LoongArch.
//!
//! The first one leaves an address close to its target in a register. A thread may stand between both, and must find
//! its register as any second instruction wants it.

use super::{Action, Code, Kind};

/// The first instruction of a pair, and what else there is on its architecture.
pub(super) trait First: Copy {
    /// Whether an instruction is one, with whatever register.
    fn is_first(instruction: u32) -> bool;

    /// The one at `pc`, if its register is that of a call or a tail call.
    fn decode(pc: usize, instruction: u32) -> Option<Self>;

    /// What the register says that the pair is.
    fn kind(self) -> Kind;

    /// The second instruction that goes to `target` through the register, if that is close enough.
    fn through_register(self, target: usize) -> Option<u32>;

    /// Where such an instruction goes.
    fn target(self, second: u32) -> Option<usize>;

    /// What an instruction that stands alone at `pc` is.
    fn decode_single(pc: usize, instruction: u32) -> Option<(Kind, Action)>;

    /// The instruction that does `action` alone, or None where there is none or it does not reach.
    fn encode_single(kind: Kind, pc: usize, action: Action) -> Option<u32>;
}

/// What the site at `pc` is, a pair or one instruction. `bytes` starts there.
pub(super) fn decode<F: First>(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    // Only aligned instructions are fetched at once.
    if !pc.is_multiple_of(4) {
        return None;
    }
    let first = word(bytes, 0)?;
    if !F::is_first(first) {
        return F::decode_single(pc, first);
    }
    let pair = F::decode(pc, first)?;
    let second = word(bytes, 4)?;
    if let Some(target) = pair.target(second) {
        return Some((pair.kind(), Action::Go(target)));
    }
    match (pair.kind(), F::decode_single(pc.wrapping_add(4), second)?) {
        // It would have the other form.
        (_, (_, Action::Go(target))) if pair.through_register(target).is_some() => None,
        (kind, (same, action)) => (kind == same).then_some((kind, action)),
    }
}

/// One instruction that does `action`.
pub(super) fn encode<F: First>(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    Some(Code::new(F::encode_single(kind, pc, action)?.to_le_bytes()))
}

/// What does `action` at a site where `old` stands now: the whole site, of which a first instruction stays as it is.
pub(super) fn encode_over<F: First>(kind: Kind, pc: usize, action: Action, old: &[u8]) -> Option<Code> {
    let first = word(old, 0)?;
    let Some(pair) = F::decode(pc, first) else { return encode::<F>(kind, pc, action) };
    if pair.kind() != kind {
        return None;
    }
    let through_register = match action {
        Action::Go(target) => pair.through_register(target),
        Action::Nop | Action::Zero => None,
    };
    let second = through_register.or_else(|| F::encode_single(kind, pc.wrapping_add(4), action))?;
    let ([a, b, c, d], [e, f, g, h]) = (first.to_le_bytes(), second.to_le_bytes());
    Some(Code::new([a, b, c, d, e, f, g, h]))
}

/// An instruction in `bytes`.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
