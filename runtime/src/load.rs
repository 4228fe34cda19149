//! What happens when an image is loaded and unloaded, and when its calls may become direct after all.
//!
//! # Safety
//!
//! As for `image.rs`.

use core::sync::atomic::{AtomicPtr, Ordering};

use static_call_abi::{Image, VERSION};

use crate::at_start;
use crate::format;
use crate::image::{self, ImageState};
use crate::journal::{self, Operation, Step};
use crate::lock::Guard;
use crate::log::{self, log};
use crate::mode::{self, Mode, Reason};
use crate::os;
use crate::protect;
use crate::refusal;
use crate::resolve;
use crate::sealed;
use crate::tables::{self, records};
use crate::text::Text;
use crate::update;
use crate::writer::alias;
use crate::writer::breakpoint;
use crate::writer::window;

/// The first of the images that stay registered to the end. When the program itself unregisters, the process
/// is ending, and dynamic linkers unmap none of the images that are loaded then: their calls follow the keys
/// until the end.
static STAYING: AtomicPtr<Image> = AtomicPtr::new(core::ptr::null_mut());

/// Registers an image: sorts its sites by record, links its records to their keys, and makes its calls direct
/// where the process may do that.
///
/// # Safety
///
/// `image` is a descriptor made by the pass, see the head of `image.rs`, and `header` is its image's
/// header, or null.
pub(crate) unsafe fn register(image: *mut Image, header: *const u8, lock: &Guard) {
    // SAFETY: the caller's promise; the lock is held.
    let descriptor = unsafe { &*image };
    if descriptor.state.get() != ImageState::Unregistered.to_wire() {
        return;
    }
    let mut is_known = false;
    image::for_each(lock, |other| is_known |= core::ptr::eq(other.records, descriptor.records));
    if is_known && !descriptor.records.is_null() {
        // Running link-time optimization twice may leave an image with two descriptors. Registering its
        // tables again would make updates miss its sites.
        log!("image at {header:p}: has a second descriptor, which is ignored");
        return;
    }
    descriptor.header.set(header);
    let Ok(_opened) = sealed::open(lock) else {
        log!("image at {header:p}: not registered: the process is sealed, and can no longer protect memory");
        return;
    };
    image::note_loading(image, lock);
    journal::begin(Operation::Load, image, lock);
    // SAFETY: as above.
    match unsafe { image::link(descriptor, lock) } {
        Ok(()) => {
            // It may have been refused earlier, and be loaded again now.
            descriptor.reason.set(Reason::None.to_wire());
            window::prepare(descriptor);
            descriptor.state.set(ImageState::Registered.to_wire());
            image::push(image, lock);
            journal::step(Step::Preparing, lock);
            resolve::resolve(descriptor, lock);
            at_start::enable(descriptor, lock);
            patch(descriptor, lock);
            if sealed::is_set(lock)
                && let Err(error) = protect::protect_late(descriptor, lock)
            {
                log!("image at {:p}: {error}", descriptor.header.get());
            }
        }
        Err(reason) => {
            refuse(descriptor, reason, lock);
            mode::for_images(lock);
            mode::note_image(reason, Mode::Generic, lock);
        }
    }
    if !log::is_on() {
        return;
    }
    let (sites, branches) = tables::count_entries(descriptor);
    let keys = records(descriptor).filter(|record| !image::is_repeated(record, descriptor)).count();
    log!(
        "image at {:p}: {sites} sites{} of {keys} keys, {}; writer: {}",
        descriptor.header.get(),
        Branches(branches),
        match Reason::of_image(descriptor.reason.get()) {
            Reason::None => mode::of_process().0.as_str(),
            reason => reason.as_str(),
        },
        mode::writer_of_process(),
    );
    if sites == 0 && records(descriptor).any(|record| !record.is_branch()) {
        log!(
            "image at {:p}: none of its calls is recorded: they go through trampolines, since they were \
             compiled without the pass (by gcc: without static-call-as); or the linker had no pass (-flto), \
             or took its code from a cache of links without it",
            descriptor.header.get()
        );
    }
    if is_program(descriptor) {
        at_start::report(lock);
        resolve::report(lock);
    }
}

/// How many branches there are, in the log's line about an image.
struct Branches(usize);

impl core::fmt::Display for Branches {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " and {} branches", self.0) }
    }
}

/// Records why an image stays on its trampolines.
fn refuse(image: &Image, reason: Reason, lock: &Guard) {
    // The version of a key may be another one, too. Then the image's own layout is known.
    if image.version != VERSION {
        image::add_unknown(lock);
        if sealed::is_set(lock) {
            log!(
                "image at {:p}: its keys are not protected, since another version of the pass made them",
                image.header.get()
            );
        }
        return;
    }
    image.reason.set(reason.to_wire());
    image::push_refused(image, lock);
    at_start::enable(image, lock);
    if sealed::is_set(lock) {
        resolve::resolve(image, lock);
        if let Err(error) = protect::protect_late(image, lock) {
            log!("image at {:p}: {error}", image.header.get());
        }
    }
}

/// Forgets an image that is about to be unloaded, or whose process ends: the destructor cannot know which.
///
/// # Safety
///
/// As for [`register`].
pub(crate) unsafe fn unregister(image: *mut Image, lock: &Guard) {
    // SAFETY: the caller's promise; the lock is held.
    if is_program(unsafe { &*image }) {
        if !os::EXIT_KEEPS_IMAGES {
            // It is never unmapped, and other functions that run at the exit may still update and call.
            return;
        }
        STAYING.store(image::first(lock), Ordering::Relaxed);
    }
    if !stays(image, lock) {
        release(image, lock);
    }
}

/// Whether this is the program that was started, which no dynamic linker ever unmaps. glibc runs its
/// destructors first, and before that adds a reference to every image.
fn is_program(image: &Image) -> bool {
    const FIRST_PAGE: usize = 4096;
    let header = image.header.get();
    !header.is_null() && os::program().wrapping_sub(header.addr()) < FIRST_PAGE
}

/// Whether an image stays mapped whatever happens.
fn stays(image: *mut Image, _lock: &Guard) -> bool {
    let mut next = STAYING.load(Ordering::Relaxed);
    while !next.is_null() && next != image {
        // SAFETY: an image that stays never leaves the list.
        next = unsafe { (*next).next.get() };
    }
    !next.is_null()
}

fn is_registered(image: *const Image, lock: &Guard) -> bool {
    let mut is_registered = false;
    image::for_each(lock, |other| is_registered |= core::ptr::eq(other, image));
    is_registered
}

/// Takes an image out of all lists, if it is in one. Its calls go back to the trampolines, which work without
/// the runtime.
pub(crate) fn release(image: *mut Image, lock: &Guard) {
    if !is_registered(image, lock) {
        return image::forget_refused(image, lock);
    }
    journal::begin(Operation::Unload, image, lock);
    refusal::forget_all(lock);
    // SAFETY: a registered image is alive, see the module's head.
    let descriptor = unsafe { &*image };
    // After the seal no key changes any more, so the calls stay correct. And tables that may have been
    // overwritten since the image was loaded must not decide where code is written.
    if image::is_patched(descriptor)
        && !sealed::is_set(lock)
        && let Err(error) = update::unload(descriptor, lock)
    {
        log!("image at {:p}: its calls stay where they are: {error}", descriptor.header.get());
    }
    // SAFETY: the header of a registered image.
    for segment in unsafe { format::code_segments(descriptor.header.get()) } {
        breakpoint::forget(segment.start..segment.end, lock);
        alias::forget(segment.start..segment.end, lock);
    }
    // After the seal nobody follows the lists, and they are read-only.
    if !sealed::is_set(lock) {
        image::unlink_records(descriptor);
    }
    image::remove(image, lock);
    descriptor.state.set(ImageState::Unregistered.to_wire());
    log!("image at {:p}: unloaded", descriptor.header.get());
}

/// In a child that inherited an image in the middle of its registration, with all its calls on their
/// trampolines. If the image is in the list, its registration continues. Otherwise it stays on its
/// trampolines; `is_linking` says whether some of its records may be linked.
pub(crate) fn recover(image: *mut Image, is_linking: bool, lock: &Guard) {
    // SAFETY: the image is mapped in the child as it was in the parent.
    let descriptor = unsafe { &*image };
    if is_registered(image, lock) {
        journal::step(Step::Preparing, lock);
        descriptor.state.set(ImageState::Registered.to_wire());
        resolve::resolve(descriptor, lock);
        at_start::enable(descriptor, lock);
        patch(descriptor, lock);
        if sealed::is_set(lock) {
            let _ = protect::protect_late(descriptor, lock);
        }
    } else {
        if is_linking {
            image::unlink_records(descriptor);
        }
        descriptor.state.set(ImageState::Unregistered.to_wire());
    }
}

/// Makes the calls of a new image direct, if this process patches code.
fn patch(image: &Image, lock: &Guard) {
    let mode = mode::for_images(lock);
    if mode == Mode::Generic {
        image.reason.set(mode::of_process().1.to_wire());
        return;
    }
    if records(image).next().is_none() {
        return;
    }
    let has_sites = records(image).any(|record| record.count.get() != 0);
    let best = if has_sites { mode } else { Mode::Trampoline };
    let text = Text::of(image);
    if records(image).all(|record| update::waits(record, mode, text)) {
        image.state.set(ImageState::Patched.to_wire());
        return mode::note_image(Reason::None, best, lock);
    }
    let reason = mode::prepare(lock).err().unwrap_or(Reason::None);
    if reason == Reason::None {
        journal::begin(Operation::Load, core::ptr::from_ref(image).cast_mut(), lock);
        image.state.set(ImageState::Patched.to_wire());
        if let Err(error) = update::load(image, mode, lock) {
            image.state.set(ImageState::Registered.to_wire());
            image.reason.set(Reason::of_error(&error).to_wire());
            log!("image at {:p}: {error}", image.header.get());
        } else {
            mode::note_patched(lock);
        }
    } else {
        image.reason.set(reason.to_wire());
    }
    mode::note_image(Reason::of_image(image.reason.get()), best, lock);
}

/// Makes the calls of those registered images direct that could not be patched so far.
pub(crate) fn patch_all(lock: &Guard) {
    image::for_each(lock, |image| {
        if image.state.get() == ImageState::Registered.to_wire() {
            image.reason.set(Reason::None.to_wire());
            patch(image, lock);
        }
    });
}
