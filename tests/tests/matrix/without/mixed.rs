//! One key with calls in a program and in shared objects, in Rust and C, with and without the pass. Each
//! update reaches all calls, and the inspector says how each file's call is made.

use std::fs;
use std::path::Path;
use std::process::Command;

use static_call_tests::{clang, prefix, run, stdout, target};

use crate::outcome::inspect;

const PROGRAM: &str = r#"
use std::ffi::c_int;

static_call::define! {
    #[unsafe(no_mangle)]
    pub static SHARED: extern "C" fn(c_int) -> c_int = one;
}

unsafe extern "C" {
    safe fn rust_with(number: c_int) -> c_int;
    safe fn rust_without(number: c_int) -> c_int;
    safe fn c_with(number: c_int) -> c_int;
    safe fn c_without(number: c_int) -> c_int;
    safe fn to_rust_with(number: c_int) -> c_int;
    safe fn to_rust_without(number: c_int) -> c_int;
    safe fn to_c_with(number: c_int) -> c_int;
    safe fn to_c_without(number: c_int) -> c_int;
}

extern "C" fn one(number: c_int) -> c_int {
    number + 1
}

#[inline(never)]
extern "C" fn own(number: c_int) -> c_int {
    SHARED.call(number) + 100
}

fn main() {
    let calls: [extern "C" fn(c_int) -> c_int; 5] = [own, rust_with, rust_without, c_with, c_without];
    // A target in each image, because a direct call may not reach another image.
    let targets: [extern "C" fn(c_int) -> c_int; 5] =
        [to_rust_with, to_rust_without, to_c_with, to_c_without, one];
    for target in targets.into_iter().chain(targets) {
        SHARED.update(target).expect("an update");
        for call in calls {
            assert_eq!(call(7), target(7) + 100);
        }
    }
    println!("{} {}", static_call::mode(), static_call::process_info().sites);
}
"#;

fn in_rust(name: &str) -> String {
    format!(
        "use std::ffi::c_int;\n\
         static_call::declare! {{ unsafe extern {{ static SHARED: extern \"C\" fn(c_int) -> c_int; }} }}\n\
         #[unsafe(no_mangle)]\n\
         pub extern \"C\" fn {name}(number: c_int) -> c_int {{ SHARED.call(number) + 100 }}\n\
         #[unsafe(no_mangle)]\n\
         pub extern \"C\" fn to_{name}(number: c_int) -> c_int {{ number + {} }}\n",
        name.len()
    )
}

fn in_c(name: &str) -> String {
    format!(
        "#include <static_call.h>\nDECLARE_STATIC_CALL(SHARED, int(int));\n\
         int {name}(int number), to_{name}(int number);\n\
         int {name}(int number) {{ return static_call(SHARED, number) + 100; }}\n\
         int to_{name}(int number) {{ return number + {}; }}\n",
        name.len()
    )
}

pub(super) fn check(runtime: &Path) {
    let directory = target().join("tests/matrix-without/mixed");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory");
    let file = |name: &str| directory.join(name);
    let write = |name: &str, text: &str| fs::write(file(name), text).expect("a source file");
    let rustc = |mut rustc: Command, name: &str, kind: &str| {
        rustc.current_dir(&directory).args(["--edition=2024", "-O", "--crate-type", kind]);
        rustc.arg(format!("{name}.rs"));
        rustc.arg("--extern").arg(format!("static_call={}", runtime.join("libstatic_call.rlib").display()));
        rustc.arg("-L").arg(format!("dependency={}", runtime.join("deps").display()));
        rustc.args(["-L", "native=.", "-Clink-arg=-Wl,-rpath,$ORIGIN"]);
        rustc
    };
    let with_pass = || {
        let mut wrapper = Command::new(prefix().join("bin/static-call-rustc"));
        wrapper.env("STATIC_CALL_REQUIRE", "1").arg("rustc");
        wrapper
    };
    for (name, command) in [("rust_with", with_pass()), ("rust_without", Command::new("rustc"))] {
        write(&format!("{name}.rs"), &in_rust(name));
        run(&mut rustc(command, name, "cdylib"));
    }
    let mut gcc = Command::new("gcc");
    gcc.arg("-I").arg(prefix().join("include"));
    for (name, mut command) in [("c_with", clang()), ("c_without", gcc)] {
        write(&format!("{name}.c"), &in_c(name));
        command.current_dir(&directory).args(["-O2", "-fPIC", "-shared"]).arg(format!("{name}.c"));
        run(command.arg("-o").arg(format!("lib{name}.so")));
    }
    write("program.rs", PROGRAM);
    let mut program = rustc(Command::new("rustc"), "program", "bin");
    run(program.args(["rust_with", "rust_without", "c_with", "c_without"].map(|name| format!("-l{name}"))));
    // The calls with the pass, in both languages.
    assert_eq!(stdout(&mut Command::new(file("program"))), "inline 2\n");
    for mode in ["trampoline", "generic"] {
        let said = stdout(Command::new(file("program")).env("STATIC_CALL_MODE", mode));
        assert_eq!(said, format!("{mode} 2\n"));
    }
    let row = |path: &Path, is_direct: bool| {
        let said = inspect(path, is_direct);
        let mut lines = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        // Calls, tail calls, conditional tail calls, calls of the trampoline, and calls through the pointer.
        let row = lines.find(|words| words.len() > 5 && words[0].ends_with("SHARED"));
        row.map_or_else(|| panic!("{said}"), |words| words[words.len() - 5..].join(" "))
    };
    for name in ["librust_with.so", "libc_with.so"] {
        assert_eq!(row(&file(name), true), "1 0 0 0 0", "{name}");
    }
    for name in ["program", "librust_without.so", "libc_without.so"] {
        let row = row(&file(name), false);
        assert!(["0 0 0 1 0", "0 0 0 0 1"].contains(&&*row), "{name}: {row}");
        assert!(name.starts_with("libc") || row == "0 0 0 1 0", "{name}: {row}");
    }
}
