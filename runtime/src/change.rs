//! The state of a key, and a change of it.

use core::mem::offset_of;

use static_call_abi::{Form, Key};

use crate::error::{Error, ErrorKind};
use crate::numbered::numbered;

/// What the calls of a key reach.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) target: *const (),
    pub(crate) form: Form,
}

// SAFETY: the address of a function and a number, which any thread may have. The key's type says what may be
// called there.
unsafe impl Send for State {}
// SAFETY: as above.
unsafe impl Sync for State {}

impl State {
    pub(crate) fn of(key: &Key) -> Self {
        let (target, form) = key.load();
        Self { target, form }
    }

    /// Whether a branch of this key goes where the key is on: it is counted, or calls a function.
    pub(crate) fn is_on(&self, key: &Key) -> bool {
        if key.is_branch() { !self.target.is_null() } else { !self.form.is_none() }
    }

    /// How often a branch's key was switched on.
    fn count(&self) -> usize {
        self.target.addr()
    }

    fn of_count(count: usize) -> Self {
        Self { target: core::ptr::without_provenance(count), form: Form::Call }
    }
}

numbered! {
    /// What a change asks of a branch's key. Which count that is, is found under the lock.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Wish {
        /// The state that the change names; also of all other keys.
        State = 0,
        /// To be on. A key that is on already keeps its count.
        On = 1,
        /// To be off. Refused while its count is more than one: others still want it on.
        Off = 2,
        /// To be counted up.
        Inc = 3,
        /// To be counted down.
        Dec = 4,
    }
}

/// A change of one key. C has the same layout: `struct static_call_change`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'key> {
    pub(crate) key: &'key Key,
    /// Both are the key's new state; its old one once the new one is published.
    target: *const (),
    form: Form,
    pub(crate) wish: Wish,
}

// SAFETY: a key, and what `State` may hold.
unsafe impl Send for Change<'_> {}
// SAFETY: as above.
unsafe impl Sync for Change<'_> {}

impl<'key> Change<'key> {
    pub(crate) const fn new(key: &'key Key, target: *const (), form: Form) -> Self {
        Self { key, target, form, wish: Wish::State }
    }

    /// A change of a branch's key.
    pub(crate) const fn branch(key: &'key Key, wish: Wish) -> Self {
        Self { key, target: core::ptr::null(), form: Form::Call, wish }
    }

    /// Where the fields behind the key lie.
    pub(crate) const OFFSETS: [usize; 3] =
        [offset_of!(Self, target), offset_of!(Self, form), offset_of!(Self, wish)];

    /// The key's new state; its old one once the new one is published.
    pub(crate) const fn state(&self) -> State {
        State { target: self.target, form: self.form }
    }

    fn set_state(&mut self, State { target, form }: State) {
        (self.target, self.form) = (target, form);
    }

    /// Finds the state that is wished for, if the key is a branch's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Count`] if there is none.
    pub(crate) fn resolve(&mut self) -> Result<(), Error> {
        let now = State::of(self.key);
        let most = isize::MAX.unsigned_abs();
        let count = match (self.wish, now.count()) {
            (Wish::State, _) => return Ok(()),
            (Wish::On, count) => Some(count.max(1)),
            (Wish::Off, count) => (count <= 1).then_some(0),
            (Wish::Inc, count) => count.checked_add(1).filter(|&count| count <= most),
            (Wish::Dec, count) => count.checked_sub(1),
        };
        self.set_state(State::of_count(count.ok_or(Error::new(ErrorKind::Count))?));
        Ok(())
    }

    /// Whether instructions may have to change: not if a branch is only counted.
    pub(crate) fn moves(&self) -> bool {
        let switches = || State::of(self.key).is_on(self.key) != self.state().is_on(self.key);
        !self.key.is_pointer() && (!self.key.is_branch() || switches())
    }

    /// The change that switches a key off.
    pub(crate) fn off(key: &'key Key) -> Self {
        Self::new(key, key.off.cast(), key.off_form().unwrap_or(Form::Call))
    }

    /// The key's present state, and the new one.
    pub(crate) fn both(&self) -> (State, State) {
        (State::of(self.key), self.state())
    }

    /// Stores the new state into the key, and the old one here.
    pub(crate) fn store(&mut self) {
        let before = State::of(self.key);
        self.key.store(self.target, self.form);
        self.set_state(before);
    }
}
