//! How much callers lose while their key is updated a thousand times per second, or ten thousand times.
//!
//! One thread, bound to its processor, calls in a loop where each call depends on the previous one. Another
//! thread updates the key from another processor. Time slices with and without updates alternate, and two
//! adjacent slices give one ratio, so a longer disturbance affects both. Calls that the scheduler interrupted
//! for another program do not count. The updating thread wakes up equally often in both slices, so only the
//! updates differ. The two targets take the same time.
//!
//! Prints three lines per pair: nanoseconds per call without and with updates, and updates per second. `cargo
//! xtask bench` builds it with the pass and runs it with each writer.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[path = "process.rs"]
mod process;
#[path = "threads.rs"]
mod threads;

use threads::{one, other};

/// The length of a slice, in calls that count: twenty updates and more, and short enough that neighbours
/// resemble each other on a busy machine.
const SLICE: Duration = Duration::from_millis(20);
/// Not measured, so that the updating thread notices the new slice.
const SETTLE: Duration = Duration::from_millis(5);
/// The number of calls between two reads of the clock: short compared with a scheduler's time slice, and long
/// compared with a read.
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

/// Calls for one slice. Returns nanoseconds per call and updates per second.
fn slice(updating: bool) -> (f64, f64) {
    UPDATING.store(updating, Ordering::Relaxed);
    call_for(SETTLE);
    let (start, updates) = (Instant::now(), UPDATES.load(Ordering::Relaxed));
    let nanoseconds = call_for(SLICE);
    (nanoseconds, (UPDATES.load(Ordering::Relaxed) - updates) as f64 / start.elapsed().as_secs_f64())
}

/// Calls until this much time counts. Returns nanoseconds per call.
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

fn update(period: Duration) -> Result<(), static_call::Error> {
    let mut next = Instant::now();
    let mut is_one = true;
    while !ENDED.load(Ordering::Relaxed) {
        // Sleeps until fixed times, because sleeping is imprecise. Does not catch up after a long delay.
        next = (next + period).max(Instant::now() - 20 * period);
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
    let rate = std::env::args().nth(2).and_then(|rate| rate.parse().ok()).unwrap_or(1000.0);
    let updater = thread::spawn(move || {
        threads::stay_on(1);
        update(Duration::from_secs_f64(1.0 / rate))
    });
    // After the other thread has started, which would inherit this binding.
    threads::stay_on(0);
    call_for(SLICE);
    for pair in 0..pairs {
        // Each comes first equally often.
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
