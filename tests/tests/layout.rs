//! `static_call.h` has the layout of the crate `static-call-abi` and of the runtime's C interface.

use std::fmt::Write;
use std::mem::{offset_of, size_of};

use static_call::c::{CChange, CInfo};
use static_call_abi::{DISPATCH, Form, Key, PLAIN_RESOLVER, VERSION};
use static_call_tests::c::{builds, source};
use static_call_tests::{llvm, plugin, prefix, run, stdout};

/// The expected output of `layout.c`.
fn expected() -> String {
    let mut text = String::new();
    macro_rules! size {
        ($c:literal, $rust:ty) => {
            writeln!(text, "sizeof {} {}", $c, size_of::<$rust>()).unwrap()
        };
    }
    // Private fields start with `__`.
    macro_rules! fields {
        ($c:literal, $prefix:literal, $rust:ty: $($field:ident),*) => {
            $({
                let offset = offset_of!($rust, $field);
                writeln!(text, "{}.{}{} {offset}", $c, $prefix, stringify!($field)).unwrap();
            })*
        };
    }
    size!("static_call_key", Key);
    fields!("static_call_key", "__", Key: target, records, off, name, form, flags);
    size!("static_call_change", CChange);
    fields!("static_call_change", "__", CChange: key, target, form, wish);
    size!("static_call_info", CInfo);
    fields!("static_call_info", "", CInfo: keys, sites, direct, through_trampoline, images);
    fields!("static_call_info", "", CInfo: branches, patched_branches);
    let constants = [
        ("STATIC_CALL_VERSION", VERSION),
        ("STATIC_CALL_FORM_CALL", Form::Call as u32),
        ("STATIC_CALL_FORM_NOP", Form::Nop as u32),
        ("STATIC_CALL_FORM_ZERO", Form::Zero as u32),
        ("STATIC_CALL_FORM_OFF_CALL", Form::OffCall as u32),
        ("sizeof(enum static_call_mode)", 4),
    ];
    for (name, value) in constants {
        writeln!(text, "{name} {value}").unwrap();
    }
    for (name, form, on_off) in [("plain", Form::Call, 0), ("hook", Form::Nop, 1), ("level", Form::Zero, 1)] {
        let flags = form as u32 | VERSION << 16;
        writeln!(text, "{name} {} {flags:#x} {on_off} {name}", form as u32).unwrap();
    }
    writeln!(text, "chosen 0 {:#x} 0 chosen", DISPATCH | PLAIN_RESOLVER | VERSION << 16).unwrap();
    text
}

#[test]
fn the_header_has_the_layout_of_the_crates() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (number, build) in builds().iter().enumerate() {
        let program = build.link(&["layout.c"], &[], &directory.path().join(number.to_string()));
        assert_eq!(stdout(&mut std::process::Command::new(program)), expected(), "{build:?}");
    }
}

#[test]
fn the_header_and_the_pass_know_32_bits() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let object = directory.path().join("layout32.o");
    for flag in [None, Some(format!("-fpass-plugin={}", plugin().display()))] {
        let mut clang = llvm("clang");
        clang.args(["-m32", "-std=c11", "-ffreestanding", "-Wall", "-Wextra", "-Werror", "-O2", "-c"]);
        clang.args(&flag).arg("-I").arg(prefix().join("include"));
        run(clang.arg(source("layout32.c")).arg("-o").arg(&object));
        let code = stdout(llvm("llvm-objdump").args(["-dr", "--no-show-raw-insn"]).arg(&object));
        let is_direct = code.contains("R_386_PC32\t__static_call_trampoline.");
        assert_eq!(is_direct, flag.is_some(), "{code}");
    }
}
