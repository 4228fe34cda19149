//! Memory for as many things as an operation needs, where there is no allocator.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::error::{Error, ErrorKind};
use crate::lock::Guard;
use crate::os::{self, Refused};

/// Memory that belongs to the holder of the lock.
pub(crate) struct Room<T> {
    memory: AtomicPtr<T>,
    capacity: AtomicUsize,
}

impl<T> Room<T> {
    pub(crate) const fn new() -> Self {
        Self { memory: AtomicPtr::new(null_mut()), capacity: AtomicUsize::new(0) }
    }

    /// Room for this many. Memory that has become too small is not given back; each new piece
    /// is at least twice as large.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotWritable`] if there is no memory.
    pub(crate) fn of(&self, count: usize, _lock: &Guard) -> Result<*mut T, Error> {
        if self.capacity.load(Ordering::Relaxed) < count {
            let capacity = count.next_power_of_two();
            let memory = os::map_memory(capacity * size_of::<T>())
                .map_err(|Refused(os)| Error::with_os(ErrorKind::NotWritable, 0, os))?;
            self.memory.store(memory.cast(), Ordering::Relaxed);
            self.capacity.store(capacity, Ordering::Relaxed);
        }
        Ok(self.memory.load(Ordering::Relaxed))
    }
}
