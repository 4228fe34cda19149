//! No breakpoints: where nobody could handle them, or where instructions have no single first byte.

use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::patch::Patch;

pub(crate) const SUPPORTED: bool = false;

#[derive(Debug)]
pub(crate) struct Breakpoints<'lock>(core::marker::PhantomData<&'lock Guard>);

impl<'lock> Breakpoints<'lock> {
    /// # Safety
    ///
    /// None is needed.
    pub(crate) unsafe fn open(_count: usize, _is_again: bool, _lock: &'lock Guard) -> Result<Self, Error> {
        Err(Error::new(ErrorKind::NotWritable))
    }

    pub(crate) fn add(&mut self, _patch: Patch) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn set(&mut self) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) fn replace(self) {}
}

pub(crate) mod state {
    use crate::os::Refused;

    /// Nothing outlives an update.
    #[derive(Debug)]
    pub(crate) struct State;

    impl State {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn for_each_memory(
            &self,
            _visit: impl FnMut(usize, usize) -> Result<(), Refused>,
        ) -> Result<(), Refused> {
            Ok(())
        }
    }
}

pub(crate) fn finish(_lock: &Guard) -> Result<(), Error> {
    Ok(())
}

pub(crate) fn recover(_is_made: bool, _lock: &Guard) {}

pub(crate) fn forget(_code: core::ops::Range<usize>, _lock: &Guard) {}

pub(crate) fn leave(_lock: &Guard) {}

pub(crate) fn is_one(_byte: u8) -> bool {
    false
}
