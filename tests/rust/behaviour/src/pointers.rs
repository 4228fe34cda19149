//! Keys that are pointers, from the start and from some moment on: setting them returns nothing.

use static_call::{Key, Pointer, StaticCall};

static_call::define! {
    #[pointer]
    static LEVEL: fn(level: u8) -> bool = never;
    /// Documentation may stand before it and behind it.
    #[pointer]
    /// A hook.
    pub(crate) static HOOK: Option<for<'a> fn(&'a mut u32)> = None;
    static MADE: fn(level: u8) -> bool = never;
}

fn never(_: u8) -> bool {
    false
}
fn errors(level: u8) -> bool {
    level <= 1
}
fn add(sum: &mut u32) {
    *sum += 1;
}

#[inline(never)]
fn are_enabled(level: u8) -> [bool; 2] {
    [LEVEL.call(level), MADE.call(level)]
}

#[inline(never)]
fn hooked() -> u32 {
    let mut sum = 0;
    HOOK.call(&mut sum);
    static_call::static_call_lazy!(HOOK, &mut sum);
    sum
}

/// The calls of these keys, none of which is ever direct.
pub fn sites() -> usize {
    [LEVEL.info(), HOOK.info(), MADE.info()].iter().map(|info| info.sites).sum()
}

pub fn check() {
    assert_eq!((are_enabled(1), hooked()), ([false; 2], 0));
    LEVEL.set(errors);
    assert_eq!(are_enabled(1), [true, false]);
    HOOK.set(Some(add));
    assert_eq!(hooked(), 2);
    HOOK.set(None);
    assert_eq!((hooked(), HOOK.target().is_none()), (0, true));
    assert_eq!([LEVEL.info().direct, HOOK.info().direct], [0; 2]);
    assert_eq!(HOOK.info().patched_branches, 0);

    MADE.update(errors).unwrap();
    let before = MADE.info();
    if static_call::mode() == static_call::Mode::Inline && before.sites > 0 {
        assert_eq!(before.direct, before.sites);
    }
    let made: Pointer<fn(u8) -> bool> = Key::new(&MADE).make_pointer().unwrap();
    assert_eq!(MADE.info().direct, 0);
    assert_eq!(are_enabled(1), [true; 2]);
    made.set(never);
    assert_eq!((are_enabled(1), made.target()(1)), ([true, false], false));
    // Whatever sets it.
    MADE.update(errors).unwrap();
    assert_eq!((are_enabled(1), MADE.info().direct), ([true; 2], 0));
    assert_eq!(made.key(), Key::new(&MADE));
    LEVEL.update_return_zero().unwrap();
    assert_eq!(are_enabled(0), [false, true]);
}
