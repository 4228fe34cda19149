//! Updates: all sites of all keys of a transaction change, or none does.
//!
//! 1. *Plan*: visit every site; check that its bytes are what was last written there, and find out which
//!    words would change.
//! 2. *Open* the way to write them all. Here the operating system may refuse, and another writer is tried.
//! 3. *Publish*: store the keys, and replace the words. If one fails, put back what was replaced.
//! 4. *Serialize*: wait until no thread runs instructions that it fetched before.
//!
//! With a window, a word is replaced by one atomic operation that checks the old bytes once more; with
//! breakpoints, see `writer/breakpoint.rs`. The same visit serves planning, publishing and putting back, so
//! that they cannot disagree; runs of like calls are found and replaced by the same rewrite.
//!
//! # Safety
//!
//! Records are linked to a key only while their image is registered, and everything here holds the lock.
//! Any thread may run a site at any moment. So a site changes only as a whole word, from one correct call to
//! another.

use core::sync::atomic::{AtomicBool, Ordering, fence};

use static_call_abi::{Form, Image, Key, Record};

use crate::arch::{self, Action, BulkRewrite, Code, Kind, WORD, native};
use crate::branches::{self, Entry};
use crate::change::{Change, State, Wish};
use crate::error::{Error, ErrorKind};
use crate::function_type;
use crate::image::{self, Images};
use crate::journal::{self, Step};
use crate::lock::Guard;
use crate::log::{self, log};
use crate::mode::{self, Mode, Permit, Reason};
use crate::os::{self, Rights};
use crate::patch::Patch;
use crate::protect;
use crate::refusal;
use crate::sealed;
use crate::tables;
use crate::text::Text;
use crate::windows::{self, Windows};
use crate::wire::CChange;
use crate::writer::breakpoint::{self, Breakpoints};
use crate::writer::serialize::{serialize, serialize_at_last};
use crate::writer::way::Way;
use crate::writer::window;
use crate::writer::{self, Writer};

/// Makes all changes or none.
#[inline(never)]
pub(crate) fn update(changes: &mut [Change<'_>], lock: &Guard) -> Result<(), Error> {
    changes.iter().for_each(|change| protect::note(change.key, lock));
    if sealed::is_set(lock) {
        return Err(Error::new(ErrorKind::Sealed));
    }
    if has_a_key_twice(changes) {
        return Err(Error::new(ErrorKind::DuplicateKey));
    }
    changes.iter_mut().try_for_each(Change::resolve)?;
    if changes.iter().any(|change| change.state().target.is_null() && !change.key.is_branch()) {
        return Err(Error::new(ErrorKind::NoOffState));
    }
    function_type::check(changes, lock)?;
    let result = update_to(changes, lock);
    if result.is_ok() {
        // Now they hold what was before.
        changes.iter_mut().for_each(|change| change.wish = Wish::State);
    }
    result
}

fn update_to(changes: &mut [Change<'_>], lock: &Guard) -> Result<(), Error> {
    // The update that published this state has changed every site.
    if changes.iter().all(|change| State::of(change.key) == change.state()) {
        return Ok(());
    }
    if log::is_on() {
        changes.iter().for_each(|change| note_unrecorded(change.key, lock));
    }
    if !changes.iter().any(Change::moves) {
        return store(changes, lock);
    }
    refusal::ask(changes, lock, |changes| {
        breakpoint::finish(lock)?;
        let mode = mode::for_update(lock);
        loop {
            match change_all(changes, mode, lock) {
                Err(error) if writer::steps_down(&error, lock) => {}
                result => return result,
            }
        }
    })
}

/// Whether two changes are of one key.
///
/// Many changes are sorted for this. Each one's index is kept in the unused bits of its form meanwhile, and
/// the order is restored in the end.
fn has_a_key_twice(changes: &mut [Change<'_>]) -> bool {
    const FEW: usize = 16;
    if changes.len() <= FEW || changes.len() >> (u32::BITS - Form::BITS) != 0 {
        let mut left = &*changes;
        while let [change, others @ ..] = left {
            if others.iter().any(|other| core::ptr::eq(other.key, change.key)) {
                return true;
            }
            left = others;
        }
        return false;
    }
    // SAFETY: the same layout (see `wire.rs`), in which any number is a form; they are forms again when this
    // returns.
    let changes =
        unsafe { core::slice::from_raw_parts_mut(changes.as_mut_ptr().cast::<CChange>(), changes.len()) };
    for (place, change) in changes.iter_mut().enumerate() {
        change.form |= (place as u32) << Form::BITS;
    }
    changes.sort_unstable_by_key(|change| change.key);
    let is_twice = changes.windows(2).any(|pair| core::ptr::eq(pair[0].key, pair[1].key));
    for index in 0..changes.len() {
        loop {
            let place = (changes[index].form >> Form::BITS) as usize;
            if place == index {
                break;
            }
            changes.swap(index, place);
        }
        changes[index].form &= (1 << Form::BITS) - 1;
    }
    is_twice
}

/// Logs the first call that was compiled for the pass, but that no pass has seen.
pub(crate) fn note_not_lowered(key: &Key) {
    static IS_NOTED: AtomicBool = AtomicBool::new(false);
    if log::is_on() && !IS_NOTED.swap(true, Ordering::Relaxed) {
        let name = name(key);
        log!("key {name}: a call that loads it; the crate that makes it was built without the pass");
    }
}

/// The key's name for people, or nothing.
pub(crate) fn name(key: &Key) -> &str {
    if key.name.is_null() {
        return "";
    }
    // SAFETY: a key's name is a C string that lives as long as the key.
    unsafe { core::ffi::CStr::from_ptr(key.name) }.to_str().unwrap_or_default()
}

/// Logs, at a key's first update, that none of its calls is recorded.
fn note_unrecorded(key: &Key, lock: &Guard) {
    if !key.is_new() || key.name.is_null() {
        return;
    }
    let name = name(key);
    let has_records = !key.records.load(Ordering::Relaxed).is_null();
    if key.is_branch() {
        if !has_records {
            log!("branch {name}: no recorded instruction; whatever asks for it loads its key");
        }
        return;
    }
    if !has_records {
        log!(
            "key {name}: no recorded call; what calls it was built without the pass (by gcc: without \
             static-call-as), is not loaded yet, or is in a generic image"
        );
        return;
    }
    // Nobody knows the sites of another copy's records.
    if Images::new(lock)
        .records_of(key)
        .any(|found| found.map_or(true, |(record, _)| record.count.get() != 0))
    {
        return;
    }
    log!(
        "key {name}: no recorded call; calls go through its trampoline, since they were compiled without \
         the pass"
    );
}

fn change_all(changes: &mut [Change<'_>], mode: Mode, lock: &Guard) -> Result<(), Error> {
    journal::changes(changes, lock)?;
    let mut plan = Plan::new(lock);
    let mut images = Images::new(lock);
    for change in changes.iter().filter(|change| change.moves()) {
        mark_key(change.key, mode, &mut images)?;
    }
    windows::survey(lock)?;
    for change in &*changes {
        visit_key(change.key, change.both(), mode, Foreign::Refuse, &mut images, &mut plan)?;
    }
    let permit = if plan.count == 0 { Permit::Store } else { mode::permit(plan.follow_keys, lock)? };
    if permit == Permit::Store {
        return store(changes, lock);
    }
    match writer::preferred(lock) {
        Writer::None => Err(not_writable()),
        Writer::Breakpoint => {
            // SAFETY: the only ones of this update.
            let opened = unsafe { Breakpoints::open(plan.count, refusal::is_again(lock), lock) };
            let mut breakpoints = match opened {
                Err(error) if plan.follow_keys => return leave_to_keys(changes, &error, lock),
                breakpoints => breakpoints?,
            };
            for change in &*changes {
                visit_key(change.key, change.both(), mode, Foreign::Refuse, &mut images, &mut breakpoints)?;
            }
            journal::step(Step::Trapping, lock);
            match breakpoints.set() {
                Err(error) if plan.follow_keys && error.kind() != ErrorKind::ForeignCode => {
                    return leave_to_keys(changes, &error, lock);
                }
                result => result?,
            }
            // From here on, every affected call goes through its key.
            journal::step(Step::Replacing, lock);
            changes.iter_mut().for_each(Change::store);
            breakpoints.replace();
            mode::note_patched(lock);
            Ok(())
        }
        Writer::Window | Writer::Alias | Writer::Custom => {
            let windows = match Windows::open(lock) {
                Err(error) if plan.follow_keys && writer::next(&error, lock) != Some(Writer::Alias) => {
                    return leave_to_keys(changes, &error, lock);
                }
                windows => windows?,
            };
            windows.begin()?;
            for index in 0..changes.len() {
                if let Err(error) = publish(&mut changes[index], mode, &mut images, &windows, lock) {
                    put_back(&mut changes[..=index], mode, &mut images, lock);
                    return Err(error);
                }
            }
            let settled = windows.settle(|| {
                let mut replace = Replace::new(&windows, lock);
                changes.iter().try_for_each(|change| {
                    let states = (change.state(), State::of(change.key));
                    visit_key(change.key, states, mode, Foreign::Refuse, &mut images, &mut replace)
                })
            });
            let serialized = settled.and_then(|()| match permit {
                Permit::Write => serialize(lock),
                _ => Ok(()),
            });
            serialized.inspect_err(|_| put_back(changes, mode, &mut images, lock))?;
            journal::step(Step::Preparing, lock);
            drop(windows);
            mode::note_patched(lock);
            Ok(())
        }
    }
}

/// Makes changes of trampolines that may not be patched: they go on reading their keys.
fn leave_to_keys(changes: &mut [Change<'_>], error: &Error, lock: &Guard) -> Result<(), Error> {
    log!("trampolines are left to read their keys: {error}");
    if refusal::may_last(*error) {
        mode::note_refused(Reason::of_error(error), lock);
    }
    store(changes, lock)
}

/// Has all calls of a key go through its pointer, for good: those of images that are loaded later, too.
///
/// The instructions go first, and all of them lead to the key's present target meanwhile. Once no processor
/// runs what they were, the key is a pointer, and whoever stores into it has updated it. So after an error,
/// or in a child that was forked in between, some calls go through the pointer that might be direct, and the
/// next update finds them there.
pub(crate) fn make_pointer(key: &Key, lock: &Guard) -> Result<(), Error> {
    protect::note(key, lock);
    if sealed::is_set(lock) {
        return Err(Error::new(ErrorKind::Sealed));
    }
    if key.is_pointer() {
        return Ok(());
    }
    breakpoint::finish(lock)?;
    let mode = mode::for_update(lock);
    loop {
        match leave_to_pointer(key, mode, lock) {
            Err(error) if writer::steps_down(&error, lock) => {}
            result => break result?,
        }
    }
    key.make_pointer();
    Ok(())
}

fn leave_to_pointer(key: &Key, mode: Mode, lock: &Guard) -> Result<(), Error> {
    let state = State::of(key);
    journal::changes(&[Change::new(key, state.target, state.form)], lock)?;
    let mut plan = Plan::new(lock);
    let mut images = Images::new(lock);
    mark_key(key, mode, &mut images)?;
    windows::survey(lock)?;
    visit_key_back(key, mode, &mut images, &mut plan)?;
    if plan.count == 0 {
        return Ok(());
    }
    mode::prepare(lock).map_err(|_| not_writable())?;
    match writer::preferred(lock) {
        Writer::None => Err(not_writable()),
        Writer::Breakpoint => {
            // SAFETY: the only ones of this operation.
            let mut breakpoints = unsafe { Breakpoints::open(plan.count, false, lock) }?;
            visit_key_back(key, mode, &mut images, &mut breakpoints)?;
            journal::step(Step::Trapping, lock);
            breakpoints.set()?;
            // From here on, every affected call goes through its key.
            journal::step(Step::Replacing, lock);
            breakpoints.replace();
            Ok(())
        }
        Writer::Window | Writer::Alias | Writer::Custom => {
            let windows = Windows::open(lock)?;
            windows.begin()?;
            let result =
                windows.write(|| visit_key_back(key, mode, &mut images, &mut Replace::new(&windows, lock)));
            journal::step(Step::Preparing, lock);
            drop(windows);
            result
        }
    }
}

/// Visits every word that must change to return this key's calls to their trampolines.
fn visit_key_back(
    key: &Key,
    mode: Mode,
    images: &mut Images<'_>,
    visitor: &mut impl Visitor,
) -> Result<(), Error> {
    images.patched_records_of(key).try_for_each(|found| {
        let (record, image) = found?;
        visit_record_back(record, image, mode, Foreign::Refuse, visitor)
    })
}

/// Makes changes for which no code has to change.
fn store(changes: &mut [Change<'_>], lock: &Guard) -> Result<(), Error> {
    journal::changes(changes, lock)?;
    journal::step(Step::Storing, lock);
    changes.iter_mut().for_each(Change::store);
    // The stores must be visible before anything that the caller does next.
    fence(Ordering::SeqCst);
    Ok(())
}

fn not_writable() -> Error {
    Error::new(ErrorKind::NotWritable)
}

/// Makes the calls of an image that was just registered direct: all of them or none.
pub(crate) fn load(image: &Image, mode: Mode, lock: &Guard) -> Result<(), Error> {
    breakpoint::finish(lock)?;
    let text = Text::of(image);
    loop {
        let mut plan = Plan::new(lock);
        let result = if mode == Mode::Inline && writer::preferred(lock) != Writer::Breakpoint {
            // The registration has just found a call of its trampoline at every site. So no site can refuse
            // the change, and only the pages need to be marked.
            for record in tables::records(image).filter(|record| !waits(record, mode, text)) {
                // Without sites, its trampoline changes.
                plan.count += (record.count.get() as usize).max(1);
                mark_record(record, image, mode);
            }
            Ok(())
        } else {
            let records = tables::records(image).filter(|record| !waits(record, mode, text));
            records.for_each(|record| mark_record(record, image, mode));
            visit_image(image, mode, &mut plan)
        };
        match result.and_then(|()| turn(image, mode, Turn::Direct, &plan)) {
            Err(error) if writer::steps_down(&error, lock) => {}
            result => return result,
        }
    }
}

/// Returns all calls of an image that is unloaded to their trampolines. The process may be ending, and the
/// calls must follow their keys until it has ended.
pub(crate) fn unload(image: &Image, lock: &Guard) -> Result<(), Error> {
    breakpoint::finish(lock)?;
    let mode = mode::for_images(lock);
    let mut plan = Plan::new(lock);
    let is_changed = |record: &&Record| mode_of(record, mode) != Mode::Trampoline || has_saved(record);
    tables::records(image).filter(is_changed).for_each(|record| mark_record(record, image, mode));
    windows::survey(lock)?;
    visit_back(image, mode, &mut plan)?;
    turn(image, mode, Turn::Back, &plan)
}

/// Where all calls of an image go next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// To the functions of their keys.
    Direct,
    /// To their trampolines.
    Back,
}

/// Writes all calls of one image, whose pages are marked.
fn turn(image: &Image, mode: Mode, turn: Turn, plan: &Plan<'_>) -> Result<(), Error> {
    let lock = plan.lock;
    if plan.count == 0 {
        return Ok(());
    }
    if turn == Turn::Direct {
        windows::survey(lock)?;
    }
    match writer::preferred(lock) {
        Writer::None => Err(not_writable()),
        Writer::Breakpoint => {
            // SAFETY: the only ones of this load or unload.
            let mut breakpoints = unsafe { Breakpoints::open(plan.count, refusal::is_again(lock), lock) }?;
            match turn {
                Turn::Direct => visit_image(image, mode, &mut breakpoints)?,
                Turn::Back => visit_back(image, mode, &mut breakpoints)?,
            }
            journal::step(Step::Trapping, lock);
            breakpoints.set()?;
            journal::step(Step::Replacing, lock);
            breakpoints.replace();
            Ok(())
        }
        Writer::Window | Writer::Alias | Writer::Custom => {
            let windows = Windows::open(lock)?;
            let result = match turn {
                Turn::Direct => {
                    windows.populate(image, plan.count);
                    windows.begin()?;
                    let result =
                        windows.write(|| visit_image(image, mode, &mut Replace::new(&windows, lock)));
                    result.inspect_err(|_| to_trampolines(image, mode, lock))
                }
                Turn::Back => {
                    windows.begin()?;
                    to_trampolines(image, mode, lock);
                    Ok(())
                }
            };
            journal::step(Step::Preparing, lock);
            drop(windows);
            result
        }
    }
}

/// What a transaction writes. While it lives, pages may be marked.
struct Plan<'lock> {
    /// How many instructions change.
    count: usize,
    /// Whether all of them jump through their key so far.
    follow_keys: bool,
    lock: &'lock Guard,
}

impl<'lock> Plan<'lock> {
    fn new(lock: &'lock Guard) -> Self {
        Self { count: 0, follow_keys: true, lock }
    }
}

impl Drop for Plan<'_> {
    fn drop(&mut self) {
        image::for_each_writable(self.lock, window::clear);
    }
}

/// What is done with the words that a change affects.
trait Visitor {
    /// Visits one word.
    fn visit(&mut self, text: Text, patch: Patch) -> Result<(), Error>;

    /// Visits many words at once: the sites that are what their rewrites replace, from the first one up to
    /// the first other one. Returns how many; the next site is visited alone.
    fn visit_run<R: BulkRewrite<WORD>>(
        &mut self,
        _text: Text,
        _sites: impl Iterator<Item = (usize, R)>,
    ) -> usize {
        0
    }
}

impl Visitor for Plan<'_> {
    fn visit(&mut self, _text: Text, patch: Patch) -> Result<(), Error> {
        if patch.old != patch.new {
            self.count += 1;
            self.follow_keys &= patch.follows_key;
        }
        Ok(())
    }

    fn visit_run<R: BulkRewrite<WORD>>(
        &mut self,
        text: Text,
        sites: impl Iterator<Item = (usize, R)>,
    ) -> usize {
        let count = text.find_run(sites);
        self.count += count;
        self.follow_keys &= count == 0;
        count
    }
}

impl Visitor for Breakpoints<'_> {
    fn visit(&mut self, _text: Text, patch: Patch) -> Result<(), Error> {
        self.add(patch)
    }
}

/// Writes what was planned.
struct Replace<'update> {
    way: Way,
    windows: &'update Windows<'update>,
}

impl<'update> Replace<'update> {
    fn new(windows: &'update Windows<'update>, lock: &Guard) -> Self {
        Self { way: writer::way(lock), windows }
    }
}

impl Visitor for Replace<'_> {
    fn visit(&mut self, text: Text, patch: Patch) -> Result<(), Error> {
        replace(text, patch, self.way).map_err(|error| self.windows.error(error))
    }

    fn visit_run<R: BulkRewrite<WORD>>(
        &mut self,
        text: Text,
        sites: impl Iterator<Item = (usize, R)>,
    ) -> usize {
        // SAFETY: as in `replace`.
        unsafe { text.replace_run(sites, self.way) }
    }
}

fn publish(
    change: &mut Change<'_>,
    mode: Mode,
    images: &mut Images<'_>,
    windows: &Windows<'_>,
    lock: &Guard,
) -> Result<(), Error> {
    let to = change.state();
    change.store();
    let mut writer = Replace::new(windows, lock);
    visit_key(change.key, (change.state(), to), mode, Foreign::Refuse, images, &mut writer)
}

/// Undoes what [`publish`] did, wholly or in part.
fn put_back(changes: &mut [Change<'_>], mode: Mode, images: &mut Images<'_>, lock: &Guard) {
    let mut writer = PutBack::new(lock);
    for change in changes {
        let to = change.state();
        // As the caller passed it.
        change.store();
        let _ = visit_key(change.key, (change.state(), to), mode, Foreign::Skip, images, &mut writer);
    }
    serialize_at_last(lock);
}

fn replace(text: Text, patch: Patch, way: Way) -> Result<(), Error> {
    // SAFETY: the plan has seen the same word, so that a window is open over it. Both the old and the new
    // instruction lead to a target that the key has, or had when the update began.
    let replaced = patch.old == patch.new || unsafe { text.replace(&patch, way) };
    if replaced { Ok(()) } else { Err(Error::at(ErrorKind::ForeignCode, patch.pc)) }
}

/// Writes what can be written. Somebody else has changed the other sites.
struct PutBack {
    way: Way,
}

impl PutBack {
    fn new(lock: &Guard) -> Self {
        Self { way: writer::way(lock) }
    }
}

impl Visitor for PutBack {
    fn visit(&mut self, text: Text, patch: Patch) -> Result<(), Error> {
        let _ = replace(text, patch, self.way);
        Ok(())
    }
}

/// What a visit does where an instruction is not what was last written there.
#[derive(Clone, Copy, Debug)]
enum Foreign {
    /// It fails.
    Refuse,
    /// It goes on with the next one.
    Skip,
}

impl Foreign {
    /// The patch, if there is one and the instruction is not foreign.
    #[inline]
    fn filter(self, patch: Result<Option<Patch>, Error>) -> Result<Option<Patch>, Error> {
        match self {
            Self::Refuse => patch,
            Self::Skip => Ok(patch.unwrap_or(None)),
        }
    }
}

/// Marks the pages of every word that a change of this key concerns, without reading their code. Words that
/// need no change count as well: if another patcher alters one meanwhile, our write must still land inside a
/// window.
fn mark_key(key: &Key, mode: Mode, images: &mut Images<'_>) -> Result<(), Error> {
    images
        .patched_records_of(key)
        .try_for_each(|found| found.map(|(record, image)| mark_record(record, image, mode)))
}

/// Whether the record's instructions are left alone when its image is loaded: its key is a pointer, or its
/// trampoline waits for the first update of its key. Until then it is as good as a call through a pointer,
/// and most keys are never updated.
pub(crate) fn waits(record: &Record, mode: Mode, text: Text) -> bool {
    // SAFETY: the registration has checked the key.
    if unsafe { &*record.key }.is_pointer() {
        return true;
    }
    mode == Mode::Inline && record.count.get() == 0 && (record.is_branch() || !image::has_thunk(record, text))
}

/// How the calls of a record follow its key: through the patched trampoline if no site is recorded. A branch
/// has no trampoline.
fn mode_of(record: &Record, mode: Mode) -> Mode {
    match mode {
        Mode::Trampoline if record.is_branch() => Mode::Generic,
        Mode::Inline if record.count.get() == 0 && !record.is_branch() => Mode::Trampoline,
        mode => mode,
    }
}

fn mark_record(record: &Record, image: &Image, mode: Mode) {
    match mode_of(record, mode) {
        Mode::Generic => {}
        Mode::Trampoline => {
            window::mark(image, core::iter::once(image::trampoline(record) + native::TRAMPOLINE_JUMP))
        }
        Mode::Inline if record.is_branch() => {
            window::mark(image, branches::sites_unseen(record));
        }
        Mode::Inline => window::mark(image, image::sites_unseen(record)),
    }
}

/// Visits every word that a change of this key affects.
fn visit_key(
    key: &Key,
    (from, to): (State, State),
    mode: Mode,
    foreign: Foreign,
    images: &mut Images<'_>,
    visitor: &mut impl Visitor,
) -> Result<(), Error> {
    if key.is_pointer() || (key.is_branch() && from.is_on(key) == to.is_on(key)) {
        return Ok(());
    }
    images.patched_records_of(key).try_for_each(|found| {
        let (record, image) = found?;
        visit_record(record, image, (from, to), mode, foreign, visitor)
    })
}

/// Visits every word that must change when this image is loaded, so that its calls reach the present state of
/// their keys.
fn visit_image(image: &Image, mode: Mode, visitor: &mut impl Visitor) -> Result<(), Error> {
    let text = Text::of(image);
    for record in tables::records(image).filter(|record| !waits(record, mode, text)) {
        // SAFETY: the registration has checked the key.
        let state = State::of(unsafe { &*record.key });
        visit_record(record, image, (state, state), mode, Foreign::Refuse, visitor)?;
    }
    Ok(())
}

fn visit_record(
    record: &Record,
    image: &Image,
    (from, to): (State, State),
    mode: Mode,
    foreign: Foreign,
    visitor: &mut impl Visitor,
) -> Result<(), Error> {
    let text = Text::of(image);
    // An update has asked for the type of what it publishes. A load has not, and what comes back after a
    // failure may be what was loaded.
    let is_published = from != to && matches!(foreign, Foreign::Refuse);
    let suits = || is_published || function_type::suits(record, text, to.target.addr());
    match mode_of(record, mode) {
        Mode::Generic => {}
        Mode::Trampoline => {
            let to = suits().then_some(to);
            if let Some(patch) = foreign.filter(trampoline_patch(record, text, from, to))? {
                visitor.visit(text, patch)?;
            }
        }
        Mode::Inline if record.is_branch() => {
            // SAFETY: the registration has checked the key.
            let key = unsafe { &*record.key };
            let [from, to] = [from, to].map(|state| state.is_on(key));
            let rewrite = move |entry: Entry| {
                let exchange = arch::exchange_branch(entry.pc, entry.target, entry.jumps.jumps(to))?;
                (from != to && !entry.is_left_alone()).then_some((entry.pc, exchange))
            };
            let all = record.count.get() as usize;
            let mut visited = 0;
            while visited < all {
                let run = branches::entries_from(record, visited).map_while(rewrite);
                visited += visitor.visit_run(text, run);
                if let Some(entry) = branches::entries_from(record, visited).next()
                    && !entry.is_left_alone()
                    && let patch =
                        branch_patch(record, entry, text, [from, to].map(|is_on| entry.action(is_on)))
                    && let Some(patch) = foreign.filter(patch)?
                {
                    visitor.visit(text, patch)?;
                }
                visited += 1;
            }
        }
        Mode::Inline => {
            let transition = Transition::new(record, text, from, to, suits());
            let all = record.count.get() as usize;
            let mut visited = 0;
            'sites: while visited < all {
                for rewrite in transition.rewrites.into_iter().flatten() {
                    let sites = image::sites_from(record, visited).map(move |pc| (pc, rewrite));
                    let count = visitor.visit_run(text, sites);
                    visited += count;
                    if count > 0 {
                        continue 'sites;
                    }
                }
                if let Some(pc) = image::sites_from(record, visited).next()
                    && let Some(patch) = foreign.filter(transition.site_patch(pc))?
                {
                    visitor.visit(text, patch)?;
                }
                visited += 1;
            }
        }
    }
    Ok(())
}

/// Where branches of this image enter a key's target, if they may.
#[inline]
fn entry(state: State, trampoline: usize, text: Text) -> Option<usize> {
    arch::entry(state.target.addr(), trampoline, &text.range(), |address| {
        // SAFETY: an instruction of the target, which is a function, or one of the trampoline.
        unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() }
    })
}

/// How the sites of one record change from one state to another.
#[derive(Clone, Copy, Debug)]
struct Transition {
    key: *const Key,
    text: Text,
    trampoline: Action,
    from: Encodings,
    to: Encodings,
    /// For most sites; none if nothing changes.
    rewrites: [Option<native::Rewrite>; 2],
}

/// The actions that bring a call to a state, the best one first.
#[derive(Clone, Copy, Debug)]
struct Encodings {
    best: Action,
    call: Action,
}

impl Transition {
    /// `suits` says whether the calls may reach the target of `to`. Whether they reached that of `from`, the
    /// sites tell: they may be on their trampoline in any state.
    fn new(record: &Record, text: Text, from: State, to: State, suits: bool) -> Self {
        let may_be_nop = image::may_be_nop(record, text);
        let trampoline = image::trampoline(record);
        let wanted = |state: State, suits: bool| {
            // A target that no branch may enter is reached through the key.
            let entry = if suits { entry(state, trampoline, text) } else { None };
            let call = Action::Branch(entry.unwrap_or(trampoline));
            Encodings { best: Action::at_best(state.form, may_be_nop, call), call }
        };
        let trampoline = Action::Branch(trampoline);
        let (is_load, from, to) = (from == to, wanted(from, true), wanted(to, suits));
        let before = if is_load { trampoline } else { from.best };
        let rewrites =
            if before == to.best { [None; 2] } else { native::Rewrite::all(before, to.best, &text.range()) };
        Self { key: record.key, text, trampoline, from, to, rewrites }
    }

    /// The change of one site. None if it stays on its trampoline because its instruction does not lie in one
    /// word: something moved it after compilation.
    fn site_patch(&self, pc: usize) -> Result<Option<Patch>, Error> {
        let foreign = Error::at(ErrorKind::ForeignCode, pc);
        let fetched = self.text.fetch(pc).ok_or(foreign)?;
        let (kind, action) = native::decode(pc, fetched.bytes()).ok_or(foreign)?;
        let code = |wanted| self.code(kind, pc, fetched.bytes(), wanted);
        let (next, code_of_next) = code(self.to).ok_or(foreign)?;
        let expected = || code(self.from).is_some_and(|(before, _)| before == action);
        let untouched = action == self.trampoline;
        if !untouched && action != self.from.best && action != next && !expected() {
            return Err(foreign);
        }
        let (old, offset) = (fetched.word(), fetched.offset());
        match code_of_next.splice(old, offset) {
            Some(new) => Ok(Some(Patch { key: self.key, pc, kind, follows_key: false, target: 0, old, new })),
            None if untouched => Ok(None),
            None => Err(foreign),
        }
    }

    /// The best action that has an instruction at a site where `old` stands, and that instruction.
    #[inline]
    fn code(
        &self,
        kind: Kind,
        pc: usize,
        old: &[u8],
        Encodings { best, call }: Encodings,
    ) -> Option<(Action, Code)> {
        arch::first([best, call, self.trampoline], |action| native::encode_over(kind, pc, action, old))
    }
}

/// The change of one instruction of a static branch, which looks at its key where no jump reaches. None if it
/// goes on doing that because it does not lie in one word.
fn branch_patch(
    record: &Record,
    entry: Entry,
    text: Text,
    [from, to]: [Action; 2],
) -> Result<Option<Patch>, Error> {
    let (pc, target, unpatched) = (entry.pc, entry.target, Action::Branch(entry.check));
    let foreign = Error::at(ErrorKind::ForeignCode, pc);
    let fetched = text.fetch(pc).ok_or(foreign)?;
    let action = arch::decode_branch(pc, fetched.bytes()).ok_or(foreign)?;
    let encode = |action| arch::encode_branch(pc, action).map(|code| (action, code));
    let code = |wanted| encode(wanted).or_else(|| encode(unpatched));
    let (next, code_of_next) = code(to).ok_or(foreign)?;
    let expected = || code(from).is_some_and(|(before, _)| before == action);
    if action != unpatched && action != next && !expected() {
        return Err(foreign);
    }
    let (old, kind, follows_key) = (fetched.word(), Kind::StaticBranch(entry.jumps), action == unpatched);
    match code_of_next.splice(old, fetched.offset()) {
        Some(new) => Ok(Some(Patch { key: record.key, pc, kind, follows_key, target, old, new })),
        None if follows_key => Ok(None),
        None => Err(foreign),
    }
}

/// The change of a record's trampoline, to none if it has to look at its key. None if it stays as it is,
/// because its first instruction may not be replaced by a jump.
fn trampoline_patch(
    record: &Record,
    text: Text,
    from: State,
    to: Option<State>,
) -> Result<Option<Patch>, Error> {
    let address = image::trampoline(record);
    let pc = address + native::TRAMPOLINE_JUMP;
    let Some(old) = text.word(address) else { return Ok(None) };
    let follows_key = native::is_trampoline_entry(old);
    if follows_key {
        // It is not patched. Half of `saved` may be written, if a fork came between two stores.
        let mut saved = [0; 8];
        saved[..WORD].copy_from_slice(&old);
        record.saved.set(saved);
    } else if !has_saved(record) {
        return Ok(None);
    }
    let original = saved(record, old);
    let jump = |state| jump(state, record, text, original);
    let new = to.map_or(original, jump);
    if ![original, jump(from), new].contains(&old) {
        return Err(Error::at(ErrorKind::ForeignCode, pc));
    }
    Ok(Some(Patch { key: record.key, pc, kind: Kind::Jump, follows_key, target: 0, old, new }))
}

/// The first word of a trampoline that jumps to its key's target. Out of reach, it jumps through the key as
/// before.
fn jump(state: State, record: &Record, text: Text, original: [u8; WORD]) -> [u8; WORD] {
    let address = image::trampoline(record);
    entry(state, address, text)
        .and_then(|entry| {
            native::encode(Kind::Jump, address + native::TRAMPOLINE_JUMP, Action::Branch(entry))
        })
        .and_then(|code| code.splice(original, native::TRAMPOLINE_JUMP))
        .unwrap_or(original)
}

/// The change that returns a record's trampoline, which was patched before, to its key.
fn trampoline_back(
    record: &Record,
    text: Text,
    now: State,
    foreign: Foreign,
) -> Result<Option<Patch>, Error> {
    let address = image::trampoline(record);
    let Some(old) = text.word(address) else { return Ok(None) };
    let (pc, new) = (address + native::TRAMPOLINE_JUMP, saved(record, old));
    if matches!(foreign, Foreign::Refuse) && ![new, jump(now, record, text, new)].contains(&old) {
        return Err(Error::at(ErrorKind::ForeignCode, pc));
    }
    let (key, kind) = (record.key, Kind::Jump);
    Ok(Some(Patch { key, pc, kind, follows_key: false, target: 0, old, new }))
}

/// Whether the trampoline was patched before. No instruction that may be patched is zero.
fn has_saved(record: &Record) -> bool {
    record.saved.get() != [0; 8]
}

/// The trampoline's first word, as the linker made it. The bytes before the instruction that changes are
/// those of `now`: a probe may have been set there.
fn saved(record: &Record, now: [u8; WORD]) -> [u8; WORD] {
    let mut word = now;
    word[native::TRAMPOLINE_JUMP..].copy_from_slice(&record.saved.get()[native::TRAMPOLINE_JUMP..WORD]);
    word
}

/// In a child that has inherited open windows: returns a key's calls to its state, wherever they lead.
pub(crate) fn write_back(key: &Key, (from, to): (State, State), lock: &Guard) {
    let mut images = Images::new(lock);
    let _ = visit_key(
        key,
        (from, to),
        mode::for_images(lock),
        Foreign::Skip,
        &mut images,
        &mut PutBack::new(lock),
    );
}

/// The same with all calls of an image.
pub(crate) fn leave(image: &Image, lock: &Guard) {
    to_trampolines(image, mode::for_images(lock), lock);
}

/// Returns the calls of an image to what the linker made.
fn to_trampolines(image: &Image, mode: Mode, lock: &Guard) {
    let _ = visit_back(image, mode, &mut PutBack::new(lock));
    // Preparing for it may take milliseconds, and what goes back is about to go away.
    if mode::is_prepared(lock) {
        serialize_at_last(lock);
    }
}

/// Visits every word that must change to return the calls of this image to their trampolines. Words that
/// cannot be returned have been changed by somebody else.
fn visit_back(image: &Image, mode: Mode, visitor: &mut impl Visitor) -> Result<(), Error> {
    tables::records(image)
        .try_for_each(|record| visit_record_back(record, image, mode, Foreign::Skip, visitor))
}

fn visit_record_back(
    record: &Record,
    image: &Image,
    mode: Mode,
    foreign: Foreign,
    visitor: &mut impl Visitor,
) -> Result<(), Error> {
    let text = Text::of(image);
    // SAFETY: the registration has checked the key.
    let now = State::of(unsafe { &*record.key });
    let trampoline = image::trampoline(record);
    let there = State { target: core::ptr::without_provenance(trampoline), form: Form::Call };
    match mode_of(record, mode) {
        Mode::Generic => {}
        Mode::Trampoline => {
            if has_saved(record)
                && let Some(patch) = trampoline_back(record, text, now, foreign)?
            {
                visitor.visit(text, patch)?;
            }
        }
        Mode::Inline if record.is_branch() => {
            // SAFETY: as above.
            let is_on = now.is_on(unsafe { &*record.key });
            for entry in branches::entries(record) {
                let actions = [entry.action(is_on), Action::Branch(entry.check)];
                if let Some(patch) = foreign.filter(branch_patch(record, entry, text, actions))? {
                    visitor.visit(text, patch)?;
                }
            }
        }
        Mode::Inline => {
            let transition = Transition::new(record, text, now, there, true);
            for pc in image::sites(record) {
                if let Some(patch) = foreign.filter(transition.site_patch(pc))? {
                    visitor.visit(text, patch)?;
                }
            }
        }
    }
    Ok(())
}

/// The sites of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sites {
    pub(crate) all: usize,
    /// Those that do not call the trampoline.
    pub(crate) direct: usize,
}

pub(crate) fn count_sites(record: &Record, image: &Image) -> Sites {
    let text = Text::of(image);
    let trampoline = image::trampoline(record);
    let page = os::page_size();
    let (mut last, mut is_mapped) = (usize::MAX, true);
    let mut is_direct = |pc: usize, unpatched: usize| {
        if pc / page != last {
            last = pc / page;
            is_mapped = !matches!(os::rights(last * page, page), Some((Rights::NotMapped, _)));
        }
        if !is_mapped {
            return false;
        }
        let action = text.fetch(pc).and_then(|fetched| native::decode(pc, fetched.bytes()));
        action.is_some_and(|(_, action)| action != Action::Branch(unpatched))
    };
    let direct = if record.is_branch() {
        branches::entries(record).filter(|entry| is_direct(entry.pc, entry.check)).count()
    } else {
        image::sites_unseen(record).filter(|&pc| is_direct(pc, trampoline)).count()
    };
    Sites { all: record.count.get() as usize, direct }
}
