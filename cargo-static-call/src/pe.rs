//! A PE file in the form that the rest of the inspector reads: memory at addresses, with pointers in it.
//!
//! Addresses are those of the image at the base that its header asks for, as in debug information.

use anyhow::{Context, Result, bail};
use object::elf::{EM_AARCH64, EM_X86_64};
use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, Import, PeFile64};
use object::{Object, ObjectSymbol};

use crate::budget::Budget;
use crate::parts::{Section, Segment, Symbol};

/// What is read of a PE file.
#[derive(Debug)]
pub(crate) struct Parts<'data> {
    /// The number that ELF has for the machine.
    pub(crate) machine: u16,
    pub(crate) is_dll: bool,
    pub(crate) segments: Vec<Segment<'data>>,
    pub(crate) sections: Vec<Section<'data>>,
    pub(crate) functions: Vec<Symbol<'data>>,
    pub(crate) objects: Vec<Symbol<'data>>,
    /// The entries of the import address table, by address, with the names of the symbols.
    pub(crate) imports: Vec<(u64, &'data [u8])>,
    pub(crate) has_symbols: bool,
}

impl<'data> Parts<'data> {
    /// Reads a PE file for 64 bits.
    pub(crate) fn read(data: &'data [u8], budget: &Budget) -> Result<Self> {
        let file = PeFile64::parse(data).context("has a damaged PE header")?;
        let header = file.nt_headers();
        let machine = match header.file_header.machine.get(object::LittleEndian) {
            pe::IMAGE_FILE_MACHINE_AMD64 => EM_X86_64.0,
            pe::IMAGE_FILE_MACHINE_ARM64 => EM_AARCH64.0,
            other => bail!("is a PE file for a machine that is not supported ({:#x})", other.0),
        };
        let flags = header.file_header.characteristics.get(object::LittleEndian);
        let optional = &header.optional_header;
        let base = optional.image_base();
        let mut parts = Self {
            machine,
            is_dll: flags.contains(pe::IMAGE_FILE_DLL),
            segments: Vec::new(),
            sections: Vec::new(),
            functions: Vec::new(),
            objects: Vec::new(),
            imports: Vec::new(),
            has_symbols: false,
        };
        // The loader maps the headers, too.
        let headers = data.len().min(optional.size_of_headers() as usize);
        parts.segments.push(Segment {
            address: base,
            offset: 0,
            data: &data[..headers],
            is_executable: false,
            is_writable: false,
            is_readable: true,
        });
        let strings = file.nt_headers().symbols(data).map(|symbols| symbols.strings()).unwrap_or_default();
        for section in file.section_table().iter() {
            let name = section.name(strings).unwrap_or_default();
            if !budget.steps(1 + name.len()) || !budget.item::<(Section<'_>, Segment<'_>)>(&[]) {
                break;
            }
            let (offset, size) = section.pe_file_range();
            let content = usize::try_from(offset).ok().zip(usize::try_from(size).ok());
            let content = content.and_then(|(offset, size)| data.get(offset..offset.checked_add(size)?));
            let Some(content) = content else {
                bail!(
                    "is truncated or damaged: it has {} bytes, and its sections would be after its end",
                    data.len()
                );
            };
            let (address, len) = section.pe_address_range();
            let address = base.saturating_add(address.into());
            let flags = section.characteristics.get(object::LittleEndian);
            let has = |flag: pe::SectionFlags| flags.contains(flag);
            parts.segments.push(Segment {
                address,
                offset: offset.into(),
                data: content,
                is_executable: has(pe::IMAGE_SCN_MEM_EXECUTE),
                is_writable: has(pe::IMAGE_SCN_MEM_WRITE),
                is_readable: has(pe::IMAGE_SCN_MEM_READ),
            });
            parts.sections.push(Section { name, address, size: len.into(), data: content });
        }
        parts.read_symbols(&file, budget);
        parts.read_imports(&file, base, budget);
        Ok(parts)
    }

    fn is_code(&self, address: u64) -> bool {
        let is_in = |segment: &Segment<'_>| {
            address.checked_sub(segment.address).is_some_and(|offset| offset < segment.data.len() as u64)
        };
        self.segments.iter().any(|segment| segment.is_executable && is_in(segment))
    }

    /// MinGW's linkers write the symbol table of object files, in which functions have no sizes.
    fn read_symbols(&mut self, file: &PeFile64<'data>, budget: &Budget) {
        for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
            self.has_symbols = true;
            let name = symbol.name_bytes().unwrap_or_default();
            if !budget.steps(1 + name.len() + self.segments.len()) || !budget.item::<Symbol<'_>>(&[]) {
                break;
            }
            // Those of sections, local labels, and the linker's for entries of the import address table.
            let is_dull =
                [".", "$", "__imp_", "__IAT_"].iter().any(|start| name.starts_with(start.as_bytes()));
            if name.is_empty() || is_dull {
                continue;
            }
            let address = symbol.address();
            let list = if self.is_code(address) { &mut self.functions } else { &mut self.objects };
            list.push(Symbol { address, size: 0, name });
        }
    }

    /// A damaged table ends where the damage is.
    fn read_imports(&mut self, file: &PeFile64<'data>, base: u64, budget: &Budget) {
        let Ok(Some(table)) = file.import_table() else { return };
        let Ok(mut descriptors) = table.descriptors() else { return };
        while let Ok(Some(descriptor)) = descriptors.next() {
            let names = descriptor.original_first_thunk.get(object::LittleEndian);
            let first = descriptor.first_thunk.get(object::LittleEndian);
            let Ok(mut thunks) = table.thunks(if names == 0 { first } else { names }) else { continue };
            let mut place = base.saturating_add(first.into());
            while let Ok(Some(thunk)) = thunks.next::<pe::ImageNtHeaders64>() {
                let Ok(import) = table.import::<pe::ImageNtHeaders64>(thunk) else { break };
                let name = match import {
                    Import::Name(_, name) => name,
                    Import::Ordinal(_) => b"",
                };
                if !budget.steps(1 + name.len()) || !budget.item::<(u64, &[u8])>(&[]) {
                    return;
                }
                self.imports.push((place, name));
                place = place.saturating_add(8);
            }
        }
        self.imports.sort_unstable();
    }
}
