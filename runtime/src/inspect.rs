//! The decoders of `arch/` and the numbers in an image descriptor, for a program that reads other programs.
//! Not for use by hand: it may change at any time.

use core::ops::Range;

use static_call_abi::Form;

use crate::arch::{self, aarch64, arm, loongarch64, powerpc64, riscv64, s390x, x86, x86_64};
use crate::format;
use crate::mode::Reason;

pub use crate::image::ImageState;

impl ImageState {
    /// The state with this number.
    #[must_use]
    pub const fn from_u32(number: u32) -> Option<Self> {
        Self::from_wire(number)
    }

    /// In one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::Registered => "registered",
            Self::Patched => "patched",
        }
    }
}

/// The sentence for an image descriptor's `reason`; None if there is nothing to explain.
#[must_use]
pub fn reason(number: u32) -> Option<&'static str> {
    match Reason::from_wire(number) {
        Some(Reason::None) => None,
        Some(reason) => Some(reason.as_str()),
        None => Some("its runtime has a reason that this inspector does not know: one of them is newer"),
    }
}

/// Whether program headers, each "loaded" and "executable", are those of a file whose code was moved after it
/// was linked; the runtime then leaves it to its trampolines.
#[must_use]
pub fn has_moved_code(follow_the_header: bool, segments: &[(bool, bool)]) -> bool {
    format::elf::has_moved_code(follow_the_header, segments.iter().copied())
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
    Branch(u64),
    /// Nothing; a tail call just returns.
    Nop,
    /// Returns zero.
    Zero,
}

/// What a call reaches to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The key's function.
    pub target: u64,
    /// How it may be reached.
    pub form: Form,
    /// Whether the call may be left out: what its trampoline's signature says.
    pub may_be_nop: bool,
}

/// What the runtime makes of a site in the file's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It becomes direct, or a nop.
    Direct,
    /// It stays as it is, since its instruction does not lie in one word.
    AcrossWords,
    /// It stays on its trampoline as long as the key's function is one that it does not reach.
    OutOfReach,
}

/// An instruction as the runtime writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: arch::Code,
    /// What it does.
    pub action: Action,
}

impl Instruction {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.code.as_bytes()
    }
}

impl From<arch::Action> for Action {
    fn from(action: arch::Action) -> Self {
        match action {
            arch::Action::Branch(target) => Self::Branch(target as u64),
            arch::Action::Nop => Self::Nop,
            arch::Action::Zero => Self::Zero,
        }
    }
}

type Decode = fn(usize, &[u8]) -> Option<(arch::Kind, arch::Action)>;
type Encode = fn(arch::Kind, usize, arch::Action, &[u8]) -> Option<arch::Code>;
type Entry = fn(usize, usize, &Range<usize>, &dyn Fn(usize) -> u32) -> Option<usize>;

/// Reads the instructions of one architecture.
#[derive(Debug)]
pub struct Decoder {
    /// ELF's number of the machine, its pointers' bits, and whether its data is little-endian.
    machine: (u16, u32, bool),
    /// Instructions start at multiples of this.
    pub step: usize,
    /// Bytes of what is replaced at once.
    word: usize,
    decode: Decode,
    encode: Encode,
    entry: Entry,
    /// Whether linkers put code between a call and a trampoline that is out of its reach.
    pub has_veneers: bool,
}

/// A row for each file in `arch/`.
macro_rules! decoders {
    ($($arch:ident $machine:expr, $step:expr, $entry:expr;)*) => {
        [$(Decoder {
            machine: $machine,
            step: $step,
            word: $arch::WORD,
            decode: $arch::decode,
            encode: $arch::encode_over,
            entry: $entry,
            has_veneers: $arch::HAS_VENEERS,
        }),*]
    };
}

static DECODERS: [Decoder; 8] = decoders! {
    x86_64 (62, 64, true), 1, at_its_start;
    aarch64 (183, 64, true), 4, at_its_start;
    x86 (3, 32, true), 1, at_its_start;
    arm (40, 32, true), 4, at_its_start;
    riscv64 (243, 64, true), 2, at_its_start;
    powerpc64 (21, 64, true), 4, |target, trampoline, text, load| {
        powerpc64::entry(target, trampoline, text, load)
    };
    s390x (22, 64, false), 2, at_its_start;
    loongarch64 (258, 64, true), 4, at_its_start;
};

/// As `arch::entry` on all architectures but POWER.
fn at_its_start(target: usize, _: usize, _: &Range<usize>, _: &dyn Fn(usize) -> u32) -> Option<usize> {
    Some(target)
}

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
            arch::Kind::StaticBranch(_) => unreachable!("the table says so, not the code"),
        };
        Some((kind, action.into()))
    }
}

impl Decoder {
    /// What the instruction of a static branch at `pc` does, if it is one. `bytes` starts there.
    #[must_use]
    pub fn decode_branch(&self, pc: u64, bytes: &[u8]) -> Option<Action> {
        match self.decode(pc, bytes)? {
            (Kind::Jump, action @ Action::Branch(_)) | (Kind::Call, action @ Action::Nop) => Some(action),
            _ => None,
        }
    }

    /// What the runtime makes of the static branch at `pc`, whose code is `bytes` and which jumps to
    /// `target`.
    #[must_use]
    pub fn fate_of_branch(&self, pc: u64, bytes: &[u8], target: u64) -> Fate {
        let [Ok(pc), Ok(target)] = [pc, target].map(usize::try_from) else { return Fate::OutOfReach };
        match (self.encode)(arch::Kind::Jump, pc, arch::Action::Branch(target), bytes) {
            None => Fate::OutOfReach,
            Some(code) if !code.fits(self.word, pc % self.word) => Fate::AcrossWords,
            Some(_) => Fate::Direct,
        }
    }

    /// The static branch at `pc` as it is while it jumps to `target`, or does not.
    #[must_use]
    pub fn branch(&self, pc: u64, bytes: &[u8], target: u64, jumps: bool) -> Option<Instruction> {
        let (kind, action) = match jumps {
            true => (arch::Kind::Jump, arch::Action::Branch(usize::try_from(target).ok()?)),
            false => (arch::Kind::Call, arch::Action::Nop),
        };
        let code = (self.encode)(kind, usize::try_from(pc).ok()?, action, bytes)?;
        Some(Instruction { code, action: action.into() })
    }

    /// What the runtime makes of the site at `pc`, whose code is `bytes` and goes to `trampoline`, and the
    /// instruction that it writes if it does not stay. None: it is no site.
    ///
    /// `start` is what it reaches to begin with, if that is known, and `load` loads an instruction. The
    /// segment that the code lies in is `text`.
    #[must_use]
    pub fn fate(
        &self,
        pc: u64,
        bytes: &[u8],
        trampoline: u64,
        start: Option<Start>,
        text: &Range<u64>,
        load: &dyn Fn(u64) -> u32,
    ) -> Option<(Fate, Instruction)> {
        let [pc, trampoline, from, to] =
            [pc, trampoline, text.start, text.end].map(|address| usize::try_from(address).ok());
        let (pc, trampoline, text) = (pc?, trampoline?, from?..to?);
        let (kind, _) = (self.decode)(pc, bytes)?;
        let stay = arch::Action::Branch(trampoline);
        let [best, call] = match start {
            Some(Start { target, form, may_be_nop }) => {
                let load = |address| load(address as u64);
                let entry = (self.entry)(usize::try_from(target).ok()?, trampoline, &text, &load);
                let call = arch::Action::Branch(entry.unwrap_or(trampoline));
                [arch::Action::at_best(form, may_be_nop, call), call]
            }
            None => [stay; 2],
        };
        let (action, code) =
            arch::first([best, call, stay], |action| (self.encode)(kind, pc, action, bytes))?;
        let fate = match start {
            _ if !code.fits(self.word, pc % self.word) => Fate::AcrossWords,
            Some(_) if action == stay => Fate::OutOfReach,
            _ => Fate::Direct,
        };
        Some((fate, Instruction { code, action: action.into() }))
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
        assert_eq!(call, Some((Kind::Call, Action::Branch(0x1010))));
        let call = Decoder::of(62, 64, true).unwrap().decode(0x1000, &[0xe8, 0, 0, 0, 0]);
        assert_eq!(call, Some((Kind::Call, Action::Branch(0x1005))));
    }
}
