//! The cost of calling the same function in every form that a switchable call can have.
//!
//! The goal is that a static call costs at most 1.02 times a direct call. The alignment of a loop alone can
//! make a bigger difference than that. So:
//!
//! - All forms are the same loop around the same function. The direct call's loop has a second copy
//!   (`again`): its ratio's distance from 1 tells how far to trust all others.
//! - In the short work loads, each form has four loops, at distances of 16 bytes in a cache line. (Compilers
//!   align loops to 16 bytes, so these are all possible places.) A loop's name tells where the code before it
//!   starts. A form is compared only with the direct call of the same name, which is at the same place.
//! - The loops take turns in random order, for about twenty microseconds each, and a static call is compared
//!   with the direct call of the same round. A longer disturbance affects both; the median of the ratios
//!   discards what affects only one.
//!
//! The work loads:
//!
//! - `chain`: each call's result is the next call's argument, so no call can start before the previous one
//!   has ended.
//! - `throughput`: the calls are independent of each other.
//! - `neighbours`: a chain in which every other call goes through a table to one of sixteen functions, in
//!   random order.
//! - `sites1` to `sites4096`: a chain of this many consecutive call instructions.
//! - `flush` (on request): `sites256` once, after 32,768 jumps of other code have displaced it in the branch
//!   predictor and in the first-level instruction cache.
//! - `hook`: a chain of direct calls, each followed by a hook that is off; `leaf`: the same without the
//!   calls, so that the hook is the function's only call. `tiny`, `floats` and `hash` are leaves as well: two
//!   instructions, four doubles that live in registers, and a hash of 16 bytes. The hooks of all five are
//!   static calls, static branches (`key`), lazy calls (`lazy`), and what programs use instead.
//!
//! Prints one line per measurement: work load, form, place, and nanoseconds per call. `cargo xtask bench`
//! builds it with the pass, with and without retpolines, runs it in every mode, and also checks the loops'
//! machine code.

use std::arch::asm;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};
use std::time::Instant;

use static_call::static_call_lazy;
use static_keys::{define_static_key_false, static_branch_unlikely};

#[path = "process.rs"]
mod process;

/// A multiple of every number of sites.
const CALLS: u32 = 16_384;

#[cfg(bench_thunk = "retpoline")]
std::arch::global_asm!(include_str!("../c/thunk-retpoline.s"), options(att_syntax));
#[cfg(bench_thunk = "lfence")]
std::arch::global_asm!(include_str!("../c/thunk-lfence.s"), options(att_syntax));

static_call::define! {
    static BENCH: fn(word: u64) -> u64 = other;
    static HOOK: Option<fn(word: u64)> = None;
    static HOOKED: bool = false;
}
define_static_key_false!(HOOK_KEY);

static POINTER: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
static CHOICE: AtomicU8 = AtomicU8::new(1);
static HOOK_IS_ON: AtomicBool = AtomicBool::new(false);
static HOOK_POINTER: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

#[inline(always)]
fn inlined(word: u64) -> u64 {
    word.rotate_left(5) ^ 0x9e37_79b9
}

#[inline(never)]
fn target(word: u64) -> u64 {
    inlined(word)
}

#[inline(never)]
fn other(word: u64) -> u64 {
    word + 1
}

#[inline(always)]
fn through_key(word: u64) -> u64 {
    BENCH.call(word)
}

#[inline(always)]
fn through_pointer(word: u64) -> u64 {
    let target = POINTER.load(Ordering::Relaxed).cast_const();
    // SAFETY: `main` has stored a function of this type there.
    let target: fn(u64) -> u64 = unsafe { std::mem::transmute(target) };
    target(word)
}

trait Step {
    fn step(&self, word: u64) -> u64;
}

struct Target;
struct Other;

impl Step for Target {
    #[inline(never)]
    fn step(&self, word: u64) -> u64 {
        inlined(word)
    }
}

impl Step for Other {
    fn step(&self, word: u64) -> u64 {
        other(word)
    }
}

/// The compiler cannot know which object it is.
static OBJECTS: [&(dyn Step + Sync); 2] = [&Other, &Target];

#[inline(always)]
fn through_object(word: u64) -> u64 {
    OBJECTS[usize::from(CHOICE.load(Ordering::Relaxed))].step(word)
}

#[inline(always)]
fn through_choice(word: u64) -> u64 {
    match CHOICE.load(Ordering::Relaxed) {
        0 => other(word),
        1 => target(word),
        2 => neighbour::<2>(word),
        _ => neighbour::<3>(word),
    }
}

#[inline(never)]
fn neighbour<const NUMBER: u64>(word: u64) -> u64 {
    word.wrapping_mul(2 * NUMBER + 1)
}

static NEIGHBOURS: [fn(u64) -> u64; 16] = [
    neighbour::<0>,
    neighbour::<1>,
    neighbour::<2>,
    neighbour::<3>,
    neighbour::<4>,
    neighbour::<5>,
    neighbour::<6>,
    neighbour::<7>,
    neighbour::<8>,
    neighbour::<9>,
    neighbour::<10>,
    neighbour::<11>,
    neighbour::<12>,
    neighbour::<13>,
    neighbour::<14>,
    neighbour::<15>,
];

#[inline(never)]
fn hook(word: u64) {
    black_box(word);
}

#[inline(always)]
fn no_hook(_: u64) {}

#[inline(always)]
fn static_hook(word: u64) {
    HOOK.call(word);
}

#[inline(always)]
fn lazy_hook(word: u64) {
    static_call_lazy!(HOOK, word);
}

#[inline(always)]
fn key_hook(word: u64) {
    if static_call::static_branch_unlikely!(HOOKED) {
        hook(word);
    }
}

#[inline(always)]
fn branch_hook(word: u64) {
    if HOOK_IS_ON.load(Ordering::Relaxed) {
        hook(word);
    }
}

#[inline(always)]
fn pointer_hook(word: u64) {
    // SAFETY: a null pointer is `None`, and nothing else is stored there.
    let hook: Option<fn(u64)> = unsafe { std::mem::transmute(HOOK_POINTER.load(Ordering::Relaxed)) };
    if let Some(hook) = hook {
        hook(word);
    }
}

#[inline(always)]
fn static_key_hook(word: u64) {
    if static_branch_unlikely!(HOOK_KEY) {
        hook(word);
    }
}

/// Hides a value from the compiler, so that it cannot merge two steps into one.
macro_rules! opaque {
    ($word:ident) => {
        // SAFETY: no instruction.
        unsafe { asm!("/* {} */", inout(reg) $word, options(pure, nomem, nostack, preserves_flags)) }
    };
}

macro_rules! four {
    ($($statement:tt)*) => { $($statement)* $($statement)* $($statement)* $($statement)* };
}

macro_rules! chain {
    ($calls:ident $word:ident $call:path) => {
        for _ in 0..$calls {
            $word = $call($word);
            opaque!($word);
        }
    };
}

macro_rules! throughput {
    ($calls:ident $word:ident $call:path) => {
        let start = $word;
        for number in 0..$calls {
            let mut result = $call(start ^ u64::from(number));
            opaque!(result);
            $word = $word.wrapping_add(result);
        }
    };
}

macro_rules! neighbours {
    ($calls:ident $word:ident $call:path) => {
        let mut random = 1_u64;
        for _ in 0..$calls {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            $word = NEIGHBOURS[(random >> 60) as usize]($word);
            $word = $call($word);
        }
    };
}

macro_rules! hook {
    ($calls:ident $word:ident $hook:path) => {
        for _ in 0..$calls {
            $word = target($word);
            $hook($word);
        }
    };
}

macro_rules! leaf {
    ($calls:ident $word:ident $hook:path) => {
        for _ in 0..$calls {
            four! { $word = inlined($word); opaque!($word); }
            $hook($word);
        }
    };
}

macro_rules! tiny {
    ($calls:ident $word:ident $hook:path) => {
        for _ in 0..$calls {
            $word = inlined($word);
            opaque!($word);
            $hook($word);
        }
    };
}

macro_rules! floats {
    ($calls:ident $word:ident $hook:path) => {
        let mut doubles = [1.0, 2.0, 3.0, 5.0].map(|double| double + $word as f64);
        for number in 0..$calls {
            doubles = [
                doubles[0] * 0.999 + doubles[1],
                doubles[1] * 0.5 + doubles[2],
                doubles[2] * 0.25 + doubles[3],
                doubles[3] * 0.125 + 1.0,
            ];
            $hook(u64::from(number));
        }
        $word = doubles.into_iter().fold($word, |word, double| word ^ double.to_bits());
    };
}

macro_rules! hash {
    ($calls:ident $word:ident $hook:path) => {
        let start = $word;
        for number in 0..$calls {
            let [low, high] = PIECES[number as usize % PIECES.len()];
            let product = u128::from(low ^ start) * u128::from(high ^ 0x9e37_79b9_7f4a_7c15);
            let hash = product as u64 ^ (product >> 64) as u64;
            $word = $word.wrapping_add(hash);
            $hook(hash);
        }
    };
}

/// Pieces of 16 bytes, to hash.
static PIECES: [[u64; 2]; 64] = {
    let mut pieces = [[0; 2]; 64];
    let mut number = 0;
    while number < pieces.len() {
        let word = 0xbf58_476d_1ce4_e5b9_u64.rotate_left(number as u32);
        pieces[number] = [word, word.wrapping_mul(0x94d0_49bb_1331_11eb)];
        number += 1;
    }
    pieces
};

#[cfg(feature = "many-sites")]
macro_rules! sites {
    ($($name:ident $count:literal $call:ident { $($calls:tt)* })*) => { $(
        macro_rules! $name {
            ($times:ident $word:ident $target:path) => {
                for _ in 0..$times / $count {
                    macro_rules! $call { () => { $word = $target($word); } }
                    $($calls)*
                }
            };
        }
    )* };
}

#[cfg(feature = "many-sites")]
sites! {
    sites1 1 one { one!(); }
    sites4 4 one { four! { one!(); } }
    sites16 16 one { four! { four! { one!(); } } }
    sites64 64 one { four! { four! { four! { one!(); } } } }
    sites256 256 one { four! { four! { four! { four! { one!(); } } } } }
    sites1024 1024 one { four! { four! { four! { four! { four! { one!(); } } } } } }
    sites4096 4096 one { four! { four! { four! { four! { four! { four! { one!(); } } } } } } }
}

/// A form's loop at one place in a cache line.
struct Loop {
    name: &'static str,
    run: fn(u32, u64) -> u64,
}

/// The functions have names to make the disassembly readable.
macro_rules! a_loop {
    ($work:ident $form:literal $call:path, $skip:literal) => {
        Loop {
            name: concat!(stringify!($work), "/", $form, "/", $skip),
            run: {
                // SAFETY: nothing else has such a name.
                #[unsafe(export_name = concat!(stringify!($work), "_", $form, "_", $skip))]
                #[inline(never)]
                fn body(calls: u32, mut word: u64) -> u64 {
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
                    $work!(calls word $call);
                    word
                }
                body
            },
        }
    };
}

macro_rules! loops {
    ($($work:ident [$($form:literal $call:path),*] [$($skip:literal)*];)*) => {
        loops!(@ [] $(($work [$($form $call),*] [$($skip)*]))*)
    };
    // A work load's places.
    (@ [$($done:expr,)*] ($work:ident [$($form:literal $call:path),*] [$skip:literal $($skips:literal)*])
        $($rest:tt)*) => {
        loops!(@ [$($done,)* $(a_loop!($work $form $call, $skip),)*]
            ($work [$($form $call),*] [$($skips)*]) $($rest)*)
    };
    (@ [$($done:expr,)*] ($work:ident $forms:tt []) $($rest:tt)*) => { loops!(@ [$($done,)*] $($rest)*) };
    (@ [$($done:expr,)*]) => { &[$($done),*] };
}

#[rustfmt::skip]
const SHORT: &[Loop] = loops! {
    chain ["direct" target, "again" target, "inlined" inlined, "static" through_key,
        "pointer" through_pointer, "object" through_object, "choice" through_choice] [0 16 32 48];
    throughput ["direct" target, "again" target, "inlined" inlined, "static" through_key,
        "pointer" through_pointer, "object" through_object, "choice" through_choice] [0 16 32 48];
    neighbours ["direct" target, "again" target, "static" through_key,
        "pointer" through_pointer, "object" through_object, "choice" through_choice] [0 16 32 48];
    hook ["none" no_hook, "again" no_hook, "static" static_hook, "key" key_hook, "lazy" lazy_hook,
        "branch" branch_hook, "pointer" pointer_hook, "static-keys" static_key_hook] [0 16 32 48];
    leaf ["none" no_hook, "again" no_hook, "static" static_hook, "key" key_hook, "lazy" lazy_hook,
        "branch" branch_hook, "pointer" pointer_hook, "static-keys" static_key_hook] [0 16 32 48];
    tiny ["none" no_hook, "again" no_hook, "static" static_hook, "key" key_hook, "lazy" lazy_hook,
        "branch" branch_hook, "pointer" pointer_hook, "static-keys" static_key_hook] [0 16 32 48];
    floats ["none" no_hook, "again" no_hook, "static" static_hook, "key" key_hook, "lazy" lazy_hook,
        "branch" branch_hook, "pointer" pointer_hook, "static-keys" static_key_hook] [0 16 32 48];
    hash ["none" no_hook, "again" no_hook, "static" static_hook, "key" key_hook, "lazy" lazy_hook,
        "branch" branch_hook, "pointer" pointer_hook, "static-keys" static_key_hook] [0 16 32 48];
};

/// These take the compiler longer than all others.
#[cfg(feature = "many-sites")]
#[rustfmt::skip]
const MANY: &[Loop] = loops! {
    sites1 ["direct" target, "again" target, "static" through_key, "pointer" through_pointer] [0 16 32 48];
    sites4 ["direct" target, "again" target, "static" through_key, "pointer" through_pointer] [0 16 32 48];
    sites16 ["direct" target, "again" target, "static" through_key, "pointer" through_pointer] [0 16 32 48];
    sites64 ["direct" target, "again" target, "static" through_key, "pointer" through_pointer] [0 16 32 48];
    sites256 ["direct" target, "again" target, "static" through_key, "pointer" through_pointer] [0 16 32 48];
    sites1024 ["direct" target, "again" target, "static" through_key, "pointer" through_pointer] [0 32];
    sites4096 ["direct" target, "again" target, "static" through_key, "pointer" through_pointer] [0 32];
};
#[cfg(not(feature = "many-sites"))]
const MANY: &[Loop] = &[];

/// Unrelated code: 256 KiB of jumps.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn flush() {
    // SAFETY: jumps to the next one.
    unsafe { asm!(".rept 32768", "jmp 2f", ".skip 6, 0xcc", "2:", ".endr", options(nomem, nostack)) };
}

const FLUSHED: &str = "sites256";
const FLUSHES: u32 = 8;

/// Nanoseconds per call over sites that the branch predictor has forgotten.
#[cfg(target_arch = "x86_64")]
fn after_flush(run: fn(u32, u64) -> u64) -> f64 {
    let mut nanoseconds = 0.0;
    for _ in 0..FLUSHES {
        flush();
        let start = Instant::now();
        black_box(run(256, black_box(1)));
        nanoseconds += start.elapsed().as_secs_f64() * 1e9;
    }
    nanoseconds / f64::from(256 * FLUSHES)
}

fn main() -> Result<(), static_call::Error> {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(200_usize);
    let only = arguments.next().unwrap_or_default();
    let is_flush = cfg!(target_arch = "x86_64") && only == "flush";
    let only = if is_flush { FLUSHED } else { &only };
    let mut loops: Vec<&Loop> =
        SHORT.iter().chain(MANY).filter(|a_loop| a_loop.name.starts_with(only)).collect();
    BENCH.update(target)?;
    // A compiler that knows what is stored there calls it directly.
    POINTER.store(black_box(target as *const () as *mut ()), Ordering::Relaxed);
    CHOICE.store(black_box(1), Ordering::Relaxed);
    HOOK_IS_ON.store(black_box(false), Ordering::Relaxed);
    HOOK_POINTER.store(black_box(std::ptr::null_mut()), Ordering::Relaxed);
    let mut samples = Vec::with_capacity(rounds * loops.len());
    let mut expected = std::collections::HashMap::new();
    for _ in 0..rounds {
        // Each loop inherits the previous one's caches and branch predictor.
        fastrand::shuffle(&mut loops);
        for &&Loop { name, run } in &loops {
            let start = Instant::now();
            let word = run(CALLS, black_box(1));
            let mut nanoseconds = start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
            let work = name.split('/').next();
            assert_eq!(word, *expected.entry(work).or_insert(word), "{name} called something else");
            #[cfg(target_arch = "x86_64")]
            if is_flush {
                nanoseconds = after_flush(run);
            }
            samples.push((name, nanoseconds));
        }
    }
    for (name, nanoseconds) in samples {
        let name = if is_flush { name.replacen(FLUSHED, "flush", 1) } else { name.to_owned() };
        println!("{name} {nanoseconds:.4}");
    }
    process::print();
    Ok(())
}
