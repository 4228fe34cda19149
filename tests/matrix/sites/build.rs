//! Compiles the calls in C, with the pass if there is one.

fn main() {
    let variable = |name: &str| {
        println!("cargo::rerun-if-env-changed={name}");
        std::env::var(name)
    };
    println!("cargo::rerun-if-changed=src/calls.c");
    let include = variable("STATIC_CALL_TEST_INCLUDE").expect("where the header is");
    println!("cargo::rerun-if-changed={include}/static_call.h");
    let mut build = cc::Build::new();
    build.file("src/calls.c").include(include).warnings_into_errors(true);
    if let Ok(pass) = variable("STATIC_CALL_TEST_PASS") {
        println!("cargo::rerun-if-changed={pass}");
        build.compiler("clang-22").flag(format!("-fpass-plugin={pass}"));
    }
    build.compile("calls");
}
