static_call::define! {
    #[return_zero]
    static HOOK: Option<fn(u32)>;
}

fn main() {}
