//! Waiting for processors that run what they fetched before.

use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::os::{self, Refused};
use crate::sealed::custom;

/// Returns when no thread runs instructions that it fetched before the call.
pub(crate) fn serialize(lock: &Guard) -> Result<(), Error> {
    let result =
        custom(lock).map_or_else(os::serialize_all_threads, |writer| writer.serialize().map_err(Refused));
    result.map_err(|Refused(os)| Error::with_os(ErrorKind::NotWritable, 0, os))
}

/// If that is refused, threads come around to the old code with their next interrupt.
pub(crate) fn serialize_at_last(lock: &Guard) {
    let _ = serialize(lock);
}
