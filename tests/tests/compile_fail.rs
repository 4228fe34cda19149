//! What must not compile, and what the compiler says about it.
//!
//! The messages are rustc's; another release may word them differently. `TRYBUILD=overwrite cargo test -p
//! static-call-tests --test compile_fail` writes them anew.

#[rustversion::attr(not(all(stable, since(1.95), before(1.96))), ignore = "messages of rustc 1.95")]
#[test]
fn compile_fail() {
    trybuild::TestCases::new().compile_fail("compile-fail/*.rs");
}
