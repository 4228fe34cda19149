//! What an ELF file needs of the machine that runs it: its processor, and the version of glibc. `cargo
//! static-call setup` asks, and `cargo xtask dist`, whose archives run on old releases.

use anyhow::{Context, Result, bail};
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, FileKind};

/// What an ELF file needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// `e_machine`.
    pub(crate) machine: u16,
    /// The newest version of glibc whose symbols it uses, such as `(2, 31)`. None: it uses none.
    pub(crate) glibc: Option<(u32, u32)>,
}

/// What a file needs. None: it is not an ELF file.
///
/// # Errors
///
/// It is damaged, or needs a version that is none of glibc's releases.
pub(crate) fn needs(data: &[u8]) -> Result<Option<Needs>> {
    match FileKind::parse(data) {
        Ok(FileKind::Elf64) => read::<FileHeader64<Endianness>>(data).map(Some),
        Ok(FileKind::Elf32) => read::<FileHeader32<Endianness>>(data).map(Some),
        _ if data.starts_with(b"\x7fELF") => bail!("its ELF header is damaged"),
        _ => Ok(None),
    }
}

fn read<Elf: FileHeader<Endian = Endianness>>(data: &[u8]) -> Result<Needs> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let mut glibc = None;
    for section in sections.iter() {
        let Some((mut files, strings)) = section.gnu_verneed(endian, data)? else { continue };
        let strings = sections.strings(endian, data, strings)?;
        while let Some((_, mut versions)) = files.next()? {
            while let Some(version) = versions.next()? {
                let name = version.name(endian, strings)?;
                let Some(number) = name.strip_prefix(b"GLIBC_") else { continue };
                let number = str::from_utf8(number).ok().and_then(release);
                let number = number.with_context(|| {
                    format!("it needs {}, which no release of glibc promises", String::from_utf8_lossy(name))
                })?;
                glibc = glibc.max(Some(number));
            }
        }
    }
    Ok(Needs { machine: header.e_machine(endian).0, glibc })
}

/// The release in a text such as `2.31` or `2.2.5`.
pub(crate) fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The processor's name, for people.
pub(crate) fn processor(machine: u16) -> String {
    let known = [
        (elf::EM_X86_64, "x86-64"),
        (elf::EM_386, "32-bit x86"),
        (elf::EM_AARCH64, "AArch64"),
        (elf::EM_ARM, "32-bit Arm"),
        (elf::EM_RISCV, "RISC-V"),
        (elf::EM_PPC64, "POWER"),
        (elf::EM_S390, "s390x"),
        (elf::EM_LOONGARCH, "LoongArch"),
    ];
    let name = known.into_iter().find(|(number, _)| number.0 == machine);
    name.map_or_else(|| format!("ELF machine {machine}"), |(_, name)| name.to_owned())
}
