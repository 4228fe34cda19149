//! [`dispatch!`].

/// Defines functions that have variants for processors with certain features.
///
/// ```
/// static_call::dispatch! {
///     /// How many bits of `words` are set.
///     pub fn count_ones(words: &[u64]) -> u32 {
///         #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
///         "popcnt" => by_instruction,
///         _ => by_shifts,
///     }
/// }
///
/// #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
/// #[target_feature(enable = "popcnt")]
/// fn by_instruction(words: &[u64]) -> u32 {
///     words.iter().map(|word| word.count_ones()).sum()
/// }
/// fn by_shifts(words: &[u64]) -> u32 {
///     words.iter().map(|&word| (0..64).map(|bit| (word >> bit) as u32 & 1).sum::<u32>()).sum()
/// }
///
/// assert_eq!(count_ones(&[7, 1 << 63]), 4);
/// ```
///
/// A variant stands behind the features that it needs, with commas between them; the first one whose features
/// the processor has is called. The last variant, `_`, has none. A variant for another architecture needs a
/// `#[cfg]`. Features are known on x86, x86-64 and AArch64.
///
/// Each variant is a safe function of the declared type. It may have `#[target_feature]`: the compiler
/// refuses it if it needs a feature that does not stand before it (and is implied by none of those). So no
/// call can reach a variant that the processor cannot run.
///
/// An `unsafe fn` is named as `"avx2" => unsafe by_avx2`. That is a promise, as in an `unsafe` block: any
/// call of it is sound on a processor with these features. The compiler then checks neither that nor the
/// features.
///
/// # When it is chosen
///
/// When the image that calls the function is loaded, before its calls become direct. So code never has to
/// change for the choice, and it costs the same wherever updates are refused: in a sealed process, in one
/// that may not write its code, in signal handlers. Where no image is known to call the function (without
/// trampolines, without the operating system) the first call chooses; any number of threads may make it. The
/// choice does not change.
///
/// Where the program is compiled for the features of the first variant (`-C target-cpu`, `-C target-feature`)
/// a call is a plain call of it, which may be inlined, and nothing is left of the others. The same is true of
/// `_` where each other variant is one of another architecture.
///
/// Processors are asked by Rust's standard library. Without the feature `std`, x86's are asked directly, and
/// on AArch64 only features that the program is compiled for are there.
///
/// # By name
///
/// For tests, and to find a variant that is wrong: `STATIC_CALL_DISPATCH=count_ones=by_shifts,…` chooses
/// variants by their names. A function is named by its name or its path (`crate::module::count_ones`), or a
/// [pattern](crate::registry#patterns) of one. A variant that is not there, or that the processor cannot run,
/// is refused with a message on standard error. The variable has no effect in set-user-ID programs. The key's
/// name in the [registry](crate::registry) is the function's path, and its target the chosen variant.
///
/// # Cost
///
/// A call costs what a call of a key costs: a direct call with the pass, and a jump more without it. The
/// choice costs some nanoseconds for each function when its image is loaded, besides the process's first
/// question about the processor: some microseconds, and some tens of them in a virtual machine.
#[macro_export]
macro_rules! dispatch {
    () => {};
    ($(
        $(#[$($attribute:tt)*])*
        $vis:vis fn $name:ident $(< $($life:lifetime),* $(,)? >)?
            ( $($argument:ident : $type:ty),* $(,)? ) $(-> $result:ty)? { $($variant:tt)* }
    )+) => {
        $($crate::__static_call_dispatch! { @variants
            { [$(#[$($attribute)*])*] [$vis] $name }
            { [$($($life),*)?] [$([$argument $type])*] [$($result)?] }
            [] $($variant)*
        })+
    };
    ($(#[$($attribute:tt)*])* $vis:vis fn $name:ident < $($other:tt)*) => {
        $crate::private::compile_error!($crate::private::concat!(
            "`", $crate::private::stringify!($name), "`: a dispatched function has no type parameters, since \
             its variants are chosen once: write one function for each type. Lifetimes without bounds are \
             right"
        ));
    };
    ($(#[$($attribute:tt)*])* $vis:vis fn $name:ident $($other:tt)*) => {
        $crate::private::compile_error!($crate::private::concat!(
            "`", $crate::private::stringify!($name), "`: a dispatched function is declared as \
             `fn name(argument: Type) -> Type { \"feature\" => variant, _ => variant }`, each parameter with \
             a name, and without `self`, `mut`, patterns or `where`"
        ));
    };
    ($($other:tt)*) => {
        $crate::private::compile_error!(
            "a dispatched function is a plain `fn`, not `unsafe`, `const`, `async` or `extern`: write such a \
             function around it"
        );
    };
}

/// From one declaration to its items: `@variants` takes them apart, one by one, and `@function` is what is
/// generated.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_dispatch {
    (@variants $head:tt $signature:tt $done:tt _ => unsafe $default:path $(, $($more:tt)*)?) => {
        $crate::__static_call_dispatch! { @last $head $signature $done {unsafe} [$default] $($($more)*)? }
    };
    (@variants $head:tt $signature:tt $done:tt _ => $default:path $(, $($more:tt)*)?) => {
        $crate::__static_call_dispatch! { @last $head $signature $done {} [$default] $($($more)*)? }
    };
    (@last $head:tt $signature:tt $done:tt $unsafe:tt $default:tt) => {
        $crate::__static_call_dispatch! { @function $head $signature $signature $done $unsafe $default }
    };
    (@last $head:tt $signature:tt $done:tt $unsafe:tt $default:tt $($more:tt)+) => {
        $crate::private::compile_error!("`_` is the last variant: none behind it is ever called");
    };
    (@variants $head:tt $signature:tt $done:tt #[$($attribute:tt)*] _ => $($more:tt)*) => {
        $crate::private::compile_error!(
            "`_` has no attributes: it is the variant for every processor. Put the `#[cfg]` on others, or on \
             the function that it names"
        );
    };
    (@variants $head:tt $signature:tt [$($done:tt)*]
        $(#[$($condition:tt)*])* $features:literal => unsafe $variant:path $(, $($more:tt)*)?
    ) => {
        $crate::__static_call_dispatch! { @variants $head $signature
            [$($done)* { [$(#[$($condition)*])*] $features {unsafe} [$variant] }] $($($more)*)? }
    };
    (@variants $head:tt $signature:tt [$($done:tt)*]
        $(#[$($condition:tt)*])* $features:literal => $variant:path $(, $($more:tt)*)?
    ) => {
        $crate::__static_call_dispatch! { @variants $head $signature
            [$($done)* { [$(#[$($condition)*])*] $features {} [$variant] }] $($($more)*)? }
    };
    (@variants { $attributes:tt $vis:tt $name:ident } $signature:tt []) => {
        $crate::private::compile_error!($crate::private::concat!(
            "`", $crate::private::stringify!($name), "` has no variants: write `\"feature\" => function,` \
             for each, and `_ => function` for all other processors"
        ));
    };
    (@variants { $attributes:tt $vis:tt $name:ident } $signature:tt $done:tt) => {
        $crate::private::compile_error!($crate::private::concat!(
            "`", $crate::private::stringify!($name), "` has no variant for processors without these \
             features: write `_ => function` as the last one"
        ));
    };
    (@variants $head:tt $signature:tt $done:tt $($other:tt)+) => {
        $crate::private::compile_error!($crate::private::concat!(
            "a variant is `\"feature,feature\" => path::of::function,`, and the last one `_ => function`; \
             this is none: ", $crate::private::stringify!($($other)+)
        ));
    };

    (@function { [$($attribute:tt)*] [$vis:vis] $name:ident }
        { [$($life:lifetime),*] [$([$argument:ident $type:ty])*] [$($result:ty)?] } $signature:tt
        [$({ [$($condition:tt)*] $features:tt {$($unsafe:tt)?} [$variant:path] })*]
        {$($default_unsafe:tt)?} [$default:path]
    ) => {
        $($attribute)*
        #[inline(always)]
        // A crate may forbid what is not allowed here.
        #[allow(single_use_lifetimes, unexpected_cfgs)]
        $vis fn $name<$($life),*>($($argument: $type),*) $(-> $result)? {
            const __STATIC_CALL_FEATURES: &[&$crate::private::str] = &[$($($condition)* $features),*];
            if const { __STATIC_CALL_FEATURES.is_empty() } {
                // With `unsafe`, SAFETY: its declaration says that any call of it is sound.
                return $($default_unsafe)? { $default($($argument),*) };
            }
            // Of these, the first one that is there returns.
            $($($condition)* {
                $crate::__static_call_dispatch! { @enabled $signature $features {$($unsafe)?} $variant }
            })*

            type __StaticCallFn = for<$($life),*> fn($($type),*) $(-> $result)?;
            type __StaticCallVariant = for<$($life),*> unsafe fn($($type),*) $(-> $result)?;

            static __STATIC_CALL_VARIANTS: $crate::private::Dispatch = $crate::private::Dispatch::new(&[
                $($($condition)* $crate::__static_call_dispatch!(@variant $variant, $features),)*
                $crate::__static_call_dispatch!(@variant $default, ""),
            ]);

            extern "C" fn __static_call_resolver(
                __name: *const $crate::private::u8,
                __len: $crate::private::usize,
            ) -> *const () {
                // SAFETY: as a resolver is called.
                unsafe {
                    $crate::private::Dispatch::resolve(
                        &__STATIC_CALL_VARIANTS, __static_call_key(), __name, __len,
                    )
                }
            }

            /// What a call reaches before the key is resolved.
            #[cold]
            fn __static_call_first<$($life),*>($($argument: $type),*) $(-> $result)? {
                let __variant = $crate::private::Dispatch::first(
                    &__STATIC_CALL_VARIANTS, __static_call_key(),
                );
                // SAFETY: a function of this type, whose features the processor has.
                unsafe {
                    $crate::private::transmute::<*const (), __StaticCallFn>(__variant)($($argument),*)
                }
            }

            $crate::__static_call_items! { @section __STATIC_CALL_DISPATCHED [] {
                const __STATIC_CALL_FIRST: __StaticCallFn = __static_call_first;
                $crate::private::Key::dispatch(
                    __STATIC_CALL_FIRST as *const (),
                    __static_call_resolver,
                    $crate::private::concat!(
                        $crate::private::module_path!(), "::", $crate::private::stringify!($name), "\0"
                    ).as_ptr().cast(),
                )
            } }

            #[cfg(not(static_call_pass))]
            $crate::__static_call_without_pass! { @item define __STATIC_CALL_DISPATCHED [] }

            // SAFETY: the key only ever points at variants whose features the processor has, and the
            // compiler has checked that they are safe to call then.
            #[cfg(static_call_pass)]
            unsafe {
                $crate::private::transmute::<*const (), __StaticCallFn>(
                    $crate::private::__static_call_target(&raw const __STATIC_CALL_DISPATCHED),
                )($($argument),*)
            }
            // SAFETY: as above.
            #[cfg(not(static_call_pass))]
            unsafe {
                $crate::__static_call_without_pass!(@call __STATIC_CALL_DISPATCHED [] $($argument)*)
            }
        }
    };

    // The call of a variant whose features the program is compiled for. It is written for all of them, since
    // it has the compiler check that a variant needs no others.
    (@enabled { [$($life:lifetime),*] [$([$argument:ident $type:ty])*] [$($result:ty)?] }
        $features:tt {$($unsafe:tt)?} $variant:path
    ) => {
        const _: () = $crate::private::assert!(
            $crate::private::are_known($features),
            "{}",
            $crate::private::concat!(
                "`", $features, "`: static-call cannot ask this architecture's processors for that. Put the \
                 variant behind the `#[cfg(target_arch = …)]` that it is for; the features are those of x86 \
                 and AArch64 that Rust's standard library detects, with commas and no spaces between them"
            )
        );

        #[target_feature(enable = $features)]
        #[inline]
        fn __static_call_variant<$($life),*>($($argument: $type),*) $(-> $result)? {
            // With `unsafe`, SAFETY: its declaration says that any call of it is sound here.
            $($unsafe)? { $variant($($argument),*) }
        }
        if const { $crate::private::is_first_enabled(__STATIC_CALL_FEATURES) } {
            // SAFETY: no processor that runs the program lacks these features.
            return unsafe { __static_call_variant($($argument),*) };
        }
    };

    (@variant $variant:path, $features:tt) => {{
        const __STATIC_CALL_VARIANT: __StaticCallVariant = $variant;
        // SAFETY: a function of the dispatched type. A call of it was compiled above for these features, so
        // it needs no others; or its declaration says `unsafe`.
        unsafe {
            $crate::private::Variant::new(
                $crate::private::stringify!($variant),
                $features,
                __STATIC_CALL_VARIANT as *const (),
            )
        }
    }};
}
