static_call::define! {
    #[return_zero]
    static NAME: fn(u32) -> String;
}

fn main() {}
