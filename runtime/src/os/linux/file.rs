//! Files, past the C library's functions.

use core::ffi::{CStr, c_int, c_long};

use super::system_call::system_call;
use crate::os::reply::Refused;

/// A file descriptor that is closed when this goes.
#[derive(Debug)]
pub(crate) struct File(c_int);

impl File {
    /// As a system call takes it.
    pub(crate) fn number(&self) -> usize {
        self.0 as usize
    }

    /// A descriptor that a system call has just made.
    pub(super) fn from_number(number: usize) -> Self {
        Self(number as c_int)
    }

    /// A file in a directory; without one, by its whole path.
    pub(crate) fn open(directory: Option<&Self>, path: &CStr, flags: c_int) -> Result<Self, Refused> {
        let directory = directory.map_or(libc::AT_FDCWD, |directory| directory.0);
        let arguments =
            [directory as usize, path.as_ptr().expose_provenance(), (flags | libc::O_CLOEXEC) as usize];
        // SAFETY: a path that ends in NUL.
        unsafe { system_call(libc::SYS_openat, arguments) }.map(|file| Self(file as c_int))
    }

    /// The same file with a high number. A program may close files that it does not know, ours among them.
    /// The kernel gives out the lowest free number, so a high one does not become another file's.
    pub(crate) fn move_up(self) -> Self {
        const HIGH: usize = 1000;
        let arguments = [self.0 as usize, libc::F_DUPFD_CLOEXEC as usize, HIGH];
        // SAFETY: makes another descriptor.
        match unsafe { system_call(libc::SYS_fcntl, arguments) } {
            Ok(file) => Self(file as c_int),
            // If the process may not have a thousand open files, the number stays low.
            Err(_) => self,
        }
    }

    /// Reads as much as there is and as fits.
    pub(crate) fn read<'buffer>(&self, buffer: &'buffer mut [u8]) -> Result<&'buffer [u8], Refused> {
        self.fill(libc::SYS_read, buffer)
    }

    /// Reads entries of a directory; none at its end.
    pub(crate) fn entries<'buffer>(&self, buffer: &'buffer mut [u8]) -> Result<&'buffer [u8], Refused> {
        self.fill(libc::SYS_getdents64, buffer)
    }

    /// A system call that takes a file and a buffer, and says how much of it was filled.
    fn fill<'buffer>(&self, call: c_long, buffer: &'buffer mut [u8]) -> Result<&'buffer [u8], Refused> {
        let arguments = [self.0 as usize, buffer.as_mut_ptr().expose_provenance(), buffer.len()];
        // SAFETY: both of them write to the buffer only.
        let len = unsafe { system_call(call, arguments) }?;
        Ok(&buffer[..len])
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: our own descriptor.
        let _ = unsafe { system_call(libc::SYS_close, [self.0 as usize]) };
    }
}
