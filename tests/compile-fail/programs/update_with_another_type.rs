static_call::define! {
    static CHECKSUM: fn(data: &[u8]) -> u32 = scalar;
}

fn scalar(_: &[u8]) -> u32 {
    0
}

fn other(_: &str) -> u32 {
    0
}

fn main() {
    CHECKSUM.update(other).unwrap();
}
