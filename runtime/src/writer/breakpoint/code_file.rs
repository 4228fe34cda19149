//! The process's own memory as a file, `/proc/self/mem`: writes through it reach pages that are not writable.

use crate::error::IS_BORROWED;
use crate::lock;
use crate::os::{File, Refused, system_call};

pub(crate) const NOT_SUPPORTED: i32 = libc::EOPNOTSUPP;

/// The process's own memory, as a file. Opened for each update: a child of fork(2) must not write to its
/// parent's.
#[derive(Debug)]
pub(crate) struct CodeFile(File);

impl CodeFile {
    pub(crate) fn open() -> Result<Self, Refused> {
        /// No other file has this at this address.
        static MARK: [u8; 16] = *b"static-call mark";
        if lock::is_borrowed() {
            // Actions of signals are each process's own: where this one puts a breakpoint, the process whose
            // memory it is may have no handler.
            return Err(Refused(IS_BORROWED));
        }
        // Before it is opened: a child that a signal handler forks after that does not have the note.
        lock::note_file();
        // `self` is the process's first thread, and has no memory once that thread has ended. Linux before
        // 3.17 has no other name.
        let own = File::open(None, c"/proc/thread-self/mem", libc::O_RDWR);
        let file = own.or_else(|_| File::open(None, c"/proc/self/mem", libc::O_RDWR))?.move_up();
        // Before it got its high number, another thread may have closed it and opened something else.
        let mut found = [0; MARK.len()];
        let arguments = [
            file.number(),
            found.as_mut_ptr().expose_provenance(),
            found.len(),
            MARK.as_ptr().expose_provenance(),
        ];
        // SAFETY: writes to the buffer only. On i686 the offset's upper half, which comes last, is zero.
        unsafe { system_call(libc::SYS_pread64, arguments) }?;
        if found == MARK { Ok(Self(file)) } else { Err(Refused(libc::EBADF)) }
    }

    /// Writes bytes, whatever access their pages have.
    ///
    /// # Safety
    ///
    /// These bytes may change, one by one and in any order, while other threads run them.
    pub(crate) unsafe fn write(&self, address: usize, bytes: &[u8]) -> Result<(), Refused> {
        if !lock::has_file() {
            // A signal handler has forked in the middle of this update: the file is the parent's memory.
            return Err(Refused(libc::EBADF));
        }
        let arguments = [self.0.number(), bytes.as_ptr().expose_provenance(), bytes.len(), address];
        // SAFETY: reads the bytes; what it does to memory is the caller's promise. The offset as above.
        let written = unsafe { system_call(libc::SYS_pwrite64, arguments) }?;
        if written == bytes.len() { Ok(()) } else { Err(Refused(libc::EIO)) }
    }
}
