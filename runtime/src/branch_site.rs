//! The place of a branch: one no-op or jump, or a load of the key.

/// Returns whether the key is on, if the branch jumps; goes on if it does not. The jump is the unlikely way.
#[cfg(static_call_branches)]
#[doc(hidden)]
#[macro_export]
macro_rules! __static_call_branch_asm {
    ($key:ident $to:ident if $when:ident $polarity:literal) => {
        // SAFETY: it jumps to one of both places and changes no register and no memory of the function's. It
        // reads the key, and only the runtime writes into that and into this code. The target of the jump is
        // what the table says, and so is the rest: the runtime makes a no-op or a jump of the one
        // instruction.
        unsafe {
            $crate::private::asm!(
                // First, because it sets the order of the sections.
                $crate::private::__static_call_image!(open 64),
                $crate::private::trampoline!(hooks),
                $crate::private::__static_call_image!(close 64),
                $crate::private::trampoline!(branch $when),
                $crate::private::__static_call_branch!(names),
                $crate::private::__static_call_branch!(record 64),
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
                options(att_syntax, nomem, nostack),
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
        let is_on = $crate::__static_call_branch_load!($key if $when);
        if is_on == $crate::__static_call_branch_way!($to) {
            $crate::private::cold_path();
            return is_on;
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
