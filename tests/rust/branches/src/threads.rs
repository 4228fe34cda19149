//! Threads run branches while others switch them. Each branch follows a state of its key between the last
//! update that had ended when it began and the first that had not begun when it ended.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use static_call::{Batch, StaticCall, static_branch_likely, static_branch_unlikely};

static_call::define! {
    static FIRST: bool = false;
    static SECOND: bool = false;
    static THIRD: bool = false;
    static CALLED: fn() -> u64 = even;
}

fn even() -> u64 {
    0
}
fn odd() -> u64 {
    1
}

/// Updates that have begun, and updates that are over.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicU64 = AtomicU64::new(0);
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// The state of each key after this many updates: the bits of a number. The call shows the first one too.
fn state(updates: u64) -> u64 {
    let mixed = updates.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61;
    mixed & 7 | (mixed & 1) << 3
}

/// The branches' results, each at its own moment. Both kinds of branch are read, which may differ during an
/// update.
#[inline(never)]
fn observe() -> [u64; 7] {
    [
        u64::from(static_branch_unlikely!(FIRST)),
        u64::from(static_branch_unlikely!(SECOND)) << 1,
        u64::from(static_branch_unlikely!(THIRD)) << 2,
        CALLED.call() << 3,
        u64::from(static_branch_likely!(FIRST)),
        u64::from(static_branch_likely!(SECOND)) << 1,
        u64::from(static_branch_likely!(THIRD)) << 2,
    ]
}

const BITS: [u64; 7] = [1, 2, 4, 8, 1, 2, 4];

fn read() -> (u64, u64) {
    let (mut all, mut exact) = (0, 0);
    while !IS_OVER.load(Ordering::Relaxed) {
        let over = OVER.load(Ordering::Acquire);
        let seen = observe();
        let begun = BEGUN.load(Ordering::Acquire);
        for (seen, bit) in seen.into_iter().zip(BITS) {
            let is_one = (over..=begun).any(|updates| state(updates) & bit == seen);
            assert!(is_one, "{bit}: {seen} is none of the states from {over} to {begun}");
        }
        all += 1;
        exact += u64::from(over == begun);
    }
    (all, exact)
}

pub fn check() {
    let updater = || {
        let mut updates = 0;
        // This is short, because it is built in every way; `../../torture` does everything at once.
        let end = Instant::now() + Duration::from_millis(250);
        while Instant::now() < end || updates <= 10 {
            updates += 1;
            let next = state(updates);
            BEGUN.store(updates, Ordering::SeqCst);
            let called: fn() -> u64 = if next & 8 != 0 { odd } else { even };
            Batch::new([
                FIRST.change(next & 1 != 0),
                CALLED.change(called),
                SECOND.change(next & 2 != 0),
                THIRD.change(next & 4 != 0),
            ])
            .commit()
            .unwrap();
            OVER.store(updates, Ordering::SeqCst);
            let seen = observe();
            assert!(seen.into_iter().zip(BITS).all(|(seen, bit)| next & bit == seen), "stale: {seen:?}");
            if updates % 3 == 0 {
                thread::yield_now();
            }
        }
        IS_OVER.store(true, Ordering::Relaxed);
        updates
    };
    let (updates, reads) = thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(read)).collect();
        let updates = updater();
        (updates, readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>())
    });
    let (all, exact) = reads.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(updates > 10 && all > 10, "{updates} updates, {all} reads");
    println!("updates {updates}, reads {all}, of one state {exact}");
    Batch::new([FIRST.change(false), CALLED.change(even), SECOND.change(false), THIRD.change(false)])
        .commit()
        .unwrap();
}
