//! Calls of another crate's key in every kind of code, and calls in other crates' generic code that is
//! compiled here.

use std::cell::Cell;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use keys::{BRANCH, KEY, OnDrop, Scaled, Site};
use static_call::StaticBranch;
use static_call::static_branch_unlikely;

struct Local(u64);

impl From<Local> for u64 {
    fn from(local: Local) -> Self {
        local.0
    }
}

impl Scaled for Local {
    fn value(&self) -> u64 {
        self.0
    }
}

#[inline(never)]
fn inlined(value: u64) -> u64 {
    keys::inlined(value)
}

#[inline(never)]
fn generic(value: u64) -> u64 {
    keys::generic(Local(value))
}

#[inline(never)]
fn default_method(value: u64) -> u64 {
    Local(value).scaled()
}

#[inline(never)]
fn drop_glue(value: u64) -> u64 {
    let result = Cell::new(0);
    drop(black_box(Some(vec![OnDrop(value, &result)])));
    result.get()
}

#[inline(never)]
fn macros_output(value: u64) -> u64 {
    macros::call!(value) + 1
}

#[inline(never)]
fn apply(function: impl Fn(u64) -> u64) -> u64 {
    function(0)
}

#[inline(never)]
fn closure(value: u64) -> u64 {
    apply(|more| KEY.call(8, value + more) + 1)
}

#[inline(never)]
fn in_a_generic_of_std(value: u64) -> u64 {
    let values: Vec<u64> = black_box(vec![value]);
    values.iter().map(|value| KEY.call(9, *value) + 1).sum()
}

#[inline(never)]
fn in_another_thread(value: u64) -> u64 {
    std::thread::spawn(move || KEY.call(10, value) + 1).join().expect("no panic")
}

/// Waits once before it calls.
async fn later(value: u64) -> u64 {
    let mut is_first = true;
    std::future::poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) })
        .await;
    KEY.call(11, value) + 1
}

#[inline(never)]
fn in_async_code(value: u64) -> u64 {
    let mut future = pin!(async { later(value).await });
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    match future.poll(&mut context) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits once"),
    }
}

/// A call with a cleanup if its target unwinds.
#[inline(never)]
fn with_a_clean_up(value: u64) -> u64 {
    let owned = black_box(Box::new(1));
    let result = KEY.call(12, value);
    result + *owned
}

#[inline(never)]
fn conditional_tail(value: u64) -> u64 {
    if value > 3 {
        return KEY.call(13, value);
    }
    value
}

trait Calls {
    fn call(&self, value: u64) -> u64;
}

impl Calls for Local {
    fn call(&self, value: u64) -> u64 {
        KEY.call(14, value) + self.0
    }
}

#[inline(never)]
fn through_a_vtable(value: u64) -> u64 {
    let object: Box<dyn Calls> = black_box(Box::new(Local(1)));
    object.call(value)
}

// SAFETY: the types of the functions in calls.c, both safe to call.
unsafe extern "C" {
    safe fn call_in_c(value: u64) -> u64;
    safe fn tail_call_in_c(value: u64) -> u64;
}

#[inline(never)]
fn in_c(value: u64) -> u64 {
    call_in_c(value)
}

#[inline(never)]
fn tail_in_c(value: u64) -> u64 {
    tail_call_in_c(value)
}

/// A branch on another crate's key.
#[inline(never)]
fn is_branch_on() -> bool {
    static_branch_unlikely!(BRANCH)
}

// SAFETY: the types of the functions in calls.c, which are safe to call.
unsafe extern "C" {
    safe fn is_branch_in_c_on() -> bool;
    /// Returns whether that was possible.
    safe fn switch_branch_in_c(is_on: bool) -> bool;
    safe fn store_to_branch_in_c(is_on: bool);
}

fn switch_branch(is_on: bool) -> bool {
    let switched = if is_on { BRANCH.enable() } else { BRANCH.disable() };
    switched.is_ok()
}

fn store_to_branch(is_on: bool) {
    // SAFETY: nobody else changes it, and what was there comes back before the next update.
    let key = unsafe { BRANCH.key() };
    key.target.store(std::ptr::without_provenance_mut(usize::from(is_on)), Relaxed);
}

/// Switches both branches, and prints which of them do not follow what is stored to their keys behind the
/// runtime's back.
fn check_branches() {
    type Branch = (&'static str, fn() -> bool, fn(bool) -> bool, fn(bool));
    let branches: [Branch; 2] = [
        ("rust", is_branch_on, switch_branch, store_to_branch),
        ("c", || is_branch_in_c_on(), |is_on| switch_branch_in_c(is_on), |is_on| store_to_branch_in_c(is_on)),
    ];
    let mut patched = String::new();
    for (name, ask, switch, store) in branches {
        for is_on in [true, false, true] {
            assert!(switch(is_on) && ask() == is_on, "{name}");
        }
        store(false);
        if ask() {
            patched = patched + " " + name;
        }
        store(true);
    }
    println!("patched{patched}");
    let info = static_call::process_info();
    println!("branches {} {}", info.branches, info.patched_branches);
}

/// How a macro's own call was made inside the compiler.
pub const MACROS_OWN: &str = macros::own_call!();

/// All calls except those of the key's crate.
pub const SITES: [Site; 14] = [
    Site { run: inlined, plus: 1 },
    Site { run: generic, plus: 1 },
    Site { run: default_method, plus: 1 },
    Site { run: drop_glue, plus: 1 },
    Site { run: macros_output, plus: 1 },
    Site { run: closure, plus: 1 },
    Site { run: in_a_generic_of_std, plus: 1 },
    Site { run: in_another_thread, plus: 1 },
    Site { run: in_async_code, plus: 1 },
    Site { run: with_a_clean_up, plus: 1 },
    Site { run: conditional_tail, plus: 0 },
    Site { run: through_a_vtable, plus: 1 },
    Site { run: in_c, plus: 1 },
    Site { run: tail_in_c, plus: 0 },
];

/// Makes these calls, those of the key's crate, and others, and prints how they are made.
pub fn check(own: &[Site], targets: &[extern "C" fn(u32, u64) -> u64]) {
    check_branches();
    keys::check(&[&keys::SITES, &SITES, own], targets);
    println!("macro {MACROS_OWN}");
}
