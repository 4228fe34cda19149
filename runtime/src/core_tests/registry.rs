//! The list of keys, switches by pattern, and branches that are on from the start.

use std::string::{String, ToString};
use std::vec::Vec;

use core::sync::atomic::Ordering;

use static_call_abi::{Form, Key};

use super::fabricated::{BRANCH_KEYS, Fabricated, KEYS};
use super::faults::{self, BREAKPOINT, Plan};
use super::world::{World, register, unregister, update};
use crate::arch::Action;
use crate::change::{Change, State, Wish};
use crate::critical;
use crate::error::{Error, ErrorKind};
use crate::image;
use crate::listing;
use crate::mode::{self, Mode};
use crate::registry::Entry;
use crate::seal;
use crate::variable::ENABLE;
use crate::walk;
use crate::wire::CEntry;

const ALL: usize = KEYS + BRANCH_KEYS;

fn next(pattern: &str, entry: &mut CEntry) -> bool {
    listing::next(pattern.as_bytes(), entry).expect("no update is under way")
}

/// The addresses of all keys that match, as a walk of single steps finds them.
fn listed(pattern: &str) -> Vec<usize> {
    let mut entry = CEntry::EMPTY;
    let mut found = Vec::new();
    while next(pattern, &mut entry) {
        found.push(entry.key);
    }
    let mut at_once = Vec::new();
    let lock = critical::enter().expect("no update is under way");
    walk::for_each(&lock, &mut |key| at_once.push(core::ptr::from_ref(key).addr()));
    at_once.sort_unstable();
    if pattern == "*" {
        assert_eq!(found, at_once);
    }
    found
}

fn keys(image: &Fabricated) -> Vec<usize> {
    (0..ALL).map(|index| core::ptr::from_ref(image.key(index)).addr()).collect()
}

fn sorted(lists: &[Vec<usize>]) -> Vec<usize> {
    let mut all = lists.concat();
    all.sort_unstable();
    all
}

fn switch(pattern: &str, wish: Wish) -> Result<usize, (ErrorKind, String)> {
    let mut failed = CEntry::EMPTY;
    listing::switch(pattern.as_bytes(), wish, &mut failed)
        .map_err(|error: Error| (error.kind(), Entry(failed).name().to_string()))
}

fn unregistered(mode: Mode) -> World {
    let world = World::with_unregistered_branches(Fabricated::with_branches);
    mode::set(mode, &critical::enter().expect("no update is under way"));
    world
}

fn ask_at_start(patterns: &str) {
    ENABLE.set_for_test(patterns.as_bytes(), &critical::enter().expect("no update is under way"));
}

fn count(image: &Fabricated, key: usize) -> usize {
    State::of(image.branch_key(key)).target.addr()
}

/// Those of the second image are used by nobody; both images use those of the first one.
#[test]
fn each_key_is_listed_once() {
    let world = World::with_branches();
    let [first, second] = world.images().map(keys);
    assert_eq!(listed("*"), sorted(&[first.clone(), second.clone()]));
    assert_eq!(
        listed("app::net::*"),
        sorted(&[first[2..].to_vec(), second[2..].to_vec()])
            .into_iter()
            .filter(|key| ![first[3], second[3]].contains(key))
            .collect::<Vec<_>>()
    );
    assert_eq!(listed("app::HOOK"), sorted(&[first[1..2].to_vec(), second[1..2].to_vec()]));
    assert!(listed("app").is_empty());
    unregister(&world.second);
    assert_eq!(listed("*"), first);
}

#[test]
fn keys_of_a_refused_image_are_listed() {
    let world = unregistered(Mode::Inline);
    world.first.damage();
    register(&world.first);
    assert_eq!(world.first.descriptor().state.get(), image::ImageState::Unregistered.to_wire());
    assert_eq!(listed("*"), keys(&world.first));
}

/// In structures of the program's, say.
#[test]
fn keys_that_lie_in_no_section_are_listed_once() {
    let world = unregistered(Mode::Inline);
    world.first.hide_keys();
    register(&world.second);
    assert_eq!(listed("*"), sorted(&[keys(&world.first), keys(&world.second)]));
    register(&world.first);
    assert_eq!(listed("*"), sorted(&[keys(&world.first), keys(&world.second)]));
    assert_eq!(switch("*", Wish::On), Ok(4));
    unregister(&world.second);
    assert_eq!(listed("*"), keys(&world.first));
    // Nor are they when nothing uses them any more.
    unregister(&world.first);
    assert!(listed("*").is_empty());
    register(&world.second);
    assert_eq!(listed("*"), sorted(&[keys(&world.first), keys(&world.second)]));
    // After the seal, the list is not believed.
    seal::protect_own().expect("no update is under way");
    assert_eq!(listed("app::net::*").len(), 4);
}

#[test]
fn an_image_may_go_and_come_in_the_middle_of_a_walk() {
    let world = World::with_branches();
    let mut images = world.images();
    images.sort_by_key(|image| image.key(0) as *const Key);
    for (stop, goes) in [(1, 0), (1, 1), (ALL, 0), (ALL + 1, 1)] {
        let mut entry = CEntry::EMPTY;
        let mut found = Vec::new();
        while next("*", &mut entry) {
            found.push(entry.key);
            if found.len() == stop {
                unregister(images[goes]);
            }
        }
        // Those that were there all the time, and those before it went.
        let stays = keys(images[1 - goes]);
        assert!(stays.iter().all(|key| found.contains(key)), "{stop}, {goes}");
        let mut distinct = found.clone();
        distinct.dedup();
        assert_eq!(distinct, found, "{stop}, {goes}");
        register(images[goes]);
    }
}

#[test]
fn an_entry_says_what_its_key_does() {
    let world = World::with_branches();
    let say = |pattern: &str| {
        let mut entry = CEntry { key: keys(&world.first)[0] - 1, ..CEntry::EMPTY };
        assert!(next(pattern, &mut entry));
        let info = Entry(entry).info();
        (Entry(entry).to_string(), info.sites, info.branches)
    };
    let calls = |target: usize| std::format!("calls {:#x}", world.first.target(target).addr());
    assert_eq!(say("app::CALL"), (std::format!("app::CALL: {}", calls(0)), 8, 0));
    assert_eq!(say("app::HOOK"), ("app::HOOK: off".into(), 6, 0));
    assert_eq!(say("app::net::ZERO"), ("app::net::ZERO: returns zero".into(), 6, 0));
    assert_eq!(say("app::OFF"), ("app::OFF: off".into(), 0, 8));
    assert_eq!(say("app::net::ON"), ("app::net::ON: on".into(), 0, 6));
    update(&mut [world.call(1, 2)]).expect("nothing is in the way");
    assert_eq!(say("app::HOOK").0, std::format!("app::HOOK: {}", calls(2)));
    assert_eq!(switch("app::net::ON", Wish::Inc), Ok(2));
    assert_eq!(say("app::net::ON").0, "app::net::ON: on, 2 times");
}

#[test]
fn branches_are_switched_by_pattern() {
    let world = World::with_branches();
    let counts = || world.images().map(|image| [count(image, 0), count(image, 1)]);
    for (pattern, wish, result, expected) in [
        ("app::OFF", Wish::On, Ok(2), [1, 1]),
        ("app::OFF", Wish::On, Ok(2), [1, 1]),
        ("app::*", Wish::Inc, Ok(4), [2, 2]),
        ("app::*", Wish::Off, Err(ErrorKind::Count), [2, 2]),
        ("app::net::*", Wish::Dec, Ok(2), [2, 1]),
        ("*", Wish::Dec, Ok(4), [1, 0]),
        ("*", Wish::Dec, Err(ErrorKind::Count), [1, 0]),
        ("*", Wish::Off, Ok(4), [0, 0]),
        ("app::CALL", Wish::On, Ok(0), [0, 0]),
        ("nothing", Wish::On, Ok(0), [0, 0]),
    ] {
        let switched = switch(pattern, wish);
        assert_eq!(switched.map_err(|(kind, _)| kind), result, "{pattern} {wish:?}");
        assert_eq!(counts(), [expected; 2], "{pattern} {wish:?}");
        let is_on = expected[0] != 0;
        for image in world.images() {
            let on = if is_on { Action::Branch(image.branch_target(0)) } else { Action::Nop };
            assert_eq!(image.branch_action(0), on, "{pattern} {wish:?}");
        }
    }
    seal::protect_own().expect("no update is under way");
    assert_eq!(switch("*", Wish::On), Err((ErrorKind::Sealed, String::new())));
}

/// All or nothing, and the error names the key.
#[test]
fn a_refused_switch_names_the_key() {
    let world = World::with_branches();
    update(&mut [Change::branch(world.first.branch_key(1), Wish::Inc)]).expect("nothing is in the way");
    let before = world.snapshot();
    let named = |kind, name: &str| Err((kind, name.to_string()));
    assert_eq!(switch("*", Wish::Off), named(ErrorKind::Count, "app::net::ON"));
    assert_eq!(world.snapshot(), before);
    for (branch, name) in [(0, "app::OFF"), (1, "app::net::ON"), (2, "app::OFF")] {
        update(&mut [Change::branch(world.first.branch_key(1), Wish::Dec)]).expect("nothing is in the way");
        let (pc, before) = (world.second.branch(branch), world.snapshot());
        let there = world.second.code()[world.second.offset_in_code(pc)];
        world.second.set_code(pc, BREAKPOINT);
        let (pattern, wish) = if name.contains("net") { ("*", Wish::Off) } else { ("*", Wish::On) };
        let refused = switch(pattern, wish);
        world.second.set_code(pc, there);
        assert_eq!(refused, named(ErrorKind::ForeignCode, name), "{branch}");
        assert_eq!(world.snapshot(), before);
        update(&mut [Change::branch(world.first.branch_key(1), Wish::Inc)]).expect("nothing is in the way");
    }
    faults::follow(Plan { open: Some(0), ..Plan::default() });
    assert_eq!(switch("app::OFF", Wish::On).map_err(|(kind, _)| kind), Err(ErrorKind::NotWritable));
    assert_eq!(world.snapshot(), before);
}

/// A record that leads to no image of ours is not followed.
#[test]
fn a_key_of_another_runtime_is_named() {
    let world = World::with_branches();
    // SAFETY: a record of the memory, which is copied as it is.
    let record = unsafe { world.first.record(KEYS).read() };
    let key = world.second.branch_key(0);
    key.records.store((&raw const record).cast_mut(), Ordering::Relaxed);
    let before = world.snapshot();
    let mut failed = CEntry::EMPTY;
    let refused = listing::switch(b"app::OFF", Wish::On, &mut failed).map_err(|error| error.kind());
    key.records.store(core::ptr::null_mut(), Ordering::Relaxed);
    assert_eq!(refused, Err(ErrorKind::OtherRuntime));
    assert_eq!((failed.key, count(&world.second, 0)), (core::ptr::from_ref(key).addr(), 0));
    assert_eq!(world.snapshot(), before);
}

#[test]
fn branches_are_on_from_the_start() {
    for mode in [Mode::Inline, Mode::Trampoline, Mode::Generic] {
        let world = unregistered(mode);
        ask_at_start(" nothing::*,,app::O?F , app::net::ON,app::CALL");
        let before = State::of(world.key(0));
        register(&world.first);
        // The one that is on at first is not counted twice.
        assert_eq!([count(&world.first, 0), count(&world.first, 1)], [1, 1]);
        assert_eq!([count(&world.second, 0), count(&world.second, 1)], [0, 1]);
        assert_eq!(State::of(world.key(0)), before, "a function's key is left alone");
        let jump = if mode == Mode::Inline { world.first.branch_target(0) } else { world.first.check(0) };
        assert_eq!(world.first.branch_action(0), Action::Branch(jump));
        // From then on the program decides, whatever is loaded.
        update(&mut [Change::branch(world.first.branch_key(0), Wish::Off)]).expect("nothing is in the way");
        register(&world.second);
        assert_eq!([count(&world.first, 0), count(&world.second, 0)], [0, 1]);
        unregister(&world.first);
        register(&world.first);
        assert_eq!(count(&world.first, 0), 0);
    }
}

/// It may have been changed by a constructor that ran before, or by another image.
#[test]
fn a_key_that_was_changed_is_left_alone() {
    let world = unregistered(Mode::Inline);
    ask_at_start("*");
    let key = world.first.branch_key(0);
    for count in [1, 0] {
        key.store(core::ptr::without_provenance(count), Form::Call);
    }
    world.images().into_iter().for_each(register);
    assert_eq!([count(&world.first, 0), count(&world.second, 0)], [0, 1]);
}

/// The image that defines a key may never be registered.
#[test]
fn a_key_of_another_image_is_on_from_the_start() {
    let world = unregistered(Mode::Inline);
    ask_at_start("app::OFF");
    register(&world.second);
    assert_eq!(count(&world.first, 0), 1);
    assert_eq!(world.second.branch_action(0), Action::Branch(world.second.branch_target(0)));
}

#[test]
fn branches_of_a_refused_image_are_on_from_the_start_and_those_of_a_sealed_process_are_not() {
    let world = unregistered(Mode::Inline);
    ask_at_start("*");
    world.second.damage();
    register(&world.second);
    assert_eq!([count(&world.first, 0), count(&world.second, 0)], [0, 1], "no record of it is followed");
    seal::protect_own().expect("no update is under way");
    register(&world.first);
    assert_eq!(count(&world.first, 0), 0);
}

#[test]
fn a_value_that_is_too_long_is_ignored() {
    let world = unregistered(Mode::Inline);
    ask_at_start(&("*,".to_string() + &"x".repeat(4095)));
    register(&world.first);
    assert_eq!(count(&world.first, 0), 0);
    unregister(&world.first);
    ask_at_start(&("*,".to_string() + &"x".repeat(4094)));
    register(&world.first);
    assert_eq!(count(&world.first, 0), 1);
}

/// By the handler of a fault, say.
#[test]
#[cfg_attr(not(feature = "os"), ignore = "without threads, nobody is known as the lock's holder")]
fn the_registry_is_not_entered_twice() {
    let world = World::with_branches();
    let lock = critical::enter().expect("no update is under way");
    let mut entry = CEntry::EMPTY;
    let refused = listing::next(b"*", &mut entry).map_err(|error| error.kind());
    assert_eq!((refused, entry.key), (Err(ErrorKind::Reentrant), 0));
    assert_eq!(switch("*", Wish::Inc), Err((ErrorKind::Reentrant, String::new())));
    drop(lock);
    assert_eq!(count(&world.first, 0), 0);
}
