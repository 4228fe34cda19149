//! Two images with the same keys, which one test at a time has.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use core::sync::atomic::Ordering;

use static_call_abi::{Form, Image, Key};

use super::fabricated::{BRANCH_KEYS, Fabricated, KEYS};
use super::faults::{self, Faulty, Plan};
use crate::arch::Action;
use crate::change::{Change, State};
use crate::critical;
use crate::error::Error;
use crate::image;
use crate::load;
use crate::mode::{self, Mode};
use crate::operations;
use crate::sealed::SEALED;
use crate::update;
use crate::variable::ENABLE;

/// The runtime has one list of images and one writer.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(super) struct World {
    pub(super) first: Fabricated,
    pub(super) second: Fabricated,
    _alone: MutexGuard<'static, ()>,
}

/// All that a failed operation leaves as it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) code: [Vec<u8>; 2],
    keys: Vec<State>,
    marks: [bool; 2],
}

impl World {
    /// The images are in memory, and not registered.
    pub(super) fn unregistered() -> Self {
        Self::of(Fabricated::new)
    }

    /// The same without the pass, and without recorded calls.
    pub(super) fn without_sites() -> Self {
        Self::of(Fabricated::without_sites)
    }

    /// The same without the pass, where an assembler has recorded the calls.
    pub(super) fn without_pass() -> Self {
        Self::of(Fabricated::without_pass)
    }

    /// Images with branches, registered.
    pub(super) fn with_branches() -> Self {
        let world = Self::of(Fabricated::with_branches);
        world.register_all();
        world
    }

    /// The same, and not registered.
    pub(super) fn with_unregistered_branches(make: impl Fn(Option<&Fabricated>) -> Fabricated) -> Self {
        Self::of(make)
    }

    fn register_all(&self) {
        mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
        for image in self.images() {
            register(image);
            assert_eq!(image.descriptor().state.get(), image::ImageState::Patched.to_wire());
        }
        faults::follow(Plan::default());
    }

    fn of(make: impl Fn(Option<&Fabricated>) -> Fabricated) -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        faults::follow(Plan::default());
        operations::set_writer(&Faulty).expect("no update is under way");
        let first = make(None);
        let second = make(Some(&first));
        Self { first, second, _alone: alone }
    }

    /// Both are registered, and their calls are direct.
    pub(super) fn new() -> Self {
        Self::in_mode(Mode::Inline)
    }

    pub(super) fn in_mode(mode: Mode) -> Self {
        let world = Self::unregistered();
        mode::set(mode, &critical::enter().expect("no update is under way"));
        for image in world.images() {
            register(image);
            assert_eq!(image.descriptor().state.get(), image::ImageState::Patched.to_wire());
        }
        faults::follow(Plan::default());
        world
    }

    pub(super) fn images(&self) -> [&Fabricated; 2] {
        [&self.first, &self.second]
    }

    pub(super) fn key(&self, index: usize) -> &'static Key {
        self.first.key(index)
    }

    /// The change that has a key call this function.
    pub(super) fn call(&self, key: usize, target: usize) -> Change<'static> {
        Change::new(self.key(key), self.first.target(target), Form::Call)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            code: self.images().map(Fabricated::code),
            keys: (0..KEYS + BRANCH_KEYS).map(|index| State::of(self.key(index))).collect(),
            marks: self.images().map(Fabricated::has_marks),
        }
    }

    /// Each site of each key does what the key says, and each other one goes through its trampoline.
    pub(super) fn assert_direct(&self) {
        for image in self.images() {
            for index in 0..KEYS {
                let State { target, form } = State::of(self.key(index));
                for pc in image.sites(index) {
                    let action = image.action(pc);
                    match form {
                        Form::Nop => assert_eq!(action, Action::Nop),
                        // There is no jump that returns zero: it goes to the function that does.
                        Form::Zero if action == Action::Zero => {}
                        _ => assert_eq!(action, Action::Branch(target.addr()), "{pc:#x} of key {index}"),
                    }
                }
            }
            assert_trampoline(image, 0, image.site_across_words());
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        faults::follow(Plan::default());
        SEALED.0.is_sealed.store(0, Ordering::Relaxed);
        for image in self.images() {
            unregister(image);
        }
        let lock = critical::enter().expect("no update is under way");
        image::for_each_known(&lock, |image| panic!("still known: {image:?}"));
        ENABLE.set_for_test(b"", &lock);
        mode::choose_again(&lock);
    }
}

pub(super) fn register(image: &Fabricated) {
    let lock = critical::enter().expect("no update is under way");
    // SAFETY: a descriptor as the pass makes it.
    unsafe { load::register(image.image(), image.header(), &lock) };
}

pub(super) fn unregister(image: &Fabricated) {
    let lock = critical::enter().expect("no update is under way");
    let image: *mut Image = image.image();
    // SAFETY: as above.
    if unsafe { (*image).state.get() } != 0 || unsafe { (*image).reason.get() } != 0 {
        // SAFETY: as above.
        unsafe { load::unregister(image, &lock) };
    }
}

pub(super) fn update(changes: &mut [Change<'_>]) -> Result<(), Error> {
    update::update(changes, &*critical::enter()?)
}

/// The site goes through its key's trampoline.
pub(super) fn assert_trampoline(image: &Fabricated, key: usize, pc: usize) {
    assert_eq!(image.action(pc), Action::Branch(image.trampoline(key)), "{pc:#x} of key {key}");
}
