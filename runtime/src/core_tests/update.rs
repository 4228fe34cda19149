//! Updates that pass, and each way in which they fail.

use std::vec::Vec;

use core::sync::atomic::Ordering;

use static_call_abi::{Form, Key, Record};

use super::fabricated::{Fabricated, KEYS};
use super::faults::{self, BREAKPOINT, OPEN_REFUSED, Plan, SERIALIZE_REFUSED};
use super::world::{World, update};
use crate::arch::{Action, WORD, native};
use crate::c;
use crate::change::{Change, State};
use crate::error::{Error, ErrorKind};
use crate::mode::Mode;
use crate::wire::CChange;

#[test]
fn an_update_reaches_all_sites_of_all_images() {
    let world = World::new();
    world.assert_direct();
    for round in 1..4 {
        for key in 0..KEYS {
            let before = State::of(world.key(key));
            let mut changes = [world.call(key, round)];
            update(&mut changes).expect("nothing is in the way");
            assert_eq!(State::of(world.key(key)).target, world.first.target(round));
            assert_eq!(changes[0].state(), before, "what the key reached before");
            world.assert_direct();
            let record = faults::record();
            assert_eq!((record.opened.len(), record.serialized), (2, 1));
            assert_eq!(record.opened, record.closed);
        }
        for key in 1..KEYS {
            update(&mut [Change::off(world.key(key))]).expect("nothing is in the way");
            world.assert_direct();
            faults::record();
        }
    }
}

#[test]
fn an_update_to_what_the_key_has_writes_nothing() {
    let world = World::new();
    update(&mut [world.call(0, 0)]).expect("nothing changes");
    let record = faults::record();
    assert!(record.opened.is_empty() && record.written == 0 && record.serialized == 0);
}

/// Each image is opened by itself.
#[test]
fn nothing_changes_if_a_window_is_refused() {
    let world = World::new();
    let before = world.snapshot();
    for refused in 0..2 {
        faults::follow(Plan { open: Some(refused), ..Plan::default() });
        let mut changes = [world.call(0, 1), world.call(1, 1)];
        let error = update(&mut changes).expect_err("refused");
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotWritable, Some(OPEN_REFUSED)));
        let record = faults::record();
        assert_eq!(record.opened.len(), refused + 1);
        assert_eq!(record.opened.last().map(|run| run.start), Some(error.address()));
        // The one that was refused as well.
        assert_eq!(record.closed, record.opened);
        assert_eq!(record.written, 0);
        assert_eq!(world.snapshot(), before);
        assert_eq!(changes[0].state().target, world.first.target(1), "as the caller passed it");
    }
    update(&mut [world.call(0, 1)]).expect("nothing is in the way any more");
    world.assert_direct();
}

#[test]
fn everything_is_put_back_if_processors_cannot_be_serialized() {
    let world = World::new();
    let before = world.snapshot();
    faults::follow(Plan { serialize: Some(0), ..Plan::default() });
    let passed = [world.call(0, 1), world.call(1, 1), world.call(2, 1)];
    let mut changes = passed;
    let error = update(&mut changes).expect_err("refused");
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotWritable, Some(SERIALIZE_REFUSED)));
    let record = faults::record();
    assert!(record.written > 0);
    assert_eq!(record.closed, record.opened);
    // What was put back, too, is waited for.
    assert_eq!(record.serialized, 2);
    assert_eq!(world.snapshot(), before);
    for (change, passed) in changes.iter().zip(passed) {
        assert_eq!(change.state(), passed.state());
    }
}

/// Updates while somebody sets a breakpoint at one word of the batch, by its number, between planning and
/// writing. Returns the word and the error, or nothing if the batch has no such word, and is made.
fn update_disturbed(number: usize, changes: &mut [Change<'_>]) -> Option<(usize, Error)> {
    faults::follow(Plan { disturb: Some(number), ..Plan::default() });
    let result = update(changes);
    let record = faults::record();
    assert_eq!(record.closed, record.opened);
    if record.disturbed.is_none() {
        result.expect("nothing was in the way");
        return None;
    }
    Some((record.disturbed?, result.expect_err("somebody was in the way")))
}

/// Somebody sets a breakpoint between planning and writing: at the first word of the batch, at the second
/// one, and so on.
#[test]
fn everything_else_is_put_back_if_a_word_changes_meanwhile() {
    let world = World::new();
    let before = world.snapshot();
    let mut disturbed = Vec::new();
    loop {
        // Both were off: each instruction changes as a whole, and so is compared.
        let mut changes = [world.call(1, 1), world.call(2, 1)];
        let Some((word, error)) = update_disturbed(disturbed.len(), &mut changes) else { break };
        assert_eq!((error.kind(), error.address()), (ErrorKind::ForeignCode, word));
        let mut after = world.snapshot();
        for (image, code) in world.images().into_iter().zip(&mut after.code) {
            if (1..KEYS).any(|key| image.sites(key).any(|pc| pc == word)) {
                let byte = &mut code[image.offset_in_code(word)];
                assert_eq!(*byte, BREAKPOINT, "not ours to overwrite");
                let original =
                    before.code.iter().zip(world.images()).find(|(_, one)| core::ptr::eq(*one, image));
                *byte = original.expect("one of both").0[image.offset_in_code(word)];
                image.set_code(word, *byte);
            }
        }
        assert_eq!(after, before);
        disturbed.push(word);
    }
    // Two keys with three sites each, in two images.
    assert_eq!(disturbed.len(), 12);
    disturbed.sort_unstable();
    disturbed.dedup();
    assert_eq!(disturbed.len(), 12);
    world.assert_direct();
}

/// The first word that was written is somebody else's by the time the update has to be undone.
#[test]
fn a_word_that_is_not_ours_any_more_does_not_stop_the_others_from_being_put_back() {
    let world = World::new();
    let before = world.snapshot();
    // Keys are written image by image, the last one that came first.
    let pc = world.second.sites(1).next().expect("a site");
    let last = 11;
    faults::follow(Plan { serialize: Some(0), scribble: Some((last, pc)), ..Plan::default() });
    let error = update(&mut [world.call(1, 1), world.call(2, 1)]).expect_err("refused");
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotWritable, Some(SERIALIZE_REFUSED)));
    let at = world.second.offset_in_code(pc);
    assert_eq!(world.second.code()[at], BREAKPOINT, "not ours to overwrite");
    let mut after = world.snapshot();
    let ours = at..at + 5;
    after.code[1][ours.clone()].copy_from_slice(&before.code[1][ours]);
    assert_eq!(after, before);
}

#[test]
fn an_instruction_that_is_not_ours_refuses_the_plan() {
    let world = World::new();
    let before = world.snapshot();
    for key in 0..KEYS {
        for image in world.images() {
            for pc in image.sites(key) {
                let byte = image.code()[image.offset_in_code(pc)];
                image.set_code(pc, BREAKPOINT);
                let error = update(&mut [world.call(key, 1)]).expect_err("a breakpoint");
                assert_eq!((error.kind(), error.address()), (ErrorKind::ForeignCode, pc));
                image.set_code(pc, byte);
                let record = faults::record();
                assert!(record.opened.is_empty() && record.written == 0);
                assert_eq!(world.snapshot(), before);
            }
        }
    }
}

#[test]
fn changes_that_cannot_be_are_refused_before_anything_is_read() {
    let world = World::new();
    let before = world.snapshot();
    let no_target = Change::new(world.key(0), core::ptr::null(), Form::Call);
    // So many that they are sorted.
    let mut many: Vec<_> = (0..20).map(|index| world.call(index % KEYS, index)).collect();
    let cases: [(&mut [Change<'_>], _); 3] = [
        (&mut many, ErrorKind::DuplicateKey),
        (&mut [world.call(0, 1), world.call(1, 1), world.call(0, 2)], ErrorKind::DuplicateKey),
        (&mut [world.call(1, 1), no_target], ErrorKind::NoOffState),
    ];
    for (changes, kind) in cases {
        assert_eq!(update(changes).expect_err("refused").kind(), kind);
        assert_eq!(world.snapshot(), before);
    }
    for (index, change) in many.iter().enumerate() {
        assert_eq!(change.state(), world.call(index % KEYS, index).state(), "as the caller passed it");
    }
    assert!(faults::record().opened.is_empty());
}

/// A record that is linked to a key, and belongs to no image of ours.
#[test]
fn a_key_of_another_runtime_is_refused() {
    let world = World::new();
    let before = world.snapshot();
    let key = world.key(0);
    let ours = key.records.load(Ordering::Relaxed);
    let theirs = Record {
        key,
        next: core::cell::Cell::new(ours),
        sites: core::cell::Cell::new(core::ptr::null_mut()),
        count: core::cell::Cell::new(0),
        trampoline: 0,
        saved: core::cell::Cell::new([0; 8]),
    };
    key.records.store(core::ptr::from_ref(&theirs).cast_mut(), Ordering::Relaxed);
    let result = update(&mut [world.call(0, 1)]);
    key.records.store(ours, Ordering::Relaxed);
    assert_eq!(result.expect_err("another runtime").kind(), ErrorKind::OtherRuntime);
    assert_eq!(world.snapshot(), before);
    assert!(faults::record().opened.is_empty());
}

#[test]
fn a_trampoline_is_patched_and_put_back() {
    let world = World::in_mode(Mode::Trampoline);
    let before = world.snapshot();
    faults::follow(Plan { serialize: Some(0), ..Plan::default() });
    update(&mut [world.call(0, 1)]).expect_err("refused");
    assert_eq!(world.snapshot(), before);
    update(&mut [world.call(0, 1)]).expect("nothing is in the way");
    for (image, code) in world.images().into_iter().zip(&before.code) {
        let trampoline = image.trampoline(0);
        let word = image.offset_in_code(trampoline / WORD * WORD);
        assert_ne!(image.code()[word..word + WORD], code[word..word + WORD]);
        for pc in (0..KEYS).flat_map(|key| image.sites(key)) {
            let at = image.offset_in_code(pc);
            assert_eq!(image.code()[at..at + 5], code[at..at + 5], "sites stay");
        }
    }
}

/// As for sites, the word that changes meanwhile is the first one of the batch, the second one, and so on.
#[test]
fn all_other_trampolines_are_put_back_if_one_changes_meanwhile() {
    let world = World::in_mode(Mode::Trampoline);
    // What is out of reach leaves trampolines as the linker made them. So the next update replaces the whole
    // instruction, and not only a displacement, which is stored without a comparison.
    let far = core::ptr::without_provenance(world.first.target(0).addr() ^ 1 << 45);
    update(&mut [0, 1].map(|key| Change::new(world.key(key), far, Form::Call)))
        .expect("nothing is in the way");
    let before = world.snapshot();
    let mut count = 0;
    loop {
        let mut changes = [world.call(1, 1), world.call(0, 2)];
        let Some((word, error)) = update_disturbed(count, &mut changes) else { break };
        assert_eq!((error.kind(), error.address()), (ErrorKind::ForeignCode, word + native::TRAMPOLINE_JUMP));
        assert_eq!(
            changes.map(|change| change.state()),
            [world.call(1, 1), world.call(0, 2)].map(|change| change.state())
        );
        let index = (0..2).find(|&image| (0..2).any(|key| world.images()[image].trampoline(key) == word));
        let index = index.expect("a trampoline");
        let image = world.images()[index];
        let at = image.offset_in_code(word);
        assert_eq!(image.code()[at], BREAKPOINT, "not ours to overwrite");
        image.set_code(word, before.code[index][at]);
        assert_eq!(world.snapshot(), before);
        count += 1;
    }
    // Two keys, in two images.
    assert_eq!(count, 4);
    let jump = |image: &Fabricated, key| image.action(image.trampoline(key) + native::TRAMPOLINE_JUMP);
    for (key, target) in [(0, 2), (1, 1)] {
        let there = Action::Branch(world.first.target(target).addr());
        assert_eq!(world.images().map(|image| jump(image, key)), [there; 2]);
    }
}

#[test]
fn a_trampoline_that_is_not_ours_refuses_the_plan() {
    let world = World::in_mode(Mode::Trampoline);
    update(&mut [world.call(0, 1)]).expect("nothing is in the way");
    faults::record();
    let before = world.snapshot();
    for image in world.images() {
        let pc = image.trampoline(0) + 1;
        let byte = image.code()[image.offset_in_code(pc)];
        image.set_code(pc, BREAKPOINT);
        let error = update(&mut [world.call(0, 2)]).expect_err("a breakpoint");
        assert_eq!((error.kind(), error.address()), (ErrorKind::ForeignCode, pc));
        image.set_code(pc, byte);
        assert_eq!(world.snapshot(), before);
    }
    assert!(faults::record().opened.is_empty());
}

/// Of `static_call.h`: changes that no update can make do not change the array, either.
#[test]
fn a_batch_of_c_that_is_refused_stays_as_it_is() {
    let world = World::with_branches();
    let before = world.snapshot();
    let [switched_off, zero] =
        [Change::off(world.key(1)), Change::off(world.key(2))].map(|change| change.state());
    let change =
        |key: &Key, target: *const (), form, wish| CChange { key, target: target.cast(), form, wish };
    let null = core::ptr::null();
    let accepted = || {
        [
            change(world.key(0), world.first.target(1), 0, 99),
            change(world.key(1), null, 0, 99),
            change(world.key(2), null, 2, 99),
            change(world.first.branch_key(0), world.first.target(1), 99, 1),
        ]
    };
    let fields = |changes: &[CChange]| -> Vec<_> {
        changes.iter().map(|c| (c.key, c.target.cast::<()>(), c.form, c.wish)).collect()
    };
    // SAFETY: keys, and targets that nobody calls.
    let make =
        |changes: &mut [CChange]| unsafe { c::static_call_update_batch(changes.as_mut_ptr(), changes.len()) };
    for refused in [
        change(world.key(0), null, 0, 0),
        change(world.key(1), null, 2, 0),
        change(world.key(2), null, 0, 0),
        change(world.first.branch_key(1), null, 0, 99),
    ] {
        let [first, second, third, fourth] = accepted();
        let mut changes = [first, second, third, fourth, refused];
        let passed = fields(&changes);
        assert_eq!(make(&mut changes), -22, "-EINVAL");
        assert_eq!(fields(&changes), passed);
        assert_eq!(world.snapshot(), before);
    }
    let mut changes = accepted();
    assert_eq!(make(&mut changes), 0);
    let made = [
        (0, world.first.target(1), Form::Call),
        (1, switched_off.target, switched_off.form),
        (2, zero.target, zero.form),
    ];
    for (key, target, form) in made {
        assert_eq!(State::of(world.key(key)), State { target, form });
    }
    assert_eq!(State::of(world.first.branch_key(0)).target.addr(), 1);
    assert_eq!(make(&mut changes), 0, "the same call undoes it");
    assert_eq!(world.snapshot(), before);
}
