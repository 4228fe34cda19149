//! Names the shared library as programs will look for it, and has it stay once it is loaded: a handler of
//! SIGTRAP that a program has installed over the library's calls that one.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libstatic_call.so.0");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
