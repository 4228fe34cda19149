//! Encodes instructions and decodes them again, and compares both with an independent disassembler.
#![no_main]

use iced_x86::{Decoder, DecoderOptions, FlowControl};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use static_call::fuzzing::{Instruction, is_trampoline_entry, splice};

#[derive(Arbitrary, Debug)]
struct Input {
    pc: u64,
    kind: u8,
    condition: u8,
    action: Action,
    word: [u8; 8],
    offset: u8,
}

#[derive(Arbitrary, Debug)]
enum Action {
    Near(i32),
    Branch(u64),
    Nop,
    Zero,
}

fuzz_target!(|input: Input| {
    // Programs lie in the lower half of the address space, away from its ends.
    let pc = (input.pc & 0x3fff_ffff_ffff) as usize + 0x1_0000_0000;
    let action = match input.action {
        Action::Near(distance) => Some(Some(pc.wrapping_add_signed(distance as isize))),
        Action::Branch(target) => Some(Some(target as usize)),
        Action::Nop => Some(None),
        Action::Zero => None,
    };
    let instruction = Instruction::new(input.kind, input.condition, action);
    if let Some(bytes) = instruction.encode(pc) {
        assert_eq!(Instruction::decode(pc, &bytes), Some(instruction), "{bytes:02x?}");
        disassembles(pc, &bytes, instruction);
        spliced(&bytes, input.word, usize::from(input.offset % 9));
    }
    if let Some(instruction) = Instruction::decode(pc, &input.word) {
        let bytes = instruction.encode(pc).expect("what was decoded reaches");
        assert_eq!(bytes, input.word[..bytes.len()]);
        disassembles(pc, &input.word, instruction);
    }
    if is_trampoline_entry(input.word) {
        let mut decoder = Decoder::with_ip(64, &input.word[1..], 0, DecoderOptions::NONE);
        let entry = decoder.decode();
        assert!(!entry.is_invalid() && entry.len() >= 5, "{:02x?}", input.word);
    }
});

fn disassembles(pc: usize, bytes: &[u8], instruction: Instruction) {
    let seen = Decoder::with_ip(64, bytes, pc as u64, DecoderOptions::NONE).decode();
    assert!(!seen.is_invalid(), "{bytes:02x?}");
    let target = match seen.flow_control() {
        FlowControl::Call | FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
            Some(seen.near_branch_target() as usize)
        }
        _ => None,
    };
    assert_eq!(instruction.target(), target, "{bytes:02x?}");
}

fn spliced(bytes: &[u8], word: [u8; 8], offset: usize) {
    let fits = offset + bytes.len() <= word.len();
    let mut expected = word;
    if fits {
        expected[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    assert_eq!(splice(bytes, word, offset), fits.then_some(expected));
}
