//! Other copies of this runtime in the process, which may have images of their own.
//!
//! Usually all images of a process register with one copy (`primary.rs`). A copy that does not see the
//! others' symbols registers its images itself. The seal is for the whole process, so it finds each copy by a
//! note in its image, which the program headers name.
//!
//! # Safety
//!
//! A note of this name and version lies beside a function as in `seal.rs`, in the same image: read-only, and
//! mapped while the dynamic linker's list of images is walked.

use core::mem::MaybeUninit;

use crate::error::{Error, ErrorKind};
use crate::format::Note;
use crate::numbered::numbered;
use crate::os;
use crate::wire::CError;

numbered! {
    /// What one copy asks another one.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Request {
        /// Whether it is sealed.
        IsSealed = 0,
        /// To refuse updates, and to protect its images.
        Protect = 1,
        /// Whether all keys that its images call are protected.
        Check = 2,
    }
}

/// What a copy answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Yes, or done.
    Yes,
    /// No, or nothing to do.
    No,
}

/// Changes with the meaning of the numbers of [`Request`] and [`Reply`].
#[cfg(all(feature = "os", any(target_os = "linux", windows), not(all(loom, test))))]
pub(crate) const VERSION: u32 = 1;

numbered! {
    /// The number that a copy returns.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Reply {
        Yes = 0,
        No = 1,
        /// And the error is written.
        Failed = 2,
    }
}

pub(crate) type Function = unsafe extern "C" fn(request: u32, error: *mut CError) -> u32;

/// Asks all other copies, and passes each answer to `hear`.
pub(crate) fn ask_others(request: Request, own: Function, mut hear: impl FnMut(Result<Answer, Error>)) {
    os::for_each_note(|note| {
        let Some(function) = function_of(note).filter(|&function| function != own as *const () as usize)
        else {
            return;
        };
        // SAFETY: see the module's head.
        let function: Function = unsafe { core::mem::transmute(function) };
        let mut error = MaybeUninit::uninit();
        // SAFETY: the error may be written.
        hear(match Reply::from_wire(unsafe { function(request.to_wire(), error.as_mut_ptr()) }) {
            Some(Reply::Yes) => Ok(Answer::Yes),
            Some(Reply::No) => Ok(Answer::No),
            // SAFETY: it was written.
            Some(Reply::Failed) => Err(unsafe { error.assume_init() }.into()),
            None => Err(Error::new(ErrorKind::Unknown)),
        });
    });
}

/// The function that a copy's note names.
#[cfg(all(feature = "os", any(target_os = "linux", windows), not(all(loom, test))))]
fn function_of(note: &Note<'_>) -> Option<usize> {
    let offset = i32::from_ne_bytes(note.content.try_into().ok()?);
    let named = note.content.as_ptr().wrapping_offset(offset as isize).cast::<usize>();
    // SAFETY: a note of this name and version names a pointer in its image, which is loaded.
    (note.name == b"static-call\0" && note.kind == VERSION).then(|| unsafe { named.read_unaligned() })
}

#[cfg(not(all(feature = "os", any(target_os = "linux", windows), not(all(loom, test)))))]
fn function_of(_note: &Note<'_>) -> Option<usize> {
    None
}

/// Combines two answers: the first error, or else a yes if either is.
pub(crate) fn and(one: Result<Answer, Error>, other: Result<Answer, Error>) -> Result<Answer, Error> {
    let (one, other) = (one?, other?);
    Ok(if one == Answer::Yes { one } else { other })
}
