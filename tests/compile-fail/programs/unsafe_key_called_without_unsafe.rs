static_call::define! {
    static READ: unsafe fn(*const u8) -> u8 = read;
}

unsafe fn read(byte: *const u8) -> u8 {
    unsafe { *byte }
}

fn main() {
    READ.call(&7);
}
