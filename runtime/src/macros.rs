//! [`define!`], [`declare!`] and [`static_call!`].
//!
//! A key becomes a unit-like value of a type of its own, so that its methods have the signature of its
//! function, and so that a call names the key's address as a constant, even in a debug build.

/// Calls a key, as the kernel writes it: `static_call!(KEY, arguments…)` is `KEY.call(arguments…)`.
///
/// ```
/// static_call::define! { static ADD: fn(u32, u32) -> u32 = add; }
/// fn add(a: u32, b: u32) -> u32 { a + b }
///
/// assert_eq!(static_call::static_call!(ADD, 1, 2), 3);
/// ```
#[macro_export]
macro_rules! static_call {
    ($key:expr $(, $argument:expr)* $(,)?) => {
        $key.call($($argument),*)
    };
}

/// Defines keys, in the words of a static.
///
/// The type is a bare function type, as `fn(u32) -> u32`, `unsafe fn(*const u8)` or
/// `extern "C" fn(c_int) -> c_int`, with parameters named or not; or an `Option` of one that returns
/// nothing, which may start as `None`. `#[return_zero]` before a key without an initial value makes its calls
/// return zero, false or `None` until it is updated ([`ReturnZero`](crate::ReturnZero)). Visibility,
/// attributes and doc comments go to the key, `#[must_use]` and `#[cold]` to its calls, and `#[deprecated]`
/// warns whoever uses it. With `#[no_mangle]` C calls it as well, after `DECLARE_STATIC_CALL(NAME,
/// function)`. A crate that forbids unsafe code may define keys of safe functions; the lints that it may
/// deny, but not forbid, are `non_camel_case_types`, `non_upper_case_globals`, `single_use_lifetimes`,
/// `unexpected_cfgs` and the groups that these are in, and `clippy::too_many_arguments` and
/// `clippy::upper_case_acronyms`. A parameter's name may not be that of a static or constant in scope: `_` is
/// always right.
///
/// A block that mixes functions with branches, objects or named types expands key by key, so rustc's
/// `recursion_limit` (128) ends it after about a hundred keys: write several blocks.
///
/// The type may also be a name for a plain function type, or a `$type:ty` of another macro. Nobody knows its
/// parameters, so such a key has no method `call`, but `function()`, whose result is called at once:
/// `KEY.function()(arguments…)`. Without the pass, this loads the key's pointer.
///
/// Each key gets a type of its own, of the same name, with these methods (`Fn` stands for the key's type):
///
/// - `call(arguments…)`: calls what the key points at; a direct call. Unsafe if the function type is.
///   An `Option` key that is `None` drops its arguments and does nothing.
/// - `update(target: Fn) -> Result<(), Error>`: makes all calls reach `target`.
/// - `target() -> Fn`: what calls reach now.
/// - `update_return_zero() -> Result<(), Error>`: makes all calls return zero, without calling anything,
///   where the function returns an integer, `bool`, a raw pointer, an `Option` of a reference, or nothing
///   ([`ReturnZero`](crate::ReturnZero)); `change_return_zero()` is the same for a [`Batch`](crate::Batch).
///
/// and those of [`StaticCall`](crate::StaticCall).
///
/// ```
/// use std::ffi::c_int;
///
/// static_call::define! {
///     /// A type that says of its lifetimes that 'b outlives 'a.
///     static INNER: for<'a, 'b> fn(&'a &'b str) -> &'a str = |text| text;
///     /// Longest common prefix.
///     pub static PREFIX: for<'a> fn(a: &'a str, b: &str) -> &'a str = prefix;
///     /// Says whether tracing is on.
///     pub(crate) static TRACED: extern "C" fn(c_int) -> bool = never;
///     static ON_DROP: Option<fn(String)> = Some(drop);
/// }
///
/// fn prefix<'a>(a: &'a str, b: &str) -> &'a str {
///     let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
///     &a[..same]
/// }
/// extern "C" fn never(_: c_int) -> bool { false }
/// extern "C" fn always(_: c_int) -> bool { true }
///
/// assert_eq!(INNER.call(&"text"), "text");
/// assert_eq!(PREFIX.call("static", "state"), "stat");
/// TRACED.update(always)?;
/// assert!(TRACED.call(1));
/// TRACED.update_return_zero()?;
/// assert!(!TRACED.call(1));
/// ON_DROP.update(None)?;
/// assert_eq!(ON_DROP.target(), None);
/// ON_DROP.call("dropped".to_owned());
/// # Ok::<(), static_call::Error>(())
/// ```
///
/// # Setters that cannot fail
///
/// `#[pointer]` before a key with an initial value has its calls go through the key's pointer, always. In
/// return it has a method `set(target: Fn)`, which returns nothing, since nothing can refuse it
/// ([`Pointer`](crate::Pointer)):
///
/// ```
/// static_call::define! {
///     #[pointer]
///     static ENABLED: fn(level: u8) -> bool = never;
/// }
/// fn never(_: u8) -> bool { false }
/// fn errors(level: u8) -> bool { level <= 1 }
///
/// ENABLED.set(errors);
/// assert!(ENABLED.call(1));
/// ```
///
/// # Objects
///
/// `dyn` makes a key for each method of an object, and sets them together. The object's methods are listed
/// as in its trait, which must be dyn-compatible:
///
/// ```
/// pub trait Log {
///     fn enabled(&self, level: u8) -> bool;
///     fn log(&self, text: &str);
/// }
///
/// struct Nothing;
/// impl Log for Nothing {
///     fn enabled(&self, _: u8) -> bool { false }
///     fn log(&self, _: &str) {}
/// }
///
/// struct Standard { level: u8 }
/// impl Log for Standard {
///     fn enabled(&self, level: u8) -> bool { level <= self.level }
///     fn log(&self, text: &str) { println!("{text}") }
/// }
///
/// static_call::define! {
///     /// Where log lines go.
///     pub dyn LOGGER: Log {
///         fn enabled(&self, level: u8) -> bool;
///         fn log(&self, text: &str);
///     } = Nothing;
/// }
///
/// assert!(!LOGGER.enabled(1));            // a static call of Nothing's method
/// static STANDARD: Standard = Standard { level: 3 };
/// LOGGER.set(|| &STANDARD)?;
/// assert!(LOGGER.enabled(1));
/// LOGGER.log("set");
/// # Ok::<(), static_call::Error>(())
/// ```
///
/// `LOGGER` implements the trait itself. `set` takes a closure that captures nothing and returns the object,
/// which is then a constant of each call; an object that is made at run time comes from a `OnceLock`
/// (`|| &**LOG.get().expect("it was set before")`), and may be a `&'static dyn Log`. A result that borrows
/// from the object is written with `'static`. A provided method that is not listed runs the trait's own code
/// on the key, not what the object has in its place: list it, too.
///
/// # Errors
///
/// `update` and `update_return_zero` change nothing and return an [`Error`](crate::Error) if the process
/// may not write its code any more, or if something else has patched a call, or from a signal handler that
/// interrupted an update. They are async-signal-safe: they never wait for what a handler has interrupted.
#[macro_export]
macro_rules! define {
    () => {};
    // A keyword that may be missing is followed by a literal that is always missing, so that its repetition
    // can be repeated in the expansion.
    ($(
        $(#[$($attribute:tt)*])*
        $vis:vis static $name:ident : $(Option < $($option:literal)?)?
            $(for < $($life:lifetime),* $(,)? >)? $(unsafe $($unsafe:literal)?)? $(extern $($abi:literal)?)?
            fn ( $($parameter:tt)* ) $(-> $result:ty)? $(> $($close:literal)?)? $(= $value:expr)?;
    )*) => {
        $($crate::__static_call_items! { @attributes
            { define $name [$vis] [$(Option $($option)?)? $(> $($close)?)?] [$($($life),*)?]
              [$(unsafe $($unsafe)?)?] [$(extern $($abi)?)?] [$($result)?] [$($value)?] [$($parameter)*] }
            { kept[] used[] call[] lints[] cfg[] export[] } [$(#[$($attribute)*])*]
        })*
    };
    // Keys of other kinds, or of several.
    ($($declaration:tt)+) => {
        $crate::__static_call_each! { define $($declaration)+ }
    };
}

/// Declares keys that C defines, with `DEFINE_STATIC_CALL(NAME, function)`, and keys of branches.
///
/// ```no_run
/// use std::ffi::c_int;
///
/// static_call::declare! {
///     // SAFETY: this is the type of the key in codec.c.
///     unsafe extern {
///         /// Decodes one block.
///         pub static decode: extern "C" fn(c_int) -> c_int;
///     }
/// }
///
/// println!("{}", decode.call(3));
/// ```
///
/// A `bool` declares the key of branches that `DEFINE_STATIC_KEY_FALSE(NAME)` or `..._TRUE` defines, or that
/// another Rust crate does with `#[no_mangle]`:
///
/// ```no_run
/// static_call::declare! {
///     // SAFETY: codec.c defines it as a static key.
///     unsafe extern {
///         pub static trace_codec: bool;
///     }
/// }
///
/// if static_call::static_branch_unlikely!(trace_codec) {
///     println!("decoding");
/// }
/// ```
///
/// # Safety
///
/// The function type is that of the C key, and calling any of its functions is as safe as the type says. What
/// is declared as a `bool` is the key of branches.
#[macro_export]
macro_rules! declare {
    ($(unsafe extern { $(
        $(#[$($attribute:tt)*])*
        $vis:vis static $name:ident : $(Option < $($option:literal)?)?
            $(for < $($life:lifetime),* $(,)? >)? $(unsafe $($unsafe:literal)?)? $(extern $($abi:literal)?)?
            fn ( $($parameter:tt)* ) $(-> $result:ty)? $(> $($close:literal)?)?;
    )* })*) => {
        $($($crate::__static_call_items! { @attributes
            { declare $name [$vis] [$(Option $($option)?)? $(> $($close)?)?] [$($($life),*)?]
              [$(unsafe $($unsafe)?)?] [$(extern $($abi)?)?] [$($result)?] [] [$($parameter)*] }
            { kept[] used[] call[] lints[] cfg[] export[] } [$(#[$($attribute)*])*]
        })*)*
    };
    // Keys of other kinds, or of several.
    ($(unsafe extern { $($declaration:tt)* })*) => {
        $($crate::__static_call_each! { declare $($declaration)* })*
    };
}

/// Takes declarations of all kinds, one in each step: those of `define!`, or of `declare!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_each {
    ($how:ident) => {};
    (
        $how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : bool $(= $value:expr)?;
        $($more:tt)*
    ) => {
        $crate::__static_call_items! { @attributes
            { other [$crate::__static_call_branch_items!] $how $name [$vis] [$($value)?] }
            { kept[] used[] call[] lints[] cfg[] export[] } [$(#[$($attribute)*])*] }
        $crate::__static_call_each! { $how $($more)* }
    };
    (
        $how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : $(Option < $($option:literal)?)?
            $(for < $($life:lifetime),* $(,)? >)? $(unsafe $($unsafe:literal)?)? $(extern $($abi:literal)?)?
            fn ( $($parameter:tt)* ) $(-> $result:ty)? $(> $($close:literal)?)? $(= $value:expr)?;
        $($more:tt)*
    ) => {
        $crate::__static_call_items! { @attributes
            { $how $name [$vis] [$(Option $($option)?)? $(> $($close)?)?] [$($($life),*)?]
              [$(unsafe $($unsafe)?)?] [$(extern $($abi)?)?] [$($result)?] [$($value)?] [$($parameter)*] }
            { kept[] used[] call[] lints[] cfg[] export[] } [$(#[$($attribute)*])*]
        }
        $crate::__static_call_each! { $how $($more)* }
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : ::core::option::$($rest:tt)*) => {
        $crate::__static_call_each! { $how $(#[$($attribute)*])* $vis static $name : $($rest)* }
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : core::option::$($rest:tt)*) => {
        $crate::__static_call_each! { $how $(#[$($attribute)*])* $vis static $name : $($rest)* }
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : ::std::option::$($rest:tt)*) => {
        $crate::__static_call_each! { $how $(#[$($attribute)*])* $vis static $name : $($rest)* }
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : std::option::$($rest:tt)*) => {
        $crate::__static_call_each! { $how $(#[$($attribute)*])* $vis static $name : $($rest)* }
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : [$($array:tt)*] $($rest:tt)*) => {
        $crate::private::compile_error!(
            "keys are statics of their own: give each a name, and make the array one of handles, \
             `[static_call::Key::new(&FIRST), static_call::Key::new(&SECOND)]`"
        );
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : impl $($rest:tt)*) => {
        $crate::__static_call_each! { @refuse }
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : dyn $($rest:tt)*) => {
        $crate::__static_call_each! { @refuse }
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : Box < $($rest:tt)*) => {
        $crate::__static_call_each! { @refuse }
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : & $($rest:tt)*) => {
        $crate::__static_call_each! { @refuse }
    };
    ($how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : * $($rest:tt)*) => {
        $crate::__static_call_each! { @refuse }
    };
    (
        $how:ident $(#[$($attribute:tt)*])* $vis:vis dyn $name:ident : $trait:path { $($method:tt)* }
            = $initial:expr;
        $($more:tt)*
    ) => {
        $crate::__static_call_items! { @attributes
            { other [$crate::__static_call_object!] $name [$vis] $trait, $initial; { $($method)* } }
            { kept[] used[] call[] lints[] cfg[] export[] } [$(#[$($attribute)*])*] }
        $crate::__static_call_each! { $how $($more)* }
    };
    // A name for a type, or a type from another macro.
    (
        $how:ident $(#[$($attribute:tt)*])* $vis:vis static $name:ident : $type:ty $(= $value:expr)?;
        $($more:tt)*
    ) => {
        $crate::__static_call_items! { @attributes
            { other [$crate::__static_call_items!] @alias $how $name [$vis] [$type] [$($value)?] }
            { kept[] used[] call[] lints[] cfg[] export[] } [$(#[$($attribute)*])*] }
        $crate::__static_call_each! { $how $($more)* }
    };
    (@refuse) => {
        $crate::private::compile_error!(
            "a key's type is a function pointer: `fn(…) -> …`, or a name for one; closures that capture \
             nothing are functions, and what others capture goes into a static or an argument"
        );
    };
}
