//! A program in Rust and C. Both have keys, and both call and update all of them.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

static_call::define! {
    #[cfg_attr(not(windows), doc = "For C, too.", unsafe(no_mangle))]
    pub static RUST_KEY: extern "C" fn(c_int) -> c_int = negate;
}

static_call::declare! {
    // SAFETY: the types of the keys in mixed.c.
    unsafe extern {
        static c_key: extern "C" fn(c_int) -> c_int;
        static c_hook: Option<extern "C" fn(c_int)>;
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
}
