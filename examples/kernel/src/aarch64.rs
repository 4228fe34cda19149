//! QEMU's machine `virt`, booted by `-kernel`: exception level 1, the MMU off.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::fmt;

use static_call::CodeWriter;

/// Writes code where it is mapped a second time, writable and not executable.
///
/// The architecture's own sequence keeps the caches coherent (Arm ARM, B2.7.4). There is one processor. A
/// kernel with more has to interrupt every other one in `serialize`, since `isb` only affects the processor
/// that executes it.
struct Alias;

// SAFETY: both mappings show the same memory, and `serialize` does what the manual asks for.
unsafe impl CodeWriter for Alias {
    fn alias(&self, word: *mut u8) -> *mut u8 {
        word.wrapping_add(ALIAS)
    }

    fn serialize(&self) -> Result<(), i32> {
        unsafe extern "C" {
            static __code_start: [u8; 0];
            static __code_end: [u8; 0];
        }
        let lines =
            || ((&raw const __code_start).addr()..(&raw const __code_end).addr()).step_by(line_size());
        // SAFETY: cleans and drops lines of caches, all of them code, and changes no data.
        unsafe {
            for line in lines() {
                asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags));
            }
            asm!("dsb ish", options(nostack, preserves_flags));
            for line in lines() {
                asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags));
            }
            asm!("dsb ish", "isb", options(nostack, preserves_flags));
        }
        Ok(())
    }
}

pub(crate) static WRITER: &dyn CodeWriter = &Alias;

/// The smaller line size of the two caches.
fn line_size() -> usize {
    let kinds: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) kinds, options(nomem, nostack, preserves_flags)) };
    4 << (kinds & 15).min(kinds >> 16 & 15)
}

// Page tables: addresses have 39 bits, so the first table has an entry for every gigabyte, and the others
// have one for every two megabytes. Arm ARM, D8.3.

const BLOCK: u64 = 0b01;
const TABLE: usize = 0b11;
/// The second kind of memory in MAIR; the first is for devices.
const MEMORY: u64 = 1 << 2;
const READ_ONLY: u64 = 1 << 7;
const SHARED: u64 = 0b11 << 8;
const ACCESSED: u64 = 1 << 10;
const NO_EXECUTE: u64 = 0b11 << 53;

/// The distance from the code to its writable alias: the next gigabyte.
const ALIAS: usize = 1 << 30;

#[repr(C, align(4096))]
struct Table<T>([T; 512]);

// SAFETY: never changes.
unsafe impl<T> Sync for Table<T> {}

/// The machine's 64 megabytes of memory, which start at the second gigabyte. The segments of `kernel.ld`
/// begin with the second entry.
const fn pages(alias: bool) -> Table<u64> {
    let mut pages = [0; 512];
    let mut page = 0;
    while page < 32 {
        let access = match page {
            1 => READ_ONLY | NO_EXECUTE,
            2 if !alias => READ_ONLY,
            _ => NO_EXECUTE,
        };
        // The alias is for code only.
        if !alias || page == 2 {
            let address = 1 << 30 | (page as u64) << 21;
            pages[page] = address | BLOCK | MEMORY | SHARED | ACCESSED | access;
        }
        page += 1;
    }
    Table(pages)
}

static PAGES: Table<u64> = pages(false);
static ALIAS_PAGES: Table<u64> = pages(true);

static ROOT: Table<*const u8> = Table({
    let mut entries = [core::ptr::null(); 512];
    // Devices, in the first gigabyte.
    entries[0] = core::ptr::without_provenance((BLOCK | ACCESSED | NO_EXECUTE) as usize);
    entries[1] = (&raw const PAGES).cast::<u8>().wrapping_add(TABLE);
    entries[2] = (&raw const ALIAS_PAGES).cast::<u8>().wrapping_add(TABLE);
    entries
});

// Boot.

#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);
const STACK_SIZE: usize = 64 << 10;

// SAFETY: the processor's alone.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_SIZE]));

// MAIR: devices, then memory with write-back caches. TCR: 39 bits, such caches for the tables too, no second
// half of the address space. SCTLR: MMU and both caches on.
global_asm!(
    ".pushsection .text.boot, \"ax\", @progbits",
    ".globl _start",
    "_start:",
    "adrp x0, {root}",
    "add x0, x0, :lo12:{root}",
    "msr ttbr0_el1, x0",
    "mov x0, #0xff00",
    "msr mair_el1, x0",
    "mov x0, #0x3519",
    "movk x0, #0x80, lsl #16",
    "msr tcr_el1, x0",
    "adrp x0, vectors",
    "add x0, x0, :lo12:vectors",
    "msr vbar_el1, x0",
    "tlbi vmalle1",
    "dsb nsh",
    "isb",
    "mrs x0, sctlr_el1",
    "mov x1, #0x1005",
    "orr x0, x0, x1",
    "msr sctlr_el1, x0",
    "isb",
    "adrp x0, {stack}",
    "add x0, x0, :lo12:{stack}",
    "add sp, x0, #{stack_size}",
    "bl kernel_start",
    ".popsection",
    root = sym ROOT,
    stack = sym STACK,
    stack_size = const STACK_SIZE,
);

/// The boot code has set up everything.
pub(crate) fn prepare() {}

/// Whether this address can be written. Stores the byte that is already there.
pub(crate) fn can_write(address: *mut u8) -> bool {
    unsafe extern "C" {
        safe fn can_write_byte(address: *mut u8) -> bool;
    }
    can_write_byte(address)
}

// After the fault, execution continues at the end of `can_write_byte`, which has no registers to restore.
global_asm!(
    ".pushsection .text.fault, \"ax\", @progbits",
    "can_write_byte:",
    "ldrb w1, [x0]",
    "2: strb w1, [x0]",
    "mov w0, #1",
    "ret",
    "3: mov w0, #0",
    "ret",
    "fault:",
    "mrs x1, elr_el1",
    "adr x0, 2b",
    "cmp x0, x1",
    "b.ne 4f",
    "adr x0, 3b",
    "msr elr_el1, x0",
    "eret",
    "4:",
    "mrs x0, esr_el1",
    "mrs x2, far_el1",
    "bl kernel_unexpected",
    ".p2align 11",
    "vectors:",
    ".rept 16",
    "b fault",
    ".p2align 7",
    ".endr",
    ".popsection",
);

/// The serial line (PL011), as QEMU has set it up.
pub(crate) struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const DATA: *mut u32 = core::ptr::without_provenance_mut(0x0900_0000);
        const STATUS: *const u32 = core::ptr::without_provenance(0x0900_0018);
        const IS_FULL: u32 = 1 << 5;
        for byte in text.bytes() {
            // SAFETY: the device's own registers.
            unsafe {
                while STATUS.read_volatile() & IS_FULL != 0 {}
                DATA.write_volatile(byte.into());
            }
        }
        Ok(())
    }
}

/// Ends the machine by semihosting (SYS_EXIT, with the application's own status).
pub(crate) fn exit(success: bool) -> ! {
    let reason = [0x20026usize, if success { 0 } else { 1 }];
    // SAFETY: it does not return.
    unsafe { asm!("hlt #0xf000", in("x0") 0x18, in("x1") &raw const reason, options(noreturn)) }
}
