pub trait Log {
    fn log(&self, text: &str);
    fn flush(&self);
}

pub trait Count {
    fn count(&mut self);
}

struct Nothing;

impl Log for Nothing {
    fn log(&self, _: &str) {}
    fn flush(&self) {}
}

static_call::define! {
    dyn MISSING: Log {
        fn log(&self, text: &str);
    } = Nothing;
}
static_call::define! {
    dyn COUNTER: Count {
        fn count(&mut self);
    } = Nothing;
}

fn main() {}
