//! What the macros expand to in a crate that is compiled without the pass: trampolines that they write
//! themselves, or a load of the key's pointer.
//!
//! A trampoline is a naked function without a particular type, which passes on all arguments. A call
//! transmutes it to the key's type. In machine code this is a direct call:
//!
//! - rustc compiles a naked function to assembler, so LLVM sees only a declaration, and has no body to
//!   inline, to infer attributes from or to specialize. It leaves a call alone whose type or convention is
//!   another one: "A prototype may not actually end up matching the implementation's calling conv for a
//!   variety of reasons (e.g. it may be written in assembly)" (InstCombineCalls.cpp, `visitCallBase`), and
//!   "Don't perform the transform for declarations, which may not be fully accurate"
//!   (`transformConstExprCastCall`, which also leaves calls of functions with the attribute `naked` alone).
//! - It is `extern "C-unwind"`: as `extern "C"` its declaration would be `nounwind`, and its callers would
//!   lose their landing pads.
//!
//! Functions that other crates may call have default visibility, and rustc calls these through the global
//! offset table, even in their own crate, by relocations that linkers do not relax. So a call of a public key
//! costs what any call of another crate's function costs: under retpolines, a retpoline. Nothing in the
//! source changes this: a naked function is compiled once, in the first crate that needs it, even if it is
//! generic; a declaration has no visibility; and closures and inlined functions, which each crate has for
//! itself, cannot be naked. `-Zplt=yes` does change it, as do `-Crelro-level=partial` and
//! `-Crelocation-model=static`.
//!
//! A record tells the runtime about each trampoline, and an image descriptor about all records. Both are part
//! of the trampoline's assembler, so a program without calls has neither.

/// The form with trampolines.
#[cfg(static_call_trampolines)]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_without_pass {
    // Each branch is a whole call: a debug build would keep a function that was chosen in memory.
    (@call $name:ident [extern $abi:literal] $($argument:ident)*) => {
        if const { $crate::private::leaves_no_register($abi) } {
            $crate::private::transmute::<*const (), __StaticCallFn>(
                $crate::private::load(&raw const $name)
            )($($argument),*)
        } else {
            $crate::__static_call_without_pass!(@call $name [] $($argument)*)
        }
    };
    (@call $name:ident $extern:tt $($argument:ident)*) => {
        $crate::private::transmute::<unsafe extern "C-unwind" fn(), __StaticCallFn>(
            __static_call_trampoline
        )($($argument),*)
    };
    // C defines the key, maybe in another image. A key with an exported name may lie in another image too.
    (@item declare $name:ident $export:tt) => {
        $crate::__static_call_without_pass! { @trampoline $name far [] }
    };
    (@item define $name:ident []) => {
        $crate::__static_call_without_pass! {
            @trampoline $name near [$crate::private::__static_call_record!(hidden),]
        }
    };
    (@item define $name:ident $export:tt) => {
        $crate::__static_call_without_pass! { @trampoline $name far [] }
    };
    (@trampoline $name:ident $reach:ident [$($more:tt)*]) => {
        // SAFETY: its assembler jumps to what the key points at, and changes nothing that a call passes or
        // keeps.
        #[unsafe(naked)]
        unsafe extern "C-unwind" fn __static_call_trampoline() {
            $crate::__static_call_naked! { $name __static_call_trampoline $reach [$($more)*] }
        }
    };
}

/// The assembler of a trampoline.
#[cfg(all(static_call_trampolines, not(static_call_retpolines)))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_naked {
    ($key:ident $trampoline:ident $reach:ident [$($more:tt)*]) => {
        $crate::__static_call_naked_asm! {
            $key $trampoline SIGNATURE_WITHOUT_SITES [$($more)*] [$crate::private::trampoline!($reach)]
        }
    };
}

/// The same where indirect jumps are retpolines.
#[cfg(all(static_call_trampolines, static_call_retpolines))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_naked {
    ($key:ident $trampoline:ident $reach:ident [$($more:tt)*]) => {
        $crate::__static_call_naked_asm! {
            $key $trampoline SIGNATURE_THUNK [$($more)*]
            [$crate::private::trampoline!($reach $crate::private::trampoline!(retpoline))]
        }
    };
}

#[cfg(all(static_call_trampolines, target_arch = "x86_64"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_naked_asm {
    ($key:ident $trampoline:ident $($text:tt)*) => {
        $crate::__static_call_naked_text! {
            $key $trampoline $($text)* 64 [] [$crate::private::trampoline!(data),]
            [number = sym $trampoline, options(att_syntax),]
        }
    };
}

#[cfg(all(static_call_trampolines, target_arch = "x86"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_naked_asm {
    ($($trampoline:tt)*) => {
        $crate::__static_call_naked_text! { $($trampoline)* 32 [] [] [options(att_syntax),] }
    };
}

#[cfg(all(static_call_trampolines, target_arch = "arm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_naked_asm {
    ($($trampoline:tt)*) => {
        $crate::__static_call_naked_text! { $($trampoline)* 32 [arm] [] [] }
    };
}

#[cfg(all(
    static_call_trampolines,
    not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "arm"))
))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_naked_asm {
    ($($trampoline:tt)*) => {
        $crate::__static_call_naked_text! { $($trampoline)* 64 [] [] [] }
    };
}

/// The text of a trampoline: the part that all architectures have in common.
#[cfg(static_call_trampolines)]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_naked_text {
    ($key:ident $trampoline:ident $signature:ident [$($more:tt)*] [$code:expr]
        $bits:tt [$($unwinder:tt)*] [$($data:tt)*] [$($options:tt)*]) => {
        $crate::private::naked_asm!(
            // First, because it sets the order of the sections.
            $crate::private::__static_call_image!(open $bits),
            $crate::private::trampoline!(hooks),
            $crate::private::__static_call_image!(close $bits),
            $crate::private::__static_call_record!(start $($unwinder)*),
            $($more)*
            $code,
            $crate::private::__static_call_record!(end $($unwinder)*),
            $crate::private::__static_call_record!(fields $bits),
            $($data)*
            key = sym $key,
            trampoline = sym $trampoline,
            offset = const 0,
            signature = const $crate::private::$signature,
            version = const $crate::private::VERSION,
            page = const $crate::private::PAGE,
            $($options)*
        )
    };
}

/// The form that loads the key: where there are no trampolines, as `build.rs` says.
#[cfg(not(static_call_trampolines))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_without_pass {
    (@call $name:ident $extern:tt $($argument:ident)*) => {
        $crate::private::transmute::<*const (), __StaticCallFn>(
            $crate::private::load(&raw const $name)
        )($($argument),*)
    };
    (@item $how:ident $name:ident $export:tt) => {};
}

/// Places a key in the section of keys, if the crate has image descriptors.
#[cfg(any(static_call_trampolines, static_call_branches))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_placed_without_pass {
    ([$($place:tt)*] $name:ident [$($attribute:tt)*] $value:block) => {
        $($place)* { @placed $name [
            $($attribute)*
            // SAFETY: the section holds nothing but keys.
            #[unsafe(link_section = "static_call_keys")]
        ] $value }
    };
}

/// Places it anywhere.
#[cfg(not(any(static_call_trampolines, static_call_branches)))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_placed_without_pass {
    ([$($place:tt)*] $name:ident [$($attribute:tt)*] $value:block) => {
        $($place)* { @placed $name [$($attribute)*] $value }
    };
}
