//! The windows of all images whose code an update writes.

use core::sync::atomic::{AtomicBool, Ordering};

use static_call_abi::Image;

use crate::error::{Error, ErrorKind};
use crate::image;
use crate::journal::{self, Step};
use crate::lock::Guard;
use crate::os::Refused;
use crate::sealed;
use crate::writer::serialize::serialize;
use crate::writer::way::Way;
use crate::writer::window;
use crate::writer::{self, alias};

/// Checks the access of the marked pages of all images before their code is read.
///
/// # Errors
///
/// [`ErrorKind::NotMapped`](crate::ErrorKind::NotMapped) with the first page that is not there.
pub(crate) fn survey(lock: &Guard) -> Result<(), Error> {
    let mut result = Ok(());
    image::for_each_writable(lock, |image| {
        if result.is_ok() {
            result = window::survey(image, lock);
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
        let way = writer::way(lock);
        image::for_each_writable(lock, |image| {
            if result.is_ok() {
                result = window::open(image, way, lock);
            } else {
                window::clear(image);
            }
        });
        if let Way::Alias = way
            && result.is_ok()
        {
            result = alias::make(lock).map_err(refused);
        }
        result.map(|()| windows)
    }

    /// Notes that code is written from now on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotWritable`]: the process has just forked, and the code could not be opened once more.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        journal::step(Step::Writing, self.lock);
        let Way::Alias = writer::way(self.lock) else { return Ok(()) };
        alias::confirm(self.lock).map_err(refused).inspect_err(|_| journal::step(Step::Preparing, self.lock))
    }

    /// Writes code: with `write`, which may be called several times. Then waits until no thread runs
    /// instructions that it fetched before.
    ///
    /// # Errors
    ///
    /// Those of `write`, of [`settle`](Self::settle), and of [`serialize`].
    pub(crate) fn write(&self, mut write: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
        write()?;
        self.settle(write)?;
        serialize(self.lock)
    }

    /// After code was written: has `write` write it once more as long as something of it is not executed.
    ///
    /// # Errors
    ///
    /// That of `write`; or [`ErrorKind::NotWritable`] if somebody copies the pages all the time.
    pub(crate) fn settle(&self, mut write: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
        const EBUSY: i32 = 16;
        const PATIENCE: usize = 100;
        let Way::Alias = writer::way(self.lock) else { return Ok(()) };
        for _ in 0..PATIENCE {
            alias::wait_for_copies(self.lock);
            let mut is_whole = Ok(true);
            image::for_each_writable(self.lock, |image| {
                if let Ok(so_far) = is_whole {
                    is_whole = window::is_whole(image, self.lock).map(|is_whole| so_far & is_whole);
                }
            });
            if is_whole? {
                return Ok(());
            }
            write()?;
        }
        Err(Error::with_os(ErrorKind::NotWritable, 0, EBUSY))
    }

    /// The reason for an error of a word that could not be replaced.
    pub(crate) fn error(&self, error: Error) -> Error {
        let found = alias::refused(self.lock).filter(|_| error.kind() == ErrorKind::ForeignCode);
        found.map_or(error, |Refused(os)| Error::with_os(ErrorKind::NotWritable, error.address(), os))
    }

    /// Lets the kernel copy pages of an image all at once where so many sites change that nearly every page
    /// will be written.
    pub(crate) fn populate(&self, image: &Image, sites: usize) {
        window::populate(image, sites, writer::way(self.lock));
    }
}

fn refused((address, Refused(os)): (usize, Refused)) -> Error {
    Error::with_os(ErrorKind::NotWritable, address, os)
}

impl Drop for Windows<'_> {
    fn drop(&mut self) {
        close_all(self.lock);
    }
}

/// Closes all windows.
fn close_all(lock: &Guard) {
    let way = writer::way(lock);
    image::for_each_writable(lock, |image| window::close(image, way));
    if let Way::Alias = way {
        alias::close(lock);
        if sealed::is_set(lock) {
            alias::forget(0..usize::MAX, lock);
        }
    }
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
