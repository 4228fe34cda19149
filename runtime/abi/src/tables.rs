//! Keys, records, sites and the image descriptor, as they lie in memory.
//!
//! # Who may hold what
//!
//! A key is shared by everybody: what changes in it is atomic. Records, site tables and descriptors are the
//! lock holder's alone, who has shared references to them and changes the runtime's own fields, which are
//! cells. There are no mutable ones: each of them is reached in several ways (the list of images, a key's
//! list of records, the caller's pointer). Branch tables are the lock holder's, too. An image's is sorted
//! through a mutable reference when it is registered: then nothing else leads to it yet.

use core::cell::Cell;
use core::ffi::{c_char, c_void};
use core::sync::atomic::Ordering;
#[cfg(not(all(loom, test)))]
use core::sync::atomic::{AtomicPtr, AtomicU32};
#[cfg(all(loom, test))]
use loom::sync::atomic::{AtomicPtr, AtomicU32};

/// Version of everything in this crate. An image with another version stays on its trampolines.
pub const VERSION: u32 = 2;

/// A static call's key: the function that its sites call. Or a static branch's: whether it is on.
///
/// `target` comes first, so that a plain load of the key's address is the generic implementation
/// on every target. It is never null: a key without a function points at `off`. A branch's key has a number
/// in its place, which counts who wants it on.
#[repr(C)]
#[derive(Debug)]
pub struct Key {
    /// What a call reaches now; or how often a branch was switched on, as an address.
    pub target: AtomicPtr<()>,
    /// The records of all images that call this key.
    pub records: AtomicPtr<Record>,
    /// Function that stands for "no function" or "return zero", or null where a key has none. A key that
    /// dispatches has its [`Resolver`] here.
    pub off: *const c_void,
    /// Name for people, NUL-terminated, or null.
    pub name: *const c_char,
    /// The [`Form`] of `target` in its lowest two bits, and [`POINTER`] in the highest one; those between
    /// count the stores.
    pub form: AtomicU32,
    /// The [`Form`] of `off`, or [`BRANCH`] or [`DISPATCH`], and [`VERSION`] in the upper half.
    pub flags: u32,
}

/// In [`Key::form`]: no instruction of this key is patched, so that a store alone makes an update. Once set
/// it stays.
pub const POINTER: u32 = 1 << 31;

/// In [`Key::flags`]: this is a branch's key.
pub const BRANCH: u32 = 1 << 15;

/// In [`Key::flags`]: this key's function is chosen by a [`Resolver`] before anything is stored into it.
pub const DISPATCH: u32 = 1 << 14;

/// In [`Key::flags`], beside [`DISPATCH`]: the resolver is C's, a function without parameters that returns
/// the one to call.
pub const PLAIN_RESOLVER: u32 = 1 << 13;

/// Chooses a key's function. It always chooses the same.
///
/// - With a name of `len` bytes: the variant of this name, if there is one that the processor can run, and
///   otherwise the best one.
/// - With null and 0: the best one.
/// - With null and a number: no choice, but that [`Variant`], counted from 1; null if there are fewer.
pub type Resolver = extern "C" fn(name: *const u8, len: usize) -> *const ();

/// A function that a key may be resolved to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its name, for people.
    pub name: *const u8,
    /// How many bytes that has.
    pub len: usize,
    /// The function.
    pub function: *const (),
}

// SAFETY: the pointers name functions, strings and records that live as long as the key, and what
// changes is atomic.
unsafe impl Sync for Key {}
// SAFETY: as above; a key has no thread of its own.
unsafe impl Send for Key {}

/// The bits of [`Key::form`] that hold a [`Form`].
const FORM: u32 = (1 << Form::BITS) - 1;

/// How a key's target may be reached, beside calling it.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An ordinary function: call it.
    Call = 0,
    /// The key is off and its `off` function does nothing: an inline site may be a nop.
    Nop = 1,
    /// The `off` function only returns zero: an inline site may clear the return register.
    Zero = 2,
    /// The key is off, but `off` has work to do (it drops its arguments): call it.
    OffCall = 3,
}

impl Form {
    /// How many bits a form takes.
    pub const BITS: u32 = 2;

    /// The form with this number, if there is one.
    #[must_use]
    pub const fn from_u32(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Call),
            1 => Some(Self::Nop),
            2 => Some(Self::Zero),
            3 => Some(Self::OffCall),
            _ => None,
        }
    }

    /// The form in [`Key::form`], whose other bits count.
    #[must_use]
    pub const fn of_word(word: u32) -> Option<Self> {
        Self::from_u32(word & FORM)
    }

    /// Whether a key in this form has no function.
    #[must_use]
    pub const fn is_none(self) -> bool {
        matches!(self, Self::Nop | Self::OffCall)
    }
}

// loom's atomics are not made by constant functions.
#[cfg(not(all(loom, test)))]
impl Key {
    /// A key that calls `target`.
    #[must_use]
    pub const fn new(target: *const (), name: *const c_char) -> Self {
        Self::with_off(target, Form::Call, core::ptr::null(), Form::Call, name)
    }

    /// A key with an `off` function, pointing at `target` in the form `form`.
    #[must_use]
    pub const fn with_off(
        target: *const (),
        form: Form,
        off: *const (),
        off_form: Form,
        name: *const c_char,
    ) -> Self {
        Self {
            target: AtomicPtr::new(target.cast_mut()),
            records: AtomicPtr::new(core::ptr::null_mut()),
            off: off.cast(),
            name,
            form: AtomicU32::new(form as u32),
            flags: off_form as u32 | (VERSION << 16),
        }
    }

    /// A key that calls `target` until `resolver` has chosen.
    #[must_use]
    pub const fn dispatch(target: *const (), resolver: Resolver, name: *const c_char) -> Self {
        Self {
            target: AtomicPtr::new(target.cast_mut()),
            records: AtomicPtr::new(core::ptr::null_mut()),
            off: resolver as *const c_void,
            name,
            form: AtomicU32::new(Form::Call as u32),
            flags: DISPATCH | (VERSION << 16),
        }
    }

    /// The same key, whose instructions are never patched.
    #[must_use]
    pub const fn as_pointer(self) -> Self {
        Self { form: AtomicU32::new(self.form.into_inner() | POINTER), ..self }
    }

    /// The key of a static branch.
    #[must_use]
    pub const fn branch(is_on: bool, name: *const c_char) -> Self {
        Self {
            target: AtomicPtr::new(core::ptr::without_provenance_mut(is_on as usize)),
            records: AtomicPtr::new(core::ptr::null_mut()),
            off: core::ptr::null(),
            name,
            form: AtomicU32::new(Form::Call as u32),
            flags: BRANCH | (VERSION << 16),
        }
    }
}

impl Key {
    /// The form of `off`.
    #[must_use]
    pub fn off_form(&self) -> Option<Form> {
        if self.off.is_null() { None } else { Form::from_u32(self.flags & 0xffff) }
    }

    /// Whether this is a branch's key.
    #[must_use]
    pub const fn is_branch(&self) -> bool {
        self.flags & BRANCH != 0
    }

    /// Whether a resolver chooses this key's function.
    #[must_use]
    pub fn is_dispatched(&self) -> bool {
        self.flags & DISPATCH != 0 && !self.off.is_null()
    }

    /// Has this key's resolver choose, with the name of a variant or none. Null leaves the key as it is.
    #[must_use]
    pub fn resolve(&self, name: Option<&[u8]>) -> *const () {
        self.ask(name.map_or(core::ptr::null(), <[u8]>::as_ptr), name.map_or(0, <[u8]>::len), true)
    }

    /// One of the functions that this key may be resolved to, counted from 0.
    #[must_use]
    pub fn variant(&self, index: usize) -> Option<Variant> {
        let variant = self.ask(core::ptr::null(), index.checked_add(1)?, false).cast::<Variant>();
        // SAFETY: as the resolver promises.
        unsafe { variant.as_ref() }.copied()
    }

    fn ask(&self, name: *const u8, len: usize, is_choice: bool) -> *const () {
        if !self.is_dispatched() {
            return core::ptr::null();
        }
        if self.flags & PLAIN_RESOLVER != 0 {
            // SAFETY: whoever set the flags put such a function there.
            let resolver =
                unsafe { core::mem::transmute::<*const c_void, extern "C" fn() -> *const ()>(self.off) };
            return if is_choice { resolver() } else { core::ptr::null() };
        }
        // SAFETY: as above.
        let resolver = unsafe { core::mem::transmute::<*const c_void, Resolver>(self.off) };
        resolver(name, len)
    }

    /// Whether nothing was stored into this key yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.form.load(Ordering::Relaxed) & !POINTER <= FORM
    }

    /// Whether no instruction of this key is patched.
    #[must_use]
    pub fn is_pointer(&self) -> bool {
        self.form.load(Ordering::Relaxed) & POINTER != 0
    }

    /// Notes that no instruction of this key is patched any more, or will be. Only the holder of the
    /// runtime's lock does this.
    pub fn make_pointer(&self) {
        self.form.store(self.form.load(Ordering::Relaxed) | POINTER, Ordering::Release);
    }

    /// Version of the layout that this key was built for.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.flags >> 16
    }

    /// Target and form of one instant, although they are two words.
    ///
    /// A writer stores the form before the target when it switches a key off, and after it when it switches
    /// the key on; so whatever target is found between two loads of one form belongs to it. Each store counts
    /// in the form's upper bits: a key that was on for a moment is not taken for one that never was.
    #[must_use]
    pub fn load(&self) -> (*const (), Form) {
        let mut before = self.form.load(Ordering::Acquire);
        loop {
            let target = self.target.load(Ordering::Acquire);
            let after = self.form.load(Ordering::Acquire);
            if before == after {
                return (target, Form::of_word(after).unwrap_or(Form::Call));
            }
            before = after;
        }
    }

    /// Publishes a target. Only the holder of the runtime's lock stores.
    pub fn store(&self, target: *const (), form: Form) {
        let before = self.form.load(Ordering::Relaxed);
        let next = (before & !FORM).wrapping_add(FORM + 1) & !POINTER;
        // The count begins again, but at one: a key that was stored into is never new.
        let stores = if next == 0 { FORM + 1 } else { next };
        let counted = before & POINTER | stores | form as u32;
        if form == Form::Call {
            self.target.store(target.cast_mut(), Ordering::Release);
            self.form.store(counted, Ordering::Release);
        } else {
            self.form.store(counted, Ordering::Release);
            self.target.store(target.cast_mut(), Ordering::Release);
        }
    }
}

/// In place of a trampoline: this is the record of a branch, which has none. No image is so large that it
/// could be a distance in it.
pub const BRANCH_RECORD: i32 = i32::from_le_bytes([VERSION as u8, b'S', b'C', 0x80]);

/// One image's use of one key; the node of the key's list.
///
/// The pass fills `key` and `trampoline`; the rest is the runtime's and starts as zero. An anchor has zero
/// in both.
#[repr(C)]
#[derive(Debug)]
pub struct Record {
    /// The key, in whichever image defines it.
    pub key: *const Key,
    /// The next image's record of the same key.
    pub next: Cell<*mut Record>,
    /// The first of this record's sites in the sorted table; of a branch, its first [`Branch`].
    pub sites: Cell<*mut Site>,
    /// How many sites follow there.
    pub count: Cell<u32>,
    /// The trampoline's address less this record's, or [`BRANCH_RECORD`].
    pub trampoline: i32,
    /// The aligned word of the trampoline's first instruction before it was patched, in its first bytes; or
    /// zero.
    pub saved: Cell<[u8; 8]>,
}

impl Record {
    /// Whether this is no record, but only holds the section's place.
    #[must_use]
    pub fn is_anchor(&self) -> bool {
        self.key.is_null() && self.trampoline == 0
    }

    /// Whether this is the record of a branch.
    #[must_use]
    pub fn is_branch(&self) -> bool {
        self.trampoline == BRANCH_RECORD
    }
}

/// An entry of the site table: the instruction's address less the entry's own.
///
/// Where LLVM compiles for the medium code model, which is the usual one of some architectures, its entries
/// are eight bytes long. The lower half is the entry; the upper half is its sign, and no entry: see
/// [`is_entry`].
pub type Site = i32;

/// The entry that only holds the section's place: code never lies in the table itself.
pub const SITE_ANCHOR: Site = 0;

/// Whether this word of the site table names an instruction: none starts one byte before the word, in the
/// table.
#[must_use]
pub const fn is_entry(site: Site) -> bool {
    !matches!(site, SITE_ANCHOR | -1)
}

/// An entry of the branch table: an instruction that is a no-op or a jump. All zeros are an anchor.
///
/// Addresses are less those of the fields that hold them.
#[repr(C)]
#[derive(Debug)]
pub struct Branch {
    /// The instruction. In the file it jumps to code that looks at the key.
    pub site: Cell<i32>,
    /// Where it jumps once it is patched.
    pub target: Cell<i32>,
    /// The record, with [`JUMPS_WHEN_OFF`] in its lowest bit. While the image is registered,
    /// [`Branch::CHECK`] has what stands here.
    pub record: Cell<i32>,
}

/// In the lowest bit of [`Branch::record`]: the instruction jumps while the key is off, and not while it is
/// on.
pub const JUMPS_WHEN_OFF: i32 = 1;

impl Branch {
    /// How far [`record`](Self::record) is shifted while the image is registered: above the lowest bit it
    /// holds the address of the code that looks at the key, less that of the instruction.
    pub const CHECK: u32 = 1;

    /// Whether this is no entry, but only holds the section's place.
    #[must_use]
    pub fn is_anchor(&self) -> bool {
        self.site.get() == SITE_ANCHOR
    }
}

/// One executable or shared object.
///
/// The pass fills everything up to `header`; the rest is the runtime's.
#[repr(C)]
#[derive(Debug)]
pub struct Image {
    /// [`VERSION`] of the pass.
    pub version: u32,
    /// Zero before registration; then the runtime's.
    pub state: Cell<u32>,
    /// The site table.
    pub sites: *mut Site,
    /// Its end.
    pub sites_end: *mut Site,
    /// The records.
    pub records: *mut Record,
    /// Their end.
    pub records_end: *mut Record,
    /// The section of the keys: an anchor of eight bytes, then keys.
    pub keys: *mut Key,
    /// Its end.
    pub keys_end: *mut Key,
    /// The branch table.
    pub branches: *mut Branch,
    /// Its end.
    pub branches_end: *mut Branch,
    /// The end of [`END_SECTION`](crate::END_SECTION).
    pub end: *const u8,
    /// The image's ELF header, or null where it is not loaded.
    pub header: Cell<*const u8>,
    /// The next registered image.
    pub next: Cell<*mut Image>,
    /// Start of the executable segment that holds the first trampoline.
    pub text: Cell<usize>,
    /// Its end.
    pub text_end: Cell<usize>,
    /// The first page of code that an update is about to write, counted over the executable segments.
    pub window: Cell<usize>,
    /// What follows the last one.
    pub window_end: Cell<usize>,
    /// The segment's flags in the program header, and some of the runtime's.
    pub text_flags: Cell<u32>,
    /// Why the image stays on its trampolines; a number of the runtime's.
    pub reason: Cell<u32>,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{AtomicU32, FORM, Form, Key, POINTER};

    #[test]
    fn a_key_that_was_stored_into_is_never_new_again() {
        for is_pointer in [false, true] {
            let stores = !FORM & !POINTER;
            let form = AtomicU32::new(stores | if is_pointer { POINTER } else { 0 });
            let key = Key { form, ..Key::new(core::ptr::null(), core::ptr::null()) };
            for form in [Form::Call, Form::Nop] {
                key.store(core::ptr::dangling(), form);
                assert_eq!((key.is_new(), key.is_pointer()), (false, is_pointer));
                assert_eq!(key.load(), (core::ptr::dangling(), form));
            }
        }
    }
}
