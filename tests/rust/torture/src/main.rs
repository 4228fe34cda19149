//! Everything at once: threads call while others update, load and unload a plugin, fork, allocate and raise
//! signals. At the end the process exits in the middle of calls and updates. A result must not be older than
//! the last update that had returned before the call began, and not newer than the last one that had begun
//! when the call ended.
//!
//! ```text
//! torture --seconds N
//! ```
//!
//! `tests/c/torture.c` is the same in C. Both programs use its shared object and its plugin.

mod keys;
mod signals;
mod steps;
mod threads;

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use steps::WORK;
use threads::{COUNTS, STOP, THREADS, fail};

/// The longest time that a thread may take for one step of its work.
const STUCK_AFTER: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = match &arguments[..] {
        [option, seconds] if option == "--seconds" => seconds.parse().ok(),
        _ => None,
    };
    let Some(time) = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) else {
        fail!("usage: torture --seconds N");
    };
    signals::install();
    let threads: Vec<_> = (0..THREADS.len()).map(|index| std::thread::spawn(move || run(index))).collect();
    watch(time);
    for thread in threads {
        if thread.join().is_err() {
            fail!("a thread panicked");
        }
    }

    print!("mode {}, writer {}", static_call::mode(), static_call::writer());
    for (name, count) in COUNTS.named() {
        print!(", {name} {}", count.load(Relaxed));
    }
    println!(", none wrong or stale");

    // The process ends in the middle of calls and updates.
    for work in [0, threads::UPDATER] {
        std::thread::spawn(move || {
            let mut step = WORK[work]();
            loop {
                step(&THREADS[work]);
            }
        });
    }
    std::thread::sleep(Duration::from_millis(1));
}

/// Repeats the thread's step.
fn run(index: usize) {
    let thread = &THREADS[index];
    threads::become_thread(thread);
    let mut step = WORK[index]();
    loop {
        step(thread);
        thread.steps.fetch_add(1, Relaxed);
        if STOP.load(Relaxed) {
            break;
        }
    }
    thread.is_over.store(true, Relaxed);
}

/// Waits for the end, and then for the threads. Fails if one of them makes no progress.
fn watch(time: Duration) {
    let start = Instant::now();
    let mut last = [(0, start); THREADS.len()];
    while !THREADS.iter().all(|thread| thread.is_over.load(Relaxed)) {
        std::thread::sleep(Duration::from_millis(10));
        // On a busy machine, the time may be over before a thread has run.
        let more = if COUNTS.is_each_done() { Duration::ZERO } else { STUCK_AFTER };
        if start.elapsed() >= time + more {
            STOP.store(true, Relaxed);
        }
        for (thread, (seen, since)) in THREADS.iter().zip(&mut last) {
            let steps = thread.steps.load(Relaxed);
            if steps != *seen || thread.is_over.load(Relaxed) {
                (*seen, *since) = (steps, Instant::now());
            }
        }
        if last.iter().any(|(_, since)| since.elapsed() > STUCK_AFTER) {
            for (thread, (steps, since)) in THREADS.iter().zip(&last) {
                let doing = thread.doing();
                eprintln!(
                    "torture: {}: {doing}, {steps} steps, the last one {:.1?} ago",
                    thread.name,
                    since.elapsed()
                );
            }
            fail!("STUCK: no progress in {STUCK_AFTER:?}");
        }
    }
}
