//! Objects whose methods are keys.

use std::sync::OnceLock;

use static_call::registry;

pub trait Codec {
    fn level(&self) -> u32;
    fn code(&self, word: u64, table: &[u8; 2]) -> u64;
    fn word<'a>(&self, text: &'a str) -> &'a str;
    fn name(&self) -> &'static str;
    fn note(&self, seen: &mut u32);
}

struct Plain;

impl Codec for Plain {
    fn level(&self) -> u32 {
        0
    }
    fn code(&self, word: u64, _: &[u8; 2]) -> u64 {
        word
    }
    fn word<'a>(&self, text: &'a str) -> &'a str {
        text
    }
    fn name(&self) -> &'static str {
        "plain"
    }
    fn note(&self, _: &mut u32) {}
}

struct Masked {
    mask: u64,
    name: String,
}

impl Codec for Masked {
    fn level(&self) -> u32 {
        3
    }
    fn code(&self, word: u64, table: &[u8; 2]) -> u64 {
        (word ^ self.mask) + u64::from(table[1])
    }
    fn word<'a>(&self, text: &'a str) -> &'a str {
        text.split(' ').next().unwrap_or_default()
    }
    fn name(&self) -> &'static str {
        "masked"
    }
    fn note(&self, seen: &mut u32) {
        *seen += u32::try_from(self.name.len()).unwrap();
    }
}

static_call::define! {
    /// How words are coded.
    pub dyn CODEC: Codec {
        fn level(&self) -> u32;
        fn code(&self, word: u64, table: &[u8; 2]) -> u64;
        fn word<'a>(&self, text: &'a str) -> &'a str;
        fn name(&self) -> &'static str;
        fn note(&self, seen: &mut u32);
    } = Plain;
    static BESIDE: fn(u32) -> u32 = |value| value + 1;
}

static OTHER: Masked = Masked { mask: 0xff, name: String::new() };
static MADE: OnceLock<Masked> = OnceLock::new();

/// All methods, by the object's own calls.
fn all() -> (u32, u64, &'static str, &'static str, u32) {
    let mut seen = 1;
    CODEC.note(&mut seen);
    (CODEC.level(), CODEC.code(1, &[2, 3]), CODEC.word("two words"), CODEC.name(), seen)
}

pub fn check() {
    let plain = (0, 1, "two words", "plain", 1);
    let masked = (3, 0xfe + 3, "two", "masked", 1);
    assert_eq!(all(), plain);
    CODEC.set(|| &OTHER).unwrap();
    assert_eq!(all(), masked);
    assert_eq!(std::thread::spawn(all).join().unwrap(), masked);

    // An object that is made while the program runs, and one whose type nobody knows.
    MADE.set(Masked { mask: 0, name: "four".to_owned() }).ok().unwrap();
    CODEC.set(|| MADE.get().unwrap()).unwrap();
    assert_eq!(all(), (3, 4, "two", "masked", 5));
    CODEC.set(|| -> &'static dyn Codec { &Plain }).unwrap();
    assert_eq!(all(), plain);

    // The key is such an object itself.
    fn by_object(codec: &dyn Codec) -> &'static str {
        codec.name()
    }
    CODEC.set(|| &OTHER).unwrap();
    assert_eq!(by_object(&CODEC), "masked");
    assert_eq!(BESIDE.call(1), 2);

    // Its keys have names.
    let keys = registry::matching("*::CODEC::*").map(Result::unwrap);
    let names: Vec<String> = keys.map(|key| key.name().to_owned()).collect();
    // Where calls load pointers, there are no records.
    assert!(
        names.is_empty() || names.iter().any(|name| name.ends_with("objects::CODEC::level")),
        "{names:?}"
    );

    // In a function.
    static_call::define! {
        dyn INNER: Codec {
            fn level(&self) -> u32;
            fn code(&self, word: u64, table: &[u8; 2]) -> u64;
            fn word<'a>(&self, text: &'a str) -> &'a str;
            fn name(&self) -> &'static str;
            fn note(&self, seen: &mut u32);
        } = OTHER;
    }
    assert_eq!(INNER.level(), 3);
}
