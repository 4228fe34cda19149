//! Names the shared library as programs will look for it, and has it stay once it is loaded: a handler of
//! SIGTRAP that a program has installed over the library's calls that one. A DLL has neither: import
//! libraries name it, and Windows has no signals.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_some() {
        // GNU ld would take the note for other copies of the runtime for unused.
        println!("cargo::rustc-cdylib-link-arg=-Wl,--no-gc-sections");
    } else {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libstatic_call.so.0");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
