type Number = usize;
type Reference = &'static ();

static_call::define! {
    static NUMBER: Number = 3;
}
static_call::define! {
    static REFERENCE: Reference = &();
}

fn main() {}
