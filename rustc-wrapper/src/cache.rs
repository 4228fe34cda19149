//! A cache of facts about files.
//!
//! Each entry is a small file: a checksum, the key (path, size and times of the file), the fact. An entry
//! with another key or a wrong checksum is ignored, and a cache that cannot be written only costs time.
//!
//! Nobody else may write there: the directory belongs to this user alone, and links in it are not followed.
//! Otherwise another user of a shared directory could forge facts about a compiler, or redirect writes to
//! files of this user.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::variables;

/// The fact that `learn` determines about `file`, cached until the file changes.
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

/// Identifies the content of a file without reading it.
fn key(file: &Path) -> Option<String> {
    let data = fs::metadata(file).ok()?;
    let (size, inode) = (data.size(), data.ino());
    let modified = (data.mtime(), data.mtime_nsec());
    let changed = (data.ctime(), data.ctime_nsec());
    Some(format!("{file:?} {size} {inode} {modified:?} {changed:?}"))
}

fn read(entry: &Path, key: &str) -> Option<String> {
    if !fs::symlink_metadata(entry).ok()?.is_file() {
        return None;
    }
    let text = fs::read_to_string(entry).ok()?;
    let (checksum, content) = text.split_once('\n')?;
    let (stored_key, fact) = content.split_once('\n')?;
    (checksum == hash(content.as_bytes()) && stored_key == key).then(|| fact.to_owned())
}

/// Writes an entry atomically, since other processes may read it meanwhile.
fn write(entry: &Path, key: &str, fact: &str) {
    let content = format!("{key}\n{fact}");
    let text = format!("{}\n{content}", hash(content.as_bytes()));
    let draft = entry.with_extension(std::process::id().to_string());
    let _ = fs::remove_file(&draft); // A leftover of an earlier process with this ID.
    let create = || fs::OpenOptions::new().write(true).create_new(true).open(&draft);
    let written = create().and_then(|mut file| file.write_all(text.as_bytes()));
    if written.and_then(|()| fs::rename(&draft, entry)).is_err() {
        let _ = fs::remove_file(&draft); // Without the entry, only time is lost.
    }
}

fn hash(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("{:016x}", hasher.finish())
}

/// The directory of the cache, created if necessary. None: there is no safe one.
fn directory() -> Option<PathBuf> {
    let home = || Some(variables::directory(variables::HOME)?.join(".cache"));
    let user = fs::metadata("/proc/self").ok()?.uid();
    let directory = match variables::directory(variables::XDG_CACHE_HOME).or_else(home) {
        Some(base) => {
            fs::create_dir_all(&base).ok()?;
            base.join("static-call")
        }
        None => std::env::temp_dir().join(format!("static-call-{user}")),
    };
    let _ = fs::DirBuilder::new().mode(0o700).create(&directory); // It may exist; the owner is checked below.
    let data = fs::symlink_metadata(&directory).ok()?;
    let is_private = data.is_dir() && data.uid() == user && data.mode() & 0o022 == 0;
    is_private.then_some(directory)
}
