//! The seal, and pages that cannot be protected.

use std::vec::Vec;

use core::mem::MaybeUninit;

use static_call_abi::Key;

use super::fabricated::{Fabricated, KEYS};
use super::faults::{self, PROTECT_REFUSED, Plan};
use super::world::{World, register, unregister, update};
use crate::change::{Change, State};
use crate::critical;
use crate::error::{Error, ErrorKind};
use crate::load;
use crate::operations;
use crate::page::PAGE;
use crate::protect;
use crate::seal;
use crate::wire::CError;

/// How many ranges are protected: the tables of two images, and the runtime's own words.
const RANGES: usize = 3;

#[test]
fn a_sealed_process_refuses_updates() {
    let world = World::new();
    let before = world.snapshot();
    seal::seal().expect("nothing is in the way");
    let protected = faults::record().protected;
    assert_eq!(protected.len(), RANGES);
    for image in world.images() {
        let keys = image.descriptor().keys.addr();
        assert!(protected.iter().any(|range| range.start == keys && range.len().is_multiple_of(PAGE)));
    }
    assert_eq!(update(&mut [world.call(0, 1)]).expect_err("sealed").kind(), ErrorKind::Sealed);
    let error = operations::set_writer(&faults::Faulty).expect_err("sealed");
    assert_eq!(error.kind(), ErrorKind::Sealed);
    assert_eq!(world.snapshot(), before);
}

#[test]
fn what_cannot_be_protected_is_said_and_the_rest_is_protected() {
    for refused in 0..RANGES {
        let world = World::new();
        faults::follow(Plan { protect: Some(refused), ..Plan::default() });
        let error = seal::seal().expect_err("refused");
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotProtected, Some(PROTECT_REFUSED)));
        assert_eq!(faults::record().protected.len(), RANGES - 1);
        assert_eq!(update(&mut [world.call(0, 1)]).expect_err("sealed").kind(), ErrorKind::Sealed);
    }
}

#[test]
fn an_image_that_comes_after_the_seal_is_direct_and_sealed() {
    let world = World::unregistered();
    register(&world.first);
    seal::seal().expect("nothing is in the way");
    faults::record();
    register(&world.second);
    let record = faults::record();
    let keys = world.second.descriptor().keys.addr();
    assert!(record.protected.iter().any(|range| range.start == keys));
    // Only its own code was opened.
    assert_eq!(record.opened.len(), 1);
    world.assert_direct();
}

fn is_protected(image: &Fabricated, protected: &[core::ops::Range<usize>]) -> bool {
    protected.iter().any(|range| range.start == image.descriptor().keys.addr())
}

#[test]
fn an_image_that_stays_on_its_trampolines_is_sealed_as_well() {
    let world = World::unregistered();
    world.second.damage();
    world.images().into_iter().for_each(register);
    seal::seal().expect("nothing is in the way");
    let protected = faults::record().protected;
    assert!(world.images().into_iter().all(|image| is_protected(image, &protected)));
}

/// Its tables may have been overwritten since they were checked.
#[test]
fn the_code_of_an_image_that_goes_after_the_seal_is_not_written() {
    let world = World::new();
    let before = world.second.code();
    seal::seal().expect("nothing is in the way");
    faults::record();
    unregister(&world.second);
    let record = faults::record();
    assert_eq!((record.opened.len(), record.written, world.second.code()), (0, 0, before));
}

const IS_SEALED: u32 = 0;
const PROTECT: u32 = 1;
const CHECK: u32 = 2;
const YES: u32 = 0;
const NO: u32 = 1;
const FAILED: u32 = 2;

/// What another copy of the runtime gets: a number, and an error with one of them.
fn asked(request: u32) -> (u32, Option<Error>) {
    let mut error = MaybeUninit::<CError>::uninit();
    // SAFETY: the error may be written.
    let reply = unsafe { seal::answer(request, error.as_mut_ptr()) };
    // SAFETY: then it was written.
    (reply, (reply == FAILED).then(|| unsafe { error.assume_init() }.into()))
}

#[test]
fn other_copies_get_an_answer() {
    let world = World::new();
    assert_eq!(asked(IS_SEALED), (NO, None));
    assert_eq!(asked(CHECK), (YES, None));
    assert_eq!(asked(PROTECT), (YES, None));
    assert_eq!(faults::record().protected.len(), RANGES);
    assert_eq!(asked(IS_SEALED), (YES, None));
    faults::follow(Plan { protect: Some(1), ..Plan::default() });
    let (reply, error) = asked(PROTECT);
    let error = error.map(|error| (error.kind(), error.raw_os_error()));
    assert_eq!((reply, error), (FAILED, Some((ErrorKind::NotProtected, Some(PROTECT_REFUSED)))));
    // A request of a later version.
    assert_eq!(asked(3), (FAILED, Some(Error::new(ErrorKind::NotProtected))));
    assert_eq!(update(&mut [world.call(0, 1)]).expect_err("sealed").kind(), ErrorKind::Sealed);
}

#[test]
fn a_copy_without_images_has_nothing_to_protect() {
    let _world = World::unregistered();
    assert_eq!(asked(PROTECT), (NO, None));
    assert_eq!(asked(IS_SEALED), (YES, None));
    let error = seal::seal().expect_err("no image has registered its keys");
    assert_eq!(error, Error::new(ErrorKind::NotProtected));
}

#[test]
fn keys_of_another_version_are_not_protected() {
    let world = World::unregistered();
    world.second.set_version(99);
    world.images().into_iter().for_each(register);
    assert_eq!(seal::seal().expect_err("of another version"), Error::new(ErrorKind::NotProtected));
    assert!(is_protected(&world.first, &faults::record().protected), "what can be is");
    // SAFETY: a descriptor as another version of the pass makes it.
    unsafe { load::unregister(world.second.image(), &critical::enter().expect("no update is under way")) };
    world.second.set_version(static_call_abi::VERSION);
}

/// A key that an image calls may lie in another one, whose pages cannot be protected.
#[test]
fn a_key_on_pages_that_cannot_be_protected_is_named() {
    let world = World::unregistered();
    world.first.share_the_last_page();
    world.images().into_iter().for_each(register);
    let error = seal::seal().expect_err("the keys of the first image are not protected");
    let header = world.first.header().addr();
    assert_eq!(error, Error::at(ErrorKind::NotProtected, header));
    let (reply, error) = asked(CHECK);
    let key = error.map(|error| error.address());
    let keys: [_; KEYS] = core::array::from_fn(|index| core::ptr::from_ref(world.key(index)).addr());
    assert!(reply == FAILED && key.is_some_and(|key| keys.contains(&key)));
    assert!(is_protected(&world.second, &faults::record().protected));
}

fn forget_strays() {
    protect::forget_strays(&critical::enter().expect("no update is under way"));
}

/// An update to what it has leaves a key as one that nobody has updated.
fn update_to_the_same(key: &Key) {
    let State { target, form } = State::of(key);
    update(&mut [Change::new(key, target, form)]).expect("nothing changes");
}

#[test]
fn a_key_of_no_image_is_named_once_it_was_updated() {
    let world = World::new();
    forget_strays();
    let key = Key::new(world.first.target(0), core::ptr::null());
    assert_eq!(asked(CHECK), (YES, None));
    update_to_the_same(&key);
    let error = Error::at(ErrorKind::NotProtected, core::ptr::from_ref(&key).addr());
    assert_eq!(asked(CHECK), (FAILED, Some(error)));
    forget_strays();
}

/// There is room for sixteen such keys. All of these are protected in the end, but it is not known of the
/// last ones.
#[test]
fn more_keys_than_can_be_remembered_are_not_taken_for_protected() {
    let _world = World::new();
    forget_strays();
    for (count, is_known) in [(5, true), (6, false)] {
        let images: Vec<_> = (0..count).map(|_| Fabricated::new(None)).collect();
        for image in &images {
            (0..KEYS).for_each(|index| update_to_the_same(image.key(index)));
        }
        images.iter().for_each(register);
        let first = core::ptr::from_ref(images[0].key(0)).addr();
        let error = Error::at(ErrorKind::NotProtected, first);
        let answer = asked(CHECK);
        forget_strays();
        let without = asked(CHECK);
        // First of all, so that a failure leaves nothing behind.
        images.iter().for_each(unregister);
        assert_eq!(answer, if is_known { (YES, None) } else { (FAILED, Some(error)) });
        assert_eq!(without, (YES, None));
    }
}
