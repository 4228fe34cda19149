static_call::define! {
    static NAME: fn(u32) -> &str = name;
}

fn name(_: u32) -> &'static str {
    ""
}

fn main() {}
