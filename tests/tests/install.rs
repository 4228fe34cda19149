//! The installation works wherever it is moved to.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use static_call_tests::binary::StaticCalls;
use static_call_tests::c::{Report, source};
use static_call_tests::{failure, llvm, moved, plugin_in, prefix, run, stdout};

fn pkg_config(prefix: &Path, question: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).args(question).arg("static-call");
    stdout(&mut command).split_whitespace().map(str::to_owned).collect()
}

/// The symbols that `nm` lists, each with its type letter.
fn symbols(nm: &mut Command) -> BTreeSet<(char, String)> {
    let text = stdout(nm);
    let words = text.lines().map(|line| line.split_whitespace().rev().collect::<Vec<_>>());
    words
        .filter(|words| words.len() >= 2)
        .map(|words| (words[1].chars().next().unwrap(), words[0].into()))
        .collect()
}

/// The functions that the header declares and the pass calls.
const INTERFACE: [&str; 19] = [
    "__static_call_branch",
    "__static_call_commit",
    "__static_call_info",
    "__static_call_make_pointer",
    "__static_call_next",
    "__static_call_query",
    "__static_call_register",
    "__static_call_seal",
    "__static_call_switch_matching",
    "__static_call_target",
    "__static_call_unregister",
    "__static_call_update",
    "__static_call_update_ret0",
    "static_call_mode",
    "static_call_mode_reason",
    "static_call_process_info",
    "static_call_seal",
    "static_call_update_batch",
    "static_call_writer",
];

#[test]
fn pkg_config_has_all_the_flags() {
    let (_directory, prefix) = moved("moved/here");
    let program = prefix.join("program");
    for (flags, run_path) in [(&["--cflags", "--libs"][..], true), (&["--cflags"], false)] {
        for level in ["-O0", "-O2"] {
            let mut clang = llvm("clang");
            clang.args([level, "-pthread"]).arg(source("keys.c")).arg("-o").arg(&program);
            clang.args(pkg_config(&prefix, flags));
            if run_path {
                clang.arg(format!("-Wl,-rpath,{}", prefix.join("lib").display()));
            } else {
                clang.arg(prefix.join("lib/libstatic_call.a"));
            }
            run(&mut clang);
            let report = Report::find(&run(&mut Command::new(&program)).stdout);
            assert_eq!(report.sites, StaticCalls::read(&program).checked());
            assert!(report.sites > 0 && report.direct == report.sites, "{report:?}");

            let needed = stdout(llvm("llvm-readelf").arg("-d").arg(&program));
            assert_eq!(needed.contains("libstatic_call.so.0"), run_path, "{needed}");
            assert!(!needed.contains("libgcc_s") && !needed.contains("libstd"), "{needed}");
        }
    }
    for flag in pkg_config(&prefix, &["--cflags", "--libs"]) {
        let moved = prefix.to_str().expect("UTF-8");
        assert!(!flag.contains('/') || flag.contains(moved), "{flag} does not lie in {moved}");
    }
}

/// The wrapper passes the plugin that now lies beside it.
#[test]
fn the_wrapper_finds_its_plugin() {
    let (directory, prefix) = moved("moved/here");
    let rustc = directory.path().join("rustc");
    let real = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let log = directory.path().join("arguments");
    let script = format!("#!/bin/sh\necho \"$@\" >> {}\nexec {} \"$@\"\n", log.display(), real.display());
    fs::write(&rustc, script).expect("a file");
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).expect("an executable file");

    let main = directory.path().join("main.rs");
    fs::write(&main, "fn main() { assert!(cfg!(static_call_pass)); }").expect("a file");
    let program = directory.path().join("main");
    let mut wrapper = Command::new(prefix.join("bin/static-call-rustc"));
    wrapper.env_remove("STATIC_CALL_PASS").env("STATIC_CALL_REQUIRE", "1");
    run(wrapper.arg(&rustc).args(["--edition=2024", "--crate-name=main"]).arg(&main).arg("-o").arg(&program));
    run(&mut Command::new(&program));
    let arguments = fs::read_to_string(&log).expect("what the compiler was asked");
    let plugin = plugin_in(&prefix).canonicalize().expect("the plugin");
    assert!(
        arguments.contains(&plugin.display().to_string())
            || arguments.contains(&prefix.join("bin/../lib/static-call").display().to_string()),
        "{arguments}"
    );

    // Without the plugin, the wrapper names the places where it looked.
    fs::remove_file(plugin_in(&prefix)).expect("the plugin");
    let mut wrapper = Command::new(prefix.join("bin/static-call-rustc"));
    wrapper.env_remove("STATIC_CALL_PASS").env("STATIC_CALL_REQUIRE", "1");
    let message = failure(wrapper.arg(&rustc).arg("--crate-name=main").arg(&main).arg("-o").arg(&program));
    assert!(message.contains("libstatic_call_pass.so") && message.contains("moved/here"), "{message}");
}

#[test]
fn the_libraries_have_the_interface_and_nothing_else() {
    let interface: BTreeSet<String> = INTERFACE.iter().map(|&name| name.to_owned()).collect();
    let library = prefix().join("lib/libstatic_call.a");
    let archive = symbols(llvm("llvm-nm").args(["--extern-only", "--defined-only", "--quiet"]).arg(&library));
    assert_eq!(archive.iter().map(|(_, name)| name.clone()).collect::<BTreeSet<_>>(), interface);
    assert!(archive.iter().all(|(kind, _)| *kind == 'T'), "{archive:?}");

    let shared = prefix().join("lib/libstatic_call.so");
    let exported = symbols(llvm("llvm-nm").args(["-D", "--defined-only"]).arg(&shared));
    assert_eq!(exported.into_iter().map(|(_, name)| name).collect::<BTreeSet<_>>(), interface);
    let dynamic = stdout(llvm("llvm-readelf").arg("-d").arg(&shared));
    assert!(dynamic.contains("[libstatic_call.so.0]"), "no soname:\n{dynamic}");
}

/// rustc contains its own C++ library, and the machine may have no other.
#[test]
fn the_pass_needs_no_cpp_library() {
    let needed = stdout(llvm("llvm-readelf").arg("-d").arg(plugin_in(&prefix())));
    assert!(needed.contains("[libc.so.6]") && !needed.contains("++"), "{needed}");
}

/// The library exports no Rust symbols, and needs only a few functions of the C library.
#[test]
fn the_libraries_need_the_c_library_only() {
    let library = prefix().join("lib/libstatic_call.a");
    let needed = symbols(llvm("llvm-nm").args(["--undefined-only", "--quiet"]).arg(&library));
    const ALLOWED: &[&str] = &[
        "_GLOBAL_OFFSET_TABLE_",
        "__errno_location",
        "abort",
        "atexit",
        "close",
        "clock_gettime",
        "dl_iterate_phdr",
        "fcntl",
        "getauxval",
        "getenv",
        "madvise",
        "memcmp",
        "memcpy",
        "memmove",
        "memset",
        "mmap",
        "mprotect",
        "nanosleep",
        "open",
        "openat",
        "pread64",
        "pthread_atfork",
        "pthread_self",
        "pthread_sigmask",
        "pwrite",
        "pwrite64",
        "raise",
        "read",
        "sched_yield",
        "sigaction",
        "sigdelset",
        "sigfillset",
        "sigismember",
        "signal",
        "strlen",
        "syscall",
        "sysconf",
        "write",
    ];
    for (_, name) in &needed {
        assert!(ALLOWED.contains(&name.as_str()), "{name} in {needed:?}");
    }
    let all = stdout(llvm("llvm-nm").args(["--demangle"]).arg(&library));
    for part in ["std::", "alloc::", "gimli", "addr2line", "rust_eh_personality", "__rust_alloc"] {
        assert!(!all.contains(part), "{part} in {}", library.display());
    }
    let size = fs::metadata(&library).expect("the library").len();
    assert!(size < 370_000, "{size} bytes");

    // A program without threads, start files or anything else that could hide a missing symbol.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("program");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-Wl,--no-undefined", "-Wl,--whole-archive"])
        .arg(&library)
        .arg("-Wl,--no-whole-archive");
    gcc.arg(source("proposal.c")).arg("-I").arg(prefix().join("include")).arg("-o").arg(&program);
    run(&mut gcc);
    run(&mut Command::new(&program));
}
