//! Prints a report as text for people.

use std::collections::BTreeMap;

use crate::name::counted;
use crate::schema::{BranchKeyReport, BranchReport, File, Indirect, KeyReport, Place, Process, SiteReport};
use crate::table::{Cell, Role, Table, cell, figure, number};
pub use crate::table::{Length, Presentation};

/// A report in the making.
struct Printer {
    presentation: Presentation,
    /// Whether each call names its compiler. On a terminal it does if there are several.
    with_compilers: bool,
    out: String,
}

impl Printer {
    fn new(presentation: Presentation) -> Self {
        Self { presentation, with_compilers: presentation.width.is_none(), out: String::new() }
    }

    fn paint(&self, role: Role, text: &str) -> String {
        self.presentation.paint(role, text)
    }

    /// A title, behind an empty line.
    fn title(&mut self, title: &str) {
        self.out += &format!("\n{}\n", self.paint(Role::Title, title));
    }

    fn table(&mut self, table: &Table) {
        self.out += &table.print(&self.presentation);
    }

    /// The first lines of a list, and how many more there are.
    fn list<T>(&mut self, all: &[T], row: impl Fn(&T) -> (Vec<Cell>, Option<String>)) {
        let most = self.presentation.length.lines();
        let mut table = Table::default();
        for one in all.iter().take(most) {
            let (cells, note) = row(one);
            table.row(cells);
            if let Some(note) = note {
                table.note(note);
            }
        }
        self.table(&table);
        if let Some(more @ 1..) = all.len().checked_sub(most) {
            self.out += &self.paint(Role::Faint, &format!("  and {more} more (--all lists them)"));
            self.out += "\n";
        }
    }

    fn sentence(&mut self, role: Role, sentence: &str) {
        self.out += &self.presentation.paragraph("", role, sentence);
    }

    fn bullets(&mut self, role: Role, title: &str, lines: &[String]) {
        if !lines.is_empty() {
            self.sentence(role, title);
            for line in lines {
                self.out += &self.presentation.paragraph("  - ", Role::Plain, line);
            }
        }
    }

    fn places(&mut self, places: &[Place]) {
        let with_compilers = self.with_compilers;
        self.list(places, |place| {
            let key = cell(Role::Name, place.key.clone().unwrap_or_default());
            (row(place, [key, function(place), source(place)], with_compilers), None)
        });
    }

    fn titled_places(&mut self, title: &str, places: &[Place]) {
        if !places.is_empty() {
            self.title(&format!("{title} ({}):", places.len()));
            self.places(places);
        }
    }

    /// Lists places with the reasons.
    fn indirect(&mut self, title: &str, all: &[&Indirect]) {
        if !all.is_empty() {
            self.title(&format!("{title} ({}):", all.len()));
            let with_compilers = self.with_compilers;
            self.list(all, |Indirect { reason, place, .. }| {
                let key = cell(Role::Name, or_unknown(place.key.as_ref()));
                let reason = cell(Role::Doubtful, reason.clone());
                (row(place, [key, function(place), source(place), reason], with_compilers), None)
            });
        }
    }

    fn sites(&mut self, sites: &[SiteReport]) {
        let with_compilers = self.with_compilers;
        self.list(sites, |site| {
            let kind = cell(Role::Plain, site.kind.unwrap_or("?"));
            let note = site.stays_because.map(|why| format!("stays on its trampoline: it {why}"));
            let columns = [kind, function(&site.place), source(&site.place)];
            (row(&site.place, columns, with_compilers), note)
        });
    }
}

fn or_unknown(text: Option<&String>) -> String {
    text.map_or_else(|| "?".into(), Clone::clone)
}

/// A place's address and, of a call, how it reaches its function; these columns; and, of a call, which
/// compiler made it.
fn row<const N: usize>(place: &Place, columns: [Cell; N], with_compilers: bool) -> Vec<Cell> {
    let mut row = vec![address(place)];
    row.extend(
        place
            .dispatch
            .map(|dispatch| cell(if dispatch == "inline" { Role::Good } else { Role::Doubtful }, dispatch)),
    );
    row.extend(columns);
    if place.dispatch.is_some() && with_compilers {
        row.push(cell(Role::Faint, or_unknown(place.compiler.as_ref())));
    }
    row
}

/// How the calls of each compiler reach their functions.
fn by_compiler(printer: &mut Printer, file: &File) {
    let compilers = compilers(file);
    if compilers.is_empty() {
        return;
    }
    let mut table = Table::new(&["compiler", "inline", "trampoline", "pointer"]);
    for (compiler, counts) in compilers {
        let name = cell(Role::Plain, compiler.unwrap_or("unknown"));
        table.row([name].into_iter().chain(counts.map(number)));
    }
    printer.title("calls by compiler:");
    printer.table(&table);
}

/// How many calls of each compiler are inline, on a trampoline, and by pointer.
pub(crate) fn compilers(file: &File) -> BTreeMap<Option<&str>, [usize; 3]> {
    let mut compilers: BTreeMap<Option<&str>, [usize; 3]> = BTreeMap::new();
    for call in file.calls() {
        let column = ["inline", "trampoline", "pointer"].iter().position(|&name| call.dispatch == Some(name));
        if let Some(column) = column {
            compilers.entry(call.compiler.as_deref()).or_default()[column] += 1;
        }
    }
    compilers
}

fn address(place: &Place) -> Cell {
    cell(Role::Faint, format!("{:#x}", place.address))
}

/// The report on a file.
#[must_use]
pub fn file(file: &File, presentation: impl Into<Presentation>) -> String {
    let mut printer = Printer::new(presentation.into());
    printer.with_compilers |= compilers(file).len() > 1;
    let head = format!("{}: {}", printer.paint(Role::Title, &file.file), file.kind);
    printer.out += &(head + "\n");
    let kinds =
        |key: &KeyReport, kind| number(key.sites.iter().filter(|site| site.kind == Some(kind)).count());
    let doubtful = |count: usize| match count {
        0 => number(0),
        _ => figure(Role::Doubtful, count.to_string()),
    };
    if !file.keys.is_empty() {
        let titles = ["initial target", "type", "calls", "tail", "conditional", "trampoline", "pointer"];
        let mut table = Table::new(&[&["key"], &titles[..]].concat());
        for key in &file.keys {
            table.row([
                cell(Role::Name, key.name.clone()),
                cell(Role::Plain, or_unknown(key.default_target.as_ref())),
                cell(Role::Faint, or_unknown(key.ty.as_ref())),
                kinds(key, "call"),
                kinds(key, "tail call"),
                kinds(key, "conditional tail call"),
                doubtful(file.calls_of_trampoline(key)),
                doubtful(file.calls_by_pointer(key)),
            ]);
        }
        printer.title(&format!("{}:", counted(file.keys.len(), "key")));
        printer.table(&table);
    }
    for key in file.keys.iter().filter(|key| !key.sites.is_empty()) {
        printer.title(&format!("{} of {}:", counted(key.sites.len(), "recorded call"), key.name));
        printer.sites(&key.sites);
    }
    if !file.other_sites.is_empty() {
        let count = counted(file.other_sites.len(), "recorded call");
        printer.title(&format!("{count} whose key is unknown:"));
        printer.sites(&file.other_sites);
    }
    branches(&mut printer, file);
    by_compiler(&mut printer, file);
    if file.is_image {
        printer.out += "\n";
        printer.sentence(Role::Plain, &overhead(file));
    }
    let unrecorded = "not recorded: branches to trampolines, which cannot become direct";
    printer.titled_places(unrecorded, &file.unrecorded);
    let (values, calls): (Vec<_>, Vec<_>) = file.left_indirect.iter().partition(|indirect| indirect.is_value);
    printer.indirect("not lowered: calls that load their key", &calls);
    printer.indirect("not calls: uses of a key's function pointer", &values);
    printer.titled_places("not lowered: compiled without the pass", &file.without_pass);
    printer.titled_places(
        "loads of a key's pointer, by calls that were not lowered or for use as a value",
        file.loads.as_deref().unwrap_or_default(),
    );
    let outside: Vec<&str> = file.keys.iter().filter(|key| key.is_outside()).map(|key| &*key.name).collect();
    let mut remark = |what: &str, names: &str, advice: &str| {
        if !names.is_empty() {
            printer.out += "\n";
            printer.sentence(Role::Doubtful, &format!("{what}: {names}{advice}"));
        }
    };
    remark("compiled without the pass, or part of a larger object", &outside.join(", "), "");
    let is_gcc = |name: &&String| ["GNU C", "GCC: "].iter().any(|start| name.starts_with(start));
    let by_gcc = file.unrecorded.iter().filter_map(|call| call.compiler.as_ref()).find(is_gcc);
    remark(
        "trampolines are called by code of gcc's",
        by_gcc.map_or("", |name| name),
        " (it records its calls with the flags of `pkg-config --cflags static-call-gcc`, or by CMake's \
         StaticCall::static_call)",
    );
    remark(
        "crates that seem to be built without the pass",
        &file.crates_without_pass.join(", "),
        " (build all of them with the wrapper)",
    );
    remark(
        "C or C++ that seems to be compiled without the pass",
        &file.files_without_pass.join(", "),
        " (use a clang that it is built for, with the flags of `pkg-config --cflags static-call`, or gcc 12 \
         or later, with those of static-call-gcc, or CMake's StaticCall::static_call)",
    );
    if !file.damage.is_empty() {
        printer.out += "\n";
        for damage in &file.damage {
            printer.sentence(Role::Bad, &format!("damaged: {damage}"));
        }
        let outcome = "the runtime will leave every call in this file on its trampoline";
        printer.sentence(Role::Bad, outcome);
    }
    if let Some(why) = file.idle_because {
        printer.out += "\n";
        printer.sentence(Role::Bad, why);
    }
    unknown(&mut printer, &file.unknown);
    printer.out += "\n";
    let verdict = match file.branches {
        0 => "every call that is visible in this file can be made direct",
        _ => "every call that is visible in this file can be made direct, and every branch patched",
    };
    if file.all_direct {
        printer.sentence(Role::Good, verdict);
    } else {
        printer.bullets(Role::Bad, "not every call can be made direct:", &file.not_direct_because);
    }
    printer.out
}

fn unknown(printer: &mut Printer, lines: &[String]) {
    if !lines.is_empty() {
        printer.out += "\n";
        printer.bullets(Role::Title, "unknown:", lines);
    }
}

fn function(place: &Place) -> Cell {
    cell(Role::Plain, function_name(place))
}

/// The function that contains a place, and the one that it was inlined into.
pub(crate) fn function_name(place: &Place) -> String {
    let function = or_unknown(place.function.as_ref());
    match &place.inlined_into {
        Some(outer) => format!("{function} (inlined into {outer})"),
        None => function,
    }
}

/// The file and line, followed by the chain of inlined calls that leads there.
fn source(place: &Place) -> Cell {
    let mut text = file_and_line(place.file.as_ref(), place.line);
    for caller in &place.inlined_at {
        let caller = file_and_line(caller.file.as_ref(), caller.line);
        text += &format!(" inlined into {}", if caller.is_empty() { "?" } else { &caller });
    }
    cell(Role::Plain, text)
}

pub(crate) fn file_and_line(file: Option<&String>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        _ => String::new(),
    }
}

/// The keys of branches, and their branches.
fn branches(printer: &mut Printer, file: &File) {
    if file.branch_keys.is_empty() {
        return;
    }
    let mut table = Table::new(&["branch key", "initially", "unlikely", "likely", "lazy calls"]);
    for key in &file.branch_keys {
        let count = |is_one: fn(&BranchReport) -> bool| {
            number(key.branches.iter().filter(|branch| is_one(branch)).count())
        };
        let all = number(key.branches.len());
        let [unlikely, likely, lazy] = match key.is_hook {
            true => [number(0), number(0), all],
            false => [count(|branch| !branch.is_likely), count(|branch| branch.is_likely), number(0)],
        };
        table.row([cell(Role::Name, key.name.clone()), on_or_off(key.is_on), unlikely, likely, lazy]);
    }
    printer.title(&format!("{}:", counted(file.branch_keys.len(), "branch key")));
    printer.table(&table);
    for key in file.branch_keys.iter().filter(|key| !key.branches.is_empty()) {
        let count = counted(key.branches.len(), if key.is_hook { "lazy call" } else { "recorded branch" });
        printer.title(&format!("{count} of {}:", key.name));
        branches_of(printer, key);
    }
}

fn branches_of(printer: &mut Printer, key: &BranchKeyReport) {
    printer.list(&key.branches, |branch| {
        let note = branch.stays_because.map(|why| format!("looks at its key: it {why}"));
        let place = &branch.place;
        let kind = cell(Role::Plain, branch_kind(key, branch));
        (vec![address(place), kind, function(place), source(place)], note)
    });
}

/// How a branch was written.
pub(crate) fn branch_kind(key: &BranchKeyReport, branch: &BranchReport) -> &'static str {
    match branch.is_likely {
        _ if key.is_hook => "lazy call",
        true => "likely",
        false => "unlikely",
    }
}

fn on_or_off(is_on: Option<bool>) -> Cell {
    match is_on {
        Some(true) => cell(Role::Good, "on"),
        Some(false) => cell(Role::Plain, "off"),
        None => cell(Role::Doubtful, "?"),
    }
}

/// The bytes that static calls take, in words.
pub(crate) fn overhead(file: &File) -> String {
    let overhead = &file.overhead;
    let [trampolines, padding] = [overhead.trampolines, overhead.padding]
        .map(|bytes| bytes.map_or_else(|| "?".into(), |bytes| bytes.to_string()));
    format!(
        "bytes: {} site table, {} branch table, {} records, {} keys, {trampolines} trampolines, \
         {} anchors and padding, {padding} call prefixes",
        overhead.sites, overhead.branches, overhead.records, overhead.keys, overhead.pages
    )
}

/// How many of all are as they should be.
fn part(part: usize, all: usize) -> Cell {
    match (part, all) {
        (_, 0) => number(part),
        _ if part == all => figure(Role::Good, part.to_string()),
        _ => figure(Role::Doubtful, part.to_string()),
    }
}

/// The report on a process.
#[must_use]
pub fn process(process: &Process, presentation: impl Into<Presentation>) -> String {
    let mut printer = Printer::new(presentation.into());
    let head = format!("process {}: {}", process.pid, process.program);
    printer.sentence(Role::Title, &head);
    printer.sentence(Role::Plain, &format!("mode {}, writer {}", process.mode, process.writer));
    if !process.keys.is_empty() {
        let titles = ["key", "calls now", "in", "sites", "direct", "trampolines", "patched"];
        let mut table = Table::new(&titles);
        for key in &process.keys {
            table.row([
                cell(Role::Name, key.name.clone()),
                cell(Role::Plain, or_unknown(key.target.as_ref())),
                cell(Role::Faint, key.target_file.clone().unwrap_or_default()),
                number(key.sites),
                part(key.direct, key.sites),
                number(key.trampolines),
                number(key.patched_trampolines),
            ]);
        }
        printer.title(&format!("{}:", counted(process.keys.len(), "key")));
        printer.table(&table);
    }
    if !process.branch_keys.is_empty() {
        let mut table = Table::new(&["branch key", "now", "count", "branches", "patched"]);
        for key in &process.branch_keys {
            table.row([
                cell(Role::Name, key.name.clone()),
                on_or_off(key.is_on),
                figure(Role::Plain, key.count.map_or_else(String::new, |count| count.to_string())),
                number(key.branches),
                part(key.patched_branches, key.branches),
            ]);
        }
        printer.title(&format!("{}:", counted(process.branch_keys.len(), "branch key")));
        printer.table(&table);
    }
    if !process.images.is_empty() {
        let titles = ["image", "state", "keys", "sites", "direct", "branches", "patched", "why not"];
        let has_reasons = process.images.iter().any(|image| image.reason.is_some());
        let mut table = Table::new(if has_reasons { &titles } else { &titles[..7] });
        for image in &process.images {
            let state = if image.state == "patched" { Role::Good } else { Role::Doubtful };
            table.row([
                cell(Role::Plain, image.file.clone()),
                cell(state, image.state),
                number(image.keys),
                number(image.sites),
                part(image.direct, image.sites),
                number(image.branches),
                part(image.patched_branches, image.branches),
                cell(Role::Doubtful, image.reason.clone().unwrap_or_default()),
            ]);
        }
        printer.title(&format!("{}:", counted(process.images.len(), "image")));
        printer.table(&table);
    }
    if !process.indirect.is_empty() {
        printer.title(&format!("{} not direct:", counted(process.indirect.len(), "call")));
        printer.places(&process.indirect);
    }
    unknown(&mut printer, &process.unknown);
    printer.out += "\n";
    let verdict = match process.branches {
        0 => "every recorded call is direct",
        _ => "every recorded call is direct, and every recorded branch is patched",
    };
    if process.all_direct {
        printer.sentence(Role::Good, verdict);
    } else {
        printer.bullets(Role::Bad, "not every call is direct:", &process.not_direct_because);
    }
    printer.out
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
