//! `libstatic_call`: the runtime's C symbols, and nothing of Rust's standard library.
//!
//! Built with the profile `c-library` (`cargo xtask install` does it), where a panic aborts: no unwinder
//! and no allocator come along. Any other profile builds a library for the Rust tools' sake.

#![cfg_attr(panic = "abort", no_std)]

/// Everything that `static_call.h` declares.
pub use static_call::c;

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort(3) may be called at any time.
    unsafe { libc::abort() }
}
