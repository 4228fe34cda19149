//! Builds the C++ shim against LLVM's headers, and leaves LLVM itself to the compiler that loads us.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=cpp");
    println!("cargo::rerun-if-env-changed=LLVM_SYS_221_PREFIX");
    let llvm_config = match std::env::var_os("LLVM_SYS_221_PREFIX") {
        Some(prefix) => PathBuf::from(prefix).join("bin/llvm-config"),
        None => PathBuf::from("llvm-config-22"),
    };
    let include = Command::new(&llvm_config)
        .arg("--includedir")
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| {
            panic!(
                "cannot run {} to find LLVM 22's headers: install llvm-22-dev \
                 or set LLVM_SYS_221_PREFIX to the LLVM installation",
                llvm_config.display()
            )
        });
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("cpp/shim.cpp")
        .include(include.trim())
        // As LLVM itself is built: its class hierarchy has no type information to link against.
        .flag("-fno-rtti")
        .flag("-fno-exceptions")
        .flag("-fvisibility=hidden")
        .flag("-fvisibility-inlines-hidden")
        .flag("-Wno-unused-parameter")
        .flag("-Wno-comment")
        // The compiler that loads the plugin may bring a C++ library of its own, as rustc's LLVM does, and no other be there.
        .cpp_link_stdlib_static(true)
        // LLVM's symbols come from the process that loads the plugin, if it has them.
        .pic(true)
        .compile("static_call_shim");
}
