//! The pass plugin: its path, checks that it can be loaded, its hash, and the LLVMs that it is for.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use static_call_abi::installation::{PASS_FILE, PASS_PATH, SETUP_PATH};

use crate::unavailable::Unavailable;
use crate::{cache, variables};

/// A plugin that passed the checks here. Rustc fails if its content is damaged in other ways.
pub(crate) struct Plugin {
    /// An absolute path without the characters at which rustc splits it.
    pub(crate) path: String,
    /// A hash of its content.
    pub(crate) hash: String,
    /// The major versions of LLVM that it is built for, such as `19, 22`.
    pub(crate) llvms: String,
}

impl Plugin {
    /// Finds the plugin and does checks that are inexpensive, or whose result is cached.
    pub(crate) fn find() -> Result<Self, Unavailable> {
        let path = locate()?;
        let bad = |problem| Unavailable::BadPlugin { path: path.clone(), problem };
        if !path.is_absolute() {
            return Err(bad("has a relative path, but cargo runs rustc in several directories".into()));
        }
        let name = path.to_str().ok_or_else(|| bad("has a path that is not UTF-8".into()))?;
        if name.contains(|c: char| c.is_whitespace() || c == ',') {
            return Err(bad("has a space or a comma in its path, at which rustc would split it".into()));
        }
        check_elf(&path).map_err(bad)?;
        let facts = cache::remember(&path, || facts(&path)).map_err(bad)?;
        let mut facts = facts.splitn(3, ' ');
        let mut fact = || facts.next().unwrap_or_default();
        let (version, hash, llvms) = (fact(), fact(), fact());
        if version != env!("CARGO_PKG_VERSION") {
            return Err(Unavailable::OtherVersion { path, version: version.to_owned() });
        }
        Ok(Self { path: name.to_owned(), hash: hash.to_owned(), llvms: llvms.to_owned() })
    }

    /// Whether it is built for this version of LLVM.
    pub(crate) fn is_for(&self, llvm_major: &str) -> bool {
        self.llvms.split(", ").any(|llvm| llvm == llvm_major)
    }
}

/// The version of a plugin, its hash, and the list of its LLVMs.
fn facts(plugin: &Path) -> Result<String, String> {
    let content = std::fs::read(plugin).map_err(|error| cannot_read(&error))?;
    let llvms = static_call_abi::pass_llvms(&content);
    let llvms = llvms.ok_or("does not say which LLVM it is for, so it is not ours or is too old")?;
    let version = static_call_abi::pass_version(&content).unwrap_or("0.1");
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&content);
    Ok(format!("{version} {:016x} {llvms}", hasher.finish()))
}

/// The plugin from the environment, the one installed with this program, or the one that `cargo static-call
/// setup` has installed.
fn locate() -> Result<PathBuf, Unavailable> {
    if let Some(path) = variables::get(variables::PLUGIN) {
        return Ok(path.into());
    }
    let own = std::env::current_exe().and_then(|path| path.canonicalize());
    let directory = own.ok().and_then(|path| Some(path.parent()?.to_owned())).unwrap_or_default();
    let installed = directory.join("..").join(PASS_PATH);
    let beside = directory.join(PASS_FILE); // In `target/release`.
    let home = || Some(variables::directory(variables::HOME)?.join(".local/share"));
    let data = variables::directory(variables::XDG_DATA_HOME).or_else(home);
    let set_up = data.map(|data| data.join(SETUP_PATH).join(PASS_PATH));
    let searched: Vec<PathBuf> = [installed, beside].into_iter().chain(set_up).collect();
    match searched.iter().find(|path| path.exists()) {
        Some(path) => Ok(path.clone()),
        None => Err(Unavailable::NoPlugin { searched }),
    }
}

/// An ELF64 file header.
struct ElfHeader([u8; 64]);

impl ElfHeader {
    const MAGIC: &[u8] = b"\x7fELF";
    const CLASS_64: u8 = 2;
    const TYPE_DYN: u16 = 3;

    fn read(file: &mut File) -> io::Result<Self> {
        let mut bytes = [0; 64];
        file.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }

    fn magic(&self) -> &[u8] {
        self.field::<4>(0).as_slice()
    }

    fn class(&self) -> u8 {
        self.0[4]
    }

    /// Byte order and machine.
    fn machine(&self) -> (u8, u16) {
        (self.0[5], self.half(18))
    }

    fn kind(&self) -> u16 {
        self.half(16)
    }

    /// The end of the section header table, which linkers write last.
    fn sections_end(&self) -> u64 {
        let start = u64::from_ne_bytes(*self.field(40));
        let size = u64::from(self.half(58)) * u64::from(self.half(60));
        start.saturating_add(size)
    }

    fn half(&self, offset: usize) -> u16 {
        u16::from_ne_bytes(*self.field(offset))
    }

    fn field<const N: usize>(&self, offset: usize) -> &[u8; N] {
        self.0[offset..].first_chunk().expect("fields lie inside the header")
    }
}

/// Whether a file can be a shared object for the machine this program runs on.
fn check_elf(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|error| cannot_read(&error))?;
    let size = file.metadata().map_err(|error| cannot_read(&error))?.len();
    let header = match ElfHeader::read(&mut file) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            return Err(cannot_read(&error));
        }
        header => header.ok().filter(|header| header.magic() == ElfHeader::MAGIC),
    };
    let header = header.ok_or("is not an ELF file")?;
    // This program itself is a file for the host's machine.
    let own = std::env::current_exe().and_then(File::open);
    let own = own.and_then(|mut file| ElfHeader::read(&mut file)).map_err(|error| cannot_read(&error))?;
    if header.class() != ElfHeader::CLASS_64 || header.machine() != own.machine() {
        return Err("is built for another machine".into());
    }
    if header.kind() != ElfHeader::TYPE_DYN {
        return Err("is not a shared object".into());
    }
    if header.sections_end() > size {
        return Err(format!("is truncated: it has {size} of {} bytes", header.sections_end()));
    }
    Ok(())
}

fn cannot_read(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}
