//! What crosses the border of an image: the structures of the exported functions, which C and other copies of
//! the runtime share.

use core::ffi::c_void;

use static_call_abi::Key;

use crate::change::Change;
use crate::error::{Error, ErrorKind};

#[allow(missing_docs, reason = "the header has them")]
/// `struct static_call_change`; once it is checked, a `Change`.
#[repr(C)]
#[derive(Debug)]
pub struct CChange {
    pub key: *const Key,
    pub target: *const c_void,
    pub form: u32,
    pub wish: u32,
}

const _: () = assert!(
    size_of::<CChange>() == size_of::<Change<'_>>()
        && core::mem::offset_of!(CChange, target) == Change::OFFSETS[0]
        && core::mem::offset_of!(CChange, form) == Change::OFFSETS[1]
        && core::mem::offset_of!(CChange, wish) == Change::OFFSETS[2]
);

#[allow(missing_docs, reason = "the header has them")]
/// `struct static_call_info`.
#[repr(C)]
#[derive(Debug)]
pub struct CInfo {
    pub keys: usize,
    pub sites: usize,
    pub direct: usize,
    pub through_trampoline: usize,
    pub images: usize,
    pub branches: usize,
    pub patched_branches: usize,
}

/// An [`Error`], as one copy of the runtime passes it to another one, maybe of another version.
#[repr(C)]
#[derive(Debug)]
pub struct CError {
    kind: u32,
    address: usize,
    os: i32,
}

impl From<Error> for CError {
    fn from(error: Error) -> Self {
        Self { kind: error.kind().to_wire(), address: error.address(), os: error.raw_os_error().unwrap_or(0) }
    }
}

impl From<CError> for Error {
    fn from(error: CError) -> Self {
        Self::with_os(ErrorKind::from_wire(error.kind).unwrap_or(ErrorKind::Unknown), error.address, error.os)
    }
}
