use static_call::dispatch;

dispatch! { fn nothing(number: u32) -> u32 {} }
dispatch! { fn no_default(number: u32) -> u32 { "sse2" => plain } }
dispatch! { fn default_in_front(number: u32) -> u32 { _ => plain, "sse2" => plain } }
dispatch! { fn no_variant(number: u32) -> u32 { avx2 => plain, _ => plain } }
dispatch! { fn generic<T>(value: T) -> T { _ => plain } }
dispatch! { unsafe fn unsafety(number: u32) -> u32 { _ => plain } }
dispatch! { fn no_names(u32) -> u32 { _ => plain } }

fn plain(number: u32) -> u32 {
    number
}

fn main() {}
