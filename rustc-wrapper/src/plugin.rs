//! The pass plugin: where it is, whether it looks sound, what it hashes to.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::unavailable::Unavailable;
use crate::{cache, variables};

/// The major version of the LLVM that the plugin is built for.
pub(crate) const LLVM_MAJOR: u32 = 22;

const FILE_NAME: &str = "libstatic_call_pass.so";

/// A plugin that rustc can load, unless it is damaged deep inside, on which rustc (or the dynamic linker in it) gives up.
pub(crate) struct Plugin {
    /// Absolute, and without white space.
    pub(crate) path: String,
}

impl Plugin {
    /// Finds the plugin and checks what is cheap to check.
    pub(crate) fn find() -> Result<Self, Unavailable> {
        let path = locate()?;
        let bad = |problem| Unavailable::BadPlugin { path: path.clone(), problem };
        if !path.is_absolute() {
            return Err(bad("has a relative path, and cargo runs rustc in several directories".into()));
        }
        let name = path.to_str().filter(|name| !name.contains(char::is_whitespace));
        let name = name.ok_or_else(|| bad("has a space in its path, where rustc splits it".into()))?;
        check_elf(&path).map_err(bad)?;
        Ok(Self { path: name.to_owned() })
    }

    /// A hash of the plugin's content: another plugin, another hash.
    pub(crate) fn hash(&self) -> Result<String, Unavailable> {
        let path = Path::new(&self.path);
        cache::remember(path, || {
            let content = std::fs::read(path).map_err(|error| cannot_read(&error));
            let content =
                content.map_err(|problem| Unavailable::BadPlugin { path: path.to_owned(), problem })?;
            let mut hasher = std::hash::DefaultHasher::new();
            hasher.write(&content);
            Ok(format!("{:016x}", hasher.finish()))
        })
    }
}

/// The plugin named in the environment, or the one installed with this program.
fn locate() -> Result<PathBuf, Unavailable> {
    if let Some(path) = variables::get(variables::PLUGIN) {
        return Ok(path.into());
    }
    let own = std::env::current_exe().and_then(|path| path.canonicalize());
    let directory = own.ok().and_then(|path| Some(path.parent()?.to_owned())).unwrap_or_default();
    let installed = directory.join("../lib/static-call").join(FILE_NAME);
    let beside = directory.join(FILE_NAME); // As in `target/release`.
    let searched = vec![installed, beside];
    match searched.iter().find(|path| path.exists()) {
        Some(path) => Ok(path.clone()),
        None => Err(Unavailable::NoPlugin { searched }),
    }
}

/// The parts of an ELF64 file header that tell a shared object for this machine.
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

    /// Where the section header table ends, which linkers write last.
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
    let header = header.ok_or("is no ELF file")?;
    // This program is the nearest example of the host's machine.
    let own = std::env::current_exe().and_then(File::open);
    let own = own.and_then(|mut file| ElfHeader::read(&mut file)).map_err(|error| cannot_read(&error))?;
    if header.class() != ElfHeader::CLASS_64 || header.machine() != own.machine() {
        return Err("is built for another machine".into());
    }
    if header.kind() != ElfHeader::TYPE_DYN {
        return Err("is no shared object".into());
    }
    if header.sections_end() > size {
        return Err(format!("is cut off: it has {size} of {} bytes", header.sections_end()));
    }
    Ok(())
}

fn cannot_read(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}
