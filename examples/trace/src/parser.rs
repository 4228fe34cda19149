// A parser of JSON that makes one number of all that it reads. Whoever includes it says with `point!` and
// `hook!` what its trace points are.

/// The number that stands for the tokens of a text.
#[inline(never)]
pub(crate) fn parse(text: &[u8]) -> u64 {
    hook!(BEGIN, text.len() as u64);
    let (mut hash, mut tokens, mut at) = (0_u64, 0_u64, 0);
    while let Some(&byte) = text.get(at) {
        let start = at;
        at += 1;
        let token = match byte {
            b' ' | b'\t' | b'\r' => {
                point!(SPACES);
                at = skip(text, at, |byte| byte == b' ');
                continue;
            }
            b'\n' => {
                point!(LINE);
                continue;
            }
            b'"' => {
                let token;
                (token, at) = string(text, at);
                hook!(STRING, (at - start) as u64);
                token
            }
            b'-' | b'0'..=b'9' => {
                let token;
                (token, at) = number(text, start);
                hook!(NUMBER, token);
                token
            }
            b'{' => {
                point!(OBJECT);
                1
            }
            b'}' => {
                point!(OBJECT_END);
                2
            }
            b'[' => {
                point!(ARRAY);
                3
            }
            b']' => {
                point!(ARRAY_END);
                4
            }
            b':' => {
                point!(COLON);
                5
            }
            b',' => {
                point!(COMMA);
                6
            }
            b't' => {
                point!(TRUE);
                at += 3;
                7
            }
            b'f' => {
                point!(FALSE);
                at += 4;
                8
            }
            b'n' => {
                point!(NULL);
                at += 3;
                9
            }
            other => 256 + u64::from(other),
        };
        tokens += 1;
        hash = mix(hash, token);
    }
    hook!(END, tokens);
    mix(hash, tokens)
}

/// A string's number, and where it ends.
#[inline(always)]
fn string(text: &[u8], mut at: usize) -> (u64, usize) {
    let mut hash = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' if text.get(at) == Some(&b'u') => {
                point!(UNICODE);
                at += 1;
            }
            b'\\' => {
                point!(ESCAPE);
                at += 1;
            }
            _ => {}
        }
        hash = mix(hash, u64::from(byte));
    }
    (hash, at)
}

/// A number's digits as an integer, and where it ends.
#[inline(always)]
fn number(text: &[u8], mut at: usize) -> (u64, usize) {
    let mut value = 0_u64;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'0'..=b'9' => value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
            b'-' | b'+' => point!(MINUS),
            b'.' => point!(FRACTION),
            b'e' | b'E' => point!(EXPONENT),
            _ => break,
        }
        at += 1;
    }
    (value, at)
}

#[inline(always)]
fn skip(text: &[u8], mut at: usize, is_skipped: impl Fn(u8) -> bool) -> usize {
    while text.get(at).is_some_and(|&byte| is_skipped(byte)) {
        at += 1;
    }
    at
}

#[inline(always)]
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
