//! Images: what happens when an executable or a shared object is loaded and unloaded.
//!
//! A site table is data of the program, and a damaged one must not make us write anywhere. So nothing is
//! believed: each entry has to lead to a call of a trampoline, the trampoline has to carry the signature
//! and name its record, and the record has to name that trampoline. One entry that does not, and the whole
//! image stays on its trampolines, which is right as well.
//!
//! # Safety
//!
//! The pass makes the descriptor, and its constructor hands it over once: it, the tables that it names and
//! the image's code stay mapped until the destructor takes it back. All of it is only touched under the
//! lock, which every function here asks for; the one exception is [`Key::target`], which is atomic.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use static_call_abi::{
    Image, Key, Record, SIGNATURE, SIGNATURE_CALL_ONLY, SITE_ANCHOR, Site, VERSION, is_entry,
};

use crate::arch::{Action, WORD, native};
use crate::elf;
use crate::lock::{self, Guard};
use crate::log::log;
use crate::mode::{self, Mode, Reason};
use crate::os;
use crate::seal;
use crate::text::{self, Text};
use crate::update;
use crate::writer::breakpoint;

/// All registered images.
static IMAGES: AtomicPtr<Image> = AtomicPtr::new(null_mut());

/// Set when the process exits: from then on images stay registered, since other destructors may still
/// update keys, and calls follow until the very end.
static EXITING: AtomicBool = AtomicBool::new(false);

static WATCHING_EXIT: AtomicBool = AtomicBool::new(false);

/// Values of [`Image::state`].
pub(crate) const REGISTERED: u32 = 1;
/// Registered, and its code is patched.
pub(crate) const PATCHED: u32 = 2;

/// The first of the registered images.
fn first(_lock: &Guard) -> *mut Image {
    IMAGES.load(Ordering::Relaxed)
}

/// The registered image whose table holds this record, or null.
pub(crate) fn of_record(record: *const Record, lock: &Guard) -> *mut Image {
    let mut next = first(lock);
    while !next.is_null() {
        // SAFETY: a registered image is alive, see the module's head.
        let image = unsafe { &*next };
        // Without a start there is no table, whatever its end says.
        if !image.records.is_null()
            && (image.records.cast_const()..image.records_end.cast_const()).contains(&record)
        {
            break;
        }
        next = image.next;
    }
    next
}

pub(crate) fn is_patched(image: &Image) -> bool {
    image.state == PATCHED
}

/// The sites of a record, sorted by the registration.
pub(crate) fn sites(record: &Record) -> impl Iterator<Item = usize> {
    sites_from(record, 0)
}

/// The same without the first ones.
pub(crate) fn sites_from(record: &Record, start: usize) -> impl Iterator<Item = usize> {
    // What is still to come when a site is asked for: whoever asks will look at its code, which is all over the image.
    const AHEAD: usize = 8;
    let (site, count) = (site_of(record), record.count as usize);
    (start..count).map(move |index| {
        if index + AHEAD < count {
            text::prefetch(site(index + AHEAD));
        }
        site(index)
    })
}

/// The same as [`sites`], for whoever will not look at their code.
pub(crate) fn sites_unseen(record: &Record) -> impl Iterator<Item = usize> {
    (0..record.count as usize).map(site_of(record))
}

/// The site of a record with this index, which is below their number.
fn site_of(record: &Record) -> impl Fn(usize) -> usize + use<> {
    let first = record.sites.cast_const();
    // SAFETY: the registration has found as many entries of this record there.
    move |index| unsafe { address(first.add(index)) }
}

/// The trampoline of a record.
pub(crate) fn trampoline(record: &Record) -> usize {
    core::ptr::from_ref(record).addr().wrapping_add_signed(record.trampoline as isize)
}

/// Whether the record's sites may become nops: what its trampoline's signature says.
pub(crate) fn may_vanish(record: &Record, text: Text) -> bool {
    prefix(trampoline(record), text).is_some_and(|(signature, _)| signature == SIGNATURE)
}

/// Takes an image in: sorts its sites by record, links its records to their keys, and makes its calls
/// direct where the process may do that.
///
/// # Safety
///
/// `image` is a descriptor made by the pass, see the module's head.
pub(crate) unsafe fn register(image: *mut Image) {
    // SAFETY: the caller's promise. Nobody changes a header's address once it is there.
    let mut header = unsafe { (*image).header };
    if header.is_null() {
        // GNU ld forgets it where it packs relative relocations. The lock comes later, since the dynamic linker has one
        // of its own.
        header = os::elf_header(image.addr());
    }
    let Ok(lock) = lock::lock() else { return };
    // SAFETY: the caller's promise; the lock is held.
    let descriptor = unsafe { &mut *image };
    if descriptor.state != 0 {
        return;
    }
    let mut is_known = false;
    for_each(&lock, |other| is_known |= core::ptr::eq(other.records, descriptor.records));
    if is_known && !descriptor.records.is_null() {
        // Link-time optimization of what was optimized so before may leave an image two descriptors. To take its tables in
        // once more would have updates forget their sites.
        log!("image at {header:p}: has a second descriptor, which is ignored");
        return;
    }
    descriptor.header = header;
    if !WATCHING_EXIT.swap(true, Ordering::Relaxed) {
        os::at_exit(exiting);
    }
    // SAFETY: as above.
    match unsafe { link(descriptor, &lock) } {
        Ok(()) => {
            descriptor.state = REGISTERED;
            descriptor.next = first(&lock);
            IMAGES.store(image, Ordering::Relaxed);
            patch(descriptor, &lock);
            if seal::is_set(&lock)
                && let Err(error) = seal::protect_late(descriptor, &lock)
            {
                log!("image at {:p}: {error}", descriptor.header);
            }
        }
        Err(reason) => {
            descriptor.reason = reason as u32;
            mode::wanted(&lock);
            mode::note_image(reason, &lock);
        }
    }
    log!(
        "image at {:p}: {} sites of {} keys, {}; writer: {}",
        descriptor.header,
        site_table(descriptor).iter().filter(|&&site| is_entry(site)).count(),
        records(descriptor).count(),
        match Reason::from_u32(descriptor.reason) {
            Reason::None => mode::of_process().0.as_str(),
            reason => reason.as_str(),
        },
        mode::writer_of_process(),
    );
}

/// Lets go of an image that is about to be unloaded.
///
/// # Safety
///
/// As for [`register`].
pub(crate) unsafe fn unregister(image: *mut Image) {
    if EXITING.load(Ordering::Relaxed) {
        return;
    }
    let Ok(lock) = lock::lock() else { return };
    // SAFETY: the caller's promise; the lock is held.
    let descriptor = unsafe { &mut *image };
    let mut is_registered = false;
    for_each(&lock, |other| is_registered |= core::ptr::eq(other, image));
    if !is_registered {
        return;
    }
    breakpoint::forget(Text::of(descriptor).range(), &lock);
    // After the seal nobody follows the lists, and they are read-only.
    for record in records(descriptor).filter(|_| !seal::is_set(&lock)) {
        // SAFETY: the registration has found the key; it lies in this image or in one that this image
        // needs, which is unloaded later.
        let mut link = unsafe { (*record.key).records.as_ptr() };
        let this: *mut Record = record;
        // SAFETY: the list consists of records of registered images.
        unsafe {
            while !(*link).is_null() && *link != this {
                link = &raw mut (**link).next;
            }
            if *link == this {
                *link = (*this).next;
            }
        }
    }
    if first(&lock) == image {
        IMAGES.store(descriptor.next, Ordering::Relaxed);
    }
    let behind = descriptor.next;
    for_each(&lock, |other| {
        if other.next == image {
            other.next = behind;
        }
    });
    descriptor.state = 0;
    log!("image at {:p}: unloaded", descriptor.header);
}

/// Called when the process exits, and when the image that this code is in goes away.
extern "C" fn exiting() {
    EXITING.store(true, Ordering::Relaxed);
    breakpoint::leave();
}

/// The image's records.
pub(crate) fn records(image: &Image) -> impl Iterator<Item = &'static mut Record> + use<> {
    record_table(image).iter_mut().filter(|record| !record.is_anchor())
}

/// The image's records and anchors.
fn record_table(image: &Image) -> &'static mut [Record] {
    // SAFETY: the linker made the table of the records.
    unsafe { table(image.records, image.records_end) }
}

/// The image's sites and anchors.
fn site_table(image: &Image) -> &'static mut [Site] {
    // SAFETY: the linker made the table of the sites.
    unsafe { table(image.sites, image.sites_end) }
}

/// What lies between two symbols of the linker's, both null where there is nothing.
///
/// # Safety
///
/// A table of `T`, alive as long as its image, and touched under the lock only.
unsafe fn table<T>(start: *mut T, end: *mut T) -> &'static mut [T] {
    if start.is_null() {
        return &mut [];
    }
    let len = end.addr().saturating_sub(start.addr()) / size_of::<T>();
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(start, len) }
}

/// The instruction that an entry of the site table names.
///
/// # Safety
///
/// `site` points into a site table.
unsafe fn address(site: *const Site) -> usize {
    // SAFETY: the caller's promise.
    site.addr().wrapping_add_signed(unsafe { *site } as isize)
}

/// Signature and record of a trampoline: the eight bytes before it, if they lie in the code.
fn prefix(trampoline: usize, text: Text) -> Option<(u32, usize)> {
    let bytes = text.eight_bytes(trampoline.wrapping_sub(8))?;
    let ([signature, offset], _) = bytes.as_chunks::<4>() else { return None };
    let offset = i32::from_ne_bytes(*offset) as isize;
    Some((u32::from_ne_bytes(*signature), trampoline.wrapping_add_signed(offset)))
}

/// Checks everything, sorts the sites by record and links the records to their keys. On an error the
/// image is as it was, but for the table's order, its entries that are none of ours, and the counts.
///
/// # Safety
///
/// As for [`register`].
unsafe fn link(image: &mut Image, lock: &Guard) -> Result<(), Reason> {
    if image.version != VERSION {
        return Err(Reason::Version);
    }
    let Some(first) = records(image).next() else { return Ok(()) };
    // SAFETY: the linker put the header's address there, or null.
    let segment = unsafe { elf::code_segment(image.header, trampoline(first)) };
    let segment = segment.ok_or(if image.header.is_null() { Reason::NoHeader } else { Reason::Damaged })?;
    (image.text, image.text_end, image.text_flags) = (segment.start, segment.end, segment.flags);
    let text = Text::of(image);
    // The anchors' as well: whatever stands there, they have no sites.
    record_table(image).iter_mut().for_each(|record| record.count = 0);
    for record in records(image) {
        check_record(record, text)?;
        // SAFETY: `check_record` has looked at the key.
        let others = unsafe { (*record.key).records.load(Ordering::Relaxed) };
        if !seal::is_set(lock) && !others.is_null() && of_record(others, lock).is_null() {
            return Err(Reason::OtherRuntime);
        }
    }
    let table = record_table(image);
    let sites = site_table(image);
    let count = find_sites(sites, text, table)?;
    sort(&mut sites[..count], text, table).ok_or(Reason::Damaged)?;
    if seal::is_set(lock) {
        // Only updates follow the lists, and the keys are read-only.
        return Ok(());
    }
    for record in records(image) {
        // SAFETY: `check_record` has looked at the key.
        let head = unsafe { (*record.key).records.as_ptr() };
        // SAFETY: the lock is held, and nobody else touches the list.
        unsafe {
            record.next = *head;
            *head = record;
        }
    }
    Ok(())
}

/// Counts the sites of each record, and moves their entries to the front of the table: how many there are. What stands
/// between them is no entry, or none of ours.
#[inline(never)]
fn find_sites(sites: &mut [Site], text: Text, records: &mut [Record]) -> Result<usize, Reason> {
    let mut count = 0;
    for index in 0..sites.len() {
        if !is_entry(sites[index]) {
            continue;
        }
        let pc = address_in(sites, index);
        let record = record_of(pc, text, records);
        if record.is_some() || is_behind_veneer(pc, text) {
            // Behind a veneer, it could not come back once it is patched, since its trampoline is out of reach.
        } else if breakpoint::stands_at(pc, text) {
            // Whoever has set it puts back what was there: a call of the trampoline, which nobody may have changed.
            log!("the call at {pc:#x} has a debugger's breakpoint: left to its trampoline");
        } else {
            return Err(Reason::Damaged);
        }
        sites[index] = SITE_ANCHOR;
        if let Some(record) = record {
            records[record].count += 1;
            set_address(sites, count, pc);
            count += 1;
        }
    }
    Ok(count)
}

fn check_record(record: &Record, text: Text) -> Result<(), Reason> {
    let trampoline = trampoline(record);
    let key = record.key;
    let (signature, back) = prefix(trampoline, text).ok_or(Reason::Damaged)?;
    if back != core::ptr::from_ref(record).addr()
        || ![SIGNATURE, SIGNATURE_CALL_ONLY].contains(&signature)
        || key.is_null()
        || !key.addr().is_multiple_of(align_of::<Key>())
    {
        return Err(Reason::Damaged);
    }
    // SAFETY: the dynamic linker has put the address of a symbol there, or has refused to load us.
    if unsafe { (*key).version() } != VERSION { Err(Reason::Version) } else { Ok(()) }
}

/// Which record the site at `pc` belongs to, as long as it calls its trampoline.
#[inline]
fn record_of(pc: usize, text: Text, records: &[Record]) -> Option<usize> {
    let target = match native::Rewrite::target(text.word(pc / WORD * WORD)?, pc) {
        Some(target) => target,
        None => decoded_target(pc, text)?,
    };
    record_at(target, text, records)
}

#[cold]
fn decoded_target(pc: usize, text: Text) -> Option<usize> {
    let fetched = text.fetch(pc)?;
    match native::decode(pc, fetched.bytes())? {
        (_, Action::Go(target)) => Some(target),
        _ => None,
    }
}

/// Whether the site at `pc` calls other code of the image, where linkers put some between a call and a trampoline that is
/// out of its reach.
#[cold]
fn is_behind_veneer(pc: usize, text: Text) -> bool {
    native::HAS_VENEERS && decoded_target(pc, text).is_some_and(|target| text.contains(target))
}

/// The record of a trampoline, if there is one at this address.
#[inline]
fn record_at(trampoline: usize, text: Text, records: &[Record]) -> Option<usize> {
    let (_, record) = prefix(trampoline, text)?;
    let offset = record.checked_sub(records.as_ptr().addr())?;
    let index = offset / size_of::<Record>();
    let found = offset.is_multiple_of(size_of::<Record>())
        && records.get(index).is_some_and(|record| self::trampoline(record) == trampoline);
    found.then_some(index)
}

/// The instruction that an entry of the table names.
#[inline]
fn address_in(sites: &[Site], index: usize) -> usize {
    // SAFETY: an entry of the table.
    unsafe { address(&raw const sites[index]) }
}

/// Has an entry of the table name this instruction: within one image, which a 32-bit offset spans.
#[inline]
fn set_address(sites: &mut [Site], index: usize, pc: usize) {
    let site = &mut sites[index];
    *site = pc.wrapping_sub(core::ptr::from_ref(site).addr()) as Site;
}

/// Sorts the table by record, in place and in linear time: each entry moves at most once to its record's
/// part of the table (McIlroy, Bostic, McIlroy: "Engineering Radix Sort", American flag sort). The parts
/// stand in the order of the records, and `sites` is where the next entry of a record goes.
///
/// To find an entry's record takes four loads that wait for each other, so we have several entries in hand
/// at once, whose places are empty meanwhile: the processor then overlaps their loads. The first one, of code that
/// may be anywhere in the image, starts when the entry comes into the hand.
#[inline(never)]
fn sort(sites: &mut [Site], text: Text, records: &mut [Record]) -> Option<()> {
    const EMPTY: Site = SITE_ANCHOR;
    let table = sites.as_mut_ptr();
    let mut start = 0;
    for record in records.iter_mut() {
        record.sites = table.wrapping_add(start);
        start += record.count as usize;
    }
    let place = |record: &Record| (record.sites.addr() - table.addr()) / size_of::<Site>();

    // What was not yet in hand starts here; `end` is where this part of the table ends.
    let (mut here, mut part, mut end) = (0, 0, records.first()?.count as usize);
    let mut hand = [0; 16];
    let mut owners = [0; 16];
    let mut held = 0;
    loop {
        while held < hand.len() && part < records.len() {
            here = here.max(place(&records[part]));
            let taken = end.saturating_sub(here).min(hand.len() - held);
            for slot in &mut hand[held..held + taken] {
                *slot = address_in(sites, here);
                text::prefetch(*slot);
                sites[here] = EMPTY;
                here += 1;
            }
            held += taken;
            if here >= end {
                part += 1;
                end += records.get(part).map_or(0, |record| record.count as usize);
            }
        }
        if held == 0 {
            break;
        }
        for (owner, &pc) in owners.iter_mut().zip(&hand[..held]) {
            *owner = record_of(pc, text, records)?;
        }
        let mut kept = 0;
        for index in 0..held {
            let record = &mut records[owners[index]];
            let place = place(record);
            let displaced = *sites.get(place)?;
            record.sites = record.sites.wrapping_add(1);
            let pc = hand[index];
            if displaced != EMPTY {
                hand[kept] = address_in(sites, place);
                text::prefetch(hand[kept]);
                kept += 1;
            }
            set_address(sites, place, pc);
        }
        held = kept;
    }
    for record in records {
        record.sites = record.sites.wrapping_sub(record.count as usize);
    }
    Some(())
}

/// Makes the calls of a new image direct, if the process patches at all.
fn patch(image: &mut Image, lock: &Guard) {
    let mode = mode::wanted(lock);
    if mode == Mode::Generic {
        image.reason = mode::of_process().1 as u32;
        return;
    }
    if records(image).next().is_none() {
        return;
    }
    image.state = PATCHED;
    if let Err(error) = update::load(image, mode, lock) {
        image.state = REGISTERED;
        image.reason = Reason::of_error(&error) as u32;
        log!("image at {:p}: {error}", image.header);
    }
    mode::note_image(Reason::from_u32(image.reason), lock);
}

/// Makes the calls of images direct that are registered, but could not be patched so far.
pub(crate) fn patch_all(lock: &Guard) {
    let mut next = first(lock);
    while !next.is_null() {
        // SAFETY: a registered image is alive, see the module's head.
        let image = unsafe { &mut *next };
        next = image.next;
        if image.state == REGISTERED {
            image.reason = Reason::None as u32;
            patch(image, lock);
        }
    }
}

/// Calls `visit` with each registered image.
pub(crate) fn for_each(lock: &Guard, mut visit: impl FnMut(&mut Image)) {
    let mut next = first(lock);
    while !next.is_null() {
        // SAFETY: a registered image is alive, see the module's head.
        let image = unsafe { &mut *next };
        next = image.next;
        visit(image);
    }
}
