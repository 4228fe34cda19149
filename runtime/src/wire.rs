//! What crosses the border of an image: the structures of the exported functions, which C and other copies of
//! the runtime share.

use core::ffi::c_void;

use static_call_abi::Key;

use crate::change::Change;
use crate::error::{Error, ErrorKind};
use crate::numbered::numbered;

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
#[derive(Clone, Copy, Debug)]
pub struct CInfo {
    pub keys: usize,
    pub sites: usize,
    pub direct: usize,
    pub through_trampoline: usize,
    pub images: usize,
    pub branches: usize,
    pub patched_branches: usize,
}

numbered! {
    /// What a key does; `enum static_call_state`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum KeyState {
        Calls = 0,
        Off = 1,
        ReturnsZero = 2,
        Branch = 3,
    }
}

/// How long a name may be in a [`CEntry`], with a NUL.
pub(crate) const NAME: usize = 256;

#[allow(missing_docs, reason = "the header has them")]
/// `struct static_call_entry`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CEntry {
    /// Where the walk is: the key's address, or 0 at its start.
    pub key: usize,
    pub target: usize,
    pub count: usize,
    pub info: CInfo,
    /// A `KeyState`.
    pub state: u32,
    /// The name and a NUL; of a key that dispatches, also the variant that it calls, and a NUL, and all of
    /// them, with a NUL behind each, as far as there is room.
    pub name: [u8; NAME],
}

impl CEntry {
    pub(crate) const EMPTY: Self = Self {
        key: 0,
        target: 0,
        count: 0,
        info: CInfo {
            keys: 0,
            sites: 0,
            direct: 0,
            through_trampoline: 0,
            images: 0,
            branches: 0,
            patched_branches: 0,
        },
        state: KeyState::Calls.to_wire(),
        name: [0; NAME],
    };

    /// A name that is too long is cut.
    pub(crate) fn set_name(&mut self, name: &str) {
        let ends = (0..=name.len().min(NAME - 1)).rev();
        let len = ends.into_iter().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
        self.name = [0; NAME];
        self.name[..len].copy_from_slice(&name.as_bytes()[..len]);
    }

    /// Adds the name of a variant behind what there is, of which `len` bytes are used, with their NULs. One
    /// for which there is no room is left out. Returns how many are used then.
    pub(crate) fn add_variant(&mut self, name: &[u8], len: usize) -> usize {
        let end = len + name.len();
        if end >= NAME || name.contains(&0) {
            return len;
        }
        self.name[len..end].copy_from_slice(name);
        end + 1
    }
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

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    /// C and copies of other versions share them.
    #[test]
    fn the_structures_that_others_know_stay_as_they_are() {
        let word = size_of::<usize>();
        let change = [
            offset_of!(CChange, key),
            offset_of!(CChange, target),
            offset_of!(CChange, form),
            offset_of!(CChange, wish),
            size_of::<CChange>(),
        ];
        assert_eq!(change, [0, word, 2 * word, 2 * word + 4, 2 * word + 8]);
        let info = [
            offset_of!(CInfo, keys),
            offset_of!(CInfo, sites),
            offset_of!(CInfo, direct),
            offset_of!(CInfo, through_trampoline),
            offset_of!(CInfo, images),
            offset_of!(CInfo, branches),
            offset_of!(CInfo, patched_branches),
            size_of::<CInfo>(),
        ];
        assert_eq!(info, [0, 1, 2, 3, 4, 5, 6, 7].map(|index| index * word));
        let entry = [
            offset_of!(CEntry, key),
            offset_of!(CEntry, target),
            offset_of!(CEntry, count),
            offset_of!(CEntry, info),
            offset_of!(CEntry, state),
        ];
        assert_eq!(entry, [0, 1, 2, 3, 10].map(|index| index * word));
        assert_eq!((offset_of!(CEntry, name), NAME), (10 * word + 4, 256));
        let error = [offset_of!(CError, kind), offset_of!(CError, address), offset_of!(CError, os)];
        assert_eq!(error, [0, word, 2 * word]);
        assert_eq!(size_of::<CError>(), 3 * word);
    }

    #[test]
    fn an_error_crosses_as_it_is_and_an_unknown_one_is_unknown() {
        for &kind in ErrorKind::ALL {
            let error = Error::with_os(kind, 0x1234, 13);
            let crossed = CError::from(error);
            assert_eq!((crossed.kind, crossed.address, crossed.os), (kind.to_wire(), 0x1234, 13));
            assert!(Error::from(crossed) == error);
        }
        let later = CError { kind: 1000, address: 0x1234, os: 13 };
        assert!(Error::from(later) == Error::with_os(ErrorKind::Unknown, 0x1234, 13));
    }
}
