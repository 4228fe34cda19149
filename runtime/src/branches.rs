//! The branch table of an image: what is checked before it is trusted, and what updates read of it.
//!
//! In the file, the instruction of a static branch jumps to code that looks at the key. An entry names the
//! instruction, its target, and the record of its key. The registration sorts the entries by record, and then
//! an entry's place says which record is meant. So the field that named it keeps what the file's instruction
//! would tell as long as nobody patches it: where the code is that looks at the key. When the image goes, the
//! instructions become jumps to that code again, and the fields name the records again.
//!
//! # Safety
//!
//! As for `image.rs`: everything here is done by the holder of the lock.

use static_call_abi::{Branch, Image, JUMPS_WHEN_OFF, Record};

use crate::arch::{self, Action, Jumps};
use crate::foreign_breakpoint::has_breakpoint;
use crate::log::log;
use crate::mode::Reason;
use crate::tables;
use crate::text::Text;

/// An instruction of a static branch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) pc: usize,
    /// Where it jumps.
    pub(crate) target: usize,
    pub(crate) jumps: Jumps,
    /// The code that looks at the key: where it jumps in the file.
    pub(crate) check: usize,
}

impl Entry {
    #[inline]
    fn of(entry: &Branch) -> Self {
        let (pc, shifted) = (address(&entry.site), entry.record.get());
        let check = pc.wrapping_add_signed((shifted >> Branch::CHECK) as isize);
        Self { pc, target: address(&entry.target), jumps: jumps(shifted), check }
    }

    /// What the instruction does while its key is on, or is off.
    #[inline]
    pub(crate) fn action(&self, is_on: bool) -> Action {
        if self.jumps.jumps(is_on) { Action::Branch(self.target) } else { Action::Nop }
    }

    /// Whether its instruction changed during the registration. Then it is left alone.
    #[inline]
    pub(crate) fn is_left_alone(&self) -> bool {
        self.check == self.pc
    }
}

/// The instructions of a branch's record that may be patched.
pub(crate) fn entries(record: &Record) -> impl Iterator<Item = Entry> {
    of_record(record).iter().map(Entry::of).filter(|entry| !entry.is_left_alone())
}

/// All instructions of a branch's record but the first ones, in the order of their addresses.
#[inline]
pub(crate) fn entries_from(record: &Record, start: usize) -> impl Iterator<Item = Entry> {
    of_record(record).get(start..).unwrap_or_default().iter().map(Entry::of)
}

/// The addresses of all instructions of a branch's record.
pub(crate) fn sites_unseen(record: &Record) -> impl Iterator<Item = usize> {
    of_record(record).iter().map(|entry| address(&entry.site))
}

/// The entries of a branch's record, which the registration has put side by side.
fn of_record(record: &Record) -> &[Branch] {
    let first = record.sites.get().cast::<Branch>();
    if !record.is_branch() || first.is_null() {
        return &[];
    }
    // SAFETY: the registration has put as many there.
    unsafe { core::slice::from_raw_parts(first, record.count.get() as usize) }
}

/// Checks the table, sorts it by record, and has the records know their entries. After an error no entry
/// names anything else than before.
pub(crate) fn link(image: &Image, text: Text, records: &[Record]) -> Result<(), Reason> {
    let table = tables::branch_table(image);
    for entry in table.iter().filter(|entry| !entry.is_anchor()) {
        if check(entry, table, text, records)?.is_none() {
            entry.site.set(0);
        }
    }
    let base = table.as_ptr().addr();
    let distance = |from: usize, to: usize| to.wrapping_sub(from) as i32;
    let mut count = 0;
    for entry in table.iter().filter(|entry| !entry.is_anchor()) {
        let (site, target) = (address(&entry.site), address(&entry.target));
        let (number, polarity) = (index(entry, records), entry.record.get() & JUMPS_WHEN_OFF);
        table[count].site.set(distance(base, site));
        table[count].target.set(distance(base, target));
        table[count].record.set((number.unwrap_or(0) << 1) as i32 | polarity);
        count += 1;
    }
    // Without entries there may be no table: the pointers of the descriptor may be null.
    if count > 0 {
        // SAFETY: the first entries of the table. Nobody else has a reference to it: `table` is not used any
        // more, and no record leads to it yet.
        let sorted = unsafe { core::slice::from_raw_parts_mut(image.branches, count) };
        sorted.sort_unstable_by_key(|entry| (entry.record.get() >> 1, entry.site.get()));
    }
    let table = tables::branch_table(image);
    for (place, entry) in table.iter().enumerate() {
        if place >= count {
            [&entry.site, &entry.target, &entry.record].into_iter().for_each(|field| field.set(0));
            continue;
        }
        let at = |field: i32| base.wrapping_add_signed(field as isize);
        let (pc, target) = (at(entry.site.get()), at(entry.target.get()));
        let (record, polarity) = (&records[(entry.record.get() >> 1) as usize], entry.record.get() & 1);
        set_address(&entry.site, pc);
        set_address(&entry.target, target);
        let check = jump(pc, text).unwrap_or(pc);
        entry.record.set(distance(pc, check) << Branch::CHECK | polarity);
        if record.count.get() == 0 {
            record.sites.set(image.branches.wrapping_add(place).cast());
        }
        record.count.set(record.count.get() + 1);
    }
    Ok(())
}

/// Has the entries name their records again, when the image goes.
pub(crate) fn unlink(image: &Image) {
    for record in tables::records(image) {
        for entry in of_record(record) {
            let polarity = entry.record.get() & JUMPS_WHEN_OFF;
            set_address(&entry.record, core::ptr::from_ref(record).addr());
            entry.record.set(entry.record.get() | polarity);
        }
    }
}

/// The first instruction that the table names.
pub(crate) fn first(image: &Image) -> Option<usize> {
    tables::branch_table(image).iter().find(|entry| !entry.is_anchor()).map(|entry| address(&entry.site))
}

/// What an entry says, if that can be true. None if the instruction has to be left alone.
fn check(entry: &Branch, table: &[Branch], text: Text, records: &[Record]) -> Result<Option<()>, Reason> {
    /// Twice that is still a number of 32 bits.
    const REACH: usize = 1 << 30;
    let (pc, target) = (address(&entry.site), address(&entry.target));
    index(entry, records).ok_or(Reason::Damaged)?;
    let is_near = |address: usize| {
        address.abs_diff(table.as_ptr().addr()).saturating_add(size_of_val(table)) < 2 * REACH - 1
    };
    if !text.contains(target) || !is_near(pc) || !is_near(target) {
        return Err(Reason::Damaged);
    }
    if let Some(check) = jump(pc, text) {
        let is_check = check != pc
            && check != target
            && check.abs_diff(pc) < REACH
            && text.fetch(check).is_some_and(|fetched| arch::is_check(fetched.bytes()));
        return if is_check { Ok(Some(())) } else { Err(Reason::Damaged) };
    }
    if has_breakpoint(pc, text) {
        log!("the branch at {pc:#x} has a debugger's breakpoint: left to look at its key");
    } else if text.is_unreadable(pc) {
        log!("the branch at {pc:#x} lies in code that may not be read: left to look at its key");
    } else {
        return Err(Reason::Damaged);
    }
    Ok(None)
}

/// Where the instruction at `pc` jumps, if it is a jump of a static branch.
fn jump(pc: usize, text: Text) -> Option<usize> {
    match arch::decode_branch(pc, text.fetch(pc)?.bytes())? {
        Action::Branch(target) => Some(target),
        _ => None,
    }
}

/// The number of an entry's record, if it names a branch's.
fn index(entry: &Branch, records: &[Record]) -> Option<usize> {
    let record = address(&entry.record) & !(JUMPS_WHEN_OFF as usize);
    tables::record_index(record, records).filter(|&index| records[index].is_branch())
}

fn jumps(field: i32) -> Jumps {
    if field & JUMPS_WHEN_OFF == 0 { Jumps::WhenOn } else { Jumps::WhenOff }
}

/// What a field of an entry names.
fn address(field: &core::cell::Cell<i32>) -> usize {
    core::ptr::from_ref(field).addr().wrapping_add_signed(field.get() as isize)
}

fn set_address(field: &core::cell::Cell<i32>, address: usize) {
    field.set(address.wrapping_sub(core::ptr::from_ref(field).addr()) as i32);
}
