//! What a child of fork(2) does with what its parent's thread has left half done.

use core::sync::atomic::Ordering;

use super::fabricated::KEYS;
use super::faults::{self, BREAKPOINT, Plan};
use super::world::{World, assert_trampoline, register, unregister, update};
use crate::change::State;
use crate::critical;
use crate::image::{self, ImageState};
use crate::load;
use crate::mode::{self, Mode};
use crate::update as updates;

fn lock() -> critical::Section {
    critical::enter().expect("no update is under way")
}

/// The parent's thread was linking the image: as many of its records are linked as the key's lists say.
#[test]
fn an_image_that_is_only_linked_stays_on_its_trampolines() {
    let world = World::unregistered();
    mode::set(Mode::Inline, &lock());
    register(&world.first);
    let before = world.second.code();
    for linked in 0..=KEYS {
        let descriptor = world.second.descriptor();
        let lock = lock();
        // SAFETY: a descriptor as the pass makes it.
        unsafe { image::link(descriptor, &lock) }.expect("nothing is wrong with it");
        for index in linked..KEYS {
            world.key(index).records.store(world.first.record(index), Ordering::Relaxed);
        }
        load::recover(world.second.image(), true, &lock);
        drop(lock);
        assert_eq!(descriptor.state.get(), ImageState::Unregistered.to_wire());
        for index in 0..KEYS {
            assert_eq!(world.first.first_record(index), world.first.record(index));
        }
        update(&mut [world.call(1, 1 + linked)]).expect("the other image follows");
        assert_eq!(world.second.code(), before);
    }
    register(&world.second);
    world.assert_direct();
}

/// The parent's thread had just put the image into the list.
#[test]
fn an_image_in_the_list_becomes_direct() {
    let world = World::unregistered();
    mode::set(Mode::Inline, &lock());
    register(&world.first);
    faults::follow(Plan { open: Some(0), ..Plan::default() });
    register(&world.second);
    let descriptor = world.second.descriptor();
    descriptor.state.set(ImageState::Unregistered.to_wire());
    descriptor.reason.set(0);
    load::recover(world.second.image(), false, &lock());
    assert_eq!(descriptor.state.get(), ImageState::Patched.to_wire());
    world.assert_direct();
}

/// The parent's thread had stored the key and replaced some words. One of them is somebody else's by now.
#[test]
fn words_that_were_replaced_are_written_back() {
    let world = World::new();
    for key in 0..KEYS {
        let before = world.snapshot();
        let state = State::of(world.key(key));
        update(&mut [world.call(key, 1)]).expect("nothing is in the way");
        let after = State::of(world.key(key));
        let pc = world.second.sites(key).next().expect("a site");
        let at = world.second.offset_in_code(pc);
        world.second.set_code(pc, BREAKPOINT);
        world.key(key).store(state.target, state.form);
        updates::write_back(world.key(key), (after, state), &lock());
        assert_eq!(world.second.code()[at], BREAKPOINT, "not ours to overwrite");
        let mut now = world.snapshot();
        now.code[1][at..at + 5].copy_from_slice(&before.code[1][at..at + 5]);
        assert_eq!(now, before);
        for offset in 0..5 {
            world.second.set_code(pc + offset, before.code[1][at + offset]);
        }
    }
}

/// The parent's thread was making an image's calls direct, or putting them back.
#[test]
fn calls_that_were_half_direct_go_back_to_their_trampolines() {
    let world = World::unregistered();
    mode::set(Mode::Inline, &lock());
    let before = world.second.code();
    world.images().into_iter().for_each(register);
    let first = world.first.code();
    let pc = world.second.sites(0).next().expect("a site");
    let at = world.second.offset_in_code(pc);
    for offset in 0..5 {
        world.second.set_code(pc + offset, before[at + offset]);
    }
    updates::leave(world.second.descriptor(), &lock());
    assert_eq!((world.second.code(), world.first.code()), (before, first));
    for key in 0..KEYS {
        world.second.sites(key).for_each(|pc| assert_trampoline(&world.second, key, pc));
    }
    unregister(&world.second);
}
