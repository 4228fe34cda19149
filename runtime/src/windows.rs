//! The windows of all images whose code an update writes.

use core::sync::atomic::{AtomicBool, Ordering};

use static_call_abi::Image;

use crate::error::Error;
use crate::image;
use crate::lock::Guard;
use crate::sealed::custom;
use crate::writer::window;

/// Checks the access of the marked pages of all images before their code is read.
///
/// # Errors
///
/// [`ErrorKind::NotMapped`](crate::ErrorKind::NotMapped) with the first page that is not there.
pub(crate) fn survey(lock: &Guard) -> Result<(), Error> {
    let mut result = Ok(());
    image::for_each_writable(lock, |image| {
        if result.is_ok() {
            result = window::survey(image);
        }
    });
    result
}

/// The marked pages of all images, writable as long as this lives.
#[derive(Debug)]
pub(crate) struct Windows<'lock> {
    lock: &'lock Guard,
}

/// Whether windows may be open.
static ARE_OPEN: AtomicBool = AtomicBool::new(false);

impl<'lock> Windows<'lock> {
    /// Opens the marked pages of all registered images, or none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotWritable`](crate::ErrorKind::NotWritable) with the pages and the operating system's
    /// error number.
    pub(crate) fn open(lock: &'lock Guard) -> Result<Self, Error> {
        // If one is refused, dropping this closes the others.
        let windows = Self { lock };
        ARE_OPEN.store(true, Ordering::Release);
        let mut result = Ok(());
        let writer = custom(lock);
        image::for_each_writable(lock, |image| {
            if result.is_ok() {
                result = window::open(image, writer);
            } else {
                window::clear(image);
            }
        });
        result.map(|()| windows)
    }

    /// Lets the kernel copy pages of an image all at once where so many sites change that nearly every page
    /// will be written.
    pub(crate) fn populate(&self, image: &Image, sites: usize) {
        window::populate(image, sites, custom(self.lock));
    }
}

impl Drop for Windows<'_> {
    fn drop(&mut self) {
        close_all(self.lock);
    }
}

/// Closes all windows.
fn close_all(lock: &Guard) {
    let writer = custom(lock);
    image::for_each_writable(lock, |image| window::close(image, writer));
    ARE_OPEN.store(false, Ordering::Release);
}

/// In a child of fork(2): closes the windows that it may have inherited from an update, and unmarks
/// everything.
pub(crate) fn recover(lock: &Guard) {
    // Before they were opened, pages may be marked that the program has made writable.
    if ARE_OPEN.load(Ordering::Acquire) {
        close_all(lock);
    }
    image::for_each_writable(lock, window::clear);
}
