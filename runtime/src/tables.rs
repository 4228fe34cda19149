//! The tables of an image, as slices.

use core::cell::Cell;

use static_call_abi::{Branch, Image, Record, Site, is_entry};

/// The image's records.
pub(crate) fn records(image: &Image) -> impl Iterator<Item = &Record> {
    record_table(image).iter().filter(|record| !record.is_anchor())
}

/// The image's records and anchors.
pub(crate) fn record_table(image: &Image) -> &[Record] {
    // SAFETY: the linker made the table of the records.
    unsafe { table(image.records, image.records_end) }
}

/// The number of the record at an address, if one is there.
#[inline]
pub(crate) fn record_index(address: usize, records: &[Record]) -> Option<usize> {
    let offset = address.checked_sub(records.as_ptr().addr())?;
    let index = offset / size_of::<Record>();
    (offset.is_multiple_of(size_of::<Record>()) && index < records.len()).then_some(index)
}

/// The image's sites and anchors.
pub(crate) fn site_table(image: &Image) -> &[Cell<Site>] {
    // SAFETY: the linker made the table of the sites.
    unsafe { table(image.sites.cast(), image.sites_end.cast()) }
}

/// The image's branches and anchors.
pub(crate) fn branch_table(image: &Image) -> &[Branch] {
    // SAFETY: the linker made the table of the branches.
    unsafe { table(image.branches, image.branches_end) }
}

/// How many calls the site table names, and how many branches the branch table.
pub(crate) fn count_entries(image: &Image) -> (usize, usize) {
    let sites = site_table(image).iter().filter(|site| is_entry(site.get())).count();
    (sites, branch_table(image).iter().filter(|branch| !branch.is_anchor()).count())
}

/// What lies between two symbols of the linker's, both null where there is nothing.
///
/// # Safety
///
/// A table of `T`, alive for `'image`, and changed under the lock only, through cells.
unsafe fn table<'image, T>(start: *mut T, end: *mut T) -> &'image [T] {
    if start.is_null() {
        return &[];
    }
    let len = end.addr().saturating_sub(start.addr()) / size_of::<T>();
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(start, len) }
}
