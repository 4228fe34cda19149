//! A kernel for one processor and a serial line. It patches its static calls at boot.
//!
//! ```sh
//! rustup target add x86_64-unknown-none    # or aarch64-unknown-none-softfloat
//! RUSTC_WRAPPER=static-call-rustc cargo run --release --target x86_64-unknown-none
//! ```
//!
//! What a kernel needs for static calls:
//!
//! - a linker script that keeps the tables, and the ELF header that says where the code is: `kernel.ld`;
//! - a call of its constructors, which register the tables: [`run_constructors`];
//! - a [`CodeWriter`](static_call::CodeWriter), since its code is write-protected: the one in `x86_64.rs`
//!   lifts the protection on its own processor, the one in `aarch64.rs` writes through a second mapping;
//! - `set_writer`, once the writer works. Until then, calls go through their keys.
//!
//! Both files hold everything about their machine: boot, page tables, the serial line and the writer.

#![no_std]
#![no_main]

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod machine;

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use machine::Serial;
use static_call::{Batch, Mode, StaticCall, Writer};

static_call::define! {
    /// The checksum of a packet. A real kernel would choose by the processor's features.
    static CHECKSUM: fn(packet: &[u8]) -> u32 = sum;
    /// A tracing hook: while it is off, it costs a nop.
    static ON_SWITCH: Option<fn(task: u32)> = None;
}

fn sum(packet: &[u8]) -> u32 {
    packet.iter().copied().map(u32::from).sum()
}

fn weighted(packet: &[u8]) -> u32 {
    (1..).zip(packet).map(|(weight, &byte)| weight * u32::from(byte)).sum()
}

static SWITCHES: AtomicU32 = AtomicU32::new(0);

fn count(_task: u32) {
    SWITCHES.fetch_add(1, Ordering::Relaxed);
}

#[inline(never)]
fn checksum(packet: &[u8]) -> u32 {
    CHECKSUM.call(packet)
}

/// What the calls return: the next task, a checksum, the number of traced switches.
#[inline(never)]
fn work() -> (u32, u32, u32) {
    let task = sched::next(0b0101_0100);
    ON_SWITCH.call(task);
    (task, checksum(&[1, 2, 3]), SWITCHES.load(Ordering::Relaxed))
}

/// Makes the calls, prints and checks their results, and checks that no stray write can reach the code.
fn check(step: &str, expected: (u32, u32, u32)) {
    let results @ (task, checksum, switches) = work();
    let info = static_call::process_info();
    say(format_args!(
        "{step}: task {task}, checksum {checksum}, traced {switches}; {} of {} sites direct",
        info.direct, info.sites
    ));
    assert_eq!(results, expected);
    let all_direct = if static_call::mode() == Mode::Inline { info.sites } else { 0 };
    assert_eq!(info.direct, all_direct);
    assert!(!machine::can_write(work as *mut u8), "the code is not write-protected");
}

fn say_mode() {
    let (mode, writer) = (static_call::mode(), static_call::writer());
    say(format_args!("mode {mode}, writer {writer}: {}", static_call::mode_reason()));
}

/// Runs on one processor, with interrupts off.
fn main() {
    say_mode();
    assert_eq!((static_call::mode(), static_call::writer()), (Mode::Generic, Writer::None));
    check("boot", (2, 6, 0));

    static_call::set_writer(machine::WRITER).expect("nothing else updates");
    say_mode();
    check("writer", (2, 6, 0));

    CHECKSUM.update(weighted).expect("the writer writes");
    check("update", (2, 14, 0));
    let batch = [sched::PICK.change(sched::highest), ON_SWITCH.change(Some(count))];
    Batch::new(batch).commit().expect("the writer writes");
    check("batch", (6, 14, 1));
    ON_SWITCH.update(None).expect("the writer writes");
    check("off", (6, 14, 1));
    say(format_args!("ok"));
}

unsafe extern "C" {
    static __init_array_start: [unsafe extern "C" fn(); 0];
    static __init_array_end: [unsafe extern "C" fn(); 0];
}

/// Registers the static calls of the image.
///
/// # Safety
///
/// To be called once, before the first update.
unsafe fn run_constructors() {
    let end = (&raw const __init_array_end).cast();
    let mut next = (&raw const __init_array_start).cast::<unsafe extern "C" fn()>();
    while next < end {
        // SAFETY: the linker's table of constructors lies between both symbols.
        unsafe {
            (*next)();
            next = next.add(1);
        }
    }
}

/// The boot code of the machine jumps here.
#[unsafe(no_mangle)]
extern "C" fn kernel_start() -> ! {
    machine::prepare();
    // SAFETY: the only call, at the start.
    unsafe { run_constructors() };
    main();
    machine::exit(true)
}

/// Handles every exception that [`machine::can_write`] did not provoke.
#[unsafe(no_mangle)]
extern "C" fn kernel_unexpected(code: usize, instruction: usize, address: usize) -> ! {
    panic!("exception {code:#x} at {instruction:#x}, address {address:#x}")
}

fn say(line: core::fmt::Arguments<'_>) {
    // The line itself never fails.
    let _ = writeln!(Serial, "{line}");
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say(format_args!("{info}"));
    machine::exit(false)
}
