//! Keys as Rust programs see them.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::ptr::{self, NonNull};

use static_call_abi::{self as abi, Form};

use crate::change::{self, Wish};
use crate::error::Error;
use crate::info::Info;
use crate::primary;
use crate::update;

/// A key declared by [`define!`](crate::define) or [`declare!`](crate::declare).
///
/// Each key has a type of its own, with the methods `call`, `update` and `target`, whose signatures are
/// those of its function. This trait is what all keys have in common. [`Key`] is a handle to any key of one
/// function type.
///
/// ```
/// use static_call::StaticCall;
///
/// static_call::define! { static ADD: fn(u32, u32) -> u32 = add; }
/// fn add(a: u32, b: u32) -> u32 { a + b }
///
/// fn report(key: &impl StaticCall) -> String {
///     let info = key.info();
///     format!("{}: {} of {} calls are direct", key.name(), info.direct, info.sites)
/// }
/// assert!(report(&ADD).contains("ADD: "));
/// ```
///
/// # Safety
///
/// The macros implement it. A call through the key's target as a `Target` is right whatever
/// [`change`](Self::change) makes of it.
pub unsafe trait StaticCall: Send + Sync + 'static {
    /// The function pointer type: `fn(...)`, or `Option<fn(...)>` for a key that can be off.
    type Target: Copy;

    /// The key in memory.
    ///
    /// # Safety
    ///
    /// Only the runtime stores into it, and only what [`change`](Self::change) made.
    #[doc(hidden)]
    unsafe fn key(&self) -> &'static abi::Key;

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
    fn change(&self, target: Self::Target) -> Change;

    /// What calls reach now.
    #[must_use]
    fn target(&self) -> Self::Target;

    /// Makes all calls reach `target`.
    ///
    /// # Errors
    ///
    /// As for the method of the same name of each key. Nothing has changed then.
    fn update(&self, target: Self::Target) -> Result<(), Error> {
        self.change(target).commit()
    }

    /// The key's name: the path of its declaration.
    ///
    /// ```
    /// # static_call::define! { static ADD: fn(u32, u32) -> u32 = u32::wrapping_add; }
    /// use static_call::StaticCall;
    ///
    /// assert!(ADD.name().ends_with("ADD"));
    /// ```
    #[must_use]
    fn name(&self) -> &'static str {
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
    fn info(&self) -> Info {
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
pub unsafe trait StaticBranch: Send + Sync + 'static {
    /// The key in memory.
    ///
    /// # Safety
    ///
    /// Only the runtime stores into it.
    #[doc(hidden)]
    unsafe fn key(&self) -> &'static abi::Key;

    /// The key's name: the path of its declaration.
    #[must_use]
    fn name(&self) -> &'static str {
        // SAFETY: nothing is stored into it.
        update::name(unsafe { self.key() })
    }

    /// Counts the `branches` that ask for this key, and those that are patched and do not look at it. As
    /// [`StaticCall::info`].
    #[must_use]
    fn info(&self) -> Info {
        // SAFETY: nothing is stored into it.
        primary::key_info(unsafe { self.key() })
    }
}

/// A handle to any key whose calls reach a `Target`, for tables, maps and generic code.
///
/// It is two words, and as `Copy`, `Send` and `Sync` as a function pointer. A call through it is a call
/// through a pointer, the key's: `(key.target())(arguments…)`. Updates through it reach every call.
///
/// ```
/// use static_call::Key;
///
/// static_call::define! {
///     static ADD: fn(u32, u32) -> u32 = u32::wrapping_add;
///     static MULTIPLY: fn(u32, u32) -> u32 = u32::wrapping_mul;
/// }
///
/// static OPERATIONS: [Key<fn(u32, u32) -> u32>; 2] = [Key::new(&ADD), Key::new(&MULTIPLY)];
///
/// let results = OPERATIONS.map(|key| (key.target())(6, 7));
/// assert_eq!(results, [13, 42]);
/// let add = OPERATIONS.into_iter().find(|key| key.name().ends_with("ADD")).expect("it is there");
/// add.update(u32::saturating_add)?;
/// assert_eq!(ADD.call(u32::MAX, 1), u32::MAX);
/// # Ok::<(), static_call::Error>(())
/// ```
///
/// The handle of a key that can be off is a `Key<Option<fn(…)>>`.
pub struct Key<Target: Copy + 'static>(&'static dyn StaticCall<Target = Target>);

impl<Target: Copy> Key<Target> {
    /// The handle of a key: of the static that [`define!`](crate::define) or [`declare!`](crate::declare)
    /// has made.
    pub const fn new(key: &'static dyn StaticCall<Target = Target>) -> Self {
        Self(key)
    }

    /// What calls reach now.
    #[must_use]
    pub fn target(self) -> Target {
        self.0.target()
    }

    /// Makes all calls reach `target`.
    ///
    /// # Errors
    ///
    /// As for an update of the key itself. Nothing has changed then.
    pub fn update(self, target: Target) -> Result<(), Error> {
        self.0.update(target)
    }

    /// The change that makes the key's calls reach `target`, to be made by a [`Batch`].
    pub fn change(self, target: Target) -> Change {
        self.0.change(target)
    }

    /// The key's name: the path of its declaration.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Counts the key's call sites, as [`StaticCall::info`].
    #[must_use]
    pub fn info(self) -> Info {
        self.0.info()
    }

    /// Has all calls go through the key's pointer from now on, those of images that are loaded later, too.
    /// They cost what a call through an atomic pointer costs, and never become direct again. In return, no
    /// update can be refused any more: see [`Pointer`].
    ///
    /// Costs what an update costs.
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update): the calls that are direct have to change once. Where they never were
    /// (without the right to write code from the start, without the pass before the first update) there is
    /// none. Calls reach what they reached before.
    pub fn make_pointer(self) -> Result<Pointer<Target>, Error> {
        // SAFETY: nothing is stored into it but what the runtime stores.
        primary::make_pointer(unsafe { self.0.key() }).map(|()| Pointer(self))
    }

    /// The key in memory, which tells keys apart.
    fn address(self) -> *const abi::Key {
        // SAFETY: nothing is stored into it.
        unsafe { self.0.key() }
    }
}

/// A key whose calls all go through its pointer, so that [`set`](Self::set) cannot fail. It comes from
/// [`Key::make_pointer`].
///
/// An update of a direct call needs the right to write code, which the kernel may take away at any moment
/// (a seccomp filter, `PR_SET_MDWE`, `mseal`). A program that is about to give it up, and that has setters
/// which return nothing, makes their keys pointers first:
///
/// ```
/// use static_call::{Key, Pointer};
///
/// static_call::define! { static ENABLED: fn(level: u8) -> bool = never; }
/// fn never(_: u8) -> bool { false }
/// fn errors(level: u8) -> bool { level <= 1 }
///
/// fn set_max_level(enabled: Pointer<fn(u8) -> bool>) {
///     enabled.set(errors);
/// }
///
/// // Before the sandbox is closed.
/// let enabled = Key::new(&ENABLED).make_pointer()?;
/// // And then at any time.
/// set_max_level(enabled);
/// assert!(ENABLED.call(1));
/// # Ok::<(), static_call::Error>(())
/// ```
///
/// A key that [`define!`](crate::define) makes with `#[pointer]` is one from the start, and has the method
/// `set` itself.
pub struct Pointer<Target: Copy + 'static>(Key<Target>);

impl<Target: Copy> Pointer<Target> {
    /// Makes all calls reach `target`: those that start after it has returned, on any thread.
    ///
    /// It has no effect after [`seal`](crate::seal()), which is for this, nor in the handler of a fault that
    /// interrupted an update on its own thread. Nothing else can refuse it.
    ///
    /// Costs some hundred nanoseconds, and interrupts no other thread.
    pub fn set(self, target: Target) {
        set(self.0.change(target));
    }

    /// What calls reach now.
    #[must_use]
    pub fn target(self) -> Target {
        self.0.target()
    }

    /// The key, for everything else.
    #[must_use]
    pub fn key(self) -> Key<Target> {
        self.0
    }
}

/// Makes a change of a key that is a pointer, unless the program itself has ended all changes.
pub(crate) fn set(change: Change) {
    // The two errors that are left stand with `Pointer::set`; the log has them.
    let _ = change.commit();
}

impl<Target: Copy> Clone for Pointer<Target> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Target: Copy> Copy for Pointer<Target> {}

impl<Target: Copy> fmt::Debug for Pointer<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pointer").field(&self.0.name()).finish()
    }
}

impl<Target: Copy> Clone for Key<Target> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Target: Copy> Copy for Key<Target> {}

impl<Target: Copy> PartialEq for Key<Target> {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl<Target: Copy> Eq for Key<Target> {}

impl<Target: Copy> Hash for Key<Target> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl<Target: Copy> fmt::Debug for Key<Target> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.0.name()).finish()
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
///
/// It names the key and the new target. Like every `'static` reference into a plugin, it must be gone when
/// the plugin that has either of them is unloaded: whoever calls `dlclose`, which is unsafe, promises so. The
/// same holds for a [`Key`] and a [`Pointer`].
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
#[must_use = "a change does nothing until a `Batch` commits it"]
pub struct Change(change::Change<'static>);

impl Change {
    pub(crate) const fn new(key: &'static abi::Key, target: *const (), form: Form) -> Self {
        Self(change::Change::new(key, target, form))
    }

    /// A change of a branch's key.
    pub(crate) const fn branch(key: &'static abi::Key, wish: Wish) -> Self {
        Self(change::Change::branch(key, wish))
    }

    /// The change that switches a key off.
    pub(crate) fn off(key: &'static abi::Key) -> Self {
        Self(change::Change::off(key))
    }

    /// Makes this change alone.
    pub(crate) fn commit(self) -> Result<(), Error> {
        primary::commit(&mut [self.0])
    }

    fn inner(changes: &mut [Self]) -> &mut [change::Change<'static>] {
        // SAFETY: a `Change` is nothing but its field (`repr(transparent)`).
        unsafe { core::slice::from_raw_parts_mut(changes.as_mut_ptr().cast(), changes.len()) }
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
///
/// The changes may be in an array, a slice, a box or a vector, or (with the feature `std`) come from an
/// iterator. Those in a slice that outlives the batch undo it: when it is committed, each has become the
/// change back to what the key's calls reached before.
///
/// ```
/// # static_call::define! {
/// #     static ENCODE: fn(u32) -> u32 = plain;
/// #     static DECODE: fn(u32) -> u32 = plain;
/// # }
/// # fn plain(word: u32) -> u32 { word }
/// # fn masked(word: u32) -> u32 { word ^ 0xffff }
/// use static_call::{Batch, Key};
///
/// let keys: [Key<fn(u32) -> u32>; 2] = [Key::new(&ENCODE), Key::new(&DECODE)];
/// keys.iter().map(|key| key.change(masked)).collect::<Batch<_>>().commit()?;
/// assert_eq!(ENCODE.call(7), 0xfff8);
///
/// let mut changes = keys.map(|key| key.change(plain));
/// Batch::new(&mut changes).commit()?;
/// assert_eq!(ENCODE.call(7), 7);
/// Batch::new(&mut changes).commit()?;
/// assert_eq!(ENCODE.call(7), 0xfff8);
/// # Ok::<(), static_call::Error>(())
/// ```
///
/// A branch's change goes back to the count that was there before, whatever others have counted since: if
/// others count, too, undo `inc` by `dec`.
///
/// Besides the updates, a transaction of n changes takes n log n steps.
#[derive(Clone, Copy, Debug)]
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch<Changes>(Changes);

impl<Changes: AsMut<[Change]>> Batch<Changes> {
    /// A transaction of these changes.
    pub const fn new(changes: Changes) -> Self {
        Self(changes)
    }

    /// Makes all changes. When it returns, every call that starts afterwards, on any thread, reaches its
    /// key's new target.
    ///
    /// # Errors
    ///
    /// As for an update of one key, and [`ErrorKind::DuplicateKey`](crate::ErrorKind::DuplicateKey) if two
    /// changes name the same key. Then nothing has changed.
    pub fn commit(mut self) -> Result<(), Error> {
        primary::commit(Change::inner(self.0.as_mut()))
    }
}

#[cfg(feature = "std")]
impl FromIterator<Change> for Batch<std::vec::Vec<Change>> {
    fn from_iter<Iter: IntoIterator<Item = Change>>(changes: Iter) -> Self {
        Self(changes.into_iter().collect())
    }
}

/// The results that a key can be set to return without calling anything.
///
/// ```
/// static_call::define! {
///     static LEVEL: fn() -> u8 = verbose;
///     /// None, until limits are set.
///     #[return_zero]
///     static LIMIT: fn(user: u32) -> Option<&'static u64>;
/// }
/// fn verbose() -> u8 { 3 }
///
/// LEVEL.update_return_zero()?;
/// assert_eq!(LEVEL.call(), 0);
/// assert_eq!(LIMIT.call(1000), None);
/// # Ok::<(), static_call::Error>(())
/// ```
///
/// `()` is one of them: a key of a function without a result then does nothing.
///
/// # Safety
///
/// The type is returned in the first integer register of every calling convention, or is an integer that
/// takes more than one; and all its bits zero are the value [`ZERO`](Self::ZERO). Or it has no size.
pub unsafe trait ReturnZero {
    /// Zero, false, null or none.
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

// SAFETY: it has no size.
unsafe impl ReturnZero for () {
    const ZERO: Self = ();
}
// SAFETY: as an integer of the same size.
unsafe impl<T> ReturnZero for *const T {
    const ZERO: Self = ptr::null();
}
// SAFETY: as an integer of the same size.
unsafe impl<T> ReturnZero for *mut T {
    const ZERO: Self = ptr::null_mut();
}
// SAFETY: as a pointer to a `T` that is null where it is `None`, which the language promises (`core::option`,
// "Representation"); the same for those below.
unsafe impl<T> ReturnZero for Option<&T> {
    const ZERO: Self = None;
}
// SAFETY: as above.
unsafe impl<T> ReturnZero for Option<&mut T> {
    const ZERO: Self = None;
}
// SAFETY: as above.
unsafe impl<T> ReturnZero for Option<NonNull<T>> {
    const ZERO: Self = None;
}

// Changes may be prepared by one thread and made by another one.
const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Change>();
    assert_send_sync::<Batch<[Change; 2]>>();
    assert_send_sync::<Batch<&mut [Change]>>();
    assert_send_sync::<Key<fn()>>();
    assert_send_sync::<Pointer<fn()>>();
};
