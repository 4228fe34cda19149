static_call::define! {
    #[track_caller]
    static LOCATED: fn() = nothing;
}
static_call::define! {
    #[inline(never)]
    static INLINED: fn() = nothing;
}

fn nothing() {}

fn main() {}
