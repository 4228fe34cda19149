//! Opens the book and the inspector's pages in a browser: their links, their width on a phone, their contrast
//! in light and in dark, and the book's search.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::install::prefix;
use xtask::run::{output, root, run, target};

use super::browser::Browser;

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// The width in pixels of a phone, and of a screen that also has room for the list of chapters.
const PHONE: u32 = 390;
const SCREEN: u32 = 1280;

/// Each colour scheme, with what is put behind a page or a picture that has no background.
const SCHEMES: [(&str, &str); 2] = [("light", "#ffffff"), ("dark", "#161923")];

/// What was seen of a page.
#[derive(Default)]
struct Seen {
    faults: BTreeSet<String>,
    links: BTreeSet<String>,
    anchors: BTreeSet<String>,
}

pub(super) fn check(book: &Path) -> Result<()> {
    let work = target().join("book/work");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let mut browser = Browser::start(&work.join("profile"))?;
    finds_every_fault(&mut browser, &work)?;

    let mut pages = files(book, "html")?;
    // The browser never shows them by themselves.
    pages.retain(|page| !["404.html", "toc.html"].map(|name| book.join(name)).contains(page));
    ensure!(pages.len() > 30, "the book has only {} pages", pages.len());
    let pictures = ["docs", "benches"].map(|part| files(&book.join(part), "svg"));
    let pictures = pictures.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let all: Vec<PathBuf> = pages.into_iter().chain(pictures).chain(inspector_pages(&work)?).collect();
    let mut faults = look_at(&mut browser, &all)?;
    if let Err(error) = search(&mut browser, book) {
        faults.push(format!("the search: {error:#}"));
    }
    ensure!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    println!("{} pages and pictures are as they should be, in light and in dark", all.len());
    Ok(())
}

/// Looks at each page in each scheme on a phone, at the first one on a screen too, and follows the links.
/// Returns the faults.
fn look_at(browser: &mut Browser, pages: &[PathBuf]) -> Result<Vec<String>> {
    let mut all: BTreeMap<&Path, Seen> = BTreeMap::new();
    for (scheme, ground) in SCHEMES {
        for (width, pages) in [(PHONE, pages), (SCREEN, &pages[..1])] {
            browser.show_as(width, scheme)?;
            for page in pages {
                let found = look(browser, page, &format!("({width}, {ground:?})"));
                let found = found.with_context(|| page.display().to_string())?;
                let seen = all.entry(page).or_default();
                seen.faults.extend(found.faults.into_iter().map(|fault| format!("{scheme}: {fault}")));
                seen.links.extend(found.links);
                seen.anchors.extend(found.anchors);
            }
        }
    }
    let mut faults = Vec::new();
    for (page, seen) in &all {
        let dead = seen.links.iter().filter(|link| !leads_somewhere(link, &all));
        let dead = dead.map(|link| format!("leads nowhere: {link}"));
        let of_page = seen.faults.iter().cloned().chain(dead);
        faults.extend(of_page.map(|fault| format!("{}: {fault}", page.display())));
    }
    Ok(faults)
}

/// Looks at a page with these arguments of the script's.
fn look(browser: &mut Browser, page: &Path, arguments: &str) -> Result<Seen> {
    browser.open(page)?;
    // What a click opens is looked at too.
    browser.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")?;
    let found = browser.evaluate(&format!("{}{arguments}", include_str!("check.js").trim_end()))?;
    let strings = |name: &str| -> Result<BTreeSet<String>> {
        let list = found[name].as_array().with_context(|| format!("no list of {name}"))?;
        Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    let mut seen =
        Seen { faults: strings("faults")?, links: strings("links")?, anchors: strings("anchors")? };
    seen.faults.append(&mut browser.complaints.drain(..).collect());
    Ok(seen)
}

/// Whether a link leads to a page that was seen, to a file, or to one of the repository's. Other addresses
/// are not asked.
fn leads_somewhere(link: &str, pages: &BTreeMap<&Path, Seen>) -> bool {
    if let Some(place) = link.strip_prefix(REPOSITORY) {
        let path = place.split_once("/main/").map_or("", |(_, path)| path);
        return root().join(path.split('#').next().unwrap_or(path)).exists();
    }
    let Some(file) = link.strip_prefix("file://") else { return true };
    let (file, anchor) = file.split_once('#').unwrap_or((file, ""));
    match pages.get(Path::new(file)) {
        Some(page) => anchor.is_empty() || page.anchors.contains(anchor),
        None => anchor.is_empty() && Path::new(file).is_file(),
    }
}

/// A check that finds nothing proves nothing: a page with each fault must be found faulty.
fn finds_every_fault(browser: &mut Browser, work: &Path) -> Result<()> {
    let page = work.join("faults.html");
    write(&page, include_str!("faults.html"))?;
    let mut found = look_at(browser, &[page])?;
    for fault in [
        "light: is 509 pixels wide: <div class=\"wide\">wide</div> … <div class=\"wide\">cut off</div>",
        "dark: is 509 pixels wide: <div class=\"wide\">wide</div> … <div class=\"wide\">cut off</div>",
        "light: has a contrast of 2.85: p.light",
        "dark: has a contrast of 2.16: p.dark",
        "light: has a contrast of 2.11: p.faint",
        "dark: has a contrast of 2.46: p.faint",
        "light: a picture is missing",
        "dark: a picture is missing",
        "light: Failed to load resource",
        "dark: Failed to load resource",
        "light: a script fails: Error: a fault",
        "dark: a script fails: Error: a fault",
        "faults.html#nowhere",
        "nothing.html",
    ] {
        let place = found.iter().position(|text| text.contains(fault));
        let place = place.with_context(|| format!("not found: {fault}, but:\n{}", found.join("\n")))?;
        found.remove(place);
    }
    ensure!(found.is_empty(), "these are no faults:\n{}", found.join("\n"));
    Ok(())
}

/// Searches as a reader does.
fn search(browser: &mut Browser, book: &Path) -> Result<()> {
    browser.open(&book.join("index.html"))?;
    browser.write("s")?;
    browser.write("dispatch")?;
    let results = browser.evaluate(
        "new Promise(done => {
            const look = (left) => {
                const links = [...document.querySelectorAll('[id$=searchresults] a')].map(link => link.href);
                links.length || !left ? done(links) : setTimeout(look, 100, left - 1);
            };
            look(100);
        })",
    )?;
    let results: Vec<&str> = results.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let first = results.first().context("it finds nothing")?;
    ensure!(first.contains("/docs/dispatch.html"), "the first result is {first}");
    Ok(())
}

/// The inspector's pages: of a program, of a running process, and of one without the pass.
fn inspector_pages(work: &Path) -> Result<[PathBuf; 3]> {
    let source = work.join("program.cpp");
    write(&source, include_str!("program.cpp"))?;
    let build = |package: &str, name: &str| -> Result<PathBuf> {
        let mut pkg_config = Command::new("pkg-config");
        pkg_config.args(["--cflags", package]).env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
        let flags = output(&mut pkg_config)?;
        let program = work.join(name);
        let mut compile = Command::new("clang++-22");
        compile.args(["-std=c++17", "-O2", "-g"]).args(flags.split_whitespace()).arg(&source);
        run(compile.arg(prefix().join("lib/libstatic_call.a")).arg("-o").arg(&program))?;
        Ok(program)
    };
    let page = |name: &str, of: &[&str]| -> Result<PathBuf> {
        let page = work.join(name);
        let mut inspect = Command::new(prefix().join("bin/static-call-inspect"));
        output(inspect.args(of).arg("--html").arg(&page))?;
        Ok(page)
    };
    let with_pass = build("static-call", "with-the-pass")?;
    let without_pass = build("static-call-generic", "without-the-pass")?;
    let path = |program: &PathBuf| program.to_str().map(str::to_owned).context("a path is not UTF-8");
    let pages =
        [page("program.html", &[&path(&with_pass)?])?, page("without-pass.html", &[&path(&without_pass)?])?];
    let mut process = Command::new(&with_pass).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(process.stdout.take().context("a pipe")?).read_line(&mut line)?;
    let of_process = page("process.html", &["--pid", &process.id().to_string()]);
    drop(process.stdin.take());
    process.wait()?;
    let [program, generic] = pages;
    Ok([program, generic, of_process?])
}

/// The files of this kind below a directory.
fn files(directory: &Path, end: &str) -> Result<Vec<PathBuf>> {
    let cannot = || format!("cannot look into {}", directory.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(cannot)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, end)?);
        } else if path.extension().is_some_and(|extension| extension == end) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
