//! `cargo xtask book`: the documents as a book with search, in target/book/html.
//!
//! mdBook wants all chapters below one directory. So it gets a copy of the documents in `docs/SUMMARY.md`,
//! each at its place in the repository: their links to each other hold. Links to anything else, such as a
//! source file, lead to the repository's page.

mod browser;
mod check;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xtask::packages;
use xtask::run::{root, run, target};

use crate::pypi;

/// The file that lists the chapters, as a document and as mdBook knows it.
const SUMMARY: &str = "docs/SUMMARY.md";
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// Makes the book, and returns its directory.
pub(crate) fn book() -> Result<PathBuf> {
    let mdbook = mdbook()?;
    let directory = target().join("book");
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    copy_documents(&directory.join("src"))?;
    for file in ["book.toml", "book.css"] {
        copy(&root().join("docs").join(file), &directory.join(file))?;
    }
    let html = directory.join("html");
    run(Command::new(mdbook).arg("build").arg(&directory).arg("--dest-dir").arg(&html))?;
    println!("{}", html.join("index.html").display());
    Ok(html)
}

/// Gets what the test needs from Debian's archive.
pub(crate) fn prepare() -> Result<()> {
    packages::ensure(browser::PACKAGES)?;
    mdbook().map(drop)
}

/// Opens the book and the inspector's pages in a browser. The installed prefix has to be there.
pub(crate) fn test() -> Result<()> {
    prepare()?;
    check::check(&book()?)
}

/// Copies all chapters and their pictures.
fn copy_documents(to: &Path) -> Result<()> {
    let read = |path: &Path| {
        fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {}", path.display()))
    };
    let summary = read(Path::new(SUMMARY))?;
    let chapters = links(&summary).map(|link| plain(&Path::new("docs").join(link)));
    let chapters: BTreeSet<PathBuf> = chapters.collect::<Result<_>>()?;
    let mut pictures = BTreeSet::new();
    for chapter in &chapters {
        let text = with_links(&read(chapter)?, |link| new_link(chapter, link, &chapters, &mut pictures))?;
        write(&to.join(chapter), &text)?;
    }
    for picture in pictures {
        copy(&root().join(&picture), &to.join(&picture))?;
    }
    // mdBook wants it above all chapters.
    let summary = with_links(&summary, |link| {
        Ok(plain(&Path::new("docs").join(link))?.to_str().context("a path is not UTF-8")?.to_owned())
    });
    write(&to.join("SUMMARY.md"), &summary?)
}

/// What a chapter's link is in the book.
fn new_link(
    chapter: &Path,
    link: &str,
    chapters: &BTreeSet<PathBuf>,
    pictures: &mut BTreeSet<PathBuf>,
) -> Result<String> {
    let (file, anchor) = link.split_at(link.find('#').unwrap_or(link.len()));
    if link.contains("://") || file.is_empty() {
        return Ok(link.to_owned());
    }
    let path = plain(&chapter.parent().unwrap_or(Path::new("")).join(file))?;
    if chapters.contains(&path) {
        // mdBook makes the page of a directory of it.
        return Ok(match file.strip_suffix("README.md") {
            Some(directory) => format!("{directory}index.md{anchor}"),
            None => link.to_owned(),
        });
    }
    if path.extension().is_some_and(|end| end == "svg") {
        pictures.insert(path);
        return Ok(link.to_owned());
    }
    let kind = if root().join(&path).is_dir() { "tree" } else { "blob" };
    Ok(format!("{REPOSITORY}/{kind}/main/{}{anchor}", path.display()))
}

/// The targets of a document's links.
fn links(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|(piece, is_link)| is_link.then_some(piece))
}

/// A document with other targets of its links.
fn with_links(text: &str, mut new: impl FnMut(&str) -> Result<String>) -> Result<String> {
    pieces(text).map(|(piece, is_link)| if is_link { new(piece) } else { Ok(piece.to_owned()) }).collect()
}

/// Cuts a document into the targets of links, `true`, and what is around them. Code has no links.
fn pieces(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut cuts = Vec::new();
    let (mut in_block, mut in_span) = (false, false);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if line.trim().is_empty() {
            in_span = false;
        } else if !in_block {
            let mut from = 0;
            while let Some(found) = line[from..].find(['`', ']']) {
                let at = from + found;
                from = at + 1;
                match line.as_bytes()[at] {
                    b'`' => in_span = !in_span,
                    _ if in_span => {}
                    _ => {
                        let Some(rest) = line[from..].strip_prefix('(') else { continue };
                        let Some(length) = rest.find(')') else { continue };
                        cuts.extend([start + from + 1, start + from + 1 + length]);
                        from += 1 + length;
                    }
                }
            }
        }
        start += line.len();
    }
    cuts.push(text.len());
    let mut from = 0;
    cuts.into_iter().enumerate().map(move |(number, to)| {
        let piece = &text[from..to];
        from = to;
        (piece, number % 2 == 1)
    })
}

/// A path in the repository without `..`.
fn plain(path: &Path) -> Result<PathBuf> {
    path.components().try_fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => {
                ensure!(plain.pop(), "{} leaves the repository", path.display());
            }
            part => plain.push(part),
        }
        Ok(plain)
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    make_parent(path)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display())).map(drop)
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
}

/// mdBook as PyPI has it: five megabytes. Compiling it takes minutes. (Debian 13's makes a book without its
/// scripts, and the newer ones need files in /usr.)
fn mdbook() -> Result<PathBuf> {
    packages::ensure(pypi::PACKAGES)?;
    pypi::program("mdbook").context("mdBook cannot be installed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "[a](b.md#c) `[no](link)` [`d`](e/f.rs), a[0] (g)\n```sh\n[no](code)\n```\n![h](i.svg)\n";

    #[test]
    fn links_are_found_outside_of_code() {
        assert_eq!(links(TEXT).collect::<Vec<_>>(), ["b.md#c", "e/f.rs", "i.svg"]);
        assert_eq!(with_links(TEXT, |link| Ok(link.to_owned())).expect("no error"), TEXT);
    }

    #[test]
    fn links_lead_to_chapters_or_to_the_repository() {
        let chapters = ["docs/guide.md", "README.md"].map(PathBuf::from).into();
        let mut pictures = BTreeSet::new();
        let mut new = |link| new_link(Path::new("docs/guide.md"), link, &chapters, &mut pictures);
        assert_eq!(new("../README.md#a").expect("no error"), "../index.md#a");
        for same in ["guide.md#b", "#a", "https://a/b", "images/call.svg"] {
            assert_eq!(new(same).expect("no error"), same);
        }
        let file = format!("{REPOSITORY}/blob/main/xtask/src/book.rs#L1");
        assert_eq!(new("../xtask/src/book.rs#L1").expect("no error"), file);
        assert_eq!(new("../xtask").expect("no error"), format!("{REPOSITORY}/tree/main/xtask"));
        assert!(new("../../outside.md").is_err());
        assert_eq!(pictures, ["docs/images/call.svg"].map(PathBuf::from).into());
    }
}
