//! System calls, and C library functions, that leave errno as it was.
//!
//! # Safety
//!
//! Each system call has its own rules; the caller says why it keeps them.

use core::ffi::c_long;

use crate::os::reply::Refused;

/// A system call that avoids the C library's function. Those for openat, read, write, close, nanosleep and
/// more are cancellation points (pthreads(7)): a cancelled thread would end there, and hold the runtime's
/// lock for ever. syscall(2) is not one, neither in glibc nor in musl.
///
/// # Safety
///
/// The system call's own rules for its arguments. The kernel does not look at those that it does not know.
pub(crate) unsafe fn system_call<const N: usize>(
    number: c_long,
    arguments: [usize; N],
) -> Result<usize, Refused> {
    const { assert!(N <= 6) };
    let [a, b, c, d, e, f] = core::array::from_fn(|index| arguments.get(index).copied().unwrap_or(0));
    let mut result = Ok(0);
    keep_errno(|| {
        // SAFETY: the caller's promise.
        let value = unsafe { libc::syscall(number, a, b, c, d, e, f) };
        result = match value {
            // SAFETY: as in `keep_errno`.
            -1 => Err(Refused(unsafe { *libc::__errno_location() })),
            value => Ok(value as usize),
        };
    });
    result
}

/// Leaves errno as it was: an update may run inside one of the user's functions or signal handlers.
pub(super) fn keep_errno(call: impl FnOnce()) {
    // SAFETY: errno's address is valid as long as the thread runs.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        call();
        *errno = before;
    }
}
