static_call::define! {
    #[return_zero]
    static LEVEL: fn() -> u8 = level;
}

fn level() -> u8 {
    3
}

fn main() {}
