//! The entries of the SIGTRAP handler: where they are, what each has replaced, and those of other copies of
//! this runtime, which recognize each other's.
//!
//! Copies of any version read this layout.

use core::sync::atomic::AtomicPtr;

use crate::os::{self, Action};

/// How many entries the handler has. Each one replaces one action only, so code that restores an entry, or
/// calls it, reaches what that entry replaced. When all are taken, the one that no update has seen for the
/// longest time replaces another action.
pub(super) const ENTRIES: usize = 64;

// The layout of the head of the entries, which other copies of this runtime read: a change needs another
// mark.
const MARK: [u8; 16] = *b"static-call int\x01";
const RESTORER: usize = 25;
pub(super) const FIRST: usize = 48;
const STRIDE: usize = 16;
/// What an entry starts with: `endbr64` or `endbr32`, and a call's first byte. Its number follows the call.
const ENTRY: [u8; 5] =
    if cfg!(target_arch = "x86") { *b"\xf3\x0f\x1e\xfb\xe8" } else { *b"\xf3\x0f\x1e\xfa\xe8" };
const INDEX: usize = 9;

/// What an entry has replaced, or null.
pub(super) type Slot = AtomicPtr<Replaced>;

/// Where a copy's entries are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    start: usize,
}

impl Entries {
    pub(super) fn at(start: usize) -> Self {
        Self { start }
    }

    /// The address of an entry.
    pub(super) fn entry(self, index: usize) -> usize {
        self.start + FIRST + index * STRIDE
    }

    /// What returns from the handler.
    pub(super) fn restorer(self) -> usize {
        self.start + RESTORER
    }

    /// Which of these entries this is.
    pub(super) fn index(self, handler: usize) -> Option<usize> {
        let offset = handler.checked_sub(self.entry(0))?;
        let index = offset / STRIDE;
        (offset.is_multiple_of(STRIDE) && index < ENTRIES).then_some(index)
    }

    /// Which of these entries has made this call.
    pub(super) fn index_of_caller(self, return_address: usize) -> usize {
        (return_address - self.entry(0)) / STRIDE
    }

    /// The next handler for a signal that this handler does not know, if this is an entry of another copy of
    /// the runtime.
    pub(super) fn replaced_by_other(self, handler: usize) -> Option<Action> {
        let mut replaced = self.slot_of_other(handler)?;
        let mut walk = Walk::default();
        while !replaced.instead.is_null() && !self.is_entry(replaced.action.handler) {
            if walk.is_circle(replaced.instead.addr()) {
                return None;
            }
            replaced = os::read(replaced.instead.addr())?;
        }
        Some(replaced.action)
    }

    /// Whether this is an entry of ours, or one of another copy that has replaced something. Entries of
    /// copies that were unloaded do not count.
    pub(super) fn is_entry(self, handler: usize) -> bool {
        self.index(handler).is_some() || self.slot_of_other(handler).is_some()
    }

    /// What this handler has replaced, if it is an entry of another copy of this runtime. Everything is
    /// checked: it may be any function, and its code may be gone.
    fn slot_of_other(self, handler: usize) -> Option<Replaced> {
        if self.index(handler).is_some() {
            return None;
        }
        let code: [u8; STRIDE] = os::read(handler)?;
        if code[..ENTRY.len()] != ENTRY {
            return None;
        }
        let index = usize::from(code[INDEX]);
        let start = handler.checked_sub(FIRST + index * STRIDE)?;
        if os::read::<[u8; 16]>(start)? != MARK {
            return None;
        }
        let slots = start + MARK.len();
        let slots = slots.wrapping_add_signed(os::read(slots)?);
        os::read(os::read::<usize>(slots.wrapping_add(index * size_of::<Slot>()))?)
    }
}

/// A walk of any length along what others have written. It detects circles with Brent's algorithm: it
/// remembers one place that it has seen, and a later one each time it has gone twice as far.
#[derive(Debug, Default)]
pub(super) struct Walk {
    kept: usize,
    steps: usize,
}

impl Walk {
    /// Whether this place was seen, sooner or later. None of them is 0.
    pub(super) fn is_circle(&mut self, place: usize) -> bool {
        let is_circle = place == self.kept;
        self.steps += 1;
        if self.steps.is_power_of_two() {
            self.kept = place;
        }
        is_circle
    }
}

/// An action that was replaced. Other copies of this runtime read it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) action: Action,
    /// What the action's handler had replaced, if it is another copy's: for when that one is unloaded.
    pub(super) instead: *const Self,
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    /// Copies of other versions read this layout: a change of it is a change of the mark.
    #[test]
    fn the_layout_that_other_copies_read_stays_as_it_is() {
        assert_eq!(&MARK, b"static-call int\x01");
        assert_eq!((RESTORER, FIRST, STRIDE, INDEX, ENTRIES), (25, 48, 16, 9, 64));
        let ours = Entries::at(0x1000);
        assert_eq!((ours.restorer(), ours.entry(0), ours.entry(2)), (0x1019, 0x1030, 0x1050));
        assert_eq!(
            ENTRY[..4],
            if cfg!(target_arch = "x86") { [0xf3, 15, 30, 0xfb] } else { [0xf3, 15, 30, 0xfa] }
        );
        assert_eq!(ENTRY[4], 0xe8);
        let replaced = [
            offset_of!(Replaced, action.handler),
            offset_of!(Replaced, action.flags),
            offset_of!(Replaced, action.restorer),
            offset_of!(Replaced, action.mask),
            offset_of!(Replaced, instead),
            size_of::<Replaced>(),
        ];
        let expected =
            if cfg!(target_pointer_width = "32") { [0, 4, 8, 12, 20, 24] } else { [0, 8, 16, 24, 32, 40] };
        assert_eq!(replaced, expected);
        assert_eq!(size_of::<Slot>(), size_of::<usize>());
    }
}
