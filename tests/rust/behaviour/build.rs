//! Compiles the C half of the mixed program, with the pass if the tests name one, by clang 22 unless they
//! name another clang.

fn main() {
    println!("cargo::rerun-if-changed=src/mixed.c");
    println!("cargo::rerun-if-changed=../../../runtime/include");
    println!("cargo::rerun-if-env-changed=STATIC_CALL_TEST_PASS");
    println!("cargo::rerun-if-env-changed=STATIC_CALL_TEST_CLANG");
    let mut build = cc::Build::new();
    build.file("src/mixed.c").include("../../../runtime/include").warnings_into_errors(true);
    if let Some(pass) = std::env::var_os("STATIC_CALL_TEST_PASS") {
        println!("cargo::rerun-if-changed={}", pass.display());
        let clang = std::env::var("STATIC_CALL_TEST_CLANG").unwrap_or_else(|_| "clang-22".into());
        build.compiler(clang).flag(format!("-fpass-plugin={}", pass.display()));
    }
    build.compile("mixed");
}
