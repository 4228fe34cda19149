//! Probes the compiler in the usual ways, and compiles C.

fn main() {
    let compiler = autocfg::new();
    println!("cargo::rustc-check-cfg=cfg(has_u128, has_stable_syntax, has_unstable_feature)");
    compiler.emit_type_cfg("u128", "has_u128");
    if compiler.probe_raw("pub fn f(_: impl Sized) {}").is_ok() {
        autocfg::emit("has_stable_syntax");
    }
    if compiler.probe_raw("#![feature(never_type)] pub fn f() -> Option<!> { None }").is_ok() {
        autocfg::emit("has_unstable_feature");
    }
    cc::Build::new().file("src/answer.c").compile("answer");
}
