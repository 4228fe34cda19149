//! A function whose first variant needs only what the program is compiled for.

static_call::dispatch! {
    fn scale(number: u64) -> u64 {
        #[cfg(target_arch = "x86_64")]
        "sse2" => variants::by_sse2,
        #[cfg(target_arch = "x86_64")]
        "avx2" => variants::by_avx2,
        #[cfg(target_arch = "aarch64")]
        "neon" => variants::by_neon,
        _ => variants::by_default,
    }
}

mod variants {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "sse2")]
    pub fn by_sse2(number: u64) -> u64 {
        number + 3
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    pub fn by_avx2(number: u64) -> u64 {
        number + 4
    }
    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    pub fn by_neon(number: u64) -> u64 {
        number + 3
    }
    pub fn by_default(number: u64) -> u64 {
        number + if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) { 1 } else { 3 }
    }
}

/// Its machine code is that of the addition.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn call_scale(number: u64) -> u64 {
    scale(number)
}

fn main() {
    assert_eq!(call_scale(std::env::args().count() as u64), 4);
    println!("ok");
}
