//! Batches: all changes or none.

use std::collections::HashMap;

use static_call::{Batch, Change, ErrorKind, Key, StaticCall};

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

/// Handles of keys, whatever each is called.
static KEYS: [Key<fn() -> u32>; 2] = [Key::new(&LEFT), Key::new(&RIGHT)];
static HOOKS: [Key<Option<fn(&mut u32)>>; 1] = [Key::new(&HOOK)];

pub fn check() {
    one_by_one();
    by_handles();
}

fn one_by_one() {
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

fn by_handles() {
    for key in KEYS {
        key.update(one).unwrap();
    }
    let by_name: HashMap<&str, Key<_>> = KEYS.iter().map(|&key| (key.name(), key)).collect();
    assert_eq!(by_name.len(), 2);
    assert_eq!(by_name[StaticCall::name(&RIGHT)], Key::new(&RIGHT));
    assert_ne!(KEYS[0], KEYS[1]);
    assert!(format!("{:?}", KEYS[0]).ends_with("LEFT\")"));

    std::thread::spawn(|| KEYS.map(|key| key.update(two).unwrap())).join().unwrap();
    assert_eq!(calls(), (2, 2, 0));
    assert_eq!(KEYS.map(|key| (key.target())()), [2, 2]);
    assert_eq!(KEYS[0].info(), StaticCall::info(&LEFT));

    assert!(HOOKS[0].target().is_none());
    HOOKS[0].update(Some(add)).unwrap();
    assert_eq!(calls(), (2, 2, 10));
    HOOKS[0].update(None).unwrap();
    assert_eq!(calls(), (2, 2, 0));

    // From an iterator, and from a slice, whose changes then lead back.
    KEYS.iter().map(|key| key.change(one)).collect::<Batch<_>>().commit().unwrap();
    assert_eq!(calls(), (1, 1, 0));
    let mut changes: Vec<Change> = KEYS.iter().map(|key| key.change(two)).collect();
    changes.push(HOOKS[0].change(Some(add)));
    Batch::new(&mut changes[..2]).commit().unwrap();
    assert_eq!(calls(), (2, 2, 0));
    Batch::new(&mut changes[..]).commit().unwrap();
    assert_eq!(calls(), (1, 1, 10));
    Batch::new(&mut changes).commit().unwrap();
    assert_eq!(calls(), (2, 2, 0));
    let twice = Batch::new(vec![changes[0], changes[1], changes[0]]).commit();
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::DuplicateKey);
    assert_eq!(calls(), (2, 2, 0));
}
