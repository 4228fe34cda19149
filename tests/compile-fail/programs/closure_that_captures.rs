static_call::define! {
    static HOOK: fn(u32) = drop::<u32>;
}

fn main() {
    let limit = 3;
    HOOK.update(|value| assert!(value < limit)).unwrap();
}
