//! Panics and backtraces pass through sites and trampolines.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

static_call::define! {
    static MAY_PANIC: fn(u32) -> u32 = fine;
    static NEVER: fn(&str) -> ! = give_up;
    static TRACE: fn() -> String = trace;
}

fn trace() -> String {
    Backtrace::force_capture().to_string()
}
fn trace_again() -> String {
    Backtrace::force_capture().to_string() + "again"
}

#[inline(never)]
fn is_traced() -> bool {
    let trace = TRACE.call();
    assert!(trace.contains("unwinding::is_traced") && trace.contains("unwinding::check"), "{trace}");
    trace.ends_with("again")
}

fn fine(value: u32) -> u32 {
    value
}
fn bad(value: u32) -> u32 {
    std::panic::panic_any(value)
}
fn give_up(why: &str) -> ! {
    std::panic::panic_any(why.len())
}

struct Cleanup<'a>(&'a Cell<u32>);

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        // A call while a panic unwinds, from a landing pad.
        self.0.set(self.0.get() + 1);
    }
}

#[inline(never)]
fn guarded(cleaned: &Cell<u32>) -> u32 {
    let _cleanup = Cleanup(cleaned);
    MAY_PANIC.call(42) + 1
}

#[inline(never)]
pub fn check() {
    assert!(!is_traced());
    TRACE.update(trace_again).unwrap();
    assert!(is_traced());
    std::panic::set_hook(Box::new(|_| {}));
    let cleaned = Cell::new(0);
    assert_eq!(guarded(&cleaned), 43);
    MAY_PANIC.update(bad).unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| guarded(&cleaned))).unwrap_err();
    assert_eq!(caught.downcast_ref::<u32>(), Some(&42));
    assert_eq!(cleaned.get(), 2);
    MAY_PANIC.update(fine).unwrap();
    assert_eq!(guarded(&cleaned), 43);
    let caught = catch_unwind(|| NEVER.call("four")).map(|never| never).unwrap_err();
    assert_eq!(caught.downcast_ref::<usize>(), Some(&4));
    let _ = std::panic::take_hook();
}
