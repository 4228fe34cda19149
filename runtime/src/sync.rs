//! The atomics of the lock, which the models of `lock/models.rs` exchange for loom's.

#[cfg(all(loom, test))]
pub(crate) use loom::sync::atomic;

#[cfg(not(all(loom, test)))]
pub(crate) use core::sync::atomic;
