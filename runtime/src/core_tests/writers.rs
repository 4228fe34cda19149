//! The runtime's own writers where they are refused. Fabricated code is memory that is shared with its alias,
//! and that only the alias may write: `/proc/self/mem` does not write to it, either.

use super::faults::Faulty;
use super::world::{World, register, unregister, update};
use crate::critical;
use crate::error::ErrorKind;
use crate::image::ImageState;
use crate::mode::{self, Mode, Reason};
use crate::operations;
use crate::sealed;
use crate::writer::{self, Writer, breakpoint};

/// While this lives, the runtime writes code like this, and not through the tests' own writer.
struct With;

impl With {
    fn new(writer: Writer) -> Self {
        let lock = critical::enter().expect("no update is under way");
        sealed::unset_custom(&lock);
        writer::set(writer, &lock);
        Self
    }
}

impl Drop for With {
    fn drop(&mut self) {
        let lock = critical::enter().expect("no update is under way");
        breakpoint::leave(&lock);
        writer::set(Writer::Window, &lock);
        drop(lock);
        operations::set_writer(&Faulty).expect("no update is under way");
    }
}

#[test]
fn nothing_changes_without_a_writer() {
    let world = World::new();
    let before = world.snapshot();
    let with = With::new(Writer::None);
    let mut changes = [world.call(0, 1), world.call(1, 1)];
    let error = update(&mut changes).expect_err("nothing writes");
    assert_eq!((error.kind(), error.address(), error.raw_os_error()), (ErrorKind::NotWritable, 0, None));
    assert_eq!(world.snapshot(), before);
    assert_eq!(changes[0].state().target, world.first.target(1), "as the caller passed it");
    drop(with);
    update(&mut changes).expect("nothing is in the way any more");
    world.assert_direct();
}

#[test]
fn breakpoints_that_cannot_be_written_leave_everything_as_it_is() {
    let world = World::new();
    let before = world.snapshot();
    let with = With::new(Writer::Breakpoint);
    let mut changes = [world.call(0, 1), world.call(1, 1)];
    let error = update(&mut changes).expect_err("the code cannot be written");
    assert_eq!(error.kind(), ErrorKind::NotWritable);
    // The site with the lowest address comes first.
    let sites = world.images().into_iter().flat_map(|image| image.sites(0).chain(image.sites(1)));
    assert_eq!(Some(error.address()), sites.min());
    assert!(error.raw_os_error().is_some());
    assert_eq!(world.snapshot(), before);
    assert_eq!(changes[0].state().target, world.first.target(1), "as the caller passed it");
    drop(with);
    update(&mut changes).expect("nothing is in the way any more");
    world.assert_direct();
}

#[test]
fn an_image_that_no_writer_writes_stays_as_it_is() {
    for writer in [Writer::None, Writer::Breakpoint] {
        let world = World::unregistered();
        let before = world.first.code();
        let with = With::new(writer);
        mode::set(Mode::Inline, &critical::enter().expect("no update is under way"));
        register(&world.first);
        let descriptor = world.first.descriptor();
        let found =
            (ImageState::from_wire(descriptor.state.get()), Reason::of_image(descriptor.reason.get()));
        assert_eq!(found, (Some(ImageState::Registered), Reason::NotWritable), "{writer}");
        assert_eq!(world.first.code(), before);
        unregister(&world.first);
        drop(with);
        register(&world.first);
        let direct = world.first.code();
        assert_ne!(direct, before);
        // Its calls cannot go back.
        let with = With::new(writer);
        unregister(&world.first);
        assert_eq!(world.first.code(), direct, "{writer}");
        drop(with);
    }
}
