//! The cost of an update, compared with the crate `static-keys`, which patches branches (`nop` or `jmp`) as
//! we patch calls and branches.
//!
//! All three have keys with 10 to 10,000 sites of the same purpose: a hook that is called or not. (Each
//! function passes a different number, so that the compiler does not merge them.) They are switched on
//! and off in turns, and after each change all sites run and are checked. There is one thread, because
//! `static-keys` forbids changes while others run; ours would only have to interrupt them as well. The
//! program builds with the stable compiler, whose `asm!` has labels since Rust 1.87.
//!
//! Prints lines with a crate, a number of sites and nanoseconds of processor time for all of them; and lines
//! with `store`, the cost of a change if every call loads a pointer. `cargo xtask bench` builds it with the
//! pass and counts the sites in the binary.

use std::hint::black_box;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use static_call::{StaticBranch, StaticCall};

#[path = "process.rs"]
mod process;

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

macro_rules! sites {
    (10 $($site:tt)*) => { $($site)* };
    (100 $($site:tt)*) => { ten! { $($site)* } };
    (1000 $($site:tt)*) => { ten! { ten! { $($site)* } } };
    (10000 $($site:tt)*) => { ten! { ten! { ten! { $($site)* } } } };
}

/// Keys with this many sites, a tenth of them in each function.
macro_rules! keys {
    ($($name:ident $sites:tt [$($number:literal)*];)*) => { $(
        mod $name {
            use super::{hook, Size, StaticBranch, StaticCall};
            use static_keys::{define_static_key_false, static_branch_unlikely};

            static_call::define! {
                static OURS: Option<fn(number: u64)> = None;
                static BRANCH: bool = false;
            }
            define_static_key_false!(THEIRS);

            pub(super) const SIZE: Size = Size {
                sites: $sites,
                sum: $sites / 10 * (0 $(+ $number)*),
                info: || OURS.info(),
                branches: || BRANCH.info(),
                update: |is_on| OURS.update(is_on.then_some(hook as fn(u64))).expect("nothing forbids it"),
                switch: |is_on| {
                    if is_on { BRANCH.enable() } else { BRANCH.disable() }.expect("nothing forbids it");
                },
                // SAFETY: no other thread runs, and `main` has called `global_init`.
                toggle: |is_on| unsafe { if is_on { THEIRS.enable() } else { THEIRS.disable() } },
                run_ours: || { $({
                    #[inline(never)]
                    fn ours() {
                        sites! { $sites OURS.call($number); }
                    }
                    ours();
                })* },
                run_branches: || { $({
                    #[inline(never)]
                    fn branches() {
                        sites! { $sites if static_call::static_branch_unlikely!(BRANCH) { hook($number); } }
                    }
                    branches();
                })* },
                run_theirs: || { $({
                    #[inline(never)]
                    fn theirs() {
                        sites! { $sites if static_branch_unlikely!(THEIRS) { hook($number); } }
                    }
                    theirs();
                })* },
            };
        }
    )* };
}

keys! {
    ten 10 [1 2 3 4 5 6 7 8 9 10];
    hundred 100 [11 12 13 14 15 16 17 18 19 20];
    thousand 1000 [21 22 23 24 25 26 27 28 29 30];
}
#[cfg(feature = "many-sites")]
keys! { ten_thousand 10000 [31 32 33 34 35 36 37 38 39 40]; }

/// A key of each crate, with this many sites each.
struct Size {
    sites: u64,
    /// The sum of all sites' numbers.
    sum: u64,
    info: fn() -> static_call::Info,
    branches: fn() -> static_call::Info,
    update: fn(bool),
    switch: fn(bool),
    toggle: fn(bool),
    run_ours: fn(),
    run_branches: fn(),
    run_theirs: fn(),
}

/// Nanoseconds for a change. Checks that all sites followed.
fn change(change: impl FnOnce(), run: fn(), sum: u64) -> f64 {
    let start = processor_time();
    change();
    let nanoseconds = (processor_time() - start).as_secs_f64() * 1e9;
    CALLED.store(0, Ordering::Relaxed);
    run();
    assert_eq!(CALLED.load(Ordering::Relaxed), sum, "a site did not follow");
    nanoseconds
}

/// Nanoseconds per store, over many stores.
fn store() -> f64 {
    const STORES: u32 = 10_000;
    static SLOT: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
    let slot = black_box(&SLOT);
    let targets = [std::ptr::null_mut(), hook as fn(u64) as *mut ()];
    let start = processor_time();
    for number in 0..STORES {
        slot.store(targets[number as usize % 2], Ordering::Release);
    }
    (processor_time() - start).as_secs_f64() * 1e9 / f64::from(STORES)
}

/// This thread's processor time, which excludes waiting for a processor on a busy machine.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(96_usize);
    static_keys::global_init();
    let sizes = [
        ten::SIZE,
        hundred::SIZE,
        thousand::SIZE,
        #[cfg(feature = "many-sites")]
        ten_thousand::SIZE,
    ];
    for size in sizes {
        let info = (size.info)();
        let both = (info.sites as u64, info.direct as u64);
        assert_eq!(both, (size.sites, size.sites), "sites of ours, and those that are patched");
        let info = (size.branches)();
        let branches = (info.branches as u64, info.patched_branches as u64);
        let recorded = if cfg!(all(target_arch = "x86_64", target_os = "linux")) { size.sites } else { 0 };
        assert_eq!(branches, (recorded, recorded), "branches of ours, and those that are patched");
        for round in 0..rounds {
            let is_on = round % 2 == 0;
            let sum = if is_on { size.sum } else { 0 };
            let mut changes = [
                ("ours", size.update, size.run_ours),
                ("branches", size.switch, size.run_branches),
                ("theirs", size.toggle, size.run_theirs),
            ];
            // Each comes first equally often when switching on and when switching off.
            changes.rotate_left(round / 2 % 3);
            for (name, make, run) in changes {
                println!("{name}/{} {:.0}", size.sites, change(|| make(is_on), run, sum));
            }
            println!("store/{} {:.3}", size.sites, store());
        }
    }
    process::print();
}
