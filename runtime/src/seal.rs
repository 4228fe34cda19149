//! Sealing: no more updates, and nothing writable decides where a call goes, in all copies of the runtime.
//!
//! # Safety
//!
//! The note names a function as other copies call it.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::copies::{self, Answer, Reply, Request, and};
use crate::critical;
use crate::error::{Error, ErrorKind};
use crate::journal::{self, Operation};
use crate::os::Refused;
use crate::protect;
use crate::resolve;
use crate::sealed::{self, SEALED};
use crate::wire::CError;
use crate::writer::alias;

/// Refuses updates from now on, and protects what decides where calls go, in all copies of the runtime. A
/// second call checks again, and covers what was loaded since.
pub(crate) fn seal() -> Result<(), Error> {
    let mut protected = protect_own();
    if protected.is_err_and(|error| error.kind() == ErrorKind::Reentrant) {
        return protected.map(drop);
    }
    ask_others(Request::Protect, |other| protected = and(protected, other));
    if protected? == Answer::No {
        // There may be keys, but no image has registered them.
        return Err(Error::new(ErrorKind::NotProtected));
    }
    // A key may lie in another copy's image.
    let mut checked = check_own();
    ask_others(Request::Check, |other| checked = and(checked, other));
    checked.map(drop)
}

/// Seals a copy that came after the seal, before its first registration or update. This does not hold the
/// lock, because it takes the dynamic linker's.
pub(crate) fn inherit() {
    static HAS_ASKED: AtomicBool = AtomicBool::new(false);
    if HAS_ASKED.load(Ordering::Relaxed) || HAS_ASKED.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut is_sealed = false;
    ask_others(Request::IsSealed, |other| is_sealed |= other == Ok(Answer::Yes));
    if is_sealed && !sealed::is_sealed() {
        let _ = protect::log(protect_own());
    }
}

/// Protects the images of this copy. The answer is no if it has none.
pub(crate) fn protect_own() -> Result<Answer, Error> {
    let lock = critical::enter()?;
    resolve::resolve_all(&lock);
    journal::begin(Operation::Seal, null_mut(), &lock);
    sealed::seal(&lock);
    alias::forget(0..usize::MAX, &lock);
    let result = protect::protect_all(&lock);
    let not_protected = |Refused(os)| Error::with_os(ErrorKind::NotProtected, (&raw const SEALED).addr(), os);
    sealed::close(&lock).map_err(not_protected).and(result)
}

/// Checks that all keys which this copy knows are protected.
fn check_own() -> Result<Answer, Error> {
    protect::check_all(&*critical::enter()?)
}

/// Asks all copies but this one.
fn ask_others(request: Request, hear: impl FnMut(Result<Answer, Error>)) {
    copies::ask_others(request, answer, hear);
}

/// What other copies call.
///
/// # Safety
///
/// `error` may be written.
pub(crate) unsafe extern "C" fn answer(request: u32, error: *mut CError) -> u32 {
    let answer = match Request::from_wire(request) {
        Some(Request::IsSealed) => Ok(if sealed::is_sealed() { Answer::Yes } else { Answer::No }),
        Some(Request::Protect) => protect_own(),
        Some(Request::Check) => check_own(),
        None => Err(Error::new(ErrorKind::NotProtected)),
    };
    match answer {
        Ok(Answer::Yes) => Reply::Yes.to_wire(),
        Ok(Answer::No) => Reply::No.to_wire(),
        Err(failed) => {
            // SAFETY: the caller's promise.
            unsafe { error.write(failed.into()) };
            Reply::Failed.to_wire()
        }
    }
}

// The note holds the distance to a word with the function's address. A distance takes no relocation, so the
// note is read-only. It does not lead to the function directly, because tools that move code (llvm-bolt)
// adjust pointers but not distances. The word has a local name, because a Rust `dylib` exports all others.
#[cfg(all(feature = "os", target_os = "linux", not(all(loom, test))))]
core::arch::global_asm!(
    ".pushsection .data.rel.ro.static_call_copy, \"aw\", %progbits",
    ".balign {pointer}",
    ".Lstatic_call_copy:",
    ".{pointer}byte {answer}",
    ".popsection",
    ".pushsection .note.static_call, \"a\", %note",
    ".balign 4",
    ".long 12, 4, {version}",
    ".ascii \"static-call\\000\"",
    ".long .Lstatic_call_copy - .",
    ".popsection",
    pointer = const size_of::<usize>(),
    version = const copies::VERSION,
    answer = sym answer,
);

// The same for PE, whose sections have no types, and names of eight bytes.
#[cfg(all(feature = "os", windows, not(all(loom, test))))]
core::arch::global_asm!(
    ".pushsection .rdata, \"dr\"",
    ".balign {pointer}",
    ".Lstatic_call_copy:",
    ".{pointer}byte {answer}",
    ".popsection",
    ".pushsection .scnote, \"dr\"",
    ".balign 4",
    ".long 12, 4, {version}",
    ".ascii \"static-call\\000\"",
    ".long .Lstatic_call_copy - .",
    ".popsection",
    pointer = const size_of::<usize>(),
    version = const copies::VERSION,
    answer = sym answer,
);

/// Makes linkers take the object with the note out of an archive.
#[cfg(all(feature = "os", any(target_os = "linux", windows), not(all(loom, test))))]
#[used]
static HAS_NOTE: copies::Function = answer;
