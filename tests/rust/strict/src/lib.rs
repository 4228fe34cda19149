//! Keys in a crate with the strictest lints, which also redefines the names that the macros use. It compiles
//! in every edition, so paths start with a crate's name.

#![no_std]
#![no_implicit_prelude]
#![forbid(unsafe_code, missing_docs, unreachable_pub, unused_variables, unused_mut, unused_unsafe)]
#![deny(warnings, unused, future_incompatible, nonstandard_style, rust_2018_idioms)]
#![deny(
    deprecated_in_future,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    keyword_idents,
    let_underscore_drop,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_unsafe_on_extern,
    redundant_imports,
    redundant_lifetimes,
    rust_2021_compatibility,
    rust_2024_compatibility,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unsafe_attr_outside_unsafe,
    unsafe_op_in_unsafe_fn,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::cargo_common_metadata)]
#![allow(unused_extern_crates, reason = "the edition 2015 needs them")]
#![allow(clippy::cargo_common_metadata, reason = "it is not published")]

extern crate static_call;
extern crate std;

use std::option::Option::{self, None, Some};
use std::result::Result::{self, Err, Ok};
use std::string::String;

macro_rules! mine {
    ($($name:ident)*) => {
        $(
            #[allow(unused_macros, reason = "nobody shall use it")]
            macro_rules! $name {
                () => {};
            }
        )*
    };
}
mine! { compile_error concat matches module_path stringify }

macro_rules! statics {
    ($($name:ident)*) => {
        $(
            #[allow(non_upper_case_globals, dead_code, reason = "names of what the macros bind, maybe")]
            static $name: () = ();
        )*
    };
}
statics! { argument form function is_on len object target variant zero }

/// Methods with names of others, for all types.
#[allow(dead_code, reason = "for the macros to find")]
trait Methods: std::marker::Sized {
    fn first(self) {}
    fn resolve(self) {}
    fn cast(self) {}
    fn call(self) {}
    fn change(self) {}
    fn update(self) {}
    fn target(self) {}
}
impl<T> Methods for T {}

/// A type with the name of a built-in one.
#[allow(non_camel_case_types, reason = "for the macros to find")]
#[derive(Clone, Copy, Debug)]
pub struct bool;

/// Types, functions and constants whose names the macros might use as well.
#[derive(Clone, Copy, Debug)]
pub struct Zero;
const INITIAL: fn(Zero) -> u32 = of_zero;
const NAME: fn(u32) -> u32 = same;
const OFF: Option<fn(u32)> = None;

const fn same(a: u32) -> u32 {
    a
}
const fn of_zero(_: Zero) -> u32 {
    1
}
const fn of_bool(_: bool) -> u32 {
    1
}
const fn answer() -> u32 {
    42
}
const fn shorter<'a>(a: &'a &'_ str) -> &'a str {
    a
}
fn cell(_: std::cell::RefMut<'_, &str>) -> u32 {
    1
}
const fn sum(a: u32, b: u32) -> u32 {
    a.wrapping_add(b)
}
const fn fails(a: String) -> Result<(), String> {
    Err(a)
}
#[allow(clippy::too_many_arguments, reason = "a key of many")]
const fn many(_: u8, _: u16, _: u32, _: u64, _: i8, _: i16, _: i32, _: i64, last: char) -> char {
    last
}

#[deprecated(note = "for a key that may call it")]
const fn old() {}

/// The type of a key.
pub type Named = fn(u32) -> u32;

static_call::define! {
    /// A key whose initial value is the user's constant.
    pub static HOOK: Option<fn(u32)> = OFF;
    /// Another one.
    pub static NAMED: fn(u32) -> u32 = NAME;
    /// A key with a type that has the name of a parameter.
    pub static ZEROES: fn(Zero) -> u32 = INITIAL;
    /// A key with a type that has the name of a built-in one.
    pub static TRUTH: fn(bool) -> u32 = of_bool;
    /// A key whose result must be used.
    #[must_use = "it is the answer"]
    pub static ANSWER: fn() -> u32 = answer;
    /// A deprecated key: only its users are warned.
    #[deprecated(note = "use ANSWER")]
    pub static OLD_ANSWER: fn() -> u32 = answer;
    /// A key whose target is deprecated.
    #[allow(deprecated)]
    pub static OLD: fn() = old;
    /// A type from which 'b: 'a follows.
    pub static SHORTER: for<'a, 'b> fn(&'a &'b str) -> &'a str = shorter;
    /// The same in a library's type, and in the types that follow.
    pub static CELL: for<'a, 'b> fn(std::cell::RefMut<'a, &'b str>) -> u32 = cell;
    pub(crate) static SHORTER_HOOK: Option<for<'a, 'b> fn(&'a &'b str, &mut &'a &'b u8)> = None;
    /// Parameters with names that are keywords in some editions.
    pub static r#gen: fn(r#async: u32, r#try: u32) -> u32 = sum;
    /// A key whose type has a name.
    pub static OF_A_NAME: Named = NAME;
    /// A key that returns zero at first.
    #[return_zero]
    pub static ZERO: fn(Zero) -> u32;
    #[doc(hidden)]
    pub static lower_case: fn(String) -> Result<(), String> = fails;
    /// More arguments than clippy accepts.
    pub static MANY: fn(u8, u16, u32, u64, i8, i16, i32, i64, char) -> char = many;
    #[cfg_attr(all(), cfg(any()))]
    pub static ABSENT: fn(Missing) = missing;
    #[cfg_attr(all(), doc = "Conditional, with a comma.", allow(dead_code), must_use)]
    #[cfg_attr(any(), deprecated, no_mangle,)]
    static UNUSED: fn() -> u32 = answer;
    #[cfg_attr(not(any()), expect(dead_code))]
    static EXPECTED_UNUSED: fn() -> u32 = answer;
}

/// What an object does, in names that the macros might use.
pub trait Object {
    /// The number of a truth.
    fn function(&self, truth: bool, name: Zero) -> u32;
    /// Part of a text.
    fn part<'a>(&self, text: &'a str) -> &'a str;
}

/// An object.
#[derive(Clone, Copy, Debug)]
pub struct Function;

impl Object for Function {
    fn function(&self, _: bool, _: Zero) -> u32 {
        3
    }
    fn part<'a>(&self, text: &'a str) -> &'a str {
        text
    }
}

static FUNCTION: Function = Function;

static_call::define! {
    /// A branch's key.
    pub static BRANCH: bool = cfg!(any());
    #[cfg(any())]
    static ABSENT_BRANCH: bool = missing;
    /// The keys of an object.
    pub dyn OBJECT: Object {
        fn function(&self, truth: bool, name: Zero) -> u32;
        fn part<'a>(&self, text: &'a str) -> &'a str;
    } = FUNCTION;
    #[cfg(any())]
    pub dyn ABSENT_OBJECT: Missing { fn missing(&self); } = missing;
    #[cfg_attr(all(), doc = "Nobody uses it, with a comma.", allow(dead_code))]
    dyn lower_case_object: Object {
        fn function(&self, truth: bool, name: Zero) -> u32;
        fn part<'a>(&self, text: &'a str) -> &'a str;
    } = Function;
    /// Calls itself.
    pub static FACTORIAL: fn(u64) -> u64 = |n| if n == 0 { 1 } else { n * FACTORIAL.call(n - 1) };
    /// The same where the type has a name.
    pub static SUM: fn_of::One = |n| if n == 0 { 0 } else { n + SUM.function()(n - 1) };
    /// The same of a key that can be off, and switches itself off.
    pub static ONCE: Option<fn()> = Some(|| std::assert!(ONCE.update(None).is_ok()));
}

/// Names of types.
pub mod fn_of {
    /// A number's.
    pub type One = fn(u32) -> u32;
}

static_call::dispatch! {
    /// Has a variant.
    #[must_use]
    pub fn dispatched<'a>(text: &'a str, features: bool, name: Zero) -> &'a str {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        "avx2,fma" => with_features,
        #[cfg(target_arch = "aarch64")]
        "neon" => without,
        _ => without,
    }
    #[cfg(any())]
    fn absent() { _ => missing }
}
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
#[target_feature(enable = "avx2")]
const fn with_features(text: &str, _: bool, _: Zero) -> &str {
    text
}
const fn without(text: &str, _: bool, _: Zero) -> &str {
    text
}

/// Calls and updates all of them.
///
/// # Errors
///
/// If an update is refused.
///
/// # Panics
///
/// If a call returns a wrong result.
pub fn check() -> Result<(), static_call::Error> {
    HOOK.call(1);
    HOOK.update(Some(|_| ()))?;
    HOOK.call(1);
    SHORTER_HOOK.call(&"text", &mut &&1);
    SHORTER_HOOK.update(Some(|_, _| ()))?;
    SHORTER_HOOK.call(&"text", &mut &&1);
    OLD.call();
    std::assert_eq!((NAMED.call(5), ANSWER.call(), r#gen.call(1, 2)), (5, 42, 3));
    std::assert_eq!(static_call::static_call!(NAMED, 7), 7);
    std::assert_eq!((OF_A_NAME.function()(5), ZERO.call(Zero)), (5, 0));
    std::assert_eq!(lower_case.call(String::new()), Err(String::new()));
    std::assert_eq!(MANY.call(1, 2, 3, 4, 5, 6, 7, 8, '9'), '9');
    std::assert_eq!(FACTORIAL.call(10), 3_628_800);
    std::assert_eq!(SUM.function()(10), 55);
    ONCE.call();
    std::assert!(ONCE.target().is_none());
    std::assert_eq!((OBJECT.function(bool, Zero), OBJECT.part("text")), (3, "text"));
    OBJECT.set(|| &Function)?;
    std::assert_eq!((OBJECT.function(bool, Zero), OBJECT.part("text")), (3, "text"));
    std::assert!(!static_call::static_branch_unlikely!(BRANCH));
    BRANCH.enable()?;
    std::assert!(static_call::static_branch_likely!(BRANCH));
    std::assert_eq!(dispatched("text", bool, Zero), "text");
    let mut changes = [NAMED.change_return_zero(), BRANCH.change(false)];
    static_call::Batch::new(&mut changes).commit()?;
    static_call::Batch::new(&mut changes).commit()?;
    let key: static_call::Key<fn(u32) -> u32> = static_call::Key::new(&NAMED);
    std::assert_eq!((key.target())(7), 7);
    let mut text = String::new();
    text.push_str("text");
    std::assert_eq!(SHORTER.call(&&*text), "text");
    for expected in [1, 0] {
        let cell = std::cell::RefCell::new(&*text);
        std::assert_eq!(ZEROES.call(Zero), expected);
        std::assert_eq!(TRUTH.call(bool), expected);
        std::assert_eq!(CELL.call(cell.borrow_mut()), expected);
        std::assert!(cell.try_borrow().is_ok(), "an argument that has to be dropped is dropped");
        ZEROES.update_return_zero()?;
        TRUTH.update_return_zero()?;
        CELL.update_return_zero()?;
    }
    Ok(())
}
