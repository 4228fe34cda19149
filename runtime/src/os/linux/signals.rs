//! The signals that a thread blocks, as the kernel has them.
//!
//! The C library's functions leave out two signals that it uses itself to run a handler on another thread.

use core::ffi::c_int;

use super::system_call::system_call;

/// The kernel's set of signals. A C library's is longer, and starts with it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mask([u32; WORDS]);

pub(crate) const MASK_SIZE: usize = size_of::<Mask>();
/// MIPS has 128 signals, the others have 64.
const WORDS: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 4 } else { 2 };
/// The kernel's words are `unsigned long`.
const IS_SWAPPED: bool = cfg!(all(target_endian = "big", target_pointer_width = "64"));

impl Mask {
    pub(crate) const NONE: Self = Self([0; WORDS]);

    /// All signals but this one.
    pub(crate) fn all_but(signal: c_int) -> Self {
        let mut mask = Self([u32::MAX; WORDS]);
        mask.remove(signal);
        mask
    }

    #[allow(dead_code, reason = "for breakpoints")]
    pub(crate) fn only(signal: c_int) -> Self {
        let all_but = Self::all_but(signal);
        Self(all_but.0.map(|word| !word))
    }

    fn remove(&mut self, signal: c_int) {
        let bit = signal as usize - 1;
        self.0[(bit / 32) ^ usize::from(IS_SWAPPED)] &= !(1 << (bit % 32));
    }

    /// As in `/proc`, where SIGKILL and SIGSTOP are never blocked.
    #[allow(dead_code, reason = "for breakpoints")]
    pub(crate) fn shown(mut self) -> u64 {
        self.remove(libc::SIGKILL);
        self.remove(libc::SIGSTOP);
        u64::from(self.0[1]) << 32 | u64::from(self.0[0])
    }

    /// Changes this thread's mask, and returns the previous one unless the change is refused. `how` is
    /// `SIG_BLOCK` or the like.
    pub(crate) fn apply(&self, how: c_int) -> Option<Self> {
        let mut before = Self::NONE;
        let [set, old] =
            [core::ptr::from_ref(self).expose_provenance(), (&raw mut before).expose_provenance()];
        // SAFETY: rt_sigprocmask(2) reads the set, and writes what was blocked before.
        let result = unsafe { system_call(libc::SYS_rt_sigprocmask, [how as usize, set, old, MASK_SIZE]) };
        result.is_ok().then_some(before)
    }
}

/// While this lives, no signal handler interrupts this thread, except those of faults.
#[derive(Debug)]
pub(crate) struct NoSignals(Option<Mask>);

impl NoSignals {
    pub(crate) fn new() -> Self {
        let mut all = Mask::all_but(libc::SIGTRAP);
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGSYS] {
            all.remove(fault);
        }
        Self(all.apply(libc::SIG_BLOCK))
    }

    /// Lets signals in while `wait` runs.
    pub(crate) fn pause(&self, wait: impl FnOnce()) {
        let Some(before) = self.0 else { return wait() };
        let held_off = before.apply(libc::SIG_SETMASK);
        wait();
        if let Some(held_off) = held_off {
            held_off.apply(libc::SIG_SETMASK);
        }
    }
}

impl Drop for NoSignals {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            before.apply(libc::SIG_SETMASK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C library's own view of this thread's mask, of one signal after the other.
    #[test]
    fn everything_but_faults_is_blocked_and_comes_back() {
        let blocked = || {
            let mut set = core::mem::MaybeUninit::<libc::sigset_t>::zeroed();
            // SAFETY: pthread_sigmask(3) writes the set; zeros are one as well.
            let set = unsafe {
                assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, core::ptr::null(), set.as_mut_ptr()), 0);
                set.assume_init()
            };
            // SAFETY: reads the set.
            move |signal| unsafe { libc::sigismember(&raw const set, signal) == 1 }
        };
        let before = blocked();
        let no_signals = NoSignals::new();
        let now = blocked();
        drop(no_signals);
        let after = blocked();
        let faults = [
            libc::SIGTRAP,
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGSYS,
            libc::SIGKILL,
            libc::SIGSTOP,
        ];
        for signal in (1..=31).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
            assert_eq!(now(signal), before(signal) || !faults.contains(&signal), "signal {signal}");
            assert_eq!(after(signal), before(signal), "signal {signal}");
        }
    }
}
