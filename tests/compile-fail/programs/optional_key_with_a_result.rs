static_call::define! {
    static HOOK: Option<fn(u32) -> u32> = None;
}

fn main() {}
