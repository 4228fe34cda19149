//! Types of functions, which `-Zsanitizer=kcfi` has calls check: a static call once for each update.

use std::mem::transmute;

use static_call::{Batch, ErrorKind, StaticCall, define};

define! {
    static KEY: fn(u32, u32) -> u32 = add;
    static HOOK: Option<unsafe extern "C" fn(*mut u32)> = None;
    static DROPS: Option<fn(String)> = Some(take);
    #[return_zero]
    static ZERO: fn(u32) -> u64;
    static TEXT: for<'a> fn(&'a str) -> &'a str = whole;
}

fn add(a: u32, b: u32) -> u32 {
    a + b
}

fn subtract(a: u32, b: u32) -> u32 {
    a - b
}

unsafe extern "C" fn count(to: *mut u32) {
    // SAFETY: the program passes a number.
    unsafe { *to += 1 }
}

fn take(text: String) {
    assert_eq!(text, "text");
}

fn wide(a: u32) -> u64 {
    a.into()
}

fn whole(text: &str) -> &str {
    text
}

fn first(text: &str) -> &str {
    &text[..1]
}

fn other(a: f64) -> f64 {
    a
}

#[unsafe(no_mangle)]
#[inline(never)]
fn call_key(a: u32, b: u32) -> u32 {
    KEY.call(a, b) + 1
}

fn counted() -> u32 {
    let mut number = 0;
    // SAFETY: the number is there.
    unsafe { HOOK.call(&raw mut number) };
    DROPS.call("text".to_owned());
    number
}

fn main() {
    assert_eq!(call_key(7, 3), 11);
    KEY.update(subtract).expect("the right type");
    assert_eq!(call_key(7, 3), 5);
    // SAFETY: nobody calls it.
    let wrong = unsafe { transmute::<fn(f64) -> f64, fn(u32, u32) -> u32>(other) };
    let error = KEY.update(wrong).expect_err("the wrong type");
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains(&format!("{:#x}", wrong as usize)), "{error}");
    let batch = [TEXT.change(first), KEY.change(wrong)];
    assert_eq!(Batch::new(batch).commit().map_err(|error| error.kind()), Err(ErrorKind::WrongType));
    assert_eq!((call_key(7, 3), TEXT.call("text")), (5, "text"));
    TEXT.update(first).expect("the right type");
    assert_eq!(TEXT.call("text"), "t");

    assert_eq!(counted(), 0);
    HOOK.update(Some(count)).expect("the right type");
    DROPS.update(None).expect("a stand-in");
    assert_eq!(counted(), 1);
    HOOK.update(None).expect("a stand-in");
    assert_eq!(counted(), 0);

    assert_eq!(ZERO.call(4), 0);
    ZERO.update(wide).expect("the right type");
    assert_eq!(ZERO.call(4), 4);
    ZERO.update_return_zero().expect("a stand-in");
    assert_eq!(ZERO.call(4), 0);
    println!("{} {:?}", static_call::mode(), KEY.info());
}
