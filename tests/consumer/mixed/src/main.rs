//! A program in Rust and C: each language has a key of its own, and both share one runtime.

use std::ffi::c_int;

unsafe extern "C" {
    safe fn codec_run(data: c_int) -> c_int;
    safe fn codec_make_fast() -> c_int;
}

static_call::define! {
    static COMBINE: fn(a: c_int, b: c_int) -> c_int = add;
}

fn add(a: c_int, b: c_int) -> c_int {
    a + b
}

fn multiply(a: c_int, b: c_int) -> c_int {
    a * b
}

fn run() -> c_int {
    COMBINE.call(codec_run(2), 4)
}

/// Prints a result before and after an update in each language, and how many calls are direct.
fn main() -> Result<(), static_call::Error> {
    let before = run();
    COMBINE.update(multiply)?;
    let error = codec_make_fast();
    let info = static_call::process_info();
    println!("{before} {error} {}: {} of {}", run(), info.direct, info.sites);
    Ok(())
}
