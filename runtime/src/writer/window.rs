//! Writing code in place, while its pages are writable.

use static_call_abi::Image;

use crate::arch::WORD;
use crate::elf;
use crate::error::{Error, ErrorKind};
use crate::image;
use crate::lock::Guard;
use crate::log::log;
use crate::os::{self, Access, Refused};
use crate::writer;

/// Starts a new window over an image: nothing is to be written.
pub(crate) fn clear(image: &mut Image) {
    image.window = usize::MAX;
    image.window_end = 0;
}

/// Words of one image, from the first to the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    start: usize,
    end: usize,
}

impl Window {
    pub(crate) const EMPTY: Self = Self { start: usize::MAX, end: 0 };

    /// With one more word.
    #[inline]
    pub(crate) fn with(self, word: usize) -> Self {
        self.and(Self { start: word, end: word + WORD })
    }

    /// With all words of another one.
    #[inline]
    pub(crate) fn and(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// Has the next window over this image contain these words.
pub(crate) fn widen(image: &mut Image, window: Window) {
    image.window = image.window.min(window.start);
    image.window_end = image.window_end.max(window.end);
}

/// The pages of all images that an update writes, writable as long as this lives.
#[derive(Debug)]
pub(crate) struct Windows<'lock> {
    lock: &'lock Guard,
}

impl<'lock> Windows<'lock> {
    /// Opens the windows of all registered images, or none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotWritable`] with the pages and the operating system's error number.
    pub(crate) fn open(lock: &'lock Guard) -> Result<Self, Error> {
        // If one is refused, dropping this closes them all; closing what was not opened changes nothing.
        let windows = Self { lock };
        let mut result = Ok(());
        image::for_each(lock, |image| {
            if result.is_ok()
                && let Err(Refused(os)) = set(image, true)
            {
                result = Err(Error::with_os(ErrorKind::NotWritable, image.window, os));
            }
        });
        result.map(|()| windows)
    }

    /// Has the pages of an image that nobody has written yet copied all at once, if nearly each of them will be.
    pub(crate) fn populate(&self, image: &Image, sites: usize) {
        const SITES_A_PAGE: usize = 4;
        let (start, len) = pages(image);
        if writer::custom().is_none() && sites / SITES_A_PAGE >= len / os::page_size() {
            // SAFETY: as in `set`; the window is open.
            unsafe { os::populate(start, len) };
        }
    }
}

impl Drop for Windows<'_> {
    fn drop(&mut self) {
        image::for_each(self.lock, |image| {
            // Taking an access away is never refused by the kernel itself. A seccomp filter that another
            // thread has just installed may do so: then the pages stay writable, and every call right.
            if let Err(Refused(os)) = set(image, false) {
                log!("the code at {:#x} stays writable: closing the window is refused ({os})", image.window);
            }
        });
    }
}

fn set(image: &Image, is_open: bool) -> Result<(), Refused> {
    if image.window >= image.window_end {
        return Ok(());
    }
    if let Some(writer) = writer::custom() {
        let (start, len) = (image.window as *mut u8, image.window_end - image.window);
        return if is_open {
            writer.open(start, len).map_err(Refused)
        } else {
            writer.close(start, len);
            Ok(())
        };
    }
    let (start, len) = pages(image);
    let access = elf::access(image.text_flags);
    let access = if is_open { Access { write: true, ..access } } else { access };
    // SAFETY: the window lies in the image's executable segment, whose pages are mapped as a whole; the
    // access only grows beyond the program header's and comes back to it.
    unsafe { os::set_access(start, len, access) }
}

/// The pages of an image's window: where they start, and how many bytes they have.
fn pages(image: &Image) -> (usize, usize) {
    let page = os::page_size();
    let start = image.window / page * page;
    (start, image.window_end.next_multiple_of(page) - start)
}
