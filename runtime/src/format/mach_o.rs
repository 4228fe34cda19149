//! The little that the runtime reads of an image's own Mach-O header of 64 bits (`mach-o/loader.h`): where
//! its code lies.
//!
//! # Safety
//!
//! The header's address comes from the linker (`__dso_handle`), so it is mapped, with its load commands.
//! Everything in them is checked before it is used.

use super::segment::{EXECUTE, READ, Segment, WRITE};
use crate::arch::WORD;

#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    magic: u32,
    _cpu: [u32; 2],
    _kind: u32,
    count: u32,
    size: u32,
    _flags: [u32; 2],
}

/// `segment_command_64`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Command {
    command: u32,
    size: u32,
    _name: [u8; 16],
    address: u64,
    len: u64,
    offset: u64,
    file_len: u64,
    _most: u32,
    protection: u32,
    _sections: [u32; 2],
}

const MH_MAGIC_64: u32 = 0xfeed_facf;
const LC_SEGMENT_64: u32 = 0x19;
const VM_PROT_READ: u32 = 1;
const VM_PROT_WRITE: u32 = 2;
const VM_PROT_EXECUTE: u32 = 4;

/// The segments of the image with this header, and how far it was moved.
///
/// # Safety
///
/// As for [`code_segments`].
unsafe fn segments(header: *const u8) -> Option<(impl Iterator<Item = Command> + Clone, usize)> {
    if header.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let read = unsafe { header.cast::<Header>().read_unaligned() };
    if read.magic != MH_MAGIC_64 {
        return None;
    }
    let end = size_of::<Header>() + read.size as usize;
    let (mut at, mut left) = (size_of::<Header>(), read.count);
    let commands = core::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let here = at;
        // SAFETY: a command, and a segment's, is read where the header says that commands are.
        let size = (at + 8 <= end).then(|| unsafe { header.add(at + 4).cast::<u32>().read_unaligned() })?;
        at = at.checked_add(size as usize).filter(|&next| next > here && next <= end)?;
        Some((here, size))
    });
    let commands = commands.filter(|&(_, size)| size as usize >= size_of::<Command>());
    // SAFETY: as above.
    let commands = commands.map(move |(at, _)| unsafe { header.add(at).cast::<Command>().read_unaligned() });
    let segments = commands.filter(|command| command.command == LC_SEGMENT_64);
    // The first segment with something of the file begins with the header itself.
    let first = segments.clone().find(|segment| segment.offset == 0 && segment.file_len != 0)?;
    Some((segments, header.addr().wrapping_sub(first.address as usize)))
}

/// The executable segments, readable or not.
///
/// # Safety
///
/// As for [`code_segments`].
unsafe fn executable(header: *const u8) -> impl Iterator<Item = Segment> {
    // SAFETY: the caller's promise.
    let found = unsafe { segments(header) };
    found.into_iter().flat_map(|(segments, bias)| {
        let code = segments.filter(|segment| segment.protection & VM_PROT_EXECUTE != 0);
        code.map(move |segment| {
            let start = bias.wrapping_add(segment.address as usize);
            let end = start.saturating_add(segment.len as usize);
            let flag = |theirs, ours| if segment.protection & theirs == 0 { 0 } else { ours };
            Segment {
                start: start / WORD * WORD,
                end: end.checked_next_multiple_of(WORD).unwrap_or(end),
                flags: EXECUTE | flag(VM_PROT_READ, READ) | flag(VM_PROT_WRITE, WRITE),
            }
        })
    })
}

/// The readable and executable segments of the image with this header.
///
/// # Safety
///
/// `header` is null or the address of an image's Mach-O header, with its load commands behind it.
pub(crate) unsafe fn code_segments(header: *const u8) -> impl Iterator<Item = Segment> {
    // SAFETY: the caller's promise.
    unsafe { executable(header) }.filter(|segment| segment.flags & READ != 0)
}

/// Whether the image with this header has a segment at `address` that may be executed, but not read.
///
/// # Safety
///
/// As for [`code_segments`].
pub(crate) unsafe fn is_unreadable(header: *const u8, address: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { executable(header) }.any(|segment| segment.flags & READ == 0 && segment.contains(address))
}

/// Whether the image's header is in memory, so that its segments can be found.
///
/// # Safety
///
/// As for [`code_segments`].
pub(crate) unsafe fn is_in_memory(header: *const u8) -> bool {
    // SAFETY: the caller's promise.
    unsafe { segments(header) }.is_some()
}

/// No optimizer moves code of a linked Mach-O image, as BOLT does with ELF.
///
/// # Safety
///
/// As for [`code_segments`].
pub(crate) unsafe fn was_moved(_header: *const u8) -> bool {
    false
}

/// What a pointer in our tables leads to, if it names an entry of the loader's. Mach-O's loader writes
/// addresses into our tables themselves.
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

    /// The header and the load commands of an image with these segments: address, length, offset in the file,
    /// protection.
    fn image(segments: &[(u64, u64, u64, u32)]) -> Vec<u8> {
        let size = size_of::<Command>() as u32;
        let count = segments.len() as u32;
        let mut image: Vec<u8> = [MH_MAGIC_64, 0, 0, 2, count, count * size, 0, 0]
            .iter()
            .flat_map(|number| number.to_ne_bytes())
            .collect();
        for &(address, len, offset, protection) in segments {
            image.extend(LC_SEGMENT_64.to_ne_bytes());
            image.extend(size.to_ne_bytes());
            image.extend([0; 16]);
            image.extend([address, len, offset, len].iter().flat_map(|number| number.to_ne_bytes()));
            image.extend([7, protection, 0, 0].iter().flat_map(|number: &u32| number.to_ne_bytes()));
        }
        image
    }

    fn code(image: &[u8]) -> Vec<(usize, usize, u32)> {
        let base = image.as_ptr().addr();
        // SAFETY: the image is as long as its header says.
        let segments = unsafe { code_segments(image.as_ptr()) };
        segments.map(|segment| (segment.start - base, segment.end - base, segment.flags)).collect()
    }

    #[test]
    fn code_is_what_may_be_executed_and_read() {
        let text = (0x1_0000_0000, 0x4000, 0, 5);
        let data = (0x1_0000_4000, 0x4000, 0x4000, 3);
        let hidden = (0x1_0000_8000, 0x4000, 0x8000, 4);
        let image = image(&[text, data, hidden]);
        assert_eq!(code(&image), [(0, 0x4000, READ | EXECUTE)]);
        let at = |offset: usize| image.as_ptr().addr() + offset;
        // SAFETY: as above.
        unsafe {
            assert!(is_in_memory(image.as_ptr()));
            assert!(is_unreadable(image.as_ptr(), at(0x8010)) && !is_unreadable(image.as_ptr(), at(0x10)));
        }
    }

    #[test]
    fn damaged_headers_have_no_code() {
        let good = image(&[(0, 0x4000, 0, 5)]);
        // Another magic number, no commands, commands of no length, and one that is longer than all of them.
        for (at, byte) in [(0, 0), (16, 0), (20, 0), (36, 0), (36, 0xff)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert_eq!(code(&bad), [], "{at} {byte:#x}");
        }
        // SAFETY: null is none.
        assert!(!unsafe { is_in_memory(core::ptr::null()) });
    }
}
