//! What the macros need. Not for use by hand: it may change at any time.

pub use core::concat;
pub use core::mem::{needs_drop, transmute};
pub use core::ptr::null;
pub use core::stringify;
pub use static_call_abi::{Form, Key};

use crate::error::Error;
use crate::key::Change;

unsafe extern "C" {
    /// The intrinsic. The pass looks for calls through its result.
    pub fn __static_call_target(key: *const Key) -> *const ();
}

/// What a key points at, where no pass lowers calls.
#[inline(always)]
#[must_use]
pub fn load(key: &Key) -> *const () {
    key.target.load(core::sync::atomic::Ordering::Acquire)
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

/// The form of an `off` function whose arguments are dropped by it, or not.
#[must_use]
pub const fn off_form(drops: bool) -> Form {
    if drops { Form::OffCall } else { Form::Nop }
}
