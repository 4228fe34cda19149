static_call::dispatch! {
    fn not_covered(number: u32) -> u32 {
        "sse4.2" => by_avx2,
        _ => plain,
    }

    fn default_needs_a_feature(number: u32) -> u32 {
        _ => by_avx2,
    }

    fn not_safe(number: u32) -> u32 {
        "avx2" => dangerous,
        _ => plain,
    }
}

#[target_feature(enable = "avx2")]
fn by_avx2(number: u32) -> u32 {
    number
}

unsafe fn dangerous(number: u32) -> u32 {
    number
}

fn plain(number: u32) -> u32 {
    number
}

fn main() {}
