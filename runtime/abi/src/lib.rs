//! What the compiler pass writes and the runtime, the C header and the inspector read.
//!
//! One definition for all of them: the pass takes names, sizes and field numbers from here, the
//! runtime maps these types onto memory, and a test holds `static_call.h` against them.
//!
//! ```text
//!           .text                 .text.static_call.<key>           static_call_records     static_call_keys
//!  site:  call ───────────────▶  prefix │ trampoline: load, jump ─────────────────────────▶ Key
//!    ▲                           (8 B)  │                     ▲                              ▲ │
//!    │ pc-relative                 └── self-relative ──▶ Record ── key ──────────────────────┘ │
//!  static_call_sites: i32 i32 …  ◀──────── sites ─────────  ▲ └── next ──▶ other images         │
//!                                                           └─────────── records ◀─────────────┘
//! ```

#![no_std]

mod assembler;
pub mod installation;
mod layout;
#[cfg(all(loom, test))]
mod models;
mod tables;

pub use layout::{Field, IMAGE_FIELDS, Layout, RECORD_FIELDS, RECORD_KEY, RECORD_TRAMPOLINE};
pub use tables::{
    BRANCH, BRANCH_RECORD, Branch, DISPATCH, Form, Image, JUMPS_WHEN_OFF, Key, PLAIN_RESOLVER, POINTER,
    Record, Resolver, SITE_ANCHOR, Site, VERSION, Variant, is_entry,
};

/// Facts of an architecture that the pass, the assembler's wrapper and the runtime share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// The unit in which memory is protected, and in which the linkers lay out segments by default; the
    /// largest where systems differ.
    pub page_size: usize,
    /// How its calls of trampolines are placed. The pass explains each (`llvm-pass/src/target`).
    pub site: Placement,
}

/// Where an instruction must lie, so that one store can replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The instruction must not cross a multiple of this power of two; 0 where none can.
    pub log2_align: u32,
    /// The most padding that this can need: an instruction that would need more does not cross the boundary.
    pub max_bytes: u32,
    /// The longest function that may be padded: in a longer one, padding could put the target of a branch out
    /// of reach. Zero if the assembler then picks a longer branch.
    pub max_function: u32,
}

impl Placement {
    /// Every instruction is in one word.
    pub const ANYWHERE: Self = Self { log2_align: 0, max_bytes: 0, max_function: 0 };
    /// Five bytes after a prefix, in a word of eight.
    pub const X86: Self = Self { log2_align: 3, max_bytes: 4, max_function: 0 };
    /// The same of six.
    pub const X86_CONDITIONAL_JUMP: Self = Self { max_bytes: 5, ..Self::X86 };
}

/// x86 of 64 bits.
pub const X86_64: Architecture = Architecture { page_size: 4096, site: Placement::X86 };
/// x86 of 32 bits.
pub const X86: Architecture = Architecture { page_size: 4096, site: Placement::X86 };

/// An instruction prefix without effect, which pads calls and jumps on x86.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The byte.
    pub byte: u8,
    /// The same for an assembler.
    pub text: &'static str,
}

macro_rules! prefix {
    ($byte:literal) => {
        Prefix { byte: $byte, text: stringify!($byte) }
    };
}

/// Address size: x86-64's.
pub const X86_64_PREFIX: Prefix = prefix!(0x67);
/// The segment FS: that of 32 bits.
pub const X86_PREFIX: Prefix = prefix!(0x64);

/// Arm of 64 bits.
pub const AARCH64: Architecture = Architecture { page_size: 65536, site: Placement::ANYWHERE };
/// LoongArch of 64 bits. Its pages have 4, 16 or 64 KiB.
pub const LOONGARCH64: Architecture = Architecture { page_size: 65536, site: Placement::ANYWHERE };
/// Arm of 32 bits, ARMv7 and later.
pub const ARM: Architecture = Architecture { page_size: 65536, site: Placement::ANYWHERE };
/// RISC-V of 64 bits, whose pages have one size (The RISC-V Instruction Set Manual, volume II, "Sv39").
/// Jumps inside a function reach 1 MiB, and padding nearly doubles a function that consists of calls.
pub const RISCV64: Architecture =
    Architecture { page_size: 4096, site: Placement { log2_align: 3, max_bytes: 6, max_function: 1 << 19 } };
/// z/Architecture, of 64 bits. Its short branches reach 65534 bytes ahead.
pub const S390X: Architecture =
    Architecture { page_size: 4096, site: Placement { log2_align: 3, max_bytes: 4, max_function: 65534 } };
/// POWER of 64 bits.
pub const POWERPC64: Architecture = Architecture { page_size: 65536, site: Placement::ANYWHERE };
/// Every other one. The compiler pass does nothing about pages there.
pub const OTHER: Architecture = Architecture { page_size: 65536, site: Placement::ANYWHERE };

/// What saves POWER's TOC pointer before a call and restores it after it: Power Architecture 64-Bit ELF V2
/// ABI, section 2.2.3.3.4 (TOC pointer save doubleword).
pub const POWERPC64_TOC: [&str; 2] = ["std 2, 24(1)", "ld 2, 24(1)"];

/// Every symbol that starts like this belongs to static-call.
pub const RESERVED_PREFIX: &str = "__static_call_";
/// The intrinsic: `fn(*const Key) -> *const ()`, the function that a key points at.
pub const INTRINSIC: &str = "__static_call_target";
/// A C-visible key named `k` has the symbol `k__static_call_key`: what follows the name leaves room for a
/// scope before it.
pub const KEY_SUFFIX: &str = "__static_call_key";
/// A trampoline's symbol: this, then its key's symbol, then `+offset` for a field of a static. What is no
/// ASCII letter, digit, `_` or `.` is written as `..xHH`, for assemblers.
pub const TRAMPOLINE_PREFIX: &str = "__static_call_trampoline.";
/// A record's symbol: this, then the key's and its offset as they are.
pub const RECORD_PREFIX: &str = "__static_call_record.";
/// What follows in the symbols of a trampoline that checks a type, and of its record: this, and the numbers
/// of the [`TypeCheck`]. So a linker never takes a trampoline with another check, or none, in its place.
pub const CHECK_INFIX: &str = "..xkcfi.";
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
pub const FUNCTIONS: [&str; 13] = [
    REGISTER,
    UNREGISTER,
    INTRINSIC,
    "__static_call_update",
    "__static_call_update_ret0",
    "__static_call_query",
    "__static_call_info",
    "__static_call_commit",
    "__static_call_seal",
    "__static_call_branch",
    "__static_call_make_pointer",
    "__static_call_next",
    "__static_call_switch_matching",
];
/// See [`FUNCTIONS`].
pub const LOCAL_FUNCTIONS: [&str; 2] = ["__static_call_off_nop", "__static_call_off_zero"];
/// Section of the keys that an image defines, but for those that lie in a larger object.
pub const KEYS_SECTION: &str = "static_call_keys";
/// Section of the records: one [`Record`] for each key that an image calls, and one anchor.
pub const RECORDS_SECTION: &str = "static_call_records";
/// Section of the branch table: one [`Branch`] for each instruction of a static branch, and one anchor.
pub const BRANCHES_SECTION: &str = "static_call_branches";
/// Section of the site table: one [`Site`] for each recorded instruction, and one anchor.
pub const SITES_SECTION: &str = "static_call_sites";
/// Section of a page of zeros, so that the last page with sites holds nothing else. Updates mark there which
/// pages they write.
pub const END_SECTION: &str = "static_call_end";
/// The sections above in their order in memory. They lie side by side, and start with a page.
pub const SECTIONS: [&str; 5] = [KEYS_SECTION, RECORDS_SECTION, BRANCHES_SECTION, SITES_SECTION, END_SECTION];
/// The same in COFF. A linker makes one section of them, [`COFF_SECTION`], in the order of what follows the
/// dollar sign. It may be longer: a period, and the symbol of what the section holds.
pub const COFF_SECTIONS: [&str; 5] = [".scall$b", ".scall$d", ".scall$f", ".scall$h", ".scall$i"];
/// The sections of the anchors in COFF: each comes before the rest of its table. The last table is its
/// anchor.
pub const COFF_ANCHOR_SECTIONS: [&str; 5] = [".scall$a", ".scall$c", ".scall$e", ".scall$g", ".scall$i"];
/// See [`COFF_SECTIONS`]. No more than eight bytes fit into an image.
pub const COFF_SECTION: &str = ".scall";
/// The unit in which Windows protects memory, and in which the linkers lay out sections by default.
pub const COFF_PAGE_SIZE: u32 = 4096;
/// An anchor's symbol: this, then the name of its section. Each image has one in each section.
pub const ANCHOR_PREFIX: &str = "__static_call_anchor.";
/// Sections of the trampolines, one each: this, then the key's symbol.
pub const TRAMPOLINE_SECTION_PREFIX: &str = ".text.static_call.";
/// Section of notes, one for each place where the pass has a call load its key. It is not loaded, and a debug
/// information's reader does not know it. A note starts an aligned word, in the file's byte order:
///
/// ```text
/// the address, a word    of the load, as the linker lays out the file; in an object file, a relocation
/// the key's symbol       as in a trampoline's name, and a NUL; only the NUL where the key is not known
/// the reason             the one of `-Rpass-missed`, for people, and a NUL
/// NULs                   up to the next word
/// ```
///
/// gold and mold keep the notes of functions that they leave out: their address is none of the file's code.
/// GNU ld and LLD drop them (SHF_LINK_ORDER, and the function's group). With the option `-s` gold leaves out
/// the section; so do `-S`, and `llvm-strip`.
///
/// The name: gold takes references to functions that it has left out only from sections whose name starts
/// like debug information. Of those, this is the only start (MIPS's procedure descriptors) that the other
/// linkers' `-S` does not take for debug information, which cargo leaves out by default.
pub const INDIRECT_SECTION: &str = ".pdr.static_call";
/// The reason of notes about no call: the code keeps the function pointer and calls it itself, or checks it
/// as sanitizers do.
pub const USED_AS_A_VALUE: &str = "the function pointer is used as a value";
/// Attribute that tells our functions from a user's function with a reserved name.
pub const TRAMPOLINE_ATTRIBUTE: &str = "static-call-trampoline";

/// First half of a trampoline's prefix data: from the lowest byte on `S C T` and the version.
pub const SIGNATURE: u32 = u32::from_le_bytes([b'S', b'C', b'T', VERSION as u8]);
/// The same for a call that cannot become a nop: it has to be made, even to return nothing.
pub const SIGNATURE_CALL_ONLY: u32 = u32::from_le_bytes([b'S', b'C', b'C', VERSION as u8]);
/// The same for the trampoline of calls that are compiled without the pass, and that no site names. It
/// stands behind the trampoline's code, in one of the next [`BEHIND`] words of eight bytes.
pub const SIGNATURE_WITHOUT_SITES: u32 = u32::from_le_bytes([b'S', b'C', b'W', VERSION as u8]);
/// The same for a trampoline that jumps through a thunk: it is dear as long as it is not patched.
pub const SIGNATURE_THUNK: u32 = u32::from_le_bytes([b'S', b'C', b'R', VERSION as u8]);
/// See [`SIGNATURE_WITHOUT_SITES`].
pub const BEHIND: usize = 16;
/// Like [`SIGNATURE`], for a trampoline that checks the type of its target, as calls of clang's and rustc's
/// `-fsanitize=kcfi` do. A [`TypeCheck`] stands before the prefix.
pub const SIGNATURE_CHECKED: u32 = u32::from_le_bytes([b'S', b'K', b'T', VERSION as u8]);
/// Like [`SIGNATURE_CALL_ONLY`], for such a trampoline.
pub const SIGNATURE_CHECKED_CALL_ONLY: u32 = u32::from_le_bytes([b'S', b'K', b'C', VERSION as u8]);
/// The hash before a function of the C header that stands for NULL or "return 0". Every key has it, whatever
/// its type is: so the pass gives it a type that no function of the program's has, and that every check of a
/// trampoline accepts.
pub const STAND_IN: u32 = 0x7363_4f46;

/// What a trampoline expects before its target: a hash of the function's type. It is the same for every
/// compiler of one program, and nobody else has to know how it is made.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeCheck {
    /// How many bytes before the function's first instruction its hash starts: four, and what
    /// `-fpatchable-function-entry` puts between.
    pub distance: u32,
    /// The hash.
    pub hash: u32,
}

impl TypeCheck {
    /// Whether a function with this hash may be called.
    #[must_use]
    pub const fn accepts(self, found: u32) -> bool {
        found == self.hash || found == STAND_IN
    }
}

// `Layout` agrees with these types on each machine that this is compiled for. loom's atomics have other
// sizes.
#[cfg(not(all(loom, test)))]
const _: () = {
    use core::mem::{offset_of, size_of};

    const HERE: Layout = Layout { pointer: size_of::<*const ()>() as u64 };
    assert!(size_of::<Key>() as u64 == HERE.key());
    assert!(offset_of!(Key, off) as u64 == HERE.key_off());
    assert!(offset_of!(Key, name) as u64 == HERE.key_name());
    assert!(offset_of!(Key, form) as u64 == HERE.key_form());
    assert!(offset_of!(Key, flags) as u64 == HERE.key_flags());
    assert!(size_of::<Record>() as u64 == HERE.record());
    assert!(offset_of!(Record, next) as u64 == HERE.record_next());
    assert!(offset_of!(Record, sites) as u64 == HERE.record_sites());
    assert!(offset_of!(Record, count) as u64 == HERE.record_count());
    assert!(offset_of!(Record, trampoline) as u64 == HERE.record_trampoline());
    assert!(offset_of!(Record, saved) as u64 == HERE.record_saved());
    assert!(size_of::<Branch>() as u64 == HERE.branch());
    assert!(
        offset_of!(Branch, site) == 0 && offset_of!(Branch, target) == 4 && offset_of!(Branch, record) == 8
    );
    assert!(size_of::<Image>() as u64 == HERE.image());
    assert!(offset_of!(Image, header) as u64 == 8 + 9 * HERE.pointer);
    assert!(offset_of!(Image, reason) as u64 == HERE.image_reason());
};

/// Starts the list of LLVM's versions in the file of the pass plugin: `static_call_llvms=19, 22;`.
pub const PASS_LLVMS: &str = "static_call_llvms=";

/// Starts the version of static-call in the file of the pass plugin: `static_call_version=0.2.0;`.
pub const PASS_VERSION: &str = "static_call_version=";

/// The major versions of LLVM that a pass plugin is built for, such as `19, 22`, from the content of its
/// file.
#[must_use]
pub fn pass_llvms(plugin: &[u8]) -> Option<&str> {
    fact(plugin, PASS_LLVMS)
}

/// The version of static-call that a pass plugin belongs to, from the content of its file.
#[must_use]
pub fn pass_version(plugin: &[u8]) -> Option<&str> {
    fact(plugin, PASS_VERSION)
}

/// The text between this name and a semicolon. It begins with a digit.
fn fact<'a>(plugin: &'a [u8], name: &str) -> Option<&'a str> {
    let start = name.as_bytes();
    let lists = plugin.windows(start.len()).enumerate().filter(|(_, window)| *window == start);
    // The name alone is in the file as well.
    lists.map(|(at, _)| &plugin[at + start.len()..]).find_map(|rest| {
        let list = core::str::from_utf8(&rest[..rest.iter().position(|&byte| byte == b';')?]).ok()?;
        list.starts_with(|c: char| c.is_ascii_digit()).then_some(list)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linkers_keep_the_tables_of_a_coff_file_in_order() {
        extern crate std;
        let sorted: std::vec::Vec<_> = COFF_ANCHOR_SECTIONS.into_iter().zip(COFF_SECTIONS).collect();
        let sections = sorted.iter().flat_map(|(anchor, section)| [anchor, section]);
        assert!(sections.clone().is_sorted(), "{sorted:?}");
        assert!(sections.clone().all(|section| section.split('$').next() == Some(COFF_SECTION)));
        assert!(COFF_SECTION.len() <= 8);
    }
}
