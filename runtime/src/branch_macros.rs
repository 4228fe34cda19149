//! [`static_branch_unlikely!`], [`static_branch_likely!`], and the keys of branches that [`define!`] makes.
//!
//! A branch is assembler with a label (`asm!` with an operand `label`), in a method of the key's own type
//! that is inlined everywhere: docs/internals/branches.md. The assembler changes flags and at most one
//! register, and reads nothing that the compiler knows of: the key changes whenever another thread wants it
//! to, as does the code.
//!
//! [`define!`]: crate::define

/// Whether a key is on; the code for that is expected to run rarely.
///
/// While the key is off this is one no-op, and what stands in the block costs nothing, whatever it evaluates.
/// When the key is switched on, it becomes a jump. When an update has returned, every branch that starts
/// afterwards follows it.
///
/// ```
/// use static_call::static_branch_unlikely;
///
/// static_call::define! {
///     /// Whether frames are traced.
///     pub static TRACE: bool = false;
/// }
///
/// fn sum(frame: &[u8]) -> u32 {
///     let sum = frame.iter().map(|&byte| u32::from(byte)).sum();
///     if static_branch_unlikely!(TRACE) {
///         // A copy: `sum` itself stays in a register while the branch is off.
///         let sum = sum;
///         println!("{sum} of {} bytes", frame.len());
///     }
///     sum
/// }
///
/// assert_eq!(sum(&[1, 2, 3]), 6);
/// TRACE.enable()?;
/// assert_eq!(sum(&[1, 2, 3]), 6); // and says so
/// TRACE.disable()?;
/// # Ok::<(), static_call::Error>(())
/// ```
///
/// It works with the pass and without it. Compilers keep such a branch where it is: a loop around it is not
/// vectorized. Where there is no assembler for it (other architectures, Miri), it is a relaxed load and a
/// branch.
#[macro_export]
macro_rules! static_branch_unlikely {
    ($key:expr $(,)?) => {
        $key.__static_branch_unlikely()
    };
}

/// Whether a key is on; the code for that is expected to run mostly.
///
/// While the key is on this is one no-op. Otherwise as
/// [`static_branch_unlikely!`](crate::static_branch_unlikely).
///
/// ```
/// static_call::define! { static CHECKED: bool = true; }
///
/// fn half(number: u32) -> u32 {
///     if static_call::static_branch_likely!(CHECKED) {
///         assert_eq!(number % 2, 0);
///     }
///     number / 2
/// }
/// assert_eq!(half(4), 2);
/// CHECKED.disable()?;
/// assert_eq!(half(5), 2);
/// # Ok::<(), static_call::Error>(())
/// ```
#[macro_export]
macro_rules! static_branch_likely {
    ($key:expr $(,)?) => {
        $key.__static_branch_likely()
    };
}

/// Calls a key that is an `Option`, if it has a function; and only then evaluates the arguments.
///
/// While the key is off this is one no-op: nothing is evaluated, and no register is saved. While it is on,
/// it costs more than `call`: a jump to the call and one back. So this is for hooks that are mostly off.
///
/// ```
/// static_call::define! { static ON_FRAME: Option<fn(&str)> = None; }
///
/// fn frame(number: u32) {
///     // The text is not made while nobody listens.
///     static_call::static_call_lazy!(ON_FRAME, &format!("frame {number}"));
/// }
/// frame(1);
/// ON_FRAME.update(Some(|text| println!("{text}")))?;
/// frame(2);
/// # Ok::<(), static_call::Error>(())
/// ```
#[macro_export]
macro_rules! static_call_lazy {
    ($key:expr $(, $argument:expr)* $(,)?) => {
        if $key.__static_call_is_some() {
            $key.call($($argument),*);
        }
    };
}

/// What is generated for the key of a branch.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_items {
    ($how:ident $name:ident $vis:tt $value:tt
        { kept $kept:tt used $used:tt call $call:tt lints[$($lints:tt)*] cfg[$($cfg:tt)*] export $export:tt }
    ) => {
        $crate::__static_call_items! { @handle $name $vis
            { kept $kept used $used call $call lints[$($lints)*] cfg[$($cfg)*] export $export } }

        $crate::__static_call_items! {
            @initial plain $name $value [$($cfg)* $($lints)*] $crate::private::bool
        }

        $($cfg)*
        $($lints)*
        #[allow(non_upper_case_globals, unexpected_cfgs)]
        const _: () = {
            $crate::__static_call_branch_items! { @key $how $name $export $value }

            // SAFETY: the key above.
            unsafe impl $crate::StaticBranch for $name {
                unsafe fn key(&self) -> &'static $crate::private::Key {
                    __static_call_key()
                }
            }

            impl $name {
                #[doc(hidden)]
                #[inline(always)]
                #[must_use]
                pub fn __static_branch_unlikely(self) -> $crate::private::bool {
                    $crate::__static_call_branch_asm! { $name on if on 0 }
                    false
                }

                #[doc(hidden)]
                #[inline(always)]
                #[must_use]
                pub fn __static_branch_likely(self) -> $crate::private::bool {
                    $crate::__static_call_branch_asm! { $name off if off 1 }
                    true
                }

                /// Whether the branches of this key go where it is on.
                #[must_use]
                pub fn is_enabled(self) -> $crate::private::bool {
                    self.count() != 0
                }

                /// How many want this key on.
                #[must_use]
                pub fn count(self) -> ::core::primitive::usize {
                    $crate::private::count(__static_call_key())
                }

                /// The change that switches this key on or off, to be made by a `Batch`.
                pub fn change(self, __is_on: $crate::private::bool) -> $crate::Change {
                    $crate::private::switch(__static_call_key(), __is_on)
                }

                /// Switches this key on, if it is off.
                ///
                /// # Errors
                ///
                /// If the code may not be written, or was patched by something else. Nothing has changed
                /// then.
                pub fn enable(self) -> ::core::result::Result<(), $crate::Error> {
                    $crate::private::commit(self.change(true))
                }

                /// Switches this key off.
                ///
                /// # Errors
                ///
                /// As for `enable`, and if more than one want it on.
                pub fn disable(self) -> ::core::result::Result<(), $crate::Error> {
                    $crate::private::commit(self.change(false))
                }

                /// Counts one more that wants this key on.
                ///
                /// # Errors
                ///
                /// As for `enable`, and if there are too many.
                pub fn inc(self) -> ::core::result::Result<(), $crate::Error> {
                    $crate::private::commit($crate::private::count_up(__static_call_key()))
                }

                /// Counts one less.
                ///
                /// # Errors
                ///
                /// As for `enable`, and if nobody wants it on.
                pub fn dec(self) -> ::core::result::Result<(), $crate::Error> {
                    $crate::private::commit($crate::private::count_down(__static_call_key()))
                }
            }
        };
    };

    // By the name that C gives it, which is the key's own.
    (@key declare $name:ident [] []) => {
        unsafe extern "C" {
            #[link_name = $crate::private::stringify!($name)]
            static $name: $crate::private::Key;
        }

        #[inline(never)]
        fn __static_call_key() -> &'static $crate::private::Key {
            // SAFETY: whoever declared the key promised that it is defined elsewhere.
            unsafe { &$name }
        }
    };
    (@key declare $($key:tt)*) => {
        $crate::private::compile_error!(
            "a declared key is defined elsewhere: it takes no `#[no_mangle]`, and no initial value"
        );
    };
    (@key define $name:ident [$([$($on:tt)*])*] [$value:expr]) => {
        $crate::__static_call_items! { @section $name [
            // SAFETY: the key's own name is the program's to give; two keys of one name do not link.
            $(#[cfg_attr($($on)*, unsafe(export_name = $crate::private::stringify!($name)))])*
        ] {
            $crate::private::Key::branch(<$name>::__STATIC_CALL_INITIAL, __STATIC_CALL_NAME)
        } }
    };
}
