//! The JSON that `--json` prints. The text for people is made from the same values.
//!
//! Every report says in `format` which version of this schema it follows. Within one version, fields keep
//! their names, types and meanings; new fields may be added, so readers should skip those that they do not
//! know. A field is `null` if its value could not be determined. Addresses are numbers: in a report on a file
//! they are the addresses before the file is loaded, and in a report on a process they are addresses in its
//! memory.

use serde::Serialize;

/// The version of this schema. It grows when a field is removed or changes its name, type or meaning.
pub const FORMAT: u32 = 1;

/// The report on a program or shared object.
#[derive(Clone, Debug, Serialize)]
pub struct File {
    /// [`FORMAT`].
    pub format: u32,
    /// The path of the file.
    pub file: String,
    /// The machine and the kind of file, in words.
    pub kind: String,
    /// The file's size in bytes.
    pub size: u64,
    /// Whether the file has the tables that the pass emits, which the runtime registers as an image.
    pub is_image: bool,
    /// The keys that the file defines or calls.
    pub keys: Vec<KeyReport>,
    /// Recorded calls whose key is unknown.
    pub other_sites: Vec<SiteReport>,
    /// The number of recorded calls.
    pub sites: usize,
    /// The keys of static branches, and the hooks that are called lazily.
    pub branch_keys: Vec<BranchKeyReport>,
    /// The number of recorded branches.
    pub branches: usize,
    /// The bytes that static calls take in the file.
    pub overhead: Overhead,
    /// Branches to trampolines that the site table lacks: the runtime cannot make them direct.
    pub unrecorded: Vec<Place>,
    /// Calls that the pass could not lower and that load their key instead, and other uses of a key's
    /// pointer.
    pub left_indirect: Vec<Indirect>,
    /// Loads of a key's pointer outside of trampolines: either a call that was not lowered, or a use of the
    /// pointer as a value. `null`: loads are not recognized on this machine.
    pub loads: Option<Vec<Place>>,
    /// Calls that were compiled without the pass, as far as symbols and debug information show.
    pub without_pass: Vec<Place>,
    /// The Rust crates that contain such loads and calls.
    pub crates_without_pass: Vec<String>,
    /// The same for C and C++: source files, or functions whose file is unknown.
    pub files_without_pass: Vec<String>,
    /// Defects in the tables. If there are any, the runtime leaves every call on its trampoline.
    pub damage: Vec<String>,
    /// Why the runtime will leave every call on its trampoline although the tables are intact.
    pub idle_because: Option<&'static str>,
    /// What could not be determined from the file.
    pub unknown: Vec<String>,
    /// Whether `--require-all-direct` passes.
    pub all_direct: bool,
    /// Why it does not.
    pub not_direct_because: Vec<String>,
}

impl File {
    /// All places that are known to be calls.
    pub fn calls(&self) -> impl Iterator<Item = &Place> {
        let sites = self.keys.iter().flat_map(|key| &key.sites).chain(&self.other_sites);
        let left = self.left_indirect.iter().filter(|indirect| !indirect.is_value);
        let places = sites.map(|site| &site.place).chain(left.map(|indirect| &indirect.place));
        places.chain(&self.unrecorded).chain(&self.without_pass)
    }

    /// The number of a key's calls that go through its trampoline, and stay there.
    #[must_use]
    pub fn calls_of_trampoline(&self, key: &KeyReport) -> usize {
        key.count(self.unrecorded.iter())
    }

    /// The number of a key's calls that load its pointer. Some may be other uses of the pointer.
    #[must_use]
    pub fn calls_by_pointer(&self, key: &KeyReport) -> usize {
        let left = self.left_indirect.iter().filter(|indirect| !indirect.is_value);
        let loads = self.loads.iter().flatten().chain(&self.without_pass);
        key.count(left.map(|indirect| &indirect.place).chain(loads))
    }
}

/// A key that a file defines or calls.
#[derive(Clone, Debug, Serialize)]
pub struct KeyReport {
    /// The path of its declaration. If several keys share it, a distinguishing suffix follows in parentheses.
    pub name: String,
    /// Its symbol, if it has one.
    pub symbol: Option<String>,
    /// Its address. `null`: another file defines the key.
    pub address: Option<u64>,
    /// Whether the key is in the section for keys. A key outside of it was compiled without the pass, or is
    /// part of a larger object.
    pub is_in_section: bool,
    /// The type of its function, if debug information has it.
    #[serde(rename = "type")]
    pub ty: Option<String>,
    /// The source file of its definition, if debug information has it.
    pub file: Option<String>,
    /// The line of its definition.
    pub line: Option<u32>,
    /// The name of its initial target, or "off", or "returns zero". "… until it is resolved": another one is
    /// chosen when the file is loaded.
    pub default_target: Option<String>,
    /// Its recorded calls.
    pub sites: Vec<SiteReport>,
    /// The addresses of its trampolines.
    pub trampolines: Vec<u64>,
}

impl KeyReport {
    fn count<'a>(&self, places: impl Iterator<Item = &'a Place>) -> usize {
        places.filter(|place| place.key.as_ref() == Some(&self.name)).count()
    }

    /// Whether this file defines the key outside of the section for keys.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        // A key that the dynamic linker will copy into this file has no known target.
        self.address.is_some() && !self.is_in_section && self.default_target.is_some()
    }
}

/// A recorded call.
#[derive(Clone, Debug, Serialize)]
pub struct SiteReport {
    /// "call", "tail call" or "conditional tail call". `null`: the instruction could not be decoded.
    pub kind: Option<&'static str>,
    /// Whether the linker put a veneer between the call and its trampoline, on which the call then stays.
    pub is_behind_veneer: bool,
    /// Why the runtime will leave it on its trampoline. `null`: it can become direct, as far as the file
    /// shows.
    pub stays_because: Option<&'static str>,
    /// The bytes of prefixes that align the call. `null`: unknown on this machine, or without symbols.
    pub padding: Option<u64>,
    /// The instruction in the file. `null`: its length is not known.
    pub before: Option<Code>,
    /// What the runtime will write there while the key is what it is to begin with. `null`: it stays as it
    /// is, or another file decides.
    pub after: Option<Code>,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
}

/// A key that static branches of the file ask about, or that the file defines.
#[derive(Clone, Debug, Serialize)]
pub struct BranchKeyReport {
    /// The path of its declaration. If several keys share it, a distinguishing suffix follows in parentheses.
    pub name: String,
    /// Its symbol, if it has one.
    pub symbol: Option<String>,
    /// Its address. `null`: another file defines the key.
    pub address: Option<u64>,
    /// Whether it is on to begin with. `null`: not known from this file.
    pub is_on: Option<bool>,
    /// Whether it is a key that calls functions, and its branches are lazy calls: `keys` has it, too.
    pub is_hook: bool,
    /// Its recorded branches.
    pub branches: Vec<BranchReport>,
}

/// A recorded branch.
#[derive(Clone, Debug, Serialize)]
pub struct BranchReport {
    /// Whether it was written as likely: then it is a no-op while its key is on, and a jump while it is off.
    /// Otherwise the other way round.
    pub is_likely: bool,
    /// Why the runtime will leave it looking at its key. `null`: it becomes a no-op or a jump, as far as the
    /// file shows.
    pub stays_because: Option<&'static str>,
    /// The instruction in the file. `null`: its length is not known.
    pub before: Option<Code>,
    /// What the runtime will write there while the key is what it is to begin with. `null`: it stays as it
    /// is, or another file decides.
    pub after: Option<Code>,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Code {
    /// Its bytes, in hexadecimal.
    pub bytes: String,
    /// What it does, in words.
    pub does: String,
}

/// A call that the pass could not lower, or another use of a key's pointer.
#[derive(Clone, Debug, Serialize)]
pub struct Indirect {
    /// The reason, in the words of `-Rpass-missed`.
    pub reason: String,
    /// Whether this is not a call: the function pointer is stored, passed on or compared.
    pub is_value: bool,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
}

/// A place in the code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The instruction's address.
    pub address: u64,
    /// The name of the key. Absent if the place is listed under its key, or the key is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How a call reaches its function: "inline" (it becomes direct, as far as the file shows), "trampoline"
    /// (it stays on it) or "pointer" (it loads the key). Absent where this is no call, may be none, or could
    /// not be decoded, and in reports on processes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<&'static str>,
    /// The compiler that made it, with its version: the producer in debug information or, where there is
    /// none, the only compiler that the file's `.comment` names. `null`: unknown.
    pub compiler: Option<String>,
    /// The function that contains it in the source.
    pub function: Option<String>,
    /// If that function was inlined: the function that contains the instruction.
    pub inlined_into: Option<String>,
    /// The inlined calls that lead to it, the innermost first.
    pub inlined_at: Vec<Caller>,
    /// The source file.
    pub file: Option<String>,
    /// The line in the source file.
    pub line: Option<u32>,
}

impl Place {
    /// Roughly how much memory it takes, including its printed form.
    pub(crate) fn size(&self) -> usize {
        let texts = [&self.key, &self.compiler, &self.function, &self.inlined_into, &self.file];
        let callers = self.inlined_at.iter().flat_map(|caller| [&caller.function, &caller.file]);
        let texts = texts.into_iter().chain(callers).flatten().map(String::len).sum::<usize>();
        4 * texts + 200 * (1 + self.inlined_at.len())
    }
}

/// A call that was inlined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The calling function.
    pub function: Option<String>,
    /// The source file of the call.
    pub file: Option<String>,
    /// The line of the call.
    pub line: Option<u32>,
}

/// The bytes that static calls take in a file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overhead {
    /// The site table.
    pub sites: u64,
    /// The branch table.
    pub branches: u64,
    /// The records.
    pub records: u64,
    /// The keys.
    pub keys: u64,
    /// The trampolines and their prefixes. `null`: their lengths are unknown, since the file has no symbols
    /// for them.
    pub trampolines: Option<u64>,
    /// Anchors and padding in the five sections.
    pub pages: u64,
    /// Instruction prefixes that align calls. `null`: unknown for at least one call.
    pub padding: Option<u64>,
}

/// The report on a running process.
#[derive(Clone, Debug, Serialize)]
pub struct Process {
    /// [`FORMAT`].
    pub format: u32,
    /// The process ID.
    pub pid: u32,
    /// The path of its program.
    pub program: String,
    /// "inline", "trampoline" or "generic": the best mode that any image is in.
    pub mode: &'static str,
    /// "window", "breakpoint", "none", or "window or custom" if it cannot be determined from outside the
    /// process.
    pub writer: &'static str,
    /// The keys of all images.
    pub keys: Vec<LiveKey>,
    /// The loaded files that have static calls.
    pub images: Vec<LiveImage>,
    /// The number of recorded calls.
    pub sites: usize,
    /// How many of them are direct calls or no-ops now.
    pub direct: usize,
    /// The keys of static branches, and the hooks that are called lazily, of all images.
    pub branch_keys: Vec<LiveBranchKey>,
    /// The number of recorded branches.
    pub branches: usize,
    /// How many of them are one no-op or one jump now. The others look at their key.
    pub patched_branches: usize,
    /// The other recorded calls.
    pub indirect: Vec<Place>,
    /// All recorded calls, if they were asked for. Not part of the JSON.
    #[serde(skip)]
    pub calls: Vec<LiveCall>,
    /// What could not be determined.
    pub unknown: Vec<String>,
    /// Whether `--require-all-direct` passes.
    pub all_direct: bool,
    /// Why it does not.
    pub not_direct_because: Vec<String>,
}

/// A key in the memory of a process.
#[derive(Clone, Debug, Serialize)]
pub struct LiveKey {
    /// The path of its declaration.
    pub name: String,
    /// Its address.
    pub address: u64,
    /// The name of its current target, or "off", or "returns zero".
    pub target: Option<String>,
    /// The address of the target.
    pub target_address: Option<u64>,
    /// The file that contains the target.
    pub target_file: Option<String>,
    /// How often it was updated, modulo 2^30. `null`: its memory could not be read.
    pub stores: Option<u32>,
    /// The number of its recorded calls in all images.
    pub sites: usize,
    /// How many of them are direct calls or no-ops now.
    pub direct: usize,
    /// The number of its trampolines in all images.
    pub trampolines: usize,
    /// How many of them are patched: they jump to the target without reading the key.
    pub patched_trampolines: usize,
}

/// A recorded call in the memory of a process.
#[derive(Clone, Debug)]
pub struct LiveCall {
    /// Its key, as an index into [`Process::keys`].
    pub key_number: Option<usize>,
    /// "call", "tail call" or "conditional tail call".
    pub kind: Option<&'static str>,
    /// The instruction in the file.
    pub before: Option<Code>,
    /// The instruction in memory.
    pub now: Option<Code>,
    /// Where it is: its address in memory, and its source in the file.
    pub place: Place,
}

/// A branch's key in the memory of a process.
#[derive(Clone, Debug, Serialize)]
pub struct LiveBranchKey {
    /// The path of its declaration.
    pub name: String,
    /// Its address.
    pub address: u64,
    /// Whether it is on. `null`: its memory could not be read.
    pub is_on: Option<bool>,
    /// How many want it on. `null`: it is a hook, which counts nothing, or could not be read.
    pub count: Option<u64>,
    /// How often it was switched or counted, modulo 2^30. `null`: its memory could not be read.
    pub stores: Option<u32>,
    /// The number of its recorded branches in all images.
    pub branches: usize,
    /// How many of them are one no-op or one jump now.
    pub patched_branches: usize,
}

/// A loaded file that has static calls.
#[derive(Clone, Debug, Serialize)]
pub struct LiveImage {
    /// The path of the file.
    pub file: String,
    /// The difference between its addresses in memory and in the file.
    pub base: u64,
    /// "patched", "registered" (its calls go through trampolines), "unregistered", or "unknown".
    pub state: &'static str,
    /// Why it is not patched.
    pub reason: Option<String>,
    /// How many keys it calls.
    pub keys: usize,
    /// The number of its recorded calls.
    pub sites: usize,
    /// How many of them are direct calls or no-ops now.
    pub direct: usize,
    /// The number of its recorded branches.
    pub branches: usize,
    /// How many of them are one no-op or one jump now.
    pub patched_branches: usize,
    /// How many of its trampolines are patched.
    pub patched_trampolines: usize,
}
