//! No breakpoints: where nobody could handle them, or where instructions have no single first byte.

use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::update::Patch;

pub(crate) const SUPPORTED: bool = false;

#[derive(Debug)]
pub(crate) struct Breakpoints(());

impl Breakpoints {
    pub(crate) fn open(_count: usize, _lock: &Guard) -> Result<Self, Error> {
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

pub(crate) fn finish(_lock: &Guard) -> Result<(), Error> {
    Ok(())
}

pub(crate) fn forget(_code: core::ops::Range<usize>, _lock: &Guard) {}

pub(crate) fn leave() {}

pub(crate) fn stands_at(_pc: usize, _text: crate::text::Text) -> bool {
    false
}
