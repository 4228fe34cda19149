//! The cost of an update, beside the crate `static-keys`, which patches branches (`nop` or `jmp`) as we do calls.
//!
//! One key of each, with a thousand sites of the same purpose: a hook that is called, or not. (Each function
//! passes another number, or the compiler would make one of them all.) Both are switched on and off in turns, and
//! after each change all sites of both run and have to do as they should. There is one thread, since `static-keys`
//! forbids changes while others run; ours would only have to interrupt them as well. It builds with the stable
//! compiler: `asm!` has had labels since Rust 1.87.
//!
//! Prints one line a pair: nanoseconds of processor time for all sites of ours and of theirs. `cargo xtask bench` builds it with the
//! pass, and counts the sites in the binary.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use static_call::StaticCall;
use static_keys::{define_static_key_false, static_branch_unlikely};

const SITES: u64 = 1_000;
const PAIRS: usize = 200;

static_call::define! {
    static OURS: Option<fn(number: u64)> = None;
}
define_static_key_false!(THEIRS);

static CALLED: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn hook(number: u64) {
    CALLED.fetch_add(number, Ordering::Relaxed);
}

macro_rules! ten {
    ($($statement:tt)*) => {
        $($statement)* $($statement)* $($statement)* $($statement)* $($statement)*
        $($statement)* $($statement)* $($statement)* $($statement)* $($statement)*
    };
}

/// Functions of a hundred sites.
macro_rules! functions {
    ($($number:literal $ours:ident $theirs:ident,)*) => {
        $(
            #[inline(never)]
            fn $ours() {
                ten! { ten! { OURS.call($number); } }
            }

            #[inline(never)]
            fn $theirs() {
                ten! { ten! { if static_branch_unlikely!(THEIRS) { hook($number); } } }
            }
        )*

        /// What all sites together add.
        const SUM: u64 = 100 * (0 $(+ $number)*);

        fn run_ours() {
            $($ours();)*
        }

        fn run_theirs() {
            $($theirs();)*
        }
    };
}

functions! {
    1 ours_1 theirs_1,
    2 ours_2 theirs_2,
    3 ours_3 theirs_3,
    4 ours_4 theirs_4,
    5 ours_5 theirs_5,
    6 ours_6 theirs_6,
    7 ours_7 theirs_7,
    8 ours_8 theirs_8,
    9 ours_9 theirs_9,
    10 ours_10 theirs_10,
}

/// Nanoseconds for a change, which all sites have to follow.
fn change(change: impl FnOnce(), run: fn(), sum: u64) -> f64 {
    let start = processor_time();
    change();
    let nanoseconds = (processor_time() - start).as_secs_f64() * 1e9;
    CALLED.store(0, Ordering::Relaxed);
    run();
    assert_eq!(CALLED.load(Ordering::Relaxed), sum, "a site did not follow");
    nanoseconds
}

/// What this thread has used: on a busy machine, a thread that waits for its turn does not work.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() {
    static_keys::global_init();
    let info = OURS.info();
    assert_eq!(
        (info.sites as u64, info.direct as u64),
        (SITES, SITES),
        "sites of ours, and those that are patched"
    );
    for pair in 0..PAIRS {
        let is_on = pair % 2 == 0;
        let sum = if is_on { SUM } else { 0 };
        let update = || OURS.update(is_on.then_some(hook as fn(u64))).expect("nothing forbids it");
        // SAFETY: no other thread runs, and `global_init` was called.
        let toggle = || unsafe { if is_on { THEIRS.enable() } else { THEIRS.disable() } };
        let ours = change(update, run_ours, sum);
        let theirs = change(toggle, run_theirs, sum);
        println!("{ours:.0} {theirs:.0}");
    }
}
