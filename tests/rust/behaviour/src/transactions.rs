//! Batches: all changes or none.

use static_call::{Batch, ErrorKind, StaticCall};

static_call::define! {
    static LEFT: fn() -> u32 = one;
    static RIGHT: fn() -> u32 = one;
    static HOOK: Option<fn(&mut u32)> = None;
}

fn one() -> u32 {
    1
}
fn two() -> u32 {
    2
}
fn add(value: &mut u32) {
    *value += 10;
}

#[inline(never)]
fn calls() -> (u32, u32, u32) {
    let mut hooked = 0;
    HOOK.call(&mut hooked);
    (LEFT.call(), RIGHT.call(), hooked)
}

pub fn check() {
    assert_eq!(calls(), (1, 1, 0));
    Batch::new([LEFT.change(two), RIGHT.change(two), HOOK.change(Some(add))]).commit().unwrap();
    assert_eq!(calls(), (2, 2, 10));
    let twice = Batch::new([LEFT.change(one), RIGHT.change(one), LEFT.change(one)]).commit();
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::DuplicateKey);
    assert_eq!(calls(), (2, 2, 10));
    Batch::new([]).commit().unwrap();
    Batch::new([HOOK.change(None)]).commit().unwrap();
    assert_eq!(calls(), (2, 2, 0));
    Batch::new([LEFT.change_return_zero(), RIGHT.change(one)]).commit().unwrap();
    assert_eq!(calls(), (0, 1, 0));
    let error: std::io::Error = twice.unwrap_err().into();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
