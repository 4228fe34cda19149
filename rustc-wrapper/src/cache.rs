//! Facts about files, remembered from one call to the next.
//!
//! One entry per file, in one small file of its own: a checksum, the key (path, size and times),
//! the fact. An entry that is of another key or fails its checksum is as good as none, and a cache
//! that cannot be written only costs time.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::variables;

/// The fact `learn` finds out about `file`, from the cache as long as the file does not change.
pub(crate) fn remember<E>(file: &Path, learn: impl FnOnce() -> Result<String, E>) -> Result<String, E> {
    let (Some(key), Some(directory)) = (key(file), directory()) else {
        return learn();
    };
    let entry = directory.join(hash(file.as_os_str().as_encoded_bytes()));
    if let Some(fact) = read(&entry, &key) {
        return Ok(fact);
    }
    let fact = learn()?;
    write(&entry, &key, &fact);
    Ok(fact)
}

/// What identifies a file without reading it.
fn key(file: &Path) -> Option<String> {
    let data = fs::metadata(file).ok()?;
    let (size, inode) = (data.size(), data.ino());
    let modified = (data.mtime(), data.mtime_nsec());
    let changed = (data.ctime(), data.ctime_nsec());
    Some(format!("{file:?} {size} {inode} {modified:?} {changed:?}"))
}

fn read(entry: &Path, key: &str) -> Option<String> {
    let text = fs::read_to_string(entry).ok()?;
    let (checksum, content) = text.split_once('\n')?;
    let (stored_key, fact) = content.split_once('\n')?;
    (checksum == hash(content.as_bytes()) && stored_key == key).then(|| fact.to_owned())
}

/// Writes an entry whole or not at all: other calls read it meanwhile.
fn write(entry: &Path, key: &str, fact: &str) {
    let content = format!("{key}\n{fact}");
    let text = format!("{}\n{content}", hash(content.as_bytes()));
    let draft = entry.with_extension(std::process::id().to_string());
    if fs::write(&draft, text).and_then(|()| fs::rename(&draft, entry)).is_err() {
        let _ = fs::remove_file(&draft); // There is nobody to tell, and nothing is lost.
    }
}

fn hash(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}

/// The cache's directory, created if need be; `None` if it cannot be had.
fn directory() -> Option<PathBuf> {
    let absolute = |name| variables::get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(absolute(variables::HOME)?.join(".cache"));
    match absolute(variables::XDG_CACHE_HOME).or_else(home) {
        Some(base) => {
            let directory = base.join("static-call");
            fs::create_dir_all(&directory).ok()?;
            Some(directory)
        }
        None => temporary_directory(),
    }
}

/// A directory of this user alone in the temporary directory, where anybody may have put one.
fn temporary_directory() -> Option<PathBuf> {
    let user = fs::metadata("/proc/self").ok()?.uid();
    let directory = std::env::temp_dir().join(format!("static-call-{user}"));
    let _ = fs::DirBuilder::new().mode(0o700).create(&directory); // It may exist.
    let data = fs::symlink_metadata(&directory).ok()?;
    let is_private = data.is_dir() && data.uid() == user && data.mode() & 0o077 == 0;
    is_private.then_some(directory)
}
