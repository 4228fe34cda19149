//! Reports on a running process: compares its memory, read through `/proc`, with the files that it has
//! loaded.
//!
//! The process is neither changed nor stopped, so two parts of a report need not describe the same instant.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use static_call::inspect::{Action, Decoder, ImageState, reason};
use static_call::{Mode, Writer};
use static_call_abi::{Form, Layout, POINTER, VERSION};

use crate::answers::Questions;
use crate::branch::{BranchKey, Branches, Stays};
use crate::branches::read_tables;
use crate::budget::Budget;
use crate::compilers;
use crate::debug;
use crate::elf::Elf;
use crate::file::Mapped;
use crate::name::{counted, demangle, printable};
use crate::report::{Names, code, kind_name};
use crate::schema::{FORMAT, LiveBranchKey, LiveCall, LiveImage, LiveKey, Place, Process};
use crate::tables::Tables;

/// Reads a process.
///
/// # Errors
///
/// If there is no such process, or its memory cannot be read.
pub fn read(pid: u32) -> Result<Process> {
    look(pid, false)
}

/// The same, with each recorded call and its source.
///
/// # Errors
///
/// As for [`read`].
pub fn read_with_calls(pid: u32) -> Result<Process> {
    look(pid, true)
}

fn look(pid: u32, with_calls: bool) -> Result<Process> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    if !Path::new("/proc/self").exists() {
        bail!("/proc is not mounted, and processes are read through it");
    }
    let budget = Budget::default();
    let maps = read_maps(&directory, &budget).map_err(|error| refused(pid, &error))?;
    if maps.is_empty() {
        bail!("process {pid} has no memory: it is a kernel thread, or has just ended");
    }
    let memory = fs::File::open(directory.join("mem")).map_err(|error| refused(pid, &error))?;
    let memory = Memory { file: memory };
    // Opening the file does not mean that it can be read.
    memory.bytes(maps[0].start, 1).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => refused(pid, &error),
        _ => anyhow!("process {pid} has ended, or its memory cannot be read: {error}"),
    })?;
    let program = fs::read_link(directory.join("exe")).unwrap_or_default();
    let process = Process {
        format: FORMAT,
        pid,
        program: printable(&program.to_string_lossy()),
        mode: Mode::Generic.as_str(),
        writer: Writer::None.as_str(),
        keys: Vec::new(),
        images: Vec::new(),
        sites: 0,
        direct: 0,
        branch_keys: Vec::new(),
        branches: 0,
        patched_branches: 0,
        indirect: Vec::new(),
        calls: Vec::new(),
        unknown: Vec::new(),
        all_direct: false,
        not_direct_because: Vec::new(),
    };
    let files = loaded_files(&maps, &budget);
    let mut inspection = Inspection {
        process,
        memory,
        directory: &directory,
        budget: &budget,
        keys: HashMap::new(),
        branch_keys: HashMap::new(),
        files: HashSet::new(),
        targets: Vec::new(),
        with_calls,
    };
    for file in &files {
        inspection.file(file);
    }
    inspection.name_targets(&files);
    let mut process = inspection.process;
    if process.mode != Mode::Generic.as_str() {
        process.writer = writer(&directory, &maps);
    }
    if let Some(why) = budget.ended() {
        process.unknown.push(format!("the files after that point: {why}"));
    }
    judge(&mut process);
    Ok(process)
}

/// Why a process cannot be read, and what to do.
fn refused(pid: u32, error: &std::io::Error) -> anyhow::Error {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let user = |path: &Path| fs::metadata(path).map(|data| data.uid()).ok();
    if matches!(error.kind(), ErrorKind::NotFound) || error.raw_os_error() == Some(libc::ESRCH) {
        return anyhow!("there is no process {pid} (or /proc hides it from this user)");
    }
    let (own, theirs) = (user(Path::new("/proc/self")), user(&directory));
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
    let scope = scope.as_deref().map_or("", str::trim);
    let why = match (own, theirs) {
        (Some(own), Some(theirs)) if own != theirs => format!(
            "it runs as user {theirs} and the inspector as user {own}: reading another user's process takes \
             root or CAP_SYS_PTRACE; try `sudo static-call-inspect --pid {pid}`"
        ),
        _ if !matches!(scope, "" | "0") => format!(
            "kernel.yama.ptrace_scope is {scope}, so a process can read only its descendants; run the \
             inspector as root, or have root run `sysctl kernel.yama.ptrace_scope=0`"
        ),
        _ => "it changed its user, was started from an unreadable file or cleared PR_SET_DUMPABLE, or a \
              container or security module forbids it; reading it takes CAP_SYS_PTRACE, so run the inspector \
              as root, outside of the container"
            .into(),
    };
    anyhow!("process {pid} cannot be read ({error}): {why}")
}

/// A line of `/proc/N/maps`.
#[derive(Clone, Debug)]
struct Map {
    start: u64,
    end: u64,
    is_executable: bool,
    offset: u64,
    path: String,
    /// Whether this is code of the file that the runtime has replaced by memory of its own, which it writes
    /// through an alias.
    is_replaced: bool,
}

/// The runtime's own memory, in `/proc/N/maps`.
const ALIASED: &str = "/memfd:static-call (deleted)";

impl Map {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let access = words.next()?;
        let offset = words.next()?;
        let path = words.nth(2).unwrap_or_default().trim_start();
        Some(Self {
            start: number(start)?,
            end: number(end)?,
            is_executable: access.contains('x'),
            offset: number(offset)?,
            path: path.to_owned(),
            is_replaced: false,
        })
    }
}

/// The mappings of the process, as far as the budget allows.
fn read_maps(directory: &Path, budget: &Budget) -> std::io::Result<Vec<Map>> {
    let mut maps = Vec::new();
    let mut lines = BufReader::new(fs::File::open(directory.join("maps"))?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 && budget.steps(line.len()) {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
        if let Some(map) = Map::parse(&text)
            && budget.item::<Map>(&[&map.path])
        {
            maps.push(map);
        }
        line.clear();
    }
    name_replaced(&mut maps);
    Ok(maps)
}

/// Replaced code belongs to the file before it in memory, of which at least the headers are mapped.
fn name_replaced(maps: &mut [Map]) {
    let mut before = String::new();
    for map in maps {
        if map.path == ALIASED && map.is_executable {
            map.path.clone_from(&before);
            map.is_replaced = true;
        } else if map.path.starts_with('/') && map.path != ALIASED {
            before.clone_from(&map.path);
        }
    }
}

struct Memory {
    file: fs::File,
}

impl Memory {
    fn bytes(&self, address: u64, len: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, address)?;
        Ok(bytes)
    }

    /// Whether the code at an address of the file has changed in memory.
    fn differs(&self, elf: &Elf<'_>, base: u64, address: u64) -> bool {
        const WORD: usize = 8;
        let linked = elf.read(address, WORD as u64);
        linked.is_some_and(|linked| {
            self.bytes(base.wrapping_add(address), WORD).is_ok_and(|bytes| bytes != linked)
        })
    }
}

/// Stands for the name of a key's target until all files are known.
const TARGET: &str = "\0";

/// The steps that opening a file costs.
const FILE: usize = 2000;

/// A file whose code the process has mapped.
struct LoadedFile<'a> {
    /// Its first executable mapping; or its first one, if all of its code was replaced.
    map: &'a Map,
    /// All of its mappings.
    maps: Vec<(u64, u64)>,
    has_code: bool,
}

/// The files whose code the process has mapped, by address.
fn loaded_files<'a>(maps: &'a [Map], budget: &Budget) -> Vec<LoadedFile<'a>> {
    let mut files: Vec<LoadedFile<'a>> = Vec::new();
    let mut known = HashMap::new();
    for map in maps.iter().filter(|map| map.path.starts_with('/')) {
        if !budget.item::<(u64, u64)>(&[]) {
            break;
        }
        let number = *known.entry(&*map.path).or_insert_with(|| {
            files.push(LoadedFile { map, maps: Vec::new(), has_code: false });
            files.len() - 1
        });
        let file = &mut files[number];
        file.maps.push((map.start, map.end));
        file.has_code |= map.is_executable;
        if map.is_executable && !map.is_replaced && !file.map.is_executable {
            file.map = map;
        }
    }
    files.retain(|file| file.has_code);
    files
}

impl LoadedFile<'_> {
    fn contains(&self, address: u64) -> bool {
        self.maps.iter().any(|&(start, end)| (start..end).contains(&address))
    }

    /// Opens the mapped file itself if that is permitted, or else the file that has its name now.
    fn open(&self, directory: &Path) -> Option<Mapped> {
        let exact = directory.join(format!("map_files/{:x}-{:x}", self.map.start, self.map.end));
        let is_program =
            fs::read_link(directory.join("exe")).is_ok_and(|exe| exe.as_os_str() == &*self.map.path);
        let program = is_program.then(|| directory.join("exe"));
        let by_name = directory.join("root").join(self.map.path.trim_start_matches('/'));
        [Some(exact), program, Some(by_name)].into_iter().flatten().find_map(|path| Mapped::open(&path).ok())
    }

    /// The difference between addresses in memory and in the file. None: the file has no such code.
    fn base(&self, elf: &Elf<'_>) -> Option<u64> {
        let map = self.map;
        let code = elf.segments.iter().find(|segment| {
            let end = segment.offset.saturating_add(segment.data.len() as u64);
            segment.is_executable == map.is_executable
                && map.offset < end
                && segment.offset < map.offset.saturating_add(map.end - map.start)
        })?;
        Some(map.start.wrapping_add(code.offset).wrapping_sub(map.offset).wrapping_sub(code.address))
    }
}

/// An inspection in progress. Files are read one after the other, and none is kept open.
struct Inspection<'a> {
    process: Process,
    memory: Memory,
    directory: &'a Path,
    budget: &'a Budget,
    /// The keys by their addresses in memory, as indices into `process.keys`.
    keys: HashMap<u64, usize>,
    /// The same of `process.branch_keys`.
    branch_keys: HashMap<u64, usize>,
    /// The device and inode numbers of the files opened so far.
    files: HashSet<(u64, u64)>,
    /// The indices of keys and their targets' addresses, which are named once all files are known.
    targets: Vec<(usize, u64)>,
    /// Whether each call and its source is wanted.
    with_calls: bool,
}

impl Inspection<'_> {
    fn unknown(&mut self, file: &LoadedFile<'_>, what: &str) {
        let path = printable(&file.map.path);
        // There may be as many messages as mappings.
        if self.budget.bytes(4 * path.len()) {
            self.process.unknown.push(format!("{path}: {what}"));
        }
    }

    fn file(&mut self, file: &LoadedFile<'_>) {
        if !self.budget.steps(FILE) {
            return;
        }
        let Some(data) = file.open(self.directory) else {
            self.unknown(file, "the file is gone or cannot be read");
            return;
        };
        if self.files.insert(data.number()) {
            self.budget.add_file(data.len());
        }
        let Ok(elf) = Elf::parse(&data, self.budget) else { return };
        let Some(base) = file.base(&elf) else { return };
        // A file that replaced the loaded one has another build ID, which is near its start.
        let Some(first) = elf.segments.first() else { return };
        let len = first.data.len().min(4096);
        let is_same = first.is_writable
            || self
                .memory
                .bytes(base.wrapping_add(first.address), len)
                .is_ok_and(|bytes| bytes == first.data[..len]);
        if !is_same {
            self.unknown(
                file,
                "the file was replaced since it was loaded; restart the process to inspect it",
            );
            return;
        }
        self.image(file, &elf, base);
        if !data.is_unchanged() {
            self.unknown(file, "the file changed while it was read; try again");
        }
    }

    fn image(&mut self, file: &LoadedFile<'_>, elf: &Elf<'_>, base: u64) {
        let is_little = object::Endian::is_little_endian(elf.endian());
        let decoder = Decoder::of(elf.machine, elf.pointer as u32 * 8, is_little);
        let mut tables = read_tables(elf, decoder, self.budget);
        tables.tell_names_apart(|_| None);
        for key in &tables.keys {
            if let Some(address) = key.address {
                self.key(elf, base.wrapping_add(address), &key.name);
            }
        }
        let Some(places) = &tables.places else { return };
        let layout = Layout { pointer: elf.pointer };
        let mut keys = Vec::new();
        let mut is_jumping = false;
        let mut patched_trampolines = 0;
        for record in &tables.records {
            let at = base.wrapping_add(record.address);
            let address = self.number(elf, at, elf.pointer).filter(|&address| address != 0);
            keys.push(address.and_then(|address| self.key(elf, address, &tables.keys[record.key].name)));
            let saved = self.number(elf, at.wrapping_add(layout.record_saved()), 8);
            is_jumping |= saved.is_some_and(|saved| saved != 0);
            let is_patched = self.memory.differs(elf, base, record.trampoline);
            patched_trampolines += usize::from(is_patched);
            if let Some(&Some(key)) = keys.last() {
                let key = &mut self.process.keys[key];
                key.trampolines += 1;
                key.patched_trampolines += usize::from(is_patched);
            }
        }
        // A descriptor of another version has unknown fields.
        let descriptor = places.descriptor.map(|descriptor| base.wrapping_add(descriptor));
        let descriptor = descriptor.filter(|&at| self.number(elf, at, 4) == Some(VERSION.into()));
        let field = |at: u64, offset| Some(self.number(elf, at.wrapping_add(offset), 4)? as u32);
        let state = descriptor.and_then(|at| ImageState::from_u32(field(at, 4)?));
        let why = descriptor.and_then(|at| reason(field(at, layout.image_reason())?));
        let mut live = LiveImage {
            file: printable(&file.map.path),
            base,
            state: state.map_or("unknown", ImageState::as_str),
            reason: why.map(str::to_owned),
            keys: tables.records.len(),
            sites: tables.sites.len(),
            direct: 0,
            branches: 0,
            patched_branches: 0,
            patched_trampolines,
        };
        for site in &tables.sites {
            let at = base.wrapping_add(site.address);
            let trampoline = site.record.map(|record| base.wrapping_add(tables.records[record].trampoline));
            let is_direct = site.stays != Some(Stays::Veneer) && self.is_direct(decoder, at, trampoline);
            let key = site.record.and_then(|record| *keys.get(record)?);
            if let Some(key) = key {
                self.process.keys[key].sites += 1;
                self.process.keys[key].direct += usize::from(is_direct);
            }
            live.direct += usize::from(is_direct);
            if !is_direct {
                let function = elf.function(site.address).map(|symbol| demangle(symbol.name));
                let key = key.map(|key| self.process.keys[key].name.clone());
                let texts = [&function, &key].map(|text| text.as_deref().unwrap_or_default());
                if !self.budget.item::<[Place; 2]>(&[texts, texts].concat()) {
                    break;
                }
                self.process.indirect.push(Place { address: at, key, function, ..Place::default() });
            }
        }
        self.branches(elf, &tables, decoder, base, &mut live);
        if let Some(decoder) = decoder.filter(|_| self.with_calls) {
            self.calls(file, elf, &tables, &keys, decoder, base);
        }
        self.process.sites += live.sites;
        self.process.direct += live.direct;
        if state == Some(ImageState::Patched) {
            // Without sites, only trampolines can be patched, which may not have happened yet.
            let has_sites = !tables.sites.is_empty() || !tables.branches.branches.is_empty();
            let is_inline = has_sites && (live.direct + live.patched_branches > 0 || !is_jumping);
            let mode = if is_inline { Mode::Inline } else { Mode::Trampoline };
            if self.process.mode != Mode::Inline.as_str() {
                self.process.mode = mode.as_str();
            }
        }
        self.process.images.push(live);
    }

    /// Lists each recorded call of a file with its source.
    fn calls(
        &mut self,
        file: &LoadedFile<'_>,
        elf: &Elf<'_>,
        tables: &Tables,
        keys: &[Option<usize>],
        decoder: &Decoder,
        base: u64,
    ) {
        let places = tables.sites.iter().map(|site| site.address).collect();
        let questions = Questions { places, ..Questions::default() };
        let answers = debug::ask(Path::new(&file.map.path), elf, questions, self.budget);
        let compilers = compilers::of(elf, self.budget);
        let names = Names { elf, answers: answers.as_ref(), compilers: &compilers, budget: self.budget };
        for site in &tables.sites {
            let number = site.record.and_then(|record| *keys.get(record)?);
            let name = number.map(|number| self.process.keys[number].name.clone());
            let key = name.as_deref();
            let at = base.wrapping_add(site.address);
            // The length of an instruction does not change.
            let len = site.after.map(|after| after.bytes().len());
            let bytes = len.and_then(|len| self.memory.bytes(at, len).ok());
            let now = bytes.and_then(|bytes| {
                let (kind, action) = decoder.decode(at, &bytes)?;
                let trampoline = site.record.map(|record| tables.records[record].trampoline);
                let trampoline = trampoline.map(|trampoline| base.wrapping_add(trampoline));
                let target = |target: u64| match number.map(|number| self.process.keys[number].target_address)
                {
                    _ if Some(target) == trampoline => format!("the trampoline of {}", key.unwrap_or("?")),
                    Some(Some(current)) if current == target => TARGET.into(),
                    _ => format!("{target:#x}"),
                };
                Some(code(Some(kind), &bytes, action, target))
            });
            let [before, _] = names.codes(site, key);
            let Some(mut place) = names.place(site.address) else { break };
            place.address = at;
            if !self.budget.item::<[LiveCall; 2]>(&[]) {
                break;
            }
            let kind = site.kind.map(kind_name);
            self.process.calls.push(LiveCall { key_number: number, kind, before, now, place });
        }
    }

    fn is_direct(&self, decoder: Option<&Decoder>, at: u64, trampoline: Option<u64>) -> bool {
        let (Some(decoder), Some(trampoline)) = (decoder, trampoline) else { return false };
        if !self.budget.steps(1000) {
            return false;
        }
        // The longest instruction has 8 bytes, but the segment may end earlier.
        let bytes = (4..=8).rev().step_by(2).find_map(|len| self.memory.bytes(at, len).ok());
        let decoded = decoder.decode(at, &bytes.unwrap_or_default());
        decoded.is_some_and(|(_, action)| action != Action::Branch(trampoline))
    }

    /// Reads the keys and the branches of a file.
    fn branches(
        &mut self,
        elf: &Elf<'_>,
        tables: &Tables,
        decoder: Option<&Decoder>,
        base: u64,
        live: &mut LiveImage,
    ) {
        let Branches { keys, records, branches, .. } = &tables.branches;
        let mut numbers: Vec<Option<usize>> = Vec::new();
        for key in keys {
            let address = key.address.map(|address| base.wrapping_add(address));
            numbers.push(address.and_then(|address| self.branch_key(elf, address, key)));
        }
        // Which key another file defines, only the memory says.
        for &(record, key) in records {
            let address = self.number(elf, base.wrapping_add(record), elf.pointer);
            if let Some(address) = address.filter(|&address| address != 0) {
                numbers[key] = self.branch_key(elf, address, &keys[key]);
            }
        }
        for branch in branches {
            let at = base.wrapping_add(branch.address);
            let check = branch.check.map(|check| base.wrapping_add(check));
            let is_patched = self.is_direct(decoder, at, check);
            live.branches += 1;
            live.patched_branches += usize::from(is_patched);
            if let Some(key) = numbers[branch.key] {
                let key = &mut self.process.branch_keys[key];
                key.branches += 1;
                key.patched_branches += usize::from(is_patched);
            }
        }
        self.process.branches += live.branches;
        self.process.patched_branches += live.patched_branches;
    }

    /// Adds the key of branches at an address unless it is known. None: the memory budget is used up.
    fn branch_key(&mut self, elf: &Elf<'_>, address: u64, key: &BranchKey) -> Option<usize> {
        if let Some(&number) = self.branch_keys.get(&address) {
            return Some(number);
        }
        if !self.budget.item::<[LiveBranchKey; 4]>(&[&key.name, &key.name]) {
            return None;
        }
        let form = address.wrapping_add(Layout { pointer: elf.pointer }.key_form());
        let form = self.number(elf, form, 4).map(|form| form as u32);
        let (is_on, count) = if key.is_hook {
            (form.and_then(Form::of_word).map(|form| !form.is_none()), None)
        } else {
            let count = self.number(elf, address, elf.pointer);
            (count.map(|count| count != 0), count)
        };
        let number = self.process.branch_keys.len();
        self.process.branch_keys.push(LiveBranchKey {
            name: key.name.clone(),
            address,
            is_on,
            count,
            stores: form.map(stores),
            branches: 0,
            patched_branches: 0,
        });
        self.branch_keys.insert(address, number);
        Some(number)
    }

    /// Adds the key at an address unless it is known. None: the memory budget is used up.
    fn key(&mut self, elf: &Elf<'_>, address: u64, name: &str) -> Option<usize> {
        if let Some(&number) = self.keys.get(&address) {
            return Some(number);
        }
        if !self.budget.item::<[LiveKey; 4]>(&[name, name]) {
            return None;
        }
        let layout = Layout { pointer: elf.pointer };
        let target = self.number(elf, address, elf.pointer);
        let word = self.number(elf, address.wrapping_add(layout.key_form()), 4).map(|word| word as u32);
        let form = word.and_then(Form::of_word);
        let number = self.process.keys.len();
        let known = match form {
            Some(Form::Nop | Form::OffCall) => Some("off"),
            Some(Form::Zero) => Some("returns zero"),
            _ => None,
        };
        if let (None, Some(target)) = (known, target) {
            self.targets.push((number, target));
        }
        self.process.keys.push(LiveKey {
            name: name.to_owned(),
            address,
            target: known.map(str::to_owned),
            target_address: target,
            target_file: None,
            stores: word.map(stores),
            sites: 0,
            direct: 0,
            trampolines: 0,
            patched_trampolines: 0,
        });
        self.keys.insert(address, number);
        Some(number)
    }

    /// Names the targets of the keys, file by file.
    fn name_targets(&mut self, files: &[LoadedFile<'_>]) {
        let mut targets = std::mem::take(&mut self.targets);
        for file in files {
            let own: Vec<_> = targets.extract_if(.., |(_, target)| file.contains(*target)).collect();
            if own.is_empty() || !self.budget.steps(FILE + own.len()) {
                continue;
            }
            let data = file.open(self.directory);
            let elf = data.as_ref().and_then(|data| Elf::parse(data, self.budget).ok());
            let loaded = elf.as_ref().and_then(|elf| Some((elf, file.base(elf)?)));
            for (key, target) in own {
                let key = &mut self.process.keys[key];
                key.target_file = Some(printable(&file.map.path));
                key.target = Some(match loaded {
                    Some((elf, base)) => function(elf, target.wrapping_sub(base)),
                    None => format!("{target:#x}"),
                });
            }
        }
        for (key, target) in targets {
            self.process.keys[key].target = Some(format!("{target:#x}"));
        }
        for call in &mut self.process.calls {
            let key = call.key_number.map(|number| &self.process.keys[number]);
            if let (Some(target), Some(now)) = (key.and_then(|key| key.target.as_ref()), &mut call.now) {
                now.does = now.does.replace(TARGET, target);
            }
        }
    }

    fn number(&self, elf: &Elf<'_>, address: u64, len: u64) -> Option<u64> {
        if !self.budget.steps(100) {
            return None;
        }
        Some(elf.number(&self.memory.bytes(address, len as usize).ok()?))
    }
}

/// How often a key was stored, which its form's word counts.
fn stores(form: u32) -> u32 {
    (form & !POINTER) >> Form::BITS
}

/// The name of the function at an address of a file.
fn function(elf: &Elf<'_>, address: u64) -> String {
    match elf.function(address) {
        Some(symbol) if symbol.address == address => demangle(symbol.name),
        Some(symbol) if symbol.size > 0 => {
            format!("{}+{:#x}", demangle(symbol.name), address - symbol.address)
        }
        _ => format!("{address:#x}"),
    }
}

/// The writers that cannot be distinguished from outside the process.
const WINDOW_OR_CUSTOM: &str = "window or custom";

/// The writer, as far as it is visible: an alias is mapped, and breakpoints need a handler for SIGTRAP.
fn writer(directory: &Path, maps: &[Map]) -> &'static str {
    if maps.iter().any(|map| map.path == ALIASED && !map.is_executable) {
        return Writer::Alias.as_str();
    }
    let status = fs::read_to_string(directory.join("status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    if caught & 1 << (libc::SIGTRAP - 1) != 0 { Writer::Breakpoint.as_str() } else { WINDOW_OR_CUSTOM }
}

fn judge(process: &mut Process) {
    if process.images.is_empty() {
        let reason = "no loaded file has static calls that were compiled with the pass";
        process.not_direct_because.push(reason.into());
    }
    for image in process.images.iter().filter(|image| image.direct < image.sites) {
        let LiveImage { file, sites, direct, state, reason, .. } = image;
        let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let left = sites - direct;
        process
            .not_direct_because
            .push(format!("{file}: {left} of {sites} calls go through their trampolines ({state}){reason}"));
    }
    for image in process.images.iter().filter(|image| image.patched_branches < image.branches) {
        let LiveImage { file, branches, patched_branches, state, reason, .. } = image;
        let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let left = branches - patched_branches;
        process
            .not_direct_because
            .push(format!("{file}: {left} of {branches} branches look at their keys ({state}){reason}"));
    }
    for image in process.images.iter().filter(|image| image.sites == 0 && image.keys > 0) {
        let LiveImage { file, keys, patched_trampolines: patched, reason, .. } = image;
        let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let keys = counted(*keys, "key");
        process.not_direct_because.push(format!(
            "{file}: no call is recorded; those of {keys} go through trampolines (patched: {patched}; \
             the others read the key){reason}"
        ));
    }
    let lost = process.unknown.iter();
    process.not_direct_because.extend(lost.map(|lost| format!("not inspected: {lost}")));
    process.all_direct = process.not_direct_because.is_empty();
    if process.mode != Mode::Generic.as_str() && process.writer == WINDOW_OR_CUSTOM {
        process.unknown.push("whether the writer is the program's own".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged([sites, direct]: [usize; 2], [branches, patched_branches]: [usize; 2]) -> Process {
        let state = "patched";
        let image = LiveImage {
            file: "program".into(),
            base: 0,
            state,
            reason: None,
            keys: 2,
            sites,
            direct,
            branches,
            patched_branches,
            patched_trampolines: 1,
        };
        let mut process = Process {
            format: FORMAT,
            pid: 1,
            program: "program".into(),
            mode: Mode::Trampoline.as_str(),
            writer: WINDOW_OR_CUSTOM,
            keys: Vec::new(),
            images: vec![image],
            sites,
            direct,
            branch_keys: Vec::new(),
            branches,
            patched_branches,
            indirect: Vec::new(),
            calls: Vec::new(),
            unknown: Vec::new(),
            all_direct: false,
            not_direct_because: Vec::new(),
        };
        judge(&mut process);
        process
    }

    #[test]
    fn calls_through_trampolines_are_not_direct() {
        assert!(judged([3, 3], [0, 0]).all_direct);
        let because = |sites, direct| judged([sites, direct], [0, 0]).not_direct_because.join("; ");
        assert_eq!(because(3, 1), "program: 2 of 3 calls go through their trampolines (patched)");
        // Calls that were compiled without the pass are not recorded.
        let expected = "program: no call is recorded; those of 2 keys go through trampolines (patched: 1; \
                        the others read the key)";
        assert_eq!(because(0, 0), expected);
    }

    #[test]
    fn branches_that_look_at_their_keys_are_not_patched() {
        assert!(judged([3, 3], [2, 2]).all_direct);
        let because = judged([3, 3], [3, 1]).not_direct_because.join("; ");
        assert_eq!(because, "program: 2 of 3 branches look at their keys (patched)");
    }
}
