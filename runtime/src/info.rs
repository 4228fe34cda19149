//! Introspection: how many sites there are, and what they do.

use static_call_abi::{Image, Key, Record};

use crate::critical;
use crate::image::{self, Images};
use crate::lock::Guard;
use crate::protect;
use crate::sealed;
use crate::tables;
use crate::update;
use crate::wire::CInfo;

/// How many call sites there are and how they reach their target.
///
/// ```
/// let info = static_call::process_info();
/// println!("{} of {} calls are direct, in {} images", info.direct, info.sites, info.images);
/// ```
///
/// [`StaticCall::info`](crate::StaticCall::info) and [`process_info`](crate::process_info) count it. Both
/// hold up updates while they read every site's instruction, which takes some nanoseconds each. All numbers
/// are zero in a signal handler that interrupted an update on its own thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The keys that images call or branch on; a key counts once for each of these images.
    pub keys: usize,
    /// Recorded call sites. Branches are counted apart.
    pub sites: usize,
    /// Sites that call their target directly, or became a nop.
    pub direct: usize,
    /// Sites that call their key's trampoline.
    pub through_trampoline: usize,
    /// Registered executables and shared objects with these keys.
    pub images: usize,
    /// Static branches: `static_branch_unlikely!`, `static_branch_likely!`, and lazy calls. Where they are
    /// compiled to loads, nothing records them.
    pub branches: usize,
    /// Branches that are one no-op or one jump now. The others look at their key.
    pub patched_branches: usize,
}

/// Counts the sites of the whole process.
pub(crate) fn of_process() -> Info {
    let mut info = Info::default();
    let Ok(lock) = critical::enter() else { return info };
    image::for_each(&lock, |image| {
        info.images += 1;
        for record in tables::records(image) {
            info.add(record, image);
            info.keys += usize::from(!image::is_repeated(record, image));
        }
    });
    info
}

/// Counts the sites of one key.
pub(crate) fn of_key(key: &Key) -> Info {
    let Ok(lock) = critical::enter() else { return Info::default() };
    protect::note(key, &lock);
    count(key, &lock)
}

/// The same for a holder of the lock.
#[inline(never)]
pub(crate) fn count(key: &Key, lock: &Guard) -> Info {
    let mut info = Info::default();
    // Those of an image come side by side.
    let mut last: *const Image = core::ptr::null();
    let mut add = |record: &Record, image: &Image| {
        info.add(record, image);
        let is_another = usize::from(!core::ptr::eq(last, image));
        info.images += is_another;
        info.keys += is_another;
        last = image;
    };
    if sealed::is_set(lock) {
        // The lists lack the images that came since, and lead to those that went.
        image::for_each(lock, |image| {
            let records = tables::records(image).filter(|record| core::ptr::eq(record.key, key));
            records.for_each(|record| add(record, image));
        });
    } else {
        Images::new(lock).records_of(key).flatten().for_each(|(record, image)| add(record, image));
    }
    info
}

impl Info {
    fn add(&mut self, record: &Record, image: &Image) {
        let sites = update::count_sites(record, image);
        if record.is_branch() {
            self.branches += sites.all;
            self.patched_branches += sites.direct;
            return;
        }
        self.sites += sites.all;
        self.direct += sites.direct;
        self.through_trampoline += sites.all - sites.direct;
    }
}

impl From<CInfo> for Info {
    fn from(info: CInfo) -> Self {
        let CInfo { keys, sites, direct, through_trampoline, images, branches, patched_branches } = info;
        Self { keys, sites, direct, through_trampoline, images, branches, patched_branches }
    }
}

impl From<Info> for CInfo {
    fn from(info: Info) -> Self {
        let Info { keys, sites, direct, through_trampoline, images, branches, patched_branches } = info;
        Self { keys, sites, direct, through_trampoline, images, branches, patched_branches }
    }
}
