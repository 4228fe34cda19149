//! An ELF file as the dynamic linker sees it: memory at addresses, and pointers in it.
//!
//! Of any class and byte order, with or without section headers. What is allocated is linear in the file's size.

use std::fmt;

use anyhow::{Context, Result, anyhow, bail};
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym, SymbolTable};
use object::{Endian, Endianness, FileKind};

/// A linked file.
#[derive(Debug)]
pub struct Elf<'data> {
    data: &'data [u8],
    endian: Endianness,
    /// Bytes of a pointer.
    pub pointer: u64,
    /// ELF's number of the machine.
    pub machine: u16,
    /// Whether it is loaded anywhere.
    pub is_relocatable: bool,
    /// Whether it names a dynamic linker.
    pub has_interpreter: bool,
    /// What is loaded, by address.
    pub segments: Vec<Segment<'data>>,
    /// None if the file was stripped of them.
    pub sections: Vec<Section<'data>>,
    /// Functions, by address.
    functions: Vec<Symbol<'data>>,
    /// Variables, by address.
    objects: Vec<Symbol<'data>>,
    relocations: Vec<Relocation>,
    dynamic_symbols: Option<u64>,
    dynamic_strings: Option<u64>,
}

/// A part of the file that is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'data> {
    /// Where, before the file is moved as a whole.
    pub address: u64,
    /// Where in the file.
    pub offset: u64,
    /// The bytes that the file has of it.
    pub data: &'data [u8],
    /// Whether it is code.
    pub is_executable: bool,
    /// Whether the program may change it.
    pub is_writable: bool,
}

/// A named part of the file.
#[derive(Clone, Copy, Debug)]
pub struct Section<'data> {
    /// Its name.
    pub name: &'data [u8],
    /// Where it is loaded.
    pub address: u64,
    /// How long it is there.
    pub size: u64,
}

/// A named function or variable.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'data> {
    /// Its address.
    pub address: u64,
    /// Its length in bytes, or zero.
    pub size: u64,
    /// Its name as linkers know it.
    pub name: &'data [u8],
}

#[derive(Debug)]
struct Relocation {
    place: u64,
    symbol: u32,
    /// None if it lies in the place itself.
    addend: Option<i64>,
}

/// What a word of memory points at once the file is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer<'data> {
    /// Nothing.
    Null,
    /// An address in this file.
    Address(u64),
    /// A symbol that another file defines, and an offset to it.
    Import(&'data [u8], i64),
}

impl Pointer<'_> {
    /// The address, if it is one of this file's.
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
    /// If this is no linked ELF file, or it is cut off or damaged where that matters.
    pub fn parse(data: &'data [u8]) -> Result<Self> {
        match FileKind::parse(data) {
            Ok(FileKind::Elf32) => Self::parse_class::<elf::FileHeader32<Endianness>>(data),
            Ok(FileKind::Elf64) => Self::parse_class::<elf::FileHeader64<Endianness>>(data),
            Ok(FileKind::Archive) => bail!(
                "is an archive of object files: nothing in it is linked yet; inspect the program that it is linked into"
            ),
            _ => bail!("is no ELF file"),
        }
    }

    fn parse_class<E: FileHeader<Endian = Endianness>>(data: &'data [u8]) -> Result<Self> {
        let header = E::parse(data).context("has a damaged ELF header")?;
        let endian = header.endian().context("has a damaged ELF header")?;
        match header.e_type(endian) {
            elf::ET_EXEC | elf::ET_DYN => {}
            elf::ET_REL => bail!(
                "is an object file: its addresses are not known before it is linked; inspect the program or the \
                 shared object that it is linked into"
            ),
            elf::ET_CORE => bail!("is a core file: inspect the program that made it"),
            other => bail!("is neither a program nor a shared object (its ELF type is {})", other.0),
        }
        let size = data.len();
        let cut_off =
            |what| move || format!("is cut off or damaged: it has {size} bytes, and {what} lie beyond");
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
                "has nothing that is loaded: it may hold debug information alone; inspect the program itself"
            );
        }
        // No address that is looked at lies further behind than a page, so that none overflows.
        if segments
            .iter()
            .any(|segment| segment.address.checked_add(segment.data.len() as u64 + 4096).is_none())
        {
            bail!("is damaged: a segment lies beyond all addresses");
        }
        segments.sort_by_key(|segment| segment.address);
        let table = header.sections(endian, data).with_context(cut_off("its section headers"))?;
        let mut elf = Self {
            data,
            endian,
            pointer: if header.is_type_64() { 8 } else { 4 },
            machine: header.e_machine(endian).0,
            is_relocatable: header.e_type(endian) == elf::ET_DYN,
            has_interpreter: programs.iter().any(|program| program.p_type(endian) == elf::PT_INTERP),
            segments,
            sections: Vec::new(),
            functions: Vec::new(),
            objects: Vec::new(),
            relocations: Vec::new(),
            dynamic_symbols: None,
            dynamic_strings: None,
        };
        for section in table.iter() {
            if section.sh_type(endian) == elf::SHT_NULL {
                continue;
            }
            elf.sections.push(Section {
                name: table.section_name(endian, section).unwrap_or_default(),
                address: section.sh_addr(endian).into(),
                size: section.sh_size(endian).into(),
            });
        }
        elf.read_dynamic(dynamic.unwrap_or_default());
        let symbols = table.symbols(endian, data, elf::SHT_SYMTAB).unwrap_or_default();
        if symbols.is_empty() {
            elf.add_symbols::<E>(&table.symbols(endian, data, elf::SHT_DYNSYM).unwrap_or_default());
        } else {
            elf.add_symbols::<E>(&symbols);
        }
        elf.functions.sort_by_key(|symbol| symbol.address);
        elf.objects.sort_by_key(|symbol| symbol.address);
        elf.relocations.sort_by_key(|relocation| relocation.place);
        Ok(elf)
    }

    fn add_symbols<E: FileHeader<Endian = Endianness>>(&mut self, table: &SymbolTable<'data, E>) {
        for symbol in table.iter().filter(|symbol| !symbol.is_undefined(self.endian)) {
            let list = match symbol.st_type() {
                elf::STT_FUNC | elf::STT_GNU_IFUNC => &mut self.functions,
                // Assembler's functions need not say that they are functions.
                elf::STT_NOTYPE | elf::STT_OBJECT => &mut self.objects,
                _ => continue,
            };
            let name = symbol.name(self.endian, table.strings()).unwrap_or_default();
            // Mapping symbols, and what compilers do not name.
            if name.is_empty() || name.starts_with(b"$") || name.starts_with(b".L") {
                continue;
            }
            let mut address = symbol.st_value(self.endian).into();
            if self.machine == elf::EM_ARM.0 {
                address &= !1; // Thumb code.
            }
            list.push(Symbol { address, size: symbol.st_size(self.endian).into(), name });
        }
    }

    /// Finds the relocations as the dynamic linker does. What lies nowhere is none: its work is not ours.
    fn read_dynamic(&mut self, tags: &[u8]) {
        let word = self.pointer as usize;
        let mut found = [None; 19];
        for tag in tags.chunks_exact(2 * word) {
            let (name, value) = tag.split_at(word);
            match usize::try_from(self.number(name)) {
                Ok(0) => break,
                Ok(name @ ..19) => found[name] = Some(self.number(value)),
                _ => {}
            }
        }
        let tag = |tag: elf::DynamicTag| found[tag.0 as usize];
        self.dynamic_symbols = tag(elf::DT_SYMTAB);
        self.dynamic_strings = tag(elf::DT_STRTAB);
        let table = |start, size| self.read(tag(start)?, tag(size)?);
        let with_addends = table(elf::DT_RELA, elf::DT_RELASZ).unwrap_or_default();
        let without = table(elf::DT_REL, elf::DT_RELSZ).unwrap_or_default();
        let symbol = |info: u64| (if word == 8 { info >> 32 } else { info >> 8 }) as u32;
        let mut relocations = Vec::with_capacity(with_addends.len() / (3 * word));
        for entry in with_addends.chunks_exact(3 * word) {
            let field = |index| self.number(&entry[index * word..][..word]);
            let addend = field(2).cast_signed();
            let addend = if word == 8 { addend } else { (addend as i32).into() };
            relocations.push(Relocation { place: field(0), symbol: symbol(field(1)), addend: Some(addend) });
        }
        for entry in without.chunks_exact(2 * word) {
            let field = |index| self.number(&entry[index * word..][..word]);
            // Without a symbol it only adds where the file is loaded, and so does DT_RELR.
            if symbol(field(1)) != 0 {
                relocations.push(Relocation { place: field(0), symbol: symbol(field(1)), addend: None });
            }
        }
        self.relocations = relocations;
    }

    /// A number of the file's byte order, of four or eight bytes.
    #[must_use]
    pub fn number(&self, bytes: &[u8]) -> u64 {
        match *bytes {
            [a, b, c, d] => self.endian.read_u32([a, b, c, d]).into(),
            [a, b, c, d, e, f, g, h] => self.endian.read_u64([a, b, c, d, e, f, g, h]),
            _ => 0,
        }
    }

    /// All of the file.
    #[must_use]
    pub fn data(&self) -> &'data [u8] {
        self.data
    }

    /// The file's size.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.data.len() as u64
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Its byte order.
    #[must_use]
    pub fn endian(&self) -> Endianness {
        self.endian
    }

    /// The segment that holds an address.
    #[must_use]
    pub fn segment(&self, address: u64) -> Option<&Segment<'data>> {
        let behind = self.segments.partition_point(|segment| segment.address <= address);
        let segment = &self.segments[behind.checked_sub(1)?];
        (address - segment.address < segment.data.len() as u64).then_some(segment)
    }

    /// Whether there is code at an address.
    #[must_use]
    pub fn is_code(&self, address: u64) -> bool {
        self.segment(address).is_some_and(|segment| segment.is_executable)
    }

    /// What is loaded at an address, up to the end of its segment.
    #[must_use]
    pub fn from(&self, address: u64) -> &'data [u8] {
        self.segment(address).map_or(&[], |segment| &segment.data[(address - segment.address) as usize..])
    }

    /// So many bytes at an address, if the file has them.
    #[must_use]
    pub fn read(&self, address: u64, len: u64) -> Option<&'data [u8]> {
        self.from(address).get(..usize::try_from(len).ok()?)
    }

    /// A number of 32 bits.
    #[must_use]
    pub fn u32(&self, address: u64) -> Option<u32> {
        Some(self.number(self.read(address, 4)?) as u32)
    }

    /// A string that ends in NUL, not too long.
    #[must_use]
    pub fn string(&self, address: u64) -> Option<&'data [u8]> {
        const LONGEST: usize = 4096;
        let bytes = self.from(address);
        let len = bytes.iter().take(LONGEST).position(|&byte| byte == 0)?;
        Some(&bytes[..len])
    }

    /// What the pointer at an address points at once the file is loaded.
    #[must_use]
    pub fn pointer(&self, place: u64) -> Option<Pointer<'data>> {
        let in_place = self.number(self.read(place, self.pointer)?);
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

    /// The symbols of other files that its data refers to.
    pub fn imports(&self) -> impl Iterator<Item = &'data [u8]> {
        let symbols = self.relocations.iter().filter_map(|relocation| self.dynamic_symbol(relocation.symbol));
        symbols.filter(|(_, value)| value.is_none()).map(|(name, _)| name)
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

    /// The function that holds an address.
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

    /// Whether the file has names for its own functions.
    #[must_use]
    pub fn has_symbols(&self) -> bool {
        self.section(".symtab").is_some()
    }

    /// The machine's name, as far as it is known here.
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

/// As `file` says it.
impl fmt::Display for Elf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.pointer * 8;
        let order = if self.endian.is_little_endian() { "little" } else { "big" };
        let kind = match (self.is_relocatable, self.has_interpreter) {
            (true, true) => "position-independent program",
            (true, false) => "shared object or static position-independent program",
            (false, true) => "program at a fixed address",
            (false, false) => "static program",
        };
        write!(f, "{}, {bits} bits, {order}-endian, {kind}", self.machine_name())
    }
}
