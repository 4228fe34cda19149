//! What it costs those who call that the key is updated a thousand times a second meanwhile.
//!
//! One thread calls, in a loop where no call can start before the one before it has returned, and never leaves its
//! processor; another one updates the key from another processor. Slices of time with updates and slices
//! without take turns, and a pair of neighbours gives one ratio: what disturbs the machine for longer disturbs
//! both. Calls that the scheduler interrupted for another program do not count. The updating thread wakes up as
//! often in both slices, so that nothing but the updates differs; and the two targets take the same time.
//!
//! Prints one line a pair: nanoseconds a call without and with updates, and updates a second. `cargo xtask bench`
//! builds it with the pass and runs it with each writer.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PAIRS: usize = 150;
/// Of calls that count. Twenty updates, and short enough for neighbours to be alike on a busy machine.
const SLICE: Duration = Duration::from_millis(20);
/// Not measured, so that the updating thread has seen what slice it is.
const SETTLE: Duration = Duration::from_millis(5);
const PERIOD: Duration = Duration::from_millis(1);
/// Between two looks at the clock: short against the time that the scheduler gives to a thread, and long against a
/// look.
const CALLS: u32 = 100_000;

static_call::define! {
    static BENCH: fn(word: u64) -> u64 = one;
}

#[inline(never)]
fn one(word: u64) -> u64 {
    word.rotate_left(5) ^ 0x9e37_79b9
}

#[inline(never)]
fn other(word: u64) -> u64 {
    word.rotate_left(7) ^ 0x7f4a_7c15
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
    let mut switches = times_interrupted();
    while counted < time {
        let start = Instant::now();
        word = calls(word);
        let elapsed = start.elapsed();
        let before = std::mem::replace(&mut switches, times_interrupted());
        if switches == before {
            counted += elapsed;
            count += f64::from(CALLS);
        }
    }
    black_box(word);
    counted.as_secs_f64() * 1e9 / count
}

/// How often the scheduler has taken the processor from this thread.
fn times_interrupted() -> i64 {
    // SAFETY: all zeros are a value, and getrusage(2) writes another one.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
        usage.ru_nivcsw
    }
}

fn update() -> Result<(), static_call::Error> {
    let mut next = Instant::now();
    let mut is_one = true;
    while !ENDED.load(Ordering::Relaxed) {
        // From one appointed time to the next: sleeping is not exact. What is long past is not made up for.
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

/// Keeps this thread on the processor with this number among those that we may use.
fn stay_on(number: usize) {
    // SAFETY: all zeros are a set of processors; the calls read and write it, and know its size.
    unsafe {
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&allowed), &raw mut allowed), 0);
        let mut processors =
            (0..libc::CPU_SETSIZE as usize).filter(|&processor| libc::CPU_ISSET(processor, &allowed));
        let processor = processors.nth(number).expect("two processors: one to call, one to update");
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

fn main() -> Result<(), static_call::Error> {
    let updater = thread::spawn(|| {
        stay_on(1);
        update()
    });
    // After the other one has started: it would inherit this one's processor.
    stay_on(0);
    call_for(SLICE);
    for pair in 0..PAIRS {
        // Each comes first as often as the other.
        let first_updates = pair % 2 == 1;
        let (first, second) = (slice(first_updates), slice(!first_updates));
        let ((quiet, none), (updated, updates)) =
            if first_updates { (second, first) } else { (first, second) };
        assert!(none < 100.0, "a slice without updates had some");
        println!("{quiet:.4} {updated:.4} {updates:.0}");
    }
    ENDED.store(true, Ordering::Relaxed);
    updater.join().expect("the updating thread does not panic")
}
