//! What a program provides if it writes its code itself.

/// Writes code where there is no operating system to ask: in a kernel, on bare metal, in a process without
/// libc. The program passes it to [`set_writer`](crate::set_writer).
///
/// An update calls, in this order: `open` for each run of pages that it changes, cut where a segment of code
/// starts and ends (4096 bytes are a page where there is no operating system), `alias` for each word that it
/// replaces, `serialize`, and `close` for each of these runs. All of them run under the runtime's lock, so
/// never at the same time. If an `open` or `serialize` fails, so does the update, and nothing has changed.
///
/// ```
/// /// A kernel that maps its code writable a second time, and runs on one processor.
/// struct Alias { offset: isize }
///
/// // SAFETY: the code is mapped at both addresses, and `cpuid` serializes (Intel SDM volume 3, 9.3).
/// unsafe impl static_call::CodeWriter for Alias {
///     fn alias(&self, word: *mut u8) -> *mut u8 {
///         word.wrapping_offset(self.offset)
///     }
///     fn serialize(&self) -> Result<(), i32> {
///         # #[cfg(target_arch = "x86_64")]
///         core::arch::x86_64::__cpuid(0);
///         Ok(())
///     }
/// }
///
/// # fn main() {} fn boot() {
/// static_call::set_writer(&Alias { offset: 0x1000_0000 }).expect("nothing interrupts the boot");
/// # }
/// ```
///
/// # Safety
///
/// - Between `open` and `close`, an aligned word of the opened code can be loaded and stored at
///   `alias(word)`, and processors that fetch instructions from `word` see what was stored.
/// - When `serialize` returns `Ok`, every processor that may run the code has executed a serializing
///   instruction since it was called, or does so before it runs the code again.
pub unsafe trait CodeWriter: Sync {
    /// Makes code writable. The default assumes that it is.
    ///
    /// # Errors
    ///
    /// Any number but 0, for [`Error::raw_os_error`](crate::Error::raw_os_error): the code may not be
    /// written.
    fn open(&self, start: *mut u8, len: usize) -> Result<(), i32> {
        let _ = (start, len);
        Ok(())
    }

    /// Undoes `open`. Also called after an `open` that failed.
    fn close(&self, start: *mut u8, len: usize) {
        let _ = (start, len);
    }

    /// Where this word of code can be written. By default in place.
    fn alias(&self, word: *mut u8) -> *mut u8 {
        word
    }

    /// Makes whole pages of data read-only for good, for [`seal`](crate::seal). The default refuses.
    ///
    /// # Errors
    ///
    /// Any number but 0, for [`Error::raw_os_error`](crate::Error::raw_os_error).
    fn protect(&self, start: *mut u8, len: usize) -> Result<(), i32> {
        let _ = (start, len);
        Err(ENOSYS)
    }

    /// Returns when no processor runs instructions any more that it fetched before.
    ///
    /// # Errors
    ///
    /// Any number but 0, if that is not possible. Then nothing is patched.
    fn serialize(&self) -> Result<(), i32>;
}

const ENOSYS: i32 = 38;
