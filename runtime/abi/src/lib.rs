//! What the compiler pass writes and the runtime, the C header and the inspector read.
//!
//! One definition for all of them: the pass takes names, sizes and field numbers from here, the
//! runtime maps these types onto memory, and a test holds `static_call.h` against them.
//!
//! ```text
//!           .text                 .text.static_call.<key>           static_call_records      static_call_keys
//!  site:  call ───────────────▶  prefix │ trampoline: load, jump ─────────────────────────▶ Key
//!    ▲                           (8 B)  │                     ▲                              ▲ │
//!    │ pc-relative                 └── self-relative ──▶ Record ── key ──────────────────────┘ │
//!  static_call_sites: i32 i32 …  ◀──────── sites ─────────  ▲ └── next ──▶ other images         │
//!                                                           └─────────── records ◀─────────────┘
//! ```

#![no_std]

use core::ffi::{c_char, c_void};
use core::sync::atomic::Ordering;
#[cfg(not(all(loom, test)))]
use core::sync::atomic::{AtomicPtr, AtomicU32};
#[cfg(all(loom, test))]
use loom::sync::atomic::{AtomicPtr, AtomicU32};

#[cfg(all(loom, test))]
mod models;

/// What both the pass and the runtime have to know of an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// The unit in which memory is protected, and in which the linkers lay out segments by default; the largest
    /// where systems differ.
    pub page_size: usize,
}

/// x86 of 64 bits.
pub const X86_64: Architecture = Architecture { page_size: 4096 };
/// x86 of 32 bits.
pub const X86: Architecture = Architecture { page_size: 4096 };
/// Arm of 64 bits.
pub const AARCH64: Architecture = Architecture { page_size: 65536 };
/// LoongArch of 64 bits. Its pages have 4, 16 or 64 KiB.
pub const LOONGARCH64: Architecture = Architecture { page_size: 65536 };
/// Arm of 32 bits, ARMv7 and later.
pub const ARM: Architecture = Architecture { page_size: 65536 };
/// RISC-V of 64 bits, whose pages have one size (The RISC-V Instruction Set Manual, volume II, "Sv39").
pub const RISCV64: Architecture = Architecture { page_size: 4096 };
/// z/Architecture, of 64 bits.
pub const S390X: Architecture = Architecture { page_size: 4096 };
/// POWER of 64 bits.
pub const POWERPC64: Architecture = Architecture { page_size: 65536 };
/// Every other one. The compiler pass does nothing about pages there.
pub const OTHER: Architecture = Architecture { page_size: 65536 };

/// Version of everything in this file. An image with another version stays on its trampolines.
pub const VERSION: u32 = 1;

/// Every symbol that starts like this belongs to static-call.
pub const RESERVED_PREFIX: &str = "__static_call_";
/// The intrinsic: `fn(*const Key) -> *const ()`, the function that a key points at.
pub const INTRINSIC: &str = "__static_call_target";
/// A C-visible key named `k` has the symbol `k__static_call_key`: what follows the name leaves room for a scope before it.
pub const KEY_SUFFIX: &str = "__static_call_key";
/// A trampoline's symbol: this, then its key's symbol, then `+offset` for a field of a static.
pub const TRAMPOLINE_PREFIX: &str = "__static_call_trampoline.";
/// A record's symbol, formed in the same way.
pub const RECORD_PREFIX: &str = "__static_call_record.";
/// The image descriptor, one for each executable or shared object.
pub const IMAGE: &str = "__static_call_image";
/// The constructor and destructor that hand the descriptor to the runtime.
pub const CONSTRUCTOR: &str = "__static_call_image_constructor";
/// See [`CONSTRUCTOR`].
pub const DESTRUCTOR: &str = "__static_call_image_destructor";
/// The runtime's entry points: `fn(*mut Image)`.
pub const REGISTER: &str = "__static_call_register";
/// See [`REGISTER`].
pub const UNREGISTER: &str = "__static_call_unregister";
/// Other functions of the runtime and of the C header; the header's own are local to each file.
pub const FUNCTIONS: [&str; 9] = [
    REGISTER,
    UNREGISTER,
    INTRINSIC,
    "__static_call_update",
    "__static_call_update_ret0",
    "__static_call_query",
    "__static_call_info",
    "__static_call_commit",
    "__static_call_seal",
];
/// See [`FUNCTIONS`].
pub const LOCAL_FUNCTIONS: [&str; 2] = ["__static_call_off_nop", "__static_call_off_zero"];
/// Section of the keys that an image defines, but for those that lie in a larger object.
pub const KEYS_SECTION: &str = "static_call_keys";
/// Section of the records: one [`Record`] for each key that an image calls, and one anchor.
pub const RECORDS_SECTION: &str = "static_call_records";
/// Section of the site table: one [`Site`] for each recorded instruction, and one anchor.
pub const SITES_SECTION: &str = "static_call_sites";
/// Section of a page that is never used, so that the last page with sites holds nothing else.
pub const END_SECTION: &str = "static_call_end";
/// The sections above in their order in memory. They lie side by side, and start with a page.
pub const SECTIONS: [&str; 4] = [KEYS_SECTION, RECORDS_SECTION, SITES_SECTION, END_SECTION];
/// An anchor's symbol: this, then the name of its section. Each image has one in each section.
pub const ANCHOR_PREFIX: &str = "__static_call_anchor.";
/// Sections of the trampolines, one each: this, then the key's symbol.
pub const TRAMPOLINE_SECTION_PREFIX: &str = ".text.static_call.";
/// Attribute that tells our functions from a user's function with a reserved name.
pub const TRAMPOLINE_ATTRIBUTE: &str = "static-call-trampoline";

/// First half of a trampoline's prefix data: from the lowest byte on `S C T` and the version.
pub const SIGNATURE: u32 = u32::from_le_bytes([b'S', b'C', b'T', VERSION as u8]);
/// The same for a call that cannot become a nop: it has to be made, even to return nothing.
pub const SIGNATURE_CALL_ONLY: u32 = u32::from_le_bytes([b'S', b'C', b'C', VERSION as u8]);

/// A static call's key: the function that its sites call.
///
/// `target` comes first, so that a plain load of the key's address is the generic implementation
/// on every target. It is never null: a key without a function points at `off`.
#[repr(C)]
#[derive(Debug)]
pub struct Key {
    /// What a call reaches now.
    pub target: AtomicPtr<()>,
    /// The records of all images that call this key.
    pub records: AtomicPtr<Record>,
    /// Function that stands for "no function" or "return zero", or null where a key has none.
    pub off: *const c_void,
    /// Name for people, NUL-terminated, or null.
    pub name: *const c_char,
    /// The [`Form`] of `target` in its lowest two bits; those above count the stores.
    pub form: AtomicU32,
    /// The [`Form`] of `off`, and [`VERSION`] in the upper half.
    pub flags: u32,
}

// SAFETY: the pointers name functions, strings and records that live as long as the key, and what
// changes is atomic.
unsafe impl Sync for Key {}
// SAFETY: as above; a key has no thread of its own.
unsafe impl Send for Key {}

/// The bits of [`Key::form`] that hold a [`Form`].
const FORM: u32 = 3;

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
}

impl Key {
    /// The form of `off`.
    #[must_use]
    pub fn off_form(&self) -> Option<Form> {
        if self.off.is_null() { None } else { Form::from_u32(self.flags & 0xffff) }
    }

    /// Version of the layout that this key was built for.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.flags >> 16
    }

    /// Target and form of one instant, although they are two words.
    ///
    /// A writer stores the form before the target when it switches a key off, and after it when
    /// it switches the key on; so whatever target is found between two loads of one form belongs to it. Each
    /// store counts in the form's upper bits: a key that was on for a moment is not taken for one that never was.
    #[must_use]
    pub fn load(&self) -> (*const (), Form) {
        let mut before = self.form.load(Ordering::Acquire);
        loop {
            let target = self.target.load(Ordering::Acquire);
            let after = self.form.load(Ordering::Acquire);
            if before == after {
                return (target, Form::from_u32(after & FORM).unwrap_or(Form::Call));
            }
            before = after;
        }
    }

    /// Publishes a target. Only the holder of the runtime's lock stores.
    pub fn store(&self, target: *const (), form: Form) {
        let stores = self.form.load(Ordering::Relaxed) & !FORM;
        let counted = stores.wrapping_add(FORM + 1) | form as u32;
        if form == Form::Call {
            self.target.store(target.cast_mut(), Ordering::Release);
            self.form.store(counted, Ordering::Release);
        } else {
            self.form.store(counted, Ordering::Release);
            self.target.store(target.cast_mut(), Ordering::Release);
        }
    }
}

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
    pub next: *mut Record,
    /// The first of this record's sites in the sorted table.
    pub sites: *mut Site,
    /// How many sites follow there.
    pub count: u32,
    /// The trampoline's address less this record's.
    pub trampoline: i32,
    /// The aligned word of the trampoline's first instruction before it was patched, in its first bytes; or
    /// zero.
    pub saved: [u8; 8],
}

impl Record {
    /// Whether this is no record, but only holds the section's place.
    #[must_use]
    pub fn is_anchor(&self) -> bool {
        self.key.is_null() && self.trampoline == 0
    }
}

/// An entry of the site table: the instruction's address less the entry's own.
///
/// Where LLVM compiles for the medium code model, which is the usual one of some architectures, its entries are eight
/// bytes long. The lower half is the entry; the upper half is its sign, and no entry: see [`is_entry`].
pub type Site = i32;

/// The entry that only holds the section's place: code never lies in the table itself.
pub const SITE_ANCHOR: Site = 0;

/// Whether this word of the site table names an instruction: none starts one byte before the word, in the table.
#[must_use]
pub const fn is_entry(site: Site) -> bool {
    !matches!(site, SITE_ANCHOR | -1)
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
    pub state: u32,
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
    /// The end of [`END_SECTION`].
    pub end: *const u8,
    /// The image's ELF header, or null where it is not loaded.
    pub header: *const u8,
    /// The next registered image.
    pub next: *mut Image,
    /// Start of the executable segment that holds the sites.
    pub text: usize,
    /// Its end.
    pub text_end: usize,
    /// Start of the part of it that an update is about to write.
    pub window: usize,
    /// Its end.
    pub window_end: usize,
    /// The segment's flags in the program header.
    pub text_flags: u32,
    /// Why the image stays on its trampolines; a number of the runtime's.
    pub reason: u32,
}

#[cfg(all(target_pointer_width = "64", not(all(loom, test))))]
const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Key>() == 40 && offset_of!(Key, form) == 32);
    assert!(size_of::<Record>() == 40 && offset_of!(Record, trampoline) == 28);
    assert!(size_of::<Image>() == 120 && offset_of!(Image, header) == 64);
};

#[cfg(all(target_pointer_width = "32", not(all(loom, test))))]
const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<Key>() == 24 && offset_of!(Key, form) == 16);
    assert!(size_of::<Record>() == 28 && offset_of!(Record, trampoline) == 16);
    assert!(size_of::<Image>() == 68 && offset_of!(Image, header) == 36);
};
