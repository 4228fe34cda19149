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
/// nothing, which may start as `None`. Visibility, attributes and doc comments go to the key.
/// With `#[no_mangle]` C calls it as well, after `DECLARE_STATIC_CALL(NAME, function)`.
///
/// Each key gets a type of its own, of the same name, with these methods (`Fn` stands for the key's type):
///
/// - `call(arguments…)`: calls what the key points at; a direct call. Unsafe if the function type is.
///   An `Option` key that is `None` drops its arguments and does nothing.
/// - `update(target: Fn) -> Result<(), Error>`: makes all calls reach `target`.
/// - `target() -> Fn`: what calls reach now.
/// - `update_return_zero() -> Result<(), Error>`: makes all calls return zero, without calling anything,
///   where the function returns an integer, `bool` or a raw pointer ([`ReturnZero`](crate::ReturnZero));
///   `change_return_zero()` is the same for a [`Batch`](crate::Batch).
///
/// and those of [`StaticCall`](crate::StaticCall).
///
/// ```
/// use std::ffi::c_int;
///
/// static_call::define! {
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
/// # Errors
///
/// `update` and `update_return_zero` change nothing and return an [`Error`](crate::Error) if the process
/// may not write its code any more, or if something else has patched a call, or from a signal handler that
/// interrupted an update.
#[macro_export]
macro_rules! define {
    // A keyword that may be missing is followed by a literal that always is: so its repetition can be
    // written down again.
    ($(
        $(#[$($attribute:tt)*])*
        $vis:vis static $name:ident : $(Option < $($option:literal)?)?
            $(for < $($life:lifetime),* $(,)? >)? $(unsafe $($unsafe:literal)?)? $(extern $($abi:literal)?)?
            fn ( $($parameter:tt)* ) $(-> $result:ty)? $(> $($close:literal)?)? = $value:expr;
    )*) => {
        $($crate::__static_call_items! { @attributes
            { define $name [$vis] [$(Option $($option)?)? $(> $($close)?)?] [$($($life),*)?]
              [$(unsafe $($unsafe)?)?] [$(extern $($abi)?)?] [$($result)?] [$value] [$($parameter)*] }
            [] [] [] [$(#[$($attribute)*])*]
        })*
    };
}

/// Declares keys that C defines, with `DEFINE_STATIC_CALL(NAME, function)`.
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
/// # Safety
///
/// The function type is that of the C key, and calling any of its functions is as safe as the type says.
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
            [] [] [] [$(#[$($attribute)*])*]
        })*)*
    };
}

/// From one declaration to its items:
///
/// 1. `@attributes`: one by one, for `#[cfg]` and `#[no_mangle]` are ours to place.
/// 2. `@kind`: `Option` or not.
/// 3. `@parameters`: one by one; each that has no name gets one, its own by hygiene.
/// 4. `@items`: what is generated.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_items {
    (@attributes $head:tt $kept:tt $cfg:tt $export:tt []) => {
        $crate::__static_call_items! { @kind $head $kept $cfg $export }
    };
    (@attributes $head:tt $kept:tt $cfg:tt [] [#[no_mangle] $($more:tt)*]) => {
        $crate::__static_call_items! { @attributes $head $kept $cfg [export] [$($more)*] }
    };
    (@attributes $head:tt $kept:tt $cfg:tt [] [#[unsafe(no_mangle)] $($more:tt)*]) => {
        $crate::__static_call_items! { @attributes $head $kept $cfg [export] [$($more)*] }
    };
    (@attributes $head:tt $kept:tt [$($cfg:tt)*] $export:tt [#[cfg $on:tt] $($more:tt)*]) => {
        $crate::__static_call_items! {
            @attributes $head $kept [$($cfg)* #[cfg $on]] $export [$($more)*]
        }
    };
    (@attributes $head:tt [$($kept:tt)*] $cfg:tt $export:tt [#[$($other:tt)*] $($more:tt)*]) => {
        $crate::__static_call_items! {
            @attributes $head [$($kept)* #[$($other)*]] $cfg $export [$($more)*]
        }
    };

    (@kind { $how:ident $name:ident $vis:tt [] $life:tt $unsafe:tt $extern:tt $result:tt $value:tt
        $parameters:tt } $kept:tt $cfg:tt $export:tt) => {
        $crate::__static_call_items! { @parameters
            { $how plain $name $vis $kept $cfg $export $life $unsafe $extern $result $value }
            [] $parameters
        }
    };
    (@kind { $how:ident $name:ident $vis:tt [Option >] $life:tt $unsafe:tt $extern:tt [] $value:tt
        $parameters:tt } $kept:tt $cfg:tt $export:tt) => {
        $crate::__static_call_items! { @parameters
            { $how option $name $vis $kept $cfg $export $life $unsafe $extern [] $value }
            [] $parameters
        }
    };
    (@kind { $how:ident $name:ident $vis:tt [Option >] $($other:tt)* } $($attributes:tt)*) => {
        compile_error!("an `Option` key can be off, and then it has nothing to return: its function \
                        type must have no result; use a plain function type and `update_return_zero`");
    };

    (@parameters $head:tt $done:tt []) => {
        $crate::__static_call_items! { @items $head $done }
    };
    (@parameters $head:tt $done:tt [... $(,)?]) => {
        compile_error!("a Rust method takes no variable arguments: give the C function a wrapper with a \
                        fixed list, or make the static call in C");
    };
    (@parameters $head:tt [$($done:tt)*] [_ : $type:ty $(, $($more:tt)*)?]) => {
        $crate::__static_call_items! { @parameters $head [$($done)* [argument $type]] [$($($more)*)?] }
    };
    (@parameters $head:tt [$($done:tt)*] [$name:ident : $type:ty $(, $($more:tt)*)?]) => {
        $crate::__static_call_items! { @parameters $head [$($done)* [$name $type]] [$($($more)*)?] }
    };
    (@parameters $head:tt [$($done:tt)*] [$type:ty $(, $($more:tt)*)?]) => {
        $crate::__static_call_items! { @parameters $head [$($done)* [argument $type]] [$($($more)*)?] }
    };

    (@items
        { $how:ident $kind:ident $name:ident [$vis:vis] [$($kept:tt)*] [$($cfg:tt)*] $export:tt
          [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] [$($result:ty)?] $value:tt }
        [$([$argument:ident $type:ty])*]
    ) => {
        $($kept)*
        $($cfg)*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy, Debug)]
        $vis struct $name {
            _key: (),
        }

        $($kept)*
        $($cfg)*
        #[allow(non_upper_case_globals)]
        $vis static $name: $name = $name { _key: () };

        $($cfg)*
        #[allow(dead_code, non_upper_case_globals, unexpected_cfgs, unused_variables, clippy::all,
                clippy::pedantic, clippy::nursery, clippy::restriction)]
        const _: () = {
            type __StaticCallFn =
                for<$($life),*> $($unsafe)* $($extern)* fn($($type),*) $(-> $result)?;

            $crate::__static_call_items! { @key $how $kind $name $export $value
                [$($life),*] [$($unsafe)*] [$($extern)*] [$([$argument $type])*] }

            impl $name {
                /// Calls what the key points at.
                #[inline(always)]
                pub $($unsafe)* fn call<$($life),*>(self, $($argument: $type),*) $(-> $result)? {
                    // Nothing may stand between the intrinsic and the call: a variable would be kept in
                    // memory in a debug build.
                    // SAFETY: the key only ever points at functions of this type, and calling them is as
                    // safe as calling this method.
                    #[cfg(static_call_pass)]
                    unsafe {
                        $crate::private::transmute::<*const (), __StaticCallFn>(
                            $crate::private::__static_call_target(&raw const $name),
                        )($($argument),*)
                    }
                    // SAFETY: as above.
                    #[cfg(not(static_call_pass))]
                    unsafe {
                        $crate::private::transmute::<*const (), __StaticCallFn>(
                            $crate::private::load(__static_call_key()),
                        )($($argument),*)
                    }
                }
            }

            $crate::__static_call_items! { @methods $kind $name [$($life),*] [$($unsafe)*] [$($extern)*]
                [$($result)?] [$([$argument $type])*] }
        };
    };

    // The key itself, by the same name, which makes its symbol: another language's, or one that calls a function, or one that may call none.
    (@key declare $kind:ident $name:ident [] [] $($function:tt)*) => {
        unsafe extern "C" {
            #[link_name = $crate::private::concat!(
                $crate::private::stringify!($name), "__static_call_key"
            )]
            static $name: $crate::private::Key;
        }

        fn __static_call_key() -> &'static $crate::private::Key {
            // SAFETY: whoever declared the key promised that C defines it.
            unsafe { &$name }
        }
    };
    (@key define plain $name:ident $export:tt [$value:expr] $($function:tt)*) => {
        $crate::__static_call_items! { @static $name $export {
            const INITIAL: __StaticCallFn = $value;
            $crate::private::Key::new(INITIAL as *const (), NAME)
        } }
    };
    (@key define option $name:ident $export:tt [$value:expr]
        [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] [$([$argument:ident $type:ty])*]
    ) => {
        /// What a call reaches while the key is off: it only drops its arguments.
        $($unsafe)* $($extern)* fn __static_call_off<$($life),*>($($argument: $type),*) {}

        const fn __static_call_drops<$($life),*>() -> bool {
            false $(|| $crate::private::needs_drop::<$type>())*
        }

        $crate::__static_call_items! { @static $name $export {
            const INITIAL: ::core::option::Option<__StaticCallFn> = $value;
            const OFF: __StaticCallFn = __static_call_off;
            const OFF_FORM: $crate::private::Form =
                $crate::private::off_form(__static_call_drops());
            match INITIAL {
                ::core::option::Option::Some(target) => $crate::private::Key::with_off(
                    target as *const (), $crate::private::Form::Call, OFF as *const (), OFF_FORM, NAME,
                ),
                ::core::option::Option::None => $crate::private::Key::with_off(
                    OFF as *const (), OFF_FORM, OFF as *const (), OFF_FORM, NAME,
                ),
            }
        } }
    };
    (@key declare $kind:ident $name:ident $export:tt $value:tt $($function:tt)*) => {
        compile_error!("a declared key is defined elsewhere: it takes no `#[no_mangle]`");
    };

    (@static $name:ident [] $value:block) => {
        $crate::__static_call_items! { @section $name [] $value }
    };
    (@static $name:ident [export] $value:block) => {
        $crate::__static_call_items! { @section $name [
            // SAFETY: the suffix is static-call's own; two keys of one name do not link.
            #[unsafe(export_name = $crate::private::concat!(
                $crate::private::stringify!($name), "__static_call_key"
            ))]
        ] $value }
    };
    // Keys have a section of their own, so that they can be protected. Only ELF has sections of such names.
    // (A `cfg_attr` would be reported as unexpected, whatever is allowed around it.)
    (@section $name:ident [$($attribute:tt)*] $value:block) => {
        #[cfg(all(static_call_pass, not(any(
            windows, target_vendor = "apple", target_family = "wasm", target_os = "uefi"
        ))))]
        $crate::__static_call_items! { @placed $name [
            $($attribute)*
            // SAFETY: the section holds nothing but keys.
            #[unsafe(link_section = "static_call_keys")]
        ] $value }
        #[cfg(not(all(static_call_pass, not(any(
            windows, target_vendor = "apple", target_family = "wasm", target_os = "uefi"
        )))))]
        $crate::__static_call_items! { @placed $name [$($attribute)*] $value }
    };
    (@placed $name:ident [$($attribute:tt)*] $value:block) => {
        $($attribute)*
        static $name: $crate::private::Key = {
            $crate::__static_call_items! { @name $name }
            $value
        };

        fn __static_call_key() -> &'static $crate::private::Key {
            &$name
        }
    };
    (@name $name:ident) => {
        const NAME: *const ::core::ffi::c_char = $crate::private::concat!(
            ::core::module_path!(), "::", $crate::private::stringify!($name), "\0"
        ).as_ptr().cast();
    };

    (@methods plain $name:ident [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] [$($result:ty)?]
        [$([$argument:ident $type:ty])*]
    ) => {
        // SAFETY: the key only ever points at functions of this type.
        unsafe impl $crate::StaticCall for $name {
            type Target = __StaticCallFn;

            unsafe fn key(self) -> &'static $crate::private::Key {
                __static_call_key()
            }

            fn change(self, target: __StaticCallFn) -> $crate::Change {
                // SAFETY: a function of the key's type.
                unsafe {
                    $crate::private::change(
                        __static_call_key(), target as *const (), $crate::private::Form::Call,
                    )
                }
            }
        }

        impl $name {
            /// Makes all calls reach `target`.
            ///
            /// # Errors
            ///
            /// If the code may not be written, or was patched by something else. Nothing has changed then.
            pub fn update(
                self,
                target: __StaticCallFn,
            ) -> ::core::result::Result<(), $crate::Error> {
                $crate::private::commit($crate::StaticCall::change(self, target))
            }

            /// What calls reach now.
            #[must_use]
            pub fn target(self) -> __StaticCallFn {
                let (target, _) = $crate::private::query(__static_call_key());
                // SAFETY: the key only ever points at functions of this type.
                unsafe { $crate::private::transmute::<*const (), __StaticCallFn>(target) }
            }

            $crate::__static_call_items! { @return_zero $name [$($life),*] [$($unsafe)*] [$($extern)*]
                [$($result)?] [$([$argument $type])*] }
        }
    };
    (@methods option $name:ident [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] []
        [$([$argument:ident $type:ty])*]
    ) => {
        // SAFETY: the key only ever points at functions of this type, its `off` function among them.
        unsafe impl $crate::StaticCall for $name {
            type Target = ::core::option::Option<__StaticCallFn>;

            unsafe fn key(self) -> &'static $crate::private::Key {
                __static_call_key()
            }

            fn change(self, target: Self::Target) -> $crate::Change {
                match target {
                    // SAFETY: a function of the key's type.
                    ::core::option::Option::Some(target) => unsafe {
                        $crate::private::change(
                            __static_call_key(), target as *const (), $crate::private::Form::Call,
                        )
                    },
                    ::core::option::Option::None => $crate::private::off(__static_call_key()),
                }
            }
        }

        impl $name {
            /// Makes all calls reach `target`, or switches them off.
            ///
            /// # Errors
            ///
            /// If the code may not be written, or was patched by something else. Nothing has changed then.
            pub fn update(
                self,
                target: ::core::option::Option<__StaticCallFn>,
            ) -> ::core::result::Result<(), $crate::Error> {
                $crate::private::commit($crate::StaticCall::change(self, target))
            }

            /// What calls reach now, or `None` if they are off.
            #[must_use]
            pub fn target(self) -> ::core::option::Option<__StaticCallFn> {
                let (target, form) = $crate::private::query(__static_call_key());
                if form.is_none() {
                    return ::core::option::Option::None;
                }
                // SAFETY: the key only ever points at functions of this type.
                ::core::option::Option::Some(unsafe {
                    $crate::private::transmute::<*const (), __StaticCallFn>(target)
                })
            }
        }
    };

    (@return_zero $name:ident $life:tt $unsafe:tt $extern:tt [] $arguments:tt) => {};
    (@return_zero $name:ident [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] [$result:ty]
        [$([$argument:ident $type:ty])*]
    ) => {
        /// Makes all calls return zero (or false, or null) without calling anything.
        ///
        /// # Errors
        ///
        /// As for `update`.
        pub fn update_return_zero<Zero: $crate::ReturnZero>(
            self,
        ) -> ::core::result::Result<(), $crate::Error>
        where
            Self: $crate::StaticCall<
                Target = for<$($life),*> $($unsafe)* $($extern)* fn($($type),*) -> Zero,
            >,
        {
            $crate::private::commit(self.change_return_zero())
        }

        /// The change that makes all calls return zero, to be made by a `Batch`.
        pub fn change_return_zero<Zero: $crate::ReturnZero>(self) -> $crate::Change
        where
            Self: $crate::StaticCall<
                Target = for<$($life),*> $($unsafe)* $($extern)* fn($($type),*) -> Zero,
            >,
        {
            $($unsafe)* $($extern)* fn zero<$($life,)* Zero: $crate::ReturnZero>(
                $($argument: $type),*
            ) -> Zero {
                Zero::ZERO
            }
            let zero: for<$($life),*> $($unsafe)* $($extern)* fn($($type),*) -> Zero = zero::<Zero>;
            // An argument that has to be dropped needs somebody to do it.
            fn drops<$($life),*>() -> bool {
                false $(|| $crate::private::needs_drop::<$type>())*
            }
            let form =
                if drops() { $crate::private::Form::Call } else { $crate::private::Form::Zero };
            // SAFETY: a function of the key's type, which only returns zero.
            unsafe { $crate::private::change(__static_call_key(), zero as *const (), form) }
        }
    };
}
