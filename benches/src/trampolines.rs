//! The cost of an update without the pass, which patches one trampoline: a key's first update, and later
//! ones.
//!
//! With the argument `threaded`, another thread sleeps, so the process is not prepared for patching at first;
//! one key's second update prepares it. Prints nanoseconds: `first` and `later` for each key, and `prepare`
//! for the update that prepares. `cargo xtask bench` builds it without the pass.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use static_call::{Error, Mode};

type Target = fn(u64) -> u64;

fn one(word: u64) -> u64 {
    word + 1
}

fn two(word: u64) -> u64 {
    word + 2
}

macro_rules! keys {
    ($($name:ident)*) => {
        static_call::define! { $(static $name: fn(word: u64) -> u64 = one;)* }

        const UPDATES: &[fn(Target) -> Result<(), Error>] = &[$(|target| $name.update(target)),*];

        fn call_all(word: u64) -> u64 {
            $(let word = $name.call(word);)*
            word
        }
    };
}

keys! {
    K00 K01 K02 K03 K04 K05 K06 K07 K08 K09 K10 K11 K12 K13 K14 K15
    K16 K17 K18 K19 K20 K21 K22 K23 K24 K25 K26 K27 K28 K29 K30 K31
}

fn timed(update: fn(Target) -> Result<(), Error>, target: Target) -> Result<f64, Error> {
    let start = Instant::now();
    update(target)?;
    let nanoseconds = start.elapsed().as_secs_f64() * 1e9;
    black_box(call_all(black_box(1)));
    Ok(nanoseconds)
}

fn main() -> Result<(), Error> {
    if std::env::args().nth(1).as_deref() == Some("threaded") {
        thread::spawn(thread::park);
    }
    let (prepares, keys) = UPDATES.split_first().expect("there are keys");
    // The process's first update also reads the environment.
    prepares(two)?;
    let first = keys.iter().map(|&update| timed(update, two)).collect::<Result<Vec<_>, _>>()?;
    let prepare = timed(*prepares, one)?;
    let later = keys.iter().map(|&update| timed(update, one)).collect::<Result<Vec<_>, _>>()?;
    println!("prepare {prepare:.1}");
    for (first, later) in first.iter().zip(later) {
        println!("first {first:.1}\nlater {later:.1}");
    }
    // With `STATIC_CALL_MODE`, the trampolines would be patched at start-up.
    assert_eq!(static_call::mode(), Mode::Trampoline, "{}", static_call::mode_reason());
    Ok(())
}
