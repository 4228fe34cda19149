//! A text to parse.

use std::fmt::Write as _;

/// A few megabytes of JSON, one object a line, the same each time.
pub(crate) fn generated() -> Vec<u8> {
    let mut text = String::from("[\n");
    let mut random = 1_u64;
    for number in 0..24_000 {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let (name, share) = (random >> 40, (random >> 20 & 0xffff) as f64 / 65_536.0);
        writeln!(
            text,
            "  {{\"number\": {number}, \"name\": \"user {name:x}\", \"path\": \"/home\\/{name}\\u00e9\", \
             \"share\": {share:.4}, \"scale\": -1.5e{}, \"is_new\": {}, \"tags\": [\"a\", \"bc\"], \
             \"parent\": null}},",
            number % 30,
            number % 3 == 0
        )
        .expect("strings take everything");
    }
    text.push_str("  true]\n");
    text.into_bytes()
}
