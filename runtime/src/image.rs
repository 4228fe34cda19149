//! Images, and what the runtime checks before it trusts one: an executable or shared object with static
//! calls.
//!
//! A site table is the program's data, and a damaged one must not make us write anywhere. So everything is
//! checked: each entry must lead to a call of a trampoline, the trampoline must carry the signature and name
//! its record, and the record must name that trampoline. If a single entry does not, the whole image stays on
//! its trampolines, which is correct too.
//!
//! # Safety
//!
//! The compiler makes the descriptor, and the image's constructor passes it to the runtime once. The
//! descriptor, its tables and the image's code stay mapped until the destructor runs. Descriptors and tables
//! are only touched under the lock. The functions here ask for it, or for what its holder alone has: a
//! reference to an image or a record. The one exception is the header's address: the constructor's thread
//! reads it before it locks, and nobody else writes it. Of a key, calls and handlers of signals read the
//! target and the form, which are atomic, and what never changes.
//!
//! The lock's holder has shared references to images, records and tables, and changes them through their
//! cells. A mutable reference would not be unique: the lists and the caller lead to the same image. The one
//! exception is a branch table that is being sorted (`branches.rs`).

use core::cell::Cell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use static_call_abi::{
    BEHIND, Form, Image, Key, Record, SIGNATURE, SIGNATURE_CALL_ONLY, SIGNATURE_CHECKED,
    SIGNATURE_CHECKED_CALL_ONLY, SIGNATURE_THUNK, SIGNATURE_WITHOUT_SITES, SITE_ANCHOR, Site, TypeCheck,
    VERSION, is_entry,
};

use crate::arch::{Action, WORD, native};
use crate::branches;
use crate::error::{Error, ErrorKind};
use crate::foreign_breakpoint::has_breakpoint;
use crate::format;
use crate::journal::{self, Step};
use crate::lock::Guard;
use crate::log::log;
use crate::mode::Reason;
use crate::numbered::numbered;
use crate::sealed;
use crate::tables::{record_index, record_table, records, site_table};
use crate::text::{self, Text};

/// All registered images.
static IMAGES: AtomicPtr<Image> = AtomicPtr::new(null_mut());

/// Images that were refused and stay on their trampolines: only the seal needs them.
static REFUSED: AtomicPtr<Image> = AtomicPtr::new(null_mut());

/// The number of the lists' present content. Never 0.
static LISTS: AtomicUsize = AtomicUsize::new(1);

/// The number of images that another version of the pass made, whose layout is unknown.
static UNKNOWN: AtomicUsize = AtomicUsize::new(0);

/// The image that is being loaded. Each load stores it first, so an old value is never used.
static LOADING: AtomicPtr<Image> = AtomicPtr::new(null_mut());

numbered! {
    /// What a descriptor's `state` says.
    #[cfg_attr(not(feature = "inspect"), allow(unreachable_pub))]
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ImageState {
        /// The runtime does not know the image, or has refused it.
        Unregistered = 0,
        /// Its calls go through their trampolines.
        Registered = 1,
        /// Its code is patched.
        Patched = 2,
    }
}

/// A number that is another one when an image has come or gone, registered or refused. Never 0.
pub(crate) fn number_of_lists(_lock: &Guard) -> usize {
    LISTS.load(Ordering::Relaxed)
}

fn change_lists(_lock: &Guard) {
    LISTS.store(LISTS.load(Ordering::Relaxed).wrapping_add(1).max(1), Ordering::Relaxed);
}

/// The first of the registered images.
pub(crate) fn first(_lock: &Guard) -> *mut Image {
    IMAGES.load(Ordering::Relaxed)
}

/// The registered images, to be searched many times.
///
/// A record is put at the front of its key's list when its image is put at the front of the images, so both
/// lists have the same order. Each search starts where the last one ended, and finds all records of a key in
/// one pass over the images.
pub(crate) struct Images<'lock> {
    lock: &'lock Guard,
    /// Where the last record was found, or null.
    here: *mut Image,
}

impl<'lock> Images<'lock> {
    pub(crate) fn new(lock: &'lock Guard) -> Self {
        Self { lock, here: first(lock) }
    }

    /// The image whose table holds this record.
    pub(crate) fn of_record(&mut self, record: *const Record) -> Option<&'lock Image> {
        let found = Self::between(self.here, null_mut(), record);
        let found = if found.is_null() { Self::between(first(self.lock), self.here, record) } else { found };
        if !found.is_null() {
            self.here = found;
        }
        // SAFETY: null or a registered image, which stays while the lock is held.
        unsafe { found.as_ref() }
    }

    /// The records of a key, each with its image. An error ends them: the next one belongs to another copy of
    /// the runtime, and so does its link.
    pub(crate) fn records_of(
        &mut self,
        key: &Key,
    ) -> impl Iterator<Item = Result<(&'lock Record, &'lock Image), Error>> {
        let mut next = key.records.load(Ordering::Relaxed).cast_const();
        core::iter::from_fn(move || {
            let record = next;
            next = core::ptr::null();
            if record.is_null() {
                return None;
            }
            let Some(image) = self.of_record(record) else {
                return Some(Err(Error::new(ErrorKind::OtherRuntime)));
            };
            // SAFETY: a record of a registered image, whose registration has linked it. It stays while the
            // lock is held.
            let record = unsafe { &*record };
            next = record.next.get();
            Some(Ok((record, image)))
        })
    }

    /// The same of the images whose code is patched.
    pub(crate) fn patched_records_of(
        &mut self,
        key: &Key,
    ) -> impl Iterator<Item = Result<(&'lock Record, &'lock Image), Error>> {
        self.records_of(key).filter(|found| found.is_err() || found.is_ok_and(|(_, image)| is_patched(image)))
    }

    /// The same among the images from `next` on, without `end` and what follows it.
    fn between(mut next: *mut Image, end: *mut Image, record: *const Record) -> *mut Image {
        while !next.is_null() && next != end {
            // SAFETY: a registered image is alive, see the module's head; none comes or goes while the lock
            // is held.
            let image = unsafe { &*next };
            // Without a start there is no table, whatever the end is.
            if !image.records.is_null()
                && (image.records.cast_const()..image.records_end.cast_const()).contains(&record)
            {
                return next;
            }
            next = image.next.get();
        }
        null_mut()
    }
}

/// Notes which image's code may be written after the seal.
pub(crate) fn note_loading(image: *mut Image, _lock: &Guard) {
    LOADING.store(image, Ordering::Relaxed);
}

pub(crate) fn is_patched(image: &Image) -> bool {
    image.state.get() == ImageState::Patched.to_wire()
}

/// The sites of a record, sorted by the registration.
pub(crate) fn sites(record: &Record) -> impl Iterator<Item = usize> {
    sites_from(record, 0)
}

/// The same without the first ones.
pub(crate) fn sites_from(record: &Record, start: usize) -> impl Iterator<Item = usize> {
    // Prefetch code that the caller will read soon: it is spread over the image.
    const AHEAD: usize = 8;
    let (site, count) = (site_of(record), record.count.get() as usize);
    (start..count).map(move |index| {
        if index + AHEAD < count {
            text::prefetch(site(index + AHEAD));
        }
        site(index)
    })
}

/// Like [`sites`], for callers that do not read the code.
pub(crate) fn sites_unseen(record: &Record) -> impl Iterator<Item = usize> {
    (0..record.count.get() as usize).map(site_of(record))
}

/// The site of a record with this index, which must be less than its count.
fn site_of(record: &Record) -> impl Fn(usize) -> usize + use<> {
    let first = record.sites.get().cast_const();
    // SAFETY: the registration has found as many entries of this record there.
    move |index| unsafe { address(first.add(index)) }
}

/// The trampoline of a record.
pub(crate) fn trampoline(record: &Record) -> usize {
    core::ptr::from_ref(record).addr().wrapping_add_signed(record.trampoline as isize)
}

/// Whether the record's sites may become nops: what its trampoline's signature says.
pub(crate) fn may_be_nop(record: &Record, text: Text) -> bool {
    prefix(trampoline(record), |address| text.word(address))
        .is_some_and(|(found, _)| found == SIGNATURE || is_checked(found) && found == SIGNATURE_CHECKED)
}

/// Whether this is the signature of a trampoline that checks types. Where the pass makes none, it is damage.
fn is_checked(signature: u32) -> bool {
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64"))
        && [SIGNATURE_CHECKED, SIGNATURE_CHECKED_CALL_ONLY].contains(&signature)
}

/// What the record's trampoline checks before it jumps, if it does.
#[inline]
pub(crate) fn type_check(record: &Record, text: Text) -> Option<TypeCheck> {
    let trampoline = trampoline(record);
    let (signature, _) = prefix(trampoline, |address| text.word(address))?;
    if !is_checked(signature) {
        return None;
    }
    let [distance, hash] = pair(trampoline.wrapping_sub(16), |address| text.word(address))?;
    Some(TypeCheck { distance, hash })
}

/// Whether the record's trampoline jumps through a thunk.
pub(crate) fn has_thunk(record: &Record, text: Text) -> bool {
    signature(trampoline(record), text).is_some_and(|(signature, _)| signature == SIGNATURE_THUNK)
}

/// Puts an image in front of the registered ones.
pub(crate) fn push(image: *mut Image, lock: &Guard) {
    // SAFETY: an image that was just linked is alive.
    unsafe { (*image).next.set(first(lock)) };
    change_lists(lock);
    // A child that inherits the image in its list inherits it whole.
    IMAGES.store(image, Ordering::Release);
}

/// Takes a registered image out of the list.
pub(crate) fn remove(image: *mut Image, lock: &Guard) {
    change_lists(lock);
    // SAFETY: a registered image is alive, see the module's head.
    let behind = unsafe { (*image).next.get() };
    if first(lock) == image {
        IMAGES.store(behind, Ordering::Relaxed);
    }
    for_each(lock, |other| {
        if other.next.get() == image {
            other.next.set(behind);
        }
    });
}

/// Puts an image in front of the refused ones, if it is not among them.
pub(crate) fn push_refused(image: &Image, lock: &Guard) {
    change_lists(lock);
    let mut is_noted = false;
    for_each_of(&REFUSED, |other| is_noted |= core::ptr::eq(other, image));
    if !is_noted {
        let this = core::ptr::from_ref(image).cast_mut();
        image.next.set(REFUSED.swap(this, Ordering::Relaxed));
    }
}

/// Forgets an image that stayed on its trampolines.
pub(crate) fn forget_refused(image: *mut Image, lock: &Guard) {
    change_lists(lock);
    // SAFETY: of an image that goes away, the version is the first number, whatever it is.
    if unsafe { (*image).version } != VERSION {
        UNKNOWN.store(UNKNOWN.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        return;
    }
    // SAFETY: of this version.
    let behind = unsafe { (*image).next.get() };
    let mut is_first = true;
    for_each_of(&REFUSED, |other| {
        if is_first && core::ptr::eq(other, image) {
            REFUSED.store(behind, Ordering::Relaxed);
        } else if other.next.get() == image {
            other.next.set(behind);
        }
        is_first = false;
    });
}

/// Counts an image of another version.
pub(crate) fn add_unknown(_lock: &Guard) {
    UNKNOWN.fetch_add(1, Ordering::Relaxed);
}

/// Whether there are images of another version.
pub(crate) fn are_unknown(_lock: &Guard) -> bool {
    UNKNOWN.load(Ordering::Relaxed) != 0
}

/// Whether the image has another record of the same key, which counts as one. Those of an image stand side by
/// side in the list.
pub(crate) fn is_repeated(record: &Record, image: &Image) -> bool {
    record_table(image).as_ptr_range().contains(&record.next.get().cast_const())
}

/// Takes an image's records out of the lists of their keys, as many as are there.
pub(crate) fn unlink_records(image: &Image) {
    branches::unlink(image);
    for record in records(image) {
        // SAFETY: the registration has found the key; it lies in this image or in one that this image
        // needs, which is unloaded later.
        let head = unsafe { &(*record.key).records };
        let mut before: Option<&Record> = None;
        let mut next = head.load(Ordering::Relaxed);
        // SAFETY: the list consists of records of registered images.
        while let Some(linked) = unsafe { next.as_ref() } {
            if core::ptr::eq(linked, record) {
                match before {
                    Some(before) => before.next.set(record.next.get()),
                    None => head.store(record.next.get(), Ordering::Relaxed),
                }
                break;
            }
            (before, next) = (Some(linked), linked.next.get());
        }
    }
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

/// Signature and record of a trampoline: the eight bytes before it, if `word` finds these words of code.
#[inline]
fn prefix(trampoline: usize, word: impl Fn(usize) -> Option<[u8; WORD]>) -> Option<(u32, usize)> {
    signed(trampoline.wrapping_sub(8), trampoline, word)
}

/// The same, also for a trampoline that was written without the pass: it has them behind its code.
fn signature(trampoline: usize, text: Text) -> Option<(u32, usize)> {
    prefix(trampoline, |address| text.word(address))
        .filter(|(found, _)| [SIGNATURE, SIGNATURE_CALL_ONLY].contains(found) || is_checked(*found))
        .or_else(|| behind(trampoline, text))
}

/// What a trampoline that was written without the pass has behind its code.
#[cold]
#[inline(never)]
fn behind(trampoline: usize, text: Text) -> Option<(u32, usize)> {
    let word = |address| text.word(address);
    let mut places =
        (1..=BEHIND).filter_map(|index| signed(trampoline.checked_add(8 * index)?, trampoline, word));
    places.find(|(found, _)| [SIGNATURE_WITHOUT_SITES, SIGNATURE_THUNK].contains(found))
}

/// The two numbers at `start`; the second one is a distance from the trampoline.
#[inline]
fn signed(
    start: usize,
    trampoline: usize,
    word: impl Fn(usize) -> Option<[u8; WORD]>,
) -> Option<(u32, usize)> {
    let [signature, offset] = pair(start, word)?;
    Some((signature, trampoline.wrapping_add_signed(offset.cast_signed() as isize)))
}

/// The two numbers at `start`.
#[inline]
fn pair(start: usize, word: impl Fn(usize) -> Option<[u8; WORD]>) -> Option<[u32; 2]> {
    let mut bytes = [0; 8];
    for offset in (0..8).step_by(WORD) {
        bytes[offset..offset + WORD].copy_from_slice(&word(start.checked_add(offset)?)?);
    }
    let ([first, second], _) = bytes.as_chunks::<4>() else { return None };
    Some([first, second].map(|bytes| u32::from_ne_bytes(*bytes)))
}

/// Checks everything, sorts the sites by record and links the records to their keys. After an error the image
/// is as it was, except for the table's order, its foreign entries, and the counts.
///
/// # Safety
///
/// A descriptor made by the pass, see the module's head.
pub(crate) unsafe fn link(image: &Image, lock: &Guard) -> Result<(), Reason> {
    if image.version != VERSION {
        return Err(Reason::Version);
    }
    // SAFETY: a table between two anchors, as the version says.
    unsafe { find_imported_keys(image.records, image.records_end) };
    let with_trampoline = records(image).find(|record| !record.is_branch());
    // A branch that is never asked about has a record, but no code.
    let first = with_trampoline.map(trampoline).or_else(|| branches::first(image));
    let Some(first) = first.or_else(|| records(image).next().map(|record| record.key.addr())) else {
        return Ok(());
    };
    // SAFETY: the linker put the header's address there, or null.
    let segment =
        unsafe { format::code_segments(image.header.get()) }.find(|segment| segment.contains(first));
    // SAFETY: as above.
    let is_unreadable = || unsafe { format::is_unreadable(image.header.get(), first) };
    let segment = segment.ok_or_else(|| match () {
        // SAFETY: as above.
        () if !unsafe { format::is_in_memory(image.header.get()) } => Reason::NoHeader,
        () if is_unreadable() => Reason::Unreadable,
        () => Reason::Damaged,
    })?;
    // SAFETY: as above.
    if unsafe { format::was_moved(image.header.get()) } {
        return Err(Reason::Moved);
    }
    image.text.set(segment.start);
    image.text_end.set(segment.end);
    image.text_flags.set(segment.flags);
    let text = Text::of(image);
    // The anchors' too: they have no sites, whatever the file says.
    record_table(image).iter().for_each(|record| record.count.set(0));
    let mut images = Images::new(lock);
    for record in records(image) {
        check_record(record, text)?;
        // SAFETY: `check_record` has looked at the key.
        let others = unsafe { (*record.key).records.load(Ordering::Relaxed) };
        if !sealed::is_set(lock) && !others.is_null() && images.of_record(others).is_none() {
            return Err(Reason::OtherRuntime);
        }
    }
    let table = record_table(image);
    let sites = site_table(image);
    let count = find_sites(sites, text, table)?;
    sort(&sites[..count], text, table).ok_or(Reason::Damaged)?;
    branches::link(image, text, table)?;
    if sealed::is_set(lock) {
        // Only updates follow the lists, and the keys are read-only.
        return Ok(());
    }
    journal::step(Step::Storing, lock);
    for record in records(image) {
        // SAFETY: `check_record` has looked at the key.
        let head = unsafe { &(*record.key).records };
        record.next.set(head.load(Ordering::Relaxed));
        // A child that inherits the new head inherits what is behind it.
        head.store(core::ptr::from_ref(record).cast_mut(), Ordering::Release);
    }
    Ok(())
}

/// Puts the address of a key into records that name it by the loader's entry for it.
///
/// # Safety
///
/// A table of records, to which there is no reference.
unsafe fn find_imported_keys(start: *mut Record, end: *mut Record) {
    if start.is_null() {
        return;
    }
    let count = end.addr().saturating_sub(start.addr()) / size_of::<Record>();
    for index in 0..count {
        // SAFETY: the caller's promise. The loader has filled in its entries.
        unsafe {
            let key = &raw mut (*start.add(index)).key;
            if let Some(found) = format::imported(*key) {
                *key = found;
            }
        }
    }
}

/// Counts the sites of each record, moves their entries to the front of the table, and returns how many there
/// are. Everything else in the table is an anchor or foreign.
#[inline(never)]
fn find_sites(sites: &[Cell<Site>], text: Text, records: &[Record]) -> Result<usize, Reason> {
    let mut count = 0;
    for index in 0..sites.len() {
        if !is_entry(sites[index].get()) {
            continue;
        }
        let pc = address_in(sites, index);
        let record = record_of(pc, text, records);
        if record.is_some() || is_behind_veneer(pc, text) {
            // A call through a veneer could not be put back once it is patched: its trampoline is out of
            // reach.
        } else if has_breakpoint(pc, text) {
            // The debugger will put back what was there, a call of the trampoline. So leave the site alone.
            log!("the call at {pc:#x} has a debugger's breakpoint: left to its trampoline");
        } else if text.is_unreadable(pc) {
            log!("the call at {pc:#x} lies in code that may not be read: left to its trampoline");
        } else {
            return Err(Reason::Damaged);
        }
        sites[index].set(SITE_ANCHOR);
        if let Some(record) = record {
            let count_of_record = &records[record].count;
            count_of_record.set(count_of_record.get() + 1);
            set_address(sites, count, pc);
            count += 1;
        }
    }
    Ok(count)
}

fn check_record(record: &Record, text: Text) -> Result<(), Reason> {
    let key = record.key;
    if !record.is_branch() {
        let (_, back) = signature(trampoline(record), text).ok_or(Reason::Damaged)?;
        if back != core::ptr::from_ref(record).addr() {
            return Err(Reason::Damaged);
        }
    }
    if key.is_null() || !key.addr().is_multiple_of(align_of::<Key>()) {
        return Err(Reason::Damaged);
    }
    // SAFETY: the dynamic linker has put the address of a symbol there, or has refused to load us.
    let key = unsafe { &*key };
    match key.version() {
        // A branch may also ask whether a key calls a function.
        VERSION if record.is_branch() && key.off_form().is_some_and(Form::is_none) => Ok(()),
        VERSION if key.is_branch() == record.is_branch() => Ok(()),
        VERSION => Err(Reason::Damaged),
        _ => Err(Reason::Version),
    }
}

/// Which record the site at `pc` belongs to, as long as it calls its trampoline. Loading asks this twice for
/// each site, so the usual case is short: one form of call, and a trampoline of the pass, in one segment.
#[inline]
fn record_of(pc: usize, text: Text, records: &[Record]) -> Option<usize> {
    let in_first = |address| text.word_of_first(address);
    let target = in_first(pc / WORD * WORD).and_then(|word| native::Rewrite::target(word, pc));
    let found = target.and_then(|target| named(target, prefix(target, in_first)?, records));
    if found.is_some() { found } else { decoded_record(pc, text, records) }
}

/// The same for an instruction and a trampoline of any kind, in any segment.
#[cold]
#[inline(never)]
fn decoded_record(pc: usize, text: Text, records: &[Record]) -> Option<usize> {
    let trampoline = decoded_target(pc, text)?;
    let before = prefix(trampoline, |address| text.word(address));
    let found = before.and_then(|before| named(trampoline, before, records));
    found.or_else(|| named(trampoline, behind(trampoline, text)?, records))
}

#[cold]
fn decoded_target(pc: usize, text: Text) -> Option<usize> {
    let fetched = text.fetch(pc)?;
    match native::decode(pc, fetched.bytes())? {
        (_, Action::Branch(target)) => Some(target),
        _ => None,
    }
}

/// Whether the site at `pc` calls a linker's veneer: code in the image between the call and a trampoline that
/// is out of its reach.
#[cold]
fn is_behind_veneer(pc: usize, text: Text) -> bool {
    native::HAS_VENEERS && decoded_target(pc, text).is_some_and(|target| text.contains(target))
}

/// The record that these numbers name, if it is this trampoline's.
#[inline]
fn named(trampoline: usize, (_, record): (u32, usize), records: &[Record]) -> Option<usize> {
    record_index(record, records).filter(|&index| self::trampoline(&records[index]) == trampoline)
}

/// The instruction that an entry of the table names.
#[inline]
fn address_in(sites: &[Cell<Site>], index: usize) -> usize {
    let site = &sites[index];
    core::ptr::from_ref(site).addr().wrapping_add_signed(site.get() as isize)
}

/// Makes an entry of the table name this instruction. Both lie in one image, which a 32-bit offset spans.
#[inline]
fn set_address(sites: &[Cell<Site>], index: usize, pc: usize) {
    let site = &sites[index];
    site.set(pc.wrapping_sub(core::ptr::from_ref(site).addr()) as Site);
}

/// Sorts the table by record, in place and in linear time: each entry moves at most once to its record's
/// part of the table (McIlroy, Bostic, McIlroy: "Engineering Radix Sort", American flag sort). The parts
/// stand in the order of the records, and `sites` is where the next entry of a record goes.
///
/// Finding an entry's record takes four dependent loads. So several entries are held at once, with their
/// places empty meanwhile, and the processor overlaps their loads. The first load, of code that may be
/// anywhere in the image, starts when an entry is picked up.
#[inline(never)]
fn sort(sites: &[Cell<Site>], text: Text, records: &[Record]) -> Option<()> {
    const EMPTY: Site = SITE_ANCHOR;
    let table = sites.as_ptr().cast::<Site>().cast_mut();
    let mut start = 0;
    for record in records {
        record.sites.set(table.wrapping_add(start));
        start += record.count.get() as usize;
    }
    let place = |record: &Record| (record.sites.get().addr() - table.addr()) / size_of::<Site>();

    // Entries that were not picked up yet start here; `end` is where this part of the table ends.
    let (mut here, mut part, mut end) = (0, 0, records.first()?.count.get() as usize);
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
                sites[here].set(EMPTY);
                here += 1;
            }
            held += taken;
            if here >= end {
                part += 1;
                end += records.get(part).map_or(0, |record| record.count.get() as usize);
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
            let record = &records[owners[index]];
            let place = place(record);
            let displaced = sites.get(place)?.get();
            record.sites.set(record.sites.get().wrapping_add(1));
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
        record.sites.set(record.sites.get().wrapping_sub(record.count.get() as usize));
    }
    Some(())
}

/// Calls `visit` with each image whose code may be written: after the seal, the one that is being loaded.
pub(crate) fn for_each_writable(lock: &Guard, visit: impl FnMut(&Image)) {
    if sealed::is_set(lock) {
        // SAFETY: null, or the image whose registration is under way.
        return unsafe { LOADING.load(Ordering::Relaxed).as_ref() }.into_iter().for_each(visit);
    }
    for_each(lock, visit);
}

/// Calls `visit` with each registered image, and with those that were refused.
pub(crate) fn for_each_known(lock: &Guard, mut visit: impl FnMut(&Image)) {
    for_each(lock, &mut visit);
    for_each_of(&REFUSED, visit);
}

/// Calls `visit` with each registered image.
pub(crate) fn for_each(_lock: &Guard, visit: impl FnMut(&Image)) {
    for_each_of(&IMAGES, visit);
}

fn for_each_of(images: &AtomicPtr<Image>, mut visit: impl FnMut(&Image)) {
    let mut next = images.load(Ordering::Relaxed);
    // SAFETY: null or a registered image, which is alive, see the module's head.
    while let Some(image) = unsafe { next.as_ref() } {
        next = image.next.get();
        visit(image);
    }
}
