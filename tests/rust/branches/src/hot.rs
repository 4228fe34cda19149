//! Functions whose machine code the test inspects. A branch that is off must be nothing but a no-op.

use static_call::{static_branch_likely, static_branch_unlikely, static_call_lazy};

static_call::define! {
    static HOT: bool = false;
    static WARM: bool = true;
    static LAZY: Option<extern "C" fn(u64, u64, u64, u64)> = None;
}

#[cold]
#[inline(never)]
fn cold(value: u64, other: u64) {
    std::hint::black_box(value + other);
}

/// One addition.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn hot_leaf(value: u64) -> u64 {
    if static_branch_unlikely!(HOT) {
        cold(value, 3);
    }
    value + 1
}

/// The same behind a branch that is on.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn hot_likely(value: u64) -> u64 {
    if static_branch_likely!(WARM) {
        return value + 1;
    }
    cold(value, 4);
    0
}

/// A hook with four arguments, one of which is computed.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn hot_lazy(value: u64) -> u64 {
    static_call_lazy!(LAZY, value, value * 3, 5, value ^ 9);
    value + 1
}

static SEEN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

extern "C" fn see(a: u64, b: u64, c: u64, d: u64) {
    SEEN.store(1000 * a + 100 * b + 10 * c + d, std::sync::atomic::Ordering::Relaxed);
}

/// Arguments are evaluated only while the hook is on, and then once.
fn check_lazy() {
    let mut evaluated = 0;
    let mut work = |value| {
        let mut count = || {
            evaluated += 1;
            value
        };
        static_call_lazy!(LAZY, count(), 0, 0, 0);
    };
    work(1);
    LAZY.update(Some(see)).unwrap();
    work(2);
    LAZY.update(None).unwrap();
    work(3);
    assert_eq!(evaluated, 1);
}

pub fn check() {
    check_lazy();
    SEEN.store(0, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(hot_lazy(1), 2);
    assert_eq!(SEEN.load(std::sync::atomic::Ordering::Relaxed), 0);
    LAZY.update(Some(see)).unwrap();
    assert_eq!(hot_lazy(1), 2);
    assert_eq!(SEEN.load(std::sync::atomic::Ordering::Relaxed), 1000 + 300 + 50 + 8);
    LAZY.update(None).unwrap();
    assert_eq!((hot_leaf(1), hot_likely(1)), (2, 2));
    HOT.enable().unwrap();
    WARM.disable().unwrap();
    assert_eq!((hot_leaf(1), hot_likely(1)), (2, 0));
    HOT.disable().unwrap();
    WARM.enable().unwrap();
}
