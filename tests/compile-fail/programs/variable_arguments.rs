static_call::define! {
    static PRINT: unsafe extern "C" fn(*const std::ffi::c_char, ...) -> i32 = print;
}

fn main() {}
