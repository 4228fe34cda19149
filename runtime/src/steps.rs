//! The steps of an operation, and where they are noted.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence};

use static_call_abi::{Image, Key};

use crate::change::State;
use crate::numbered::numbered;

numbered! {
    /// What the lock is held for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Operation {
        /// A query, or an update of keys.
        Update = 0,
        /// An image is registered, or its calls become direct.
        Load = 1,
        /// An image is unloaded.
        Unload = 2,
        /// Keys become read-only.
        Seal = 3,
    }
}

numbered! {
    /// How far it is: the head of `journal.rs` says what each step leaves to a child.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Step {
        Preparing = 0,
        Storing = 1,
        Writing = 2,
        Trapping = 3,
        Replacing = 4,
    }
}

/// The journal itself. It is trusted, so it lies where the seal protects it.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) operation: AtomicU32,
    pub(crate) step: AtomicU32,
    /// The image that comes or goes.
    pub(crate) image: AtomicPtr<Image>,
    /// The keys that are updated: how many, and where they stand.
    pub(crate) count: AtomicUsize,
    pub(crate) changes: AtomicPtr<Noted>,
    pub(crate) capacity: AtomicUsize,
    pub(crate) large: AtomicPtr<Noted>,
}

impl Journal {
    pub(crate) const fn new() -> Self {
        Self {
            operation: AtomicU32::new(Operation::Update.to_wire()),
            step: AtomicU32::new(Step::Preparing.to_wire()),
            image: AtomicPtr::new(null_mut()),
            count: AtomicUsize::new(0),
            changes: AtomicPtr::new(null_mut()),
            capacity: AtomicUsize::new(0),
            large: AtomicPtr::new(null_mut()),
        }
    }

    /// The operation is over.
    pub(crate) fn end(&self) {
        self.step.store(Step::Preparing.to_wire(), Ordering::Release);
        fence(Ordering::Release);
        self.count.store(0, Ordering::Relaxed);
        self.operation.store(Operation::Update.to_wire(), Ordering::Relaxed);
    }
}

/// A change of one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    pub(crate) key: *const Key,
    pub(crate) before: State,
    pub(crate) after: State,
}
