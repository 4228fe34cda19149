//! How long an update of the key holds up a caller.
//!
//! One thread, bound to its processor, calls and reads the clock after each call. Another thread updates the
//! key about ten thousand times per second from another processor. Time slices with and without updates
//! alternate, so the machine's own pauses show in both. The updating thread announces each of its periods,
//! with or without an update, so that the caller can record the longest pause of each. Periods in which the
//! scheduler ran another program do not count.
//!
//! `pauses PERIODS one|many`: until so many periods of each kind count, with a key of one site or of a
//! thousand; on a machine that is so busy that this takes long, fewer. Prints lines of a slice's kind,
//! `call`, `pause` (2 µs and more from call to call), `period` or `update` (from its start to its end, as the
//! updating thread sees it), a percentile, and nanoseconds; and of `number`, how many pauses a period had,
//! and how many periods had so many. `cargo xtask bench` builds it with the pass and runs it with each
//! writer.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

#[path = "process.rs"]
mod process;
#[path = "threads.rs"]
mod threads;

use threads::{one, other};

const SLICE: Duration = Duration::from_millis(50);
const PERIOD: Duration = Duration::from_micros(80);
/// No call takes as long as this.
const PAUSE: u64 = 2_000;
const PERCENTILES: [&str; 6] = ["50", "90", "99", "99.9", "99.99", "99.999"];

static_call::define! {
    static ONE: fn(word: u64) -> u64 = one;
    static MANY: fn(word: u64) -> u64 = one;
}

macro_rules! ten {
    ($($statement:tt)*) => {
        $($statement)* $($statement)* $($statement)* $($statement)* $($statement)*
        $($statement)* $($statement)* $($statement)* $($statement)* $($statement)*
    };
}

/// A thousand sites that never run.
#[inline(never)]
fn many_sites(mut word: u64) -> u64 {
    ten! { ten! { ten! { word = MANY.call(word); } } }
    word
}

static UPDATING: AtomicBool = AtomicBool::new(false);
static PERIODS: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicBool = AtomicBool::new(false);

/// Makes updates and records how long each took.
fn update(
    change: impl Fn(bool) -> Result<(), static_call::Error>,
) -> Result<Histogram<u64>, static_call::Error> {
    let mut durations = histogram();
    let mut next = Instant::now();
    let mut is_one = true;
    while !ENDED.load(Ordering::Relaxed) {
        next = (next + PERIOD).max(Instant::now());
        // A sleep would end too late.
        while Instant::now() < next {
            std::hint::spin_loop();
        }
        PERIODS.fetch_add(1, Ordering::Relaxed);
        if UPDATING.load(Ordering::Relaxed) {
            is_one = !is_one;
            let start = Instant::now();
            change(is_one)?;
            durations.saturating_record(start.elapsed().as_nanos() as u64);
        }
    }
    Ok(durations)
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 10_000_000_000, 3).expect("sound bounds")
}

fn print(name: &str, histogram: &Histogram<u64>) {
    for percentile in PERCENTILES {
        let quantile = percentile.parse::<f64>().expect("a number") / 100.0;
        println!("{name}/p{percentile} {}", histogram.value_at_quantile(quantile));
    }
    println!("{name}/max {}\n{name}/count {}", histogram.max(), histogram.len());
}

/// The caller's observations in one kind of slice.
struct Pauses {
    calls: Histogram<u64>,
    pauses: Histogram<u64>,
    periods: Histogram<u64>,
    /// The number of periods with no pause, with one, and so on; the last element includes all with more.
    numbers: [u64; 6],
}

impl Pauses {
    fn new() -> Self {
        Self { calls: histogram(), pauses: histogram(), periods: histogram(), numbers: [0; 6] }
    }

    fn print(&self, slice: &str) {
        print(&format!("{slice}/call"), &self.calls);
        print(&format!("{slice}/pause"), &self.pauses);
        print(&format!("{slice}/period"), &self.periods);
        for (number, periods) in self.numbers.iter().enumerate() {
            println!("{slice}/number/{number} {periods}");
        }
    }
}

/// Calls for one slice.
fn slice(pauses: &mut Pauses, call: impl Fn(u64) -> u64) {
    let start = Instant::now();
    let (mut last, mut longest, mut word) = (start, 0, black_box(1));
    // Of the current period.
    let mut found = Vec::with_capacity(64);
    let mut period = PERIODS.load(Ordering::Relaxed);
    let mut switches = threads::times_interrupted();
    // The first period began before the slice did.
    let mut is_whole = false;
    while last - start < SLICE {
        word = call(word);
        let now = Instant::now();
        let pause = (now - last).as_nanos() as u64;
        last = now;
        longest = longest.max(pause);
        if is_whole {
            pauses.calls.saturating_record(pause);
        }
        if pause >= PAUSE {
            found.push(pause);
        }
        let current = PERIODS.load(Ordering::Relaxed);
        if current != period {
            period = current;
            let before = std::mem::replace(&mut switches, threads::times_interrupted());
            if is_whole && before == switches {
                pauses.periods.saturating_record(longest);
                let most = pauses.numbers.len() - 1;
                pauses.numbers[found.len().min(most)] += 1;
                for &pause in &found {
                    pauses.pauses.saturating_record(pause);
                }
            }
            is_whole = true;
            longest = 0;
            found.clear();
            last = Instant::now();
        }
    }
    black_box(word);
}

fn main() -> Result<(), static_call::Error> {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().and_then(|number| number.parse().ok()).unwrap_or(10_000);
    let has_many = arguments.next().is_some_and(|kind| kind == "many");
    black_box(many_sites(black_box(1)));
    let updater = thread::spawn(move || {
        threads::stay_on(1);
        let target = |is_one| if is_one { one as fn(u64) -> u64 } else { other };
        if has_many {
            update(|is_one| MANY.update(target(is_one)))
        } else {
            update(|is_one| ONE.update(target(is_one)))
        }
    });
    // After the other thread has started, which would inherit this binding.
    threads::stay_on(0);
    let mut pauses = [Pauses::new(), Pauses::new()];
    let start = Instant::now();
    let patience = 10 * PERIOD * wanted.try_into().unwrap_or(u32::MAX);
    for number in 0_u64.. {
        let is_updating = number % 2 == 1;
        let has_enough = || pauses.iter().all(|pauses| pauses.periods.len() >= wanted);
        if !is_updating && (has_enough() || start.elapsed() > patience) {
            break;
        }
        UPDATING.store(is_updating, Ordering::Relaxed);
        let pauses = &mut pauses[usize::from(is_updating)];
        if has_many { slice(pauses, |word| MANY.call(word)) } else { slice(pauses, |word| ONE.call(word)) }
    }
    ENDED.store(true, Ordering::Relaxed);
    let durations = updater.join().expect("the updating thread does not panic")?;
    pauses[0].print("quiet");
    pauses[1].print("updates");
    print("updates/update", &durations);
    process::print();
    Ok(())
}
