//! A program in Rust and C. Both have keys, and both call and update all of them.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

use static_call::{StaticBranch, static_branch_likely, static_branch_unlikely};

static_call::define! {
    #[cfg_attr(not(target_os = "none"), doc = "For C, too.", unsafe(no_mangle))]
    pub static RUST_KEY: extern "C" fn(c_int) -> c_int = negate;
    #[unsafe(no_mangle)]
    pub static RUST_TRACED: bool = false;
    #[cfg(any())]
    static GONE: bool = false;
}

static_call::declare! {
    // SAFETY: the types of the keys in mixed.c.
    unsafe extern {
        static c_key: extern "C" fn(c_int) -> c_int;
        static c_hook: Option<extern "C" fn(c_int)>;
        /// A key of branches.
        static c_checked: bool;
    }
}

// SAFETY: the types of the functions in mixed.c, all of them safe to call.
unsafe extern "C" {
    safe fn c_calls_c_key(value: c_int) -> c_int;
    safe fn c_calls_rust_key(value: c_int) -> c_int;
    safe fn c_calls_hook(value: c_int);
    safe fn c_updates_rust_key() -> c_int;
    safe fn c_updates_c_key() -> c_int;
    safe fn c_refuses_null() -> c_int;
    safe fn c_is_checked() -> c_int;
    safe fn c_is_traced() -> c_int;
    safe fn c_enables_rusts() -> c_int;
}

extern "C" fn negate(value: c_int) -> c_int {
    -value
}
extern "C" fn square(value: c_int) -> c_int {
    value * value
}

static HOOKED: AtomicI32 = AtomicI32::new(0);
extern "C" fn hook(value: c_int) {
    HOOKED.fetch_add(value, Ordering::Relaxed);
}

pub fn check() {
    assert_eq!((c_key.call(1), c_calls_c_key(1)), (2, 2));
    c_key.update(square).unwrap();
    assert_eq!((c_key.call(3), c_calls_c_key(3)), (9, 9));
    assert_eq!(c_updates_c_key(), 0);
    assert_eq!((c_key.call(3), c_calls_c_key(3)), (5, 5));

    assert_eq!((RUST_KEY.call(3), c_calls_rust_key(3)), (-3, -3));
    assert_eq!(c_updates_rust_key(), 0);
    assert_eq!((RUST_KEY.call(3), c_calls_rust_key(3)), (30, 30));
    const EINVAL: c_int = -22;
    assert_eq!(c_refuses_null(), EINVAL);
    assert_eq!((RUST_KEY.call(3), c_calls_rust_key(3)), (30, 30));
    RUST_KEY.update(negate).unwrap();
    assert_eq!((RUST_KEY.call(3), c_calls_rust_key(3)), (-3, -3));

    let both = || {
        c_hook.call(1);
        c_calls_hook(10);
        HOOKED.swap(0, Ordering::Relaxed)
    };
    assert_eq!((c_hook.target(), both()), (None, 0));
    c_hook.update(Some(hook)).unwrap();
    assert_eq!(both(), 11);
    c_hook.update(None).unwrap();
    assert_eq!(both(), 0);
    check_branches();
}

/// Keys of branches, each asked for and switched in both languages.
fn check_branches() {
    let checked = || (static_branch_likely!(c_checked), c_is_checked(), c_checked.is_enabled());
    let traced = || (static_branch_unlikely!(RUST_TRACED), c_is_traced());
    assert_eq!((checked(), traced()), ((true, 1, true), (false, 0)));
    c_checked.disable().unwrap();
    assert_eq!(c_enables_rusts(), 0);
    assert_eq!((checked(), traced()), ((false, 0, false), (true, 1)));
    c_checked.inc().unwrap();
    RUST_TRACED.disable().unwrap();
    assert_eq!((checked(), traced()), ((true, 1, true), (false, 0)));
    assert_eq!((c_checked.name(), c_checked.count()), ("c_checked", 1));
    assert!(RUST_TRACED.name().ends_with("mixed::RUST_TRACED"));
}
