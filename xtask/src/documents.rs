//! Tests of the documents: their links, their lengths, and the commands of this program that they show.
//!
//! The doctests and `documents.rs` of `static-call-tests` compile their examples.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::{fs, iter};

use clap::Parser;
use clap::error::ErrorKind;

use crate::Arguments;
use crate::lines::WIDTH;
use xtask::run::root;

/// The most lines of a document, or of each document below a directory.
const LIMITS: [(&str, usize); 30] = [
    ("README.md", 150),
    ("ARCHITECTURE.md", 180),
    ("CONTRIBUTING.md", 150),
    ("RELEASING.md", 60),
    ("SECURITY.md", 60),
    ("docs/SUMMARY.md", 60),
    ("docs/guide.md", 300),
    ("docs/dispatch.md", 100),
    ("docs/hooks.md", 80),
    ("docs/updates.md", 60),
    ("docs/hardening.md", 110),
    ("docs/inspect.md", 100),
    ("docs/many-keys.md", 150),
    ("docs/branches.md", 230),
    ("docs/migrating.md", 150),
    ("docs/building.md", 120),
    ("docs/building-c.md", 150),
    ("docs/build-systems.md", 150),
    ("docs/troubleshooting.md", 250),
    ("docs/limitations.md", 120),
    ("docs/platforms.md", 115),
    ("docs/internals", 120),
    ("runtime/src/arch/README.md", 200),
    ("tests/README.md", 150),
    // The packages' own pages on crates.io.
    ("runtime/README.md", 60),
    ("runtime/abi/README.md", 20),
    ("cargo-static-call/README.md", 30),
    ("rustc-wrapper/README.md", 30),
    ("assembler/README.md", 30),
    // Exempt because it only grows.
    ("CHANGELOG.md", usize::MAX),
];
/// Exempt because a program writes it.
const GENERATED: &str = "BENCHMARKS.md";

/// A document: its path in the repository, and its lines, each with whether it is in a code block.
struct Document {
    path: PathBuf,
    lines: Vec<(bool, String)>,
}

impl Document {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(root().join(path)).expect("a document");
        let mut in_code = false;
        let lines = text.lines().map(|line| {
            let is_fence = line.trim_start().starts_with("```");
            in_code ^= is_fence;
            (in_code || is_fence, line.to_owned())
        });
        Self { path: path.to_owned(), lines: lines.collect() }
    }

    fn prose(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(|(is_code, _)| !is_code).map(|(_, line)| line.as_str())
    }

    /// The anchors that GitHub derives from the headings.
    fn anchors(&self) -> Vec<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let headings = self.prose().filter(|line| line.starts_with('#'));
        headings
            .map(|heading| {
                let text = heading.trim_start_matches('#').trim().to_lowercase();
                let kept = text.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
                let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
                let count = seen.entry(anchor.clone()).and_modify(|count| *count += 1).or_default();
                if *count == 0 { anchor } else { format!("{anchor}-{count}") }
            })
            .collect()
    }

    /// The text outside and inside inline code, alternating.
    fn spans(&self) -> Vec<String> {
        let text: String = self.prose().flat_map(|line| [line, " "]).collect();
        text.split('`').map(str::to_owned).collect()
    }

    /// The targets of the document's links.
    fn links(&self) -> Vec<String> {
        let text = self.spans().into_iter().step_by(2).collect::<Vec<_>>().join("`");
        let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        ends.map(|(link, _)| link.to_owned()).collect()
    }

    /// Every shell command in a code block, and all inline code.
    fn commands(&self) -> Vec<String> {
        let mut in_shell = false;
        let mut commands: Vec<String> = self.spans().into_iter().skip(1).step_by(2).collect();
        for (_, line) in self.lines.iter().filter(|(is_code, _)| *is_code) {
            match line.trim_start().strip_prefix("```") {
                Some(language) => in_shell = language == "sh",
                None if in_shell => commands.push(line.split(" #").next().unwrap_or_default().into()),
                None => {}
            }
        }
        commands
    }
}

/// Every file and directory of the repository, except hidden and built ones.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root().join(&directory)).expect("a directory").flatten() {
            let path = directory.join(entry.file_name());
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            if entry.file_type().expect("a type").is_dir() && !is_hidden && entry.file_name() != "target" {
                directories.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

fn documents() -> Vec<Document> {
    let is_document = |path: &&PathBuf| path.extension().is_some_and(|end| end == "md");
    let documents: Vec<Document> =
        files().iter().filter(is_document).map(|path| Document::read(path)).collect();
    assert!(documents.len() > 10, "{}", documents.len());
    documents
}

/// Resolves `..`, which must not leave the repository.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{} leaves the repository", path.display()),
            part => plain.push(part),
        }
        plain
    })
}

#[test]
fn every_relative_link_and_anchor_exists() {
    let mut dead = Vec::new();
    let mut count = 0;
    for document in documents() {
        let here = document.path.parent().expect("a file");
        for link in document.links().into_iter().filter(|link| !link.contains("://")) {
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = if file.is_empty() { document.path.clone() } else { plain(&here.join(file)) };
            let has_anchor = || Document::read(&path).anchors().iter().any(|known| known == anchor);
            if !root().join(&path).exists() || !anchor.is_empty() && !has_anchor() {
                dead.push(format!("{}: {link}", document.path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "these links lead nowhere:\n{}", dead.join("\n"));
    assert!(count > 50, "only {count} links were found");
}

/// The book has them all, each once.
#[test]
fn every_document_for_users_is_a_chapter() {
    let summary = Document::read(Path::new("docs/SUMMARY.md"));
    let chapters = summary.links().into_iter().map(|link| plain(&Path::new("docs").join(link)));
    let mut chapters: Vec<PathBuf> = chapters.collect();
    chapters.sort();
    for pair in chapters.windows(2) {
        assert_ne!(pair[0], pair[1], "a chapter stands there twice");
    }
    let documents = documents().into_iter().filter(|document| document.path.starts_with("docs"));
    for document in documents.filter(|document| document.path != summary.path) {
        assert!(chapters.contains(&document.path), "{} is not in docs/SUMMARY.md", document.path.display());
    }
}

/// A document may abbreviate a path that it has given before to its end.
#[test]
fn files_that_the_documents_name_exist() {
    const SOURCES: [&str; 10] = ["rs", "cpp", "h", "c", "cppm", "ll", "s", "md", "ld", "toml"];
    // The reader's own files, and the kernel's.
    const OTHERS: [&str; 2] = ["app.c", "include/linux/static_call.h"];
    let files = files();
    let mut missing = Vec::new();
    let mut count = 0;
    // The changelog mentions removed files.
    for document in documents().iter().filter(|document| document.path != Path::new("CHANGELOG.md")) {
        for span in document.spans().iter().skip(1).step_by(2) {
            let path = Path::new(span.trim_start_matches("../"));
            let is_source = path.extension().is_some_and(|end| SOURCES.iter().any(|source| end == *source));
            let is_path = span.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
            let has_place = span.contains("NAME") || span.starts_with("target/") || OTHERS.contains(&&**span);
            if !is_path || has_place || !(is_source || span.len() > 1 && span.ends_with('/')) {
                continue;
            }
            count += 1;
            if !files.iter().any(|file| file.ends_with(path)) {
                missing.push(format!("{}: {span}", document.path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "these files do not exist:\n{}", missing.join("\n"));
    assert!(count > 80, "only {count} files were found");
}

#[test]
fn no_document_is_too_long_or_too_wide() {
    let mut faults = Vec::new();
    for document in documents() {
        let path = &document.path;
        if path == Path::new(GENERATED) {
            continue;
        }
        let limit = LIMITS.iter().find(|(start, _)| path.starts_with(start));
        let Some((_, limit)) = limit else {
            faults.push(format!("{}: has no limit: give it one", path.display()));
            continue;
        };
        let lines = document.lines.len();
        if lines > *limit {
            faults.push(format!("{}: {lines} lines, and at most {limit} are allowed", path.display()));
        }
        // Tables, headings and generated comments cannot be wrapped.
        let is_free = |line: &&str| !line.starts_with(['|', '#', '<']);
        for line in document.prose().filter(is_free).filter(|line| line.chars().count() > WIDTH) {
            faults.push(format!("{}: more than {WIDTH} columns: {line}", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_reader_can_type_a_command_early() {
    let readme = Document::read(Path::new("README.md"));
    let first = readme.lines.iter().position(|(_, line)| line.starts_with("cargo ")).expect("a command");
    assert!(first < 40, "the first command is in line {}", first + 1);
}

#[test]
fn commands_of_xtask_exist() {
    let mut count = 0;
    for document in documents() {
        for command in document.commands() {
            let Some((_, arguments)) = command.split_once("cargo xtask ") else { continue };
            count += 1;
            let words = iter::once("xtask").chain(arguments.split_whitespace());
            // Prose may omit required arguments.
            let is_fine = |kind| [ErrorKind::DisplayHelp, ErrorKind::MissingRequiredArgument].contains(&kind);
            if let Err(error) = Arguments::try_parse_from(words) {
                assert!(is_fine(error.kind()), "{}: {command}: {error}", document.path.display());
            }
        }
    }
    assert!(count > 20, "only {count} commands were found");
}
