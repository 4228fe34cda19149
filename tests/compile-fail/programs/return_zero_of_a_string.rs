static_call::define! {
    static NAME: fn(u32) -> String = name;
}

fn name(number: u32) -> String {
    number.to_string()
}

fn main() {
    NAME.update_return_zero().unwrap();
}
