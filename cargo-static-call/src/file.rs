//! Opens and maps untrusted files.
//!
//! # Safety
//!
//! A mapping shows the file's current content, but Rust assumes that the bytes behind a `&[u8]` do not
//! change. A program that writes into a mapped file breaks that assumption; linkers, cargo and package
//! managers replace the file instead. Two rules limit the damage of a concurrent write: every length, index
//! and address read from the mapping is checked against the mapping's length where it is used, and a report
//! on a file that changed is discarded ([`Mapped::is_unchanged`]). Reading past the end of a file that got
//! shorter raises SIGBUS, on which this program exits with a message.

#![allow(unsafe_code)]

use std::fs::{File, Metadata, OpenOptions};
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::Once;

use anyhow::{Context, Result, bail};

/// Opens a regular file for reading.
///
/// The path may name a pipe, whose opening blocks, or a device, whose opening has side effects, and it may
/// name another file an instant later. So this gets a handle without opening the file (`O_PATH`), checks its
/// type, and opens the same file through the handle.
///
/// # Errors
///
/// If it is not a regular file, or cannot be read.
pub fn open(path: &Path) -> Result<File> {
    let held =
        OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).context("cannot be read")?;
    if !held.metadata().context("cannot be read")?.is_file() {
        bail!("is not a regular file");
    }
    let number = format!("/proc/self/fd/{}", held.as_raw_fd());
    if !Path::new("/proc/self/fd").exists() {
        bail!("cannot be read because /proc is not mounted");
    }
    // Some of the kernel's files are regular files and still block.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(number);
    file.context("cannot be read")
}

/// A scan frees the mapping's pages each time it has read this many bytes.
pub const RELEASE: u64 = 16 << 20;

/// A mapped file.
#[derive(Debug)]
pub struct Mapped {
    file: File,
    number: (u64, u64),
    stamp: [i64; 5],
    start: NonNull<u8>,
    len: usize,
}

impl Mapped {
    /// Opens and maps a file.
    ///
    /// # Errors
    ///
    /// As for [`open`], and if the file cannot be mapped.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(open(path)?)
    }

    /// Maps an open file.
    ///
    /// # Errors
    ///
    /// If it cannot be mapped.
    pub fn of(file: File) -> Result<Self> {
        let data = file.metadata().context("cannot be read")?;
        let len = usize::try_from(data.len()).context("is larger than the address space")?;
        let number = (data.dev(), data.ino());
        let mut mapped = Self { number, stamp: stamp(&data), file, start: NonNull::dangling(), len };
        if len > 0 {
            die_of_sigbus_with_a_message();
            // SAFETY: creates a mapping of an open file at an address that the kernel chooses, so no existing
            // memory changes.
            let start = unsafe {
                libc::mmap(null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, mapped.file.as_raw_fd(), 0)
            };
            if start == libc::MAP_FAILED {
                mapped.len = 0;
                return Err(std::io::Error::last_os_error()).context("cannot be read (mmap)");
            }
            mapped.start = NonNull::new(start.cast()).context("cannot be read (mmap)")?;
        }
        Ok(mapped)
    }

    /// The file's device and inode numbers, which are the same for all of its names.
    #[must_use]
    pub fn number(&self) -> (u64, u64) {
        self.number
    }

    /// Whether the file is unchanged since it was opened, according to its size and times.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|data| stamp(&data) == self.stamp)
    }

    /// Frees the pages of the mapping; the next access reads them from the file again.
    pub fn release(&self) {
        if self.len > 0 {
            // SAFETY: the range is this value's private mapping, which is never written, so the pages that
            // are read again have the file's content.
            unsafe { libc::madvise(self.start.as_ptr().cast(), self.len, libc::MADV_DONTNEED) };
        }
    }
}

fn stamp(data: &Metadata) -> [i64; 5] {
    [data.size().cast_signed(), data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()]
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` points to `len` readable bytes that stay mapped while `self` is borrowed (with a
        // length of zero, dangling is valid). The module's documentation discusses concurrent writes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: it was mapped with this length, and `&mut self` proves that no borrow is left.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        }
    }
}

/// Without this, truncating a mapped file would end this program without a message.
fn die_of_sigbus_with_a_message() {
    extern "C" fn handler(_signal: libc::c_int) {
        const MESSAGE: &[u8] = b"error: a file was truncated or became unreadable while it was being read\n";
        // SAFETY: both functions are async-signal-safe (signal-safety(7)), and the message is static.
        unsafe {
            libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len());
            libc::_exit(2);
        }
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a zeroed sigaction is valid: no flags and an empty mask. The handler only calls
        // async-signal-safe functions.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as libc::sighandler_t;
            libc::sigaction(libc::SIGBUS, &raw const action, null_mut());
        }
    });
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("pipe");
        let name = CString::new(path.as_os_str().as_bytes()).expect("a path");
        // SAFETY: a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        for other in [&path, directory.path(), Path::new("/dev/zero"), Path::new("/dev/tty")] {
            let error = open(other).expect_err("not a file");
            assert!(error.to_string().contains("not a regular file"), "{}: {error}", other.display());
        }
    }

    /// A path may name a file now and a pipe an instant later.
    #[test]
    fn a_path_that_changes_between_file_and_pipe() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), b"contents").expect("a file");
        let name = CString::new(path("pipe").as_os_str().as_bytes()).expect("a path");
        // SAFETY: a C string.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        std::fs::hard_link(path("file"), path("it")).expect("a link");
        let (done, opened) = std::sync::mpsc::channel();
        let it = path("it");
        std::thread::spawn(move || {
            let mut count = [0; 2];
            while count[0] + count[1] < 3000 || count.contains(&0) {
                count[usize::from(open(&it).is_ok())] += 1;
            }
            done.send(count)
        });
        let start = std::time::Instant::now();
        let count = loop {
            for name in ["pipe", "file"] {
                std::fs::hard_link(path(name), path("next")).expect("a link");
                std::fs::rename(path("next"), path("it")).expect("a link");
                // Renaming one link to another of the same file leaves both.
                let _ = std::fs::remove_file(path("next"));
            }
            match opened.try_recv() {
                Ok(count) => break count,
                Err(_) => assert!(start.elapsed().as_secs() < 60, "opening waits for the pipe"),
            }
        };
        assert!(!count.contains(&0), "{count:?}");
    }

    #[test]
    fn a_mapping_shows_the_file_and_knows_when_it_changes() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file");
        std::fs::write(&path, b"").expect("a file");
        assert_eq!(&*Mapped::open(&path).expect("a file"), b"");
        std::fs::write(&path, b"contents").expect("a file");
        let mapped = Mapped::open(&path).expect("a file");
        assert_eq!(&*mapped, b"contents");
        mapped.release();
        assert_eq!(&*mapped, b"contents");
        assert!(mapped.is_unchanged());
        // Replacing the file does not change the mapping.
        std::fs::write(directory.path().join("other"), b"other").expect("a file");
        std::fs::rename(directory.path().join("other"), &path).expect("a file");
        assert_eq!(&*mapped, b"contents");
        let mapped = Mapped::open(&path).expect("a file");
        std::fs::write(&path, b"a longer one").expect("a file");
        assert!(!mapped.is_unchanged());
    }
}
