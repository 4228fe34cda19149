//! What `define!` and `declare!` generate for the key of a function.

/// From one declaration to its items:
///
/// 1. `@attributes`: one by one, because the macro decides where each goes. `@condition` and `@conditional`
///    take `#[cfg_attr]` apart, and `@place` puts each where it belongs.
/// 2. `@kind`: `Option` or not.
/// 3. `@parameters`: one by one; each that has no name gets one, its own by hygiene.
/// 4. `@items`: what is generated. `@initial` stands outside of the rest: there a function that calls its own
///    key finds the handle by the key's name, and not the key in memory.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_items {
    (@attributes $head:tt $lists:tt []) => {
        $crate::__static_call_items! { @kind $head $lists }
    };
    // Documentation has many lines, and macros may only be nested so deep.
    (@attributes $head:tt { kept[$($k:tt)*] $($lists:tt)* } [
        #[doc $($one:tt)*] #[doc $($two:tt)*] #[doc $($three:tt)*] #[doc $($four:tt)*] #[doc $($five:tt)*]
        #[doc $($six:tt)*] $($more:tt)*
    ]) => {
        $crate::__static_call_items! { @attributes $head { kept[
            $($k)* #[doc $($one)*] #[doc $($two)*] #[doc $($three)*] #[doc $($four)*] #[doc $($five)*]
            #[doc $($six)*]
        ] $($lists)* } [$($more)*] }
    };
    (@attributes $head:tt { kept[$($k:tt)*] $($lists:tt)* } [#[doc $($doc:tt)*] $($more:tt)*]) => {
        $crate::__static_call_items! {
            @attributes $head { kept[$($k)* #[doc $($doc)*]] $($lists)* } [$($more)*]
        }
    };
    (@attributes $head:tt $lists:tt [#[cfg_attr($($inner:tt)*)] $($more:tt)*]) => {
        $crate::__static_call_items! { @condition $head $lists [] [$($inner)*] [$($more)*] }
    };
    (@attributes $head:tt $lists:tt [#[$($attribute:tt)*] $($more:tt)*]) => {
        $crate::__static_call_items! {
            @place $head $lists [$($attribute)*] [all()] #[$($attribute)*] [$($more)*]
        }
    };

    (@condition $head:tt $lists:tt [$($on:tt)*] [] $more:tt) => {
        $crate::__static_call_items! { @attributes $head $lists $more }
    };
    (@condition $head:tt $lists:tt $on:tt [, $($attributes:tt)*] $more:tt) => {
        $crate::__static_call_items! { @conditional $head $lists $on [] [$($attributes)*] $more }
    };
    (@condition $head:tt $lists:tt [$($on:tt)*] [$next:tt $($rest:tt)*] $more:tt) => {
        $crate::__static_call_items! { @condition $head $lists [$($on)* $next] [$($rest)*] $more }
    };

    (@conditional $head:tt $lists:tt $on:tt [] [] $more:tt) => {
        $crate::__static_call_items! { @attributes $head $lists $more }
    };
    (@conditional $head:tt $lists:tt
        [$($on:tt)*] [$($attribute:tt)*] [$(, $($rest:tt)*)?] [$($more:tt)*]
    ) => {
        $crate::__static_call_items! {
            @place $head $lists [$($attribute)*] [$($on)*] #[cfg_attr($($on)*, $($attribute)*)]
            [#[cfg_attr($($on)*, $($($rest)*)?)] $($more)*]
        }
    };
    (@conditional $head:tt $lists:tt $on:tt [$($attribute:tt)*] [$next:tt $($rest:tt)*] $more:tt) => {
        $crate::__static_call_items! {
            @conditional $head $lists $on [$($attribute)* $next] [$($rest)*] $more
        }
    };

    // The symbol is the inner key's.
    (@place $head:tt { kept $k:tt used $u:tt call $c:tt lints $l:tt cfg $f:tt export[$($e:tt)*] }
        [no_mangle] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @attributes $head
            { kept $k used $u call $c lints $l cfg $f export[$($e)* $on] } $more
        }
    };
    (@place $head:tt $lists:tt [unsafe(no_mangle)] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @place $head $lists [no_mangle] $on #$whole $more }
    };
    // It stands for the initial value.
    (@place { $how:ident $name:ident $vis:tt $option:tt $life:tt $unsafe:tt $extern:tt $result:tt []
        $parameters:tt } $lists:tt [return_zero] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @attributes
            { $how $name $vis $option $life $unsafe $extern $result [return zero] $parameters }
            $lists $more
        }
    };
    (@place $head:tt $lists:tt [return_zero] $on:tt #$whole:tt $more:tt) => {
        $crate::private::compile_error!(
            "`#[return_zero]` stands for the initial value of a key that `define!` makes, and whose type is \
             written out as a function type: leave `= …` out"
        );
    };
    (@place { $how:ident $name:ident $vis:tt $option:tt $life:tt $unsafe:tt $extern:tt $result:tt
        [return zero] $parameters:tt } $lists:tt [pointer] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @no_pointer }
    };
    (@place { $how:ident $name:ident $vis:tt $option:tt $life:tt $unsafe:tt $extern:tt $result:tt
        [pointer $value:expr] $parameters:tt } $lists:tt [pointer] $on:tt #$whole:tt $more:tt) => {
        $crate::private::compile_error!("a key has one `#[pointer]`");
    };
    (@place { define $name:ident $vis:tt $option:tt $life:tt $unsafe:tt $extern:tt $result:tt
        [$value:expr] $parameters:tt } $lists:tt [pointer] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @attributes
            { define $name $vis $option $life $unsafe $extern $result [pointer $value] $parameters }
            $lists $more
        }
    };
    (@place $head:tt $lists:tt [pointer] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @no_pointer }
    };
    (@no_pointer) => {
        $crate::private::compile_error!(
            "`#[pointer]` is for a key that `define!` makes, with an initial value after `=`, and whose type \
             is written out as a function type or an `Option` of one"
        );
    };
    // A `cfg` removes everything.
    (@place $head:tt { kept $k:tt used $u:tt call $c:tt lints $l:tt cfg[$($f:tt)*] export $e:tt }
        [cfg $condition:tt] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @attributes $head
            { kept $k used $u call $c lints $l cfg[$($f)* #$whole] export $e } $more
        }
    };
    // Warn the key's users, not the generated code.
    (@place $head:tt { kept $k:tt used[$($u:tt)*] call $c:tt lints $l:tt cfg $f:tt export $e:tt }
        [deprecated $($reason:tt)*] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @attributes $head
            { kept $k used[$($u)* #$whole] call $c lints $l cfg $f export $e } $more
        }
    };
    // A call's own.
    (@place $head:tt { kept $k:tt used $u:tt call[$($c:tt)*] lints $l:tt cfg $f:tt export $e:tt }
        [cold] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @attributes $head
            { kept $k used $u call[$($c)* #$whole] lints $l cfg $f export $e } $more
        }
    };
    (@place $head:tt $lists:tt [track_caller] $on:tt #$whole:tt $more:tt) => {
        $crate::private::compile_error!(
            "a call through a key does not pass on its caller's location: leave `#[track_caller]` out, and \
             give the function a parameter `&'static core::panic::Location<'static>`"
        );
    };
    (@place $head:tt $lists:tt [inline $($how:tt)*] $on:tt #$whole:tt $more:tt) => {
        $crate::private::compile_error!("`call` is always inlined: leave `#[inline]` out");
    };
    // A call's result.
    (@place $head:tt { kept $k:tt used $u:tt call[$($c:tt)*] lints $l:tt cfg $f:tt export $e:tt }
        [must_use $($reason:tt)*] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @attributes $head
            { kept $k used $u call[$($c)* #$whole] lints $l cfg $f export $e } $more
        }
    };
    // Lints see all that is generated. Several items cannot each meet an expectation.
    (@place $head:tt $lists:tt [expect($($lint:tt)*)] [$($on:tt)*] #$whole:tt $more:tt) => {
        $crate::__static_call_items! {
            @place $head $lists [allow($($lint)*)] [$($on)*] #[cfg_attr($($on)*, allow($($lint)*))] $more
        }
    };
    (@place $head:tt $lists:tt [allow $lint:tt] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @lint $head $lists #$whole $more }
    };
    (@place $head:tt $lists:tt [warn $lint:tt] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @lint $head $lists #$whole $more }
    };
    (@place $head:tt $lists:tt [deny $lint:tt] $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @lint $head $lists #$whole $more }
    };
    (@place $head:tt { kept[$($k:tt)*] used $u:tt call $c:tt lints $l:tt cfg $f:tt export $e:tt }
        $other:tt $on:tt #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @attributes $head
            { kept[$($k)* #$whole] used $u call $c lints $l cfg $f export $e } $more
        }
    };
    (@lint $head:tt { kept $k:tt used $u:tt call $c:tt lints[$($l:tt)*] cfg $f:tt export $e:tt }
        #$whole:tt $more:tt) => {
        $crate::__static_call_items! { @attributes $head
            { kept $k used $u call $c lints[$($l)* #$whole] cfg $f export $e } $more
        }
    };

    (@kind { other [$($items:tt)*] $($key:tt)* } $lists:tt) => {
        $($items)* { $($key)* $lists }
    };
    (@kind { declare $name:ident $vis:tt $option:tt $life:tt $unsafe:tt $extern:tt $result:tt [$value:expr]
        $parameters:tt } $lists:tt) => {
        $crate::private::compile_error!("a declared key is defined elsewhere: it takes no initial value");
    };
    (@kind { define $name:ident $vis:tt [] $life:tt $unsafe:tt $extern:tt $result:tt [] $parameters:tt }
        $lists:tt) => {
        $crate::private::compile_error!(
            "a key needs an initial value: a function of its type after `=`, or `#[return_zero]`, if its \
             calls are to return zero until it is updated"
        );
    };
    (@kind { define $name:ident $vis:tt [Option >] $life:tt $unsafe:tt $extern:tt $result:tt []
        $parameters:tt } $lists:tt) => {
        $crate::private::compile_error!(
            "a key that can be off needs an initial value: None, or Some(function)"
        );
    };
    (@kind { define $name:ident $vis:tt [Option >] $life:tt $unsafe:tt $extern:tt $result:tt [return zero]
        $parameters:tt } $lists:tt) => {
        $crate::private::compile_error!("an `Option` key begins with `= None` instead of `#[return_zero]`");
    };
    (@kind { $how:ident $name:ident $vis:tt [] $life:tt $unsafe:tt $extern:tt $result:tt $value:tt
        $parameters:tt } $lists:tt) => {
        $crate::__static_call_items! { @parameters
            { $how plain $name $vis $lists $life $unsafe $extern $result $value }
            [] $parameters
        }
    };
    (@kind { $how:ident $name:ident $vis:tt [Option >] $life:tt $unsafe:tt $extern:tt [] $value:tt
        $parameters:tt } $lists:tt) => {
        $crate::__static_call_items! { @parameters
            { $how option $name $vis $lists $life $unsafe $extern [] $value }
            [] $parameters
        }
    };
    (@kind { $how:ident $name:ident $vis:tt [Option >] $($other:tt)* } $($attributes:tt)*) => {
        $crate::private::compile_error!(
            "an `Option` key can be off, and then it has nothing to return: its function type must have no \
             result; use a plain function type and `update_return_zero`"
        );
    };

    (@parameters $head:tt $done:tt []) => {
        $crate::__static_call_items! { @items $head $done }
    };
    (@parameters $head:tt $done:tt [... $(,)?]) => {
        $crate::private::compile_error!(
            "a Rust method takes no variable arguments: give the C function a wrapper with a fixed list, or \
             make the static call in C"
        );
    };
    (@parameters $head:tt [$($done:tt)*] [_ : $type:ty $(, $($more:tt)*)?]) => {
        $crate::__static_call_items! { @parameters $head [$($done)* [__argument $type]] [$($($more)*)?] }
    };
    (@parameters $head:tt [$($done:tt)*] [$name:ident : $type:ty $(, $($more:tt)*)?]) => {
        $crate::__static_call_items! { @parameters $head [$($done)* [$name $type]] [$($($more)*)?] }
    };
    (@parameters $head:tt [$($done:tt)*] [$type:ty $(, $($more:tt)*)?]) => {
        $crate::__static_call_items! { @parameters $head [$($done)* [__argument $type]] [$($($more)*)?] }
    };

    // The value that stands for a key.
    (@handle $name:ident [$vis:vis]
        { kept[$($kept:tt)*] used[$($used:tt)*] call $call:tt lints[$($lints:tt)*] cfg[$($cfg:tt)*]
          export $export:tt }
    ) => {
        $($cfg)*
        $($kept)*
        $($lints)*
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        $vis struct $name {
            _key: (),
        }

        $($cfg)*
        $($kept)*
        $($used)*
        $($lints)*
        #[allow(non_upper_case_globals)]
        $vis static $name: $name = $name { _key: () };
    };

    (@items
        { $how:ident $kind:ident $name:ident $vis:tt
          { kept $kept:tt used $used:tt call[$($call:tt)*] lints[$($lints:tt)*] cfg[$($cfg:tt)*]
            export $export:tt }
          [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] [$($result:ty)?] $value:tt }
        [$([$argument:ident $type:ty])*]
    ) => {
        $crate::__static_call_items! { @handle $name $vis
            { kept $kept used $used call[] lints[$($lints)*] cfg[$($cfg)*] export $export } }

        $crate::__static_call_items! { @initial $kind $name $value [$($cfg)* $($lints)*]
            for<$($life),*> $($unsafe)* $($extern)* fn($($type),*) $(-> $result)? }

        $($cfg)*
        $($lints)*
        // A crate may forbid what is not allowed here.
        #[allow(non_upper_case_globals, single_use_lifetimes, unexpected_cfgs, clippy::too_many_arguments)]
        const _: () = {
            type __StaticCallFn =
                for<$($life),*> $($unsafe)* $($extern)* fn($($type),*) $(-> $result)?;

            /// Whether some argument has to be dropped. It has the key's parameters because their types imply
            /// how lifetimes relate: `&'a &'b T` implies that 'b outlives 'a.
            const fn __static_call_drops<$($life),*>(
                $(_: $crate::private::PhantomData<$type>),*
            ) -> $crate::private::bool {
                false $(|| $crate::private::needs_drop::<$type>())*
            }

            $crate::__static_call_items! { @key $how $kind $name $export $value
                [$($life),*] [$($unsafe)*] [$($extern)*] [$($result)?] [$([$argument $type])*] }

            #[cfg(not(static_call_pass))]
            $crate::__static_call_without_pass! { @item $how $name $export }

            impl $name {
                /// Calls what the key points at.
                $($call)*
                #[inline(always)]
                pub $($unsafe)* fn call<$($life),*>(self, $($argument: $type),*) $(-> $result)? {
                    // Nothing may come between the intrinsic and the call: a debug build would keep a
                    // variable in memory. SAFETY: the key only ever points at functions of this type, and
                    // calling them is as safe as calling this method.
                    #[cfg(static_call_pass)]
                    unsafe {
                        $crate::private::transmute::<*const (), __StaticCallFn>(
                            $crate::private::__static_call_target(&raw const $name),
                        )($($argument),*)
                    }
                    // SAFETY: as above.
                    #[cfg(not(static_call_pass))]
                    unsafe {
                        $crate::__static_call_without_pass!(@call $name [$($extern)*] $($argument)*)
                    }
                }
            }

            $crate::__static_call_items! { @methods $kind $name [$($life),*] [$($unsafe)*] [$($extern)*]
                [$($result)?] [$([$argument $type])*] }
            $crate::__static_call_items! { @set $name $value }
        };
    };

    (@alias define $name:ident $vis:tt $type:tt [] $lists:tt) => {
        $crate::private::compile_error!(
            "a key needs an initial value: a function of its type after `=` (`#[return_zero]` is for keys \
             whose function type is written out)"
        );
    };
    // A key whose function type has a name, or came from another macro as a `ty`: nobody knows its
    // parameters, so there is no method with them.
    (@alias $how:ident $name:ident $vis:tt [$type:ty] $value:tt
        { kept $kept:tt used $used:tt call[$($call:tt)*] lints[$($lints:tt)*] cfg[$($cfg:tt)*]
          export $export:tt }
    ) => {
        $crate::__static_call_items! { @handle $name $vis
            { kept $kept used $used call[] lints[$($lints)*] cfg[$($cfg)*] export $export } }

        $crate::__static_call_items! { @initial plain $name $value [$($cfg)* $($lints)*] $type }

        $($cfg)*
        $($lints)*
        #[allow(non_upper_case_globals, unexpected_cfgs)]
        const _: () = {
            type __StaticCallFn = $type;
            // Nothing else that casts has a niche and casts to a number, too.
            const _: () = ::core::assert!(
                ::core::mem::size_of::<::core::option::Option<__StaticCallFn>>()
                    == ::core::mem::size_of::<__StaticCallFn>(),
                "the key's type is no function pointer",
            );
            #[allow(clippy::fn_to_numeric_cast_any)]
            const _: fn(__StaticCallFn) -> ::core::primitive::usize = |__function| __function as _;

            $crate::__static_call_items! { @key $how plain $name $export $value }

            impl $name {
                /// What the key points at, to be called at once: `KEY.function()(arguments…)`.
                $($call)*
                #[inline(always)]
                pub fn function(self) -> __StaticCallFn {
                    // SAFETY: the key only ever points at functions of this type.
                    #[cfg(static_call_pass)]
                    unsafe {
                        $crate::private::transmute::<*const (), __StaticCallFn>(
                            $crate::private::__static_call_target(&raw const $name),
                        )
                    }
                    // A trampoline may need a register that this type's convention passes arguments in.
                    // SAFETY: as above.
                    #[cfg(not(static_call_pass))]
                    unsafe {
                        $crate::private::transmute::<*const (), __StaticCallFn>(
                            $crate::private::load(&raw const $name)
                        )
                    }
                }
            }

            $crate::__static_call_items! { @plain_methods $name }
        };
    };

    (@initial $kind:ident $name:ident [] $attributes:tt $type:ty) => {};
    (@initial $kind:ident $name:ident [return zero] $attributes:tt $type:ty) => {};
    (@initial option $name:ident [$value:expr] $attributes:tt $type:ty) => {
        $crate::__static_call_items! {
            @initial plain $name [$value] $attributes ::core::option::Option<$type>
        }
    };
    // A method of an object, with its name.
    (@initial plain $name:ident [$label:expr, $value:expr] $attributes:tt $type:ty) => {
        $crate::__static_call_items! { @initial plain $name [$value] $attributes $type }
    };
    (@initial $kind:ident $name:ident [pointer $value:expr] $attributes:tt $type:ty) => {
        $crate::__static_call_items! { @initial $kind $name [$value] $attributes $type }
    };
    (@initial plain $name:ident [$value:expr] [$($attribute:tt)*] $type:ty) => {
        $($attribute)*
        #[allow(single_use_lifetimes, unexpected_cfgs)]
        impl $name {
            const __STATIC_CALL_INITIAL: $type = $value;
        }
    };

    // The key itself, by the same name, which makes its symbol: another language's, or one that calls a
    // function, or one that may call none.
    (@key declare $kind:ident $name:ident [] [] $($function:tt)*) => {
        unsafe extern "C" {
            #[link_name = $crate::private::concat!(
                $crate::private::stringify!($name), "__static_call_key"
            )]
            static $name: $crate::private::Key;
        }

        #[inline(never)]
        fn __static_call_key() -> &'static $crate::private::Key {
            // SAFETY: whoever declared the key promised that C defines it.
            unsafe { &$name }
        }
    };
    (@key define plain $name:ident $export:tt [return zero]
        [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] [$($result:ty)?]
        [$([$argument:ident $type:ty])*]
    ) => {
        $crate::__static_call_items! { @static $name $export {
            $($unsafe)* $($extern)* fn __static_call_initial<$($life),*>(
                $($argument: $type),*
            ) $(-> $result)? {
                $(<$result as $crate::ReturnZero>::ZERO)?
            }
            const fn __static_call_initial_form<$($life),*>(
                $(_: $crate::private::PhantomData<$type>),*
            ) -> $crate::private::Form {
                $crate::private::zero_form::<$crate::__static_call_items!(@result $($result)?)>(
                    false $(|| $crate::private::needs_drop::<$type>())*
                )
            }
            const __STATIC_CALL_INITIAL: __StaticCallFn = __static_call_initial;
            $crate::private::Key::with_off(
                __STATIC_CALL_INITIAL as *const (),
                __static_call_initial_form($($crate::__static_call_items!(@absent $type)),*),
                $crate::private::null(), $crate::private::Form::Call, __STATIC_CALL_NAME,
            )
        } }
    };
    // A method of an object, with its name.
    (@key define plain $name:ident $export:tt [$label:expr, $value:expr] $($function:tt)*) => {
        $crate::__static_call_items! { @static $name $export {
            $crate::private::Key::new(<$name>::__STATIC_CALL_INITIAL as *const (), $label.as_ptr().cast())
        } }
    };
    (@key define plain $name:ident $export:tt [pointer $value:expr] $($function:tt)*) => {
        $crate::__static_call_items! { @static $name $export {
            $crate::private::Key::new(<$name>::__STATIC_CALL_INITIAL as *const (), __STATIC_CALL_NAME)
                .as_pointer()
        } }
    };
    (@key define plain $name:ident $export:tt [$value:expr] $($function:tt)*) => {
        $crate::__static_call_items! { @static $name $export {
            $crate::private::Key::new(<$name>::__STATIC_CALL_INITIAL as *const (), __STATIC_CALL_NAME)
        } }
    };
    (@key define option $name:ident $export:tt [pointer $value:expr] $($function:tt)*) => {
        $crate::__static_call_items! { @option $name $export [.as_pointer()] $($function)* }
    };
    (@key define option $name:ident $export:tt [$value:expr] $($function:tt)*) => {
        $crate::__static_call_items! { @option $name $export [] $($function)* }
    };
    (@option $name:ident $export:tt [$($pointer:tt)*]
        [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] []
        [$([$argument:ident $type:ty])*]
    ) => {
        /// What a call reaches while the key is off: it only drops its arguments.
        $($unsafe)* $($extern)* fn __static_call_off<$($life),*>($($argument: $type),*) {}

        $crate::__static_call_items! { @static $name $export {
            const __STATIC_CALL_OFF: __StaticCallFn = __static_call_off;
            const __STATIC_CALL_OFF_FORM: $crate::private::Form =
                $crate::private::off_form(__static_call_drops(
                    $($crate::__static_call_items!(@absent $type)),*
                ));
            match <$name>::__STATIC_CALL_INITIAL {
                ::core::option::Option::Some(__target) => $crate::private::Key::with_off(
                    __target as *const (), $crate::private::Form::Call,
                    __STATIC_CALL_OFF as *const (), __STATIC_CALL_OFF_FORM, __STATIC_CALL_NAME,
                ),
                ::core::option::Option::None => $crate::private::Key::with_off(
                    __STATIC_CALL_OFF as *const (), __STATIC_CALL_OFF_FORM,
                    __STATIC_CALL_OFF as *const (), __STATIC_CALL_OFF_FORM, __STATIC_CALL_NAME,
                ),
            }$($pointer)*
        } }
    };
    (@key declare $kind:ident $name:ident $export:tt $value:tt $($function:tt)*) => {
        $crate::private::compile_error!(
            "a declared key is defined elsewhere: it takes no `#[no_mangle]`, and no initial value"
        );
    };

    (@static $name:ident [$([$($on:tt)*])*] $value:block) => {
        $crate::__static_call_items! { @section $name [
            // SAFETY: the suffix is static-call's own; two keys of one name do not link.
            $(#[cfg_attr($($on)*, unsafe(export_name = $crate::private::concat!(
                $crate::private::stringify!($name), "__static_call_key"
            )))])*
        ] $value }
    };
    // Keys have a section of their own, so that they can be protected: in ELF by that name, in PE a part of
    // one by its suffix. (A `cfg_attr` would be reported as unexpected, whatever is allowed around it.)
    (@section $name:ident [$($attribute:tt)*] $value:block) => {
        #[cfg(all(static_call_pass, not(any(
            windows, target_vendor = "apple", target_family = "wasm", target_os = "uefi"
        ))))]
        $crate::__static_call_items! { @placed $name [
            $($attribute)*
            // SAFETY: the section holds nothing but keys.
            #[unsafe(link_section = "static_call_keys")]
        ] $value }
        #[cfg(all(static_call_pass, windows))]
        $crate::__static_call_items! { @placed $name [
            $($attribute)*
            // SAFETY: the section holds nothing but keys.
            #[unsafe(link_section = ".scall$b")]
        ] $value }
        #[cfg(all(static_call_pass, any(
            target_vendor = "apple", target_family = "wasm", target_os = "uefi"
        )))]
        $crate::__static_call_items! { @placed $name [$($attribute)*] $value }
        #[cfg(not(static_call_pass))]
        $crate::__static_call_placed_without_pass! {
            [$crate::__static_call_items!] $name [$($attribute)*] $value
        }
    };
    (@placed $name:ident [$($attribute:tt)*] $value:block) => {
        $($attribute)*
        static $name: $crate::private::Key = {
            $crate::__static_call_items! { @name $name }
            $value
        };

        // Other crates have no copy of it, so no other image needs to find the key: see `without_pass.rs`.
        #[inline(never)]
        fn __static_call_key() -> &'static $crate::private::Key {
            &$name
        }
    };
    (@name $name:ident) => {
        const __STATIC_CALL_NAME: *const ::core::ffi::c_char = $crate::private::concat!(
            ::core::module_path!(), "::", $crate::private::stringify!($name), "\0"
        ).as_ptr().cast();
    };

    (@methods plain $name:ident $($function:tt)*) => {
        $crate::__static_call_items! { @plain_methods $name }

        impl $name {
            $crate::__static_call_items! { @return_zero $name $($function)* }
        }
    };
    (@plain_methods $name:ident) => {
        // SAFETY: the key only ever points at functions of this type.
        unsafe impl $crate::StaticCall for $name {
            type Target = __StaticCallFn;

            unsafe fn key(&self) -> &'static $crate::private::Key {
                __static_call_key()
            }

            fn change(&self, __target: __StaticCallFn) -> $crate::Change {
                // SAFETY: a function of the key's type.
                unsafe {
                    $crate::private::change(
                        __static_call_key(), __target as *const (), $crate::private::Form::Call,
                    )
                }
            }

            fn target(&self) -> __StaticCallFn {
                let (__target, _) = $crate::private::query(__static_call_key());
                // SAFETY: the key only ever points at functions of this type.
                unsafe { $crate::private::transmute::<*const (), __StaticCallFn>(__target) }
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
                __target: __StaticCallFn,
            ) -> ::core::result::Result<(), $crate::Error> {
                $crate::private::commit($crate::StaticCall::change(&self, __target))
            }

            /// What calls reach now.
            #[must_use]
            pub fn target(self) -> __StaticCallFn {
                $crate::StaticCall::target(&self)
            }
        }
    };
    (@methods option $name:ident [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] []
        [$([$argument:ident $type:ty])*]
    ) => {
        // SAFETY: the key only ever points at functions of this type, its `off` function among them.
        unsafe impl $crate::StaticCall for $name {
            type Target = ::core::option::Option<__StaticCallFn>;

            unsafe fn key(&self) -> &'static $crate::private::Key {
                __static_call_key()
            }

            fn change(&self, __target: Self::Target) -> $crate::Change {
                match __target {
                    // SAFETY: a function of the key's type.
                    ::core::option::Option::Some(__target) => unsafe {
                        $crate::private::change(
                            __static_call_key(), __target as *const (), $crate::private::Form::Call,
                        )
                    },
                    ::core::option::Option::None => $crate::private::off(__static_call_key()),
                }
            }

            fn target(&self) -> Self::Target {
                let (__target, __form) = $crate::private::query(__static_call_key());
                if __form.is_none() {
                    return ::core::option::Option::None;
                }
                // SAFETY: the key only ever points at functions of this type.
                ::core::option::Option::Some(unsafe {
                    $crate::private::transmute::<*const (), __StaticCallFn>(__target)
                })
            }
        }

        impl $name {
            #[doc(hidden)]
            #[inline(always)]
            #[must_use]
            pub fn __static_call_is_some(self) -> $crate::private::bool {
                $crate::__static_call_branch_asm! { $name on if some 0 }
                false
            }

            /// Makes all calls reach `target`, or switches them off.
            ///
            /// # Errors
            ///
            /// If the code may not be written, or was patched by something else. Nothing has changed then.
            pub fn update(
                self,
                __target: ::core::option::Option<__StaticCallFn>,
            ) -> ::core::result::Result<(), $crate::Error> {
                $crate::private::commit($crate::StaticCall::change(&self, __target))
            }

            /// What calls reach now, or `None` if they are off.
            #[must_use]
            pub fn target(self) -> ::core::option::Option<__StaticCallFn> {
                $crate::StaticCall::target(&self)
            }
        }
    };

    (@set $name:ident [pointer $value:expr]) => {
        impl $name {
            /// Makes all calls reach `target`. Nothing but a seal can refuse it: see `static_call::Pointer`.
            pub fn set(self, __target: <$name as $crate::StaticCall>::Target) {
                $crate::private::set($crate::StaticCall::change(&self, __target));
            }
        }
    };
    (@set $name:ident $value:tt) => {};

    (@absent $type:ty) => {
        $crate::private::PhantomData
    };
    (@result) => {
        ()
    };
    (@result $result:ty) => {
        $result
    };

    (@return_zero $name:ident $life:tt $unsafe:tt $extern:tt [] $arguments:tt) => {
        $crate::__static_call_items! { @return_zero $name $life $unsafe $extern [()] $arguments }
    };
    (@return_zero $name:ident [$($life:lifetime),*] [$($unsafe:tt)*] [$($extern:tt)*] [$result:ty]
        [$([$argument:ident $type:ty])*]
    ) => {
        /// Makes all calls return zero (or false, or null) without calling anything.
        ///
        /// # Errors
        ///
        /// As for `update`.
        pub fn update_return_zero<__Zero: $crate::ReturnZero>(
            self,
        ) -> ::core::result::Result<(), $crate::Error>
        where
            Self: $crate::StaticCall<
                Target = for<$($life),*> $($unsafe)* $($extern)* fn($($type),*) -> __Zero,
            >,
        {
            $crate::private::commit(self.change_return_zero())
        }

        /// The change that makes all calls return zero, to be made by a `Batch`.
        pub fn change_return_zero<__Zero: $crate::ReturnZero>(self) -> $crate::Change
        where
            Self: $crate::StaticCall<
                Target = for<$($life),*> $($unsafe)* $($extern)* fn($($type),*) -> __Zero,
            >,
        {
            $($unsafe)* $($extern)* fn __static_call_zero<$($life,)* __Zero: $crate::ReturnZero>(
                $($argument: $type),*
            ) -> __Zero {
                __Zero::ZERO
            }
            let __zero: for<$($life),*> $($unsafe)* $($extern)* fn($($type),*) -> __Zero =
                __static_call_zero::<__Zero>;
            let __form = $crate::private::zero_form::<__Zero>(
                __static_call_drops($($crate::__static_call_items!(@absent $type)),*)
            );
            // SAFETY: a function of the key's type, which only returns zero.
            unsafe { $crate::private::change(__static_call_key(), __zero as *const (), __form) }
        }
    };
}
