//! Hides the symbols of an object file, so that a library that embeds it does not export them.
//!
//! GNU objcopy has no option for this. (Local symbols would not do, because the library's other objects refer
//! to them.)

use std::path::Path;

use anyhow::{Context, Result, bail};
use object::elf::{FileHeader32, FileHeader64, SHT_SYMTAB, STB_LOCAL, STV_HIDDEN};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, FileKind};

/// Hides all global symbols that an object file defines.
pub(crate) fn hide(file: &Path) -> Result<()> {
    let mut data = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let places = match FileKind::parse(&*data) {
        Ok(FileKind::Elf64) => places::<FileHeader64<Endianness>>(&data, 24, 5),
        Ok(FileKind::Elf32) => places::<FileHeader32<Endianness>>(&data, 16, 13),
        _ => bail!("{} is not an ELF file", file.display()),
    };
    for place in places.with_context(|| format!("cannot understand {}", file.display()))? {
        data[place] = data[place] & !3 | STV_HIDDEN.0;
    }
    std::fs::write(file, data).with_context(|| format!("cannot write {}", file.display()))
}

/// The offsets of these symbols' `st_other`.
fn places<Elf: FileHeader<Endian = Endianness>>(
    data: &[u8],
    size: usize,
    offset: usize,
) -> Result<Vec<usize>> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let table = sections.symbols(endian, data, SHT_SYMTAB)?;
    let start: u64 = sections.section(table.section())?.sh_offset(endian).into();
    let start = usize::try_from(start)?;
    let symbols = table.enumerate();
    let are_others =
        symbols.filter(|(_, symbol)| symbol.st_bind() != STB_LOCAL && !symbol.is_undefined(endian));
    Ok(are_others.map(|(index, _)| start + index.0 * size + offset).collect())
}
