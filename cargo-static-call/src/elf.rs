//! An ELF file as the dynamic linker sees it: memory at addresses, with pointers in it. A PE file, which the
//! inspector reads as well, has the same form (`pe.rs`).
//!
//! It may be of any class and byte order, and need not have section headers. Memory use is linear in its
//! size.

use std::fmt;
use std::ops::Range;

use anyhow::{Context, Result, anyhow, bail};
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, SymbolTable};
use object::{Endian, Endianness, FileKind};
use static_call::inspect;

use crate::budget::Budget;
use crate::file::{Mapped, RELEASE};
pub use crate::parts::{Section, Segment, Symbol};
use crate::pe::Parts;

/// A linked file.
#[derive(Debug)]
pub struct Elf<'data> {
    data: &'data [u8],
    /// The mapping that the bytes belong to, if they are mapped.
    pub mapped: Option<&'data Mapped>,
    endian: Endianness,
    /// The size of a pointer in bytes.
    pub pointer: u64,
    /// The machine (`e_machine`).
    pub machine: u16,
    /// Whether it can be loaded at any address.
    pub is_relocatable: bool,
    /// Whether it has a `PT_INTERP`, which names the dynamic linker.
    pub has_interpreter: bool,
    /// Whether it has a dynamic section.
    pub is_dynamic: bool,
    /// The tables of constructors that the dynamic section names.
    pub constructors: Vec<Range<u64>>,
    /// Whether a post-link optimizer such as BOLT moved its code.
    pub has_moved_code: bool,
    /// The loaded segments, by address.
    pub segments: Vec<Segment<'data>>,
    /// The sections; none if their headers were stripped.
    pub sections: Vec<Section<'data>>,
    /// Functions, by address.
    functions: Vec<Symbol<'data>>,
    /// Variables, by address.
    objects: Vec<Symbol<'data>>,
    relocations: Vec<Relocation>,
    dynamic_symbols: Option<u64>,
    dynamic_strings: Option<u64>,
    /// What only a PE file has. None: it is an ELF file.
    pe: Option<Pe<'data>>,
}

#[derive(Debug)]
struct Pe<'data> {
    is_dll: bool,
    has_symbols: bool,
    /// The entries of the import address table, by address.
    imports: Vec<(u64, &'data [u8])>,
}

#[derive(Debug)]
struct Relocation {
    place: u64,
    symbol: u32,
    /// None: the addend is in the relocated word itself.
    addend: Option<i64>,
}

/// What a word of memory points to once the file is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer<'data> {
    /// Nothing.
    Null,
    /// An address in this file.
    Address(u64),
    /// A symbol of another file, and an offset.
    Import(&'data [u8], i64),
}

impl Pointer<'_> {
    /// The address, if it is in this file.
    #[must_use]
    pub fn address(self) -> Option<u64> {
        match self {
            Self::Address(address) => Some(address),
            _ => None,
        }
    }
}

impl<'data> Elf<'data> {
    /// Reads the headers, the symbols and the relocations.
    ///
    /// # Errors
    ///
    /// If this is not a linked ELF file, or is truncated or damaged where that matters.
    pub fn parse(data: &'data [u8], budget: &Budget) -> Result<Self> {
        match FileKind::parse(data) {
            Ok(FileKind::Elf32) => Self::parse_class::<elf::FileHeader32<Endianness>>(data, budget),
            Ok(FileKind::Elf64) => Self::parse_class::<elf::FileHeader64<Endianness>>(data, budget),
            Ok(FileKind::Pe64) => Self::parse_pe(data, budget),
            Ok(FileKind::Pe32) => bail!("is a PE file for 32 bits, in which calls are never direct"),
            Ok(FileKind::Coff | FileKind::CoffBig) => {
                bail!("is an object file; inspect the program or DLL that it is linked into")
            }
            Ok(FileKind::Archive) => bail!(
                "is an archive of object files; inspect the program or shared object that contains them"
            ),
            _ => bail!("is neither an ELF file nor a PE file"),
        }
    }

    fn parse_pe(data: &'data [u8], budget: &Budget) -> Result<Self> {
        let parts = Parts::read(data, budget)?;
        let mut elf = Self {
            data,
            mapped: None,
            endian: Endianness::Little,
            pointer: 8,
            machine: parts.machine,
            is_relocatable: true,
            has_interpreter: false,
            is_dynamic: true,
            constructors: Vec::new(),
            has_moved_code: false,
            segments: parts.segments,
            sections: parts.sections,
            functions: parts.functions,
            objects: parts.objects,
            relocations: Vec::new(),
            dynamic_symbols: None,
            dynamic_strings: None,
            pe: Some(Pe { is_dll: parts.is_dll, has_symbols: parts.has_symbols, imports: parts.imports }),
        };
        elf.check_segments()?;
        elf.functions.sort_by_key(|symbol| symbol.address);
        elf.objects.sort_by_key(|symbol| symbol.address);
        Ok(elf)
    }

    /// Refuses what would cost too much to read, and sorts the segments.
    fn check_segments(&mut self) -> Result<()> {
        // Reads go at most a page past a segment, so this keeps addresses from overflowing.
        if self
            .segments
            .iter()
            .any(|segment| segment.address.checked_add(segment.data.len() as u64 + 4096).is_none())
        {
            bail!("is damaged: a segment ends beyond the address space");
        }
        // Each segment is searched, so overlapping ones would cost time. Linkers overlap them by less than a
        // page.
        let all: u64 = self.segments.iter().map(|segment| segment.data.len() as u64).sum();
        if all > 2 * self.data.len() as u64 {
            bail!("is damaged: its segments overlap in the file");
        }
        self.segments.sort_by_key(|segment| segment.address);
        Ok(())
    }

    /// Whether it is a PE file.
    #[must_use]
    pub fn is_pe(&self) -> bool {
        self.pe.is_some()
    }

    fn parse_class<E: FileHeader<Endian = Endianness>>(data: &'data [u8], budget: &Budget) -> Result<Self> {
        let header = E::parse(data).context("has a damaged ELF header")?;
        let endian = header.endian().context("has a damaged ELF header")?;
        match header.e_type(endian) {
            elf::ET_EXEC | elf::ET_DYN => {}
            elf::ET_REL => {
                bail!("is an object file; inspect the program or shared object that it is linked into")
            }
            elf::ET_CORE => bail!("is a core file; inspect the program that dumped it"),
            other => bail!("is neither a program nor a shared object (its ELF type is {})", other.0),
        }
        let size = data.len();
        let cut_off = |what| {
            move || format!("is truncated or damaged: it has {size} bytes, and {what} would be after its end")
        };
        let programs = header.program_headers(endian, data).with_context(cut_off("its program headers"))?;
        let mut segments = Vec::new();
        let mut dynamic = None;
        for program in programs {
            match program.p_type(endian) {
                elf::PT_LOAD => {
                    let flags = program.p_flags(endian);
                    segments.push(Segment {
                        address: program.p_vaddr(endian).into(),
                        offset: program.p_offset(endian).into(),
                        data: program
                            .data(endian, data)
                            .map_err(|()| anyhow!("{}", cut_off("its segments")()))?,
                        is_executable: flags & elf::PF_X == elf::PF_X,
                        is_writable: flags & elf::PF_W == elf::PF_W,
                        is_readable: flags & elf::PF_R == elf::PF_R,
                    });
                }
                elf::PT_DYNAMIC => {
                    let bytes = program.data(endian, data);
                    dynamic = Some(bytes.map_err(|()| anyhow!("{}", cut_off("its dynamic tags")()))?);
                }
                _ => {}
            }
        }
        if segments.is_empty() {
            bail!(
                "has no loaded segments: it may contain only debug information; inspect the program itself"
            );
        }
        let table = header.sections(endian, data).with_context(cut_off("its section headers"))?;
        let mut elf = Self {
            data,
            mapped: None,
            endian,
            pointer: if header.is_type_64() { 8 } else { 4 },
            machine: header.e_machine(endian).0,
            is_relocatable: header.e_type(endian) == elf::ET_DYN,
            has_moved_code: inspect::has_moved_code(
                header.e_phoff(endian).into() == size_of::<E>() as u64,
                &programs
                    .iter()
                    .map(|program| {
                        let is_executable = program.p_flags(endian) & elf::PF_X == elf::PF_X;
                        (program.p_type(endian) == elf::PT_LOAD, is_executable)
                    })
                    .collect::<Vec<_>>(),
            ),
            has_interpreter: programs.iter().any(|program| program.p_type(endian) == elf::PT_INTERP),
            is_dynamic: dynamic.is_some(),
            constructors: Vec::new(),
            segments,
            sections: Vec::new(),
            functions: Vec::new(),
            objects: Vec::new(),
            relocations: Vec::new(),
            dynamic_symbols: None,
            dynamic_strings: None,
            pe: None,
        };
        elf.check_segments()?;
        for section in table.iter() {
            if section.sh_type(endian) == elf::SHT_NULL {
                continue;
            }
            let name = table.section_name(endian, section).unwrap_or_default();
            if !budget.steps(1 + name.len()) || !budget.item::<Section<'_>>(&[]) {
                break;
            }
            elf.sections.push(Section {
                name,
                address: section.sh_addr(endian).into(),
                size: section.sh_size(endian).into(),
                data: section.data(endian, data).unwrap_or_default(),
            });
        }
        elf.read_dynamic(dynamic.unwrap_or_default(), budget);
        let symbols = table.symbols(endian, data, elf::SHT_SYMTAB).unwrap_or_default();
        if symbols.is_empty() {
            let symbols = table.symbols(endian, data, elf::SHT_DYNSYM).unwrap_or_default();
            elf.add_symbols::<E>(&symbols, budget);
        } else {
            elf.add_symbols::<E>(&symbols, budget);
        }
        elf.functions.sort_by_key(|symbol| symbol.address);
        elf.objects.sort_by_key(|symbol| symbol.address);
        elf.relocations.sort_by_key(|relocation| relocation.place);
        Ok(elf)
    }

    fn add_symbols<E: FileHeader<Endian = Endianness>>(
        &mut self,
        table: &SymbolTable<'data, E>,
        budget: &Budget,
    ) {
        for symbol in table.iter().filter(|symbol| !symbol.is_undefined(self.endian)) {
            let list = match symbol.st_type() {
                elf::STT_FUNC | elf::STT_GNU_IFUNC => &mut self.functions,
                // Symbols of hand-written assembly often have no type.
                elf::STT_NOTYPE | elf::STT_OBJECT => &mut self.objects,
                _ => continue,
            };
            let name = symbol.name(self.endian, table.strings()).unwrap_or_default();
            if !budget.steps(1 + name.len()) {
                break;
            }
            // Skip mapping symbols and local labels.
            if name.is_empty() || name.starts_with(b"$") || name.starts_with(b".L") {
                continue;
            }
            let mut address = symbol.st_value(self.endian).into();
            if self.machine == elf::EM_ARM.0 {
                address &= !1; // Thumb code.
            }
            if !budget.item::<Symbol<'_>>(&[]) {
                break;
            }
            list.push(Symbol { address, size: symbol.st_size(self.endian).into(), name });
        }
    }

    /// Finds the relocations as the dynamic linker does. Those outside of any segment are ignored.
    fn read_dynamic(&mut self, tags: &[u8], budget: &Budget) {
        let word = self.pointer as usize;
        let mut found = [None; 34];
        for tag in tags.chunks_exact(2 * word) {
            let (name, value) = tag.split_at(word);
            match usize::try_from(self.number(name)) {
                Ok(0) => break,
                Ok(name @ ..34) => found[name] = Some(self.number(value)),
                _ => {}
            }
        }
        let tag = |tag: elf::DynamicTag| found[tag.0 as usize];
        self.dynamic_symbols = tag(elf::DT_SYMTAB);
        self.dynamic_strings = tag(elf::DT_STRTAB);
        let arrays =
            [(elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ), (elf::DT_PREINIT_ARRAY, elf::DT_PREINIT_ARRAYSZ)];
        self.constructors = arrays
            .iter()
            .filter_map(|&(start, size)| {
                let start = tag(start)?;
                Some(start..start.saturating_add(tag(size)?))
            })
            .collect();
        let table = |start, size| self.read(tag(start)?, tag(size)?);
        let with_addends = table(elf::DT_RELA, elf::DT_RELASZ).unwrap_or_default();
        let without = table(elf::DT_REL, elf::DT_RELSZ).unwrap_or_default();
        let symbol = |info: u64| (if word == 8 { info >> 32 } else { info >> 8 }) as u32;
        let count = with_addends.len() / (3 * word) + without.len() / (2 * word);
        if !budget.bytes(count * size_of::<Relocation>()) {
            return;
        }
        let mut relocations = Vec::with_capacity(with_addends.len() / (3 * word));
        for entry in with_addends.chunks_exact(3 * word) {
            let field = |index| self.number(&entry[index * word..][..word]);
            let addend = field(2).cast_signed();
            let addend = if word == 8 { addend } else { (addend as i32).into() };
            relocations.push(Relocation { place: field(0), symbol: symbol(field(1)), addend: Some(addend) });
        }
        for entry in without.chunks_exact(2 * word) {
            let field = |index| self.number(&entry[index * word..][..word]);
            // Without a symbol it only adds the load address, like a relocation of DT_RELR.
            if symbol(field(1)) != 0 {
                relocations.push(Relocation { place: field(0), symbol: symbol(field(1)), addend: None });
            }
        }
        self.relocations = relocations;
    }

    /// A number of four or eight bytes in the file's byte order.
    #[must_use]
    pub fn number(&self, bytes: &[u8]) -> u64 {
        match *bytes {
            [a, b, c, d] => self.endian.read_u32([a, b, c, d]).into(),
            [a, b, c, d, e, f, g, h] => self.endian.read_u64([a, b, c, d, e, f, g, h]),
            _ => 0,
        }
    }

    /// The whole file.
    #[must_use]
    pub fn data(&self) -> &'data [u8] {
        self.data
    }

    /// To be called by a scan that is at this offset and goes on in steps of this many bytes: what it has
    /// read need not stay in memory.
    pub fn passed(&self, offset: u64, step: u64, budget: &Budget) {
        if offset % RELEASE < step && offset >= RELEASE {
            budget.progress.advance(RELEASE);
            if let Some(mapped) = self.mapped {
                mapped.release();
            }
        }
    }

    /// The file's size.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.data.len() as u64
    }

    /// Whether the file is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Its byte order.
    #[must_use]
    pub fn endian(&self) -> Endianness {
        self.endian
    }

    /// The segment that contains an address.
    #[must_use]
    pub fn segment(&self, address: u64) -> Option<&Segment<'data>> {
        let behind = self.segments.partition_point(|segment| segment.address <= address);
        let segment = &self.segments[behind.checked_sub(1)?];
        (address - segment.address < segment.data.len() as u64).then_some(segment)
    }

    /// Whether an address is in code.
    #[must_use]
    pub fn is_code(&self, address: u64) -> bool {
        self.segment(address).is_some_and(|segment| segment.is_executable)
    }

    /// The bytes from an address to the end of its segment.
    #[must_use]
    pub fn from(&self, address: u64) -> &'data [u8] {
        self.segment(address).map_or(&[], |segment| &segment.data[(address - segment.address) as usize..])
    }

    /// The `len` bytes at an address, if the file has them.
    #[must_use]
    pub fn read(&self, address: u64, len: u64) -> Option<&'data [u8]> {
        self.from(address).get(..usize::try_from(len).ok()?)
    }

    /// The 32-bit number at an address.
    #[must_use]
    pub fn u32(&self, address: u64) -> Option<u32> {
        Some(self.number(self.read(address, 4)?) as u32)
    }

    /// The NUL-terminated string at an address, unless it is unreasonably long.
    #[must_use]
    pub fn string(&self, address: u64) -> Option<&'data [u8]> {
        const LONGEST: usize = 4096;
        let bytes = self.from(address);
        let len = bytes.iter().take(LONGEST).position(|&byte| byte == 0)?;
        Some(&bytes[..len])
    }

    /// What the pointer at an address points to once the file is loaded.
    #[must_use]
    pub fn pointer(&self, place: u64) -> Option<Pointer<'data>> {
        let in_place = self.number(self.read(place, self.pointer)?);
        // The entry itself, and our tables' names of entries: see the runtime's `format/pe.rs`.
        if let Some(name) = self.imported(place).or_else(|| self.imported(in_place.checked_sub(1)?)) {
            return Some(Pointer::Import(name, 0));
        }
        let index = self.relocations.partition_point(|relocation| relocation.place < place);
        let relocation = self.relocations.get(index).filter(|relocation| relocation.place == place);
        let Some(relocation) = relocation else {
            return Some(if in_place == 0 { Pointer::Null } else { Pointer::Address(in_place) });
        };
        let addend = relocation.addend.unwrap_or(if self.pointer == 8 {
            in_place.cast_signed()
        } else {
            (in_place as i32).into()
        });
        if relocation.symbol == 0 {
            return Some(Pointer::Address(self.truncate(addend.cast_unsigned())));
        }
        let (name, value) = self.dynamic_symbol(relocation.symbol)?;
        Some(match value {
            Some(value) => Pointer::Address(self.truncate(value.wrapping_add_signed(addend))),
            None => Pointer::Import(name, addend),
        })
    }

    /// The name of the symbol whose address the loader writes to this entry of a PE file.
    fn imported(&self, entry: u64) -> Option<&'data [u8]> {
        let imports = &self.pe.as_ref()?.imports;
        let found = imports.binary_search_by_key(&entry, |&(place, _)| place).ok()?;
        Some(imports[found].1)
    }

    /// The symbols of other files that its relocations refer to, or its import table.
    pub fn imports(&self) -> impl Iterator<Item = &'data [u8]> {
        let of_pe = self.pe.iter().flat_map(|pe| pe.imports.iter().map(|&(_, name)| name));
        let named = self.relocations.iter().filter(|relocation| relocation.symbol != 0);
        let symbols = named.filter_map(|relocation| self.dynamic_symbol(relocation.symbol));
        symbols.filter(|(_, value)| value.is_none()).map(|(name, _)| name).chain(of_pe)
    }

    fn truncate(&self, address: u64) -> u64 {
        if self.pointer == 8 { address } else { address & 0xffff_ffff }
    }

    /// The name of a dynamic symbol, and its address if this file defines it.
    fn dynamic_symbol(&self, index: u32) -> Option<(&'data [u8], Option<u64>)> {
        let is_64 = self.pointer == 8;
        let size = if is_64 { 24 } else { 16 };
        let symbol = self.read(self.dynamic_symbols?.checked_add(u64::from(index) * size)?, size)?;
        let (value, section) = if is_64 { (8..16, 6..8) } else { (4..8, 14..16) };
        let name = self.string(self.dynamic_strings?.checked_add(self.number(&symbol[..4]))?)?;
        let is_defined = symbol[section] != [0, 0];
        Some((name, is_defined.then(|| self.number(&symbol[value]))))
    }

    /// A section by its name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section<'data>> {
        self.sections.iter().find(|section| section.name == name.as_bytes())
    }

    /// The function that contains an address.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<&Symbol<'data>> {
        let behind = self.functions.partition_point(|symbol| symbol.address <= address);
        let symbol = &self.functions[behind.checked_sub(1)?];
        let is_inside = address - symbol.address < symbol.size.max(1);
        (is_inside || symbol.size == 0 && self.is_code(address)).then_some(symbol)
    }

    /// The functions, by address.
    #[must_use]
    pub fn functions(&self) -> &[Symbol<'data>] {
        &self.functions
    }

    /// The variable at exactly this address.
    #[must_use]
    pub fn object(&self, address: u64) -> Option<&Symbol<'data>> {
        let index = self.objects.partition_point(|symbol| symbol.address < address);
        self.objects.get(index).filter(|symbol| symbol.address == address)
    }

    /// The variables, by address.
    #[must_use]
    pub fn objects(&self) -> &[Symbol<'data>] {
        &self.objects
    }

    /// Whether the file has a symbol table of its own functions.
    #[must_use]
    pub fn has_symbols(&self) -> bool {
        self.pe.as_ref().map_or_else(|| self.section(".symtab").is_some(), |pe| pe.has_symbols)
    }

    /// The name of the machine.
    #[must_use]
    pub fn machine_name(&self) -> String {
        let is_little = self.endian.is_little_endian();
        let name = match (elf::Machine(self.machine), self.pointer, is_little) {
            (elf::EM_X86_64, ..) => "x86-64",
            (elf::EM_386, ..) => "i386",
            (elf::EM_AARCH64, ..) => "aarch64",
            (elf::EM_ARM, ..) => "arm",
            (elf::EM_RISCV, 8, _) => "riscv64",
            (elf::EM_RISCV, ..) => "riscv32",
            (elf::EM_PPC64, ..) => "powerpc64",
            (elf::EM_PPC, ..) => "powerpc",
            (elf::EM_S390, ..) => "s390x",
            (elf::EM_LOONGARCH, ..) => "loongarch",
            (elf::EM_MIPS, ..) => "mips",
            (elf::EM_SPARCV9, ..) => "sparc64",
            (other, ..) => return format!("machine {}", other.0),
        };
        name.into()
    }
}

/// The machine and the kind of file, in words.
impl fmt::Display for Elf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.pointer * 8;
        let order = if self.endian.is_little_endian() { "little" } else { "big" };
        if let Some(pe) = &self.pe {
            let kind = if pe.is_dll { "Windows DLL" } else { "Windows program" };
            return write!(f, "{}, {bits} bits, {kind}", self.machine_name());
        }
        let kind = match (self.is_relocatable, self.has_interpreter) {
            (true, true) => "position-independent program",
            (true, false) => "shared object or static position-independent program",
            (false, true) => "program at a fixed address",
            (false, false) => "static program",
        };
        write!(f, "{}, {bits} bits, {order}-endian, {kind}", self.machine_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabricated::{EXECUTE, Fabricated, READ, WRITE};

    fn refusal(data: &[u8]) -> String {
        format!("{:#}", Elf::parse(data, &Budget::default()).expect_err("it is refused"))
    }

    #[test]
    fn addresses_at_the_ends_of_segments() {
        let file = Fabricated::x86_64(vec![
            (0x2000, READ | WRITE, b"end".to_vec()),
            (0x1000, READ | EXECUTE, b"four".to_vec()),
        ]);
        let data = file.bytes();
        let elf = Elf::parse(&data, &Budget::default()).expect("an ELF file");
        assert_eq!((elf.from(0xfff), elf.from(0x1004), elf.from(u64::MAX)), (&b""[..], &b""[..], &b""[..]));
        assert_eq!(
            (elf.from(0x1000), elf.from(0x1003), elf.from(0x2002)),
            (&b"four"[..], &b"r"[..], &b"d"[..])
        );
        assert_eq!((elf.read(0x1000, 4), elf.read(0x1000, 5)), (Some(&b"four"[..]), None));
        assert_eq!((elf.read(0x1001, u64::MAX), elf.u32(0x1001)), (None, None));
        assert!(elf.is_code(0x1003) && !elf.is_code(0x1004) && !elf.is_code(0x2000));
        assert_eq!(elf.segment(0x2000).map(Segment::range), Some(0x2000..0x2003));
        // A string needs its NUL in the same segment.
        assert_eq!(elf.string(0x1000), None);
    }

    #[test]
    fn strings_end_at_a_nul_that_is_not_too_far_away() {
        let mut text = vec![b'a'; 4096];
        text[4095] = 0;
        let long = vec![b'a'; 4096].into_iter().chain([0]).collect();
        let file = Fabricated::x86_64(vec![(0x1000, READ, text), (0x9000, READ, long)]);
        let data = file.bytes();
        let elf = Elf::parse(&data, &Budget::default()).expect("an ELF file");
        assert_eq!(elf.string(0x1000).map(<[u8]>::len), Some(4095));
        assert_eq!(elf.string(0x1fff), Some(&b""[..]));
        assert_eq!(elf.string(0x9000), None);
    }

    /// A file with a symbol `own` at 0x4000, a symbol `other` of another file, and four relocated words.
    fn relocated(is_64: bool, endian: Endianness, has_addends: bool) -> Vec<u8> {
        let mut file = Fabricated::x86_64(Vec::new());
        (file.is_64, file.endian) = (is_64, endian);
        let word = if is_64 { 8 } else { 4 };
        // The null symbol, `own` at 1 and `other` at 5 in the strings.
        let symbol = |name: u32, section: u16, value: u64| {
            let section = endian.write_u16(section).to_vec();
            let (name, value, size) = (file.u32(name), file.word(value), file.word(0));
            match is_64 {
                true => [name, vec![0; 2], section, value, size].concat(),
                false => [name, value, size, vec![0; 2], section].concat(),
            }
        };
        let symbols = [symbol(0, 0, 0), symbol(1, 1, 0x4000), symbol(5, 0, 0)].concat();
        let addend = -8_i64;
        let relocations: Vec<u8> = [(0, 0), (1, 1), (2, 2), (3, 7)]
            .into_iter()
            .flat_map(|(place, symbol)| {
                let info = if is_64 { symbol << 32 | 1 } else { symbol << 8 | 1 };
                let place = 0x5000 + place * word;
                let addend = has_addends.then(|| file.word(addend.cast_unsigned()));
                [file.word(place), file.word(info), addend.unwrap_or_default()].concat()
            })
            .collect();
        let in_place = if has_addends { 0x77 } else { addend.cast_unsigned() };
        let words = [in_place; 4].into_iter().chain([0, 0x1234]).flat_map(|value| file.word(value)).collect();
        let size = relocations.len() as u64;
        file.dynamic = vec![(5, 0x1000), (6, 0x2000)];
        file.dynamic.extend(if has_addends { [(7, 0x3000), (8, size)] } else { [(17, 0x3000), (18, size)] });
        // Of tags with arrays of constructors, the size is missing once.
        file.dynamic.extend([(25, 0x6000), (27, 16), (32, 0x7000), (0, 0), (33, 8)]);
        let strings = b"\0own\0other\0".to_vec();
        file.segments.extend([(0x1000, READ, strings), (0x2000, READ, symbols), (0x3000, READ, relocations)]);
        file.segments.push((0x5000, READ | WRITE, words));
        file.bytes()
    }

    #[test]
    fn pointers_of_both_classes_and_byte_orders() {
        for (is_64, endian) in [
            (true, Endianness::Little),
            (true, Endianness::Big),
            (false, Endianness::Little),
            (false, Endianness::Big),
        ] {
            for has_addends in [true, false] {
                let case = format!("64: {is_64}, {endian:?}, addends: {has_addends}");
                let data = relocated(is_64, endian, has_addends);
                let elf = Elf::parse(&data, &Budget::default()).expect(&case);
                let pointer = |number: u64| elf.pointer(0x5000 + number * elf.pointer);
                let minus_eight = if is_64 { u64::MAX - 7 } else { u64::from(u32::MAX) - 7 };
                assert_eq!(pointer(0), Some(Pointer::Address(minus_eight)), "{case}");
                assert_eq!(pointer(1), Some(Pointer::Address(0x4000 - 8)), "{case}");
                assert_eq!(pointer(2), Some(Pointer::Import(b"other", -8)), "{case}");
                // Beyond the symbols there is a hole in the file.
                assert_eq!(pointer(3), None, "{case}");
                assert_eq!(
                    (pointer(4), pointer(5)),
                    (Some(Pointer::Null), Some(Pointer::Address(0x1234))),
                    "{case}"
                );
                assert_eq!((pointer(6), elf.pointer(0x5001)), (None, elf.pointer(0x5001)), "{case}");
                assert_eq!(elf.imports().collect::<Vec<_>>(), [b"other"], "{case}");
                // A table of constructors without a size, or whose size comes after the end, is none.
                assert!(matches!(&elf.constructors[..], [Range { start: 0x6000, end: 0x6010 }]), "{case}");
            }
        }
    }

    #[test]
    fn what_is_refused() {
        let segment = |address: u64, len: usize| vec![(address, READ, vec![0; len])];
        let sound = Fabricated::x86_64(segment(0x1000, 64));
        let data = sound.bytes();
        assert!(Elf::parse(&data, &Budget::default()).is_ok());
        assert!(
            refusal(&data[..100]).contains("truncated or damaged: it has 100 bytes, and its program headers")
        );
        assert!(refusal(&data[..data.len() - 1]).contains("its segments would be after its end"));
        for (kind, expected) in
            [(1, "is an object file"), (4, "is a core file"), (9, "is neither a program nor a shared object")]
        {
            let file = Fabricated { kind, ..Fabricated::x86_64(segment(0x1000, 64)) };
            assert!(refusal(&file.bytes()).contains(expected), "{expected}");
        }
        assert!(refusal(&Fabricated::x86_64(Vec::new()).bytes()).contains("has no loaded segments"));
        let last = u64::MAX - 4096 - 64;
        assert!(Elf::parse(&Fabricated::x86_64(segment(last, 64)).bytes(), &Budget::default()).is_ok());
        assert!(
            refusal(&Fabricated::x86_64(segment(last + 1, 64)).bytes()).contains("beyond the address space")
        );
    }
}
