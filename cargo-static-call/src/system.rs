//! The C library of this process.
//!
//! # Safety
//!
//! The C library's own text lives as long as the process.

#![allow(unsafe_code)]

/// The version of glibc that runs this process, such as `(2, 31)`. None: another C library runs it.
#[cfg(target_env = "gnu")]
pub(crate) fn glibc() -> Option<(u32, u32)> {
    // SAFETY: it returns a constant text that ends with a zero.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    crate::glibc::release(version.to_str().ok()?)
}

#[cfg(not(target_env = "gnu"))]
pub(crate) fn glibc() -> Option<(u32, u32)> {
    None
}
