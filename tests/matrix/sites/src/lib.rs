//! Calls of another crate's key in every kind of code, and calls in other crates' generic code that is
//! compiled here.

use std::cell::Cell;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use keys::{KEY, OnDrop, Scaled, Site};

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
    keys::check(&[&keys::SITES, &SITES, own], targets);
    println!("macro {MACROS_OWN}");
}
