//! Everything at once: threads that call, while others update, load and unload a plugin, fork, and raise
//! signals. Each result is held against what was published around its call: it is never older than the last
//! update that had returned before the call began, and never newer than the last one that had begun when it
//! ended.
//!
//! ```text
//! torture --seconds N
//! ```
//!
//! `tests/c/torture.c` is the same in C; the shared object and the plugin are those of the C program.

mod keys;
mod signals;
mod steps;
mod threads;

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use threads::{COUNTS, STOP, THREADS, fail};

/// How long a thread may take for one step of its work.
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
}

/// What a thread does: its step, again and again.
fn run(index: usize) {
    let thread = &THREADS[index];
    threads::become_thread(thread);
    let mut step = (thread.work)();
    loop {
        step(thread);
        thread.steps.fetch_add(1, Relaxed);
        if STOP.load(Relaxed) {
            break;
        }
    }
    thread.is_over.store(true, Relaxed);
}

/// Waits for the end, and then for the threads; fails if one of them stops making progress.
fn watch(time: Duration) {
    let start = Instant::now();
    let mut last = [(0, start); THREADS.len()];
    while !THREADS.iter().all(|thread| thread.is_over.load(Relaxed)) {
        std::thread::sleep(Duration::from_millis(10));
        if start.elapsed() >= time {
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
