//! The seal, and pages that cannot be protected.

use super::fabricated::Fabricated;
use super::faults::{self, PROTECT_REFUSED, Plan};
use super::world::{World, register, unregister, update};
use crate::error::ErrorKind;
use crate::operations;
use crate::page::PAGE;
use crate::seal;

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
