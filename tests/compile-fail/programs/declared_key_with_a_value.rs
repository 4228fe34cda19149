static_call::declare! {
    unsafe extern {
        static c_key: extern "C" fn(i32) -> i32 = other;
    }
}

fn main() {}
