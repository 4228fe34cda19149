static_call::define! {
    static HOOK: Option<fn(u32)>;
}

fn main() {}
