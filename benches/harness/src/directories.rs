//! The directories of what the harness builds and measures.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xtask::run::target;

/// The directory of everything that is built for measuring, and of the results.
pub(crate) fn output_directory() -> Result<PathBuf> {
    let directory = target().join("bench");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// Where the documents of a report go: beside it, where a run has left it, with its raw data; and otherwise
/// into a directory of their own, so that the last run's report stays with its raw data.
pub(crate) fn directory_for(report: &Path) -> Result<PathBuf> {
    let output = output_directory()?.canonicalize()?;
    let report = report.canonicalize()?;
    let beside = report.parent().expect("a file in a directory");
    Ok(if beside.starts_with(&output) { beside.into() } else { output.join("from") })
}

/// The results of a run so far: its report.json and raw/.
pub(crate) fn unfinished_directory() -> Result<PathBuf> {
    Ok(output_directory()?.join("unfinished"))
}

/// The programs' output and their loops' code, until the run is complete.
pub(crate) fn raw_directory() -> Result<PathBuf> {
    let directory = unfinished_directory()?.join("raw");
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// Moves the raw data of a complete run into its report's directory, replacing that of the last run.
pub(crate) fn keep_raw(directory: &Path) -> Result<()> {
    let (new, kept) = (raw_directory()?, directory.join("raw"));
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    if kept.exists() {
        fs::remove_dir_all(&kept).with_context(|| format!("cannot remove {}", kept.display()))?;
    }
    fs::rename(&new, &kept).with_context(|| format!("cannot move {} to {}", new.display(), kept.display()))
}
