//! Threads call while another one updates. No result is wrong, or older than the last update that had
//! returned before the call began. This is short, because it is built in every way; `../torture` does
//! everything at once, where there is a POSIX.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const TARGETS: u64 = 8;

/// The last update that returned, and the last one that began.
static FINISHED: AtomicU64 = AtomicU64::new(0);
static BEGUN: AtomicU64 = AtomicU64::new(0);
static STOP: AtomicBool = AtomicBool::new(false);
/// Calls that reached no target, or an old one.
static WRONG: AtomicU64 = AtomicU64::new(0);

fn target<const N: u64>(_: u64) -> u64 {
    N
}

static_call::define! {
    static EPOCH: fn(u64) -> u64 = target::<0>;
    static HOOK: Option<fn(&mut u64)> = None;
}

const FUNCTIONS: [fn(u64) -> u64; TARGETS as usize] =
    [target::<0>, target::<1>, target::<2>, target::<3>, target::<4>, target::<5>, target::<6>, target::<7>];

#[inline(never)]
fn tail(value: u64) -> u64 {
    EPOCH.call(value)
}

#[inline(never)]
fn conditional_tail(value: u64) -> u64 {
    if value == u64::MAX { 99 } else { EPOCH.call(value) }
}

/// Whether `seen` is the target of an epoch in `from..=to`.
fn is_within(seen: u64, from: u64, to: u64) -> bool {
    seen < TARGETS && (to - from >= TARGETS || (from..=to).any(|epoch| epoch % TARGETS == seen))
}

fn read() -> u64 {
    let mut calls = 0;
    while !STOP.load(Ordering::Relaxed) {
        for call in [|v| EPOCH.call(v), tail as fn(u64) -> u64, conditional_tail] {
            let from = FINISHED.load(Ordering::Acquire);
            let seen = call(calls);
            let to = BEGUN.load(Ordering::Acquire);
            if !is_within(seen, from, to) && WRONG.fetch_add(1, Ordering::Relaxed) == 0 {
                println!("target {seen} between epochs {from} and {to}");
            }
            let mut hooked = 0;
            HOOK.call(&mut hooked);
            assert!(hooked <= 1, "{hooked}");
            calls += 2;
        }
    }
    calls
}

/// Calls and updates for that long. `is_early` says that updates are over before they begin, which is wrong
/// on purpose.
fn run(time: Duration, is_early: bool) -> (u64, u64) {
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
        let end = Instant::now() + time;
        let mut epoch = 0;
        while Instant::now() < end {
            epoch += 1;
            BEGUN.store(epoch, Ordering::Release);
            if is_early {
                FINISHED.store(epoch, Ordering::Release);
            }
            EPOCH.update(FUNCTIONS[(epoch % TARGETS) as usize]).unwrap();
            FINISHED.store(epoch, Ordering::Release);
            HOOK.update((epoch % 2 == 0).then_some(|value: &mut u64| *value = 1)).unwrap();
        }
        STOP.store(true, Ordering::Relaxed);
        let calls: u64 = readers.into_iter().map(|reader| reader.join().expect("a reader")).sum();
        (calls, 2 * epoch)
    })
}

pub fn check() {
    let (calls, updates) = run(Duration::from_millis(300), false);
    assert!(updates > 0 && calls > 0);
    assert_eq!(WRONG.load(Ordering::Relaxed), 0, "wrong or stale");
    println!("torture: {calls} calls under {updates} updates, none wrong or stale");
}

/// Nothing but this, for longer: `behaviour torture SECONDS [early]`.
pub fn alone(seconds: u64, is_early: bool) {
    let (calls, updates) = run(Duration::from_secs(seconds), is_early);
    println!("calls {calls}, updates {updates}, wrong {}", WRONG.load(Ordering::Relaxed));
}
