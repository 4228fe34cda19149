//! Lazy dispatch: a default that looks at the processor once, updates its own key and calls through,
//! entered by many threads at once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};

static DETECTIONS: AtomicU32 = AtomicU32::new(0);
const THREADS: usize = 8;

static_call::define! {
    static COUNT_ONES: fn(u64) -> u32 = detect;
}

fn detect(value: u64) -> u32 {
    DETECTIONS.fetch_add(1, Ordering::Relaxed);
    COUNT_ONES.update(chosen).expect("an update from inside the target");
    COUNT_ONES.call(value)
}

fn chosen(value: u64) -> u32 {
    value.count_ones()
}

pub fn check() {
    for _ in 0..200 {
        COUNT_ONES.update(detect).unwrap();
        DETECTIONS.store(0, Ordering::Relaxed);
        let barrier = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS as u64 {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    for value in 0..100 {
                        assert_eq!(COUNT_ONES.call(value + thread), (value + thread).count_ones());
                    }
                });
            }
        });
        let detections = DETECTIONS.load(Ordering::Relaxed) as usize;
        assert!((1..=THREADS).contains(&detections), "{detections}");
        assert_eq!(COUNT_ONES.target() as usize, chosen as *const () as usize);
    }
}
