//! No aliases: where there is no system that maps memory twice.

use core::ops::Range;

use crate::format::Access;
use crate::lock::Guard;
use crate::os::Refused;

pub(crate) const SUPPORTED: bool = false;

pub(crate) fn want(_: Range<usize>, _: Range<usize>, _: Access, _lock: &Guard) -> Result<(), Refused> {
    Err(Refused(0))
}

pub(crate) fn has(_pages: Range<usize>, _lock: &Guard) -> bool {
    false
}

pub(crate) fn make(_lock: &Guard) -> Result<(), (usize, Refused)> {
    Ok(())
}

pub(crate) fn confirm(_lock: &Guard) -> Result<(), (usize, Refused)> {
    Ok(())
}

pub(crate) fn wait_for_copies(_lock: &Guard) {}

pub(crate) fn are_whole(_pages: Range<usize>, _lock: &Guard) -> Result<bool, Refused> {
    Ok(true)
}

pub(crate) fn close(_lock: &Guard) {}

pub(crate) fn take_back(_lock: &Guard) {}

pub(crate) fn of(word: usize) -> Option<usize> {
    Some(word)
}

pub(crate) fn renew(_word: usize) -> bool {
    false
}

pub(crate) fn refused(_lock: &Guard) -> Option<Refused> {
    None
}

pub(crate) fn forget(_range: Range<usize>, _lock: &Guard) {}
