//! All keys that the runtime knows: those in the sections of its images, whether anything uses them or not,
//! and those that records name elsewhere (in the program's own structures, in images without a descriptor).
//!
//! # Safety
//!
//! A section consists of keys, the anchors of descriptors, and zeros between them, and is mapped as long as
//! its image is known. Keys are told from the rest by what they contain. As for `image.rs`, images only come
//! and go under the lock; so keys are references for as long as the lock is held.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use static_call_abi::{BRANCH, DISPATCH, Form, Image, Key, PLAIN_RESOLVER, VERSION};

use crate::image;
use crate::lock::Guard;
use crate::room::Room;
use crate::sealed;
use crate::tables;

/// Calls `visit` with each key, once.
pub(crate) fn for_each<'lock>(lock: &'lock Guard, visit: &mut dyn FnMut(&'lock Key)) {
    image::for_each_known(lock, |image| Section::of(image, lock).for_each(&mut *visit));
    for_each_elsewhere(lock, visit);
}

/// Calls `visit` with each key that lies in no section, once.
fn for_each_elsewhere<'lock>(lock: &'lock Guard, visit: &mut dyn FnMut(&'lock Key)) {
    image::for_each(lock, |image| {
        for record in tables::records(image).filter(|record| is_elsewhere(record.key, image, lock)) {
            // SAFETY: the registration has checked the key.
            let key: &'lock Key = unsafe { &*record.key };
            // One of its records is the first.
            if core::ptr::eq(key.records.load(Ordering::Relaxed), record) {
                visit(key);
            }
        }
    });
}

/// The keys that an image defines or uses, while none of its branches and calls is patched yet.
pub(crate) fn of_image<'lock>(image: &'lock Image, lock: &'lock Guard) -> impl Iterator<Item = &'lock Key> {
    let is_registered = image.state.get() != image::ImageState::Unregistered.to_wire();
    // Those that another image defines, which may not be registered itself. The records of an image that was
    // refused are not believed.
    let records = tables::records(image).filter(move |_| is_registered);
    // SAFETY: the registration has checked the keys.
    let used = records.map(|record| unsafe { &*record.key });
    // Whoever else has a record of such a key has patched its own branches.
    let own = Section::of(image, lock)
        .filter(move |key| is_registered || key.records.load(Ordering::Relaxed).is_null());
    own.chain(used)
}

/// The keys that lie in no section, by address. None if there is no memory for the list, and after the seal,
/// when anybody might have written there.
///
/// It is made anew when an image has come or gone. So a walk of all keys does not look at all records for
/// each of them.
fn elsewhere(lock: &Guard) -> Option<&[&Key]> {
    static KEYS: Room<&Key> = Room::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    /// The number of the lists of images that the list is made of, or 0.
    static MADE_OF: AtomicUsize = AtomicUsize::new(0);

    if sealed::is_set(lock) {
        return None;
    }
    let lists = image::number_of_lists(lock);
    if MADE_OF.load(Ordering::Relaxed) != lists {
        let mut count = 0;
        for_each_elsewhere(lock, &mut |_| count += 1);
        let memory: *mut &Key = KEYS.of(count, lock).ok()?.cast();
        // A child of fork(2) in the middle of this makes its own.
        MADE_OF.store(0, Ordering::Release);
        count = 0;
        for_each_elsewhere(lock, &mut |key| {
            // SAFETY: there is room for as many; nothing has changed since they were counted.
            unsafe { memory.add(count).write(key) };
            count += 1;
        });
        COUNT.store(count, Ordering::Relaxed);
        if count > 0 {
            // SAFETY: so many are written, and nobody else has the memory.
            let keys = unsafe { core::slice::from_raw_parts_mut(memory, count) };
            keys.sort_unstable_by_key(|key| address(key));
        }
        MADE_OF.store(lists, Ordering::Release);
    }
    let count = COUNT.load(Ordering::Relaxed);
    if count == 0 {
        return Some(&[]);
    }
    let memory: *const &Key = KEYS.of(count, lock).ok()?.cast_const().cast();
    // SAFETY: as many are there. They are keys as long as no image comes or goes, which takes the lock.
    Some(unsafe { core::slice::from_raw_parts(memory, count) })
}

/// The wanted key with the lowest address above `after`.
///
/// Images may come and go between two calls: a key that is there all the time is found once if each call
/// starts at the key that the last one has found.
pub(crate) fn next<'lock>(
    after: usize,
    is_wanted: impl Fn(&Key) -> bool,
    lock: &'lock Guard,
) -> Option<&'lock Key> {
    let mut from = after;
    let mut best: Option<&'lock Key> = None;
    while best.is_none()
        && let Some(section) = Section::lowest(from, lock)
    {
        from = section.end;
        best = section.after(after).find(|key| address(key) > after && is_wanted(key));
    }
    let is_better =
        |key: usize, best: Option<&Key>| key > after && best.is_none_or(|best| key < address(best));
    if let Some(keys) = elsewhere(lock) {
        let keys = &keys[keys.partition_point(|key| address(key) <= after)..];
        let mut nearer = keys.iter().take_while(|key| is_better(address(key), best));
        return nearer.find(|key| is_wanted(key)).copied().or(best);
    }
    image::for_each(lock, |image| {
        let own = range(image);
        for record in tables::records(image) {
            if is_better(record.key.addr(), best) && !own.contains(&record.key.addr()) {
                // SAFETY: the registration has checked the key.
                let key: &'lock Key = unsafe { &*record.key };
                best = Some(key).filter(|key| is_wanted(key)).or(best);
            }
        }
    });
    best
}

/// The keys in an image's section, in the order of their addresses.
pub(crate) struct Section<'lock> {
    start: *const Key,
    next: usize,
    end: usize,
    _lock: &'lock Guard,
}

impl<'lock> Section<'lock> {
    pub(crate) fn of(image: &Image, lock: &'lock Guard) -> Self {
        let Range { start, end } = range(image);
        Self { start: image.keys, next: start.next_multiple_of(align_of::<Key>()), end, _lock: lock }
    }

    /// The section with the lowest addresses that ends above this one.
    fn lowest(from: usize, lock: &'lock Guard) -> Option<Self> {
        let mut lowest: Option<Self> = None;
        image::for_each_known(lock, |image| {
            let section = Self::of(image, lock);
            if section.end > from && lowest.as_ref().is_none_or(|lowest| section.next < lowest.next) {
                lowest = Some(section);
            }
        });
        lowest
    }

    /// Starts behind the key at this address, if it is one of the section's.
    fn after(mut self, after: usize) -> Self {
        let may_be_one = after >= self.next && after.is_multiple_of(align_of::<Key>());
        // Another image may lie there by now.
        if may_be_one && self.at(after).is_some_and(is_key) {
            self.next = after + size_of::<Key>();
        }
        self
    }

    /// What may be a key.
    fn at(&self, address: usize) -> Option<&'lock Key> {
        let is_inside = self.end.checked_sub(address).is_some_and(|rest| rest >= size_of::<Key>());
        // SAFETY: aligned, and in the section. Any bytes are a `Key`, though maybe none of ours.
        is_inside.then(|| unsafe { &*self.start.with_addr(address) })
    }
}

impl<'lock> Iterator for Section<'lock> {
    type Item = &'lock Key;

    #[inline(never)]
    fn next(&mut self) -> Option<&'lock Key> {
        loop {
            let key = self.at(self.next)?;
            if is_key(key) {
                self.next += size_of::<Key>();
                return Some(key);
            }
            self.next += align_of::<Key>();
        }
    }
}

/// Whether this is a key, and not an anchor or what lies between. A key that begins a few words later has a
/// pointer, or half of one, where a key has its version.
fn is_key(key: &Key) -> bool {
    let has_target = !key.target.load(Ordering::Relaxed).is_null();
    let form = key.flags & 0xffff;
    key.version() == VERSION
        && key.records.load(Ordering::Relaxed).addr().is_multiple_of(align_of::<Key>())
        && match Form::from_u32(form) {
            Some(Form::Call) => key.off.is_null() && has_target,
            Some(_) => !key.off.is_null() && has_target,
            None if form & !PLAIN_RESOLVER == DISPATCH => !key.off.is_null() && has_target,
            None => form == BRANCH && key.off.is_null(),
        }
}

/// Where an image's keys lie.
fn range(image: &Image) -> Range<usize> {
    // Without a start there is no section, whatever the end is.
    if image.keys.is_null() { 0..0 } else { image.keys.addr()..image.keys_end.addr() }
}

/// Whether a key of this image lies in no section of keys.
fn is_elsewhere(key: *const Key, image: &Image, lock: &Guard) -> bool {
    let mut is_found = range(image).contains(&key.addr());
    if !is_found {
        image::for_each_known(lock, |other| is_found |= range(other).contains(&key.addr()));
    }
    !is_found
}

fn address(key: &Key) -> usize {
    core::ptr::from_ref(key).addr()
}
