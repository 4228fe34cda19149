//! Reads a file and reports on its static calls.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use anyhow::{Result, bail};
use static_call::inspect::{Action, Decoder, Kind};
use static_call_abi::{INDIRECT_SECTION, Layout, REGISTER};

use crate::answers::{self, Answers, Questions};
use crate::branch::{Branch, BranchKey, Stays};
use crate::branches::read_tables;
use crate::budget::Budget;
use crate::code::{Code, trampoline_size};
use crate::compilers;
use crate::constructors;
use crate::debug;
use crate::elf::{Elf, Segment};
use crate::file::Mapped;
use crate::name::{counted, demangle, is_rust, printable};
use crate::notes::{self, Note};
use crate::padding;
use crate::progress::Progress;
use crate::schema::{
    BranchKeyReport, BranchReport, Caller, Code as Bytes, FORMAT, File, Indirect, KeyReport, Overhead, Place,
    SiteReport,
};
use crate::tables::{Key, Record, Site, Tables, Target, Use};

/// The name of a kind of instruction.
#[must_use]
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Call => "call",
        Kind::Jump => "tail call",
        Kind::ConditionalJump => "conditional tail call",
    }
}

/// An instruction's bytes and what it does. `name` names what it goes to.
#[must_use]
pub(crate) fn code(kind: Option<Kind>, bytes: &[u8], action: Action, name: impl Fn(u64) -> String) -> Bytes {
    let does = match (kind, action) {
        (Some(Kind::Call), Action::Branch(target)) => format!("call {}", name(target)),
        (Some(Kind::ConditionalJump), Action::Branch(target)) => {
            format!("jump if \u{2026} to {}", name(target))
        }
        (_, Action::Branch(target)) => format!("jump to {}", name(target)),
        (Some(Kind::Call), Action::Nop) => "nothing".into(),
        (Some(Kind::Call), Action::Zero) => "the result is 0".into(),
        (Some(Kind::ConditionalJump), Action::Nop) => "return if \u{2026}".into(),
        (_, Action::Nop) => "return".into(),
        (_, Action::Zero) => "return zero".into(),
    };
    Bytes { bytes: hexadecimal(bytes), does }
}

/// Bytes with spaces between them.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

fn caller(place: &answers::Place) -> Caller {
    Caller { function: place.function.clone(), file: place.file.clone(), line: place.line }
}

/// Finds names for places and functions of a file.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    pub(crate) elf: &'a Elf<'a>,
    pub(crate) answers: Option<&'a Answers>,
    /// The compilers that `.comment` names.
    pub(crate) compilers: &'a [String],
    pub(crate) budget: &'a Budget,
}

impl Names<'_> {
    fn source(&self, address: u64) -> &[answers::Place] {
        self.answers
            .and_then(|answers| answers.places.get(&address))
            .map_or(&[], |places| answers::written(places))
    }

    /// The name of the function that contains an address.
    fn function(&self, address: u64) -> Option<String> {
        let symbol = self.elf.function(address).map(|symbol| demangle(symbol.name));
        symbol.or_else(|| self.source(address).first()?.function.clone())
    }

    /// The compiler that made an instruction.
    fn compiler(&self, address: u64) -> Option<String> {
        let compiler = self.answers.and_then(|answers| answers.compilers.get(&address));
        match (compiler, self.compilers) {
            (Some(compiler), _) => Some(compiler.to_string()),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        }
    }

    /// A call in the file, and what becomes of it.
    pub(crate) fn codes(&self, site: &Site, key: Option<&str>) -> [Option<Bytes>; 2] {
        let Some(after) = &site.after else { return [None, None] };
        let trampoline = |_| format!("the trampoline of {}", key.unwrap_or("?"));
        let before = self.elf.read(site.address, after.bytes().len() as u64);
        let before = before.map(|bytes| code(site.kind, bytes, Action::Branch(0), trampoline));
        let after = code(site.kind, after.bytes(), after.action, |target| self.target(target));
        [before, Some(after).filter(|_| site.stays.is_none())]
    }

    /// The same for a branch.
    fn codes_of_branch(&self, branch: &Branch) -> [Option<Bytes>; 2] {
        let Some(after) = &branch.after else { return [None, None] };
        let before = self.elf.read(branch.address, after.bytes().len() as u64);
        let before = before.map(|bytes| Bytes {
            bytes: hexadecimal(bytes),
            does: "jump to code that looks at the key".into(),
        });
        let does = match after.action {
            Action::Branch(target) => format!("jump to {target:#x}"),
            _ => "nothing".into(),
        };
        [before, Some(Bytes { bytes: hexadecimal(after.bytes()), does })]
    }

    /// What a call goes to.
    fn target(&self, address: u64) -> String {
        self.function(address).unwrap_or_else(|| format!("{address:#x}"))
    }

    /// What is known about a place in the code. None: the memory budget is used up.
    pub(crate) fn place(&self, address: u64) -> Option<Place> {
        let symbol = self.elf.function(address).map(|symbol| demangle(symbol.name));
        let mut places = self.source(address).iter();
        let source = places.next().cloned().unwrap_or_default();
        let inlined_at: Vec<Caller> = places.map(caller).collect();
        let outer = inlined_at.last().map(|outer| symbol.as_ref().or(outer.function.as_ref()).cloned());
        let place = Place {
            address,
            key: None,
            dispatch: None,
            compiler: self.compiler(address),
            function: if inlined_at.is_empty() {
                symbol.or(source.function)
            } else {
                source.function.or(symbol)
            },
            inlined_into: outer.flatten(),
            inlined_at,
            file: source.file,
            line: source.line,
        };
        self.budget.bytes(place.size()).then_some(place)
    }

    /// Whether the code at a place was compiled from Rust.
    fn is_rust(&self, place: &Place) -> bool {
        let by_file = || place.file.as_ref().is_some_and(|file| file.ends_with(".rs"));
        self.elf.function(place.address).map_or_else(by_file, |symbol| is_rust(symbol.name))
    }
}

/// Reads a file.
///
/// # Errors
///
/// If it cannot be read, is not a linked ELF or PE file, or changes meanwhile.
pub fn read(path: &Path) -> Result<File> {
    let data = Mapped::open(path)?;
    let budget = Budget::default().with_progress(Progress::shown_for(data.len() as u64));
    budget.add_file(data.len());
    let mut elf = Elf::parse(&data, &budget)?;
    elf.mapped = Some(&data);
    let file = self::file(path, &elf, &budget);
    if !data.is_unchanged() {
        bail!("changed while it was read; try again");
    }
    Ok(file)
}

/// Reports on a file as far as the budget allows.
#[must_use]
pub fn file(path: &Path, elf: &Elf<'_>, budget: &Budget) -> File {
    let decoder =
        Decoder::of(elf.machine, elf.pointer as u32 * 8, object::Endian::is_little_endian(elf.endian()));
    budget.progress.begin("code and data", scanned(elf));
    let mut tables = read_tables(elf, decoder, budget);
    let mut code = Code::read(elf, &tables, decoder, budget);
    let notes = notes::read(elf, &tables, budget);
    code.forget_noted(elf, &notes);
    let answers = debug::ask(path, elf, questions(&tables, &code, &notes), budget);
    if let Some(answers) = &answers {
        code.tell_calls(answers);
    }
    let sources = sources(&tables.keys, answers.as_ref());
    tables.tell_names_apart(|number| {
        let Source { file, line, .. } = &sources[number];
        Some(format!("{}:{}", file.as_ref()?, (*line)?))
    });
    let compilers = compilers::of(elf, budget);
    let names = Names { elf, answers: answers.as_ref(), compilers: &compilers, budget };

    let idle_because = idle_because(elf, &tables, budget);
    let is_idle = idle_because.is_some() || !tables.damage.is_empty();
    let padding = padding::of(elf, &tables.sites);
    let site = |site: &Site| {
        let key = site.record.map(|record| &*tables.keys[tables.records[record].key].name);
        let [before, after] = names.codes(site, key);
        let texts = [&before, &after].map(|code| code.as_ref().map_or("", |code| &code.does));
        if !budget.item::<[Bytes; 2]>(&texts) {
            return None;
        }
        let dispatch = if is_idle || site.stays.is_some() { "trampoline" } else { "inline" };
        let dispatch = site.kind.map(|_| dispatch);
        Some(SiteReport {
            before,
            after,
            kind: site.kind.map(kind_name),
            is_behind_veneer: site.stays == Some(Stays::Veneer),
            stays_because: site.stays.map(Stays::as_str),
            padding: padding.get(&site.address).copied(),
            place: Place { dispatch, ..names.place(site.address)? },
        })
    };
    let mut keys: Vec<KeyReport> = tables
        .keys
        .iter()
        .zip(sources)
        .map(|(key, source)| KeyReport {
            name: key.name.clone(),
            symbol: key.symbol.clone(),
            address: key.address,
            is_in_section: key.is_in_section,
            ty: source.ty,
            file: source.file,
            line: source.line,
            default_target: default_target(key, &names),
            sites: Vec::new(),
            trampolines: Vec::new(),
        })
        .collect();
    for record in &tables.records {
        keys[record.key].trampolines.push(record.trampoline);
    }
    let mut other_sites = Vec::new();
    for found in &tables.sites {
        let Some(site) = site(found) else { break };
        match found.record {
            Some(record) => keys[tables.records[record].key].sites.push(site),
            None => other_sites.push(site),
        }
    }
    let branch_keys = branch_keys(&tables, &names);
    let places = |found: &[Use], dispatch: Option<&'static str>| {
        let place = |found: &Use| {
            let key = found.key.map(|key| tables.keys[key].name.clone());
            Some(Place { key, dispatch, ..names.place(found.address)? })
        };
        found.iter().map_while(place).collect::<Vec<_>>()
    };
    let unrecorded = places(&code.unrecorded, Some("trampoline"));
    let left_indirect = notes.iter().map_while(|note| {
        let key = note.key.map(|key| tables.keys[key].name.clone()).or_else(|| note.name.clone());
        let dispatch = (!note.is_value).then_some("pointer");
        let place = Place { key, dispatch, ..names.place(note.address)? };
        Some(Indirect { reason: note.reason.clone(), is_value: note.is_value, place })
    });
    let left_indirect = left_indirect.collect();
    let loads = code.knows_loads.then(|| places(&code.loads, None));
    let without_pass = places(&code.without_pass, Some("pointer"));
    let (mut crates, mut files) = (BTreeSet::new(), BTreeSet::new());
    for place in loads.iter().flatten().chain(&without_pass) {
        if names.is_rust(place) {
            crates.extend(place.function.as_deref().and_then(crate_of));
        } else {
            files.extend(place.file.as_ref().or(place.function.as_ref()).cloned());
        }
    }
    let mut file = File {
        format: FORMAT,
        file: printable(&path.to_string_lossy()),
        kind: elf.to_string(),
        size: elf.len(),
        is_image: tables.places.is_some(),
        keys,
        other_sites,
        sites: tables.sites.len(),
        branch_keys,
        branches: tables.branches.branches.len(),
        overhead: overhead(elf, &tables, &padding),
        unrecorded,
        left_indirect,
        loads,
        without_pass,
        crates_without_pass: crates.into_iter().collect(),
        files_without_pass: files.into_iter().collect(),
        damage: tables.damage.clone(),
        idle_because,
        unknown: unknown(elf, &tables, &code, decoder.is_some(), budget),
        all_direct: false,
        not_direct_because: Vec::new(),
    };
    file.unknown.extend(unknown_source(&file, answers.as_ref()));
    file.unknown.extend(unknown_compilers(&file, &compilers));
    let loads = code.loads.iter().chain(&code.without_pass).map(|load| load.key);
    let loads = loads.chain(notes.iter().filter(|note| !note.is_value).map(|note| note.key));
    let loaded_only: HashSet<usize> = loads.flatten().collect();
    // The pass notes each call that it does not record. Code compiled without the pass has no such notes.
    let is_complete = elf.has_symbols() && code.knows_loads && notes.is_empty();
    file.not_direct_because = not_direct(&file, &loaded_only, code.doubtful, decoder.is_some(), is_complete);
    if let Some(why) = budget.ended() {
        file.unknown.push(format!(
            "the rest of the file: {why}. If debug information is the cause, inspect a copy without it \
             (strip -g)"
        ));
        file.not_direct_because.push(format!("the file was not read to its end: {why}"));
    }
    // Also those that are not seen to branch to a trampoline: some go through the global offset table. An
    // assembler may have recorded the calls.
    let with_sites: HashSet<_> = tables.sites.iter().filter_map(|site| site.record).collect();
    let is_without_pass =
        |&(number, record): &(usize, &Record)| record.is_without_pass && !with_sites.contains(&number);
    let without_pass = tables.records.iter().enumerate().filter(is_without_pass).count();
    if without_pass > 0 {
        file.not_direct_because.push(format!(
            "keys whose calls were compiled without the pass (by gcc: without static-call-as), and go \
             through trampolines: {without_pass}"
        ));
    }
    file.all_direct = file.not_direct_because.is_empty();
    file
}

/// By and large, the bytes that are read for keys, and for code that uses them.
fn scanned(elf: &Elf<'_>) -> u64 {
    let times = |segment: &Segment<'_>| match (segment.is_executable, segment.is_writable) {
        (true, _) | (_, true) => 3,
        _ => 0,
    };
    elf.segments.iter().map(|segment| times(segment) * segment.data.len() as u64).sum()
}

/// Why no recorded call will become direct although the tables are intact.
fn idle_because(elf: &Elf<'_>, tables: &Tables, budget: &Budget) -> Option<&'static str> {
    let places = tables.places.as_ref()?;
    if tables.sites.is_empty() && tables.branches.branches.is_empty() {
        return None;
    }
    if constructors::is_called(elf, budget) == Some(false) {
        return Some(
            "nothing registers this image: its constructor is not called, so every call stays on its \
             trampoline, and every branch looks at its key",
        );
    }
    // The runtime finds the image's code through the ELF header.
    let has_header = elf.segments.iter().any(|segment| segment.offset == 0);
    (places.descriptor.is_some() && !has_header).then_some(
        "its header is not in memory, so the runtime leaves every call on its trampoline, and every \
         branch looking at its key",
    )
}

/// The questions to debug information.
fn questions(tables: &Tables, code: &Code, notes: &[Note]) -> Questions {
    let uses = [&code.unrecorded, &code.loads, &code.without_pass].into_iter().flatten();
    let targets = tables.keys.iter().flat_map(|key| [function(&key.target), function(&key.off)]).flatten();
    let functions: HashSet<u64> = targets.collect();
    let branches = tables.branches.branches.iter().map(|branch| branch.address);
    let sites = tables
        .sites
        .iter()
        .map(|site| site.address)
        .chain(branches)
        .chain(notes.iter().map(|note| note.address));
    Questions {
        places: sites.chain(uses.map(|found| found.address)).chain(functions.iter().copied()).collect(),
        functions,
        keys: tables.keys.iter().filter_map(|key| key.address).collect(),
    }
}

fn function(target: &Target) -> Option<u64> {
    match target {
        Target::Function(address) => Some(*address),
        _ => None,
    }
}

/// The reasons why calls will not become direct, or may not.
fn not_direct(
    file: &File,
    loaded: &HashSet<usize>,
    doubtful: usize,
    is_decoded: bool,
    is_complete: bool,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if !file.is_image && file.keys.is_empty() && file.unrecorded.is_empty() {
        reasons.push(
            "no static calls were found: it has none, or it was built without the pass and stripped".into(),
        );
    }
    if !file.damage.is_empty() {
        reasons.push("its tables are damaged, so the runtime leaves every call on its trampoline".into());
    }
    reasons.extend(file.idle_because.map(str::to_owned));
    if file.sites + file.branches > 0 && !is_decoded {
        reasons.push("this inspector cannot decode the machine's instructions".into());
    }
    let mut counted = |what: &str, count: usize| {
        if count > 0 {
            reasons.push(format!("{what}: {count}"));
        }
    };
    counted("branches to trampolines are not recorded", file.unrecorded.len());
    if file.sites == 0 {
        let keys: BTreeSet<_> = file.unrecorded.iter().filter_map(|call| call.key.as_deref()).collect();
        counted("keys are called only through their trampolines", keys.len());
    }
    counted("calls were compiled without the pass and load their key", file.without_pass.len());
    // Debug information shows which loads are calls. Sanitizers load keys for other reasons.
    counted("loads of keys' pointers may be calls that were not lowered", doubtful);
    let mut grouped = |what: &str, whys: &mut dyn Iterator<Item = &str>| {
        let mut count = BTreeMap::new();
        whys.for_each(|why| *count.entry(why.to_owned()).or_insert(0) += 1);
        reasons.extend(count.into_iter().map(|(why, count)| format!("{what} {why}: {count}")));
    };
    let indirect = file.left_indirect.iter().filter(|indirect| !indirect.is_value);
    grouped("calls load their key:", &mut indirect.map(|indirect| &*indirect.reason));
    let sites = file.keys.iter().flat_map(|key| &key.sites).chain(&file.other_sites);
    grouped(
        "recorded calls stay on their trampolines because each",
        &mut sites.filter_map(|site| site.stays_because),
    );
    let branches = file.branch_keys.iter().flat_map(|key| &key.branches);
    grouped(
        "branches look at their keys because each",
        &mut branches.filter_map(|branch| branch.stays_because),
    );
    let is_program = file.kind.ends_with("program");
    if is_program && file.sites == 0 && !file.keys.is_empty() {
        let is_all_there = file.is_image && file.keys.iter().all(|key| key.is_in_section);
        let has_noted = file.left_indirect.iter().any(|indirect| !indirect.is_value);
        if has_noted || is_complete && !is_all_there {
            reasons.push("no call is recorded".into());
        } else if !is_complete && file.unrecorded.is_empty() {
            reasons.push("no call is recorded, and whether there is one is unknown".into());
        }
    }
    for (number, key) in file.keys.iter().enumerate().filter(|(_, key)| key.sites.is_empty()) {
        let name = &key.name;
        if loaded.contains(&number) {
            reasons.push(format!("{name} is only loaded from memory: no call of it is recorded"));
        } else if key.is_outside() {
            reasons.push(format!(
                "{name} has no recorded call, and was compiled without the pass or is part of a larger object"
            ));
        }
    }
    reasons
}

/// One of [`File::unknown`]: the feature `os` of the runtime is missing.
pub(crate) const RUNTIME_WITHOUT_OS: &str = "whether the runtime patches any call: this file's copy was \
     built without the feature \"os\" or not for Linux, and patches only through a writer that the program \
     provides (set_writer)";

/// What cannot be determined from the file.
fn unknown(elf: &Elf<'_>, tables: &Tables, code: &Code, is_decoded: bool, budget: &Budget) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    let machine = elf.machine_name();
    if !is_decoded {
        unknown.push(format!(
            "which key each recorded call belongs to, and which branches are not recorded: this inspector \
             cannot decode instructions of {machine}"
        ));
    }
    if elf.sections.is_empty() && tables.places.is_none() {
        unknown.push(
            "whether it has static calls: it has no section headers, and no image descriptor was found"
                .into(),
        );
    }
    if tables.places.as_ref().is_some_and(|places| places.descriptor.is_none()) {
        unknown.push("whether the runtime registers it: no image descriptor was found".into());
    }
    let register = elf.functions().iter().find(|symbol| symbol.name == REGISTER.as_bytes());
    // A PE file has a function that jumps to another DLL's.
    let is_own = || !elf.imports().any(|name| name == REGISTER.as_bytes());
    let has_copy = register.is_some_and(|symbol| elf.is_code(symbol.address)) && is_own();
    if has_copy && !notes::has_runtime(elf, budget) {
        unknown.push(RUNTIME_WITHOUT_OS.into());
    }
    if !code.knows_loads {
        unknown.push(format!(
            "which code calls keys through their pointer: loads of keys are not recognized on {machine}"
        ));
    } else if !tables.keys.is_empty() {
        unknown.push(
            "calls compiled without the pass in functions that get a key's address as an argument or from \
             data: they look like updates"
                .into(),
        );
    }
    if !tables.keys.is_empty() && elf.section(INDIRECT_SECTION).is_none() && !elf.has_symbols() {
        unknown.push("which calls the pass could not lower: its notes may have been stripped".into());
    }
    if !elf.has_symbols() {
        unknown.push(
            "the names of its functions and the lengths of its trampolines: its symbols were stripped".into(),
        );
    }
    unknown
}

/// What debug information does not contain.
fn unknown_source(file: &File, answers: Option<&Answers>) -> Vec<String> {
    let Some(answers) = answers else {
        let is_asked = file.sites > 0 || !file.keys.is_empty();
        let unknown = "source lines and types: it has no debug information (compile with -g or \
                       -Cdebuginfo=2; -Cdebuginfo=1 is enough for lines)";
        return is_asked.then(|| unknown.into()).into_iter().collect();
    };
    let mut unknown: Vec<String> = answers.missing.iter().cloned().collect();
    let mut counted = |what: &str, count: usize, why: &str| {
        if count > 0 {
            unknown.push(format!(
                "{what} of {}: {why}",
                counted(count, if what == TYPES { "key" } else { "call" })
            ));
        }
    };
    const TYPES: &str = "the types";
    let types = file.keys.iter().filter(|key| key.ty.is_none()).count();
    counted(
        TYPES,
        types,
        "debug information does not have them (compile their definitions and calls with -g or -Cdebuginfo=2)",
    );
    let sites = file.keys.iter().flat_map(|key| &key.sites).chain(&file.other_sites);
    let lines = sites.filter(|site| site.place.line.is_none()).count();
    counted(
        "the source lines",
        lines,
        "debug information does not have them (compile with -g or -Cdebuginfo=1)",
    );
    unknown
}

/// How many calls' compilers are unknown, and why.
fn unknown_compilers(file: &File, compilers: &[String]) -> Option<String> {
    let count = file.calls().filter(|call| call.compiler.is_none()).count();
    let named = match compilers {
        [] => "its .comment names none".to_owned(),
        _ => format!("its .comment names several ({})", compilers.join("; ")),
    };
    (count > 0).then(|| {
        format!(
            "the compilers of {}: debug information does not have them (compile with -g or \
             -Cdebuginfo=1), and {named}",
            counted(count, "call")
        )
    })
}

fn overhead(elf: &Elf<'_>, tables: &Tables, padding: &HashMap<u64, u64>) -> Overhead {
    let layout = Layout { pointer: elf.pointer };
    let branch_keys = |is_one: &dyn Fn(&BranchKey) -> bool| {
        tables.branches.keys.iter().filter(|key| !key.is_hook && is_one(key)).count()
    };
    let keys = tables.keys.iter().filter(|key| key.address.is_some()).count();
    let mut overhead = Overhead {
        sites: tables.site_bytes,
        branches: tables.branches.bytes,
        records: layout.record() * (tables.records.len() + tables.branches.records.len()) as u64,
        keys: layout.key() * (keys + branch_keys(&|key| key.address.is_some())) as u64,
        padding: tables.sites.iter().map(|site| padding.get(&site.address).copied()).sum(),
        ..Overhead::default()
    };
    // A PE file's symbols have no sizes.
    let has_names = !elf.is_pe()
        && tables.records.iter().all(|record| {
            elf.function(record.trampoline).is_some_and(|symbol| symbol.address == record.trampoline)
        });
    overhead.trampolines = has_names.then(|| {
        let sizes =
            tables.records.iter().map(|record| record.prefix + trampoline_size(elf, record.trampoline));
        sizes.sum()
    });
    let end = match elf.section(static_call_abi::END_SECTION) {
        Some(section) => section.size,
        None if elf.is_pe() && tables.places.is_some() => static_call_abi::COFF_PAGE_SIZE.into(),
        None => 0,
    };
    let size = tables.places.as_ref().map_or(0, |places| {
        let ranges = [&places.keys, &places.records, &places.branches, &places.sites];
        let lengths = ranges.map(|range| range.end.saturating_sub(range.start));
        lengths.into_iter().fold(end, u64::saturating_add)
    });
    let keys = tables.keys.iter().filter(|key| key.is_in_section).count();
    let in_sections = layout.key() * (keys + branch_keys(&|key| key.is_in_section)) as u64;
    let entries = overhead.sites + overhead.branches + overhead.records + in_sections;
    overhead.pages = size.saturating_sub(entries);
    overhead
}

/// The keys of branches, each with its branches.
fn branch_keys(tables: &Tables, names: &Names<'_>) -> Vec<BranchKeyReport> {
    let report = |key: &BranchKey| BranchKeyReport {
        name: key.name.clone(),
        symbol: key.symbol.clone(),
        address: key.address,
        is_on: key.is_on,
        is_hook: key.is_hook,
        branches: Vec::new(),
    };
    let mut keys: Vec<_> = tables.branches.keys.iter().map(report).collect();
    for branch in &tables.branches.branches {
        let Some(place) = names.place(branch.address) else { break };
        let stays_because = branch.stays.map(Stays::of_branch);
        let [before, after] = names.codes_of_branch(branch);
        let is_likely = branch.is_likely;
        keys[branch.key].branches.push(BranchReport { is_likely, stays_because, before, after, place });
    }
    keys
}

fn default_target(key: &Key, names: &Names<'_>) -> Option<String> {
    match &key.target {
        Target::Function(address) if key.is_dispatched => {
            Some(format!("{} until it is resolved", names.target(*address)))
        }
        Target::Function(address) => Some(names.target(*address)),
        Target::Import(name) => Some(name.clone()),
        Target::Off => Some("off".into()),
        Target::Zero => Some("returns zero".into()),
        Target::Unknown => None,
    }
}

/// What debug information says about a key.
#[derive(Clone, Debug, Default)]
struct Source {
    file: Option<String>,
    line: Option<u32>,
    ty: Option<String>,
}

/// The sources of all keys. In C and C++ a key's type is a typedef, which debug information has if a call
/// uses it. Otherwise the type is that of the key's initial target or, in Rust, of the function that stands
/// for "off".
fn sources(keys: &[Key], answers: Option<&Answers>) -> Vec<Source> {
    let Some(answers) = answers else { return vec![Source::default(); keys.len()] };
    let mut same = HashMap::new();
    for symbol in keys.iter().filter_map(|key| key.symbol.as_ref()) {
        *same.entry(symbol).or_insert(0) += 1;
    }
    let source = |key: &Key| {
        let variable =
            key.address.and_then(|address| answers.keys.get(&address)).cloned().unwrap_or_default();
        // Several files may each have a local key of this name.
        let by_name = || answers.types.get(key.symbol.as_ref().filter(|&symbol| same[symbol] == 1)?).cloned();
        let of = |target: &Target| answers.functions.get(&function(target)?).cloned();
        let off = || of(&key.off).filter(|ty| ty.starts_with("fn("));
        let ty = variable.ty.or_else(by_name).or_else(|| of(&key.target)).or_else(off);
        Source { file: variable.file, line: variable.line, ty }
    };
    keys.iter().map(source).collect()
}

/// The crate in the path of a Rust function.
#[must_use]
pub fn crate_of(function: &str) -> Option<String> {
    let (first, _) = function.trim_start_matches(['<', '&', '*']).split_once("::")?;
    let is_name = first.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (is_name && !first.is_empty()).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabricated::{self, DESCRIPTOR, SITES, image};
    use crate::print::{self, Length};

    /// Code that was compiled without the pass may call trampolines, which is not damage.
    #[test]
    fn calls_of_trampolines_without_records_of_them() {
        let [code, mut data] = image();
        data.word(DESCRIPTOR + 16, SITES);
        let bytes = fabricated::file([code, data], true);
        let budget = Budget::default();
        let elf = Elf::parse(&bytes, &budget).expect("an ELF file");
        let file = file(Path::new("file"), &elf, &budget);
        assert!(file.is_image && file.damage.is_empty() && file.sites == 0 && file.keys.len() == 1);
        let calls: Vec<_> = file.unrecorded.iter().map(|call| call.key.as_deref()).collect();
        assert_eq!(calls, [Some("app::KEY"); 2]);
        let expected = [
            "branches to trampolines are not recorded: 2",
            "keys are called only through their trampolines: 1",
        ];
        assert_eq!(file.not_direct_because, expected);
        let text = print::file(&file, Length::Short);
        assert!(
            text.contains("not recorded: branches to trampolines") && !text.contains("damaged"),
            "{text}"
        );
    }
}
