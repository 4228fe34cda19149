//! Prints a report as text for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::name::counted;
use crate::schema::{BranchKeyReport, BranchReport, File, Indirect, KeyReport, Place, Process, SiteReport};

/// How many lines of a long list are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// The first lines of each list.
    Short,
    /// Every line.
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

/// Text in aligned columns.
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

/// The report on a file.
#[must_use]
pub fn file(file: &File, length: Length) -> String {
    let mut out = format!("{}: {}\n", file.file, file.kind);
    let kinds =
        |key: &KeyReport, kind| key.sites.iter().filter(|site| site.kind == Some(kind)).count().to_string();
    if !file.keys.is_empty() {
        let titles = ["initial target", "type", "calls", "tail", "conditional", "trampoline", "pointer"];
        let mut table = Table::new(&[&["key"], &titles[..]].concat());
        for key in &file.keys {
            table.row([
                key.name.clone(),
                or_unknown(key.default_target.as_ref()),
                or_unknown(key.ty.as_ref()),
                kinds(key, "call"),
                kinds(key, "tail call"),
                kinds(key, "conditional tail call"),
                file.calls_of_trampoline(key).to_string(),
                file.calls_by_pointer(key).to_string(),
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
        out += &format!("\n{count} whose key is unknown:\n{}", sites(&file.other_sites, length));
    }
    out += &branches(file, length);
    out += &by_compiler(file);
    if file.is_image {
        out += &format!("\n{}", overhead(file));
    }
    let unrecorded = "not recorded: branches to trampolines, which cannot become direct";
    list_places(&mut out, unrecorded, &file.unrecorded, length);
    let (values, calls): (Vec<_>, Vec<_>) = file.left_indirect.iter().partition(|indirect| indirect.is_value);
    list_indirect(&mut out, "not lowered: calls that load their key", &calls, length);
    list_indirect(&mut out, "not calls: uses of a key's function pointer", &values, length);
    let mut list = |title: &str, places: &[Place]| list_places(&mut out, title, places, length);
    list("not lowered: compiled without the pass", &file.without_pass);
    list(
        "loads of a key's pointer, by calls that were not lowered or for use as a value",
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
            "\nC or C++ that seems to be compiled without the pass: {} (use a clang that it is built for, \
             with the flags of `pkg-config --cflags static-call`, or CMake's StaticCall::static_call)\n",
            file.files_without_pass.join(", ")
        );
    }
    for damage in &file.damage {
        out += &format!("\ndamaged: {damage}");
    }
    if !file.damage.is_empty() {
        out += "\nthe runtime will leave every call in this file on its trampoline\n";
    }
    if let Some(why) = file.idle_because {
        out += &format!("\n{why}\n");
    }
    out += &bullets("\nunknown:\n", &file.unknown);
    out += "\n";
    if file.all_direct {
        out += match file.branches {
            0 => "every call that is visible in this file can be made direct\n",
            _ => "every call that is visible in this file can be made direct, and every branch patched\n",
        };
    } else {
        out += &bullets("not every call can be made direct:\n", &file.not_direct_because);
    }
    out
}

fn list_places(out: &mut String, title: &str, places: &[Place], length: Length) {
    if !places.is_empty() {
        *out += &format!("\n{title} ({}):\n{}", places.len(), self::places(places, length));
    }
}

/// Lists places with the reasons.
fn list_indirect(out: &mut String, title: &str, all: &[&Indirect], length: Length) {
    if all.is_empty() {
        return;
    }
    let mut table = Table { rows: Vec::new() };
    for Indirect { reason, place, .. } in all.iter().take(length.lines()) {
        let key = or_unknown(place.key.as_ref());
        table.row(row(place, [key, function(place), source(place), reason.clone()]));
    }
    *out += &format!("\n{title} ({}):\n{table}{}", all.len(), more(all.len(), length));
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
        if let Some(why) = site.stays_because {
            kind += &format!(" (stays on its trampoline: {why})");
        }
        table.row(row(&site.place, [kind, function(&site.place), source(&site.place)]));
    }
    format!("{table}{}", more(sites.len(), length))
}

fn places(places: &[Place], length: Length) -> String {
    let mut table = Table { rows: Vec::new() };
    for place in places.iter().take(length.lines()) {
        let key = place.key.clone().unwrap_or_default();
        table.row(row(place, [key, function(place), source(place)]));
    }
    format!("{table}{}", more(places.len(), length))
}

/// A place's address and, of a call, how it reaches its function; these columns; and, of a call, which
/// compiler made it.
fn row<const N: usize>(place: &Place, columns: [String; N]) -> Vec<String> {
    let mut row = vec![format!("{:#x}", place.address)];
    row.extend(place.dispatch.map(str::to_owned));
    row.extend(columns);
    if place.dispatch.is_some() {
        row.push(or_unknown(place.compiler.as_ref()));
    }
    row
}

/// How the calls of each compiler reach their functions.
fn by_compiler(file: &File) -> String {
    let mut compilers: BTreeMap<Option<&str>, [usize; 3]> = BTreeMap::new();
    for call in file.calls() {
        let column = ["inline", "trampoline", "pointer"].iter().position(|&name| call.dispatch == Some(name));
        if let Some(column) = column {
            compilers.entry(call.compiler.as_deref()).or_default()[column] += 1;
        }
    }
    if compilers.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["compiler", "inline", "trampoline", "pointer"]);
    for (compiler, counts) in compilers {
        let counts = counts.map(|count| count.to_string());
        table.row([compiler.unwrap_or("unknown").to_owned()].into_iter().chain(counts));
    }
    format!("\ncalls by compiler:\n{table}")
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

/// The file and line, followed by the chain of inlined calls that leads there.
fn source(place: &Place) -> String {
    let mut text = file_and_line(place.file.as_ref(), place.line);
    for caller in &place.inlined_at {
        let caller = file_and_line(caller.file.as_ref(), caller.line);
        text += &format!(" inlined into {}", if caller.is_empty() { "?" } else { &caller });
    }
    text
}

fn file_and_line(file: Option<&String>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        _ => String::new(),
    }
}

/// The keys of branches, and their branches.
fn branches(file: &File, length: Length) -> String {
    if file.branch_keys.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["branch key", "initially", "unlikely", "likely", "lazy calls"]);
    for key in &file.branch_keys {
        let count = |is_one: fn(&BranchReport) -> bool| {
            key.branches.iter().filter(|branch| is_one(branch)).count().to_string()
        };
        let all = key.branches.len().to_string();
        let [unlikely, likely, lazy] = match key.is_hook {
            true => ["0".into(), "0".into(), all],
            false => [count(|branch| !branch.is_likely), count(|branch| branch.is_likely), "0".into()],
        };
        table.row([key.name.clone(), on_or_off(key.is_on), unlikely, likely, lazy]);
    }
    let mut out = format!("\n{}:\n{table}", counted(file.branch_keys.len(), "branch key"));
    for key in file.branch_keys.iter().filter(|key| !key.branches.is_empty()) {
        let count = counted(key.branches.len(), if key.is_hook { "lazy call" } else { "recorded branch" });
        out += &format!("\n{count} of {}:\n{}", key.name, branches_of(key, length));
    }
    out
}

fn branches_of(key: &BranchKeyReport, length: Length) -> String {
    let mut table = Table { rows: Vec::new() };
    for branch in key.branches.iter().take(length.lines()) {
        let kind = match branch.is_likely {
            _ if key.is_hook => "lazy call",
            true => "likely",
            false => "unlikely",
        };
        let stays = branch.stays_because.map(|why| format!(" (looks at its key: it {why})"));
        let place = &branch.place;
        let kind = kind.to_owned() + &stays.unwrap_or_default();
        table.row([format!("{:#x}", place.address), kind, function(place), source(place)]);
    }
    format!("{table}{}", more(key.branches.len(), length))
}

fn on_or_off(is_on: Option<bool>) -> String {
    is_on.map_or("?", |is_on| if is_on { "on" } else { "off" }).into()
}

fn overhead(file: &File) -> String {
    let overhead = &file.overhead;
    let [trampolines, padding] = [overhead.trampolines, overhead.padding]
        .map(|bytes| bytes.map_or_else(|| "?".into(), |bytes| bytes.to_string()));
    format!(
        "bytes: {} site table, {} branch table, {} records, {} keys, {trampolines} trampolines, \
         {} anchors and padding, {padding} call prefixes\n",
        overhead.sites, overhead.branches, overhead.records, overhead.keys, overhead.pages
    )
}

/// The report on a process.
#[must_use]
pub fn process(process: &Process, length: Length) -> String {
    let mut out = format!("process {}: {}\n", process.pid, process.program);
    out += &format!("mode {}, writer {}\n", process.mode, process.writer);
    if !process.keys.is_empty() {
        let titles = ["key", "calls now", "in", "sites", "direct", "trampolines", "patched"];
        let mut table = Table::new(&titles);
        for key in &process.keys {
            table.row([
                key.name.clone(),
                or_unknown(key.target.as_ref()),
                key.target_file.clone().unwrap_or_default(),
                key.sites.to_string(),
                key.direct.to_string(),
                key.trampolines.to_string(),
                key.patched_trampolines.to_string(),
            ]);
        }
        out += &format!("\n{}:\n{table}", counted(process.keys.len(), "key"));
    }
    if !process.branch_keys.is_empty() {
        let mut table = Table::new(&["branch key", "now", "count", "branches", "patched"]);
        for key in &process.branch_keys {
            table.row([
                key.name.clone(),
                on_or_off(key.is_on),
                key.count.map_or_else(String::new, |count| count.to_string()),
                key.branches.to_string(),
                key.patched_branches.to_string(),
            ]);
        }
        out += &format!("\n{}:\n{table}", counted(process.branch_keys.len(), "branch key"));
    }
    if !process.images.is_empty() {
        let titles = ["image", "state", "keys", "sites", "direct", "branches", "patched", "why not"];
        let has_reasons = process.images.iter().any(|image| image.reason.is_some());
        let mut table = Table::new(if has_reasons { &titles } else { &titles[..7] });
        for image in &process.images {
            table.row([
                image.file.clone(),
                image.state.to_owned(),
                image.keys.to_string(),
                image.sites.to_string(),
                image.direct.to_string(),
                image.branches.to_string(),
                image.patched_branches.to_string(),
                image.reason.clone().unwrap_or_default(),
            ]);
        }
        out += &format!("\n{}:\n{table}", counted(process.images.len(), "image"));
    }
    if !process.indirect.is_empty() {
        let count = counted(process.indirect.len(), "call");
        out += &format!("\n{count} not direct:\n{}", places(&process.indirect, length));
    }
    out += &bullets("\nunknown:\n", &process.unknown);
    out += "\n";
    if process.all_direct {
        out += match process.branches {
            0 => "every recorded call is direct\n",
            _ => "every recorded call is direct, and every recorded branch is patched\n",
        };
    } else {
        out += &bullets("not every call is direct:\n", &process.not_direct_because);
    }
    out
}

/// Writes everything to standard output. A reader that stops early (`| head`) is not an error.
pub(crate) fn all(text: &str) -> std::io::Result<()> {
    use std::io::{ErrorKind, Write};
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
