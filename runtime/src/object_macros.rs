//! Keys for the methods of an object: `dyn` in [`define!`](crate::define).
//!
//! Each method has a key, whose functions take no object: they are instances of a generic function, and the
//! closure that names the object is one of its parameters. So no call loads the object's address, and none
//! can meet an object of another type than its function's, whenever updates run.

/// What is generated for an object.
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_object {
    (
        $name:ident $vis:tt $trait:path, $initial:expr;
        {$(
            fn $method:ident $(< $($life:lifetime),* $(,)? >)? (
                &self $(, $argument:ident : $type:ty)* $(,)?
            ) $(-> $result:ty)?;
        )+}
        { kept $kept:tt used $used:tt call $call:tt lints[$($lints:tt)*] cfg[$($cfg:tt)*] export[] }
    ) => {
        $crate::__static_call_items! { @handle $name $vis
            { kept $kept used $used call $call lints[$($lints)*] cfg[$($cfg)*] export[] } }

        $($cfg)*
        $($lints)*
        #[allow(non_local_definitions, clippy::too_many_arguments)]
        const _: () = {
            /// The calls of each method's key.
            struct __Calls;
            /// The functions of each method for one object, which a closure of the type `__Object` returns.
            struct __Functions<__Object, __Named: ?::core::marker::Sized>(
                $crate::private::PhantomData<(__Object, *const __Named)>,
            );
            /// The changes that make each method's calls reach these functions.
            struct __Changes<__Object, __Named: ?::core::marker::Sized>(
                $crate::private::PhantomData<(__Object, *const __Named)>,
            );

            $(
                impl<__Object, __Named> __Functions<__Object, __Named>
                where
                    __Object: $crate::private::Object<__Named>,
                    __Named: $trait + ?::core::marker::Sized + 'static,
                {
                    fn $method $(<$($life),*>)? ($($argument: $type),*) $(-> $result)? {
                        // SAFETY: only who had a closure can make this instance the target of a key.
                        let __object = unsafe { $crate::private::conjure::<__Object>() };
                        <__Named as $trait>::$method(__object() $(, $argument)*)
                    }
                }

                const _: () = {
                    $crate::__static_call_items! { @attributes
                        { define __KEY [pub(self)] [] [$($($life),*)?] [] [] [$($result)?] [
                            $crate::private::concat!(
                                ::core::module_path!(), "::", $crate::private::stringify!($name), "::",
                                $crate::private::stringify!($method), "\0"
                            ),
                            {
                                const fn __function<__Object, __Named>(
                                    _: __Object,
                                ) -> $(for<$($life),*>)? fn($($type),*) $(-> $result)?
                                where
                                    __Object: $crate::private::Object<__Named>,
                                    __Named: $trait + ?::core::marker::Sized + 'static,
                                {
                                    __Functions::<__Object, __Named>::$method
                                }
                                __function(|| &$initial)
                            }
                        ] [$($argument: $type),*] }
                        { kept[] used[] call[] lints[] cfg[] export[] } []
                    }

                    impl __Calls {
                        #[inline(always)]
                        fn $method $(<$($life),*>)? ($($argument: $type),*) $(-> $result)? {
                            __KEY.call($($argument),*)
                        }
                    }

                    impl<__Object, __Named> __Changes<__Object, __Named>
                    where
                        __Object: $crate::private::Object<__Named>,
                        __Named: $trait + ?::core::marker::Sized + 'static,
                    {
                        fn $method() -> $crate::Change {
                            $crate::StaticCall::change(&__KEY, __Functions::<__Object, __Named>::$method)
                        }
                    }
                };
            )+

            impl $trait for $name {
                $(
                    #[inline(always)]
                    fn $method $(<$($life),*>)? (&self $(, $argument: $type)*) $(-> $result)? {
                        __Calls::$method($($argument),*)
                    }
                )+
            }

            impl $name {
                /// Makes the calls of all methods reach the object that `object` returns, in one transaction.
                /// `object` is a closure that captures nothing: `|| &OBJECT`.
                ///
                /// # Errors
                ///
                /// If the code may not be written, or was patched by something else. Nothing has changed
                /// then.
                pub fn set<__Object, __Named>(
                    self,
                    __object: __Object,
                ) -> ::core::result::Result<(), $crate::Error>
                where
                    __Object: $crate::private::Object<__Named>,
                    __Named: $trait + ?::core::marker::Sized + 'static,
                {
                    $crate::Batch::new([$(__Changes::<__Object, __Named>::$method()),+]).commit()
                }
            }
        };
    };
    ($name:ident $vis:tt $trait:path, $initial:expr; $methods:tt
        { kept $kept:tt used $used:tt call $call:tt lints $lints:tt cfg $cfg:tt export[$($on:tt)+] }) => {
        $crate::private::compile_error!("a `dyn` key has no symbol: it takes no `#[no_mangle]`");
    };
    ($($object:tt)*) => {
        $crate::private::compile_error!(
            "the methods of a `dyn` key are listed as `fn name(&self, argument: Type) -> Result;`, without \
             attributes, bodies, types as parameters, `unsafe` or `&mut self`"
        );
    };
}
