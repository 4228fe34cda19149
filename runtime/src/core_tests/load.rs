//! Images that are loaded and unloaded, and each way in which their calls stay on their trampolines.

use core::cell::Cell;
use core::sync::atomic::Ordering;

use static_call_abi::Record;

use super::fabricated::{Fabricated, KEYS};
use super::faults::{self, BREAKPOINT, Plan};
use super::world::{World, assert_trampoline, register, unregister, update};
use crate::arch::{Action, native};
use crate::change;
use crate::critical;
use crate::image::{self, ImageState};
use crate::load;
use crate::mode::{self, Mode, Reason};

fn assert_state(image: &Fabricated, state: ImageState, reason: Reason) {
    let descriptor = image.descriptor();
    assert_eq!(ImageState::from_wire(descriptor.state.get()), Some(state));
    assert_eq!(Reason::of_image(descriptor.reason.get()), reason);
}

fn assert_on_trampolines(image: &Fabricated) {
    for key in 0..KEYS {
        image.sites(key).for_each(|pc| assert_trampoline(image, key, pc));
    }
}

/// How many images the runtime follows when a key changes.
fn registered() -> usize {
    let mut count = 0;
    image::for_each(&critical::enter().expect("no update is under way"), |_| count += 1);
    count
}

#[test]
fn a_loaded_image_is_direct_and_follows_its_keys() {
    let world = World::new();
    assert_eq!(registered(), 2);
    world.assert_direct();
    for index in 0..KEYS {
        // The last one that came is the first one.
        assert_eq!(world.first.first_record(index), world.second.record(index));
        // SAFETY: a record of a registered image.
        assert_eq!(unsafe { (*world.second.record(index)).next.get() }, world.first.record(index));
    }
}

#[test]
fn an_image_without_a_window_stays_on_its_trampolines() {
    let world = World::unregistered();
    for (plan, serialized) in [
        (Plan { open: Some(0), ..Plan::default() }, 0),
        // And what was written is put back.
        (Plan { serialize: Some(0), ..Plan::default() }, 2),
    ] {
        let before = world.first.code();
        faults::follow(plan);
        register(&world.first);
        let record = faults::record();
        assert_eq!((record.closed, record.serialized), (record.opened, serialized));
        assert_state(&world.first, ImageState::Registered, Reason::NotWritable);
        assert_eq!(world.first.code(), before);
        // Its keys may change all the same, since the calls go through them.
        update(&mut [world.call(0, 5)]).expect("nothing to write");
        assert_on_trampolines(&world.first);
        unregister(&world.first);
    }
}

#[test]
fn a_word_that_changes_meanwhile_leaves_all_calls_on_their_trampolines() {
    let world = World::unregistered();
    let before = world.first.code();
    let (mut count, mut refused) = (0, 0);
    loop {
        faults::follow(Plan { disturb: Some(count), ..Plan::default() });
        register(&world.first);
        let Some(word) = faults::record().disturbed else { break };
        let mut after = world.first.code();
        let at = world.first.offset_in_code(word);
        assert_eq!(after[at], BREAKPOINT, "not ours to overwrite");
        if ImageState::from_wire(world.first.descriptor().state.get()) == Some(ImageState::Registered) {
            assert_state(&world.first, ImageState::Registered, Reason::Foreign);
            after[at] = before[at];
            assert_eq!(after, before);
            refused += 1;
        }
        world.first.set_code(word, before[at]);
        unregister(&world.first);
        assert_eq!(world.first.code(), before);
        count += 1;
    }
    // The first key calls a function. Then only a displacement changes, which is stored without a comparison.
    assert_eq!((count, refused), (9, 6));
    assert_state(&world.first, ImageState::Patched, Reason::None);
}

#[test]
fn calls_become_direct_once_they_may() {
    let world = World::unregistered();
    for image in world.images() {
        faults::follow(Plan { open: Some(0), ..Plan::default() });
        register(image);
        assert_state(image, ImageState::Registered, Reason::NotWritable);
    }
    faults::follow(Plan::default());
    load::patch_all(&critical::enter().expect("no update is under way"));
    for image in world.images() {
        assert_state(image, ImageState::Patched, Reason::None);
    }
    world.assert_direct();
}

#[test]
fn a_damaged_image_is_left_alone() {
    let world = World::unregistered();
    world.second.damage();
    let before = world.second.code();
    for image in world.images() {
        register(image);
    }
    assert_state(&world.second, ImageState::Unregistered, Reason::Damaged);
    assert_eq!(world.second.code(), before);
    assert_eq!(registered(), 1);
    for index in 0..KEYS {
        assert_eq!(world.first.first_record(index), world.first.record(index));
    }
    update(&mut [world.call(1, 1)]).expect("the other image follows");
    assert_eq!(world.second.code(), before);
}

/// Each check of [`image::link`], by what it finds in the second image.
#[test]
fn an_image_that_cannot_be_trusted_stays_on_its_trampolines_and_says_why() {
    type Fault = fn(&World);
    let theirs = Record {
        key: core::ptr::null(),
        next: Cell::new(core::ptr::null_mut()),
        sites: Cell::new(core::ptr::null_mut()),
        count: Cell::new(0),
        trampoline: 0,
        saved: Cell::new([0; 8]),
    };
    let cases: [(&str, Reason, Fault); 12] = [
        ("no header", Reason::NoHeader, |world| world.second.remove_header()),
        ("code that may not be read", Reason::Unreadable, |world| world.second.set_flags(1)),
        ("code that is not executable", Reason::Damaged, |world| world.second.set_flags(4)),
        ("no code at the first trampoline", Reason::Damaged, |world| world.second.cut_code()),
        ("code that was moved", Reason::Moved, |world| world.second.move_code()),
        ("no signature", Reason::Damaged, |world| world.second.set_signature(1, 0)),
        ("another's record", Reason::Damaged, |world| world.second.name_other_record(1)),
        ("no key", Reason::Damaged, |world| world.second.set_key(1, core::ptr::null())),
        ("no key's address", Reason::Damaged, |world| {
            world.second.set_key(1, core::ptr::from_ref(world.second.key(1)).wrapping_byte_add(1));
        }),
        ("a branch's key", Reason::Damaged, |world| world.second.set_key(1, world.second.branch_key(0))),
        ("another version's key", Reason::Version, |world| {
            world.second.set_version_of_key(1, 99);
            world.second.set_key(1, world.second.key(1));
        }),
        ("another runtime's key", Reason::OtherRuntime, |world| world.second.set_key(1, world.second.key(1))),
    ];
    for (name, reason, fault) in cases {
        let world = World::unregistered();
        fault(&world);
        if reason == Reason::OtherRuntime {
            // A record that belongs to no image of ours.
            world.second.key(1).records.store(core::ptr::from_ref(&theirs).cast_mut(), Ordering::Relaxed);
        }
        let before = world.second.code();
        world.images().into_iter().for_each(register);
        let descriptor = world.second.descriptor();
        let found =
            (ImageState::from_wire(descriptor.state.get()), Reason::of_image(descriptor.reason.get()));
        assert_eq!(found, (Some(ImageState::Unregistered), reason), "{name}");
        assert_eq!((registered(), world.second.code() == before), (1, true), "{name}");
        for index in 0..KEYS {
            assert_eq!(world.first.first_record(index), world.first.record(index), "{name}");
        }
        update(&mut [world.call(1, 1)]).expect("the other image follows");
        assert_eq!(world.second.code(), before, "{name}");
        let known = || {
            let mut known = 0;
            image::for_each_known(&critical::enter().expect("no update is under way"), |_| known += 1);
            known
        };
        assert_eq!(known(), 2, "{name}: the seal protects its keys");
        unregister(&world.second);
        assert_eq!(known(), 1, "{name}");
    }
}

/// Without sites only the record itself is checked.
#[test]
fn a_trampoline_of_another_record_is_not_patched() {
    let world = World::without_sites();
    world.second.name_other_record(1);
    let before = world.second.code();
    world.images().into_iter().for_each(register);
    assert_state(&world.second, ImageState::Unregistered, Reason::Damaged);
    update(&mut [world.call(1, 1)]).expect("the other image follows");
    assert_eq!(world.second.code(), before);
}

#[test]
fn an_image_may_be_refused_twice() {
    let world = World::unregistered();
    world.first.damage();
    for _ in 0..2 {
        register(&world.first);
        assert_state(&world.first, ImageState::Unregistered, Reason::Damaged);
    }
    let mut known = 0;
    image::for_each_known(&critical::enter().expect("no update is under way"), |_| known += 1);
    assert_eq!(known, 1);
}

#[test]
fn a_second_descriptor_of_an_image_is_ignored() {
    let world = World::unregistered();
    let again = world.first.second_descriptor();
    register(&world.first);
    let before = world.first.code();
    // SAFETY: a descriptor as the pass makes it.
    unsafe {
        load::register(again, world.first.header(), &critical::enter().expect("no update is under way"))
    };
    assert_eq!((registered(), world.first.code()), (1, before));
    update(&mut [world.call(0, 3)]).expect("nothing is in the way");
    let target = world.first.target(3).addr();
    assert!(world.first.sites(0).all(|pc| world.first.action(pc) == Action::Branch(target)));
}

#[test]
fn an_image_of_another_version_is_left_alone() {
    let world = World::unregistered();
    world.second.set_version(99);
    let before = world.second.code();
    register(&world.second);
    assert_eq!((registered(), world.second.code()), (0, before));
    let are_unknown = || image::are_unknown(&critical::enter().expect("no update is under way"));
    assert!(are_unknown());
    // SAFETY: a descriptor as another version of the pass makes it.
    unsafe { load::unregister(world.second.image(), &critical::enter().expect("no update is under way")) };
    assert!(!are_unknown());
    world.second.set_version(static_call_abi::VERSION);
}

#[test]
fn calls_go_back_to_their_trampolines_when_an_image_goes() {
    // In both orders: an image that goes may be the first one of its keys, or not.
    for goes_first in [true, false] {
        let world = World::unregistered();
        let before = world.images().map(Fabricated::code);
        world.images().into_iter().for_each(register);
        let [gone, stays] = if goes_first { [0, 1] } else { [1, 0] };
        unregister(world.images()[gone]);
        assert_eq!(world.images()[gone].code(), before[gone]);
        assert_eq!(registered(), 1);
        for index in 0..KEYS {
            let record = world.images()[stays].record(index);
            assert_eq!(world.first.first_record(index), record);
            // SAFETY: a record of a registered image.
            assert!(unsafe { (*record).next.get() }.is_null());
        }
        update(&mut [world.call(0, 7)]).expect("the other image follows");
        assert_eq!(world.images()[gone].code(), before[gone]);
    }
}

#[test]
fn an_image_goes_even_if_its_calls_must_stay() {
    let world = World::new();
    let before = world.second.code();
    faults::follow(Plan { open: Some(0), ..Plan::default() });
    unregister(&world.second);
    assert_eq!((registered(), world.second.code()), (1, before));
    for index in 0..KEYS {
        assert_eq!(world.first.first_record(index), world.first.record(index));
    }
}

/// A breakpoint at one call does not keep the others from going back.
#[test]
fn what_is_not_ours_stays_when_an_image_goes() {
    let world = World::unregistered();
    let before = world.first.code();
    register(&world.first);
    let pc = world.first.sites(1).next().expect("a site");
    world.first.set_code(pc, BREAKPOINT);
    unregister(&world.first);
    let mut after = world.first.code();
    let at = world.first.offset_in_code(pc);
    assert_eq!(after[at], BREAKPOINT);
    after[at..at + 5].copy_from_slice(&before[at..at + 5]);
    assert_eq!(after, before);
}

#[test]
fn patched_trampolines_go_back_when_an_image_goes() {
    let world = World::unregistered();
    let before = world.first.code();
    mode::set(Mode::Trampoline, &critical::enter().expect("no update is under way"));
    register(&world.first);
    assert!(world.first.code() != before);
    unregister(&world.first);
    assert!(world.first.code() == before);
}

/// Without the pass no call is recorded: the first update of a key patches its trampolines.
#[test]
fn trampolines_without_sites_wait_for_the_first_update() {
    let world = World::without_sites();
    mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
    let before = world.images().map(Fabricated::code);
    for image in world.images() {
        register(image);
        assert_state(image, ImageState::Patched, Reason::None);
    }
    let record = faults::record();
    assert_eq!((record.opened.len(), record.written, record.serialized), (0, 0, 0));
    let jump = |image: &Fabricated| image.action(image.trampoline(0) + native::TRAMPOLINE_JUMP);
    let target = |number| Action::Branch(world.first.target(number).addr());
    // Where code may not be written, they go on reading their keys.
    faults::follow(Plan { open: Some(0), ..Plan::default() });
    update(&mut [world.call(2, 1)]).expect("nothing has to be written");
    assert_eq!(world.key(2).load().0, world.first.target(1));
    assert!(world.images().map(Fabricated::code) == before);
    // Nor does anybody have to wait for threads that still run what reads the key.
    faults::follow(Plan { serialize: Some(0), ..Plan::default() });
    update(&mut [world.call(0, 1)]).expect("no thread reaches another target");
    assert_eq!(world.images().map(jump), [target(1); 2]);
    update(&mut [world.call(0, 2)]).expect_err("refused");
    assert_eq!(world.images().map(jump), [target(1); 2], "what calls reached before");
    faults::follow(Plan::default());
    update(&mut [world.call(0, 2)]).expect("nothing is in the way");
    assert_eq!(world.images().map(jump), [target(2); 2]);
    for (image, before) in world.images().into_iter().zip(&before) {
        let is_as_before = |index: usize| {
            let at = image.offset_in_code(image.trampoline(index));
            image.code()[at..at + 8] == before[at..at + 8]
        };
        assert!(is_as_before(1) && is_as_before(2), "other keys still wait");
    }
    unregister(&world.second);
    assert!(world.second.code() == before[1]);
}

/// An assembler may record the calls of trampolines that were written without the pass. None becomes a nop,
/// since nothing tells their types.
#[test]
fn recorded_calls_of_trampolines_without_the_pass_are_direct() {
    let world = World::without_pass();
    mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
    let before = world.images().map(Fabricated::code);
    for image in world.images() {
        register(image);
        assert_state(image, ImageState::Patched, Reason::None);
    }
    update(&mut [world.call(0, 1)]).expect("nothing is in the way");
    for image in world.images() {
        for key in 0..KEYS {
            let target = Action::Branch(change::State::of(world.key(key)).target.addr());
            assert!(image.sites(key).all(|pc| image.action(pc) == target), "{key}");
        }
    }
    unregister(&world.second);
    assert!(world.second.code() == before[1]);
}
