struct Codec;

impl Codec {
    static_call::define! {
        static DECODE: fn(u32) -> u32 = decode;
    }
}

fn decode(word: u32) -> u32 {
    word
}

fn main() {}
