//! The decoders of `arch/` and the numbers in an image descriptor, for a program that reads other programs. Not for use by hand: it may change
//! at any time.

use crate::arch::{self, aarch64, arm, loongarch64, powerpc64, riscv64, s390x, x86, x86_64};
use crate::image;
use crate::mode::Reason;

/// What an image descriptor's `state` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The runtime does not know the image, or has refused it.
    Unregistered,
    /// Its calls go through their trampolines.
    Registered,
    /// Its code is patched.
    Patched,
}

impl State {
    /// The state with this number.
    #[must_use]
    pub fn from_u32(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Unregistered),
            image::REGISTERED => Some(Self::Registered),
            image::PATCHED => Some(Self::Patched),
            _ => None,
        }
    }
}

/// The sentence for an image descriptor's `reason`; None if there is nothing to explain.
#[must_use]
pub fn reason(number: u32) -> Option<&'static str> {
    (number != 0).then(|| Reason::from_u32(number).as_str())
}

/// What kind of instruction a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Call,
    /// A tail call.
    Jump,
    /// A tail call that only happens on some condition.
    ConditionalJump,
}

/// What a site does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Calls (or jumps to) this address.
    Go(u64),
    /// Nothing; a tail call just returns.
    Nop,
    /// Returns zero.
    Zero,
}

type Decode = fn(usize, &[u8]) -> Option<(arch::Kind, arch::Action)>;

/// Reads the instructions of one architecture.
#[derive(Debug)]
pub struct Decoder {
    /// ELF's number of the machine, its pointers' bits, and whether its data is little-endian.
    machine: (u16, u32, bool),
    /// Instructions start at multiples of this.
    pub step: usize,
    decode: Decode,
    /// Whether linkers put code between a call and a trampoline that is out of its reach.
    pub has_veneers: bool,
}

/// A row for each file in `arch/`.
static DECODERS: [Decoder; 8] = [
    Decoder { machine: (62, 64, true), step: 1, decode: x86_64::decode, has_veneers: x86_64::HAS_VENEERS },
    Decoder { machine: (183, 64, true), step: 4, decode: aarch64::decode, has_veneers: aarch64::HAS_VENEERS },
    Decoder { machine: (3, 32, true), step: 1, decode: x86::decode, has_veneers: x86::HAS_VENEERS },
    Decoder { machine: (40, 32, true), step: 4, decode: arm::decode, has_veneers: arm::HAS_VENEERS },
    Decoder { machine: (243, 64, true), step: 2, decode: riscv64::decode, has_veneers: riscv64::HAS_VENEERS },
    Decoder {
        machine: (21, 64, true),
        step: 4,
        decode: powerpc64::decode,
        has_veneers: powerpc64::HAS_VENEERS,
    },
    Decoder { machine: (22, 64, false), step: 2, decode: s390x::decode, has_veneers: s390x::HAS_VENEERS },
    Decoder {
        machine: (258, 64, true),
        step: 4,
        decode: loongarch64::decode,
        has_veneers: loongarch64::HAS_VENEERS,
    },
];

impl Decoder {
    /// The decoder for ELF files of this machine, if there is one.
    #[must_use]
    pub fn of(machine: u16, bits: u32, is_little_endian: bool) -> Option<&'static Self> {
        DECODERS.iter().find(|decoder| decoder.machine == (machine, bits, is_little_endian))
    }

    /// The instruction at `pc`, if it is one that a site may hold. `bytes` starts there.
    #[must_use]
    pub fn decode(&self, pc: u64, bytes: &[u8]) -> Option<(Kind, Action)> {
        let (kind, action) = (self.decode)(usize::try_from(pc).ok()?, bytes)?;
        let kind = match kind {
            arch::Kind::Call => Kind::Call,
            arch::Kind::Jump => Kind::Jump,
            arch::Kind::ConditionalJump(_) => Kind::ConditionalJump,
        };
        let action = match action {
            arch::Action::Go(target) => Action::Go(target as u64),
            arch::Action::Nop => Action::Nop,
            arch::Action::Zero => Action::Zero,
        };
        Some((kind, action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_has_its_own_decoder() {
        for decoder in &DECODERS {
            let (machine, bits, little) = decoder.machine;
            assert!(core::ptr::eq(Decoder::of(machine, bits, little).unwrap(), decoder));
            assert!(Decoder::of(machine, 96 - bits, little).is_none());
            assert!(Decoder::of(machine, bits, !little).is_none());
        }
        let call = Decoder::of(22, 64, false).unwrap().decode(0x1000, &[0xc0, 0xe5, 0, 0, 0, 8]);
        assert_eq!(call, Some((Kind::Call, Action::Go(0x1010))));
        let call = Decoder::of(62, 64, true).unwrap().decode(0x1000, &[0xe8, 0, 0, 0, 0]);
        assert_eq!(call, Some((Kind::Call, Action::Go(0x1005))));
    }
}
