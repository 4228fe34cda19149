//! A writer that does as it is told: it fails, or has somebody else change a word first.

use std::sync::Mutex;
use std::vec::Vec;

use core::ops::Range;

use crate::writer::CodeWriter;

/// What the writer does next. Each number counts down to the call that fails.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) open: Option<usize>,
    pub(super) serialize: Option<usize>,
    pub(super) protect: Option<usize>,
    /// A debugger's breakpoint comes to the word that would be written then.
    pub(super) disturb: Option<usize>,
    /// A breakpoint comes to this address, where something else was written before.
    pub(super) scribble: Option<(usize, usize)>,
}

/// What has happened.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) opened: Vec<Range<usize>>,
    pub(super) closed: Vec<Range<usize>>,
    pub(super) disturbed: Option<usize>,
    pub(super) written: usize,
    pub(super) serialized: usize,
    pub(super) protected: Vec<Range<usize>>,
}

struct State {
    plan: Plan,
    record: Record,
    areas: Vec<Area>,
}

struct Area {
    range: Range<usize>,
    /// Where it can be written.
    alias: usize,
}

static STATE: Mutex<State> = Mutex::new(State {
    plan: Plan { open: None, serialize: None, protect: None, disturb: None, scribble: None },
    record: Record {
        opened: Vec::new(),
        closed: Vec::new(),
        disturbed: None,
        written: 0,
        serialized: 0,
        protected: Vec::new(),
    },
    areas: Vec::new(),
});

impl State {
    fn write_byte(&self, address: usize, byte: u8) {
        let area = self.areas.iter().find(|area| area.range.contains(&address)).expect("code of an image");
        let alias = area.alias + (address - area.range.start);
        // SAFETY: a byte of the area.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(alias).write(byte) };
    }
}

fn with<T>(run: impl FnOnce(&mut State) -> T) -> T {
    // A test that has failed leaves nothing half done here.
    run(&mut STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

pub(super) fn add_area(start: usize, len: usize, alias: *mut u8) {
    let alias = alias.expose_provenance();
    with(|state| state.areas.push(Area { range: start..start + len, alias }));
}

pub(super) fn remove_area(start: usize) {
    with(|state| state.areas.retain(|area| area.range.start != start));
}

/// Has the writer follow a plan from now on, and forgets what has happened.
pub(super) fn follow(plan: Plan) {
    with(|state| (state.plan, state.record) = (plan, Record::default()));
}

/// What has happened since.
pub(super) fn record() -> Record {
    with(|state| core::mem::take(&mut state.record))
}

/// Whether this is the call that fails.
fn counts_down(left: &mut Option<usize>) -> bool {
    let is_now = *left == Some(0);
    *left = left.and_then(|left| left.checked_sub(1));
    is_now
}

#[derive(Debug)]
pub(super) struct Faulty;

pub(super) const OPEN_REFUSED: i32 = 1001;
pub(super) const SERIALIZE_REFUSED: i32 = 1002;
pub(super) const PROTECT_REFUSED: i32 = 1003;

// SAFETY: code of fabricated images is never run; an alias shows the same memory.
unsafe impl CodeWriter for Faulty {
    fn open(&self, start: *mut u8, len: usize) -> Result<(), i32> {
        with(|state| {
            state.record.opened.push(start.addr()..start.addr() + len);
            if counts_down(&mut state.plan.open) { Err(OPEN_REFUSED) } else { Ok(()) }
        })
    }

    fn close(&self, start: *mut u8, len: usize) {
        with(|state| state.record.closed.push(start.addr()..start.addr() + len));
    }

    fn alias(&self, word: *mut u8) -> *mut u8 {
        with(|state| {
            state.record.written += 1;
            let area = state.areas.iter().find(|area| area.range.contains(&word.addr()));
            let area = area.expect("code of an image");
            let alias = area.alias + (word.addr() - area.range.start);
            let alias = core::ptr::with_exposed_provenance_mut::<u8>(alias);
            if counts_down(&mut state.plan.disturb) {
                state.record.disturbed = Some(word.addr());
                // SAFETY: a byte of the area.
                unsafe { alias.write(BREAKPOINT) };
            }
            if let Some((left, address)) = state.plan.scribble.take() {
                match left.checked_sub(1) {
                    Some(left) => state.plan.scribble = Some((left, address)),
                    None => state.write_byte(address, BREAKPOINT),
                }
            }
            alias
        })
    }

    fn protect(&self, start: *mut u8, len: usize) -> Result<(), i32> {
        with(|state| {
            if counts_down(&mut state.plan.protect) {
                return Err(PROTECT_REFUSED);
            }
            state.record.protected.push(start.addr()..start.addr() + len);
            Ok(())
        })
    }

    fn serialize(&self) -> Result<(), i32> {
        with(|state| {
            state.record.serialized += 1;
            if counts_down(&mut state.plan.serialize) { Err(SERIALIZE_REFUSED) } else { Ok(()) }
        })
    }
}

pub(super) const BREAKPOINT: u8 = 0xcc;
