static_call::define! {
    static KEY: fn(u32) -> u32 = plain;
    #[pointer]
    static POINTER: fn(u32) -> u32 = plain;
}

fn plain(number: u32) -> u32 {
    number
}

fn other(number: u64) -> u64 {
    number
}

fn main() {
    KEY.set(plain);
    POINTER.set(other);
}
