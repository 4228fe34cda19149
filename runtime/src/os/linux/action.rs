//! A signal's action, as the kernel has it.
//!
//! The C library's `sigaction` has a structure of its own, and puts in what returns from a handler (the
//! *restorer*). So an action that came from another copy of the C library would come back with another
//! restorer, or with none.

use core::ffi::{c_int, c_ulong};
use core::mem::MaybeUninit;

use super::signals::{MASK_SIZE, Mask};
use super::system_call::system_call;
use crate::os::reply::Refused;

/// `struct sigaction` of the kernel (asm/signal.h), which is not the C library's.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) handler: usize,
    pub(crate) flags: c_ulong,
    pub(crate) restorer: usize,
    pub(crate) mask: Mask,
}

const SA_RESTORER: c_ulong = 0x0400_0000;

impl Action {
    /// The default action.
    pub(crate) const DEFAULT: Self = Self { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: Mask::NONE };

    /// The action of our handler: this is one of its entries.
    ///
    /// On the alternate stack, if the thread has one. Nothing may interrupt the handler there: another one
    /// that is not for the alternate stack would go on on this one, which may be small. But SIGTRAP itself is
    /// not blocked, so that no update takes this thread for one that cannot take a breakpoint.
    pub(crate) fn ours(entry: usize, restorer: Option<usize>) -> Self {
        let flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART | libc::SA_NODEFER;
        let (flag, restorer) = restorer.map_or((0, 0), |restorer| (SA_RESTORER, restorer));
        Self { handler: entry, flags: flags as c_ulong | flag, restorer, mask: Mask::all_but(libc::SIGTRAP) }
    }

    /// The present action of a signal.
    pub(crate) fn of(signal: c_int) -> Result<Self, Refused> {
        let mut present = MaybeUninit::<Self>::uninit();
        let arguments = [signal as usize, 0, present.as_mut_ptr().expose_provenance(), MASK_SIZE];
        // SAFETY: rt_sigaction(2) writes the present action.
        unsafe { system_call(libc::SYS_rt_sigaction, arguments) }?;
        // SAFETY: written.
        Ok(unsafe { present.assume_init() })
    }

    /// Makes this the action of a signal, and returns the previous one.
    ///
    /// # Safety
    ///
    /// Its handler fits the action's flags.
    pub(crate) unsafe fn replace(&self, signal: c_int) -> Result<Self, Refused> {
        let mut before = MaybeUninit::<Self>::uninit();
        let this = core::ptr::from_ref(self).expose_provenance();
        let arguments = [signal as usize, this, before.as_mut_ptr().expose_provenance(), MASK_SIZE];
        // SAFETY: rt_sigaction(2) reads one action and writes the other; the rest is the caller's promise.
        unsafe { system_call(libc::SYS_rt_sigaction, arguments) }?;
        // SAFETY: written.
        Ok(unsafe { before.assume_init() })
    }
}

/// Whether an action must name the code that returns from its handler. On i686 the kernel has that code, in
/// the vDSO; and when a program puts our action back, glibc drops the restorer there, but not the flag.
pub(crate) fn needs_restorer() -> bool {
    // SAFETY: getauxval(3) takes a number.
    cfg!(target_arch = "x86_64") || unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } == 0
}

/// Reads a value at an address that may be anything. This may still fault if the page is unmapped at this
/// very moment.
pub(crate) fn read<T: Copy>(address: usize) -> Option<T> {
    const { assert!(size_of::<T>() < 4096) };
    let end = address.checked_add(size_of::<T>().max(MASK_SIZE))?;
    // SAFETY: both of its ends can be read, and there is no other page between them. It is used with types
    // for which all bit patterns are valid.
    (can_read(address) && can_read(end - MASK_SIZE))
        .then(|| unsafe { core::ptr::with_exposed_provenance::<T>(address).read_unaligned() })
}

/// Whether the eight bytes there can be read. The kernel reads the set of signals before it looks at the
/// command, which is invalid.
fn can_read(address: usize) -> bool {
    const NO_MEANING: usize = c_int::MAX as usize;
    // Null is no set.
    // SAFETY: rt_sigprocmask(2) reads and changes nothing.
    let result = unsafe { system_call(libc::SYS_rt_sigprocmask, [NO_MEANING, address, 0, MASK_SIZE]) };
    address != 0 && result == Err(Refused(libc::EINVAL))
}
