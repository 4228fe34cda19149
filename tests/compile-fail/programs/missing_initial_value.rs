static_call::define! {
    static HOOK: fn(u32);
}

fn main() {}
