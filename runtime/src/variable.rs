//! Variables that images look at when they are loaded.
//!
//! Each is copied when it is first asked for, which is when the first image is loaded, if not earlier. Later
//! its memory may be another thread's that calls setenv(3), or hold the title of the process.
//!
//! # Safety
//!
//! As for `image.rs`: only the holder of the lock writes the text, once, and reads it.

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};

use static_call_abi::installation;

use crate::lock::Guard;
use crate::log;
use crate::os;

/// `STATIC_CALL_ENABLE=pattern,…`.
pub(crate) static ENABLE: Variable = Variable::new(installation::ENABLE);
/// `STATIC_CALL_DISPATCH=name=variant,…`.
pub(crate) static DISPATCH: Variable = Variable::new(installation::DISPATCH);

/// Longer values are refused.
const LONGEST: usize = 4096;

pub(crate) struct Variable {
    name: &'static CStr,
    text: UnsafeCell<[u8; LONGEST]>,
    /// How many bytes there are, plus one; 0 before the variable was read.
    len: AtomicUsize,
}

// SAFETY: only the holder of the lock touches the text.
unsafe impl Sync for Variable {}

impl Variable {
    const fn new(name: &'static CStr) -> Self {
        Self { name, text: UnsafeCell::new([0; LONGEST]), len: AtomicUsize::new(0) }
    }

    /// What stands between the commas.
    pub(crate) fn entries<'lock>(&'lock self, lock: &'lock Guard) -> impl Iterator<Item = &'lock [u8]> {
        let entries = self.text(lock).split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        entries.filter(|entry| !entry.is_empty())
    }

    /// What the variable said when it was first asked for.
    #[inline(never)]
    pub(crate) fn text<'lock>(&'lock self, lock: &'lock Guard) -> &'lock [u8] {
        if self.len.load(Ordering::Relaxed) == 0 {
            self.set(os::environment(self.name).map_or(b"", |value| value.to_bytes()), lock);
        }
        let len = self.len.load(Ordering::Relaxed).saturating_sub(1);
        // SAFETY: the lock is held, and nobody writes once there is a length.
        unsafe { &(&*self.text.get())[..len] }
    }

    fn set(&self, value: &[u8], _lock: &Guard) {
        let is_fitting = value.len() <= LONGEST;
        if !is_fitting {
            log::print(format_args!(
                "{} is ignored: it has {} bytes, and may have {LONGEST}",
                self.name.to_str().unwrap_or_default(),
                value.len()
            ));
        }
        let value = if is_fitting { value } else { b"" };
        // SAFETY: the lock is held, and without a length nobody has a reference.
        unsafe { (&mut *self.text.get())[..value.len()].copy_from_slice(value) };
        // A child that inherits the length inherits the text.
        self.len.store(value.len() + 1, Ordering::Release);
    }

    /// As if the environment said so.
    #[cfg(test)]
    #[allow(dead_code, reason = "for the tests that fabricate images")]
    pub(crate) fn set_for_test(&self, value: &[u8], lock: &Guard) {
        self.set(value, lock);
    }
}
