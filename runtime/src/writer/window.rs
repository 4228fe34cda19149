//! Writing code in place, while its pages are writable.
//!
//! An update first marks the pages that it will write, and opens only these. Each image has a map of its own,
//! with one bit a page, so nothing is allocated. The map is the page of zeros at the end of the image's
//! tables; on pages of 4 KiB it is enough for 128 MiB of code, and in larger images a bit stands for several
//! pages. An image without that page (some linkers tear the tables apart) has its pages opened from the first
//! marked one to the last.
//!
//! Pages that are writable already are the program's: the update writes to them and leaves their access
//! alone.
//!
//! # Safety
//!
//! Maps and spans are cells in an image, which the lock's holder alone reads and changes. They are empty
//! between two updates.

use core::cell::Cell;
use core::ops::Range;

use static_call_abi::Image;

use crate::arch::native;
use crate::error::{Error, ErrorKind};
use crate::format::{self, Access, Segment};
use crate::lock::Guard;
use crate::log::log;
use crate::os::{self, Refused, Rights};
use crate::writer::alias;
use crate::writer::way::Way;

/// The span of an image in which nothing is marked.
const NOTHING: Range<usize> = Range { start: usize::MAX, end: 0 };

/// The pages between the first and the last one that are marked.
fn span(image: &Image) -> Range<usize> {
    image.window.get()..image.window_end.get()
}

fn set_span(image: &Image, span: Range<usize>) {
    image.window.set(span.start);
    image.window_end.set(span.end);
}

/// Prepares a new image, whose segments are known, for marking.
pub(crate) fn prepare(image: &Image) {
    set_span(image, NOTHING);
    let bits = map(image).map_or(usize::MAX, |map| 8 * map.len());
    let mut unit = os::page_size().trailing_zeros();
    let units = |unit| {
        let mut units = 0usize;
        for_each_segment(image, true, |segment| units = units.saturating_add(units_of(&segment, unit)));
        units
    };
    while units(unit) > bits {
        unit += 1;
    }
    image.text_flags.set(format::with_unit(image.text_flags.get(), unit));
}

/// Marks the pages of some words of an image's code.
#[inline]
pub(crate) fn mark(image: &Image, words: impl Iterator<Item = usize>) {
    let unit = format::unit(image.text_flags.get());
    let mut last = usize::MAX;
    for word in words {
        // Neighbouring sites mostly lie on one page.
        if word >> unit != last {
            last = word >> unit;
            mark_one(image, word);
        }
    }
}

#[inline(never)]
fn mark_one(image: &Image, word: usize) {
    let number = number(image, word);
    let marked = span(image);
    set_span(image, marked.start.min(number)..marked.end.max(number + 1));
    if let Some(map) = map(image) {
        let byte = &map[number / 8];
        byte.set(byte.get() | 1 << (number % 8));
    }
}

/// Unmarks everything.
pub(crate) fn clear(image: &Image) {
    if !span(image).is_empty() {
        unmark(image, 0..usize::MAX);
    }
}

/// Unmarks the pages with these numbers. Without a map, only the first or the last marked pages can be
/// unmarked.
fn unmark(image: &Image, numbers: Range<usize>) {
    let marked = span(image);
    let (start, end) = (numbers.start.max(marked.start), numbers.end.min(marked.end));
    if start >= end {
        return;
    }
    if let Some(map) = map(image) {
        clear_bits(map, start..end);
    }
    match (start == marked.start, end == marked.end) {
        (true, true) => set_span(image, NOTHING),
        (true, false) => image.window.set(end),
        (false, true) => image.window_end.set(start),
        (false, false) => {}
    }
}

/// The map of marked pages, if the image has room for one.
fn map(image: &Image) -> Option<&[Cell<u8>]> {
    const LEN: usize = native::ARCHITECTURE.page_size;
    let start = image.sites_end.cast::<Cell<u8>>();
    let is_there = image.end.addr().checked_sub(start.addr()) == Some(LEN);
    let is_writable = image.text_flags.get() & format::SEALED == 0;
    // SAFETY: the section behind the sites, which the pass has made as long and which nobody else uses, see
    // the module's head. It lies between two symbols of the linker's.
    (is_there && is_writable && !start.is_null()).then(|| unsafe { core::slice::from_raw_parts(start, LEN) })
}

/// Calls `visit` with the executable segments of an image: the one with its first trampoline, and the others
/// if `all`.
fn for_each_segment(image: &Image, all: bool, mut visit: impl FnMut(Segment)) {
    visit(Segment { start: image.text.get(), end: image.text_end.get(), flags: image.text_flags.get() });
    if all {
        // SAFETY: the header of an image that is being registered, or is.
        unsafe { format::code_segments(image.header.get()) }
            .filter(|other| other.start != image.text.get())
            .for_each(visit);
    }
}

/// How many bits a segment takes, if each stands for this power of two in bytes.
fn units_of(segment: &Segment, unit: u32) -> usize {
    (segment.end.saturating_sub(1) >> unit) - (segment.start >> unit) + 1
}

/// The number of a word's page, counted over all segments.
fn number(image: &Image, word: usize) -> usize {
    let unit = format::unit(image.text_flags.get());
    let is_in_first = (image.text.get()..image.text_end.get()).contains(&word);
    let (mut before, mut found) = (0, 0);
    for_each_segment(image, !is_in_first, |segment| {
        if segment.contains(word) {
            found = before + (word >> unit) - (segment.start >> unit);
        }
        before += units_of(&segment, unit);
    });
    found
}

/// Marked pages side by side.
#[derive(Clone, Debug)]
struct Run {
    numbers: Range<usize>,
    /// The segment that they belong to.
    segment: Range<usize>,
    /// Their code.
    code: Range<usize>,
    /// The same in whole pages of the system.
    pages: Range<usize>,
    access: Access,
}

/// Calls `visit` with each run of marked pages; it may unmark them.
fn for_each_run(image: &Image, mut visit: impl FnMut(&Image, Run)) {
    if span(image).is_empty() {
        return;
    }
    let (unit, page) = (format::unit(image.text_flags.get()), os::page_size());
    let first = Segment { start: image.text.get(), end: image.text_end.get(), flags: image.text_flags.get() };
    let mut runs_of = |image: &Image, segment: &Segment, before: usize| {
        let end = before + units_of(segment, unit);
        let mut from = before;
        while let Some(numbers) = next_run(image, from..end) {
            from = numbers.end;
            let address = |number: usize| (number - before + (segment.start >> unit)) << unit;
            let code = address(numbers.start).max(segment.start)..address(numbers.end).min(segment.end);
            // A power of two: a division would take longer than the rest of this.
            let pages = code.start & !(page - 1)..(code.end + (page - 1)) & !(page - 1);
            let segment_of_run = segment.start..segment.end;
            let access = format::access(segment.flags);
            visit(image, Run { numbers, segment: segment_of_run, code, pages, access });
        }
        end
    };
    let mut before = runs_of(image, &first, 0);
    if before < image.window_end.get() {
        for segment in
            // SAFETY: the header of a registered image.
            unsafe { format::code_segments(image.header.get()) }
                .filter(|other| other.start != first.start)
        {
            before = runs_of(image, &segment, before);
        }
    }
}

/// The first run of marked pages among these.
fn next_run(image: &Image, among: Range<usize>) -> Option<Range<usize>> {
    let marked = span(image);
    let (from, to) = (among.start.max(marked.start), among.end.min(marked.end));
    if from >= to {
        return None;
    }
    let is_alone = to - from == 1 && marked.len() == 1;
    let Some(map) = map(image).filter(|_| !is_alone) else { return Some(from..to) };
    let start = find(map, from..to, true)?;
    Some(start..find(map, start..to, false).unwrap_or(to))
}

/// Clears some bits, of which there is at least one.
fn clear_bits(map: &[Cell<u8>], bits: Range<usize>) {
    // What stays of the first byte, and of the last one.
    let (before, behind): (u8, u8) = (!(0xff << (bits.start % 8)), 0xff << (bits.end % 8));
    let keep = |byte: usize, kept: u8| map[byte].set(map[byte].get() & kept);
    let (first, last) = (bits.start / 8, bits.end / 8);
    if first == last {
        keep(first, before | behind);
        return;
    }
    keep(first, before);
    map[first + 1..last].iter().for_each(|byte| byte.set(0));
    if behind != 0xff {
        keep(last, behind);
    }
}

/// The first of these bits that is set, or clear.
fn find(map: &[Cell<u8>], bits: Range<usize>, is_set: bool) -> Option<usize> {
    let others = if is_set { 0 } else { 0xff };
    let mut within = 0xff << (bits.start % 8);
    let mut byte = bits.start / 8;
    let end = bits.end.div_ceil(8);
    while byte < end {
        let found = (map[byte].get() ^ others) & within;
        if found != 0 {
            let bit = 8 * byte + found.trailing_zeros() as usize;
            return (bit < bits.end).then_some(bit);
        }
        within = 0xff;
        // Two sites may be thousands of pages apart.
        byte += 1 + map[byte + 1..end].iter().take_while(|next| next.get() == others).count();
    }
    None
}

/// Checks the access of an image's marked pages before their code is read. Pages that are already writable
/// are unmarked, so that they keep their access.
///
/// # Errors
///
/// [`ErrorKind::NotMapped`] with the first page that is not there.
pub(crate) fn survey(image: &Image, lock: &Guard) -> Result<(), Error> {
    let mut result = Ok(());
    let unit = format::unit(image.text_flags.get());
    for_each_run(image, |image, run| {
        // Nobody has made these writable, and one question is enough for all of them.
        if alias::has(run.pages.clone(), lock)
            && os::are_mapped(run.pages.start, run.pages.len()) == Some(true)
        {
            return;
        }
        let mut start = run.pages.start;
        while result.is_ok()
            && start < run.pages.end
            && let Some((rights, len)) = os::rights(start, run.pages.end - start)
        {
            let end = start.saturating_add(len);
            match rights {
                Rights::NotMapped => result = Err(Error::at(ErrorKind::NotMapped, start)),
                Rights::Writable => {
                    // The bits that stand only for these pages.
                    let bit = run.code.start >> unit;
                    let from = if start == run.pages.start { bit } else { start.div_ceil(1 << unit) };
                    let to = if end >= run.pages.end { bit + run.numbers.len() } else { end >> unit };
                    let number = |page: usize| run.numbers.start + (page - bit);
                    unmark(image, number(from)..number(to));
                }
                Rights::Other => {}
            }
            start = end;
        }
    });
    result
}

/// Opens an image's marked pages. Pages behind those that were refused are unmarked.
///
/// # Errors
///
/// [`ErrorKind::NotWritable`] with the pages and the operating system's error number.
pub(crate) fn open(image: &Image, way: Way, lock: &Guard) -> Result<(), Error> {
    let mut result = Ok(());
    for_each_run(image, |image, run| {
        if result.is_err() {
            unmark(image, run.numbers);
        } else if let Err(Refused(os)) = open_run(&run, way, lock) {
            result = Err(Error::with_os(ErrorKind::NotWritable, run.code.start, os));
        }
    });
    result
}

/// Whether all that was written through an alias of an image's marked pages is executed. If not, the alias is
/// another one now.
///
/// # Errors
///
/// [`ErrorKind::NotWritable`] if no other alias can be made.
pub(crate) fn is_whole(image: &Image, lock: &Guard) -> Result<bool, Error> {
    let mut result = Ok(true);
    for_each_run(image, |_, run| {
        if let Ok(so_far) = result {
            let found = alias::are_whole(run.pages, lock);
            let refused = |Refused(os)| Error::with_os(ErrorKind::NotWritable, run.code.start, os);
            result = found.map(|is_whole| so_far & is_whole).map_err(refused);
        }
    });
    result
}

/// Lets the kernel copy open pages of an image all at once where so many sites change that nearly every page
/// will be written.
pub(crate) fn populate(image: &Image, sites: usize, way: Way) {
    const SITES_A_PAGE: usize = 4;
    let is_exact = map(image).is_some();
    if let Way::InPlace = way {
        for_each_run(image, |_, run| {
            let len = run.pages.len();
            if is_exact || sites / SITES_A_PAGE >= len / os::page_size() {
                // SAFETY: as in `set`; the window is open.
                unsafe { os::populate(run.pages.start, len) };
            }
        });
    }
}

/// Closes an image's marked pages.
pub(crate) fn close(image: &Image, way: Way) {
    for_each_run(image, |_, run| {
        match way {
            Way::InPlace => {}
            Way::Alias => return,
            Way::Custom(writer) => return writer.close(run.code.start as *mut u8, run.code.len()),
        }
        // A page that was writable is not marked, whatever its program header says, if the kernel can tell.
        let is_unknown = || os::rights(run.pages.start, os::page_size()).is_none();
        let access = Access { write: run.access.write && is_unknown(), ..run.access };
        // The kernel itself never refuses to take an access away. A seccomp filter that another thread has
        // just installed may do so: then the pages stay writable, and all calls are correct. If opening was
        // refused (`mseal`), closing is refused too, and nothing has changed.
        let is_open = || !matches!(os::rights(run.pages.start, os::page_size()), Some((Rights::Other, _)));
        if let Err(Refused(os)) = set(&run, access)
            && is_open()
        {
            let start = run.code.start;
            log!("the code at {start:#x} stays writable: closing the window is refused ({os})");
        }
    });
}

/// With an alias, [`Windows`](crate::windows::Windows) makes it when all images have said what they want.
fn open_run(run: &Run, way: Way, lock: &Guard) -> Result<(), Refused> {
    match way {
        Way::InPlace => set(run, Access { write: true, ..run.access }),
        Way::Alias => alias::want(run.segment.clone(), run.pages.clone(), run.access, lock),
        Way::Custom(writer) => writer.open(run.code.start as *mut u8, run.code.len()).map_err(Refused),
    }
}

fn set(run: &Run, access: Access) -> Result<(), Refused> {
    // SAFETY: the run lies in an executable segment of the image, whose pages are mapped as a whole; the
    // access only grows beyond the program header's and comes back to it.
    unsafe { os::set_access(run.pages.start, run.pages.len(), access) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn bits_are_found_and_cleared_one_by_one_or_many_at_once() {
        const BYTES: usize = 6;
        let is_set = |map: &[Cell<u8>], bit: usize| map[bit / 8].get() >> (bit % 8) & 1 != 0;
        let mut random = 0x9e37_79b9_u32;
        for round in 0..200 {
            let map: [Cell<u8>; BYTES] = core::array::from_fn(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Many bytes of zeros, and of ones.
                Cell::new([0, 0xff, (random >> 24) as u8][(random >> 8) as usize % (2 + round % 2)])
            });
            for start in 0..8 * BYTES {
                for end in start + 1..=8 * BYTES {
                    for wanted in [true, false] {
                        let expected = (start..end).find(|&bit| is_set(&map, bit) == wanted);
                        assert_eq!(find(&map, start..end, wanted), expected, "{map:?} {start}..{end}");
                    }
                    let copy = map.clone();
                    clear_bits(&copy, start..end);
                    for bit in 0..8 * BYTES {
                        let expected = is_set(&map, bit) && !(start..end).contains(&bit);
                        assert_eq!(is_set(&copy, bit), expected, "{map:?} {start}..{end}, bit {bit}");
                    }
                }
            }
        }
    }
}
