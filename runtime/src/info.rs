//! Introspection: how many sites there are, and what they do.

use static_call_abi::Key;

use crate::image;
use crate::lock;
use crate::update;

/// How many call sites there are and how they reach their target.
///
/// Counted by [`StaticCall::info`](crate::StaticCall::info) and [`process_info`](crate::process_info): each of them holds up updates and
/// reads every site's instruction, some nanoseconds each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The keys that images call; a key counts once for each image that calls it.
    pub keys: usize,
    /// Recorded call sites.
    pub sites: usize,
    /// Sites that call their target directly, or became a nop.
    pub direct: usize,
    /// Sites that call their key's trampoline.
    pub through_trampoline: usize,
    /// Registered executables and shared objects with these keys.
    pub images: usize,
}

/// Counts the sites of the whole process.
pub(crate) fn of_process() -> Info {
    let mut info = Info::default();
    let Ok(lock) = lock::lock() else { return info };
    image::for_each(&lock, |image| {
        info.images += 1;
        for record in image::records(image) {
            info.add(update::count_sites(record, image));
        }
    });
    info
}

/// Counts the sites of one key.
pub(crate) fn of_key(key: &Key) -> Info {
    let mut info = Info::default();
    let Ok(lock) = lock::lock() else { return info };
    image::for_each(&lock, |image| {
        let records = image::records(image).filter(|record| core::ptr::eq(record.key, key));
        for record in records {
            info.images += 1;
            info.add(update::count_sites(record, image));
        }
    });
    info
}

impl Info {
    fn add(&mut self, sites: update::Sites) {
        self.keys += 1;
        self.sites += sites.all;
        self.direct += sites.direct;
        self.through_trampoline += sites.all - sites.direct;
    }
}
