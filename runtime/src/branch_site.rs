//! The place of a branch: one no-op or jump, or a load of the key.

/// Returns whether the key is on, if the branch jumps; goes on if it does not. The jump is the unlikely way.
///
/// What differs between the architectures are the size of a pointer, and what the check may change besides
/// flags.
#[cfg(all(static_call_branches, target_arch = "x86_64"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_asm {
    ($($branch:tt)*) => {
        $crate::__static_call_branch_text! { $($branch)* 64 [options(att_syntax, nomem, nostack)] }
    };
}

#[cfg(all(static_call_branches, target_arch = "x86"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_asm {
    ($($branch:tt)*) => {
        $crate::__static_call_branch_text! { $($branch)* 32 [options(att_syntax, nomem, nostack)] }
    };
}

#[cfg(all(static_call_branches, target_arch = "aarch64"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_asm {
    ($($branch:tt)*) => {
        $crate::__static_call_branch_text! {
            $($branch)* 64 [out("x16") _, options(preserves_flags, nomem, nostack)]
        }
    };
}

#[cfg(all(static_call_branches, target_arch = "arm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_asm {
    ($($branch:tt)*) => {
        $crate::__static_call_branch_text! { $($branch)* 32 [out("r12") _, options(nomem, nostack)] }
    };
}

#[cfg(all(static_call_branches, target_arch = "powerpc64"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_asm {
    ($($branch:tt)*) => {
        $crate::__static_call_branch_text! {
            $($branch)* 64 [out("r0") _, out("r12") _, out("cr0") _, options(nomem, nostack)]
        }
    };
}

#[cfg(all(static_call_branches, target_arch = "riscv64"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_asm {
    ($($branch:tt)*) => {
        $crate::__static_call_branch_text! {
            $($branch)* 64 [out("t1") _, options(preserves_flags, nomem, nostack)]
        }
    };
}

#[cfg(all(static_call_branches, target_arch = "s390x"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_asm {
    ($($branch:tt)*) => {
        $crate::__static_call_branch_text! { $($branch)* 64 [out("r1") _, options(nomem, nostack)] }
    };
}

/// The text of a branch: the part that all architectures have in common.
#[cfg(static_call_branches)]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_text {
    ($key:ident $to:ident if $when:ident $polarity:literal $bits:tt [$($operands:tt)*]) => {
        // SAFETY: it jumps to one of both places and changes no register and no memory of the function's. It
        // reads the key, and only the runtime writes into that and into this code. The target of the jump is
        // what the table says, and so is the rest: the runtime makes a no-op or a jump of the one
        // instruction.
        unsafe {
            $crate::private::asm!(
                // First, because it sets the order of the sections.
                $crate::private::__static_call_image!(open $bits),
                $crate::private::trampoline!(hooks),
                $crate::private::__static_call_image!(close $bits),
                $crate::private::trampoline!(branch $when),
                $crate::private::__static_call_branch!(names),
                $crate::private::__static_call_branch!(record $bits),
                $crate::private::__static_call_branch!(section),
                $crate::private::__static_call_branch!(entry),
                key = sym $key,
                target = label {
                    $crate::private::cold_path();
                    return $crate::__static_call_branch_way!($to)
                },
                record = const $crate::private::BRANCH_RECORD,
                polarity = const $polarity,
                version = const $crate::private::VERSION,
                page = const $crate::private::PAGE,
                $($operands)*
            )
        }
    };
}

/// The same with a load.
#[cfg(not(static_call_branches))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_asm {
    ($key:ident $to:ident if $when:ident $polarity:literal) => {
        let __is_on = $crate::__static_call_branch_load!($key if $when);
        if __is_on == $crate::__static_call_branch_way!($to) {
            $crate::private::cold_path();
            return __is_on;
        }
    };
}

#[cfg(not(static_call_branches))]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_load {
    ($key:ident if some) => {
        $crate::private::is_some($crate::__static_call_branch_load!($key))
    };
    ($key:ident if $when:ident) => {
        $crate::private::count($crate::__static_call_branch_load!($key)) != 0
    };
    ($key:ident) => {
        // SAFETY: the key that was defined, or that C defines, as whoever declared it promised.
        unsafe { &*(&raw const $key) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_way {
    (on) => {
        true
    };
    (off) => {
        false
    };
}
