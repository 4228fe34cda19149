static_call::dispatch! {
    fn unknown(number: u32) -> u32 {
        "avx2,sse5" => plain,
        _ => plain,
    }
}

fn plain(number: u32) -> u32 {
    number
}

fn main() {}
