//! Large files: what is not needed is not read, and what was read does not stay in memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr::null_mut;

use cargo_static_call::budget::Budget;
use cargo_static_call::elf::Elf;
use cargo_static_call::report;
use object::{Object, ObjectSection};
use static_call_tests::{Scratch, clang, link_flags, run};

const PROGRAM: &str = "#include <static_call.h>\nint one(int x) { return x + 1; }\n\
    DEFINE_STATIC_CALL(key, one);\n\
    int main(int c, char **v) { return !v + static_call(key, c) == 0; }\n";

/// A program with this assembler beside it.
fn program(scratch: &Scratch, name: &str, assembler: &str) -> PathBuf {
    let (source, output) = (scratch.file("program.c", PROGRAM), scratch.path(name));
    let beside = scratch.file(&format!("{name}.s"), assembler);
    run(clang().args(["-O1", "-g"]).arg(source).arg(beside).args(link_flags()).arg("-o").arg(&output));
    output
}

const MIB: usize = 1 << 20;
const PAGE: usize = 1 << 16;

/// Constants may be most of a program. Here whoever reads one ends by SIGSEGV.
#[test]
fn constants_are_not_read() {
    let scratch = Scratch::new();
    let constants = format!(
        ".section .rodata.big,\"a\",@progbits\n.p2align 16\n.fill {},8,0x1122334455667788\n",
        MIB / 2
    );
    let program = program(&scratch, "constants", &constants);
    let data = std::fs::read(&program).expect("the program");
    let file = object::File::parse(&*data).expect("an ELF file");
    let section = file.section_by_name(".rodata").expect("the linker merges constants");
    let (start, len) = section.file_range().expect("bytes");
    assert!(len as usize > 4 * MIB, "{len}");
    // SAFETY: a new mapping, at an address that the kernel chooses, that nothing else refers to.
    let copy = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(null_mut(), data.len(), access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    };
    assert_ne!(copy, libc::MAP_FAILED);
    // SAFETY: the mapping is as long as the file, and was just made.
    let bytes = unsafe { std::slice::from_raw_parts_mut(copy.cast::<u8>(), data.len()) };
    bytes.copy_from_slice(&data);
    // Other constants, such as the names of keys, are at the ends.
    let from = (start as usize + MIB).next_multiple_of(PAGE);
    let until = (start + len) as usize - MIB;
    // SAFETY: whole pages of that mapping. Nobody should read them, and if somebody does, the test ends.
    let refused = unsafe { libc::mprotect(copy.byte_add(from), until - from, libc::PROT_NONE) };
    assert_eq!(refused, 0);
    let budget = Budget::default();
    let elf = Elf::parse(bytes, &budget).expect("an ELF file");
    let report = report::file(&program, &elf, &budget);
    assert_eq!((report.keys.len(), report.sites), (1, 1), "{:?}", report.unknown);
    assert!(report.all_direct && report.keys[0].sites[0].place.line == Some(4), "{report:?}");
}

/// The most memory that the inspector had at once, in KiB: with the pages of the file that it maps.
#[allow(clippy::zombie_processes, reason = "wait4 waits for it")]
fn peak(file: &Path) -> usize {
    let mut inspector = Command::new(env!("CARGO_BIN_EXE_static-call-inspect"));
    let child =
        inspector.arg("--require-all-direct").arg(file).stdout(Stdio::null()).spawn().expect("it runs");
    let pid = libc::pid_t::try_from(child.id()).expect("a process");
    let mut status = 0;
    // SAFETY: zeros are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: waits for our own child, which nobody else waits for, and writes only into the two variables.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    assert_eq!((waited, status), (pid, 0), "it succeeds");
    usage.ru_maxrss as usize
}

#[test]
fn what_was_read_does_not_stay_in_memory() {
    let scratch = Scratch::new();
    let small = program(&scratch, "small", "");
    // Data, in which keys are looked for, and many sections.
    let sections: String =
        (0..1000).map(|number| format!(".section .part{number},\"a\"\n.byte 1\n")).collect();
    let data = format!(".data\n.fill {},8,0x1122334455667788\n", 5 * MIB);
    let large = program(&scratch, "large", &(sections + &data));
    let size = std::fs::metadata(&large).expect("the program").len() as usize;
    assert!(size >= 40 * MIB, "{size}");
    let (small, large) = (peak(&small), peak(&large));
    assert!(large < small + 28 * MIB / 1024, "{large} KiB, and {small} KiB for a small file");
}
