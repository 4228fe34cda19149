//! This program's own code, in the file and in memory.

use anyhow::{Context, Result, ensure};
use iced_x86::{Decoder, DecoderOptions, Formatter, GasFormatter, SymbolResolver, SymbolResult};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol};

/// This program's file.
pub(crate) struct Program {
    data: Vec<u8>,
    /// The difference between an address in memory and the same address in the file.
    bias: u64,
    /// Functions by their address in memory.
    symbols: Vec<(u64, String)>,
}

/// The address of a call in memory.
#[derive(Clone, Copy)]
pub(crate) struct Site(u64);

impl Program {
    pub(crate) fn load() -> Result<Self> {
        let data = std::fs::read("/proc/self/exe").context("cannot read this program's own file")?;
        let file = object::File::parse(&*data)?;
        // The entry point in memory comes from the kernel: AT_ENTRY, 9, in the auxiliary vector.
        let auxiliary = std::fs::read("/proc/self/auxv").context("cannot read /proc/self/auxv")?;
        let (numbers, _) = auxiliary.as_chunks::<8>();
        let entry = numbers
            .chunks_exact(2)
            .find(|pair| u64::from_ne_bytes(pair[0]) == 9)
            .map(|pair| u64::from_ne_bytes(pair[1]))
            .context("the kernel gave no AT_ENTRY")?;
        let bias = entry.wrapping_sub(file.entry());
        let mut symbols: Vec<(u64, String)> = file
            .symbols()
            .filter(|symbol| symbol.is_definition() && symbol.kind() == object::SymbolKind::Text)
            .filter_map(|symbol| Some((symbol.address().wrapping_add(bias), demangle(symbol.name().ok()?))))
            .collect();
        symbols.sort();
        Ok(Self { bias, symbols, data })
    }

    fn file(&self) -> object::File<'_> {
        object::File::parse(&*self.data).expect("parsed before")
    }

    /// The static calls in a function: the entries of the site table that lie in it.
    pub(crate) fn sites_of(&self, function: *const ()) -> Result<Vec<Site>> {
        let file = self.file();
        let start = (function as u64).wrapping_sub(self.bias);
        let size = file
            .symbols()
            .find(|symbol| symbol.address() == start && symbol.size() > 0)
            .context("the function has no symbol: the program was stripped")?
            .size();
        let table = file.section_by_name("static_call_sites");
        let table = table.context("no static call was compiled with the pass: build with the wrapper")?;
        let (entries, _) = table.data()?.as_chunks::<4>();
        let mut sites: Vec<u64> = (table.address()..)
            .step_by(4)
            .zip(entries)
            .map(|(place, entry)| place.wrapping_add_signed(i32::from_le_bytes(*entry).into()))
            .filter(|site| (start..start + size).contains(site))
            .collect();
        sites.sort_unstable();
        ensure!(!sites.is_empty(), "the function has no static call");
        Ok(sites.into_iter().map(|site| Site(site.wrapping_add(self.bias))).collect())
    }

    /// The instruction as the linker left it.
    pub(crate) fn in_file(&self, site: Site) -> String {
        let file = self.file();
        let address = site.0.wrapping_sub(self.bias);
        let bytes = file.segments().find_map(|segment| segment.data_range(address, 8).ok().flatten());
        bytes.map_or_else(|| "not in the file".to_owned(), |bytes| self.disassemble(site, bytes))
    }

    /// The instruction as it is now.
    pub(crate) fn in_memory(&self, site: Site) -> String {
        // SAFETY: code of this program, which nobody is changing at the moment.
        let bytes = unsafe { std::slice::from_raw_parts(site.0 as *const u8, 8) };
        self.disassemble(site, bytes)
    }

    fn disassemble(&self, site: Site, bytes: &[u8]) -> String {
        let instruction = Decoder::with_ip(64, bytes, site.0, DecoderOptions::NONE).decode();
        let mut text = String::new();
        let mut formatter = GasFormatter::with_options(Some(Box::new(Names(self.symbols.clone()))), None);
        formatter.options_mut().set_first_operand_char_index(7);
        formatter.format(&instruction, &mut text);
        let code: Vec<String> = bytes[..instruction.len()].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:#x}  {:17}  {text}", site.0, code.join(" "))
    }

    /// The function at an address.
    pub(crate) fn name_of(&self, address: usize) -> String {
        let found = self.symbols.binary_search_by_key(&(address as u64), |(address, _)| *address);
        found.map_or_else(|_| format!("{address:#x}"), |index| self.symbols[index].1.clone())
    }
}

/// A symbol as a person would write it.
fn demangle(symbol: &str) -> String {
    match symbol.strip_prefix("__static_call_trampoline.") {
        Some(key) => format!("trampoline of {}", demangle(key)),
        None => format!("{:#}", rustc_demangle::demangle(symbol)),
    }
}

struct Names(Vec<(u64, String)>);

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        _: &iced_x86::Instruction,
        _: u32,
        _: Option<u32>,
        address: u64,
        _: u32,
    ) -> Option<SymbolResult<'_>> {
        let index = self.0.binary_search_by_key(&address, |(address, _)| *address).ok()?;
        Some(SymbolResult::with_str(address, &self.0[index].1))
    }
}
