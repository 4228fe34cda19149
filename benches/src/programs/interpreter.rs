//! A small register machine with a tracing hook at each instruction.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use static_call::static_call_lazy;
use static_keys::{define_static_key_false, static_branch_unlikely};

use crate::case::Case;

hook! { mod trace: fn(place: usize, value: u64) }

#[derive(Clone, Copy)]
enum Instruction {
    Set(usize, u64),
    Add(usize, usize),
    Multiply(usize, usize),
    ShiftRight(usize, u32),
    Xor(usize, usize),
    Decrement(usize),
    JumpUnlessZero(usize, usize),
    End(usize),
}

/// The interpreted program: mixes a number in a counted loop.
const PROGRAM: [Instruction; 10] = [
    Instruction::Set(0, 20_000),
    Instruction::Set(1, 0x9e37_79b9_7f4a_7c15),
    Instruction::Set(2, 0xbf58_476d_1ce4_e5b9),
    Instruction::Add(1, 0),
    Instruction::Multiply(1, 2),
    Instruction::Xor(3, 1),
    Instruction::ShiftRight(1, 1),
    Instruction::Decrement(0),
    Instruction::JumpUnlessZero(0, 3),
    Instruction::End(3),
];
type Registers = [u64; 4];

const INSTRUCTIONS: usize = 3 + 6 * 20_000 + 1;

/// Runs all copies, because the address of such a short loop matters more than a hook.
macro_rules! copies {
    ($interpreter:ident) => {
        || {
            let results: [u64; COPIES] = [
                $interpreter::<0>(),
                $interpreter::<4>(),
                $interpreter::<8>(),
                $interpreter::<12>(),
                $interpreter::<16>(),
                $interpreter::<20>(),
                $interpreter::<24>(),
                $interpreter::<28>(),
            ];
            results.into_iter().fold(0, u64::wrapping_add)
        }
    };
}
const COPIES: usize = 8;

static TRACED: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn count(place: usize, value: u64) {
    TRACED.store(TRACED.load(Ordering::Relaxed) + place as u64 + (value & 1), Ordering::Relaxed);
}

/// The cost of a call even if it is a nop: the arguments in their registers (on x86-64; elsewhere in any
/// register), and no value in a caller-saved register.
#[inline(always)]
fn registers(place: usize, value: u64) {
    // SAFETY: there is no instruction.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("", in("rdi") place, in("rsi") value, clobber_abi("C"))
    };
    // SAFETY: a comment does nothing.
    #[cfg(not(target_arch = "x86_64"))]
    unsafe {
        std::arch::asm!("/* {} {} */", in(reg) place, in(reg) value, clobber_abi("C"))
    };
}

static_call::define! {
    static TRACE: bool = false;
}
static FLAG: AtomicBool = AtomicBool::new(false);
define_static_key_false!(BRANCH);

/// Interpreters with a hook in their loop, shifted by this many nops.
///
/// The hook stands in the loop, as programs write it. A function that contains the hook and is given the
/// registers would be given what the hook reads instead: LLVM's argument promotion reads it before the call,
/// whether the hook is on or off, and the function is inlined later.
macro_rules! interpreters {
    ($($name:ident: |$place:ident, $registers:ident| $hook:block)*) => {$(
        #[inline(never)]
        fn $name<const NOPS: usize>() -> u64 {
            // SAFETY: nops do nothing.
            unsafe {
                std::arch::asm!(
                    ".rept {}", "nop", ".endr", const NOPS, options(nomem, nostack, preserves_flags)
                )
            };
            let program = std::hint::black_box(&PROGRAM);
            let mut registers: Registers = [0; 4];
            let mut place = 0;
            loop {
                let ($place, $registers) = (place, &registers);
                $hook
                match program[place] {
                    Instruction::Set(to, value) => registers[to] = value,
                    Instruction::Add(to, from) => {
                        registers[to] = registers[to].wrapping_add(registers[from]);
                    }
                    Instruction::Multiply(to, from) => {
                        registers[to] = registers[to].wrapping_mul(registers[from]);
                    }
                    Instruction::ShiftRight(to, bits) => registers[to] >>= bits,
                    Instruction::Xor(to, from) => registers[to] ^= registers[from],
                    Instruction::Decrement(to) => registers[to] -= 1,
                    Instruction::JumpUnlessZero(register, to) if registers[register] != 0 => {
                        place = to;
                        continue;
                    }
                    Instruction::JumpUnlessZero(..) => {}
                    Instruction::End(register) => return registers[register],
                }
                place += 1;
            }
        }
    )*};
}

interpreters! {
    without: |_place, _registers| {}
    with_count: |place, registers| { count(place, registers[3]) }
    with_registers: |place, registers| { self::registers(place, registers[3]) }
    with_static: |place, registers| { trace::by_key(place, registers[3]) }
    with_pointer: |place, registers| { trace::by_pointer(place, registers[3]) }
    with_lazy: |place, registers| { static_call_lazy!(trace::KEY, place, registers[3]) }
    with_branch: |place, registers| {
        if static_call::static_branch_unlikely!(TRACE) {
            trace::by_key(place, registers[3]);
        }
    }
    with_load: |place, registers| {
        if FLAG.load(Ordering::Relaxed) {
            trace::by_key(place, registers[3]);
        }
    }
    with_static_keys: |place, registers| {
        if static_branch_unlikely!(BRANCH) {
            trace::by_key(place, registers[3]);
        }
    }
}

pub(crate) fn hooks(are_on: bool) {
    trace::set(are_on.then_some(count));
    if are_on { TRACE.enable() } else { TRACE.disable() }.expect("nothing forbids it");
    FLAG.store(are_on, Ordering::Relaxed);
}

pub(crate) fn cases(hooks: &str) -> Vec<Case<'static>> {
    let case = |form: &str, run: fn() -> u64| Case {
        name: format!("interpreter/hook {hooks}/{form}"),
        amount: COPIES * INSTRUCTIONS,
        run: Box::new(run),
    };
    let mut cases = vec![case("static", copies!(with_static)), case("pointer", copies!(with_pointer))];
    if hooks == "on" {
        cases.push(case("direct", copies!(with_count)));
    } else {
        cases.extend([
            case("direct", copies!(without)),
            case("registers", copies!(with_registers)),
            case("static-keys", copies!(with_static_keys)),
            case("branch", copies!(with_branch)),
            case("load", copies!(with_load)),
            case("lazy", copies!(with_lazy)),
        ]);
    }
    cases
}
