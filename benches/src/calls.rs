//! The cost of a call of one and the same function: directly, by a static call, and through a pointer.
//!
//! A static call shall cost at most 1.02 times a direct call, and the alignment of a loop alone can make
//! more of a difference than that. So:
//!
//! - The three forms are the same loop around the same function; what a call returns is what the next one
//!   takes, so that none can start before the one before it has ended.
//! - Each form has four loops: they start 0, 16, 32 and 48 bytes into a cache line (compilers align loops to
//!   16 bytes, so that these are all the places where one can be). A static call is compared with the direct
//!   call in the same place only.
//! - The forms take turns, some twenty microseconds each, and one round's static call is compared with the
//!   same round's direct call. What disturbs the machine for longer disturbs both; the median of the ratios
//!   throws out what disturbs one of them.
//!
//! Prints one line a measurement: round, form, place, nanoseconds a call. `cargo xtask bench` builds it with
//! the pass, runs it in every mode, and looks at the loops' machine code, too.

use std::arch::asm;
use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Instant;

const CALLS: u32 = 20_000;
const ROUNDS: usize = 200;

static_call::define! {
    static BENCH: fn(word: u64) -> u64 = other;
}

static POINTER: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

#[inline(never)]
fn target(word: u64) -> u64 {
    word.rotate_left(5) ^ 0x9e37_79b9
}

#[inline(never)]
fn other(word: u64) -> u64 {
    word + 1
}

#[inline(always)]
fn through_pointer(word: u64) -> u64 {
    let target = POINTER.load(Ordering::Relaxed).cast_const();
    // SAFETY: `main` has stored a function of this type there.
    let target: fn(u64) -> u64 = unsafe { std::mem::transmute(target) };
    target(word)
}

/// A form's loop at one place in a cache line.
struct Loop {
    form: &'static str,
    skip: usize,
    run: extern "C" fn(u32, u64) -> u64,
}

macro_rules! loops {
    ($($form:literal $skip:literal $name:ident = $call:expr;)*) => {
        $(
            // SAFETY: nothing else has such a name. It is for whoever disassembles the program.
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $name(calls: u32, mut word: u64) -> u64 {
                // SAFETY: nops.
                unsafe {
                    asm!(".p2align 6", concat!(".skip ", $skip, ", 0x90"), options(nomem, nostack, preserves_flags));
                }
                for _ in 0..calls {
                    word = $call(word);
                }
                word
            }
        )*

        const LOOPS: &[Loop] = &[$(Loop { form: $form, skip: $skip, run: $name }),*];
    };
}

loops! {
    "direct" 0 direct_0 = target;
    "static" 0 static_0 = |word| BENCH.call(word);
    "pointer" 0 pointer_0 = through_pointer;
    "direct" 16 direct_16 = target;
    "static" 16 static_16 = |word| BENCH.call(word);
    "pointer" 16 pointer_16 = through_pointer;
    "direct" 32 direct_32 = target;
    "static" 32 static_32 = |word| BENCH.call(word);
    "pointer" 32 pointer_32 = through_pointer;
    "direct" 48 direct_48 = target;
    "static" 48 static_48 = |word| BENCH.call(word);
    "pointer" 48 pointer_48 = through_pointer;
}

fn main() -> Result<(), static_call::Error> {
    BENCH.update(target)?;
    // A compiler that knows what is stored there calls it directly.
    POINTER.store(black_box(target as *const () as *mut ()), Ordering::Relaxed);
    let mut samples = Vec::with_capacity(ROUNDS * LOOPS.len());
    let mut expected = None;
    for round in 0..ROUNDS {
        for turn in 0..LOOPS.len() {
            let a_loop = &LOOPS[(round + turn) % LOOPS.len()];
            let start = Instant::now();
            let word = (a_loop.run)(CALLS, black_box(1));
            let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
            assert_eq!(word, *expected.get_or_insert(word), "{} called something else", a_loop.form);
            samples.push((round, a_loop, nanoseconds));
        }
    }
    for (round, Loop { form, skip, .. }, nanoseconds) in samples {
        println!("{round} {form} {skip} {nanoseconds:.4}");
    }
    Ok(())
}
