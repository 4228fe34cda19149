//! The little that the runtime reads of an image's own ELF header: where its code lies.
//!
//! # Safety
//!
//! The header's address comes from the linker (`__ehdr_start`), so that the header and the program
//! headers behind it are mapped; whatever stands in them is checked before it is used.

use crate::os::Access;

/// An executable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// `p_flags`.
    pub(crate) flags: u32,
}

const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;

/// `p_flags` as an access.
pub(crate) fn access(flags: u32) -> Access {
    Access { read: flags & PF_R != 0, write: flags & PF_W != 0, execute: flags & PF_X != 0 }
}

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

/// The readable and executable segment of the image with this header that contains `address`.
///
/// # Safety
///
/// `header` is null or the address of an image's ELF header, with its program headers mapped behind it.
pub(crate) unsafe fn code_segment(header: *const u8, address: usize) -> Option<Segment> {
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
    // The first segment begins with the header itself; how far it was moved goes for all.
    let first = headers.iter().find(|segment| segment.kind == PT_LOAD && segment.offset == 0)?;
    let bias = header.addr().wrapping_sub(first.address);
    headers
        .iter()
        // Code that may be executed but not read cannot be checked, and is left alone.
        .filter(|segment| segment.kind == PT_LOAD && segment.flags & (PF_R | PF_X) == PF_R | PF_X)
        .map(|segment| {
            let start = bias.wrapping_add(segment.address);
            Segment { start, end: start.saturating_add(segment.memory_size), flags: segment.flags }
        })
        .find(|segment| (segment.start..segment.end).contains(&address))
}
