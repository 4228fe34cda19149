//! `cargo static-call setup`: a good archive is installed and removed, and a bad one changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use sha2::{Digest, Sha256};
use static_call_tests::prefix;
use tar::{EntryType, Header};

const PROGRAM: &str = env!("CARGO_BIN_EXE_cargo-static-call");
const TOP: &str = "static-call-VERSION-x86_64-linux";
const WRAPPER: &str = "bin/static-call-rustc";
const PASS: &str = "lib/static-call/libstatic_call_pass.so";

/// An archive that is not packed yet: its entries below the one directory, in order.
#[derive(Clone)]
struct Archive(Vec<(String, Entry)>);

#[derive(Clone)]
enum Entry {
    File(Vec<u8>),
    Link(EntryType, String),
    Other(EntryType),
}

impl Archive {
    /// What `cargo xtask dist` makes, without the parts that nobody checks.
    fn sound() -> Self {
        let file = |path: &str| fs::read(prefix().join(path)).expect("an installed file");
        // The pass itself takes long to pack, so it is a smaller library that says what the pass does.
        let facts = format!("static_call_version={};static_call_llvms=19, 22;", env!("CARGO_PKG_VERSION"));
        let pass = [file("lib/libstatic_call.so.0"), facts.into_bytes()].concat();
        let mut archive = Self(vec![
            (WRAPPER.into(), Entry::File(file(WRAPPER))),
            (PASS.into(), Entry::File(pass)),
            (
                "lib/static-call/pass-0".into(),
                Entry::Link(EntryType::Symlink, "libstatic_call_pass.so".into()),
            ),
            ("README".into(), Entry::File(b"how to use it\n".to_vec())),
        ]);
        archive.list();
        archive
    }

    /// Adds the checksums of all files.
    fn list(&mut self) {
        self.0.retain(|(name, _)| name != "SHA256SUMS");
        let mut list = String::new();
        for (name, entry) in &self.0 {
            if let Entry::File(data) = entry {
                let sum: String = Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect();
                list += &format!("{sum}  {name}\n");
            }
        }
        self.0.push(("SHA256SUMS".into(), Entry::File(list.into_bytes())));
    }

    fn with(mut self, name: &str, entry: Entry) -> Self {
        self.0.push((name.into(), entry));
        self
    }

    /// Replaces a text in a file by one of the same length, and lists the checksums anew.
    fn changed(mut self, name: &str, from: &[u8], to: &[u8]) -> Self {
        assert_eq!(from.len(), to.len());
        let entry = self.0.iter_mut().find(|(found, _)| found == name).expect("a file");
        let Entry::File(data) = &mut entry.1 else { panic!("{name} is a file") };
        let at: Vec<usize> = data
            .windows(from.len())
            .enumerate()
            .filter(|(_, text)| *text == from)
            .map(|(at, _)| at)
            .collect();
        assert!(!at.is_empty(), "{name} has no {}", String::from_utf8_lossy(from));
        for at in at {
            data[at..at + to.len()].copy_from_slice(to);
        }
        self.list();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.0.retain(|(found, _)| found != name);
        self
    }

    /// The names are written as they are: a name that begins with `!` does not get the directory before it.
    fn pack(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, entry) in &self.0 {
            let name = name.strip_prefix('!').map_or_else(|| format!("{TOP}/{name}"), str::to_owned);
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(if name.contains("/bin/") { 0o755 } else { 0o644 });
            let data: &[u8] = match entry {
                Entry::File(data) => data,
                Entry::Link(kind, target) => {
                    header.set_entry_type(*kind);
                    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
                    &[]
                }
                Entry::Other(kind) => {
                    header.set_entry_type(*kind);
                    &[]
                }
            };
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data).expect("an entry");
        }
        compress_to_vec(&*builder.into_inner().expect("an archive"), CompressionLevel::Fastest)
    }
}

/// A user's home, outside of the installation that the tests use.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("static-call").args(arguments).env_clear().env("HOME", self.0.path());
        command.env("PATH", std::env::var_os("PATH").expect("a path"));
        command
    }

    fn setup(&self, archive: &[u8]) -> Output {
        // Beside the home, so that it does not count as left over.
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(archive).expect("a file");
        self.command(&["setup", "--from", file.path().to_str().expect("UTF-8")])
            .output()
            .expect("the program")
    }

    /// All files and links, each with its content.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut directories = vec![self.0.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_symlink() {
                    let target = fs::read_link(&path).expect("a link");
                    found.insert(path, target.into_os_string().into_encoded_bytes());
                } else if path.is_dir() {
                    directories.push(path);
                } else {
                    found.insert(path.clone(), fs::read(path).expect("a file"));
                }
            }
        }
        found
    }

    /// Asserts that an archive is refused with these words and changes nothing, neither in an empty home nor
    /// in one where another archive is set up.
    #[track_caller]
    fn assert_refuses(&self, archive: &[u8], words: &[&str]) {
        for home in [&Self::new(), self] {
            let before = home.files();
            let output = home.setup(archive);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            for word in words {
                assert!(said.contains(word), "no `{word}` in {said}");
            }
            assert!(home.files() == before, "changed files after {said}");
            let directory = home.path(".local/share/static-call");
            assert_eq!(directory.exists(), !before.is_empty(), "{said}");
        }
    }
}

/// A home where the sound archive is set up.
fn home() -> Home {
    let home = Home::new();
    succeeds(&home.setup(&Archive::sound().pack()));
    home
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_archive_is_installed_replaced_and_removed() {
    let home = home();
    let current = home.path(".local/share/static-call/current");
    let first = current.canonicalize().expect("an installation");
    let wrapper = |prefix: &Path| fs::read(prefix.join(WRAPPER)).expect("the wrapper");
    assert_eq!(wrapper(&current), wrapper(&prefix()));
    assert!(current.join("lib/static-call/pass-0").exists(), "a link");
    let mode = |file: &str| fs::metadata(current.join(file)).expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode(WRAPPER), mode("README"), mode("")), (0o755, 0o644, 0o755));

    // The next one replaces it, and a part of one that was interrupted goes.
    fs::create_dir(home.path(".local/share/static-call/.new-broken")).expect("a directory");
    let said = succeeds(&home.setup(&Archive::sound().pack()));
    assert!(said.contains("with the pass for LLVM") && said.contains("lib/pkgconfig"), "{said}");
    let second = current.canonicalize().expect("an installation");
    assert!(first != second && !first.exists());
    let entries = fs::read_dir(home.path(".local/share/static-call")).expect("a directory").count();
    assert_eq!(entries, 2, "the link, and one installation");

    let cache = home.path(".cache/static-call");
    fs::create_dir_all(&cache).expect("a directory");
    fs::write(cache.join("0123456789abcdef"), "a fact").expect("a file");
    succeeds(&home.command(&["setup", "--remove"]).output().expect("the program"));
    assert!(home.files().is_empty(), "{:?}", home.files().keys());
    assert!(!home.path(".local/share/static-call").exists() && !cache.exists());
    let said = succeeds(&home.command(&["setup", "--remove"]).output().expect("the program"));
    assert!(said.starts_with("nothing is set up in"), "{said}");
}

/// Other programs' files there are not ours.
#[test]
fn strangers_files_stay() {
    let home = home();
    for file in [".local/share/static-call/notes/mine", ".cache/static-call/mine"] {
        let path = home.path(file);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, "mine").expect("a file");
    }
    succeeds(&home.setup(&Archive::sound().pack()));
    succeeds(&home.command(&["setup", "--remove"]).output().expect("the program"));
    let left: Vec<_> = home.files().into_keys().collect();
    assert_eq!(
        left,
        [home.path(".cache/static-call/mine"), home.path(".local/share/static-call/notes/mine")]
    );
}

/// As `cargo install` leaves it: without the wrapper and the pass beside it.
#[test]
fn a_program_that_lies_alone_uses_it() {
    let home = home();
    let alone = home.path("bin/cargo-static-call");
    fs::create_dir(home.path("bin")).expect("a directory");
    fs::copy(PROGRAM, &alone).expect("a copy");
    let doctor = |home: &Path| {
        let mut doctor = Command::new(&alone);
        doctor.args(["static-call", "doctor"]).current_dir(home).env_remove("XDG_DATA_HOME");
        let output = doctor.env_remove("STATIC_CALL_PASS").env("HOME", home).output().expect("the program");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = doctor(home.0.path());
    let pass = home.path(".local/share/static-call/current").join(PASS);
    let expected = format!(
        "ok    the pass is {}, of static-call {}, from `cargo static-call setup`",
        pass.display(),
        env!("CARGO_PKG_VERSION")
    );
    assert!(said.contains(&expected), "{said}");
    let said = doctor(Home::new().0.path());
    for word in ["BAD   the wrapper is missing", "what to do", "cargo static-call setup --from ARCHIVE"] {
        assert!(said.contains(word), "no `{word}` in {said}");
    }
}

#[test]
fn an_archive_for_another_machine_or_version_is_named() {
    let home = home();
    let sound = Archive::sound();
    let Entry::File(wrapper) = &sound.0[0].1 else { panic!("the wrapper is a file") };
    let mut other = wrapper[..20].to_vec();
    other[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    let words = if cfg!(target_arch = "x86_64") { "for AArch64 processors" } else { "for x86-64 processors" };
    let foreign = sound.clone().changed(WRAPPER, &wrapper[..20], &other);
    home.assert_refuses(&foreign.pack(), &[words, "get the archive for this machine"]);

    let newest = wrapper.windows(11).filter(|text| text.starts_with(b"GLIBC_2.") && text[10] == 0);
    let newest = newest.max().expect("a version of two digits").to_vec();
    let newer = sound.clone().changed(WRAPPER, &newest, b"GLIBC_2.98\0");
    home.assert_refuses(&newer.pack(), &["needs glibc 2.98, but this system has 2.", WRAPPER]);

    let own = format!("static_call_version={};", env!("CARGO_PKG_VERSION"));
    let other = own.replace("0.", "7.");
    let version = sound.changed(PASS, own.as_bytes(), other.as_bytes());
    let version_of = other.trim_start_matches("static_call_version=").trim_end_matches(';');
    home.assert_refuses(
        &version.pack(),
        &[&format!("of static-call {version_of}"), env!("CARGO_PKG_VERSION")],
    );
}

#[test]
fn a_damaged_archive_is_named() {
    let home = home();
    let sound = Archive::sound();
    let bytes = sound.pack();
    for length in [0, 3, 20, 1000, bytes.len() / 2, bytes.len() - 1000, bytes.len() - 5] {
        home.assert_refuses(&bytes[..length], &["get it again"]);
    }
    // Flipped bytes: if any is not noticed, then since the files are the same.
    let expected = home.files().into_values().collect::<Vec<_>>();
    for part in 0..24 {
        let mut flipped = bytes.clone();
        let at = part * (bytes.len() - 1) / 23;
        flipped[at] ^= 0x10;
        let home = Home::new();
        if home.setup(&flipped).status.success() {
            let contents = home.files().into_values();
            let same = contents.zip(&expected).filter(|(found, expected)| found == *expected).count();
            assert!(same >= expected.len() - 1, "byte {at} is another one, and so is a file");
        } else {
            assert!(home.files().is_empty() && !home.path(".local/share/static-call").exists(), "byte {at}");
        }
    }
    home.assert_refuses(&sound.clone().without("README").pack(), &["README is damaged or missing"]);
    home.assert_refuses(&sound.clone().without("SHA256SUMS").pack(), &["has no SHA256SUMS"]);
    let more = sound.clone().with("more", Entry::File(Vec::new()));
    home.assert_refuses(&more.pack(), &["does not list more"]);
    let mut no_pass = sound.without(PASS).without("lib/static-call/pass-0");
    no_pass.list();
    home.assert_refuses(&no_pass.pack(), &["has no lib/static-call/libstatic_call_pass.so"]);
    home.assert_refuses(b"#!/bin/sh\nexit 0\n", &["no archive of static-call"]);
    home.assert_refuses(b"\x1f\x8b\x08\0the other form", &["gzip", "name the .tar.zst"]);
    home.assert_refuses(
        &compress_to_vec(&b"text"[..], CompressionLevel::Fastest),
        &["nothing was installed"],
    );
}

#[test]
fn no_path_of_an_archive_leaves_its_directory() {
    let home = home();
    let outside = tempfile::tempdir().expect("a temporary directory");
    let there = outside.path().join("file").display().to_string();
    let link = |target: &str| Entry::Link(EntryType::Symlink, target.to_owned());
    let file = || Entry::File(b"mine".to_vec());
    let cases: [(&str, Entry, &str); 12] = [
        ("!../escaped", file(), "leaves its directory"),
        (&format!("!{TOP}/../escaped"), file(), "leaves its directory"),
        (&format!("!{TOP}/a/../../../escaped"), file(), "leaves its directory"),
        (&format!("!{there}"), file(), "leaves its directory"),
        ("!..", Entry::Other(EntryType::Directory), "leaves its directory"),
        ("link", link("../../../file"), "leads out of its directory"),
        ("link", link(&there), "leads out of its directory"),
        ("link", link("a/b"), "leads out of its directory"),
        ("link", Entry::Link(EntryType::Link, there.clone()), "is no file, directory or link"),
        ("pipe", Entry::Other(EntryType::Fifo), "is no file, directory or link"),
        ("device", Entry::Other(EntryType::Char), "is no file, directory or link"),
        ("README", file(), "cannot create"),
    ];
    for (name, entry, words) in cases {
        home.assert_refuses(&Archive::sound().with(name, entry).pack(), &[words]);
    }
    // A file behind a link is not written through it.
    let through = Archive::sound().with("way", link("lib")).with("way/file", file());
    home.assert_refuses(&through.pack(), &["cannot create the link"]);
    assert!(fs::read_dir(outside.path()).expect("a directory").next().is_none());
}

#[test]
fn a_place_that_may_not_be_written_is_named() {
    let home = Home::new();
    let archive = home.path("archive");
    fs::write(&archive, Archive::sound().pack()).expect("a file");
    let program = home.path("program");
    fs::copy(PROGRAM, &program).expect("a copy");
    let data = home.path("data");
    fs::create_dir(&data).expect("a directory");
    for (path, mode) in [(home.0.path(), 0o755), (&data, 0o555), (&archive, 0o644), (&program, 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("rights");
    }
    let mut command = Command::new(&program);
    command.args(["static-call", "setup", "--from"]).arg(&archive).env("XDG_DATA_HOME", &data);
    // Root may write everywhere.
    if fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0) {
        command.uid(65534);
    }
    let output = command.output().expect("the program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in ["cannot create", "data/static-call", "Permission denied", "XDG_DATA_HOME"] {
        assert!(said.contains(word), "no `{word}` in {said}");
    }
    assert!(fs::read_dir(&data).expect("a directory").next().is_none());
}

#[test]
fn what_is_no_archive_is_named() {
    let home = Home::new();
    for (arguments, words) in [
        (&["setup", "--from", "/no/archive.tar.zst"][..], "cannot open /no/archive.tar.zst"),
        (&["setup", "--from", "/usr"], "is a directory: an unpacked archive works where it lies"),
        (&["setup"], "--from"),
        (&["setup", "--from", "a", "--remove"], "cannot be used with"),
    ] {
        let output = home.command(arguments).output().expect("the program");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{said}");
    }
    assert!(home.files().is_empty());
}
