//! Keys as Rust programs see them.

use core::ffi::CStr;

use static_call_abi::{Form, Key};

use crate::error::Error;
use crate::info::Info;
use crate::process;
use crate::update::{self, State};

/// A key declared by [`define!`](crate::define) or [`declare!`](crate::declare).
///
/// Each key has a type of its own, with the methods `call`, `update` and `target`, whose signatures are
/// those of its function. This trait is what all keys have in common.
///
/// # Safety
///
/// The macros implement it. A call through the key's target as a `Target` is right whatever
/// [`change`](Self::change) makes of it.
pub unsafe trait StaticCall: Copy + Send + Sync + 'static {
    /// The function pointer type: `fn(...)`, or `Option<fn(...)>` for a key that can be off.
    type Target: Copy;

    /// The key in memory.
    ///
    /// # Safety
    ///
    /// Nothing is stored into it.
    #[doc(hidden)]
    unsafe fn key(self) -> &'static Key;

    /// The change that makes this key's calls reach `target`, to be made by a [`Batch`].
    fn change(self, target: Self::Target) -> Change;

    /// The key's name: the path of its declaration.
    #[must_use]
    fn name(self) -> &'static str {
        // SAFETY: the name is only read.
        let name = unsafe { self.key().name };
        if name.is_null() {
            return "";
        }
        // SAFETY: a key's name is a C string that lives as long as the key.
        unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default()
    }

    /// Counts this key's call sites. Reads each of them, and holds up updates meanwhile.
    #[must_use]
    fn info(self) -> Info {
        // SAFETY: only a valid state is stored, by the runtime.
        process::key_info(unsafe { self.key() })
    }
}

/// A change of one key, made by [`StaticCall::change`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a change does nothing until a `Batch` commits it"]
pub struct Change(update::Change<'static>);

impl Change {
    pub(crate) const fn new(key: &'static Key, target: *const (), form: Form) -> Self {
        Self(update::Change { key, state: State { target, form } })
    }

    /// The change that switches a key off.
    pub(crate) fn off(key: &'static Key) -> Self {
        Self::new(key, key.off.cast(), key.off_form().unwrap_or(Form::Call))
    }

    pub(crate) const fn into_inner(self) -> update::Change<'static> {
        self.0
    }

    /// Makes this change alone.
    pub(crate) fn commit(self) -> Result<(), Error> {
        process::commit(&mut [self.0])
    }
}

/// Several updates as one transaction: all are made or none, and the other processors are waited for only
/// once.
///
/// ```
/// static_call::define! {
///     static ENCODE: fn(u32) -> u32 = plain;
///     static DECODE: fn(u32) -> u32 = plain;
/// }
/// fn plain(word: u32) -> u32 { word }
/// fn masked(word: u32) -> u32 { word ^ 0xffff }
///
/// use static_call::{Batch, StaticCall};
/// Batch::new([ENCODE.change(masked), DECODE.change(masked)]).commit()?;
/// assert_eq!(DECODE.call(ENCODE.call(7)), 7);
/// # Ok::<(), static_call::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch<const N: usize>([Change; N]);

impl<const N: usize> Batch<N> {
    /// A transaction of these changes.
    pub const fn new(changes: [Change; N]) -> Self {
        Self(changes)
    }

    /// Makes all changes. When it returns, every call that starts afterwards, on any thread, reaches its
    /// key's new target.
    ///
    /// # Errors
    ///
    /// As for an update of one key, and [`ErrorKind::DuplicateKey`](crate::ErrorKind::DuplicateKey) if two
    /// changes name the same key. Then nothing has changed.
    pub fn commit(self) -> Result<(), Error> {
        process::commit(&mut self.0.map(|change| change.0))
    }
}

/// What a key whose functions return this can be set to return without calling anything.
///
/// # Safety
///
/// The type is returned in the first integer register of every calling convention, or is an integer that takes
/// more than one; and all its bits zero are a value.
pub unsafe trait ReturnZero {
    /// Zero, false or null.
    const ZERO: Self;
}

macro_rules! return_zero {
    ($($type:ty = $zero:expr),*) => {
        // SAFETY: integers, and bool, which is passed like one.
        $(unsafe impl ReturnZero for $type { const ZERO: Self = $zero; })*
    };
}
return_zero!(u8 = 0, u16 = 0, u32 = 0, u64 = 0, usize = 0);
return_zero!(i8 = 0, i16 = 0, i32 = 0, i64 = 0, isize = 0, bool = false);

// SAFETY: as an integer of the same size.
unsafe impl<T> ReturnZero for *const T {
    const ZERO: Self = core::ptr::null();
}
// SAFETY: as an integer of the same size.
unsafe impl<T> ReturnZero for *mut T {
    const ZERO: Self = core::ptr::null_mut();
}
