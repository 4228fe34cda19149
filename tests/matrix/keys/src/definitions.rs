//! The keys, and their initial target.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The target of a key.
pub type Target = extern "C" fn(call: u32, value: u64) -> u64;

/// The last call that has reached a target.
pub(crate) static LAST: AtomicU32 = AtomicU32::new(0);

static_call::define! {
    /// Called by Rust.
    pub static KEY: extern "C" fn(call: u32, value: u64) -> u64 = plain;
    /// Called by C.
    #[unsafe(no_mangle)]
    pub static KEY_OF_C: extern "C" fn(call: u32, value: u64) -> u64 = plain;
    /// A branch's.
    pub static BRANCH: bool = false;
}

/// The initial target of both keys.
pub extern "C" fn plain(call: u32, value: u64) -> u64 {
    LAST.store(call, Relaxed);
    value + u64::from(call)
}
