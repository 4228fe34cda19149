static_call::dispatch! {
    fn another_type(number: u32) -> u32 {
        "avx2" => wider,
        _ => plain,
    }
}

fn wider(number: u64) -> u64 {
    number
}

fn plain(number: u32) -> u32 {
    number
}

fn main() {}
