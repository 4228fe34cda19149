//! Lets a compiler with another LLVM load the plugin, so that the plugin can report the mismatch.
//!
//! A shared object with an undefined symbol does not load, unless the symbol is weak. No linker has an option
//! to make references weak, so this makes the plugin's references to LLVM weak after the link. The compiler
//! that loads the plugin satisfies them, and the plugin checks LLVM's version before it uses any.

use std::path::Path;

use anyhow::{Context, Result};
use object::LittleEndian as LE;
use object::elf::{FileHeader64, SHT_DYNSYM, STB_GLOBAL, STB_WEAK};
use object::read::elf::{FileHeader, SectionHeader, Sym};

/// Makes the undefined LLVM symbols of an ELF file weak.
pub(crate) fn weaken(file: &Path) -> Result<()> {
    let mut data = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let places = places(&data).with_context(|| format!("cannot understand {}", file.display()))?;
    for place in places {
        data[place] = STB_WEAK.0 << 4 | data[place] & 0xf;
    }
    std::fs::write(file, data).with_context(|| format!("cannot write {}", file.display()))
}

/// The offsets of these symbols' `st_info`.
fn places(data: &[u8]) -> Result<Vec<usize>> {
    const SYMBOL_SIZE: u64 = 24;
    const ST_INFO: u64 = 4;
    let header = FileHeader64::<LE>::parse(data)?;
    let sections = header.sections(LE, data)?;
    let table = sections.symbols(LE, data, SHT_DYNSYM)?;
    let start = sections.section(table.section())?.sh_offset(LE);
    let mut places = Vec::new();
    for (index, symbol) in table.enumerate() {
        let name = symbol.name(LE, table.strings())?;
        let is_llvm = name.starts_with(b"LLVM") || name.starts_with(b"_Z") && contains(name, b"4llvm");
        if symbol.is_undefined(LE) && symbol.st_bind() == STB_GLOBAL && is_llvm {
            places.push(usize::try_from(start + index.0 as u64 * SYMBOL_SIZE + ST_INFO)?);
        }
    }
    Ok(places)
}

fn contains(name: &[u8], part: &[u8]) -> bool {
    name.windows(part.len()).any(|window| window == part)
}
