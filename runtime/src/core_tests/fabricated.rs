//! An image in memory, as the pass and a linker would have made it.

use std::vec::Vec;

use core::cell::Cell;
use core::mem::offset_of;
use core::ptr::{null, null_mut};
use core::sync::atomic::Ordering;

use static_call_abi::{
    BRANCH_RECORD, Branch, Form, Image, JUMPS_WHEN_OFF, Key, Record, SIGNATURE, SIGNATURE_WITHOUT_SITES,
    SITE_ANCHOR, Site, VERSION,
};

use super::faults;
use crate::arch::{self, Action, Jumps, Kind, native};
use crate::page::PAGE;

/// Keys of an image. The second one can be off, the third one can return zero.
pub(super) const KEYS: usize = 3;
/// Sites of each key: calls and a jump. One more site, of the first key, does not lie in one word.
pub(super) const SITES_OF_KEY: usize = 3;
const SITES: usize = KEYS * SITES_OF_KEY + 1;
const ACROSS_WORDS: usize = SITES - 1;

/// Keys of branches, behind the others: the first one is off, the second one is on. Without branches nobody
/// asks for them.
pub(super) const BRANCH_KEYS: usize = 2;
/// Each key's instructions jump when it is on and when it is off. One more, of the first key, does not lie
/// in one word.
pub(super) const BRANCHES: usize = 7;
const BRANCH_ACROSS_WORDS: usize = BRANCHES - 1;

const TEXT: usize = PAGE;
const CODE: usize = TEXT + 0x400;
const SLOT: usize = 16;
const BRANCH_CODE: usize = TEXT + 0x800;
/// A branch, the code that looks at its key, and its target.
const BRANCH_SLOT: usize = 48;
const TRAMPOLINE: usize = 32;
const DATA: usize = 2 * PAGE;
const SECOND_DESCRIPTOR: usize = DATA + 0x400;
/// Keys, records, branches and sites, side by side, and a page of zeros behind them.
const TABLES: usize = 3 * PAGE;
const KEY: usize = TABLES + 8;
const RECORDS: usize = KEY + (KEYS + BRANCH_KEYS) * size_of::<Key>();
const BRANCH_TABLE: usize = RECORDS + (KEYS + BRANCH_KEYS) * size_of::<Record>();
const SITE_TABLE: usize = BRANCH_TABLE + BRANCHES * size_of::<Branch>();
const SITES_END: usize = SITE_TABLE + SITES * size_of::<Site>();
const SIZE: usize = 5 * PAGE;

/// `struct Elf64_Ehdr`, and the program headers behind it.
#[repr(C)]
struct Headers {
    ident: [u8; 16],
    numbers: [u32; 2],
    entry: u64,
    program_headers: u64,
    section_headers: u64,
    flags: u32,
    sizes: [u16; 6],
    segment: Segment,
}

#[repr(C)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

/// The memory: as the runtime sees it, and for writing to its code.
pub(super) struct Fabricated {
    base: *mut u8,
    alias: *mut u8,
}

impl Fabricated {
    /// An image whose records name these keys, or else its own.
    pub(super) fn new(keys: Option<&Self>) -> Self {
        let (base, alias) = memory::map();
        base.expose_provenance();
        faults::add_area(base.addr(), SIZE, alias);
        let image = Self { base, alias };
        image.write_headers();
        image.write_keys();
        for index in 0..KEYS {
            image.write_trampoline(index);
            image.write_record(index, keys.unwrap_or(&image).key(index));
        }
        for site in 0..SITES {
            image.write_site(site);
        }
        image.write_descriptor();
        image
    }

    /// The same without the pass: what tells a trampoline's record stands behind its code. An assembler may
    /// have recorded the calls.
    pub(super) fn without_pass(keys: Option<&Self>) -> Self {
        let image = Self::new(keys);
        for index in 0..KEYS {
            let at = Self::trampoline_offset(index);
            let record = RECORDS + index * size_of::<Record>();
            image.put_bytes(at - 8, &[0; 8]);
            image.put(at + 16, SIGNATURE_WITHOUT_SITES);
            image.put(at + 20, record.wrapping_sub(at) as i32);
        }
        image
    }

    /// The same without recorded calls.
    pub(super) fn without_sites(keys: Option<&Self>) -> Self {
        let image = Self::without_pass(keys);
        for site in 0..SITES {
            image.put(SITE_TABLE + site * size_of::<Site>(), SITE_ANCHOR);
        }
        image
    }

    /// The same with branches.
    pub(super) fn with_branches(keys: Option<&Self>) -> Self {
        let image = Self::new(keys);
        for index in KEYS..KEYS + BRANCH_KEYS {
            image.write_record_of(index, keys.unwrap_or(&image).key(index), BRANCH_RECORD);
        }
        for branch in 0..BRANCHES {
            image.write_branch(branch);
        }
        image
    }

    /// The same with branches alone.
    pub(super) fn with_branches_alone(keys: Option<&Self>) -> Self {
        let image = Self::with_branches(keys);
        image.put_bytes(RECORDS, &[0; KEYS * size_of::<Record>()]);
        image.put_bytes(SITE_TABLE, &[0; SITES * size_of::<Site>()]);
        image
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(offset + size_of::<T>() <= SIZE);
        // SAFETY: in the memory.
        unsafe { self.base.add(offset).cast() }
    }

    fn put<T>(&self, offset: usize, value: T) {
        assert!(offset + size_of::<T>() <= SIZE);
        // SAFETY: in the memory, which nobody reads meanwhile.
        unsafe { self.alias.add(offset).cast::<T>().write_unaligned(value) };
    }

    fn put_bytes(&self, offset: usize, bytes: &[u8]) {
        for (index, &byte) in bytes.iter().enumerate() {
            self.put(offset + index, byte);
        }
    }

    fn write_headers(&self) {
        let mut ident = [0; 16];
        ident[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        let segment = Segment {
            kind: 1,
            flags: 5,
            offset: 0,
            address: 0,
            physical: 0,
            file_size: DATA as u64,
            memory_size: DATA as u64,
            align: PAGE as u64,
        };
        let program_headers = offset_of!(Headers, segment) as u64;
        let sizes = [64, 56, 1, 0, 0, 0];
        self.put(
            0,
            Headers {
                ident,
                numbers: [0; 2],
                entry: 0,
                program_headers,
                section_headers: 0,
                flags: 0,
                sizes,
                segment,
            },
        );
    }

    fn write_keys(&self) {
        for (index, form) in [Form::Call, Form::Nop, Form::Zero].into_iter().enumerate() {
            let off = if form == Form::Call { null() } else { self.target(100 + index) };
            let name = [c"app::CALL", c"app::HOOK", c"app::net::ZERO"][index].as_ptr();
            let start = if form == Form::Call { (self.target(0), Form::Call) } else { (off, form) };
            self.put(KEY + index * size_of::<Key>(), Key::with_off(start.0, start.1, off, form, name));
        }
        for index in 0..BRANCH_KEYS {
            let key = Key::branch(index == 1, [c"app::OFF", c"app::net::ON"][index].as_ptr());
            self.put(KEY + (KEYS + index) * size_of::<Key>(), key);
        }
    }

    fn write_branch(&self, branch: usize) {
        let (site, entry) = (Self::branch_offset(branch), BRANCH_TABLE + branch * size_of::<Branch>());
        let pc = self.base.addr() + site;
        let to_check = Action::Branch(self.check(branch));
        let code = arch::encode_branch(pc, to_check).expect("in reach");
        self.put_bytes(site, code.as_bytes());
        self.put_bytes(site + 16, &[0x48, 0x8d, 0x64, 0x24, 0x80, 0x50]);
        self.put(entry, site.wrapping_sub(entry) as i32);
        self.put(entry + 4, (site + 32).wrapping_sub(entry + 4) as i32);
        let record = RECORDS + (KEYS + Self::key_of_branch(branch)) * size_of::<Record>();
        let polarity = if Self::jumps(branch) == Jumps::WhenOff { JUMPS_WHEN_OFF } else { 0 };
        self.put(entry + 8, record.wrapping_sub(entry + 8) as i32 | polarity);
    }

    fn write_trampoline(&self, index: usize) {
        let (at, record) = (Self::trampoline_offset(index), RECORDS + index * size_of::<Record>());
        self.put(at - 8, SIGNATURE);
        self.put(at - 4, record.wrapping_sub(at) as i32);
        // nop; jmp *key(%rip)
        self.put_bytes(at, &[0x90, 0xff, 0x25]);
        self.put(at + 3, (KEY + index * size_of::<Key>()).wrapping_sub(at + 7) as i32);
        self.put_bytes(at + 7, &[0xcc; 9]);
    }

    fn write_record(&self, index: usize, key: *const Key) {
        let at = RECORDS + index * size_of::<Record>();
        self.write_record_of(index, key, Self::trampoline_offset(index).wrapping_sub(at) as i32);
    }

    fn write_record_of(&self, index: usize, key: *const Key, trampoline: i32) {
        let at = RECORDS + index * size_of::<Record>();
        let record = Record {
            key,
            next: Cell::new(null_mut()),
            sites: Cell::new(null_mut()),
            count: Cell::new(0),
            trampoline,
            saved: Cell::new([0; 8]),
        };
        self.put(at, record);
    }

    fn write_site(&self, site: usize) {
        let (offset, key) = (Self::site_offset(site), Self::key_of_site(site));
        let kind = if site % SITES_OF_KEY == 1 { Kind::Jump } else { Kind::Call };
        let pc = self.base.addr() + offset;
        let to_trampoline = Action::Branch(self.trampoline(key));
        let code = native::encode(kind, pc, to_trampoline).expect("in reach");
        self.put_bytes(offset, code.as_bytes());
        let entry = SITE_TABLE + site * size_of::<Site>();
        self.put(entry, offset.wrapping_sub(entry) as Site);
    }

    fn write_descriptor(&self) {
        let image = Image {
            version: VERSION,
            state: Cell::new(0),
            sites: self.at(SITE_TABLE),
            sites_end: self.end_of(SITES_END),
            records: self.at(RECORDS),
            records_end: self.end_of(BRANCH_TABLE),
            keys: self.end_of(TABLES),
            keys_end: self.end_of(RECORDS),
            branches: self.at(BRANCH_TABLE),
            branches_end: self.end_of(SITE_TABLE),
            // The zeros start right behind the sites.
            end: self.end_of::<u8>(SITES_END + PAGE),
            header: Cell::new(self.base),
            next: Cell::new(null_mut()),
            text: Cell::new(0),
            text_end: Cell::new(0),
            window: Cell::new(0),
            window_end: Cell::new(0),
            text_flags: Cell::new(0),
            reason: Cell::new(0),
        };
        self.put(DATA, image);
    }

    fn end_of<T>(&self, offset: usize) -> *mut T {
        // SAFETY: in the memory, or at its end.
        unsafe { self.base.add(offset).cast() }
    }

    fn trampoline_offset(index: usize) -> usize {
        TEXT + 0x40 + index * TRAMPOLINE
    }

    /// Sites of one key do not lie side by side, so that the runtime has something to sort.
    fn site_offset(site: usize) -> usize {
        CODE + site * SLOT + if site == ACROSS_WORDS { 5 } else { 0 }
    }

    fn key_of_site(site: usize) -> usize {
        if site == ACROSS_WORDS { 0 } else { site % KEYS }
    }

    fn branch_offset(branch: usize) -> usize {
        BRANCH_CODE + branch * BRANCH_SLOT + if branch == BRANCH_ACROSS_WORDS { 5 } else { branch % 4 }
    }

    /// The number of a branch's key among those of branches. One key's branches do not lie side by side.
    pub(super) fn key_of_branch(branch: usize) -> usize {
        if branch == BRANCH_ACROSS_WORDS { 0 } else { branch % BRANCH_KEYS }
    }

    pub(super) fn jumps(branch: usize) -> Jumps {
        if (branch / BRANCH_KEYS).is_multiple_of(2) { Jumps::WhenOn } else { Jumps::WhenOff }
    }

    pub(super) fn lies_in_one_word(branch: usize) -> bool {
        branch != BRANCH_ACROSS_WORDS
    }

    pub(super) fn branch(&self, branch: usize) -> usize {
        self.base.addr() + Self::branch_offset(branch)
    }

    /// The code that looks at the key.
    pub(super) fn check(&self, branch: usize) -> usize {
        self.branch(branch) + 16
    }

    pub(super) fn branch_target(&self, branch: usize) -> usize {
        self.branch(branch) + 32
    }

    /// What the instruction of a branch does.
    pub(super) fn branch_action(&self, branch: usize) -> Action {
        let pc = self.branch(branch);
        arch::decode_branch(pc, &self.code()[self.offset_in_code(pc)..]).expect("a branch")
    }

    pub(super) fn branch_key(&self, index: usize) -> &'static Key {
        self.key(KEYS + index)
    }

    /// The branch table, byte for byte.
    pub(super) fn branch_table(&self) -> Vec<u8> {
        // SAFETY: in the memory, which nobody writes meanwhile.
        (BRANCH_TABLE..SITE_TABLE).map(|offset| unsafe { self.base.add(offset).read() }).collect()
    }

    pub(super) fn set_branch_table(&self, bytes: &[u8]) {
        self.put_bytes(BRANCH_TABLE, bytes);
    }

    pub(super) fn image(&self) -> *mut Image {
        self.at(DATA)
    }

    /// A second descriptor of the same tables.
    pub(super) fn second_descriptor(&self) -> *mut Image {
        // SAFETY: both lie in the memory, and nobody writes the first one meanwhile.
        unsafe { self.at::<Image>(SECOND_DESCRIPTOR).copy_from(self.image(), 1) };
        self.at(SECOND_DESCRIPTOR)
    }

    pub(super) fn descriptor(&self) -> &Image {
        // SAFETY: written by `new`; its fields are read, or cells.
        unsafe { &*self.image() }
    }

    pub(super) fn header(&self) -> *const u8 {
        self.base
    }

    pub(super) fn key(&self, index: usize) -> &'static Key {
        // SAFETY: written by `new`; tests drop their images last.
        unsafe { &*self.at(KEY + index * size_of::<Key>()) }
    }

    pub(super) fn record(&self, index: usize) -> *mut Record {
        self.at(RECORDS + index * size_of::<Record>())
    }

    /// The first of a key's records.
    pub(super) fn first_record(&self, key: usize) -> *mut Record {
        self.key(key).records.load(Ordering::Relaxed)
    }

    pub(super) fn trampoline(&self, index: usize) -> usize {
        self.base.addr() + Self::trampoline_offset(index)
    }

    /// The address of a function, which nobody calls.
    pub(super) fn target(&self, number: usize) -> *const () {
        core::ptr::without_provenance(self.base.addr() + 0x10_0000 + 16 * number)
    }

    /// A damaged table: the first entry leads to no call.
    pub(super) fn damage(&self) {
        self.put(SITE_TABLE, CODE.wrapping_sub(SITE_TABLE) as Site + 3);
    }

    /// The descriptor has no section of keys.
    pub(super) fn hide_keys(&self) {
        let none: [*mut Key; 2] = [null_mut(); 2];
        self.put(DATA + core::mem::offset_of!(Image, keys), none);
    }

    /// Something of the program's lies behind the sites, on their page.
    pub(super) fn share_the_last_page(&self) {
        self.put(DATA + offset_of!(Image, end), self.end_of::<u8>(SITES_END + PAGE + 8));
    }

    /// What stands at the header's address is none.
    pub(super) fn remove_header(&self) {
        self.put(0, 0u8);
    }

    /// The access of the segment with the code, as `p_flags`.
    pub(super) fn set_flags(&self, flags: u32) {
        self.put(offset_of!(Headers, segment.flags), flags);
    }

    /// The segment with the code ends before the first trampoline.
    pub(super) fn cut_code(&self) {
        self.put(offset_of!(Headers, segment.memory_size), TEXT as u64);
    }

    /// As an optimizer leaves it that has put code into another segment: the program headers do not follow
    /// the header any more.
    pub(super) fn move_code(&self) {
        const MOVED: usize = 256;
        let segment = |address: usize| Segment {
            kind: 1,
            flags: 5,
            offset: address as u64,
            address: address as u64,
            physical: 0,
            file_size: PAGE as u64,
            memory_size: DATA as u64,
            align: PAGE as u64,
        };
        self.put(MOVED, segment(0));
        self.put(MOVED + size_of::<Segment>(), segment(SIZE));
        self.put(offset_of!(Headers, program_headers), MOVED as u64);
        // After the sizes of the header and of a program header: how many there are.
        self.put(offset_of!(Headers, sizes) + 2 * size_of::<u16>(), 2u16);
    }

    /// Has a record name this address as its key.
    pub(super) fn set_key(&self, record: usize, key: *const Key) {
        self.put(RECORDS + record * size_of::<Record>() + offset_of!(Record, key), key);
    }

    pub(super) fn set_version_of_key(&self, index: usize, version: u32) {
        self.put(KEY + index * size_of::<Key>() + offset_of!(Key, flags), version << 16);
    }

    /// A trampoline that carries another signature.
    pub(super) fn set_signature(&self, index: usize, signature: u32) {
        self.put(Self::trampoline_offset(index) - 8, signature);
    }

    /// A trampoline that names another one's record, before its code and behind it.
    pub(super) fn name_other_record(&self, index: usize) {
        let (at, record) =
            (Self::trampoline_offset(index), RECORDS + (index + 1) % KEYS * size_of::<Record>());
        for place in [at - 4, at + 20] {
            self.put(place, record.wrapping_sub(at) as i32);
        }
    }

    pub(super) fn set_version(&self, version: u32) {
        self.put(DATA, version);
    }

    /// The code, byte for byte.
    pub(super) fn code(&self) -> Vec<u8> {
        // SAFETY: in the memory, which nobody writes meanwhile.
        (0..PAGE).map(|offset| unsafe { self.alias.add(TEXT + offset).read() }).collect()
    }

    /// Whether updates have marked pages that they have not unmarked.
    pub(super) fn has_marks(&self) -> bool {
        // SAFETY: the zeros behind the sites, which only updates write.
        (SITES_END..SITES_END + PAGE).any(|offset| unsafe { self.base.add(offset).read() } != 0)
    }

    /// Where this address lies in [`code`](Self::code).
    pub(super) fn offset_in_code(&self, address: usize) -> usize {
        address - self.base.addr() - TEXT
    }

    pub(super) fn set_code(&self, address: usize, byte: u8) {
        self.put(address - self.base.addr(), byte);
    }

    /// The sites of a key that lie in one word.
    pub(super) fn sites(&self, key: usize) -> impl Iterator<Item = usize> {
        let base = self.base.addr();
        (0..ACROSS_WORDS)
            .filter(move |&site| Self::key_of_site(site) == key)
            .map(move |site| base + Self::site_offset(site))
    }

    /// The one that does not.
    pub(super) fn site_across_words(&self) -> usize {
        self.base.addr() + Self::site_offset(ACROSS_WORDS)
    }

    /// What the instruction at this address does.
    pub(super) fn action(&self, pc: usize) -> Action {
        let at = self.offset_in_code(pc);
        native::decode(pc, &self.code()[at..]).expect("a site").1
    }
}

impl Drop for Fabricated {
    fn drop(&mut self) {
        faults::remove_area(self.base.addr());
        memory::unmap(self.base, self.alias);
    }
}

/// Code that is mapped twice: where it is executed nobody may write.
#[cfg(all(feature = "os", target_os = "linux"))]
mod memory {
    use super::{DATA, PAGE, SIZE, TEXT};

    pub(super) fn map() -> (*mut u8, *mut u8) {
        // SAFETY: new mappings.
        unsafe {
            let file = libc::memfd_create(c"image".as_ptr(), 0);
            assert!(file >= 0 && libc::ftruncate(file, SIZE as libc::off_t) == 0);
            let map = || {
                let access = libc::PROT_READ | libc::PROT_WRITE;
                let mapped =
                    libc::mmap(core::ptr::null_mut(), SIZE, access, libc::MAP_SHARED, file, 0).cast::<u8>();
                assert_ne!(mapped.cast(), libc::MAP_FAILED);
                mapped
            };
            let (base, alias) = (map(), map());
            assert_eq!(libc::mprotect(base.add(TEXT).cast(), DATA - TEXT, libc::PROT_READ), 0);
            assert_eq!(libc::close(file), 0);
            assert!(base.addr().is_multiple_of(PAGE));
            (base, alias)
        }
    }

    pub(super) fn unmap(base: *mut u8, alias: *mut u8) {
        for start in [base, alias] {
            // SAFETY: mapped above, and nobody uses it any more.
            unsafe { libc::munmap(start.cast(), SIZE) };
        }
    }
}

#[cfg(not(all(feature = "os", target_os = "linux")))]
mod memory {
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    use super::{PAGE, SIZE};

    const LAYOUT: Layout = match Layout::from_size_align(SIZE, PAGE) {
        Ok(layout) => layout,
        Err(_) => panic!("a page"),
    };

    pub(super) fn map() -> (*mut u8, *mut u8) {
        // SAFETY: the layout has bytes.
        let memory = unsafe { alloc_zeroed(LAYOUT) };
        (memory, memory)
    }

    pub(super) fn unmap(base: *mut u8, _alias: *mut u8) {
        // SAFETY: allocated above, and nobody uses it any more.
        unsafe { dealloc(base, LAYOUT) };
    }
}
