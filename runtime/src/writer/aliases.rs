//! Where the list of segments with an alias begins.

use core::ptr::null_mut;
use core::sync::atomic::AtomicPtr;

/// The first of them (`alias.rs`), on the page that the seal protects: the list decides where code is
/// written.
#[derive(Debug)]
#[allow(dead_code, reason = "there are none where no system maps memory twice")]
pub(crate) struct Aliases(pub(crate) AtomicPtr<u8>);

impl Aliases {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }
}
