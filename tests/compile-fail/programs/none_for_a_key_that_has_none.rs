static_call::define! {
    static HOOK: fn(u32) = hook;
}

fn hook(_: u32) {}

fn main() {
    HOOK.update(None).unwrap();
}
