//! What callers lose while their key is updated a thousand times a second.
//!
//! One thread calls, in a loop where each call starts after the last one has returned, and never leaves its
//! processor. Another thread updates the key from another processor. Slices of time with updates and
//! slices without take turns, and a pair of neighbours gives one ratio: what disturbs the machine for longer
//! disturbs both. Calls that the scheduler interrupted for another program do not count. The updating thread
//! wakes up as often in both slices, so that nothing but the updates differs; and the two targets take the
//! same time.
//!
//! Prints three lines a pair: nanoseconds a call without and with updates, and updates a second. `cargo xtask
//! bench` builds it with the pass and runs it with each writer.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[path = "process.rs"]
mod process;
#[path = "threads.rs"]
mod threads;

use threads::{one, other};

/// Of calls that count. Twenty updates, and short enough for neighbours to be alike on a busy machine.
const SLICE: Duration = Duration::from_millis(20);
/// Not measured, so that the updating thread has seen what slice it is.
const SETTLE: Duration = Duration::from_millis(5);
const PERIOD: Duration = Duration::from_millis(1);
/// Between two looks at the clock: short against the time that the scheduler gives to a thread, and long
/// against a look.
const CALLS: u32 = 100_000;

static_call::define! {
    static BENCH: fn(word: u64) -> u64 = one;
}

static UPDATING: AtomicBool = AtomicBool::new(false);
static UPDATES: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicBool = AtomicBool::new(false);

#[inline(never)]
fn calls(mut word: u64) -> u64 {
    for _ in 0..CALLS {
        word = BENCH.call(word);
    }
    word
}

/// Calls for a slice: nanoseconds a call, and updates a second.
fn slice(updating: bool) -> (f64, f64) {
    UPDATING.store(updating, Ordering::Relaxed);
    call_for(SETTLE);
    let (start, updates) = (Instant::now(), UPDATES.load(Ordering::Relaxed));
    let nanoseconds = call_for(SLICE);
    (nanoseconds, (UPDATES.load(Ordering::Relaxed) - updates) as f64 / start.elapsed().as_secs_f64())
}

/// Calls until so much time counts: nanoseconds a call.
fn call_for(time: Duration) -> f64 {
    let mut word = black_box(1);
    let (mut counted, mut count) = (Duration::ZERO, 0.0);
    let mut switches = threads::times_interrupted();
    while counted < time {
        let start = Instant::now();
        word = calls(word);
        let elapsed = start.elapsed();
        let before = std::mem::replace(&mut switches, threads::times_interrupted());
        if switches == before {
            counted += elapsed;
            count += f64::from(CALLS);
        }
    }
    black_box(word);
    counted.as_secs_f64() * 1e9 / count
}

fn update() -> Result<(), static_call::Error> {
    let mut next = Instant::now();
    let mut is_one = true;
    while !ENDED.load(Ordering::Relaxed) {
        // Sleeps until fixed times, since sleeping is not exact. A long delay is not made up for.
        next = (next + PERIOD).max(Instant::now() - 20 * PERIOD);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        if UPDATING.load(Ordering::Relaxed) {
            is_one = !is_one;
            BENCH.update(if is_one { one } else { other })?;
            UPDATES.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn main() -> Result<(), static_call::Error> {
    let pairs = std::env::args().nth(1).and_then(|pairs| pairs.parse().ok()).unwrap_or(150_usize);
    let updater = thread::spawn(|| {
        threads::stay_on(1);
        update()
    });
    // After the other one has started: it would inherit this one's processor.
    threads::stay_on(0);
    call_for(SLICE);
    for pair in 0..pairs {
        // Each comes first as often as the other.
        let first_updates = pair % 2 == 1;
        let (first, second) = (slice(first_updates), slice(!first_updates));
        let ((quiet, none), (updated, updates)) =
            if first_updates { (second, first) } else { (first, second) };
        assert!(none < 100.0, "a slice without updates had some");
        println!("quiet {quiet:.4}\nupdated {updated:.4}\nupdates {updates:.0}");
    }
    process::print();
    ENDED.store(true, Ordering::Relaxed);
    updater.join().expect("the updating thread does not panic")
}
