//! A directory for a test's files.

use std::path::PathBuf;

use tempfile::TempDir;

/// A directory that is removed at the end.
#[derive(Debug)]
pub struct Scratch(TempDir);

#[allow(clippy::new_without_default, reason = "it touches the file system")]
impl Scratch {
    /// Creates one.
    ///
    /// # Panics
    ///
    /// If the system refuses.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// The path of one of its files.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes one of its files.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}
