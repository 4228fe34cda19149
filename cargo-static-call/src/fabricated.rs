//! Linked ELF files that unit tests make from scratch.

use object::{Endian, Endianness};
use static_call_abi::{Layout, SIGNATURE, VERSION};

pub(crate) const READ: u32 = 4;
pub(crate) const WRITE: u32 = 2;
pub(crate) const EXECUTE: u32 = 1;

/// An ELF file without section headers.
pub(crate) struct Fabricated {
    pub(crate) is_64: bool,
    pub(crate) endian: Endianness,
    pub(crate) machine: u16,
    /// `e_type`: 2 is a program at a fixed address, 3 a shared object.
    pub(crate) kind: u16,
    /// The address, the permissions and the content of each segment.
    pub(crate) segments: Vec<(u64, u32, Vec<u8>)>,
    /// The tags of the dynamic section and their values.
    pub(crate) dynamic: Vec<(u64, u64)>,
}

impl Fabricated {
    pub(crate) fn x86_64(segments: Vec<(u64, u32, Vec<u8>)>) -> Self {
        let (endian, machine) = (Endianness::Little, object::elf::EM_X86_64.0);
        Self { is_64: true, endian, machine, kind: 3, segments, dynamic: Vec::new() }
    }

    /// A word of the file's class and byte order.
    pub(crate) fn word(&self, value: u64) -> Vec<u8> {
        if self.is_64 { self.u64(value) } else { self.u32(value as u32) }
    }

    pub(crate) fn u64(&self, value: u64) -> Vec<u8> {
        self.endian.write_u64(value).to_vec()
    }

    pub(crate) fn u32(&self, value: u32) -> Vec<u8> {
        self.endian.write_u32(value).to_vec()
    }

    fn u16(&self, value: u16) -> Vec<u8> {
        self.endian.write_u16(value).to_vec()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (header, program) = if self.is_64 { (64, 56) } else { (52, 32) };
        let tags: Vec<u8> = self
            .dynamic
            .iter()
            .flat_map(|&(tag, value)| [self.word(tag), self.word(value)].concat())
            .collect();
        let mut parts: Vec<(u32, u64, u32, &[u8])> =
            self.segments.iter().map(|(address, flags, data)| (1, *address, *flags, &**data)).collect();
        if !self.dynamic.is_empty() {
            parts.push((2, 0, READ, &tags));
        }
        let mut file = b"\x7fELF".to_vec();
        let is_little = self.endian.is_little_endian();
        file.extend([if self.is_64 { 2 } else { 1 }, if is_little { 1 } else { 2 }, 1]);
        file.resize(16, 0);
        file.extend([self.u16(self.kind), self.u16(self.machine), self.u32(1)].concat());
        file.extend([self.word(0), self.word(header), self.word(0), self.u32(0)].concat());
        let counts = [header as u16, program, parts.len() as u16, 0, 0, 0];
        file.extend(counts.into_iter().flat_map(|count| self.u16(count)));
        let mut offset = header + u64::from(program) * parts.len() as u64;
        for &(kind, address, flags, data) in &parts {
            let len = data.len() as u64;
            let place = [offset, address, address, len, len].map(|value| self.word(value)).concat();
            let (kind, flags, align) = (self.u32(kind), self.u32(flags), self.word(1));
            file.extend(match self.is_64 {
                true => [kind, flags, place, align].concat(),
                false => [kind, place, flags, align].concat(),
            });
            offset += len;
        }
        for (.., data) in parts {
            file.extend(data);
        }
        file
    }
}

pub(crate) const CODE: u64 = 0x1000;
pub(crate) const TRAMPOLINE: u64 = CODE + 0x48;
pub(crate) const KEYS: u64 = 0x2000;
pub(crate) const RECORDS: u64 = KEYS + LAYOUT.key();
pub(crate) const SITES: u64 = RECORDS + 2 * LAYOUT.record();
pub(crate) const DESCRIPTOR: u64 = SITES + 16;
pub(crate) const NAME: u64 = DESCRIPTOR + LAYOUT.image();
pub(crate) const LAYOUT: Layout = Layout { pointer: 8 };

/// Memory that is written at addresses.
pub(crate) struct Memory {
    pub(crate) start: u64,
    pub(crate) data: Vec<u8>,
}

impl Memory {
    pub(crate) fn put(&mut self, address: u64, bytes: &[u8]) {
        let offset = (address - self.start) as usize;
        self.data[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn word(&mut self, address: u64, value: u64) {
        self.put(address, &value.to_le_bytes());
    }

    pub(crate) fn half(&mut self, address: u64, value: u32) {
        self.put(address, &value.to_le_bytes());
    }

    /// The distance from an address, at that address.
    pub(crate) fn distance(&mut self, address: u64, to: u64) {
        self.half(address, to.wrapping_sub(address) as u32);
    }

    /// `call` or `jmp`, by its opcode.
    pub(crate) fn branch(&mut self, address: u64, opcode: u8, to: u64) {
        self.put(address, &[opcode]);
        self.half(address + 1, to.wrapping_sub(address + 5) as u32);
    }
}

/// The code and the data of a shared object with a key, its record, and two calls.
pub(crate) fn image() -> [Memory; 2] {
    let mut code = Memory { start: CODE, data: vec![0x90; 0x80] };
    code.branch(CODE + 0x10, 0xe8, TRAMPOLINE);
    code.branch(CODE + 0x18, 0xe9, TRAMPOLINE);
    code.half(TRAMPOLINE - 8, SIGNATURE);
    code.half(TRAMPOLINE - 4, RECORDS.wrapping_sub(TRAMPOLINE) as u32);
    let mut data = Memory { start: KEYS, data: vec![0; 0x200] };
    data.word(KEYS, CODE);
    data.word(KEYS + LAYOUT.key_name(), NAME);
    data.half(KEYS + LAYOUT.key_flags(), VERSION << 16);
    data.put(NAME, b"app::KEY\0");
    data.word(RECORDS, KEYS);
    data.half(RECORDS + LAYOUT.record_trampoline(), TRAMPOLINE.wrapping_sub(RECORDS) as u32);
    data.distance(SITES + 4, CODE + 0x18);
    data.distance(SITES + 8, CODE + 0x10);
    data.half(DESCRIPTOR, VERSION);
    let fields = [SITES, SITES + 12, RECORDS, SITES, KEYS, RECORDS, SITES, SITES, CODE];
    for (number, field) in fields.into_iter().enumerate() {
        data.word(DESCRIPTOR + 8 + 8 * number as u64, field);
    }
    [code, data]
}

/// The file of an image, which only executes its code if `is_readable` is false.
pub(crate) fn file(image: [Memory; 2], is_readable: bool) -> Vec<u8> {
    let [code, data] = image;
    let access = if is_readable { READ | EXECUTE } else { EXECUTE };
    let segments = vec![(code.start, access, code.data), (data.start, READ | WRITE, data.data)];
    Fabricated::x86_64(segments).bytes()
}
