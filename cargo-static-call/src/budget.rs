//! Limits on the steps, the memory and the time of one run.
//!
//! Files are untrusted, and a few bytes of one can demand endless work: names that double, tables that a
//! thousand units share. So all work is paid from one budget, which only grows with the sizes of the files.
//! When it is used up, the run finishes with what it has, and the report says that it is incomplete.

use std::cell::Cell;
use std::time::Duration;

use crate::progress::Progress;

/// The remaining budget of a run.
#[derive(Debug)]
pub struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
    deadline: Duration,
    /// The steps until the next look at the clock.
    until_clock: Cell<u64>,
    ended: Cell<Option<&'static str>>,
    /// Shows how far the run is.
    pub progress: Progress,
}

/// The steps for any run, and the additional steps for each byte of a file. A step takes some nanoseconds: an
/// attribute of debug information, an instruction, a row of a line table.
const STEPS: u64 = 200_000_000;
const STEPS_FOR_A_BYTE: u64 = 8;
/// The memory for data that is kept. Mapped files do not count; decompressed debug information does.
const BYTES: u64 = 1 << 30;
/// Processor time, which does not depend on what else the machine does.
const TIME: Duration = Duration::from_secs(60);
/// The steps between two looks at the clock: about a millisecond.
const CLOCK: u64 = 100_000;

impl Default for Budget {
    /// The budget of one run before it opens a file.
    fn default() -> Self {
        Self::new(STEPS, BYTES, TIME)
    }
}

impl Budget {
    /// A budget of these amounts.
    #[must_use]
    pub fn new(steps: u64, bytes: u64, time: Duration) -> Self {
        Self {
            steps: Cell::new(steps),
            bytes: Cell::new(bytes),
            deadline: processor_time().saturating_add(time),
            until_clock: Cell::new(CLOCK),
            ended: Cell::new(None),
            progress: Progress::default(),
        }
    }

    /// The same budget, with this to show how far the run is.
    #[must_use]
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Adds the steps for a file of this size. Call it once per file, even if the file has several names.
    pub fn add_file(&self, size: usize) {
        let more = (size as u64).saturating_mul(STEPS_FOR_A_BYTE);
        self.steps.set(self.steps.get().saturating_add(more));
    }

    /// Pays for steps. If this returns false, the budget is used up, and the caller must not do the work.
    pub fn steps(&self, count: usize) -> bool {
        let count = count as u64;
        if self.ended.get().is_some() {
            return false;
        }
        match self.steps.get().checked_sub(count) {
            Some(left) => self.steps.set(left),
            None => self.ended.set(Some("it takes more steps than the limit for one run")),
        }
        match self.until_clock.get().checked_sub(count) {
            Some(left) => self.until_clock.set(left),
            None => {
                self.until_clock.set(CLOCK);
                if processor_time() > self.deadline {
                    self.ended.set(Some("it takes longer than the limit for one run"));
                }
            }
        }
        self.ended.get().is_none()
    }

    /// Pays for bytes of memory. If this returns false, the budget is used up, and the caller must not keep
    /// them.
    pub fn bytes(&self, count: usize) -> bool {
        if self.ended.get().is_some() {
            return false;
        }
        match self.bytes.get().checked_sub(count as u64) {
            Some(left) => self.bytes.set(left),
            None => self.ended.set(Some("it takes more memory than the limit for one run")),
        }
        self.ended.get().is_none()
    }

    /// Whether this many bytes could be paid for. For memory that is soon freed.
    pub fn has_room(&self, count: usize) -> bool {
        let has_room = self.bytes(count);
        if has_room {
            self.give_back(count);
        }
        has_room
    }

    /// Returns bytes that were paid for and are now freed.
    pub fn give_back(&self, count: usize) {
        self.bytes.set(self.bytes.get().saturating_add(count as u64));
    }

    /// Pays for an element of a growing list and for its texts, like [`bytes`](Self::bytes).
    pub fn item<T>(&self, texts: &[&str]) -> bool {
        self.bytes(2 * size_of::<T>() + texts.iter().map(|text| text.len()).sum::<usize>())
    }

    /// Why the budget is used up, if it is.
    #[must_use]
    pub fn ended(&self) -> Option<&'static str> {
        self.ended.get()
    }
}

/// The processor time that this process has used.
#[allow(unsafe_code)]
fn processor_time() -> Duration {
    // SAFETY: zeros are a valid timespec.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes only into `time`. It cannot fail: Linux has this clock since 2.6.12.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_three_ends_it() {
        let long = Duration::from_secs(1000);
        let budget = Budget::new(10, 10, long);
        assert!(budget.steps(10) && budget.bytes(10) && budget.ended().is_none());
        assert!(!budget.steps(1) && !budget.bytes(0) && !budget.steps(0));
        assert!(budget.ended().is_some_and(|why| why.contains("steps")));
        let budget = Budget::new(u64::MAX, 10, long);
        assert!(!budget.bytes(11) && !budget.steps(1));
        assert!(budget.ended().is_some_and(|why| why.contains("memory")));
        let budget = Budget::new(u64::MAX, 10, Duration::ZERO);
        while budget.steps(1000) {}
        assert!(budget.ended().is_some_and(|why| why.contains("longer")));
    }
    #[test]
    fn only_freed_memory_comes_back() {
        let budget = Budget::new(10, 100, Duration::from_secs(1000));
        assert!(budget.has_room(100) && budget.has_room(100), "asking is free");
        assert!(budget.bytes(60));
        budget.give_back(50);
        assert!(budget.bytes(90) && budget.ended().is_none());
        assert!(!budget.has_room(1) && budget.ended().is_some(), "work that does not fit ends the run");
        budget.give_back(1000);
        assert!(!budget.bytes(0), "a run that has ended stays ended");
    }

    #[test]
    fn files_add_steps_for_their_size() {
        let budget = Budget::new(0, 0, Duration::from_secs(1000));
        budget.add_file(3);
        assert!(budget.steps(24) && !budget.steps(1));
        let budget = Budget::new(u64::MAX, 0, Duration::from_secs(1000));
        budget.add_file(usize::MAX);
        assert!(budget.steps(usize::MAX));
    }

    #[test]
    fn an_element_costs_its_size_twice_and_its_texts() {
        let budget = Budget::new(0, 2 * 8 + 3 + 2, Duration::from_secs(1000));
        assert!(budget.item::<u64>(&["abc", "de"]));
        assert!(!budget.item::<u8>(&[]));
    }
}
