//! Keys of every bare function type.

use std::ffi::c_int;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Large([u64; 9]);

pub type Alias<'a> = &'a [u8];

static_call::define! {
    static NAMED: fn(left: u32, right: u32) -> u32 = subtract;
    static UNNAMED: fn(u32, u32) -> u32 = subtract;
    static MIXED: fn(left: u32, _: u32, u32) -> u32 = first;
    static TRAILING: fn(u32, u32,) -> u32 = subtract;
    static NOTHING: fn() = nothing;
    static UNSAFE: unsafe fn(*const u8) -> u8 = read;
    static C: extern "C" fn(c_int) -> c_int = c_negate;
    static PLAIN_EXTERN: extern fn(c_int) -> c_int = c_negate;
    static UNSAFE_C: unsafe extern "C" fn(*const c_int) -> c_int = c_read;
    #[cfg(target_arch = "x86_64")]
    static SYSV: extern "sysv64" fn(u64, u64) -> u64 = sysv;
    #[cfg(target_arch = "x86_64")]
    static WIN: extern "win64" fn(u64, u64, u64, u64, u64) -> u64 = win;
    #[cfg(target_arch = "x86")]
    static STDCALL: extern "stdcall" fn(u32, u32) -> u32 = stdcall;
    #[cfg(target_arch = "x86")]
    static FASTCALL: Option<extern "fastcall" fn(&mut u32, u32, u32)> = None;
    // These types imply relations of lifetimes: 'b outlives 'a, and here 'a outlives everything.
    static IMPLIED: for<'a, 'b> fn(&'a &'b str) -> &'a str = inner;
    static IMPLIED_BY_TYPES: Option<for<'a, 'b> fn(std::cell::RefMut<'a, &'b str>, &mut u32)> = None;
    static IMPLIED_UNSAFE: for<'a, 'b> unsafe extern "C" fn(&'b (), &'a &'b ()) -> *const c_int = c_outlives;
    static FOR_EVER: for<'a> fn(&'static &'a str, fn(&'a &'static str)) -> usize = for_ever;
    static ELIDED: fn(&str) -> &str = trimmed;
    static HIGHER: for<'a, 'b> fn(a: &'a str, b: &'b str) -> &'a str = left;
    static NESTED: fn(&dyn Fn(u32) -> u32, Alias) -> u32 = apply;
    static LARGE: fn(Large, Large) -> Large = sum;
    static MANY: fn(u8, u16, u32, u64, f32, f64, i8, i16, i32, i64, u128, bool, char) -> f64 = many;
    static FLOAT: fn(f64) -> f64 = f64::sqrt;
    static WIDE: fn(u128) -> u128 = wide;
    static TUPLE: fn((u32, String)) -> (String, u32) = swap;
    static RESULT: fn(&str) -> Result<Vec<u8>, std::num::ParseIntError> = parse;
    static BOXED: fn(Box<dyn Fn() -> u32 + Send>) -> u32 = run;
    static ARRAY: fn([u8; 3]) -> [u8; 3] = reverse;
    static GENERIC_TARGET: fn(Vec<u32>) -> usize = length::<u32>;
    /// Documented, with attributes.
    #[allow(dead_code)]
    #[cfg(all())]
    pub(crate) static CONFIGURED: fn() -> u32 = configured;
    #[cfg(any())]
    static ABSENT: fn() -> Missing = missing;
}

fn subtract(left: u32, right: u32) -> u32 {
    left - right
}
fn first(left: u32, _: u32, _: u32) -> u32 {
    left
}
fn nothing() {}
unsafe fn read(byte: *const u8) -> u8 {
    unsafe { *byte }
}
extern "C" fn c_negate(value: c_int) -> c_int {
    -value
}
unsafe extern "C" fn c_read(value: *const c_int) -> c_int {
    unsafe { *value }
}
#[cfg(target_arch = "x86_64")]
extern "sysv64" fn sysv(a: u64, b: u64) -> u64 {
    a * 10 + b
}
#[cfg(target_arch = "x86_64")]
extern "win64" fn win(a: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    a + 10 * b + 100 * c + 1000 * d + 10_000 * e
}
#[cfg(target_arch = "x86")]
extern "stdcall" fn stdcall(a: u32, b: u32) -> u32 {
    a * 10 + b
}
#[cfg(target_arch = "x86")]
extern "fastcall" fn fastcall(to: &mut u32, a: u32, b: u32) {
    *to = a * 10 + b
}
/// The callee pops its arguments, and so does the function that represents `None`.
#[cfg(target_arch = "x86")]
fn callee_removes_arguments() {
    for round in 0..100 {
        let mut seen = 0;
        assert_eq!(STDCALL.call(round, 2), round * 10 + 2);
        FASTCALL.call(&mut seen, 1, 2);
        assert_eq!(seen, 0);
        STDCALL.update_return_zero().unwrap();
        FASTCALL.update(Some(fastcall)).unwrap();
        assert_eq!(STDCALL.call(round, 2), 0);
        FASTCALL.call(&mut seen, round, 2);
        assert_eq!(seen, round * 10 + 2);
        STDCALL.update(stdcall).unwrap();
        FASTCALL.update(None).unwrap();
    }
}
fn inner<'a>(text: &'a &str) -> &'a str {
    text
}
fn replace(mut text: std::cell::RefMut<&str>, length: &mut u32) {
    *length = text.len() as u32;
    *text = "replaced";
}
unsafe extern "C" fn c_outlives<'b>(_: &'b (), _: &&'b ()) -> *const c_int {
    std::ptr::dangling()
}
fn for_ever<'a>(text: &'static &'a str, then: fn(&'a &'static str)) -> usize {
    then(text);
    text.len()
}
fn trimmed(text: &str) -> &str {
    text.trim()
}
fn left<'a>(a: &'a str, _: &str) -> &'a str {
    a
}
fn apply(function: &dyn Fn(u32) -> u32, bytes: Alias) -> u32 {
    function(bytes.len() as u32)
}
fn sum(a: Large, b: Large) -> Large {
    Large(std::array::from_fn(|i| a.0[i] + b.0[i]))
}
fn difference(a: Large, b: Large) -> Large {
    Large(std::array::from_fn(|i| a.0[i] - b.0[i]))
}
#[allow(clippy::too_many_arguments)]
fn many(
    a: u8,
    b: u16,
    c: u32,
    d: u64,
    e: f32,
    f: f64,
    g: i8,
    h: i16,
    i: i32,
    j: i64,
    k: u128,
    l: bool,
    m: char,
) -> f64 {
    f64::from(a)
        + f64::from(b)
        + f64::from(c)
        + d as f64
        + f64::from(e)
        + f
        + f64::from(g)
        + f64::from(h)
        + f64::from(i)
        + j as f64
        + k as f64
        + f64::from(u8::from(l))
        + f64::from(u32::from(m))
}
fn wide(value: u128) -> u128 {
    value.rotate_left(64)
}
fn swap((number, text): (u32, String)) -> (String, u32) {
    (text, number)
}
fn parse(text: &str) -> Result<Vec<u8>, std::num::ParseIntError> {
    text.split(',').map(str::parse).collect()
}
fn run(function: Box<dyn Fn() -> u32 + Send>) -> u32 {
    function()
}
fn reverse([a, b, c]: [u8; 3]) -> [u8; 3] {
    [c, b, a]
}
fn length<T>(values: Vec<T>) -> usize {
    values.len()
}
fn configured() -> u32 {
    7
}

fn implied_bounds() {
    let text = String::from("text");
    let outlives = {
        let inner: &&str = &&*text;
        IMPLIED.call(inner).to_owned()
    };
    assert_eq!(outlives, "text");
    let (cell, mut length) = (std::cell::RefCell::new(&*text), 0);
    IMPLIED_BY_TYPES.call(cell.borrow_mut(), &mut length);
    assert_eq!((*cell.borrow(), length), ("text", 0));
    IMPLIED_BY_TYPES.update(Some(replace)).unwrap();
    IMPLIED_BY_TYPES.call(cell.borrow_mut(), &mut length);
    assert_eq!((*cell.borrow(), length), ("replaced", 4));
    // SAFETY: they do nothing.
    assert!(!unsafe { IMPLIED_UNSAFE.call(&(), &&()) }.is_null());
    IMPLIED_UNSAFE.update_return_zero().unwrap();
    // SAFETY: as above.
    assert!(unsafe { IMPLIED_UNSAFE.call(&(), &&()) }.is_null());
    assert_eq!(FOR_EVER.call(&"text", |text| assert_eq!(*text, "text")), 4);
    FOR_EVER.update_return_zero().unwrap();
    assert_eq!(FOR_EVER.call(&"text", |_| panic!("nobody calls it")), 0);
}

/// Function types that have names, or come from another macro; and names for `Option`.
mod named {
    pub type Shorten = for<'a> fn(&'a str, usize) -> &'a str;
    pub type Foreign = unsafe extern "C" fn(*const u8) -> u8;

    pub fn cut(text: &str, len: usize) -> &str {
        &text[..len]
    }
    pub fn cut_front(text: &str, len: usize) -> &str {
        &text[len..]
    }
    /// # Safety
    ///
    /// A live byte.
    unsafe extern "C" fn first(bytes: *const u8) -> u8 {
        // SAFETY: the caller's promise.
        unsafe { *bytes }
    }

    static_call::define! {
        /// Documented.
        pub static SHORTEN: Shorten = cut;
        pub static FOREIGN: self::Foreign = first;
        pub static CORE: ::core::option::Option<fn(&mut u32)> = None;
        pub static STD: std::option::Option<fn(&mut u32)> = Some(|value| *value += 1);
        #[cold]
        pub static RARE: fn(u32) -> u32 = |value| value + 1;
    }

    macro_rules! keys {
        ($($name:ident: $type:ty = $value:expr;)*) => {
            static_call::define! { $(pub static $name: $type = $value;)* }
        };
    }
    keys! {
        SUM: fn(u32, u32) -> u32 = u32::wrapping_add;
        CUT: Shorten = cut;
    }
}

fn named_types() {
    use named::{CORE, CUT, FOREIGN, RARE, SHORTEN, STD, SUM};

    assert_eq!(SHORTEN.function()("static", 4), "stat");
    SHORTEN.update(named::cut_front).unwrap();
    assert_eq!(SHORTEN.function()("static", 4), "ic");
    assert_eq!(SHORTEN.target()("static", 5), "c");
    // SAFETY: a live byte.
    assert_eq!(unsafe { FOREIGN.function()(&9) }, 9);
    assert_eq!((SUM.function()(1, 2), CUT.function()("key", 1)), (3, "k"));
    SUM.update(u32::wrapping_mul).unwrap();
    assert_eq!(SUM.function()(3, 2), 6);
    let mut counted = 0;
    CORE.call(&mut counted);
    STD.call(&mut counted);
    assert_eq!((counted, RARE.call(1)), (1, 2));
    STD.update(None).unwrap();
    STD.call(&mut counted);
    assert_eq!(counted, 1);
}

pub fn check() {
    named_types();
    assert_eq!(NAMED.call(5, 3), 2);
    assert_eq!(UNNAMED.call(5, 3), 2);
    assert_eq!(MIXED.call(5, 3, 1), 5);
    assert_eq!(TRAILING.call(5, 3), 2);
    NOTHING.call();
    // SAFETY: a live byte.
    assert_eq!(unsafe { UNSAFE.call(&7) }, 7);
    assert_eq!(C.call(3), -3);
    assert_eq!(PLAIN_EXTERN.call(3), -3);
    // SAFETY: a live number.
    assert_eq!(unsafe { UNSAFE_C.call(&9) }, 9);
    #[cfg(target_arch = "x86_64")]
    assert_eq!((SYSV.call(1, 2), WIN.call(1, 2, 3, 4, 5)), (12, 54_321));
    #[cfg(target_arch = "x86")]
    callee_removes_arguments();
    implied_bounds();
    assert_eq!(ELIDED.call(" a "), "a");
    let a = String::from("a");
    let outlives = { HIGHER.call(&a, &String::from("b")) };
    assert_eq!(outlives, "a");
    assert_eq!(NESTED.call(&|n| n * 2, b"abc"), 6);
    let (ones, twos) = (Large([1; 9]), Large([2; 9]));
    assert_eq!(LARGE.call(ones, twos), Large([3; 9]));
    LARGE.update(difference).unwrap();
    assert_eq!(LARGE.call(twos, ones), ones);
    assert_eq!(MANY.call(1, 2, 3, 4, 5.5, 6.5, -7, -8, -9, -10, 11, true, '\u{1}'), 1.0);
    assert_eq!(FLOAT.call(9.0), 3.0);
    FLOAT.update(f64::abs).unwrap();
    assert_eq!(FLOAT.call(-9.0), 9.0);
    assert_eq!(WIDE.call(1), 1 << 64);
    assert_eq!(TUPLE.call((1, "x".into())), ("x".into(), 1));
    assert_eq!(RESULT.call("1,2"), Ok(vec![1, 2]));
    assert!(RESULT.call("1,x").is_err());
    assert_eq!(BOXED.call(Box::new(|| 5)), 5);
    assert_eq!(ARRAY.call([1, 2, 3]), [3, 2, 1]);
    assert_eq!(GENERIC_TARGET.call(vec![1, 2]), 2);
    assert_eq!(CONFIGURED.call(), 7);
    // Keys are values: they can be passed around, and called through a reference.
    fn hand_on(key: impl Fn(u32, u32) -> u32) -> u32 {
        key(9, 4)
    }
    assert_eq!(hand_on(|a, b| NAMED.call(a, b)), 5);
    let key = &NAMED;
    assert_eq!(key.call(9, 4), 5);
    use static_call::StaticCall;
    assert!(NAMED.name().ends_with("signatures::NAMED"), "{}", NAMED.name());
}
