//! Rust code that must not compile, and rustc's messages.
//!
//! Other releases of rustc may word them differently. `TRYBUILD=overwrite cargo test -p
//! static-call-compile-fail` rewrites them.

#[rustversion::attr(not(all(stable, since(1.95), before(1.96))), ignore = "messages of rustc 1.95")]
#[test]
fn compile_fail() {
    trybuild::TestCases::new().compile_fail("programs/*.rs");
}
