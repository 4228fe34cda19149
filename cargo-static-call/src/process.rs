//! A running process: its memory through `/proc`, held against the files that it has loaded.
//!
//! It runs on meanwhile: what is said of two keys need not have been true at the same instant. Nothing is written, and
//! nothing is stopped.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use static_call::inspect::{Action, Decoder, State, reason};
use static_call_abi::Form;

use crate::elf::Elf;
use crate::name::{demangle, printable};
use crate::report::{FORMAT, Place};
use crate::tables::{Layout, Tables};

/// A process.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// [`FORMAT`].
    pub format: u32,
    /// Its number.
    pub pid: u32,
    /// Its program's path.
    pub program: String,
    /// "inline", "trampoline" or "generic": the best that some image runs in.
    pub mode: &'static str,
    /// "window", "breakpoint", "none", or "window or custom": as far as it can be seen from outside.
    pub writer: &'static str,
    /// The keys of all images.
    pub keys: Vec<LiveKey>,
    /// The files with static calls.
    pub images: Vec<LiveImage>,
    /// How many calls are recorded.
    pub sites: usize,
    /// How many of them are direct, or became a nop.
    pub direct: usize,
    /// The others; addresses are those in the process.
    pub indirect: Vec<Place>,
    /// What could not be found out.
    pub unknown: Vec<String>,
    /// Whether `--require-all-direct` is content.
    pub all_direct: bool,
    /// Why it is not.
    pub not_direct_because: Vec<String>,
}

/// A key in memory.
#[derive(Clone, Debug, Serialize)]
pub struct LiveKey {
    /// For people: the path of its declaration.
    pub name: String,
    /// Its address.
    pub address: u64,
    /// The name of what it calls now; "off", or "returns zero".
    pub target: Option<String>,
    /// Its address.
    pub target_address: Option<u64>,
    /// The file that this lies in.
    pub target_file: Option<String>,
    /// Its recorded calls, in all images.
    pub sites: usize,
    /// Those that are direct, or became a nop.
    pub direct: usize,
}

/// A file with static calls in memory.
#[derive(Clone, Debug, Serialize)]
pub struct LiveImage {
    /// Its path.
    pub file: String,
    /// How far it was moved.
    pub base: u64,
    /// "patched", "registered" (its calls go through trampolines), "unregistered", or "unknown".
    pub state: &'static str,
    /// Why it is not patched.
    pub reason: Option<String>,
    /// How many keys it calls.
    pub keys: usize,
    /// Recorded calls.
    pub sites: usize,
    /// Those that are direct, or became a nop.
    pub direct: usize,
}

/// Reads a process.
///
/// # Errors
///
/// If there is none of this number, or its memory may not be read.
pub fn read(pid: u32) -> Result<Process> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    if !Path::new("/proc/self").exists() {
        bail!("/proc is not mounted, through which processes are read");
    }
    let maps = fs::read_to_string(directory.join("maps")).map_err(|error| refused(pid, &error))?;
    let maps: Vec<Map> = maps.lines().filter_map(Map::parse).collect();
    if maps.is_empty() {
        bail!("process {pid} has no memory: it is one of the kernel's own, or has just ended");
    }
    let memory = fs::File::open(directory.join("mem")).map_err(|error| refused(pid, &error))?;
    let memory = Memory { file: memory };
    // Also a process that may be looked at may refuse to be read.
    memory.bytes(maps[0].start, 1).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => refused(pid, &error),
        _ => anyhow!("process {pid} has ended, or its memory cannot be read: {error}"),
    })?;
    let program = fs::read_link(directory.join("exe")).unwrap_or_default();
    let mut process = Process {
        format: FORMAT,
        pid,
        program: printable(&program.to_string_lossy()),
        mode: "generic",
        writer: "none",
        keys: Vec::new(),
        images: Vec::new(),
        sites: 0,
        direct: 0,
        indirect: Vec::new(),
        unknown: Vec::new(),
        all_direct: false,
        not_direct_because: Vec::new(),
    };
    let files = loaded_files(&directory, &maps, &mut process.unknown);
    let parsed =
        files.iter().filter_map(|file| Loaded::new(file, &memory, &mut process.unknown)).collect::<Vec<_>>();
    let mut look = Look { process, memory, parsed: &parsed, keys: HashMap::new() };
    for image in &parsed {
        look.image(image);
    }
    let mut process = look.finish();
    if process.mode != "generic" {
        process.writer = writer(&directory);
    }
    process.judge();
    Ok(process)
}

/// Why a process may not be read, and what would help.
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
            "it runs as user {theirs} and this as user {own}: only root, or who has CAP_SYS_PTRACE, may read another \
             user's processes; try `sudo static-call-inspect --pid {pid}`"
        ),
        _ if !matches!(scope, "" | "0") => format!(
            "kernel.yama.ptrace_scope is {scope}, which lets no process read one that it did not start; run this as \
             root, or have root run `sysctl kernel.yama.ptrace_scope=0`"
        ),
        _ => "it has changed its user, was started from a file that may not be read, or has switched PR_SET_DUMPABLE \
              off, or a container or security module forbids it: CAP_SYS_PTRACE is missing; run this as root, \
              outside the container"
            .into(),
    };
    anyhow!("process {pid} may not be read ({error}): {why}")
}

/// A line of `/proc/N/maps`.
#[derive(Clone, Debug)]
struct Map {
    start: u64,
    end: u64,
    is_executable: bool,
    offset: u64,
    path: String,
}

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
        })
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
}

/// A file that is loaded, with its code at `map`.
struct LoadedFile {
    map: Map,
    maps: Vec<(u64, u64)>,
    data: Vec<u8>,
}

/// The largest file that is looked at. Programs are far smaller.
const LARGEST: u64 = 4 << 30;

/// Reads a file that somebody else may change meanwhile, so that it is not mapped.
///
/// # Errors
///
/// If it is no ordinary file, or cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    // Not to wait for whoever writes into a pipe.
    let data = fs::metadata(path).context("cannot be read")?;
    if !data.is_file() {
        bail!("is no ordinary file");
    }
    if data.len() > LARGEST {
        bail!("is larger than {} GiB: no program is", LARGEST >> 30);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(data.len() as usize).context("is too large for this machine's memory")?;
    let file = fs::File::open(path).context("cannot be read")?;
    file.take(LARGEST).read_to_end(&mut bytes).context("cannot be read")?;
    Ok(bytes)
}

/// The files that the process runs code of.
fn loaded_files(directory: &Path, maps: &[Map], unknown: &mut Vec<String>) -> Vec<LoadedFile> {
    let mut files: Vec<LoadedFile> = Vec::new();
    for map in maps.iter().filter(|map| map.is_executable && map.path.starts_with('/')) {
        if files.iter().any(|file| file.map.path == map.path) {
            continue;
        }
        let exact = directory.join(format!("map_files/{:x}-{:x}", map.start, map.end));
        let by_name = directory.join("root").join(map.path.trim_start_matches('/'));
        let is_program = fs::read_link(directory.join("exe")).is_ok_and(|exe| exe.as_os_str() == &*map.path);
        let program = is_program.then(|| directory.join("exe"));
        let found = [Some(exact), program, Some(by_name)]
            .into_iter()
            .flatten()
            .find_map(|path| read_file(&path).ok());
        match found {
            Some(data) => {
                let maps = maps.iter().filter(|other| other.path == map.path);
                let maps = maps.map(|map| (map.start, map.end)).collect();
                files.push(LoadedFile { map: map.clone(), maps, data });
            }
            None => unknown.push(format!("{}: the file is gone, or cannot be read", printable(&map.path))),
        }
    }
    files
}

struct Loaded<'a> {
    file: &'a LoadedFile,
    elf: Elf<'a>,
    /// What is to be added to the file's addresses.
    base: u64,
}

impl<'a> Loaded<'a> {
    fn new(file: &'a LoadedFile, memory: &Memory, unknown: &mut Vec<String>) -> Option<Self> {
        let elf = Elf::parse(&file.data).ok()?;
        let code = elf.segments.iter().find(|segment| {
            let end = segment.offset.saturating_add(segment.data.len() as u64);
            segment.is_executable
                && file.map.offset < end
                && segment.offset < file.map.offset.saturating_add(file.map.end - file.map.start)
        })?;
        let base =
            file.map.start.wrapping_add(code.offset).wrapping_sub(file.map.offset).wrapping_sub(code.address);
        // A file that was replaced has another build ID, which lies near its start.
        let first = elf.segments.first()?;
        let len = first.data.len().min(4096);
        let is_same = first.is_writable
            || memory
                .bytes(base.wrapping_add(first.address), len)
                .is_ok_and(|bytes| bytes == first.data[..len]);
        if !is_same {
            unknown.push(format!(
                "{}: the file was replaced since it was loaded; restart the process to inspect it",
                printable(&file.map.path)
            ));
            return None;
        }
        Some(Self { file, elf, base })
    }

    fn contains(&self, address: u64) -> bool {
        self.file.maps.iter().any(|&(start, end)| (start..end).contains(&address))
    }
}

/// What was seen so far.
struct Look<'a> {
    process: Process,
    memory: Memory,
    parsed: &'a [Loaded<'a>],
    /// The keys by their addresses in the process, as numbers in `process.keys`.
    keys: HashMap<u64, usize>,
}

impl Look<'_> {
    fn image(&mut self, image: &Loaded<'_>) {
        let elf = &image.elf;
        let is_little = object::Endian::is_little_endian(elf.endian());
        let decoder = Decoder::of(elf.machine, elf.pointer as u32 * 8, is_little);
        let tables = Tables::read(elf, decoder);
        for key in &tables.keys {
            if let Some(address) = key.address {
                self.key(elf, image.base.wrapping_add(address), &key.name);
            }
        }
        let Some(places) = &tables.places else { return };
        let layout = Layout { pointer: elf.pointer };
        let mut keys = Vec::new();
        let mut is_jumping = false;
        for record in &tables.records {
            let at = image.base.wrapping_add(record.address);
            let address = self.number(elf, at, elf.pointer).filter(|&address| address != 0);
            keys.push(address.map(|address| self.key(elf, address, &tables.keys[record.key].name)));
            let saved = self.number(elf, at.wrapping_add(layout.record_saved()), 8);
            is_jumping |= saved.is_some_and(|saved| saved != 0);
        }
        let descriptor = places.descriptor.map(|descriptor| image.base.wrapping_add(descriptor));
        let state =
            descriptor.and_then(|at| State::from_u32(self.number(elf, at.wrapping_add(4), 4)? as u32));
        let why = descriptor
            .and_then(|at| reason(self.number(elf, at.wrapping_add(layout.image_reason()), 4)? as u32));
        let mut live = LiveImage {
            file: printable(&image.file.map.path),
            base: image.base,
            state: match state {
                Some(State::Patched) => "patched",
                Some(State::Registered) => "registered",
                Some(State::Unregistered) => "unregistered",
                None => "unknown",
            },
            reason: why.map(str::to_owned),
            keys: tables.records.len(),
            sites: tables.sites.len(),
            direct: 0,
        };
        for site in &tables.sites {
            let at = image.base.wrapping_add(site.address);
            let trampoline =
                site.record.map(|record| image.base.wrapping_add(tables.records[record].trampoline));
            let is_direct = !site.is_behind_veneer && self.is_direct(decoder, at, trampoline);
            let key = site.record.and_then(|record| keys[record]);
            if let Some(key) = key {
                self.process.keys[key].sites += 1;
                self.process.keys[key].direct += usize::from(is_direct);
            }
            live.direct += usize::from(is_direct);
            if !is_direct {
                let function = elf.function(site.address).map(|symbol| demangle(symbol.name));
                let key = key.map(|key| self.process.keys[key].name.clone());
                self.process.indirect.push(Place { address: at, key, function, ..Place::default() });
            }
        }
        self.process.sites += live.sites;
        self.process.direct += live.direct;
        if state == Some(State::Patched) {
            self.process.mode = match self.process.mode {
                _ if !is_jumping => "inline",
                "inline" => "inline",
                _ => "trampoline",
            };
        }
        self.process.images.push(live);
    }

    fn is_direct(&self, decoder: Option<&Decoder>, at: u64, trampoline: Option<u64>) -> bool {
        let (Some(decoder), Some(trampoline)) = (decoder, trampoline) else { return false };
        // The longest instruction; the segment may end before that.
        let bytes = (4..=8).rev().step_by(2).find_map(|len| self.memory.bytes(at, len).ok());
        let decoded = decoder.decode(at, &bytes.unwrap_or_default());
        decoded.is_some_and(|(_, action)| action != Action::Go(trampoline))
    }

    /// Looks at the key at an address, once.
    fn key(&mut self, elf: &Elf<'_>, address: u64, name: &str) -> usize {
        if let Some(&number) = self.keys.get(&address) {
            return number;
        }
        let layout = Layout { pointer: elf.pointer };
        let target = self.number(elf, address, elf.pointer);
        let form = self.number(elf, address.wrapping_add(layout.key_form()), 4);
        let form = form.and_then(|form| Form::from_u32(form as u32 & 3));
        let number = self.process.keys.len();
        let (name_of_target, file) = match (form, target) {
            (Some(Form::Nop | Form::OffCall), _) => (Some("off".into()), None),
            (Some(Form::Zero), _) => (Some("returns zero".into()), None),
            (_, Some(target)) => self.function(target),
            (_, None) => (None, None),
        };
        self.process.keys.push(LiveKey {
            name: name.to_owned(),
            address,
            target: name_of_target,
            target_address: target,
            target_file: file,
            sites: 0,
            direct: 0,
        });
        self.keys.insert(address, number);
        number
    }

    /// A function's name and file.
    fn function(&self, address: u64) -> (Option<String>, Option<String>) {
        let Some(loaded) = self.parsed.iter().find(|loaded| loaded.contains(address)) else {
            return (Some(format!("{address:#x}")), None);
        };
        let there = address.wrapping_sub(loaded.base);
        let name = match loaded.elf.function(there) {
            Some(symbol) if symbol.address == there => demangle(symbol.name),
            Some(symbol) if symbol.size > 0 => {
                format!("{}+{:#x}", demangle(symbol.name), there - symbol.address)
            }
            _ => format!("{there:#x}"),
        };
        (Some(name), Some(printable(&loaded.file.map.path)))
    }

    fn number(&self, elf: &Elf<'_>, address: u64, len: u64) -> Option<u64> {
        Some(elf.number(&self.memory.bytes(address, len as usize).ok()?))
    }

    fn finish(self) -> Process {
        self.process
    }
}

/// How code is written, as far as it shows: breakpoints need a handler of SIGTRAP.
fn writer(directory: &Path) -> &'static str {
    let status = fs::read_to_string(directory.join("status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    if caught & 1 << (libc::SIGTRAP - 1) != 0 { "breakpoint" } else { "window or custom" }
}

impl Process {
    fn judge(&mut self) {
        if self.images.is_empty() {
            let reason = "no file that it has loaded has static calls that were built with the pass";
            self.not_direct_because.push(reason.into());
        }
        for image in self.images.iter().filter(|image| image.direct < image.sites) {
            let LiveImage { file, sites, direct, state, reason, .. } = image;
            let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let left = sites - direct;
            self.not_direct_because.push(format!(
                "{file}: calls go through their trampolines ({state}): {left} of {sites}{reason}"
            ));
        }
        let lost = self.unknown.iter();
        self.not_direct_because.extend(lost.map(|lost| format!("not looked at: {lost}")));
        self.all_direct = self.not_direct_because.is_empty();
        if self.mode != "generic" && self.writer == "window or custom" {
            self.unknown.push("which writer it is, if the program brings its own".into());
        }
    }
}
