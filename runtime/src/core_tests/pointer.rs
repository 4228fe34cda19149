//! Keys that are pointers: none of their instructions is patched, so nothing refuses their updates.

use static_call_abi::Key;

use super::fabricated::{BRANCHES, Fabricated, KEYS};
use super::faults::{self, BREAKPOINT, OPEN_REFUSED, Plan, SERIALIZE_REFUSED};
use super::world::{World, assert_trampoline, register, unregister, update};
use crate::arch::Action;
use crate::change::{Change, State, Wish};
use crate::critical;
use crate::error::{Error, ErrorKind};
use crate::mode::{self, Mode};
use crate::seal;
use crate::update as updates;

fn make_pointer(key: &Key) -> Result<(), Error> {
    updates::make_pointer(key, &*critical::enter()?)
}

fn assert_on_trampolines(image: &Fabricated, key: usize) {
    image.sites(key).for_each(|pc| assert_trampoline(image, key, pc));
}

/// Nothing is written, and nobody is waited for.
fn assert_stored() {
    let record = faults::record();
    assert!(record.opened.is_empty() && record.written == 0 && record.serialized == 0, "{record:?}");
}

#[test]
fn nothing_refuses_an_update_of_a_pointer() {
    let world = World::new();
    for key in 0..KEYS {
        let before = State::of(world.key(key));
        make_pointer(world.key(key)).expect("nothing is in the way");
        assert!(world.key(key).is_pointer());
        assert_eq!(State::of(world.key(key)), before);
        world.images().into_iter().for_each(|image| assert_on_trampolines(image, key));
        let record = faults::record();
        assert_eq!((record.closed, record.serialized), (record.opened, 1));
    }
    for target in 1..4 {
        faults::follow(Plan { open: Some(0), serialize: Some(0), disturb: Some(0), ..Plan::default() });
        update(&mut (0..KEYS).map(|key| world.call(key, target)).collect::<std::vec::Vec<_>>())
            .expect("nothing can refuse it");
        assert_stored();
        for key in 0..KEYS {
            assert_eq!(State::of(world.key(key)).target, world.first.target(target));
            world.images().into_iter().for_each(|image| assert_on_trampolines(image, key));
        }
    }
    make_pointer(world.key(0)).expect("it is one");
    assert_stored();
}

#[test]
fn a_pointer_and_another_key_change_together() {
    let world = World::new();
    make_pointer(world.key(0)).expect("nothing is in the way");
    faults::follow(Plan { open: Some(0), ..Plan::default() });
    let before = State::of(world.key(0));
    update(&mut [world.call(0, 1), world.call(1, 1)]).expect_err("the other one is refused");
    assert_eq!(State::of(world.key(0)), before);
    update(&mut [world.call(0, 1), world.call(1, 1)]).expect("nothing is in the way any more");
    world.images().into_iter().for_each(|image| assert_on_trampolines(image, 0));
    for pc in world.second.sites(1) {
        assert_eq!(world.second.action(pc), Action::Branch(world.first.target(1).addr()));
    }
    faults::follow(Plan { serialize: Some(0), ..Plan::default() });
    update(&mut [world.call(0, 2), world.call(1, 2)]).expect_err("put back");
    world.images().into_iter().for_each(|image| assert_on_trampolines(image, 0));
    assert_eq!(State::of(world.key(0)).target, world.first.target(1));
}

#[test]
fn an_image_that_is_loaded_later_leaves_a_pointer_alone() {
    let world = World::new();
    unregister(&world.second);
    make_pointer(world.key(0)).expect("nothing is in the way");
    register(&world.second);
    assert_on_trampolines(&world.second, 0);
    for pc in world.second.sites(1) {
        assert_ne!(world.second.action(pc), Action::Branch(world.second.trampoline(1)), "another key's");
    }
    unregister(&world.first);
    assert_on_trampolines(&world.first, 0);
}

#[test]
fn a_key_that_is_declared_so_is_never_patched() {
    let world = World::unregistered();
    world.key(0).make_pointer();
    assert!(world.key(0).is_new(), "nothing was stored into it");
    mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
    world.images().into_iter().for_each(register);
    faults::follow(Plan { open: Some(0), ..Plan::default() });
    update(&mut [world.call(0, 1)]).expect("nothing can refuse it");
    assert_stored();
    world.images().into_iter().for_each(|image| assert_on_trampolines(image, 0));
}

/// The calls go where they went, and the key can become a pointer, or direct, later.
#[test]
fn a_key_is_no_pointer_while_a_call_might_be_direct() {
    let world = World::new();
    let before = world.snapshot();
    let refused = [
        (Plan { open: Some(1), ..Plan::default() }, OPEN_REFUSED),
        (Plan { serialize: Some(0), ..Plan::default() }, SERIALIZE_REFUSED),
    ];
    for (plan, os) in refused {
        faults::follow(plan);
        let error = make_pointer(world.key(0)).expect_err("refused");
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotWritable, Some(os)));
        let record = faults::record();
        assert_eq!(record.closed, record.opened);
        assert!(!world.key(0).is_pointer());
    }
    faults::follow(Plan::default());
    let place = world.second.sites(0).next().expect("a site");
    let byte = world.second.code()[world.second.offset_in_code(place)];
    world.second.set_code(place, BREAKPOINT);
    let error = make_pointer(world.key(0)).expect_err("a debugger's breakpoint");
    assert_eq!((error.kind(), error.address()), (ErrorKind::ForeignCode, place));
    assert!(!world.key(0).is_pointer());
    world.second.set_code(place, byte);

    faults::follow(Plan::default());
    update(&mut [world.call(0, 1)]).expect("nothing is in the way any more");
    world.assert_direct();
    update(&mut [world.call(0, 0)]).expect("nothing is in the way any more");
    assert_eq!(world.snapshot(), before);
    make_pointer(world.key(0)).expect("nothing is in the way any more");
}

fn registered_without_sites() -> World {
    let world = World::without_sites();
    mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
    world.images().into_iter().for_each(register);
    world
}

#[test]
fn trampolines_that_were_patched_go_back_to_their_keys() {
    for make in [|| World::in_mode(Mode::Trampoline), registered_without_sites] {
        let world = make();
        update(&mut [world.call(0, 1)]).expect("nothing is in the way");
        let at = world.first.offset_in_code(world.first.trampoline(0));
        let jump = |start: &[u8]| assert_eq!(&world.first.code()[at..at + start.len()], start);
        let (direct, through_key): ([u8; 2], _) = ([0x90, 0xe9], [0x90, 0xff, 0x25]);
        jump(&direct);
        world.first.set_code(world.first.trampoline(0) + 1, BREAKPOINT);
        let error = make_pointer(world.key(0)).expect_err("a debugger's breakpoint");
        assert_eq!(error.kind(), ErrorKind::ForeignCode);
        world.first.set_code(world.first.trampoline(0) + 1, direct[1]);
        make_pointer(world.key(0)).expect("nothing is in the way");
        jump(&through_key);
        faults::follow(Plan { open: Some(0), ..Plan::default() });
        update(&mut [world.call(0, 2)]).expect("nothing can refuse it");
        assert_stored();
        jump(&through_key);
    }
}

#[test]
fn branches_of_a_pointer_look_at_their_key() {
    let world = World::with_branches();
    let key = world.first.branch_key(0);
    make_pointer(key).expect("nothing is in the way");
    for wish in [Wish::On, Wish::Inc, Wish::Dec, Wish::Off] {
        faults::follow(Plan { open: Some(0), ..Plan::default() });
        update(&mut [Change::branch(key, wish)]).expect("nothing can refuse it");
        assert_stored();
        for image in world.images() {
            for branch in (0..BRANCHES).filter(|&branch| Fabricated::key_of_branch(branch) == 0) {
                assert_eq!(image.branch_action(branch), Action::Branch(image.check(branch)));
            }
        }
    }
}

#[test]
fn a_sealed_key_is_made_no_pointer() {
    let world = World::new();
    let _ = seal::seal();
    assert_eq!(make_pointer(world.key(0)).expect_err("sealed").kind(), ErrorKind::Sealed);
    assert!(!world.key(0).is_pointer());
}
