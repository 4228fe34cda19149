//! A part of the kernel with a key of its own: the policy by which a task is chosen.

#![no_std]

static_call::define! {
    /// Which of these tasks runs next.
    pub static PICK: fn(ready: u32) -> u32 = lowest;
}

/// The next task to run.
pub fn next(ready: u32) -> u32 {
    PICK.call(ready)
}

/// A policy: the lowest number.
pub fn lowest(ready: u32) -> u32 {
    ready.trailing_zeros()
}

/// A policy: the highest number.
pub fn highest(ready: u32) -> u32 {
    ready.checked_ilog2().unwrap_or(u32::BITS)
}
