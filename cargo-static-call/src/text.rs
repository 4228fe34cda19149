//! The same for people.

use std::fmt::{self, Write};

use crate::process::Process;
use crate::report::{File, KeyReport, Place, SiteReport};

/// How much is listed of what may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So many lines of each kind.
    Short,
    /// All.
    Full,
}

impl Length {
    fn lines(self) -> usize {
        match self {
            Self::Short => 20,
            Self::Full => usize::MAX,
        }
    }
}

/// Columns of text.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|&title| title.to_owned()).collect()] }
    }

    fn row(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WIDEST: usize = 60;
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default().min(WIDEST)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::from(" ");
            for (cell, width) in row.iter().zip(&widths) {
                write!(line, " {cell:width$} ")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn or_unknown(text: Option<&String>) -> String {
    text.map_or_else(|| "?".into(), Clone::clone)
}

/// `count thing`, or `count things`.
#[must_use]
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// A file.
#[must_use]
pub fn file(file: &File, length: Length) -> String {
    let mut out = format!("{}: {}\n", file.file, file.kind);
    let kinds =
        |key: &KeyReport, kind| key.sites.iter().filter(|site| site.kind == Some(kind)).count().to_string();
    if !file.keys.is_empty() {
        let mut table = Table::new(&["key", "to begin with", "type", "calls", "tail", "conditional"]);
        for key in &file.keys {
            table.row([
                key.name.clone(),
                or_unknown(key.default_target.as_ref()),
                or_unknown(key.ty.as_ref()),
                kinds(key, "call"),
                kinds(key, "tail call"),
                kinds(key, "conditional tail call"),
            ]);
        }
        out += &format!("\n{}:\n{table}", counted(file.keys.len(), "key"));
    }
    for key in file.keys.iter().filter(|key| !key.sites.is_empty()) {
        out += &format!(
            "\n{} of {}:\n{}",
            counted(key.sites.len(), "recorded call"),
            key.name,
            sites(&key.sites, length)
        );
    }
    if !file.other_sites.is_empty() {
        let count = counted(file.other_sites.len(), "recorded call");
        out += &format!("\n{count} of nobody knows which key:\n{}", sites(&file.other_sites, length));
    }
    if file.is_image {
        out += &format!("\n{}", overhead(file));
    }
    let mut list = |title: &str, places: &[Place]| {
        if !places.is_empty() {
            out += &format!("\n{title} ({}):\n{}", places.len(), self::places(places, length));
        }
    };
    list("not recorded: branches to trampolines, which stay as they are", &file.unrecorded);
    list("not lowered: compiled without the pass", &file.without_pass);
    list(
        "loads of a key's pointer, for a call that was not lowered or as a value",
        file.loads.as_deref().unwrap_or_default(),
    );
    let outside: Vec<&str> = file.keys.iter().filter(|key| key.is_outside()).map(|key| &*key.name).collect();
    if !outside.is_empty() {
        out += &format!("\ncompiled without the pass, or part of a larger object: {}\n", outside.join(", "));
    }
    if !file.crates_without_pass.is_empty() {
        out += &format!(
            "\ncrates that seem to be built without the pass: {} (build all of them with the wrapper)\n",
            file.crates_without_pass.join(", ")
        );
    }
    if !file.files_without_pass.is_empty() {
        out += &format!(
            "\nC or C++ that seems to be compiled without the pass: {} (use clang 22, with the flags of `pkg-config \
             --cflags static-call` or CMake's StaticCall::static_call)\n",
            file.files_without_pass.join(", ")
        );
    }
    for damage in &file.damage {
        out += &format!("\ndamaged: {damage}");
    }
    if !file.damage.is_empty() {
        out += "\nthe runtime will leave this file to its trampolines\n";
    }
    out += &bullets("\nthis file does not tell:\n", &file.unknown);
    out += "\n";
    if file.all_direct {
        out += "every call that this file tells of can be made direct\n";
    } else {
        out += &bullets(
            "not every call can be made direct, as far as this file tells:\n",
            &file.not_direct_because,
        );
    }
    out
}

fn bullets(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    lines.iter().fold(title.to_owned(), |text, line| text + "  - " + line + "\n")
}

fn sites(sites: &[SiteReport], length: Length) -> String {
    let mut table = Table { rows: Vec::new() };
    for site in sites.iter().take(length.lines()) {
        let mut kind = site.kind.unwrap_or("?").to_owned();
        if site.is_behind_veneer {
            kind += " (behind a linker's bridge: stays on its trampoline)";
        }
        table.row([format!("{:#x}", site.place.address), kind, function(&site.place), source(&site.place)]);
    }
    format!("{table}{}", more(sites.len(), length))
}

fn places(places: &[Place], length: Length) -> String {
    let mut table = Table { rows: Vec::new() };
    for place in places.iter().take(length.lines()) {
        let key = place.key.clone().unwrap_or_default();
        table.row([format!("{:#x}", place.address), key, function(place), source(place)]);
    }
    format!("{table}{}", more(places.len(), length))
}

fn more(count: usize, length: Length) -> String {
    match count.checked_sub(length.lines()) {
        Some(more @ 1..) => format!("  and {more} more (--all lists them)\n"),
        _ => String::new(),
    }
}

fn function(place: &Place) -> String {
    let function = or_unknown(place.function.as_ref());
    match &place.inlined_into {
        Some(outer) => format!("{function} (inlined into {outer})"),
        None => function,
    }
}

fn source(place: &Place) -> String {
    match (&place.file, place.line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        _ => String::new(),
    }
}

fn overhead(file: &File) -> String {
    let overhead = &file.overhead;
    let [trampolines, padding] = [overhead.trampolines, overhead.padding]
        .map(|bytes| bytes.map_or_else(|| "?".into(), |bytes| bytes.to_string()));
    format!(
        "bytes: {} site table, {} records, {} keys, {trampolines} trampolines, {} anchors and the rest of their pages, \
         {padding} padding of calls\n",
        overhead.sites, overhead.records, overhead.keys, overhead.pages
    )
}

/// A running process.
#[must_use]
pub fn process(process: &Process, length: Length) -> String {
    let mut out = format!("process {}: {}\n", process.pid, process.program);
    out += &format!("mode {}, writer {}\n", process.mode, process.writer);
    if !process.keys.is_empty() {
        let mut table = Table::new(&["key", "calls now", "in", "sites", "direct"]);
        for key in &process.keys {
            table.row([
                key.name.clone(),
                or_unknown(key.target.as_ref()),
                key.target_file.clone().unwrap_or_default(),
                key.sites.to_string(),
                key.direct.to_string(),
            ]);
        }
        out += &format!("\n{}:\n{table}", counted(process.keys.len(), "key"));
    }
    if !process.images.is_empty() {
        let titles = ["image", "state", "keys", "sites", "direct", "why not"];
        let has_reasons = process.images.iter().any(|image| image.reason.is_some());
        let mut table = Table::new(if has_reasons { &titles } else { &titles[..5] });
        for image in &process.images {
            table.row([
                image.file.clone(),
                image.state.to_owned(),
                image.keys.to_string(),
                image.sites.to_string(),
                image.direct.to_string(),
                image.reason.clone().unwrap_or_default(),
            ]);
        }
        out += &format!("\n{}:\n{table}", counted(process.images.len(), "image"));
    }
    if !process.indirect.is_empty() {
        let count = counted(process.indirect.len(), "call");
        out += &format!("\n{count} not direct:\n{}", places(&process.indirect, length));
    }
    out += &bullets("\nthis does not tell:\n", &process.unknown);
    out += "\n";
    if process.all_direct {
        out += "every recorded call is direct\n";
    } else {
        out += &bullets("not every call is direct:\n", &process.not_direct_because);
    }
    out
}
