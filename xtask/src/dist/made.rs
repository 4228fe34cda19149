//! What a release consists of.

use std::path::{Path, PathBuf};

use xtask::run::target;

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What was made.
pub(super) struct Made {
    /// The directory that is packed.
    pub(super) tree: PathBuf,
    /// Compressed with zstd and with gzip.
    pub(super) archives: [PathBuf; 2],
    pub(super) packages: Vec<PathBuf>,
}

impl Made {
    pub(super) fn archive(&self) -> &Path {
        &self.archives[0]
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.archives.iter().chain(&self.packages)
    }
}

pub(super) fn directory() -> PathBuf {
    target().join("dist")
}
