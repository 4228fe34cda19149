//! Registers damaged images, updates their keys and unregisters them.
//!
//! A small image lies in memory as a linker and the pass would have made it. The input damages it, and then
//! the runtime itself registers it. Whatever the damage, the runtime writes only its own data, leaves the
//! code of a refused image alone, and lets each intact call reach its key's target.
//!
//! Three facts hold throughout, because the runtime trusts the loader and its own fields: a record contains
//! the address of some key, the program headers describe how the code is mapped, and the descriptor's state
//! is zero before registration.
#![no_main]

use std::cell::RefCell;
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::Ordering;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use static_call::Mode;
use static_call::c::{
    __static_call_branch as switch, __static_call_register as register,
    __static_call_unregister as unregister, __static_call_update as update,
};
use static_call_abi::{
    BRANCH, BRANCH_RECORD, Branch, Form, Image, JUMPS_WHEN_OFF, Key, Record, SIGNATURE, SIGNATURE_CALL_ONLY,
    Site, VERSION,
};

const PAGE: usize = 4096;
const HEADER: usize = 0;
const TEXT: usize = PAGE;
const DATA: usize = 2 * PAGE;
const SIZE: usize = 3 * PAGE;

/// It lives on the stack: AddressSanitizer would quarantine each one on the heap.
type Memory = [u8; SIZE];

const TRAMPOLINES: usize = TEXT + 0x108;
const TRAMPOLINE: usize = 32;
const CODE: usize = TEXT + 0x200;
const SLOT: usize = 16;
const SITES: usize = 18;
const KEYS: usize = 4;

const IMAGE: usize = DATA + 0x40;
const RECORDS: usize = DATA + 0x100;
const SITE_TABLE: usize = DATA + 0x200;
const KEY: usize = DATA + 0x300;
const GOT: usize = DATA + 0x400;
/// The branches' key and record, which follow the others.
const BRANCH_KEY: usize = KEY + KEYS * size_of::<Key>();
const BRANCHES_RECORD: usize = RECORDS + KEYS * size_of::<Record>();
const BRANCHES: usize = 6;
const BRANCH_TABLE: usize = DATA + 0x4c0;
const BRANCH_CODE: usize = TEXT + 0x500;
/// The first bytes of the code that reads a branch's key.
const CHECK: [u8; 6] = [0x48, 0x8d, 0x64, 0x24, 0x80, 0x50];
/// A key of another layout version.
const OLD_KEY: usize = DATA + 0x480;

#[derive(Arbitrary, Debug)]
struct Input {
    trampoline_mode: bool,
    damage: Vec<Damage>,
    actions: Vec<Action>,
    branches: Vec<BranchDamage>,
    switches: Vec<u8>,
}

/// Damages an entry of the branch table, or its code.
#[derive(Arbitrary, Debug)]
enum BranchDamage {
    Field(u8, u8, i32),
    Moved(u8, u8, i8),
    Copied(u8, u8),
    /// Damages a call's instruction.
    Call(u8, u8),
    Code(u8, u8, u8),
    Key(u8),
    NotABranch,
    Fewer(u8),
    None,
}

#[derive(Arbitrary, Debug)]
enum Damage {
    Site(u8, i32),
    SiteMoved(u8, i8),
    SiteInText(u8, u16),
    SiteCopied(u8, u8),
    Signature(u8, u32),
    OtherSignature(u8),
    PrefixRecord(u8, u8),
    PrefixOffset(u8, i32),
    RecordTrampoline(u8, u8),
    RecordMoved(u8, i8),
    RecordOffset(u8, i32),
    RecordKey(u8, u8),
    NoKey(u8),
    CrookedKey(u8, u8),
    OldKey(u8),
    /// Damages the runtime's own fields.
    RecordRest(u8, u8, u8),
    Code(u16, u8),
    Code4(u16, u32),
    /// Puts a call of a trampoline anywhere.
    Call(u16, u8),
    FewerSites(u8),
    FewerRecords(u8),
    NoSites,
    NoRecords,
    Version(u32),
    NoHeader,
    Header(u8, u8),
    /// Flips a bit of the tables without pointers.
    Flip(u16, u8),
}

#[derive(Arbitrary, Debug)]
enum Action {
    Update(u8, Target),
    /// An update while a debugger's breakpoint stands at a site.
    Breakpoint(u8, u8, Target),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Target {
    Near(u8),
    Far,
    Off,
}

/// Three pages between two inaccessible ones, mapped twice: for the image, and for us to write.
struct Area {
    base: usize,
    alias: *mut u8,
}

impl Area {
    fn new() -> Self {
        // SAFETY: new mappings, which are never unmapped.
        unsafe {
            let file = libc::memfd_create(c"image".as_ptr(), 0);
            assert!(file >= 0 && libc::ftruncate(file, SIZE as libc::off_t) == 0);
            let guarded = libc::mmap(
                ptr::null_mut(),
                SIZE + 2 * PAGE,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(guarded, libc::MAP_FAILED);
            let base = guarded.byte_add(PAGE);
            let write = libc::PROT_READ | libc::PROT_WRITE;
            for (page, access) in
                [(HEADER, libc::PROT_READ), (TEXT, libc::PROT_READ | libc::PROT_EXEC), (DATA, write)]
            {
                let flags = libc::MAP_SHARED | libc::MAP_FIXED;
                let mapped = libc::mmap(base.byte_add(page), PAGE, access, flags, file, page as libc::off_t);
                assert_eq!(mapped, base.byte_add(page));
            }
            let alias = libc::mmap(ptr::null_mut(), SIZE, write, libc::MAP_SHARED, file, 0);
            assert_ne!(alias, libc::MAP_FAILED);
            Self { base: base.addr(), alias: alias.cast() }
        }
    }

    fn bytes(&self) -> Memory {
        // SAFETY: mapped, and nobody writes meanwhile.
        unsafe { self.alias.cast::<Memory>().read() }
    }

    fn fill(&self, bytes: &Memory) {
        // SAFETY: mapped, and nobody reads meanwhile.
        unsafe { self.alias.cast::<Memory>().write(*bytes) }
    }

    fn image(&self) -> *mut Image {
        ptr::with_exposed_provenance_mut(self.base + IMAGE)
    }

    fn key(&self, index: usize) -> &'static Key {
        // SAFETY: `intact` has put a key there.
        unsafe { &*ptr::with_exposed_provenance(self.base + KEY + index * size_of::<Key>()) }
    }

    fn trampoline(index: usize) -> usize {
        TRAMPOLINES + index * TRAMPOLINE
    }

    /// The addresses of a branch, its check and its target.
    fn branch(index: usize) -> [usize; 3] {
        [0, 0x100, 0x200].map(|part| BRANCH_CODE + part + index * 16)
    }

    /// The address of a site. The last sites cross a word boundary.
    fn site(index: usize) -> usize {
        CODE + index * SLOT + if index < SITES - 2 { index / KEYS % 3 } else { 5 }
    }

    /// The image as the linker made it. Its last key may be another image's.
    fn intact(&self, shared: Option<usize>) -> Memory {
        let mut bytes = Bytes([0xa5; SIZE]);
        bytes.put(HEADER, &[0; 0x200]);
        bytes.put(HEADER, b"\x7fELF\x02\x01\x01");
        bytes.put(HEADER + 32, &64u64.to_le_bytes());
        bytes.put(HEADER + 54, &56u16.to_le_bytes());
        bytes.put(HEADER + 56, &3u16.to_le_bytes());
        for (index, flags) in [4u32, 5, 6].into_iter().enumerate() {
            let at = HEADER + 64 + index * 56;
            bytes.put(at, &1u32.to_le_bytes());
            bytes.put(at + 4, &flags.to_le_bytes());
            for (field, value) in [
                (8, index * PAGE),
                (16, index * PAGE),
                (24, index * PAGE),
                (32, PAGE),
                (40, PAGE),
                (48, PAGE),
            ] {
                bytes.put(at + field, &(value as u64).to_le_bytes());
            }
        }
        bytes.put(TEXT, &[0xcc; PAGE]);
        let offs = [(0, Form::Call), (1, Form::Nop), (2, Form::Zero), (3, Form::OffCall)];
        let mut keys = [0; KEYS];
        for (index, (off, form)) in offs.into_iter().enumerate() {
            let key = KEY + index * size_of::<Key>();
            let off = if form == Form::Call { 0 } else { self.base + 0x20_0000 + off };
            bytes.number(key, self.target(Target::Near(0)));
            bytes.number(key + offset_of!(Key, records), 0);
            bytes.number(key + offset_of!(Key, off), off);
            bytes.number(key + offset_of!(Key, name), 0);
            bytes.put(key + offset_of!(Key, form), &0u32.to_le_bytes());
            bytes.put(key + offset_of!(Key, flags), &(form as u32 | VERSION << 16).to_le_bytes());
            keys[index] = self.base + key;
        }
        bytes.put(BRANCH_KEY, &[0; size_of::<Key>()]);
        bytes.put(BRANCH_KEY + offset_of!(Key, flags), &(BRANCH | VERSION << 16).to_le_bytes());
        bytes.put(BRANCHES_RECORD, &[0; size_of::<Record>()]);
        bytes.number(BRANCHES_RECORD, self.base + BRANCH_KEY);
        bytes.put(BRANCHES_RECORD + offset_of!(Record, trampoline), &BRANCH_RECORD.to_le_bytes());
        for index in 0..BRANCHES {
            let [site, check, target] = Self::branch(index);
            bytes.put(site, &[0xe9]);
            bytes.distance(site + 1, site + 5, check);
            bytes.put(check, &CHECK);
            let entry = BRANCH_TABLE + index * size_of::<Branch>();
            bytes.distance(entry, entry, site);
            bytes.distance(entry + 4, entry + 4, target);
            bytes.distance(entry + 8, entry + 8, BRANCHES_RECORD + index % 2 * JUMPS_WHEN_OFF as usize);
        }
        bytes.put(OLD_KEY, &[0; size_of::<Key>()]);
        if let Some(shared) = shared {
            keys[KEYS - 1] = shared;
        }
        for (index, key) in keys.into_iter().enumerate() {
            let record = RECORDS + index * size_of::<Record>();
            let trampoline = Self::trampoline(index);
            bytes.put(record, &[0; size_of::<Record>()]);
            bytes.number(record, key);
            bytes.distance(record + offset_of!(Record, trampoline), record, trampoline);
            bytes.number(GOT + index * 8, key);
            let signature = if index == 2 { SIGNATURE_CALL_ONLY } else { SIGNATURE };
            bytes.put(trampoline - 8, &signature.to_le_bytes());
            bytes.distance(trampoline - 4, trampoline, record);
            let got = GOT + index * 8;
            // A no-op and the instruction after it, which a jump may replace.
            bytes.put(trampoline, &[0x90]);
            let code = trampoline + 1;
            match index {
                // jmp *key(%rip); the last key may lie elsewhere.
                0 => {
                    bytes.put(code, &[0xff, 0x25]);
                    bytes.distance(code + 2, code + 6, key - self.base);
                }
                // lea key(%rip), %rax; jmp *(%rax)
                1 => {
                    bytes.put(code, &[0x48, 0x8d, 0x05, 0, 0, 0, 0, 0xff, 0x20]);
                    bytes.distance(code + 3, code + 7, key - self.base);
                }
                // mov key@GOTPCREL(%rip), %rax; jmp *(%rax)
                _ => {
                    bytes.put(code, &[0x48, 0x8b, 0x05, 0, 0, 0, 0, 0xff, 0x20]);
                    bytes.distance(code + 3, code + 7, got);
                }
            }
        }
        for index in 0..SITES {
            let (at, trampoline) = (Self::site(index), Self::trampoline(index % KEYS));
            let opcode: &[u8] = match index / KEYS {
                0 | 3 => &[0xe8],
                1 => &[0xe9],
                2 => &[0x0f, 0x84],
                _ => &[0xe8],
            };
            bytes.put(at, opcode);
            bytes.distance(at + opcode.len(), at + opcode.len() + 4, trampoline);
            let entry = SITE_TABLE + index * size_of::<Site>();
            bytes.distance(entry, entry, at);
        }
        bytes.put(IMAGE, &[0; size_of::<Image>()]);
        bytes.put(IMAGE, &VERSION.to_le_bytes());
        for (field, at) in [
            (offset_of!(Image, sites), SITE_TABLE),
            (offset_of!(Image, sites_end), SITE_TABLE + SITES * size_of::<Site>()),
            (offset_of!(Image, records), RECORDS),
            (offset_of!(Image, records_end), BRANCHES_RECORD + size_of::<Record>()),
            (offset_of!(Image, branches), BRANCH_TABLE),
            (offset_of!(Image, branches_end), BRANCH_TABLE + BRANCHES * size_of::<Branch>()),
            (offset_of!(Image, header), HEADER),
        ] {
            bytes.number(IMAGE + field, self.base + at);
        }
        bytes.0
    }

    fn target(&self, target: Target) -> usize {
        match target {
            Target::Near(which) => self.base + 0x10_0000 + usize::from(which % 8) * 16,
            Target::Far => self.base ^ 1 << 40,
            Target::Off => 0,
        }
    }

    /// The target of the call at a site, decoded from its bytes alone. None if it does nothing or returns
    /// zero.
    fn reached(&self, bytes: &Memory, site: usize) -> Option<usize> {
        let destination = match bytes[site..site + 6] {
            [0xe8 | 0xe9, ..] => site + 5 + distance(bytes, site + 1),
            [0x0f, 0x84, ..] => site + 6 + distance(bytes, site + 2),
            [0x0f, 0x1f, 0x44, 0, 0, _] | [0xb8, 0, 0, 0, 0, _] | [0xc3, 0xcc, ..] => {
                return None;
            }
            ref other => panic!("no call at {site:#x}: {other:02x?}"),
        };
        let destination = destination as u64 as usize;
        if !(TEXT..DATA).contains(&destination) {
            return Some(self.base.wrapping_add(destination));
        }
        let code = destination + 1;
        let key = match bytes[destination..destination + 4] {
            [0x90, 0xe9, ..] => {
                let end = code + 5;
                return Some(self.base.wrapping_add(end.wrapping_add(distance(bytes, code + 1))));
            }
            [0x90, 0xff, 0x25, _] => self.base.wrapping_add(code + 6 + distance(bytes, code + 2)),
            [0x90, 0x48, 0x8d, 0x05] => self.base.wrapping_add(code + 7 + distance(bytes, code + 3)),
            [0x90, 0x48, 0x8b, 0x05] => number(bytes, code + 7 + distance(bytes, code + 3)),
            ref other => panic!("no trampoline at {destination:#x}: {other:02x?}"),
        };
        // SAFETY: an intact trampoline leads to a key.
        Some(unsafe { &*ptr::with_exposed_provenance::<Key>(key) }.target.load(Ordering::Relaxed).addr())
    }
}

struct Bytes(Memory);

impl Bytes {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn number(&mut self, at: usize, number: usize) {
        self.put(at, &number.to_le_bytes());
    }

    fn distance(&mut self, at: usize, from: usize, to: usize) {
        self.put(at, &(to.wrapping_sub(from) as i32).to_le_bytes());
    }

    /// The range of code, with room after it.
    fn code(&mut self, at: u16, bytes: &[u8]) {
        self.put(TEXT + usize::from(at) % 0x400, bytes);
    }

    fn damage(&mut self, base: usize, damage: &Damage) {
        let entry = |index: u8| SITE_TABLE + usize::from(index) % SITES * size_of::<Site>();
        let record = |index: u8| RECORDS + usize::from(index) % KEYS * size_of::<Record>();
        let trampoline = |index: u8| Area::trampoline(usize::from(index) % KEYS);
        let field = |index: u8| record(index) + offset_of!(Record, trampoline);
        match *damage {
            Damage::Site(index, value) => self.put(entry(index), &value.to_le_bytes()),
            Damage::SiteMoved(index, by) => {
                self.0[entry(index)] = self.0[entry(index)].wrapping_add_signed(by)
            }
            Damage::SiteInText(index, at) => {
                self.distance(entry(index), entry(index), TEXT + usize::from(at) % PAGE);
            }
            Damage::SiteCopied(index, from) => {
                self.distance(entry(index), entry(index), Area::site(usize::from(from) % SITES));
            }
            Damage::Signature(index, value) => self.put(trampoline(index) - 8, &value.to_le_bytes()),
            Damage::OtherSignature(index) => {
                self.put(trampoline(index) - 8, &SIGNATURE_CALL_ONLY.to_le_bytes());
            }
            Damage::PrefixRecord(index, to) => {
                self.distance(trampoline(index) - 4, trampoline(index), record(to));
            }
            Damage::PrefixOffset(index, value) => self.put(trampoline(index) - 4, &value.to_le_bytes()),
            Damage::RecordTrampoline(index, to) => self.distance(field(index), record(index), trampoline(to)),
            Damage::RecordMoved(index, by) => {
                self.0[field(index)] = self.0[field(index)].wrapping_add_signed(by)
            }
            Damage::RecordOffset(index, value) => self.put(field(index), &value.to_le_bytes()),
            Damage::RecordKey(index, key) => {
                self.number(record(index), base + KEY + usize::from(key) % KEYS * size_of::<Key>());
            }
            Damage::NoKey(index) => self.number(record(index), 0),
            Damage::CrookedKey(index, by) => {
                self.number(record(index), base + KEY + usize::from(by % 7 + 1));
            }
            Damage::OldKey(index) => self.number(record(index), base + OLD_KEY),
            Damage::RecordRest(index, byte, value) => {
                let rest = (8..28).chain(32..40).nth(usize::from(byte) % 28).unwrap_or(8);
                self.0[record(index) + rest] = value;
            }
            Damage::Code(at, byte) => self.code(at, &[byte]),
            Damage::Code4(at, value) => self.code(at, &value.to_le_bytes()),
            Damage::Call(at, to) => {
                let at = TEXT + usize::from(at) % 0x400;
                self.0[at] = 0xe8;
                self.distance(at + 1, at + 5, trampoline(to));
            }
            Damage::FewerSites(by) => {
                let end = SITE_TABLE + SITES * size_of::<Site>() - usize::from(by);
                self.number(IMAGE + offset_of!(Image, sites_end), base + end);
            }
            Damage::FewerRecords(by) => {
                let end = RECORDS + KEYS * size_of::<Record>() - usize::from(by);
                self.number(IMAGE + offset_of!(Image, records_end), base + end);
            }
            Damage::NoSites => self.number(IMAGE + offset_of!(Image, sites), 0),
            Damage::NoRecords => self.number(IMAGE + offset_of!(Image, records), 0),
            Damage::Version(version) => self.put(IMAGE, &version.to_le_bytes()),
            Damage::NoHeader => self.number(IMAGE + offset_of!(Image, header), 0),
            Damage::Header(at, bits) => self.0[HEADER + usize::from(at) % (64 + 3 * 56)] ^= bits,
            Damage::Flip(at, bit) => {
                let tables = SITES * size_of::<Site>() + KEYS * 8 + KEYS * 4;
                let at = usize::from(at) % tables;
                let at = match at.checked_sub(SITES * size_of::<Site>()) {
                    None => SITE_TABLE + at,
                    Some(at) if at < KEYS * 8 => Area::trampoline(at / 8) - 8 + at % 8,
                    Some(at) => field(((at - KEYS * 8) / 4) as u8) + at % 4,
                };
                self.0[at] ^= 1 << (bit % 8);
            }
        }
    }

    fn damage_branch(&mut self, damage: &BranchDamage) {
        let entry = |index: u8| BRANCH_TABLE + usize::from(index) % BRANCHES * size_of::<Branch>();
        let field = |index: u8, field: u8| entry(index) + usize::from(field) % 3 * 4;
        match *damage {
            BranchDamage::Field(index, at, value) => self.put(field(index, at), &value.to_le_bytes()),
            BranchDamage::Moved(index, at, by) => {
                let at = field(index, at);
                self.0[at] = self.0[at].wrapping_add_signed(by);
            }
            BranchDamage::Copied(from, to) => {
                let (from, to) = (entry(from), entry(to));
                self.distance(to, to, from.wrapping_add(distance(&self.0, from)));
            }
            BranchDamage::Call(index, site) => {
                self.distance(entry(index), entry(index), Area::site(usize::from(site) % SITES));
            }
            BranchDamage::Code(index, at, byte) => {
                let parts = Area::branch(usize::from(index) % BRANCHES);
                self.0[parts[usize::from(at) % 2] + usize::from(at) / 2 % 8] = byte;
            }
            BranchDamage::Key(index) => {
                let key = number(&self.0, RECORDS + usize::from(index) % KEYS * size_of::<Record>());
                self.number(BRANCHES_RECORD, key);
            }
            BranchDamage::NotABranch => {
                self.put(BRANCH_KEY + offset_of!(Key, flags), &(VERSION << 16).to_le_bytes())
            }
            BranchDamage::Fewer(count) => {
                let start = number(&self.0, IMAGE + offset_of!(Image, branches));
                let count = usize::from(count) % BRANCHES;
                self.number(IMAGE + offset_of!(Image, branches_end), start + count * size_of::<Branch>());
            }
            BranchDamage::None => {
                self.number(IMAGE + offset_of!(Image, branches), 0);
                self.number(IMAGE + offset_of!(Image, branches_end), 0);
            }
        }
    }

    /// Whether the program headers lie in the image and describe the code correctly.
    fn is_loadable(&self) -> bool {
        let bytes = &self.0;
        let (headers, count) = (number(bytes, 32), usize::from(bytes[56]) | usize::from(bytes[57]) << 8);
        if headers.checked_add(count * 56).is_none_or(|end| end > PAGE) {
            return false;
        }
        let loads =
            || (0..count).map(|index| headers + index * 56).filter(|&at| bytes[at..at + 4] == [1, 0, 0, 0]);
        let Some(first) = loads().find(|&at| number(bytes, at + 8) == 0) else { return true };
        let bias = 0usize.wrapping_sub(number(bytes, first + 16));
        loads().filter(|&at| bytes[at + 4] & 5 == 5).all(|at| {
            let start = bias.wrapping_add(number(bytes, at + 16));
            let size = number(bytes, at + 40);
            start >= TEXT && start.checked_add(size).is_some_and(|end| end <= DATA)
        })
    }
}

fn number(bytes: &Memory, at: usize) -> usize {
    usize::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn distance(bytes: &Memory, at: usize) -> usize {
    i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// The image under test, and an undamaged one that shares its last key.
struct World {
    image: Area,
    intact: Memory,
    other: Area,
    other_intact: Memory,
    mode: Option<Mode>,
}

impl World {
    fn new() -> Self {
        let (image, other) = (Area::new(), Area::new());
        let shared = ptr::from_ref(other.key(KEYS - 1)).expose_provenance();
        let (intact, other_intact) = (image.intact(Some(shared)), other.intact(None));
        Self { image, intact, other, other_intact, mode: None }
    }

    fn set_mode(&mut self, mode: Mode) {
        if self.mode == Some(mode) {
            return;
        }
        // SAFETY: a descriptor of an intact image.
        unsafe {
            if self.mode.is_some() {
                unregister(self.other.image());
            }
            static_call::fuzzing::set_mode(mode);
            self.other.fill(&self.other_intact);
            register(self.other.image());
            assert_eq!((*self.other.image()).state.get(), 2, "the undamaged image is patched");
        }
        self.mode = Some(mode);
    }

    fn branch_key(&self) -> &'static Key {
        // SAFETY: `intact` has put a key there.
        unsafe { &*ptr::with_exposed_provenance(self.image.base + BRANCH_KEY) }
    }

    fn key(&self, index: usize) -> &'static Key {
        if index == KEYS - 1 { self.other.key(index) } else { self.image.key(index) }
    }

    fn run(&mut self, input: &Input) {
        self.set_mode(if input.trampoline_mode { Mode::Trampoline } else { Mode::Inline });
        let mut damaged = Bytes(self.intact);
        for damage in input.damage.iter().take(8) {
            damaged.damage(self.image.base, damage);
        }
        for damage in input.branches.iter().take(4) {
            damaged.damage_branch(damage);
        }
        if !damaged.is_loadable() {
            return;
        }
        let before = damaged.0;
        self.image.fill(&before);
        let before_all = before;
        // SAFETY: an image in memory. Finding its damage is the runtime's task.
        unsafe { register(self.image.image()) };
        // SAFETY: still mapped.
        let patched = unsafe { (*self.image.image()).state.get() } == 2;
        if !patched {
            assert_eq!(self.image.bytes()[TEXT..DATA], before[TEXT..DATA], "code of a refused image");
        }
        if input.damage.is_empty() && input.branches.is_empty() {
            assert!(patched, "an undamaged image was refused");
        }
        self.check(&before);
        for action in input.actions.iter().take(4) {
            match *action {
                Action::Update(key, target) => self.update(usize::from(key) % KEYS, target),
                Action::Breakpoint(key, site, target) => {
                    let site = Area::site(usize::from(site) % SITES);
                    // SAFETY: in the image's text.
                    unsafe {
                        let byte = self.image.alias.add(site);
                        let there = byte.read();
                        byte.write(0xcc);
                        self.update(usize::from(key) % KEYS, target);
                        assert_eq!(byte.read(), 0xcc, "a breakpoint was overwritten");
                        byte.write(there);
                    }
                }
            }
            self.check(&before);
        }
        for &wish in input.switches.iter().take(4) {
            let key = self.branch_key();
            let before = (key.target.load(Ordering::Relaxed), self.image.bytes());
            // SAFETY: a key.
            if key.is_branch() && unsafe { switch(key, u32::from(wish % 4) + 1) } != 0 {
                assert_eq!(key.target.load(Ordering::Relaxed), before.0, "a refused switch");
                assert_eq!(
                    before.1[TEXT..DATA],
                    self.image.bytes()[TEXT..DATA],
                    "code after a refused switch"
                );
            }
            self.check(&before_all);
        }
        // SAFETY: as above.
        unsafe { unregister(self.image.image()) };
        let [from, to] = [BRANCH_CODE, BRANCH_CODE + 0x300];
        assert_eq!(self.image.bytes()[from..to], before_all[from..to], "branches of an image that is gone");
        self.update(KEYS - 1, Target::Near(1));
        self.update(KEYS - 1, Target::Near(0));
        let records = self.other.key(KEYS - 1).records.load(Ordering::Relaxed).addr();
        let own = self.other.base + RECORDS + (KEYS - 1) * size_of::<Record>();
        assert_eq!(records, own, "records of an image that is gone");
    }

    fn update(&self, index: usize, target: Target) {
        let key = self.key(index);
        let before = (self.image.bytes(), self.other.bytes());
        let state = key.load();
        // SAFETY: a key; nobody calls its targets.
        let result = unsafe { update(key, ptr::without_provenance(self.image.target(target))) };
        if result != 0 {
            assert_eq!(key.load(), state, "a refused update");
            assert_eq!(before.0[TEXT..DATA], self.image.bytes()[TEXT..DATA], "code after a refused update");
            assert_eq!(before.1[TEXT..DATA], self.other.bytes()[TEXT..DATA], "code after a refused update");
        }
    }

    fn check(&self, before: &Memory) {
        let now = self.image.bytes();
        self.nothing_else_was_written(before, &now);
        self.calls_are_right(&self.image, before, &self.intact, &now, |index| self.key(index));
        self.branches_are_right(before, &now);
        let now = self.other.bytes();
        let intact = &self.other_intact;
        self.calls_are_right(&self.other, intact, intact, &now, |index| self.other.key(index));
    }

    fn nothing_else_was_written(&self, before: &Memory, now: &Memory) {
        let base = self.image.base;
        // Compares large blocks first: most are unchanged, and the fuzzer traces every comparison.
        const STEP: usize = 512;
        let differs = |at: &usize, len: usize| before[*at..at + len] != now[*at..at + len];
        let changed = |range: std::ops::Range<usize>| {
            let steps = range.step_by(STEP).filter(|at| differs(at, STEP));
            steps.flat_map(|at| (at..at + STEP).step_by(8)).filter(|at| differs(at, 8))
        };
        assert_eq!(before[HEADER..TEXT], now[HEADER..TEXT], "the header");
        for at in changed(TEXT..DATA) {
            // Only a word with a site or trampoline of the tables may change.
            let entries = (0..SITES).map(|index| SITE_TABLE + index * 4);
            let branches = (0..BRANCHES).map(|index| BRANCH_TABLE + index * size_of::<Branch>());
            let is_site = entries.chain(branches).any(|entry| {
                let sorted = entry.wrapping_add(distance(now, entry));
                (at..at + 8).contains(&sorted)
            });
            let mut records = (0..KEYS).map(|index| RECORDS + index * size_of::<Record>());
            let is_trampoline = records.any(|record| record.wrapping_add(distance(now, record + 28)) == at);
            assert!(is_site || is_trampoline, "code at {at:#x}");
        }
        let end = |field| number(before, IMAGE + field) - base;
        for at in changed(DATA..SIZE) {
            let is_own = match at {
                IMAGE..SITE_TABLE if at < IMAGE + size_of::<Image>() => at - IMAGE >= 48 || at == IMAGE,
                RECORDS..SITE_TABLE if at < end(offset_of!(Image, records_end)) => {
                    (at - RECORDS) % size_of::<Record>() != 0
                }
                BRANCH_TABLE..SIZE if at < end(offset_of!(Image, branches_end)) => true,
                SITE_TABLE..KEY if at < end(offset_of!(Image, sites_end)) => true,
                KEY..GOT if at < BRANCH_KEY + size_of::<Key>() => {
                    matches!((at - KEY) % size_of::<Key>(), 0 | 8 | 32)
                }
                _ => false,
            };
            assert!(is_own, "data at {at:#x}");
        }
        for index in 0..KEYS {
            let at = RECORDS + index * size_of::<Record>() + offset_of!(Record, trampoline);
            assert_eq!(before[at..at + 4], now[at..at + 4], "a record's trampoline");
        }
    }

    /// Checks every branch whose code, table entry, record and key are as the linker made them.
    fn branches_are_right(&self, before: &Memory, now: &Memory) {
        let same = |at: usize, len: usize| before[at..at + len] == self.intact[at..at + len];
        if !same(BRANCH_TABLE, BRANCHES * size_of::<Branch>()) || !same(BRANCHES_RECORD, size_of::<Record>())
        {
            return;
        }
        if !same(BRANCH_KEY, size_of::<Key>()) {
            return;
        }
        let is_on = !self.branch_key().target.load(Ordering::Relaxed).is_null();
        for index in 0..BRANCHES {
            let [site, check, target] = Area::branch(index);
            if !same(site - 16, 48) || !same(check, 16) {
                continue;
            }
            let jumps = is_on != (index % 2 != 0);
            match now[site..site + 5] {
                [0xe9, ..] => {
                    let to = (site + 5).wrapping_add(distance(now, site + 1));
                    assert!(to == check || to == target && jumps, "the branch at {site:#x} jumps to {to:#x}");
                }
                [0x0f, 0x1f, 0x44, 0, 0] => assert!(!jumps, "the branch at {site:#x} does not jump"),
                ref other => panic!("no branch at {site:#x}: {other:02x?}"),
            }
        }
    }

    /// Checks every call whose instruction, trampoline and record are as the linker made them.
    fn calls_are_right(
        &self,
        area: &Area,
        before: &Memory,
        intact: &Memory,
        now: &Memory,
        key: impl Fn(usize) -> &'static Key,
    ) {
        let same = |at: usize, len: usize| before[at..at + len] == intact[at..at + len];
        for index in 0..SITES {
            let (site, owner) = (Area::site(index), index % KEYS);
            let record = RECORDS + owner * size_of::<Record>();
            let trampoline = Area::trampoline(owner);
            let slot = site - site % 8 - 8;
            let overlapped = (0..SITES).any(|other| {
                let entry = SITE_TABLE + other * size_of::<Site>();
                let other = entry.wrapping_add(distance(before, entry));
                other != site && (slot..slot + 24).contains(&other)
            });
            if !same(slot, 24) || overlapped || !same(trampoline - 8, TRAMPOLINE) {
                continue;
            }
            if !same(record, 8) || !same(record + 28, 4) {
                continue;
            }
            let (target, form) = key(owner).load();
            match area.reached(now, site) {
                Some(reached) => assert_eq!(reached, target.addr(), "the call at {site:#x}"),
                None => assert!(form != Form::Call && owner != 0, "the call at {site:#x} is off"),
            }
        }
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|input: Input| WORLD.with_borrow_mut(|world| world.run(&input)));
