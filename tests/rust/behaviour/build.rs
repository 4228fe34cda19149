//! Compiles the C half of the mixed program, with the pass if the tests name one.

fn main() {
    println!("cargo::rerun-if-changed=src/mixed.c");
    println!("cargo::rerun-if-changed=../../../runtime/include/static_call.h");
    println!("cargo::rerun-if-env-changed=STATIC_CALL_TEST_PASS");
    let mut build = cc::Build::new();
    build.file("src/mixed.c").include("../../../runtime/include").warnings_into_errors(true);
    if let Some(pass) = std::env::var_os("STATIC_CALL_TEST_PASS") {
        println!("cargo::rerun-if-changed={}", pass.display());
        build.compiler("clang-22").flag(format!("-fpass-plugin={}", pass.display()));
    }
    build.compile("mixed");
}
