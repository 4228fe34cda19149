//! Keys that can be off, and keys that return zero.

use std::sync::atomic::{AtomicU32, Ordering};

static CALLS: AtomicU32 = AtomicU32::new(0);
static DROPS: AtomicU32 = AtomicU32::new(0);

/// Counts how often it is dropped.
#[derive(Clone)]
pub struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        DROPS.fetch_add(1, Ordering::Relaxed);
    }
}

static_call::define! {
    static OFF: Option<fn(&str, u64)> = None;
    static ON: Option<fn(u64)> = Some(count);
    static OWNED: Option<fn(Counted, String, [Counted; 2])> = None;
    static STACK: Option<fn(u64, u64, u64, u64, u64, u64, u64, u64, [u64; 8])> = None;
    static UNSAFE: Option<unsafe extern "C" fn(*const u8)> = None;

    static FLAG: fn(u32) -> bool = |_| true;
    static NUMBER: fn(u32) -> i64 = |value| i64::from(value);
    static POINTER: fn(&u32) -> *const u32 = |value| value;
    static CONSUMES: fn(Counted) -> u8 = |_| 5;

    #[return_zero]
    static LEVEL: fn() -> u8;
    /// Documented.
    #[return_zero]
    static BORROWED: for<'a> fn(&'a u32) -> Option<&'a u32>;
    #[return_zero]
    static OWNER: fn(Counted) -> Option<std::ptr::NonNull<u32>>;
    #[return_zero]
    static NOTHING: fn(u64);
}

fn calls() -> u32 {
    CALLS.swap(0, Ordering::Relaxed)
}
fn drops() -> u32 {
    DROPS.swap(0, Ordering::Relaxed)
}

fn count(_: u64) {
    CALLS.fetch_add(1, Ordering::Relaxed);
}
fn count_named(_: &str, value: u64) {
    count(value);
}

/// As a function's last operation: a tail call.
#[inline(never)]
fn tail(value: u64) {
    OFF.call("tail", value + 1);
}

#[inline(never)]
fn conditional_tail(value: u64) {
    if value > 3 {
        ON.call(value);
    }
}

#[inline(never)]
fn tail_flag(value: u32) -> bool {
    FLAG.call(value + 1)
}

pub fn check() {
    assert!(OFF.target().is_none());
    OFF.call("a", 1);
    tail(1);
    assert_eq!(calls(), 0);
    OFF.update(Some(count_named)).unwrap();
    assert!(OFF.target().is_some());
    OFF.call("a", 1);
    tail(1);
    assert_eq!(calls(), 2);
    OFF.update(None).unwrap();
    assert!(OFF.target().is_none());
    OFF.call("a", 1);
    tail(1);
    assert_eq!(calls(), 0);

    ON.call(1);
    conditional_tail(4);
    conditional_tail(3);
    assert_eq!(calls(), 2);
    ON.update(None).unwrap();
    ON.call(1);
    conditional_tail(4);
    assert_eq!(calls(), 0);
    ON.update(Some(count)).unwrap();
    conditional_tail(4);
    assert_eq!(calls(), 1);

    // While the hook is off, each argument is still dropped once.
    OWNED.call(Counted, "a".repeat(40), [Counted, Counted]);
    assert_eq!(drops(), 3);
    OWNED.update(Some(|_, _, _| {})).unwrap();
    OWNED.call(Counted, "a".repeat(40), [Counted, Counted]);
    assert_eq!(drops(), 3);
    OWNED.update(None).unwrap();
    OWNED.call(Counted, "a".repeat(40), [Counted, Counted]);
    assert_eq!(drops(), 3);

    STACK.call(1, 2, 3, 4, 5, 6, 7, 8, [9; 8]);
    STACK
        .update(Some(|a, b, c, d, e, f, g, h, i| assert_eq!(a + b + c + d + e + f + g + h + i[7], 45)))
        .unwrap();
    STACK.call(1, 2, 3, 4, 5, 6, 7, 8, [9; 8]);
    // SAFETY: nothing reads the pointer.
    unsafe { UNSAFE.call(std::ptr::null()) };

    assert!(FLAG.call(1) && tail_flag(1));
    FLAG.update_return_zero().unwrap();
    assert!(!FLAG.call(1) && !tail_flag(1));
    FLAG.update(|value| value == 2).unwrap();
    assert!(!FLAG.call(1) && tail_flag(1));
    NUMBER.update_return_zero().unwrap();
    assert_eq!(NUMBER.call(7), 0);
    // A separate function, because a direct call of a target would look like a call of the key to the tests.
    assert_eq!(std::hint::black_box(NUMBER.target())(7), 0);
    POINTER.update_return_zero().unwrap();
    assert!(POINTER.call(&7).is_null());
    CONSUMES.update_return_zero().unwrap();
    assert_eq!((CONSUMES.call(Counted), drops()), (0, 1));

    zero_at_first();
}

/// Keys that return zero until they are updated, and results that are no integers.
fn zero_at_first() {
    static SEVEN: u32 = 7;
    assert_eq!((LEVEL.call(), BORROWED.call(&7), OWNER.call(Counted), drops()), (0, None, None, 1));
    NOTHING.call(1);
    assert_eq!(std::hint::black_box(LEVEL.target())(), 0);
    LEVEL.update(|| 3).unwrap();
    BORROWED.update(|value| Some(value)).unwrap();
    OWNER.update(|_| Some(std::ptr::NonNull::from(&SEVEN))).unwrap();
    NOTHING.update(count).unwrap();
    NOTHING.call(1);
    assert_eq!((LEVEL.call(), BORROWED.call(&7), calls()), (3, Some(&7), 1));
    assert_eq!((OWNER.call(Counted), drops()), (Some(std::ptr::NonNull::from(&SEVEN)), 1));
    LEVEL.update_return_zero().unwrap();
    OWNER.update_return_zero().unwrap();
    NOTHING.update_return_zero().unwrap();
    NOTHING.call(1);
    assert_eq!((LEVEL.call(), OWNER.call(Counted), drops(), calls()), (0, None, 1, 0));
}
