//! The registry under the lock: lists keys, and switches those that a pattern names.
//!
//! Nobody is called back under the lock: what the program does with a key (print it, say) might wait for a
//! thread that waits for the lock. So a walk copies one key at a time, and looks for the next one later.
//!
//! # Safety
//!
//! As for `update.rs`. The memory for many changes belongs to the holder of the lock.

use core::mem::MaybeUninit;

use static_call_abi::{Form, Key, Record, Variant};

use crate::branches;
use crate::change::{Change, State, Wish};
use crate::critical;
use crate::error::{Error, ErrorKind};
use crate::image::Images;
use crate::info;
use crate::lock::Guard;
use crate::log::log;
use crate::os;
use crate::pattern::matches;
use crate::room::Room;
use crate::seal;
use crate::sealed;
use crate::update;
use crate::walk;
use crate::wire::{CEntry, KeyState, NAME};

/// Puts the next key whose name matches into `entry`, which holds the last one. Returns whether there is one.
///
/// # Errors
///
/// [`ErrorKind::Reentrant`] in the middle of an update of this thread.
pub(crate) fn next(pattern: &[u8], entry: &mut CEntry) -> Result<bool, Error> {
    let lock = critical::enter()?;
    let found = walk::next(entry.key, |key| matches(pattern, update::name(key).as_bytes()), &lock);
    if let Some(key) = found {
        describe(key, entry, &lock);
    }
    Ok(found.is_some())
}

/// Makes the same change of all branches whose names match, or none. Returns how many there are. After an
/// error `failed`, which was empty, is the key that was in the way, if it was one.
///
/// # Errors
///
/// Those of an update.
pub(crate) fn switch(pattern: &[u8], wish: Wish, failed: &mut CEntry) -> Result<usize, Error> {
    seal::inherit();
    let lock = critical::enter()?;
    if sealed::is_set(&lock) {
        return Err(Error::new(ErrorKind::Sealed));
    }
    let is_meant = |key: &Key| key.is_branch() && matches(pattern, update::name(key).as_bytes());
    let mut count = 0;
    walk::for_each(&lock, &mut |key| count += usize::from(is_meant(key)));
    let mut few = [const { MaybeUninit::<Change<'_>>::uninit() }; FEW];
    let memory: *mut Change<'_> =
        if count <= FEW { few.as_mut_ptr().cast() } else { MANY.of(count, &lock)?.cast() };
    let mut written = 0;
    walk::for_each(&lock, &mut |key| {
        if is_meant(key) && written < count {
            // SAFETY: there is room for as many.
            unsafe { memory.add(written).write(Change::branch(key, wish)) };
            written += 1;
        }
    });
    // SAFETY: so many are written, and nobody else has the memory.
    let changes = unsafe { core::slice::from_raw_parts_mut(memory, written) };
    update::update(changes, &lock).map(|()| count).inspect_err(|error| {
        let pattern = pattern.escape_ascii();
        match culprit(changes, error, &lock) {
            Some(key) => {
                describe(key, failed, &lock);
                log!("the branches {pattern} stay as they are: {}: {error}", update::name(key));
            }
            None => log!("the branches {pattern} stay as they are: {error}"),
        }
    })
}

/// Says what there is to say of a key.
#[inline(never)]
fn describe(key: &Key, entry: &mut CEntry, lock: &Guard) {
    let State { target, form } = State::of(key);
    let state = match form {
        _ if key.is_branch() => KeyState::Branch,
        Form::Nop | Form::OffCall => KeyState::Off,
        Form::Zero => KeyState::ReturnsZero,
        Form::Call => KeyState::Calls,
    };
    entry.key = core::ptr::from_ref(key).addr();
    entry.target = if state == KeyState::Calls { target.addr() } else { 0 };
    entry.count = if state == KeyState::Branch { target.addr() } else { 0 };
    entry.state = state.to_wire();
    entry.info = info::count(key, lock).into();
    entry.set_name(update::name(key));
    if key.is_dispatched() {
        describe_variants(key, target, entry);
    }
}

/// Puts the variants' names behind the key's.
fn describe_variants(key: &Key, target: *const (), entry: &mut CEntry) {
    let mut len = entry.name.iter().position(|&byte| byte == 0).unwrap_or(NAME) + 1;
    let variants = || (0..).map_while(|index| key.variant(index));
    // SAFETY: so many bytes, in an image that stays while the lock is held.
    let name = |Variant { name, len, .. }| unsafe { core::slice::from_raw_parts(name, len) };
    let chosen = variants().find(|variant| variant.function == target);
    len = entry.add_variant(chosen.map_or(&[], name), len);
    for variant in variants() {
        len = entry.add_variant(name(variant), len);
    }
}

/// The first key whose change cannot be made, or whose branch is where the error says.
fn culprit<'key>(changes: &mut [Change<'key>], error: &Error, lock: &Guard) -> Option<&'key Key> {
    if error.kind() == ErrorKind::Count {
        return changes.iter_mut().find_map(|change| change.resolve().is_err().then_some(change.key));
    }
    let mut images = Images::new(lock);
    let is_in_the_way = |record: &Record| match error.kind() {
        ErrorKind::ForeignCode => branches::entries(record).any(|entry| entry.pc == error.address()),
        // Rights are a page's.
        ErrorKind::NotWritable | ErrorKind::NotMapped => branches::entries(record).any(|entry| {
            entry.pc.checked_sub(error.address()).is_some_and(|offset| offset < os::page_size())
        }),
        _ => false,
    };
    changes.iter().map(|change| change.key).find(|key| {
        images.records_of(key).any(|found| match found {
            Ok((record, _)) => is_in_the_way(record),
            Err(other) => error.kind() == other.kind(),
        })
    })
}

/// Changes that need no memory of their own.
const FEW: usize = 32;

static MANY: Room<Change<'static>> = Room::new();
