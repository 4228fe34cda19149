static_call::define! {
    static READ: fn(*const u8) -> u8 = zero;
}

fn zero(_: *const u8) -> u8 {
    0
}

unsafe fn read(byte: *const u8) -> u8 {
    unsafe { *byte }
}

fn main() {
    READ.update(read).unwrap();
}
