//! Static branches: their tables, and updates of their keys.

use std::vec::Vec;

use static_call_abi::Key;

use super::fabricated::{BRANCH_KEYS, BRANCHES, Fabricated};
use super::faults::{self, BREAKPOINT, Plan};
use super::world::{World, register, unregister, update};
use crate::arch::Action;
use crate::change::{Change, State, Wish};
use crate::critical;
use crate::error::ErrorKind;
use crate::image;
use crate::info;
use crate::mode::{self, Mode, Reason};
use crate::seal;
use crate::tables;
use crate::update as updates;

fn change(key: &'static Key, wish: Wish) -> Change<'static> {
    Change::branch(key, wish)
}

fn ask(world: &World, key: usize, wish: Wish) -> Result<(), ErrorKind> {
    update(&mut [change(world.first.branch_key(key), wish)]).map_err(|error| error.kind())
}

fn count(world: &World, key: usize) -> usize {
    State::of(world.first.branch_key(key)).target.addr()
}

/// Each branch goes where its key says; the one that does not lie in one word looks at it.
fn assert_follow(world: &World) {
    for image in world.images() {
        for branch in 0..BRANCHES {
            let is_on = count(world, Fabricated::key_of_branch(branch)) != 0;
            let expected = if !Fabricated::lies_in_one_word(branch) {
                Action::Branch(image.check(branch))
            } else if Fabricated::jumps(branch).jumps(is_on) {
                Action::Branch(image.branch_target(branch))
            } else {
                Action::Nop
            };
            assert_eq!(image.branch_action(branch), expected, "branch {branch}, which is on: {is_on}");
        }
    }
}

fn assert_unpatched(image: &Fabricated) {
    for branch in 0..BRANCHES {
        assert_eq!(image.branch_action(branch), Action::Branch(image.check(branch)), "branch {branch}");
    }
}

#[test]
fn branches_follow_their_keys() {
    let world = World::with_branches();
    assert_eq!((count(&world, 0), count(&world, 1)), (0, 1));
    assert_follow(&world);
    world.assert_direct();
    for (key, wish) in
        [(0, Wish::On), (1, Wish::Off), (0, Wish::Off), (1, Wish::Inc), (1, Wish::Dec), (0, Wish::Inc)]
    {
        assert_eq!(ask(&world, key, wish), Ok(()));
        assert_follow(&world);
        world.assert_direct();
        let record = faults::record();
        assert_eq!((record.opened.len(), record.serialized), (2, 1));
        assert_eq!(record.opened, record.closed);
        assert!(!world.images().into_iter().any(Fabricated::has_marks));
    }
}

/// Code changes only between zero and one.
#[test]
fn counts_are_kept_and_have_limits() {
    let world = World::with_branches();
    for (wish, expected, result) in [
        (Wish::Dec, 0, Err(ErrorKind::Count)),
        (Wish::Off, 0, Ok(())),
        (Wish::Inc, 1, Ok(())),
        (Wish::Inc, 2, Ok(())),
        (Wish::On, 2, Ok(())),
        (Wish::Off, 2, Err(ErrorKind::Count)),
        (Wish::Dec, 1, Ok(())),
        (Wish::On, 1, Ok(())),
        (Wish::Dec, 0, Ok(())),
        (Wish::On, 1, Ok(())),
        (Wish::Off, 0, Ok(())),
    ] {
        let before = count(&world, 0);
        faults::record();
        assert_eq!(ask(&world, 0, wish), result, "{wish:?} at {before}");
        assert_eq!(count(&world, 0), expected);
        assert_eq!(faults::record().written != 0, (before == 0) != (expected == 0), "{wish:?} at {before}");
        assert_follow(&world);
    }
    let most = core::ptr::without_provenance(isize::MAX.unsigned_abs());
    let mut undo = [Change::new(world.first.branch_key(0), most, static_call_abi::Form::Call)];
    update(&mut undo).expect("nothing is in the way");
    assert_eq!(ask(&world, 0, Wish::Inc), Err(ErrorKind::Count));
    assert_eq!(count(&world, 0), isize::MAX.unsigned_abs());
    update(&mut undo).expect("it holds what was before");
    assert_eq!(count(&world, 0), 0);
    assert_follow(&world);
}

/// Counting needs no right to write code.
#[test]
fn a_branch_that_stays_on_is_counted_without_a_window() {
    let world = World::with_branches();
    faults::follow(Plan { open: Some(0), ..Plan::default() });
    assert_eq!(ask(&world, 1, Wish::Inc), Ok(()));
    assert_eq!(ask(&world, 1, Wish::Dec), Ok(()));
    assert!(faults::record().opened.is_empty());
    assert_eq!(ask(&world, 1, Wish::Dec), Err(ErrorKind::NotWritable));
    assert_eq!(count(&world, 1), 1);
}

#[test]
fn functions_and_branches_change_together_or_not_at_all() {
    let world = World::with_branches();
    let before = world.snapshot();
    let changes = || {
        [
            world.call(0, 1),
            change(world.first.branch_key(0), Wish::On),
            world.call(1, 1),
            change(world.first.branch_key(1), Wish::Off),
        ]
    };
    let mut count = 0;
    loop {
        faults::follow(Plan { disturb: Some(count), ..Plan::default() });
        let mut refused = changes();
        let result = update(&mut refused);
        let Some(word) = faults::record().disturbed else {
            result.expect("nothing was in the way");
            break;
        };
        count += 1;
        let image = world.images().into_iter().find(|image| {
            (0..0x1000).contains(&word.wrapping_sub(image.header().addr()).wrapping_sub(0x1000))
        });
        let image = image.expect("code of one of them");
        let is_first = core::ptr::eq(image, &world.first);
        let original = before.code[usize::from(!is_first)][image.offset_in_code(word)];
        if result.is_ok() {
            // Only a displacement changed, which is stored without a look at the opcode.
            image.set_code(word, original);
            faults::follow(Plan::default());
            let back = refused;
            update(&mut { back }).expect("it holds what was before");
        } else {
            image.set_code(word, original);
            assert!(refused.iter().zip(changes()).all(|(one, other)| one.wish == other.wish));
        }
        assert_eq!(world.snapshot(), before, "disturbed at {count}");
    }
    assert!(count > 10, "each word of both kinds");
    assert_follow(&world);
    world.assert_direct();
    for plan in [Plan { open: Some(1), ..Plan::default() }, Plan { serialize: Some(0), ..Plan::default() }] {
        let before = world.snapshot();
        faults::follow(plan);
        let mut back = [world.call(0, 2), change(world.first.branch_key(0), Wish::Off)];
        update(&mut back).expect_err("refused");
        assert_eq!(world.snapshot(), before);
    }
}

#[test]
fn one_key_twice_is_refused() {
    let world = World::with_branches();
    let key = world.first.branch_key(0);
    let error = update(&mut [change(key, Wish::Inc), change(key, Wish::Inc)]).expect_err("twice");
    assert_eq!((error.kind(), count(&world, 0)), (ErrorKind::DuplicateKey, 0));
}

/// Calls and branches return to what the linker made; the image can be loaded once more.
#[test]
fn branches_look_at_their_keys_again_when_an_image_goes() {
    for make in [Fabricated::with_branches, Fabricated::with_branches_alone] {
        let world = World::with_unregistered_branches(make);
        mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
        let before = world.images().map(|image| image.code());
        for _ in 0..3 {
            world.images().into_iter().for_each(register);
            assert_follow(&world);
            assert_eq!(ask(&world, 0, Wish::On), Ok(()));
            assert_follow(&world);
            unregister(&world.second);
            assert_eq!(world.second.code(), before[1]);
            assert_unpatched(&world.second);
            assert_eq!(ask(&world, 0, Wish::Off), Ok(()));
            unregister(&world.first);
            assert_eq!(world.first.code(), before[0]);
        }
    }
}

#[test]
fn branches_stay_as_they_are_in_other_modes() {
    for mode in [Mode::Trampoline, Mode::Generic] {
        let world = World::with_unregistered_branches(Fabricated::with_branches);
        mode::set(mode, &critical::enter().expect("no update is under way"));
        world.images().into_iter().for_each(register);
        for wish in [Wish::On, Wish::Off] {
            assert_eq!(ask(&world, 0, wish), Ok(()));
            world.images().into_iter().for_each(assert_unpatched);
        }
        assert_eq!(count(&world, 0), 0);
    }
}

#[test]
fn a_debuggers_breakpoint_leaves_one_branch_alone() {
    let world = World::with_unregistered_branches(Fabricated::with_branches);
    mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
    let pc = world.first.branch(2);
    let there = world.first.code()[world.first.offset_in_code(pc)];
    world.first.set_code(pc, BREAKPOINT);
    world.images().into_iter().for_each(register);
    assert_eq!(ask(&world, 0, Wish::On), Ok(()));
    assert_eq!(world.first.code()[world.first.offset_in_code(pc)], BREAKPOINT);
    world.first.set_code(pc, there);
    assert_eq!(world.first.branch_action(2), Action::Branch(world.first.check(2)));
    assert_eq!(world.first.branch_action(0), Action::Branch(world.first.branch_target(0)));
    // Set later, it is in the way.
    let pc = world.first.branch(0);
    let there = world.first.code()[world.first.offset_in_code(pc)];
    world.first.set_code(pc, BREAKPOINT);
    assert_eq!(ask(&world, 0, Wish::Off), Err(ErrorKind::ForeignCode));
    world.first.set_code(pc, there);
    assert_eq!(ask(&world, 0, Wish::Off), Ok(()));
}

/// Each field of each entry, and records and keys of the other kind.
#[test]
fn a_damaged_branch_table_is_not_believed() {
    type Damage = fn(&Fabricated, usize);
    let damages: Vec<(&str, Damage)> = Vec::from([
        ("no instruction", (|image: &Fabricated, at: usize| add(image, at, 0, 3)) as Damage),
        ("out of the image", |image, at| add(image, at, 0, 0x10_0000)),
        ("in the data", |image, at| add(image, at, 0, 0x2000)),
        ("a target out of the image", |image, at| add(image, at, 1, 0x10_0000)),
        ("a target before it", |image, at| add(image, at, 1, -0x10_0000)),
        ("the record of a function", |image, at| add(image, at, 2, -80)),
        ("no record", |image, at| add(image, at, 2, 8)),
        ("a record before the table", |image, at| add(image, at, 2, -400)),
        ("a record behind the table", |image, at| add(image, at, 2, 400)),
        ("a jump to its target", |image, at| {
            let target = image.branch_target(at);
            jump(image, at, target);
        }),
        ("a jump to itself", |image, at| jump(image, at, image.branch(at))),
        ("a jump out of the image", |image, at| jump(image, at, image.branch(at) + 0x10_0000)),
        ("a no-op", |image, at| {
            [0x0f, 0x1f, 0x44, 0, 0].into_iter().enumerate().for_each(|(index, byte)| {
                image.set_code(image.branch(at) + index, byte);
            });
        }),
        ("a call", |image, at| image.set_code(image.branch(at), 0xe8)),
        ("other code that is jumped to", |image, at| image.set_code(image.check(at) + 4, 0x81)),
        ("a function's key", |image, at| {
            let record = image.record(super::fabricated::KEYS + Fabricated::key_of_branch(at));
            // SAFETY: a record of the memory, which nobody else uses.
            unsafe { (*record).key = image.key(0) };
        }),
        ("a branch's key of a function", |image, _| {
            // SAFETY: as above.
            unsafe { (*image.record(0)).key = image.branch_key(0) };
        }),
    ]);
    for (what, damage) in &damages {
        for branch in 0..BRANCHES {
            let world = World::with_unregistered_branches(Fabricated::with_branches);
            mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
            damage(&world.first, branch);
            let (code, table) = (world.first.code(), world.first.branch_table());
            world.images().into_iter().for_each(register);
            let descriptor = world.first.descriptor();
            let reason = Reason::of_image(descriptor.reason.get());
            assert_eq!((descriptor.state.get(), reason), (0, Reason::Damaged), "{what}, branch {branch}");
            assert!(world.first.code() == code, "{what}, branch {branch}");
            assert!(world.first.branch_table() == table, "{what}, branch {branch}");
            assert_eq!(ask(&world, 0, Wish::On), Ok(()), "the other image follows");
            assert!(world.first.code() == code, "{what}, branch {branch}");
        }
    }
}

/// Whatever stands in the table: code changes nowhere but at branches, and is the linker's again in the end.
#[test]
fn random_damage_of_the_table_does_no_harm() {
    let mut state = 1u64;
    let mut random = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut refused = 0;
    for _ in 0..300 {
        let world = World::with_unregistered_branches(Fabricated::with_branches);
        mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
        let mut table = world.first.branch_table();
        for _ in 0..=random(3) {
            let at = random(table.len());
            table[at] = if random(2) == 0 { table[at] ^ 1 << random(8) } else { random(256) as u8 };
        }
        if random(4) == 0 {
            // The instruction of a call, which may be a jump as well.
            let site = world.first.sites(random(super::fabricated::KEYS)).nth(random(4));
            let at = random(BRANCHES) * 12;
            let distance =
                site.map(|site| site.wrapping_sub(world.first.descriptor().branches.addr() + at) as i32);
            table[at..at + 4].copy_from_slice(&distance.unwrap_or(0).to_ne_bytes());
        }
        world.first.set_branch_table(&table);
        let before = world.images().map(|image| image.code());
        world.images().into_iter().for_each(register);
        refused += usize::from(world.first.descriptor().state.get() == 0);
        for wish in [Wish::On, Wish::Off] {
            let _ = ask(&world, 0, wish);
            let now = world.first.code();
            let mut changed = (0..now.len()).filter(|&at| now[at] != before[0][at]);
            let is_ours = |at: usize| {
                let is_in = |pc: usize| (0..5).contains(&at.wrapping_sub(world.first.offset_in_code(pc)));
                (0..BRANCHES).any(|branch| is_in(world.first.branch(branch)))
                    || (0..super::fabricated::KEYS).any(|key| world.first.sites(key).any(is_in))
            };
            assert!(changed.all(is_ours));
            if world.first.descriptor().state.get() != 0 {
                world.assert_direct();
            }
        }
        world.images().into_iter().for_each(unregister);
        assert!(world.images().map(|image| image.code()) == before);
    }
    assert!(refused > 150, "{refused}");
}

fn add(image: &Fabricated, branch: usize, field: usize, by: i32) {
    let mut table = image.branch_table();
    let at = branch * 12 + 4 * field;
    let value = i32::from_ne_bytes(table[at..at + 4].try_into().expect("four bytes")) + by;
    table[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    image.set_branch_table(&table);
}

fn jump(image: &Fabricated, branch: usize, to: usize) {
    let distance = to.wrapping_sub(image.branch(branch) + 5) as i32;
    for (index, byte) in distance.to_ne_bytes().into_iter().enumerate() {
        image.set_code(image.branch(branch) + 1 + index, byte);
    }
}

/// A branch may ask whether a hook has a function.
#[test]
fn branches_of_a_hook_follow_it() {
    let world = World::with_unregistered_branches(Fabricated::with_branches);
    mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
    for image in world.images() {
        // SAFETY: a record of the memory, which nobody else uses.
        unsafe { (*image.record(super::fabricated::KEYS)).key = world.key(1) };
    }
    world.images().into_iter().for_each(register);
    // Each image has two records of it.
    let info = info::count(world.key(1), &critical::enter().expect("no update is under way"));
    assert_eq!((info.images, info.keys, info.branches), (2, 2, 8));
    let check = |is_on: bool| {
        for image in world.images() {
            let branches = (0..BRANCHES).filter(|&branch| {
                Fabricated::key_of_branch(branch) == 0 && Fabricated::lies_in_one_word(branch)
            });
            for branch in branches {
                let jump = Action::Branch(image.branch_target(branch));
                let jumps = Fabricated::jumps(branch).jumps(is_on);
                assert_eq!(image.branch_action(branch), if jumps { jump } else { Action::Nop });
            }
        }
        world.assert_direct();
    };
    check(false);
    for target in [1, 2] {
        update(&mut [world.call(1, target)]).expect("nothing is in the way");
        check(true);
    }
    update(&mut [Change::off(world.key(1))]).expect("nothing is in the way");
    check(false);
}

#[test]
fn branches_are_counted() {
    let _world = World::with_branches();
    let mut found = Vec::new();
    image::for_each(&critical::enter().expect("no update is under way"), |image| {
        for record in tables::records(image).filter(|record| record.is_branch()) {
            let sites = updates::count_sites(record, image);
            found.push((sites.all, sites.direct));
        }
    });
    assert_eq!(found, [(4, 3), (3, 3), (4, 3), (3, 3)]);
    assert_eq!(BRANCH_KEYS, 2);
}

#[test]
fn a_sealed_branch_stays_as_it_is() {
    let world = World::with_branches();
    seal::protect_own().expect("keys, records and branches are on pages of their own");
    assert_eq!(ask(&world, 0, Wish::On), Err(ErrorKind::Sealed));
    assert_follow(&world);
}
