//! The cost of calling a dispatched function, a key that is a pointer, and an object's method, compared with
//! a direct call, with a key of a function, and with a call through an atomic pointer, as programs keep their
//! choice in.
//!
//! As in `calls.rs`, all forms are the same loop around the same function, at four places in a cache line;
//! the direct call's loop has a second copy; and the loops take turns in random order. The arguments are the
//! number of rounds, and what happens before the first call: nothing, `sealed` (updates are refused),
//! `forbidden` (no memory becomes executable any more, by PR_SET_MDWE), or `detected` (something else in the
//! program has asked the standard library for the processor's features).
//!
//! Prints nanoseconds: `first`, of the very first call; `another`, of another function's first; for each
//! round `set` of a key that is a pointer; and for each round those of each loop by its work load, form and
//! place. `cargo xtask bench` builds it with the pass, without it, and without trampolines, where the first
//! call chooses.

use std::arch::asm;
use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Instant;

const CALLS: u32 = 16_384;

static_call::dispatch! {
    fn dispatched(word: u64) -> u64 {
        #[cfg(target_arch = "x86_64")] // no processor since 2017 has it
        "tbm" => absent,
        #[cfg(target_arch = "x86_64")]
        "popcnt" => target,
        #[cfg(target_arch = "aarch64")]
        "crc" => target,
        _ => default,
    }
}

static_call::dispatch! {
    /// The process has chosen for another function before.
    #[inline(never)]
    fn another(word: u64) -> u64 {
        #[cfg(target_arch = "x86_64")]
        "tbm" => absent,
        _ => default,
    }
}

static_call::define! {
    static FUNCTION: fn(word: u64) -> u64 = target;
    #[pointer]
    static SETTING: fn(word: u64) -> u64 = target;
    dyn OBJECT: Step {
        fn step(&self, word: u64) -> u64;
    } = Target;
}

trait Step {
    fn step(&self, word: u64) -> u64;
}

struct Target;

impl Step for Target {
    #[inline(never)]
    fn step(&self, word: u64) -> u64 {
        word.rotate_left(5) ^ 0x9e37_79b9
    }
}

#[inline(always)]
fn through_key(word: u64) -> u64 {
    FUNCTION.call(word)
}

#[inline(always)]
fn through_setting(word: u64) -> u64 {
    SETTING.call(word)
}

#[inline(always)]
fn through_object(word: u64) -> u64 {
    OBJECT.step(word)
}

#[inline(never)]
fn target(word: u64) -> u64 {
    word.rotate_left(5) ^ 0x9e37_79b9
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "tbm")]
fn absent(word: u64) -> u64 {
    word + 1
}

#[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), cold)]
#[inline(never)]
fn default(word: u64) -> u64 {
    target(word)
}

static POINTER: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

#[inline(always)]
fn through_pointer(word: u64) -> u64 {
    let target = POINTER.load(Ordering::Relaxed).cast_const();
    // SAFETY: `main` has stored a function of this type there.
    let target: fn(u64) -> u64 = unsafe { std::mem::transmute(target) };
    target(word)
}

/// Each call's result is the next one's argument.
macro_rules! chain {
    ($word:ident $call:path) => {
        for _ in 0..CALLS {
            $word = $call($word);
            // SAFETY: no instruction. It hides the value from the compiler.
            unsafe { asm!("/* {} */", inout(reg) $word, options(pure, nomem, nostack, preserves_flags)) }
        }
    };
}

/// The calls are independent of each other.
macro_rules! throughput {
    ($word:ident $call:path) => {
        let start = $word;
        for number in 0..CALLS {
            let mut result = $call(start ^ u64::from(number));
            // SAFETY: as above.
            unsafe { asm!("/* {} */", inout(reg) result, options(pure, nomem, nostack, preserves_flags)) }
            $word = $word.wrapping_add(result);
        }
    };
}

struct Loop {
    name: &'static str,
    run: fn(u64) -> u64,
}

macro_rules! loops {
    ($($work:ident [$($form:literal $call:path),*] $skips:tt)*) => {
        [$(loops!(@ $work [$($form $call),*] $skips)),*].concat()
    };
    (@ $work:ident $forms:tt [$($skip:literal)*]) => { [$(loops!(@@ $work $forms $skip)),*].concat() };
    (@@ $work:ident [$($form:literal $call:path),*] $skip:literal) => {
        vec![$(Loop {
            name: concat!(stringify!($work), "/", $form, "/", $skip),
            run: {
                #[inline(never)]
                fn body(mut word: u64) -> u64 {
                    // The comment keeps the compiler from merging equal functions.
                    // SAFETY: nops, at most.
                    unsafe {
                        asm!(concat!("/* ", $form, " */"), options(nomem, nostack, preserves_flags));
                        #[cfg(target_arch = "x86_64")]
                        asm!(
                            ".p2align 6",
                            concat!(".skip ", $skip, ", 0x90"),
                            options(nomem, nostack, preserves_flags)
                        );
                    }
                    $work!(word $call);
                    word
                }
                body
            },
        }),*]
    };
}

impl Clone for Loop {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

/// How long a key that is a pointer takes to be set.
fn set() -> f64 {
    const SETS: u32 = 16;
    let start = Instant::now();
    for _ in 0..SETS {
        SETTING.set(black_box(default));
        SETTING.set(black_box(target));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(2 * SETS)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(200_usize);
    match arguments.next().as_deref() {
        Some("sealed") => {
            // Not everything is protected without the pass.
            let _ = static_call::seal();
        }
        // SAFETY: prctl(2) takes numbers.
        #[cfg(target_arch = "x86_64")]
        Some("detected") => _ = black_box(std::arch::is_x86_feature_detected!("popcnt")),
        Some("forbidden") => {
            // SAFETY: prctl(2) takes numbers only.
            assert_eq!(unsafe { libc::prctl(65, 1, 0, 0, 0) }, 0, "PR_SET_MDWE");
        }
        _ => {}
    }
    let start = Instant::now();
    black_box(dispatched(black_box(1)));
    println!("first {:.1}", start.elapsed().as_secs_f64() * 1e9);
    let start = Instant::now();
    black_box(another(black_box(1)));
    println!("another {:.1}", start.elapsed().as_secs_f64() * 1e9);
    // A compiler that knows what is stored there calls it directly.
    POINTER.store(black_box(target as *const () as *mut ()), Ordering::Relaxed);
    #[rustfmt::skip]
    let mut loops: Vec<Loop> = loops! {
        chain ["direct" target, "again" target, "pointer" through_pointer, "dispatch" dispatched,
            "key" through_key, "object" through_object, "set" through_setting] [0 16 32 48]
        throughput ["direct" target, "again" target, "pointer" through_pointer, "dispatch" dispatched,
            "key" through_key, "object" through_object, "set" through_setting] [0 16 32 48]
    };
    let mut samples = Vec::with_capacity(rounds * (loops.len() + 1));
    let mut expected = std::collections::HashMap::new();
    for _ in 0..rounds {
        samples.push(("set", set()));
        // Each loop inherits the previous one's caches and branch predictor.
        fastrand::shuffle(&mut loops);
        for Loop { name, run } in &loops {
            let start = Instant::now();
            let word = run(black_box(1));
            let nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
            let work = name.split('/').next();
            assert_eq!(word, *expected.entry(work).or_insert(word), "{name} called something else");
            samples.push((*name, nanoseconds));
        }
    }
    for (name, nanoseconds) in samples {
        println!("{name} {nanoseconds:.4}");
    }
}
