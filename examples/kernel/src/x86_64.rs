//! A PC booted by the PVH protocol (QEMU's `-kernel`): 32-bit protected mode, without paging.

use core::arch::{asm, global_asm, x86_64::__cpuid};
use core::cell::UnsafeCell;
use core::fmt;

use static_call::CodeWriter;

// Control registers and descriptors: Intel SDM volume 3, chapters 2 to 4.
const CR0_WRITE_PROTECT: usize = 1 << 16;

/// Lifts the processor's write protection while code is being written.
///
/// That is enough here: there is one processor, and interrupts are off, so nothing else runs until `close`. A
/// kernel with more processors keeps interrupts off in between, and its `serialize` interrupts every other
/// processor and waits until each has executed `cpuid`. Or it maps the code a second time, as `aarch64.rs`
/// does.
struct LiftProtection;

// SAFETY: without CR0.WP the supervisor can write to read-only pages, and `cpuid` serializes (Intel SDM
// volume 3, 9.3).
unsafe impl CodeWriter for LiftProtection {
    fn open(&self, _start: *mut u8, _len: usize) -> Result<(), i32> {
        // SAFETY: only the runtime's next stores use it, and they go into code.
        unsafe { set_cr0(cr0() & !CR0_WRITE_PROTECT) };
        Ok(())
    }

    fn close(&self, _start: *mut u8, _len: usize) {
        // SAFETY: restores the protection.
        unsafe { set_cr0(cr0() | CR0_WRITE_PROTECT) };
    }

    fn serialize(&self) -> Result<(), i32> {
        __cpuid(0);
        Ok(())
    }
}

pub(crate) static WRITER: &dyn CodeWriter = &LiftProtection;

fn cr0() -> usize {
    let value;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr0", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// # Safety
///
/// The program has to expect the new state of the processor.
unsafe fn set_cr0(value: usize) {
    // SAFETY: the caller's promise. No store moves across it, since the assembler may touch memory.
    unsafe { asm!("mov cr0, {}", in(reg) value, options(nostack, preserves_flags)) };
}

// Page tables: one for each level. The last one has an entry for every two megabytes.

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
/// Already set, so that the processor does not write to the tables.
const ACCESSED_AND_DIRTY: u64 = 0b11 << 5;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

#[repr(C, align(4096))]
struct Table<T>([T; 512]);

// SAFETY: never changes.
unsafe impl<T> Sync for Table<T> {}

/// The first 64 megabytes at their own addresses. The segments of `kernel.ld` begin with the second entry.
static PAGES: Table<u64> = Table({
    let mut pages = [0; 512];
    let mut page = 0;
    while page < 32 {
        let access = match page {
            1 => NO_EXECUTE,
            2 => 0,
            _ => NO_EXECUTE | WRITABLE,
        };
        pages[page] = (page as u64) << 21 | PRESENT | ACCESSED_AND_DIRTY | LARGE | access;
        page += 1;
    }
    pages
});

static DIRECTORIES: Table<*const u8> = only_entry((&raw const PAGES).cast());
static ROOT: Table<*const u8> = only_entry((&raw const DIRECTORIES).cast());

const fn only_entry(table: *const u8) -> Table<*const u8> {
    let mut entries = [core::ptr::null(); 512];
    // The lower bits of a table's address are free for flags.
    entries[0] = table.wrapping_add((PRESENT | WRITABLE | ACCESSED_AND_DIRTY) as usize);
    Table(entries)
}

// Boot.

#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);
const STACK_SIZE: usize = 64 << 10;

// SAFETY: the processor's alone.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_SIZE]));

/// Null, 64-bit code and data; marked as accessed, so that the processor does not write to them.
static SEGMENTS: [u64; 3] = [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];

// The note names the entry point (XEN_ELFNOTE_PHYS32_ENTRY). EFER's bits are LME and NXE.
global_asm!(
    ".pushsection .note.Xen, \"a\", @note",
    ".p2align 2",
    ".long 4, 8, 18",
    ".asciz \"Xen\"",
    ".quad _start",
    ".popsection",
    ".pushsection .text.boot, \"ax\", @progbits",
    ".code32",
    ".globl _start",
    "_start:",
    "mov ${root}, %eax",
    "mov %eax, %cr3",
    "mov %cr4, %eax",
    "or $0x20, %eax", // PAE
    "mov %eax, %cr4",
    "mov $0xc0000080, %ecx",
    "rdmsr",
    "or $0x900, %eax",
    "wrmsr",
    "mov %cr0, %eax",
    "or $0x80010001, %eax", // PG, WP, PE
    "mov %eax, %cr0",
    "lgdt 3f",
    "ljmpl $8, $2f",
    ".code64",
    "2:",
    "mov $16, %eax",
    "mov %eax, %ds",
    "mov %eax, %es",
    "mov %eax, %ss",
    "mov ${stack} + {stack_size}, %rsp",
    "call kernel_start",
    "3:",
    ".word 23",
    ".long {segments}",
    ".popsection",
    root = sym ROOT,
    stack = sym STACK,
    stack_size = const STACK_SIZE,
    segments = sym SEGMENTS,
    options(att_syntax)
);

/// One gate, for page faults. Any other exception resets the processor, which ends the machine.
pub(crate) fn prepare() {
    #[repr(C, align(16))]
    struct Gates(UnsafeCell<[[u64; 2]; 15]>);
    // SAFETY: only written here, before the processor reads it.
    unsafe impl Sync for Gates {}
    static GATES: Gates = Gates(UnsafeCell::new([[0; 2]; 15]));
    #[repr(C, packed)]
    struct Pointer(u16, *const Gates);

    unsafe extern "C" {
        fn page_fault();
    }
    let handler = page_fault as *const () as u64;
    // Present, an interrupt gate, in the second segment.
    let gate = handler & 0xffff | 8 << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48;
    // SAFETY: nobody else uses it, see above.
    unsafe { (*GATES.0.get())[14] = [gate, handler >> 32] };
    let pointer = Pointer(size_of::<Gates>() as u16 - 1, &GATES);
    // SAFETY: a table of gates that lives for ever.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags)) };
}

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
    "mov cl, [rdi]",
    "2: mov [rdi], cl",
    "mov eax, 1",
    "ret",
    "3: xor eax, eax",
    "ret",
    "page_fault:",
    "lea rax, [rip + 2b]",
    "cmp [rsp + 8], rax",
    "jne 4f",
    "lea rax, [rip + 3b]",
    "mov [rsp + 8], rax",
    "add rsp, 8",
    "iretq",
    "4:",
    "mov rdi, [rsp]",
    "mov rsi, [rsp + 8]",
    "mov rdx, cr2",
    "and rsp, -16",
    "call kernel_unexpected",
    ".popsection",
);

/// The first serial port (COM1), as the firmware has left it.
pub(crate) struct Serial;

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const DATA: u16 = 0x3f8;
        const STATUS: u16 = DATA + 5;
        const CAN_SEND: u8 = 1 << 5;
        for byte in text.bytes() {
            // SAFETY: the port's own registers.
            unsafe {
                while read_port(STATUS) & CAN_SEND == 0 {}
                write_port(DATA, byte);
            }
        }
        Ok(())
    }
}

/// Ends the machine through QEMU's device for that.
pub(crate) fn exit(success: bool) -> ! {
    // SAFETY: it does not return.
    unsafe { write_port(0xf4, if success { 16 } else { 17 }) };
    loop {
        core::hint::spin_loop();
    }
}

/// # Safety
///
/// A port that may be read at any time.
unsafe fn read_port(port: u16) -> u8 {
    let byte;
    // SAFETY: the caller's promise.
    unsafe { asm!("in al, dx", in("dx") port, out("al") byte, options(nostack, preserves_flags)) };
    byte
}

/// # Safety
///
/// Only what the device allows.
unsafe fn write_port(port: u16, byte: u8) {
    // SAFETY: the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") byte, options(nostack, preserves_flags)) };
}
