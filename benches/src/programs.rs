//! Whole programs that dispatch on hot paths, each in several forms: direct calls to functions fixed at
//! compile time, static calls, and pointers. `cargo xtask bench` builds it with and without retpolines, for
//! the retpolined pointer.
//!
//! - `checksum`: CRC-32C by instruction or by table, over real files, in pieces of 16 bytes to a megabyte;
//! - `search`: finds a byte in a text, with vectors or byte by byte: the end of each line, and a byte that
//!   does not occur;
//! - `interpreter`: a small interpreter that runs a loop, with a hook for tracing at each instruction, off
//!   and on;
//! - `requests`: a loop that parses requests, with ten hooks for policies around each, off and on.
//!
//! `programs ROUNDS FILE...` prints lines of a program, an input, a form, and bytes, instructions or requests
//! a second. The forms take turns in each round, in random order, and all have to find the same. Without
//! files, only the interpreter runs, with its hook off.

use std::hint::black_box;
use std::time::Instant;

use case::Case;

/// A function that `choose` selects at run time, in all its forms.
macro_rules! switchable {
    ($vis:vis mod $name:ident: fn($($argument:ident: $type:ty),*) -> $result:ty = $first:path) => {
        $vis mod $name {
            #[allow(unused_imports)]
            use super::*;
            use std::sync::atomic::{AtomicPtr, Ordering};

            static_call::define! {
                static KEY: fn($($argument: $type),*) -> $result = $first;
            }
            static POINTER: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

            pub(crate) fn choose(target: fn($($type),*) -> $result) {
                KEY.update(target).expect("nothing forbids it");
                POINTER.store(target as *mut (), Ordering::Relaxed);
            }

            #[inline(always)]
            pub(crate) fn by_key($($argument: $type),*) -> $result {
                KEY.call($($argument),*)
            }

            #[inline(always)]
            pub(crate) fn by_pointer($($argument: $type),*) -> $result {
                let target = POINTER.load(Ordering::Relaxed);
                // SAFETY: `choose` has stored a function of this type.
                let target: fn($($type),*) -> $result = unsafe { std::mem::transmute(target) };
                target($($argument),*)
            }
        }
    };
}

/// A hook that may be off, in all its forms.
macro_rules! hook {
    ($vis:vis mod $name:ident: fn($($argument:ident: $type:ty),*)) => {
        $vis mod $name {
            use std::sync::atomic::{AtomicPtr, Ordering};

            static_call::define! {
                pub(crate) static KEY: Option<fn($($argument: $type),*)> = None;
            }
            static POINTER: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

            pub(crate) fn set(target: Option<fn($($type),*)>) {
                KEY.update(target).expect("nothing forbids it");
                let pointer = target.map_or(std::ptr::null_mut(), |target| target as *mut ());
                POINTER.store(pointer, Ordering::Relaxed);
            }

            #[inline(always)]
            pub(crate) fn by_key($($argument: $type),*) {
                KEY.call($($argument),*);
            }

            #[inline(always)]
            pub(crate) fn by_pointer($($argument: $type),*) {
                let pointer = POINTER.load(Ordering::Relaxed);
                // SAFETY: a null pointer is `None`, and otherwise `set` has stored a function of this type.
                let target: Option<fn($($type),*)> = unsafe { std::mem::transmute(pointer) };
                if let Some(target) = target {
                    target($($argument),*);
                }
            }
        }
    };
}

#[path = "programs/case.rs"]
mod case;
#[path = "programs/checksum.rs"]
mod checksum;
#[path = "programs/interpreter.rs"]
mod interpreter;
#[path = "process.rs"]
mod process;
#[path = "programs/requests.rs"]
mod requests;
#[path = "programs/search.rs"]
mod search;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(20_usize);
    let mut text = Vec::new();
    for file in arguments {
        text.extend(std::fs::read(&file).unwrap_or_else(|error| panic!("cannot read {file}: {error}")));
    }
    if text.is_empty() {
        interpreter::hooks(false);
        run(rounds, interpreter::cases("off"));
        process::print();
        return;
    }
    run(rounds, checksum::cases(&text));
    run(rounds, search::cases(&text));
    // Cases whose hooks are off come before those whose hooks are on.
    interpreter::hooks(false);
    run(rounds, interpreter::cases("off"));
    interpreter::hooks(true);
    run(rounds, interpreter::cases("on"));
    requests::hooks(false);
    run(rounds, requests::cases("off"));
    requests::hooks(true);
    run(rounds, requests::cases("on"));
    process::print();
}

/// Runs all cases. Cases that differ only in their form must have the same result.
fn run(rounds: usize, mut cases: Vec<Case<'_>>) {
    let mut found = std::collections::HashMap::new();
    for _ in 0..rounds {
        fastrand::shuffle(&mut cases);
        for Case { name, amount, run } in &cases {
            let start = Instant::now();
            let result = black_box(run());
            println!("{name} {:.1}", *amount as f64 / start.elapsed().as_secs_f64());
            let input = name.rsplit_once('/').map_or("", |(input, _)| input).to_owned();
            assert_eq!(result, *found.entry(input).or_insert(result), "{name} found something else");
        }
    }
}
