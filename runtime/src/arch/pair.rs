//! Calls by two instructions, of which the second one changes, on RISC-V and LoongArch.
//!
//! The first one leaves an address close to its target in a register. A thread may be between the two, and
//! every second instruction needs the same value in the register.

use super::site::{Action, Code, Kind};

/// The first instruction of a pair, and what else the architecture defines.
pub(super) trait First: Copy {
    /// Whether an instruction is one, with any register.
    fn is_first(instruction: u32) -> bool;

    /// The one at `pc`, if its register is that of a call or a tail call.
    fn decode(pc: usize, instruction: u32) -> Option<Self>;

    /// The kind of site, which the register tells.
    fn kind(self) -> Kind;

    /// The second instruction that goes to `target` through the register, if that is in reach.
    fn through_register(self, target: usize) -> Option<u32>;

    /// Where such an instruction goes.
    fn target(self, second: u32) -> Option<usize>;

    /// Decodes a single instruction at `pc`.
    fn decode_single(pc: usize, instruction: u32) -> Option<(Kind, Action)>;

    /// The instruction that does `action` alone, or None if there is none, or if the target is out of reach.
    fn encode_single(kind: Kind, pc: usize, action: Action) -> Option<u32>;
}

/// Decodes the site at `pc`, where `bytes` starts: a pair, or one instruction.
pub(super) fn decode<F: First>(pc: usize, bytes: &[u8]) -> Option<(Kind, Action)> {
    // Only aligned instructions are fetched as a whole.
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
        return Some((pair.kind(), Action::Branch(target)));
    }
    match (pair.kind(), F::decode_single(pc.wrapping_add(4), second)?) {
        // It would have the other form.
        (_, (_, Action::Branch(target))) if pair.through_register(target).is_some() => None,
        (kind, (same, action)) => (kind == same).then_some((kind, action)),
    }
}

/// One instruction that does `action`.
pub(super) fn encode<F: First>(kind: Kind, pc: usize, action: Action) -> Option<Code> {
    Some(Code::new(F::encode_single(kind, pc, action)?.to_le_bytes()))
}

/// The code that does `action` at a site that holds `old` now: the whole site, with the first instruction of
/// a pair unchanged.
pub(super) fn encode_over<F: First>(kind: Kind, pc: usize, action: Action, old: &[u8]) -> Option<Code> {
    let first = word(old, 0)?;
    let Some(pair) = F::decode(pc, first) else { return encode::<F>(kind, pc, action) };
    if pair.kind() != kind {
        return None;
    }
    let through_register = match action {
        Action::Branch(target) => pair.through_register(target),
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
