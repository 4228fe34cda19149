//! Compiles the shared object and the plugin of the program, with the pass if the tests name one.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=STATIC_CALL_TEST_PASS");
    let directory = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    shared_object("torture_shared.c", &directory.join("libtorture_shared.so"));
    let plugin = directory.join("torture_plugin.so");
    shared_object("torture_plugin.c", &plugin);
    println!("cargo::rustc-env=TORTURE_PLUGIN={}", plugin.display());
    println!("cargo::rustc-link-search=native={}", directory.display());
    println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{}", directory.display());
    // The shared objects call the program's keys, and find the runtime in the program.
    println!("cargo::rustc-link-arg-bins=-Wl,--export-dynamic-symbol=__static_call_*");
}

fn shared_object(source: &str, output: &Path) {
    let source = Path::new("../../c").join(source);
    println!("cargo::rerun-if-changed={}", source.display());
    for file in ["c/torture.h", "../runtime/include/static_branch.h", "../runtime/include/static_call.h"] {
        println!("cargo::rerun-if-changed=../../{file}");
    }
    let mut build = cc::Build::new();
    build.include("../../../runtime/include").opt_level(2).pic(true).warnings_into_errors(true);
    build.flag("-fvisibility=hidden");
    if let Some(pass) = std::env::var_os("STATIC_CALL_TEST_PASS") {
        println!("cargo::rerun-if-changed={}", pass.display());
        build.compiler("clang-22").flag(format!("-fpass-plugin={}", pass.display()));
    }
    let mut compiler = build.get_compiler().to_command();
    let status = compiler.arg("-shared").arg(&source).arg("-o").arg(output).status();
    assert!(status.is_ok_and(|status| status.success()), "{compiler:?}");
}
