//! The little that the runtime reads of an image's own ELF header: where its code lies.
//!
//! # Safety
//!
//! The header's address comes from the linker (`__ehdr_start`) or from the dynamic linker, so the header and
//! the program headers are mapped. Everything in them is checked before it is used.

use super::segment::{EXECUTE, GUARDED, READ, Segment, WRITE};
use crate::arch::WORD;

const PT_LOAD: u32 = 1;
#[repr(C)]
struct Header {
    ident: [u8; 16],
    _type: u16,
    _machine: u16,
    _version: u32,
    _entry: usize,
    program_headers: usize,
    _section_headers: usize,
    _flags: u32,
    _header_size: u16,
    program_header_size: u16,
    program_header_count: u16,
}

/// Elf64_Phdr and Elf32_Phdr have the same fields in different orders.
#[cfg(target_pointer_width = "64")]
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: usize,
    address: usize,
    _physical: usize,
    _file_size: usize,
    memory_size: usize,
    _align: usize,
}
#[cfg(not(target_pointer_width = "64"))]
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    offset: usize,
    address: usize,
    _physical: usize,
    _file_size: usize,
    memory_size: usize,
    flags: u32,
    _align: usize,
}

/// The readable and executable segments of the image with this header. Code that may be executed but not read
/// cannot be checked, and is left alone.
///
/// # Safety
///
/// `header` is null or the address of an image's ELF header, with its program headers mapped behind it.
pub(crate) unsafe fn code_segments(header: *const u8) -> impl Iterator<Item = Segment> {
    // SAFETY: the caller's promise.
    unsafe { executable_segments(header) }.filter(|segment| segment.flags & READ != 0)
}

/// Whether the image with this header has a segment at `address` that may be executed, but not read.
///
/// # Safety
///
/// As for [`code_segments`].
pub(crate) unsafe fn is_unreadable(header: *const u8, address: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { executable_segments(header) }
        .any(|segment| segment.flags & READ == 0 && segment.contains(address))
}

/// The executable segments, readable or not.
///
/// # Safety
///
/// As for [`code_segments`].
unsafe fn executable_segments(header: *const u8) -> impl Iterator<Item = Segment> {
    // SAFETY: the caller's promise.
    let (headers, bias) = unsafe { program_headers(header) }.unwrap_or_default();
    // SAFETY: the segment of the properties lies in one that is loaded.
    let guarded = if unsafe { is_guarded(headers, bias) } { GUARDED } else { 0 };
    headers.iter().filter(|segment| segment.kind == PT_LOAD && segment.flags & EXECUTE != 0).map(
        move |segment| {
            let start = bias.wrapping_add(segment.address);
            let end = start.saturating_add(segment.memory_size);
            Segment {
                start: start / WORD * WORD,
                end: end.checked_next_multiple_of(WORD).unwrap_or(end),
                flags: segment.flags & (READ | WRITE | EXECUTE) | guarded,
            }
        },
    )
}

/// Whether the image has loaded its header, so that its segments can be found. A linker may name a place for
/// it without (LLD's `-N` does).
///
/// # Safety
///
/// As for [`code_segments`].
pub(crate) unsafe fn is_in_memory(header: *const u8) -> bool {
    // SAFETY: the caller's promise.
    unsafe { program_headers(header) }.is_some()
}

/// The program headers of the image with this header, and how far it was moved.
///
/// # Safety
///
/// As for [`code_segments`].
unsafe fn program_headers(header: *const u8) -> Option<(&'static [ProgramHeader], usize)> {
    // SAFETY: the caller's promise.
    let (_, headers) = unsafe { read(header) }?;
    // The first segment begins with the header itself; how far it was moved goes for all.
    let first = headers.iter().find(|segment| segment.kind == PT_LOAD && segment.offset == 0)?;
    Some((headers, header.addr().wrapping_sub(first.address)))
}

/// Whether the image with this header has code that something put there after the linker: see
/// [`has_moved_code`].
///
/// # Safety
///
/// As for [`code_segments`].
pub(crate) unsafe fn was_moved(header: *const u8) -> bool {
    // SAFETY: the caller's promise.
    unsafe { read(header) }.is_some_and(|(elf, headers)| {
        let segments = headers.iter().map(|segment| (segment.kind == PT_LOAD, segment.flags & EXECUTE != 0));
        has_moved_code(elf.program_headers == size_of::<Header>(), segments)
    })
}

/// Whether program headers, as pairs of "loaded" and "executable", are those of a file to which an optimizer
/// has added copies of functions.
///
/// BOLT leaves the old code and the tables where they are, and puts the new code into another segment. There
/// is no room for its program header: so BOLT moves all of them away from the ELF header, or
/// (`-use-gnu-stack`) overwrites one of another kind, apart from those of the other loaded segments. Linkers
/// do neither.
pub(crate) fn has_moved_code(
    follow_the_header: bool,
    segments: impl Iterator<Item = (bool, bool)> + Clone,
) -> bool {
    let loaded = segments.clone().filter(|&(is_loaded, _)| is_loaded);
    let side_by_side =
        segments.skip_while(|&(is_loaded, _)| !is_loaded).take_while(|&(is_loaded, _)| is_loaded);
    let are_apart = side_by_side.count() < loaded.clone().count();
    let of_code = loaded.filter(|&(_, is_executable)| is_executable).count();
    of_code > 1 && (!follow_the_header || are_apart)
}

/// The ELF header at this address, and its program headers. None if they are not of this machine's format.
///
/// # Safety
///
/// As for [`code_segments`].
unsafe fn read(header: *const u8) -> Option<(&'static Header, &'static [ProgramHeader])> {
    debug_assert!(header.addr().is_multiple_of(align_of::<Header>()));
    if header.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let elf = unsafe { &*header.cast::<Header>() };
    let class = if size_of::<usize>() == 8 { 2 } else { 1 };
    if elf.ident[..4] != *b"\x7fELF"
        || elf.ident[4] != class
        || usize::from(elf.program_header_size) != size_of::<ProgramHeader>()
        || !elf.program_headers.is_multiple_of(align_of::<ProgramHeader>())
    {
        return None;
    }
    // SAFETY: the caller's promise, in the format that was just checked.
    let headers = unsafe {
        core::slice::from_raw_parts(
            header.add(elf.program_headers).cast::<ProgramHeader>(),
            elf.program_header_count.into(),
        )
    };
    Some((elf, headers))
}

/// Whether an image says that all of its code has landing pads (ELF for the Arm 64-bit Architecture, section
/// "Program Property"): then the kernel and the dynamic linkers map it with PROT_BTI.
///
/// # Safety
///
/// The image is loaded, so far from where its program headers say.
#[cfg(target_arch = "aarch64")]
unsafe fn is_guarded(headers: &[ProgramHeader], bias: usize) -> bool {
    const PT_GNU_PROPERTY: u32 = 0x6474_e553;
    let Some(header) = headers.iter().find(|header| header.kind == PT_GNU_PROPERTY) else { return false };
    let start = core::ptr::with_exposed_provenance(bias.wrapping_add(header.address));
    // SAFETY: the caller's promise.
    has_landing_pads(unsafe { core::slice::from_raw_parts(start, header.memory_size) })
}

#[cfg(not(target_arch = "aarch64"))]
unsafe fn is_guarded(_headers: &[ProgramHeader], _bias: usize) -> bool {
    false
}

/// Whether a note with properties has that of AArch64's landing pads.
///
/// A note is the sizes of its name and of the properties, its type, and its name; each property is its type,
/// its size and its value, filled up to a multiple of eight bytes.
#[cfg(any(target_arch = "aarch64", test))]
fn has_landing_pads(note: &[u8]) -> bool {
    const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
    const GNU_PROPERTY_AARCH64_FEATURE_1_AND: u32 = 0xc000_0000;
    const GNU_PROPERTY_AARCH64_FEATURE_1_BTI: u32 = 1;
    let number = |at: usize| Some(u32::from_ne_bytes(note.get(at..at.checked_add(4)?)?.try_into().ok()?));
    if [number(0), number(8)] != [Some(4), Some(NT_GNU_PROPERTY_TYPE_0)] || note.get(12..16) != Some(b"GNU\0")
    {
        return false;
    }
    let mut at = 16;
    while let (Some(kind), Some(size)) = (number(at), number(at + 4)) {
        if kind == GNU_PROPERTY_AARCH64_FEATURE_1_AND {
            return number(at + 8).is_some_and(|value| value & GNU_PROPERTY_AARCH64_FEATURE_1_BTI != 0);
        }
        let filled_up = (size as usize).checked_next_multiple_of(8);
        let Some(next) = filled_up.and_then(|size| (at + 8).checked_add(size)) else { return false };
        at = next;
    }
    false
}

/// What a pointer in our tables leads to, if it names an entry of the loader's. ELF's loader writes addresses
/// into our tables themselves.
///
/// # Safety
///
/// It names one, or nothing.
pub(crate) unsafe fn imported<T>(_pointer: *const T) -> Option<*const T> {
    None
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn note(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
    }

    #[test]
    fn moved_code_is_known_by_its_program_header() {
        const OTHER: (bool, bool) = (false, false);
        const DATA: (bool, bool) = (true, false);
        const CODE: (bool, bool) = (true, true);
        let cases: [(bool, &[_], bool); 7] = [
            (true, &[OTHER, DATA, CODE, DATA, OTHER, OTHER], false),
            // A program's own linker script.
            (true, &[CODE, DATA, CODE], false),
            (false, &[OTHER, DATA, CODE, DATA, OTHER], false),
            (false, &[OTHER, DATA, CODE, DATA, CODE, OTHER], true),
            (true, &[OTHER, DATA, CODE, DATA, OTHER, CODE, OTHER], true),
            // As another program adds data.
            (true, &[OTHER, DATA, CODE, OTHER, DATA], false),
            (true, &[], false),
        ];
        for (follow_the_header, segments, expected) in cases {
            assert_eq!(has_moved_code(follow_the_header, segments.iter().copied()), expected, "{segments:?}");
        }
    }

    #[test]
    fn landing_pads_are_a_property() {
        let name = u32::from_ne_bytes(*b"GNU\0");
        let other = [0xc000_0001, 4, 7, 0];
        for (value, expected) in [(0, false), (1, true), (2, false), (3, true)] {
            let property = [0xc000_0000, 4, value, 0];
            assert_eq!(has_landing_pads(&note(&[&[4, 16, 5, name][..], &property].concat())), expected);
            let both = note(&[&[4, 32, 5, name][..], &other, &property].concat());
            assert_eq!(has_landing_pads(&both), expected);
            for len in 0..both.len() - 4 {
                assert!(!has_landing_pads(&both[..len]), "{len}");
            }
        }
        let property = [0xc000_0000, 4, 1, 0];
        for head in [[5, 16, 5, name], [4, 16, 1, name], [4, 16, 5, name + 1]] {
            assert!(!has_landing_pads(&note(&[&head[..], &property].concat())));
        }
        assert!(!has_landing_pads(&note(&[4, 16, 5, name, 1, u32::MAX, 1, 0])));
    }
}
