//! What `dispatch!` expands to: the variants of a function, and the choice among them.
//!
//! # Safety
//!
//! A variant is called only where the processor has its features: the macro has the compiler check that they
//! are among those that stand before it.

use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

use static_call_abi::{Form, Key};

use crate::critical;
use crate::error::ErrorKind;
use crate::features;
use crate::key::Change;
use crate::log::{self, log};
use crate::os::{self, Rights};
use crate::resolve;
use crate::update;

/// A function for processors that have some features.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its path, as the program writes it, and its address.
    named: static_call_abi::Variant,
    /// The names of the features, with commas between them.
    features: &'static str,
}

// SAFETY: the addresses of a string and a function, which any thread may have.
unsafe impl Send for Variant {}
// SAFETY: as above.
unsafe impl Sync for Variant {}

impl Variant {
    /// # Safety
    ///
    /// The function may be called as one of the dispatched type where the processor has these features.
    #[must_use]
    pub const unsafe fn new(name: &'static str, features: &'static str, function: *const ()) -> Self {
        let named = static_call_abi::Variant { name: name.as_ptr(), len: name.len(), function };
        Self { named, features }
    }

    fn name(&self) -> &'static str {
        let static_call_abi::Variant { name, len, .. } = self.named;
        // SAFETY: `new` took it from a string.
        unsafe { str::from_utf8_unchecked(core::slice::from_raw_parts(name, len)) }
    }

    /// Whether this is its path, or the end of it.
    fn is_named(&self, name: &[u8]) -> bool {
        resolve::is_meant(name, self.name().as_bytes())
    }
}

/// A function with variants, the best first. The last one runs on every processor.
#[derive(Debug)]
pub struct Dispatch {
    variants: &'static [Variant],
    /// The choice, once the function was called before its key was resolved.
    chosen: AtomicPtr<()>,
}

impl Dispatch {
    /// # Panics
    ///
    /// If there is no variant.
    #[must_use]
    pub const fn new(variants: &'static [Variant]) -> Self {
        assert!(!variants.is_empty());
        Self { variants, chosen: AtomicPtr::new(null_mut()) }
    }

    /// What a [`Resolver`](static_call_abi::Resolver) does for `key`.
    ///
    /// # Safety
    ///
    /// A name of `len` bytes, or null.
    #[must_use]
    pub unsafe fn resolve(&self, key: &Key, name: *const u8, len: usize) -> *const () {
        if name.is_null() {
            return match len.checked_sub(1) {
                Some(index) => {
                    self.variants.get(index).map_or(null(), |variant| (&raw const variant.named).cast())
                }
                None => self.choose(key, None),
            };
        }
        // SAFETY: the caller's promise.
        self.choose(key, Some(unsafe { core::slice::from_raw_parts(name, len) }))
    }

    fn choose(&self, key: &Key, name: Option<&[u8]>) -> *const () {
        let can_run = |variant: &&Variant| features::are_detected(variant.features);
        if let Some(name) = name {
            let mut named = self.variants.iter().filter(|variant| variant.is_named(name)).peekable();
            let features = named.peek().map(|variant| variant.features);
            match named.find(can_run) {
                Some(variant) => {
                    log!("STATIC_CALL_DISPATCH: {} dispatches to {}", update::name(key), variant.name());
                    return variant.named.function;
                }
                None => self.refuse(key, name, features),
            }
        }
        // The last one needs nothing.
        let [.., default] = self.variants else { unreachable!("there is a variant") };
        let best = self.variants.iter().find(can_run).unwrap_or(default);
        log!("{} dispatches to {}, one of {}", update::name(key), best.name(), Names(self.variants));
        best.named.function
    }

    #[cold]
    fn refuse(&self, key: &Key, name: &[u8], features: Option<&str>) {
        let (key, name) = (update::name(key), name.escape_ascii());
        match features {
            Some(features) => log::print(format_args!(
                "STATIC_CALL_DISPATCH: {key}={name} is ignored: the processor lacks some of {features}"
            )),
            None => log::print(format_args!(
                "STATIC_CALL_DISPATCH: {key}={name} is ignored: the variants are {}",
                Names(self.variants)
            )),
        }
    }

    /// What a call goes to whose key is not resolved: no image is known that calls it. The key is resolved
    /// then, so it costs some microseconds once.
    #[must_use]
    pub fn first(&self, key: &'static Key) -> *const () {
        let chosen = self.chosen.load(Ordering::Acquire);
        if chosen.is_null() { self.resolve_late(key) } else { chosen }
    }

    #[cold]
    #[inline(never)]
    fn resolve_late(&self, key: &'static Key) -> *const () {
        let chosen = match critical::enter() {
            Ok(lock) => self.choose(key, resolve::wanted(key, &lock)),
            // In a fault's handler, in the middle of an update.
            Err(_) => return self.choose(key, None),
        };
        self.chosen.store(chosen.cast_mut(), Ordering::Release);
        let change = Change::new(key, chosen, Form::Call);
        if change.commit().is_err_and(|error| error.kind() != ErrorKind::Reentrant)
            && let Ok(_lock) = critical::enter()
            && resolve::is_unresolved(key)
            && is_writable(key)
        {
            // Updates are refused for good. But no code depends on an unresolved key: who loads an image
            // resolves those that it calls.
            key.store(chosen, Form::Call);
        }
        chosen
    }
}

/// Whether a key's page may be written. An older copy of the runtime may have sealed it.
fn is_writable(key: &Key) -> bool {
    let (address, page) = (core::ptr::from_ref(key).addr(), os::page_size());
    !matches!(os::rights(address & !(page - 1), page), Some((Rights::Other, _)))
}

/// The names of variants, for people.
struct Names(&'static [Variant]);

impl core::fmt::Display for Names {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (index, variant) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", variant.name())?;
        }
        Ok(())
    }
}
