//! Keys as Rust programs see them.

use static_call_abi::{Form, Key};

use crate::change::{self, Wish};
use crate::error::Error;
use crate::info::Info;
use crate::primary;
use crate::update;

/// A key declared by [`define!`](crate::define) or [`declare!`](crate::declare).
///
/// Each key has a type of its own, with the methods `call`, `update` and `target`, whose signatures are
/// those of its function. This trait is what all keys have in common.
///
/// ```
/// use static_call::StaticCall;
///
/// static_call::define! { static ADD: fn(u32, u32) -> u32 = add; }
/// fn add(a: u32, b: u32) -> u32 { a + b }
///
/// fn report(key: impl StaticCall) -> String {
///     let info = key.info();
///     format!("{}: {} of {} calls are direct", key.name(), info.direct, info.sites)
/// }
/// assert!(report(ADD).contains("ADD: "));
/// ```
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
    /// Only the runtime stores into it, and only what [`change`](Self::change) made.
    #[doc(hidden)]
    unsafe fn key(self) -> &'static Key;

    /// The change that makes this key's calls reach `target`, to be made by a [`Batch`].
    ///
    /// ```
    /// # static_call::define! { static ADD: fn(u32, u32) -> u32 = u32::wrapping_add; }
    /// use static_call::{Batch, StaticCall};
    ///
    /// Batch::new([ADD.change(u32::saturating_add)]).commit()?;
    /// assert_eq!(ADD.call(u32::MAX, 1), u32::MAX);
    /// # Ok::<(), static_call::Error>(())
    /// ```
    fn change(self, target: Self::Target) -> Change;

    /// The key's name: the path of its declaration.
    ///
    /// ```
    /// # static_call::define! { static ADD: fn(u32, u32) -> u32 = u32::wrapping_add; }
    /// use static_call::StaticCall;
    ///
    /// assert!(ADD.name().ends_with("ADD"));
    /// ```
    #[must_use]
    fn name(self) -> &'static str {
        // SAFETY: nothing is stored into it.
        update::name(unsafe { self.key() })
    }

    /// Counts this key's call sites. Reads each of them, and holds up updates meanwhile. All numbers are zero
    /// in a signal handler that interrupted an update on its own thread.
    ///
    /// ```
    /// # static_call::define! { static ADD: fn(u32, u32) -> u32 = u32::wrapping_add; }
    /// use static_call::StaticCall;
    ///
    /// let info = ADD.info();
    /// assert_eq!(info.sites, info.direct + info.through_trampoline);
    /// ```
    #[must_use]
    fn info(self) -> Info {
        // SAFETY: nothing is stored into it.
        primary::key_info(unsafe { self.key() })
    }
}

/// A key that is on or off, declared by [`define!`](crate::define) as a `bool`.
///
/// Each key has a type of its own, with these methods:
///
/// - `enable()` and `disable()`: switch it on and off. A key that is on already keeps its count.
/// - `inc()` and `dec()`: count who wants it on; it is on while its count is not zero.
/// - `is_enabled()` and `count()`.
/// - `change(bool)`: the change that `enable` or `disable` makes, for a [`Batch`].
///
/// [`static_branch_unlikely!`](crate::static_branch_unlikely) and
/// [`static_branch_likely!`](crate::static_branch_likely) ask for it. This trait is what all of them have in
/// common.
///
/// ```
/// use static_call::{StaticBranch, static_branch_unlikely};
///
/// static_call::define! { static TRACE: bool = false; }
///
/// fn work(number: u32) -> u32 {
///     if static_branch_unlikely!(TRACE) {
///         println!("{number}");
///     }
///     number + 1
/// }
/// work(1);
/// TRACE.enable()?;
/// work(2);
/// assert!(TRACE.is_enabled() && TRACE.name().ends_with("TRACE"));
/// # Ok::<(), static_call::Error>(())
/// ```
///
/// # Safety
///
/// The macros implement it.
pub unsafe trait StaticBranch: Copy + Send + Sync + 'static {
    /// The key in memory.
    ///
    /// # Safety
    ///
    /// Only the runtime stores into it.
    #[doc(hidden)]
    unsafe fn key(self) -> &'static Key;

    /// The key's name: the path of its declaration.
    #[must_use]
    fn name(self) -> &'static str {
        // SAFETY: nothing is stored into it.
        update::name(unsafe { self.key() })
    }

    /// Counts the `branches` that ask for this key, and those that are patched and do not look at it. As
    /// [`StaticCall::info`].
    #[must_use]
    fn info(self) -> Info {
        // SAFETY: nothing is stored into it.
        primary::key_info(unsafe { self.key() })
    }
}

/// A change of one key, made by [`StaticCall::change`], for a [`Batch`].
///
/// ```
/// # static_call::define! { static ADD: fn(u32, u32) -> u32 = u32::wrapping_add; }
/// use static_call::{Batch, Change, StaticCall};
///
/// let changes: [Change; 1] = [ADD.change(u32::saturating_add)];
/// Batch::new(changes).commit()?;
/// # Ok::<(), static_call::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a change does nothing until a `Batch` commits it"]
pub struct Change(change::Change<'static>);

impl Change {
    pub(crate) const fn new(key: &'static Key, target: *const (), form: Form) -> Self {
        Self(change::Change::new(key, target, form))
    }

    /// A change of a branch's key.
    pub(crate) const fn branch(key: &'static Key, wish: Wish) -> Self {
        Self(change::Change::branch(key, wish))
    }

    /// The change that switches a key off.
    pub(crate) fn off(key: &'static Key) -> Self {
        Self(change::Change::off(key))
    }

    /// Makes this change alone.
    pub(crate) fn commit(self) -> Result<(), Error> {
        primary::commit(&mut [self.0])
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
        primary::commit(&mut self.0.map(|change| change.0))
    }
}

/// The results that a key can be set to return without calling anything.
///
/// ```
/// static_call::define! { static LEVEL: fn() -> u8 = verbose; }
/// fn verbose() -> u8 { 3 }
///
/// LEVEL.update_return_zero()?;
/// assert_eq!(LEVEL.call(), 0);
/// # Ok::<(), static_call::Error>(())
/// ```
///
/// # Safety
///
/// The type is returned in the first integer register of every calling convention, or is an integer that
/// takes more than one; and all its bits zero are a value.
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

// Changes may be prepared by one thread and made by another one.
const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Change>();
    assert_send_sync::<Batch<2>>();
};
