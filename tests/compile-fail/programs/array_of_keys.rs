static_call::define! {
    static TABLE: [fn(u32) -> u32; 2] = [once, twice];
}

fn once(value: u32) -> u32 {
    value
}
fn twice(value: u32) -> u32 {
    value * 2
}

fn main() {}
