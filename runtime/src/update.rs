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
//! A site may be run at any moment by any thread; that is why it only changes as a whole word, from one
//! call that is right to another one that is right.

use core::sync::atomic::{AtomicBool, Ordering, fence};

use static_call_abi::{Form, Image, Key, Record};

use crate::arch::{self, Action, Code, Kind, WORD, native};
use crate::error::{Error, ErrorKind};
use crate::image;
use crate::lock::{self, Guard};
use crate::log::{self, log};
use crate::mode::{self, Mode};
use crate::seal;
use crate::text::Text;
use crate::writer::breakpoint::{self, Breakpoints};
use crate::writer::window::{self, Window, Windows};
use crate::writer::{self, Writer};

/// What the calls of a key reach.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) target: *const (),
    pub(crate) form: Form,
}

impl State {
    pub(crate) fn of(key: &Key) -> Self {
        let (target, form) = key.load();
        Self { target, form }
    }
}

/// A change of one key. C lays it out, too: `struct static_call_change`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'key> {
    pub(crate) key: &'key Key,
    /// What the key's calls shall reach; once that is published, what they reached before.
    pub(crate) state: State,
}

/// An instruction to be replaced, and the word that it lies in.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "breakpoints need all of it")]
pub(crate) struct Patch {
    pub(crate) key: *const Key,
    pub(crate) pc: usize,
    pub(crate) kind: Kind,
    pub(crate) old: [u8; WORD],
    pub(crate) new: [u8; WORD],
}

/// Makes all changes or none.
pub(crate) fn update(changes: &mut [Change<'_>]) -> Result<(), Error> {
    // C has but a number for it.
    update_quietly(changes).inspect_err(|error| log!("an update failed: {error}"))
}

fn update_quietly(changes: &mut [Change<'_>]) -> Result<(), Error> {
    let lock = lock::lock()?;
    if seal::is_set(&lock) {
        return Err(Error::new(ErrorKind::Sealed));
    }
    for (index, change) in changes.iter().enumerate() {
        if changes[..index].iter().any(|other| core::ptr::eq(other.key, change.key)) {
            return Err(Error::new(ErrorKind::DuplicateKey));
        }
    }
    if changes.iter().any(|change| change.state.target.is_null()) {
        return Err(Error::new(ErrorKind::NoOffState));
    }
    // Whoever published this state has seen to it that every site follows.
    if changes.iter().all(|change| State::of(change.key) == change.state) {
        return Ok(());
    }
    changes.iter().for_each(|change| note_unrecorded(change.key));
    breakpoint::finish(&lock)?;
    let mode = mode::wanted(&lock);
    loop {
        match change_all(changes, mode, &lock) {
            Err(error) if writer::steps_down(&error, &lock) => {}
            result => return result,
        }
    }
}

/// Says of the first call that was compiled for the pass, but without it, that there are such calls.
pub(crate) fn note_not_lowered(key: &Key) {
    static IS_NOTED: AtomicBool = AtomicBool::new(false);
    if log::is_on() && !IS_NOTED.swap(true, Ordering::Relaxed) {
        let name = name(key);
        log!("key {name}: a call that loads it; the crate that makes it was built without the pass");
    }
}

fn name(key: &Key) -> &str {
    if key.name.is_null() {
        return "";
    }
    // SAFETY: a key's name is a C string that lives as long as the key.
    unsafe { core::ffi::CStr::from_ptr(key.name) }.to_str().unwrap_or_default()
}

/// Says of a key's first update that no recorded call follows it: whoever calls the key loads it.
fn note_unrecorded(key: &Key) {
    let is_first = key.form.load(Ordering::Relaxed) <= Form::OffCall as u32;
    if is_first && key.records.load(Ordering::Relaxed).is_null() && !key.name.is_null() {
        let name = name(key);
        log!(
            "key {name}: no recorded call; what calls it was built without the pass, is not loaded yet, or is in a \
             generic image"
        );
    }
}

fn change_all(changes: &mut [Change<'_>], mode: Mode, lock: &Guard) -> Result<(), Error> {
    let mut plan = Plan::new(lock);
    for change in &*changes {
        visit_key(change.key, change.both(), mode, Foreign::Refuse, lock, &mut plan)?;
    }
    if plan.count == 0 {
        changes.iter_mut().for_each(Change::store);
        // The stores are visible before anything that the caller does next.
        fence(Ordering::SeqCst);
        return Ok(());
    }
    match writer::wanted(lock) {
        Writer::None => Err(not_writable()),
        Writer::Breakpoint => {
            let mut breakpoints = Breakpoints::open(plan.count, lock)?;
            for change in &*changes {
                visit_key(change.key, change.both(), mode, Foreign::Refuse, lock, &mut breakpoints)?;
            }
            breakpoints.set()?;
            // From here on every call goes through its key.
            changes.iter_mut().for_each(Change::store);
            breakpoints.replace();
            Ok(())
        }
        Writer::Window | Writer::Custom => {
            let _windows = Windows::open(lock)?;
            for index in 0..changes.len() {
                if let Err(error) = publish(&mut changes[index], mode, lock) {
                    put_back(&mut changes[..=index], mode, lock);
                    return Err(error);
                }
            }
            writer::serialize().inspect_err(|_| put_back(changes, mode, lock))
        }
    }
}

fn not_writable() -> Error {
    Error::new(ErrorKind::NotWritable)
}

/// Makes the calls of an image that was just registered direct: all of them or none.
pub(crate) fn load(image: &mut Image, mode: Mode, lock: &Guard) -> Result<(), Error> {
    breakpoint::finish(lock)?;
    loop {
        match make_direct(image, mode, lock) {
            Err(error) if writer::steps_down(&error, lock) => {}
            result => return result,
        }
    }
}

fn make_direct(image: &mut Image, mode: Mode, lock: &Guard) -> Result<(), Error> {
    let writer = writer::wanted(lock);
    let mut plan = Plan::new(lock);
    if mode == Mode::Inline && writer != Writer::Breakpoint {
        // The registration has just found a call of its trampoline at every site. None of them refuses a
        // change, so that there is nothing to look at: only the pages count.
        let mut window = Window::EMPTY;
        for record in image::records(image) {
            plan.count += record.count as usize;
            window = image::sites_unseen(record).fold(window, |window, pc| window.with(pc / WORD * WORD));
        }
        window::widen(image, window);
    } else {
        visit_image(image, mode, &mut plan)?;
    }
    if plan.count == 0 {
        return Ok(());
    }
    match writer {
        Writer::None => Err(not_writable()),
        Writer::Breakpoint => {
            let mut breakpoints = Breakpoints::open(plan.count, lock)?;
            visit_image(image, mode, &mut breakpoints)?;
            breakpoints.set()?;
            breakpoints.replace();
            Ok(())
        }
        Writer::Window | Writer::Custom => {
            let windows = Windows::open(lock)?;
            windows.populate(image, plan.count);
            let result = visit_image(image, mode, &mut Replace);
            result.and_then(|()| writer::serialize()).inspect_err(|_| to_trampolines(image, mode))
        }
    }
}

/// Which words a transaction writes.
struct Plan {
    /// How many instructions change.
    count: usize,
}

impl Plan {
    fn new(lock: &Guard) -> Self {
        image::for_each(lock, window::clear);
        Self { count: 0 }
    }
}

/// What is done with the words that a change concerns.
trait Visitor {
    /// Of one word; the window is that of its record.
    fn visit(&mut self, text: Text, window: &mut Window, patch: Patch) -> Result<(), Error>;

    /// The same of many at once: of what `rewrite` replaces, from the first of these sites on until one is something
    /// else. How many there were; the next one is visited alone.
    fn visit_run(
        &mut self,
        _text: Text,
        _window: &mut Window,
        _rewrite: &native::Rewrite,
        _sites: impl Iterator<Item = usize>,
    ) -> usize {
        0
    }
}

impl Visitor for Plan {
    /// A word that is as it shall be is in the window as well: whoever changes it meanwhile must not make us
    /// write where no window is.
    fn visit(&mut self, _text: Text, window: &mut Window, patch: Patch) -> Result<(), Error> {
        self.count += usize::from(patch.old != patch.new);
        *window = window.with(patch.address());
        Ok(())
    }

    fn visit_run(
        &mut self,
        text: Text,
        window: &mut Window,
        rewrite: &native::Rewrite,
        sites: impl Iterator<Item = usize>,
    ) -> usize {
        let (count, words) = text.find_run(sites, rewrite);
        self.count += count;
        *window = window.and(words);
        count
    }
}

impl Visitor for Breakpoints {
    fn visit(&mut self, _text: Text, _window: &mut Window, patch: Patch) -> Result<(), Error> {
        self.add(patch)
    }
}

/// Writes what was planned.
struct Replace;

impl Visitor for Replace {
    fn visit(&mut self, text: Text, _window: &mut Window, patch: Patch) -> Result<(), Error> {
        replace(text, patch)
    }

    fn visit_run(
        &mut self,
        text: Text,
        _window: &mut Window,
        rewrite: &native::Rewrite,
        sites: impl Iterator<Item = usize>,
    ) -> usize {
        // SAFETY: as in `replace`.
        unsafe { text.replace_run(sites, rewrite) }
    }
}

impl Change<'_> {
    /// From what the key holds to what it shall.
    fn both(&self) -> (State, State) {
        (State::of(self.key), self.state)
    }

    /// Stores the key; what it held before takes its place here.
    fn store(&mut self) {
        let before = State::of(self.key);
        self.key.store(self.state.target, self.state.form);
        self.state = before;
    }
}

impl Patch {
    #[allow(dead_code, reason = "for breakpoints")]
    pub(crate) const NONE: Self =
        Self { key: core::ptr::null(), pc: 0, kind: Kind::Call, old: [0; WORD], new: [0; WORD] };

    /// The address of the word.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.pc / WORD * WORD
    }

    /// Where in the word the instruction starts.
    #[inline]
    #[allow(dead_code, reason = "for x86")]
    pub(crate) fn offset(&self) -> usize {
        self.pc % WORD
    }
}

fn publish(change: &mut Change<'_>, mode: Mode, lock: &Guard) -> Result<(), Error> {
    let to = change.state;
    change.store();
    visit_key(change.key, (change.state, to), mode, Foreign::Refuse, lock, &mut Replace)
}

/// Undoes what [`publish`] did, wholly or in part.
fn put_back(changes: &mut [Change<'_>], mode: Mode, lock: &Guard) {
    for change in changes {
        let to = change.state;
        // As the caller passed it.
        change.store();
        let _ = visit_key(change.key, (change.state, to), mode, Foreign::Skip, lock, &mut PutBack);
    }
    // If that is refused too, threads come around to the old code with their next interrupt.
    let _ = writer::serialize();
}

fn replace(text: Text, patch: Patch) -> Result<(), Error> {
    // SAFETY: the plan has seen the same word, so that a window is open over it. Both the old and the new
    // instruction lead to a target that the key has, or had when the update began.
    let replaced = patch.old == patch.new || unsafe { text.replace(&patch) };
    if replaced { Ok(()) } else { Err(Error::at(ErrorKind::ForeignCode, patch.pc)) }
}

/// Writes what can be written: a site that cannot was changed by somebody else, and is not ours any more.
struct PutBack;

impl Visitor for PutBack {
    fn visit(&mut self, text: Text, _window: &mut Window, patch: Patch) -> Result<(), Error> {
        let _ = replace(text, patch);
        Ok(())
    }
}

/// What a visit does at an instruction that is not what was last written there.
#[derive(Clone, Copy, Debug)]
enum Foreign {
    /// It fails.
    Refuse,
    /// It goes on with the next one.
    Skip,
}

impl Foreign {
    /// The patch, if there is one and nothing foreign stands in its place.
    #[inline]
    fn filter(self, patch: Result<Option<Patch>, Error>) -> Result<Option<Patch>, Error> {
        match self {
            Self::Refuse => patch,
            Self::Skip => Ok(patch.unwrap_or(None)),
        }
    }
}

/// Visits every word that a change of this key concerns.
fn visit_key(
    key: &Key,
    (from, to): (State, State),
    mode: Mode,
    foreign: Foreign,
    lock: &Guard,
    visitor: &mut impl Visitor,
) -> Result<(), Error> {
    let mut next = key.records.load(Ordering::Relaxed);
    while !next.is_null() {
        // SAFETY: linked records belong to registered images; the lock is held.
        let record = unsafe { &mut *next };
        // SAFETY: null or a registered image.
        let image = unsafe { image::of_record(record, lock).as_mut() };
        let image = image.ok_or(Error::new(ErrorKind::OtherRuntime))?;
        if image::is_patched(image) {
            visit_record(record, image, (from, to), mode, foreign, visitor)?;
        }
        next = record.next;
    }
    Ok(())
}

/// Visits every word that leads the calls of this image to the present state of their keys.
fn visit_image(image: &mut Image, mode: Mode, visitor: &mut impl Visitor) -> Result<(), Error> {
    for record in image::records(image) {
        // SAFETY: the registration has checked the key.
        let state = State::of(unsafe { &*record.key });
        visit_record(record, image, (state, state), mode, Foreign::Refuse, visitor)?;
    }
    Ok(())
}

fn visit_record(
    record: &mut Record,
    image: &mut Image,
    (from, to): (State, State),
    mode: Mode,
    foreign: Foreign,
    visitor: &mut impl Visitor,
) -> Result<(), Error> {
    let text = Text::of(image);
    let mut window = Window::EMPTY;
    match mode {
        Mode::Generic => {}
        Mode::Trampoline => {
            if let Some(patch) = foreign.filter(trampoline_patch(record, text, from, to))? {
                visitor.visit(text, &mut window, patch)?;
            }
        }
        Mode::Inline => {
            let way = Way::new(record, text, from, to);
            let all = record.count as usize;
            let mut visited = 0;
            'sites: while visited < all {
                for rewrite in way.rewrites.iter().flatten() {
                    let sites = image::sites_from(record, visited);
                    let count = visitor.visit_run(text, &mut window, rewrite, sites);
                    visited += count;
                    if count > 0 {
                        continue 'sites;
                    }
                }
                if let Some(pc) = image::sites_from(record, visited).next()
                    && let Some(patch) = foreign.filter(way.site_patch(pc))?
                {
                    visitor.visit(text, &mut window, patch)?;
                }
                visited += 1;
            }
        }
    }
    window::widen(image, window);
    Ok(())
}

/// Where branches in the image with this trampoline enter a key's target, if they may.
#[inline]
fn entry(state: State, trampoline: usize, text: Text) -> Option<usize> {
    arch::entry(state.target.addr(), trampoline, &text.range(), |address| {
        // SAFETY: an instruction of the target, which is a function, or one of the trampoline.
        unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() }
    })
}

/// What the sites of one record have in common.
#[derive(Clone, Copy, Debug)]
struct Way {
    key: *const Key,
    text: Text,
    trampoline: Action,
    from: Wanted,
    to: Wanted,
    /// Of most sites; none if nothing changes.
    rewrites: [Option<native::Rewrite>; 2],
}

/// What brings a call to a state: the best first.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    best: Action,
    call: Action,
}

impl Way {
    fn new(record: &Record, text: Text, from: State, to: State) -> Self {
        let may_vanish = image::may_vanish(record, text);
        let trampoline = image::trampoline(record);
        let wanted = |state: State| {
            // A target that no branch may enter is reached through the key.
            let call = Action::Go(entry(state, trampoline, text).unwrap_or(trampoline));
            let best = match state.form {
                Form::Nop if may_vanish => Action::Nop,
                Form::Zero if may_vanish => Action::Zero,
                _ => call,
            };
            Wanted { best, call }
        };
        let trampoline = Action::Go(trampoline);
        let (is_load, from, to) = (from == to, wanted(from), wanted(to));
        let before = if is_load { trampoline } else { from.best };
        let rewrites =
            if before == to.best { [None; 2] } else { native::Rewrite::all(before, to.best, &text.range()) };
        Self { key: record.key, text, trampoline, from, to, rewrites }
    }

    /// The change of one site. None: it stays on its trampoline, since its instruction does not lie in
    /// one word (something has moved it after the compiler).
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
            Some(new) => Ok(Some(Patch { key: self.key, pc, kind, old, new })),
            None if untouched => Ok(None),
            None => Err(foreign),
        }
    }

    /// The best that there is an instruction for where `old` stands, and that instruction.
    #[inline]
    fn code(
        &self,
        kind: Kind,
        pc: usize,
        old: &[u8],
        Wanted { best, call }: Wanted,
    ) -> Option<(Action, Code)> {
        let encode = |action| Some((action, native::encode_over(kind, pc, action, old)?));
        encode(best).or_else(|| encode(call)).or_else(|| encode(self.trampoline))
    }
}

/// The change of a record's trampoline. None: it stays as it is, since its first instruction is none that
/// a jump may replace.
fn trampoline_patch(record: &mut Record, text: Text, from: State, to: State) -> Result<Option<Patch>, Error> {
    let address = image::trampoline(record);
    let Some(old) = text.word(address) else { return Ok(None) };
    if !has_saved(record) {
        if !native::is_trampoline_entry(old) {
            return Ok(None);
        }
        record.saved[..WORD].copy_from_slice(&old);
    }
    let original = saved(record);
    // Out of reach, it jumps through the key as before.
    let jump = |state: State| {
        entry(state, address, text)
            .and_then(|entry| native::encode(Kind::Jump, address, Action::Go(entry)))
            .and_then(|code| code.splice(original, 0))
            .unwrap_or(original)
    };
    if ![original, jump(from), jump(to)].contains(&old) {
        return Err(Error::at(ErrorKind::ForeignCode, address));
    }
    Ok(Some(Patch { key: record.key, pc: address, kind: Kind::Jump, old, new: jump(to) }))
}

/// Whether the trampoline was patched before. No instruction that may be patched is zero.
fn has_saved(record: &Record) -> bool {
    record.saved != [0; _]
}

/// The trampoline's first word, as the linker made it.
fn saved(record: &Record) -> [u8; WORD] {
    let mut word = [0; WORD];
    word.copy_from_slice(&record.saved[..WORD]);
    word
}

/// Brings the calls of an image back to what the linker made of them.
fn to_trampolines(image: &mut Image, mode: Mode) {
    let text = Text::of(image);
    for record in image::records(image) {
        // SAFETY: the registration has checked the key.
        let now = State::of(unsafe { &*record.key });
        let trampoline = image::trampoline(record);
        let there = State { target: core::ptr::without_provenance(trampoline), form: Form::Call };
        // As in `put_back`: what cannot be put back is not ours any more.
        let put_back = |patch: Patch| {
            let _ = replace(text, patch);
        };
        match mode {
            Mode::Generic => {}
            Mode::Trampoline => {
                if let Some(old) = text.word(trampoline)
                    && has_saved(record)
                {
                    let original = saved(record);
                    put_back(Patch { key: record.key, pc: trampoline, kind: Kind::Jump, old, new: original });
                }
            }
            Mode::Inline => {
                let way = Way::new(record, text, now, there);
                for pc in image::sites(record) {
                    if let Ok(Some(patch)) = way.site_patch(pc) {
                        put_back(patch);
                    }
                }
            }
        }
    }
    let _ = writer::serialize();
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
    let direct = image::sites(record)
        .filter(|&pc| {
            let action = text.fetch(pc).and_then(|fetched| native::decode(pc, fetched.bytes()));
            action.is_some_and(|(_, action)| action != Action::Go(trampoline))
        })
        .count();
    Sites { all: record.count as usize, direct }
}
