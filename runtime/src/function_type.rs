//! Control-flow integrity (`-fsanitize=kcfi`): the compiler puts a hash of its type before each function, and
//! whatever calls through a pointer compares it. A static call leaves this to its trampoline, which nobody
//! asks once a call is direct. So the runtime asks in its place: once for each update.
//!
//! Where an update finds another type, it is refused. A key may have such a function all the same: from its
//! definition, from a resolver, or from a time when no image with such calls was loaded. Then the calls stay
//! on their trampoline, which ends the program if it is called, as the compiler's own check does.
//!
//! # Safety
//!
//! A target's hash lies before its code, and is read only where memory is mapped and readable: in an image
//! whose code the runtime reads anyway, or where the operating system says so. If it does not know (before
//! Linux 5.14), a function of another image has no type.

use static_call_abi::Record;

use crate::change::Change;
use crate::error::{Error, ErrorKind};
use crate::image::{self, Images};
use crate::lock::Guard;
use crate::os::{self, Rights};
use crate::text::Text;

/// Refuses changes that give a key a function of another type than its calls expect.
///
/// # Errors
///
/// [`ErrorKind::WrongType`], with the function's address.
pub(crate) fn check(changes: &[Change<'_>], lock: &Guard) -> Result<(), Error> {
    let mut images = Images::new(lock);
    for change in changes.iter().filter(|change| !change.key.is_branch()) {
        let target = change.state().target.addr();
        // Nobody knows the records of another copy of the runtime, which patches nothing for us.
        let mut records = images.records_of(change.key).filter_map(Result::ok);
        if !records.all(|(record, image)| suits(record, Text::of(image), target)) {
            return Err(Error::at(ErrorKind::WrongType, target));
        }
    }
    Ok(())
}

/// Whether the calls of a record may reach this function.
#[inline]
pub(crate) fn suits(record: &Record, text: Text, target: usize) -> bool {
    if record.is_branch() {
        return true;
    }
    let Some(check) = image::type_check(record, text) else { return true };
    hash(target, check.distance as usize, text).is_some_and(|found| check.accepts(found))
}

/// What stands so many bytes before a function, if that may be read.
#[cold]
fn hash(target: usize, distance: usize, text: Text) -> Option<u32> {
    const SIZE: usize = size_of::<u32>();
    let start = target.checked_sub(distance)?;
    let last = start.checked_add(SIZE - 1)?;
    let page = os::page_size();
    let is_readable = |address: usize| {
        text.contains(address)
            || os::rights(address / page * page, page).is_some_and(|(rights, _)| rights != Rights::NotMapped)
    };
    if !is_readable(start) || (start / page != last / page && !is_readable(last)) {
        return None;
    }
    // SAFETY: see the module's head. Bytes have no alignment, and code is no Rust object.
    let bytes = unsafe { core::ptr::with_exposed_provenance::<[u8; SIZE]>(start).read_volatile() };
    Some(u32::from_ne_bytes(bytes))
}
