//! Lazy dispatch: a default inspects the processor once, updates its own key and calls its choice. Many
//! threads enter it at once, and its updates may be refused.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};

use static_call::{Error, ErrorKind};

static DETECTIONS: AtomicU32 = AtomicU32::new(0);
static ERROR: Mutex<Option<Error>> = Mutex::new(None);
const THREADS: usize = 8;

static_call::define! {
    static COUNT_ONES: fn(u64) -> u32 = detect;
    static REFUSED: fn(u64) -> u32 = detect_refused;
}

fn detect(value: u64) -> u32 {
    DETECTIONS.fetch_add(1, Ordering::Relaxed);
    COUNT_ONES.update(chosen).expect("an update from inside the target");
    // Not through the key: after a refused update, that would recurse for ever.
    chosen(value)
}

fn detect_refused(value: u64) -> u32 {
    DETECTIONS.fetch_add(1, Ordering::Relaxed);
    *ERROR.lock().unwrap() = REFUSED.update(chosen).err();
    chosen(value)
}

/// All calls are right, and each inspects again. Returns why updates were refused.
fn call_refused() -> ErrorKind {
    DETECTIONS.store(0, Ordering::Relaxed);
    for value in 0..20u64 {
        assert_eq!(REFUSED.call(value), value.count_ones());
    }
    assert_eq!(DETECTIONS.load(Ordering::Relaxed), 20);
    ERROR.lock().unwrap().take().expect("an update that was refused").kind()
}

/// The key is sealed before its first call.
pub fn check_sealed() {
    assert_eq!(call_refused(), ErrorKind::Sealed);
}

/// From now on, the process may not make its code writable, and this thread blocks SIGTRAP. False if the
/// kernel lacks the former.
#[cfg(unix)]
pub fn check_masked() -> bool {
    const PR_SET_MDWE: libc::c_int = 65;
    // SAFETY: only takes numbers.
    if unsafe { libc::prctl(PR_SET_MDWE, 1, 0, 0, 0) } != 0 {
        return false;
    }
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut all = std::mem::MaybeUninit::uninit();
            // SAFETY: sigfillset initializes the set before it is read.
            unsafe {
                libc::sigfillset(all.as_mut_ptr());
                libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
            }
            barrier.wait();
            barrier.wait();
        });
        barrier.wait();
        assert_eq!(call_refused(), ErrorKind::SignalBlocked);
        barrier.wait();
    });
    // Once updates are accepted again, one of the next calls is the last to inspect.
    let start = std::time::Instant::now();
    while REFUSED.target() as usize != chosen as *const () as usize {
        assert_eq!(REFUSED.call(7), 3);
        assert!(start.elapsed().as_secs() < 20);
    }
    true
}

fn chosen(value: u64) -> u32 {
    value.count_ones()
}

pub fn check() {
    // Not many times, because threads start slowly in an emulator, and each build and mode does this.
    for _ in 0..50 {
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
