static_call::define! {
    static CALLBACK: impl Fn(u32) = |_| ();
}
static_call::define! {
    static BOXED: Box<dyn Fn(u32) + Send + Sync> = Box::new(|_| ());
}
static_call::define! {
    static POINTER: &() = &();
}

fn main() {}
