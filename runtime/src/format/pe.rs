//! The little that the runtime reads of an image's own PE header (PE Format, "PE Header" and "Section
//! Table"): where its code lies, and sections by their names.
//!
//! # Safety
//!
//! The header's address comes from the linker (`__ImageBase`) or from the loader, so the header is mapped: a
//! page at least, and as much as it says that headers have. Everything in it is checked before it is used.

use super::segment::{EXECUTE, READ, Segment, WRITE};
use crate::arch::WORD;

/// Pages of every Windows, the smallest.
const PAGE: usize = 4096;
const SECTION: usize = 40;
const IMAGE_SCN_MEM_EXECUTE: u32 = 0x2000_0000;
const IMAGE_SCN_MEM_READ: u32 = 0x4000_0000;
const IMAGE_SCN_MEM_WRITE: u32 = 0x8000_0000;

/// The section table of an image in memory.
#[derive(Clone, Copy)]
struct Sections {
    header: *const u8,
    table: usize,
    count: usize,
}

/// A section.
#[derive(Clone, Copy)]
struct Section {
    name: [u8; 8],
    start: usize,
    len: usize,
    flags: u32,
}

/// A number in a header.
///
/// # Safety
///
/// It is mapped.
unsafe fn number<T: Copy>(header: *const u8, at: usize) -> T {
    // SAFETY: the caller's promise; used with integers.
    unsafe { header.add(at).cast::<T>().read_unaligned() }
}

impl Sections {
    /// None if the header is not that of a PE image.
    ///
    /// # Safety
    ///
    /// As for [`code_segments`].
    unsafe fn read(header: *const u8) -> Option<Self> {
        const E_LFANEW: usize = 0x3c;
        // The signature, the file header, and the optional header as far as `SizeOfHeaders`.
        const FILE_HEADER: usize = 4;
        const OPTIONAL_HEADER: usize = FILE_HEADER + 20;
        const SIZE_OF_HEADERS: usize = OPTIONAL_HEADER + 60;
        if header.is_null() {
            return None;
        }
        // SAFETY: here and below: in the first page, or in what the header says that headers have.
        unsafe {
            if number::<[u8; 2]>(header, 0) != *b"MZ" {
                return None;
            }
            let pe = number::<u32>(header, E_LFANEW) as usize;
            if pe > PAGE - SIZE_OF_HEADERS - 4 || number::<[u8; 4]>(header, pe) != *b"PE\0\0" {
                return None;
            }
            let count = usize::from(number::<u16>(header, pe + FILE_HEADER + 2));
            let table = pe + OPTIONAL_HEADER + usize::from(number::<u16>(header, pe + FILE_HEADER + 16));
            let is_mapped = table + count * SECTION <= number::<u32>(header, pe + SIZE_OF_HEADERS) as usize;
            is_mapped.then_some(Self { header, table, count })
        }
    }

    fn iter(self) -> impl Iterator<Item = Section> {
        (0..self.count).map(move |index| {
            let at = self.table + index * SECTION;
            // SAFETY: `read` has checked that the whole table is in the headers.
            let (name, [len, offset, flags]) = unsafe {
                (number(self.header, at), [8, 12, 36].map(|field| number::<u32>(self.header, at + field)))
            };
            let start = self.header.addr().wrapping_add(offset as usize);
            Section { name, start, len: len as usize, flags }
        })
    }
}

/// The executable sections.
///
/// # Safety
///
/// As for [`code_segments`].
unsafe fn executable(header: *const u8) -> impl Iterator<Item = Segment> {
    // SAFETY: the caller's promise.
    let sections = unsafe { Sections::read(header) };
    let sections = sections.into_iter().flat_map(Sections::iter);
    sections.filter(|section| section.flags & IMAGE_SCN_MEM_EXECUTE != 0).map(|section| {
        // It begins with a page, and ends with one in memory.
        let end = section.start.saturating_add(section.len);
        let flag = |theirs, ours| if section.flags & theirs == 0 { 0 } else { ours };
        Segment {
            start: section.start / WORD * WORD,
            end: end.checked_next_multiple_of(WORD).unwrap_or(end),
            flags: EXECUTE | flag(IMAGE_SCN_MEM_READ, READ) | flag(IMAGE_SCN_MEM_WRITE, WRITE),
        }
    })
}

/// The readable and executable sections of the image with this header. Code that may be executed but not read
/// cannot be checked, and is left alone.
///
/// # Safety
///
/// `header` is null, or the address of the first page of an image in memory.
pub(crate) unsafe fn code_segments(header: *const u8) -> impl Iterator<Item = Segment> {
    // SAFETY: the caller's promise.
    unsafe { executable(header) }.filter(|segment| segment.flags & READ != 0)
}

/// Whether the image with this header has a section at `address` that may be executed, but not read.
///
/// # Safety
///
/// As for [`code_segments`].
pub(crate) unsafe fn is_unreadable(header: *const u8, address: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { executable(header) }.any(|segment| segment.flags & READ == 0 && segment.contains(address))
}

/// Whether this is the header of an image.
///
/// # Safety
///
/// As for [`code_segments`].
pub(crate) unsafe fn is_in_memory(header: *const u8) -> bool {
    // SAFETY: the caller's promise.
    unsafe { Sections::read(header) }.is_some()
}

/// No optimizer moves code of a linked PE image, as BOLT does with ELF.
///
/// # Safety
///
/// As for [`code_segments`].
pub(crate) unsafe fn was_moved(_header: *const u8) -> bool {
    false
}

/// The bytes of the readable section with this name, if there is one.
///
/// # Safety
///
/// As for [`code_segments`]; the image stays loaded, and nobody writes to the section, as long as the bytes
/// are used.
pub(crate) unsafe fn section<'image>(header: *const u8, name: &[u8; 8]) -> Option<&'image [u8]> {
    // SAFETY: the caller's promise.
    let mut sections = unsafe { Sections::read(header) }?.iter();
    let found = sections.find(|section| section.name == *name && section.flags & IMAGE_SCN_MEM_READ != 0)?;
    let start = header.wrapping_add(found.start.wrapping_sub(header.addr()));
    // SAFETY: the loader has mapped the section; the rest is the caller's promise.
    Some(unsafe { core::slice::from_raw_parts(start, found.len) })
}

/// What a pointer in our tables leads to, if it names an entry of the loader's: an entry of the import
/// address table, with the lowest bit set. PE has no other way to refer to another image's data.
///
/// # Safety
///
/// It names one, or its lowest bit is clear.
pub(crate) unsafe fn imported<T>(pointer: *const T) -> Option<*const T> {
    // SAFETY: the caller's promise.
    (pointer.addr() & 1 != 0).then(|| unsafe { *pointer.byte_sub(1).cast::<*const T>() })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;
    use std::vec::Vec;

    use super::*;

    const CODE: u32 = IMAGE_SCN_MEM_EXECUTE | IMAGE_SCN_MEM_READ;

    /// An image with these sections: name, address, length, flags.
    fn image(sections: &[(&[u8; 8], u32, u32, u32)]) -> Vec<u8> {
        let mut image = vec![0; 0x6000];
        let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
        const PE: usize = 0x80;
        const OPTIONAL: u16 = 240;
        put(0, b"MZ");
        put(0x3c, &(PE as u32).to_le_bytes());
        put(PE, b"PE\0\0");
        put(PE + 6, &(sections.len() as u16).to_le_bytes());
        put(PE + 20, &OPTIONAL.to_le_bytes());
        put(PE + 24 + 60, &0x400u32.to_le_bytes());
        for (index, (name, address, len, flags)) in sections.iter().enumerate() {
            let at = PE + 24 + usize::from(OPTIONAL) + index * SECTION;
            put(at, &name[..]);
            for (field, value) in [(8, len), (12, address), (36, flags)] {
                put(at + field, &value.to_le_bytes());
            }
        }
        image
    }

    /// Where its code lies, from its start on, with the flags.
    fn code(image: &[u8]) -> Vec<(usize, usize, u32)> {
        let base = image.as_ptr().addr();
        // SAFETY: the image is as long as its header says.
        let segments = unsafe { code_segments(image.as_ptr()) };
        segments.map(|segment| (segment.start - base, segment.end - base, segment.flags)).collect()
    }

    #[test]
    fn code_is_what_may_be_executed_and_read() {
        let image = image(&[
            (b".text\0\0\0", 0x1000, 0x234, CODE),
            (b".data\0\0\0", 0x2000, 0x100, IMAGE_SCN_MEM_READ | IMAGE_SCN_MEM_WRITE),
            (b"secret\0\0", 0x3000, 0x100, IMAGE_SCN_MEM_EXECUTE),
            (b"jit\0\0\0\0\0", 0x4000, 0x10, CODE | IMAGE_SCN_MEM_WRITE),
        ]);
        // The vector is aligned to words.
        let word = image.as_ptr().addr() % WORD;
        assert_eq!(word, 0);
        assert_eq!(
            code(&image),
            [(0x1000, 0x238, 5), (0x4000, 0x4010, 7)]
                .map(|(start, end, flags)| { (start, if end < start { start + end } else { end }, flags) })
        );
        let at = |offset: usize| image.as_ptr().addr() + offset;
        // SAFETY: as above.
        unsafe {
            assert!(is_in_memory(image.as_ptr()));
            assert!(is_unreadable(image.as_ptr(), at(0x3010)) && !is_unreadable(image.as_ptr(), at(0x1010)));
            let data = section(image.as_ptr(), b".data\0\0\0").expect("a section");
            assert_eq!((data.as_ptr().addr(), data.len()), (at(0x2000), 0x100));
            assert!(section(image.as_ptr(), b".datum\0\0").is_none());
        }
    }

    #[test]
    fn an_odd_pointer_names_an_entry_of_the_loader() {
        let value = 7u32;
        let entry: *const u32 = &raw const value;
        let odd = (&raw const entry).cast::<u32>().wrapping_byte_add(1);
        // SAFETY: the entry, and one that is none.
        assert_eq!(unsafe { (imported(odd), imported(entry)) }, (Some(entry), None));
    }

    #[test]
    fn what_is_no_image_has_no_code() {
        let good = image(&[(b".text\0\0\0", 0x1000, 0x234, CODE)]);
        assert_eq!(code(&good).len(), 1);
        // Another magic number, a header beyond the first page, and more sections than there is room for.
        for (at, bytes) in [(0, &b"ZM"[..]), (0x80, b"NE"), (0x3c, &[0, 0x20]), (0x86, &[0xff, 0xff])] {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(code(&bad), [], "{at:#x}");
            // SAFETY: as above.
            assert!(!unsafe { is_in_memory(bad.as_ptr()) }, "{at:#x}");
        }
        // SAFETY: null is none.
        assert!(unsafe { code_segments(core::ptr::null()) }.next().is_none());
    }
}
