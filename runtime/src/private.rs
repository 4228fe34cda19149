//! What the macros need. Not for use by hand: it may change at any time.

#[cfg(any(static_call_trampolines, static_call_branches))]
pub use crate::page::PAGE;
#[cfg(static_call_branches)]
pub use core::arch::asm;
pub use core::marker::PhantomData;
pub use core::mem::{needs_drop, transmute};
pub use core::primitive::{bool, str, u8, usize};
pub use core::ptr::null;
pub use core::stringify;
pub use core::{assert, compile_error, concat, module_path};
#[cfg(static_call_branches)]
pub use static_call_abi::{__static_call_branch, BRANCH_RECORD};
#[cfg(any(static_call_trampolines, static_call_branches))]
pub use static_call_abi::{__static_call_image, VERSION};
#[cfg(static_call_trampolines)]
pub use static_call_abi::{__static_call_record, SIGNATURE_THUNK, SIGNATURE_WITHOUT_SITES};
pub use static_call_abi::{Form, Key};

#[cfg(static_call_trampolines)]
pub use core::arch::naked_asm;
#[cfg(all(any(static_call_trampolines, static_call_branches), target_arch = "aarch64"))]
pub use static_call_abi::__static_call_aarch64 as trampoline;
#[cfg(all(any(static_call_trampolines, static_call_branches), target_arch = "arm"))]
pub use static_call_abi::__static_call_arm as trampoline;
#[cfg(all(static_call_trampolines, target_arch = "loongarch64"))]
pub use static_call_abi::__static_call_loongarch64 as trampoline;
#[cfg(all(static_call_branches, target_arch = "powerpc64"))]
pub use static_call_abi::__static_call_powerpc64 as trampoline;
#[cfg(all(any(static_call_trampolines, static_call_branches), target_arch = "riscv64"))]
pub use static_call_abi::__static_call_riscv64 as trampoline;
#[cfg(all(any(static_call_trampolines, static_call_branches), target_arch = "s390x"))]
pub use static_call_abi::__static_call_s390x as trampoline;
#[cfg(all(any(static_call_trampolines, static_call_branches), target_arch = "x86"))]
pub use static_call_abi::__static_call_x86 as trampoline;
#[cfg(all(any(static_call_trampolines, static_call_branches), target_arch = "x86_64"))]
pub use static_call_abi::__static_call_x86_64 as trampoline;

pub use crate::dispatch::{Dispatch, Variant};
pub use crate::features::{are_known, is_first_enabled};

use crate::change::Wish;
use crate::error::Error;
use crate::key::{self, Change, ReturnZero};

unsafe extern "C" {
    /// The intrinsic. The pass looks for calls through its result.
    pub fn __static_call_target(key: *const Key) -> *const ();
}

/// What a key points at, where no pass lowers calls.
///
/// # Safety
///
/// It is a key that lives for ever.
#[inline(always)]
#[must_use]
pub unsafe fn load(key: *const Key) -> *const () {
    // SAFETY: the caller's promise.
    unsafe { (*key).target.load(core::sync::atomic::Ordering::Acquire) }
}

/// Whether functions of this ABI may get an argument in the register that a trampoline needs: r11 on x86-64.
#[cfg(static_call_trampolines)]
#[must_use]
pub const fn leaves_no_register(abi: &str) -> bool {
    matches!(abi.as_bytes(), b"rust-preserve-none")
}

/// Target and form.
#[must_use]
pub fn query(key: &Key) -> (*const (), Form) {
    key.load()
}

/// The change that makes a key's calls reach `target`.
///
/// # Safety
///
/// `target` is a function of the key's type, and does no more than `form` says.
pub const unsafe fn change(key: &'static Key, target: *const (), form: Form) -> Change {
    Change::new(key, target, form)
}

/// Makes a change of a key that is a pointer.
pub fn set(change: Change) {
    key::set(change);
}

/// The change that switches a key off.
pub fn off(key: &'static Key) -> Change {
    Change::off(key)
}

/// Makes a change.
///
/// # Errors
///
/// Those of an update.
pub fn commit(change: Change) -> Result<(), Error> {
    change.commit()
}

/// A closure that returns the object of a `dyn` key, wherever it is called.
pub trait Object<Named: ?Sized + 'static>: Fn() -> &'static Named + Copy + Send + Sync + 'static {}

impl<Named: ?Sized + 'static, Closure> Object<Named> for Closure where
    Closure: Fn() -> &'static Named + Copy + Send + Sync + 'static
{
}

/// A value of a type that has only one, as a closure that captures nothing. Others do not compile:
///
/// ```compile_fail,E0080
/// pub trait Log {
///     fn log(&self);
/// }
/// struct Standard(u32);
/// impl Log for Standard {
///     fn log(&self) {}
/// }
/// static_call::define! { dyn LOGGER: Log { fn log(&self); } = Standard(1); }
///
/// let standard: &'static Standard = Box::leak(Box::new(Standard(2)));
/// LOGGER.set(move || standard);
/// ```
///
/// # Safety
///
/// The caller, or whoever chose the type, has had one, which `Copy` allows to have again on any thread.
#[inline(always)]
#[must_use]
pub unsafe fn conjure<One: Copy + Send + Sync>() -> One {
    const {
        assert!(
            size_of::<One>() == 0,
            "the closure that names an object captures nothing: put what it captured into a static"
        );
    }
    // SAFETY: it has no bytes, and the caller's promise says that there is such a value.
    unsafe { core::ptr::NonNull::dangling().read() }
}

/// Marks code that rarely runs: `core`'s needs a newer Rust.
#[cold]
#[inline]
pub const fn cold_path() {}

/// Whether a key calls a function.
#[inline]
#[must_use]
pub fn is_some(key: &Key) -> bool {
    let form = key.form.load(core::sync::atomic::Ordering::Relaxed);
    !matches!(Form::of_word(form), Some(Form::Nop | Form::OffCall))
}

/// How often a branch's key was switched on.
#[inline]
#[must_use]
pub fn count(key: &Key) -> usize {
    key.target.load(core::sync::atomic::Ordering::Relaxed).addr()
}

/// The changes of a branch's key.
pub const fn switch(key: &'static Key, is_on: bool) -> Change {
    Change::branch(key, if is_on { Wish::On } else { Wish::Off })
}

/// As above, counted.
pub const fn count_up(key: &'static Key) -> Change {
    Change::branch(key, Wish::Inc)
}

/// As above, counted.
pub const fn count_down(key: &'static Key) -> Change {
    Change::branch(key, Wish::Dec)
}

/// The form of a function that returns zero, and drops arguments or not.
#[must_use]
pub const fn zero_form<Zero: ReturnZero>(drops: bool) -> Form {
    match (drops, size_of::<Zero>()) {
        // An argument that has to be dropped needs a function that drops it.
        (true, _) => Form::Call,
        // There is no result's register to clear, and some conventions preserve it then.
        (false, 0) => Form::Nop,
        (false, _) => Form::Zero,
    }
}

/// The form of an `off` function whose arguments are dropped by it, or not.
#[must_use]
pub const fn off_form(drops: bool) -> Form {
    if drops { Form::OffCall } else { Form::Nop }
}
