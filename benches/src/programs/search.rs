//! Counts the lines of a text by searching for line ends, with the function that suits the processor.

use crate::case::Case;

switchable! { mod dispatched: fn(byte: u8, text: &[u8]) -> usize = crate::search::one_by_one }

/// The position of the byte, or the text's length.
pub(crate) fn one_by_one(byte: u8, text: &[u8]) -> usize {
    text.iter().position(|&other| other == byte).unwrap_or(text.len())
}

/// Thirty-two bytes at a time.
#[cfg(target_arch = "x86_64")]
fn by_vectors(byte: u8, text: &[u8]) -> usize {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8,
    };

    #[target_feature(enable = "avx2")]
    fn run(byte: u8, text: &[u8]) -> usize {
        let wanted = _mm256_set1_epi8(byte as i8);
        let (vectors, rest) = text.as_chunks::<32>();
        for (number, vector) in vectors.iter().enumerate() {
            // SAFETY: the vector has 32 bytes, and may lie anywhere.
            let found = unsafe { _mm256_loadu_si256(vector.as_ptr().cast::<__m256i>()) };
            let found = _mm256_movemask_epi8(_mm256_cmpeq_epi8(found, wanted));
            if found != 0 {
                return 32 * number + found.trailing_zeros() as usize;
            }
        }
        text.len() - rest.len() + one_by_one(byte, rest)
    }
    // SAFETY: `cases` chooses this function only where the processor has AVX2.
    unsafe { run(byte, text) }
}

#[inline(never)]
fn known_vectors(byte: u8, text: &[u8]) -> usize {
    #[cfg(target_arch = "x86_64")]
    return by_vectors(byte, text);
    #[cfg(not(target_arch = "x86_64"))]
    one_by_one(byte, text)
}

#[inline(never)]
fn known_scalar(byte: u8, text: &[u8]) -> usize {
    one_by_one(byte, text)
}

#[inline(always)]
fn count(mut text: &[u8], byte: u8, find: impl Fn(u8, &[u8]) -> usize) -> u64 {
    let mut lines = 0;
    while !text.is_empty() {
        let end = find(byte, text);
        lines += 1;
        text = text.get(end + 1..).unwrap_or_default();
    }
    lines
}

pub(crate) fn cases(text: &[u8]) -> Vec<Case<'_>> {
    #[cfg(target_arch = "x86_64")]
    let has_vectors = std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let has_vectors = false;
    // A byte that does not occur, so each search runs to the end.
    let inputs = [("lines", b'\n'), ("whole text", 0xff)];
    if has_vectors {
        dispatched::choose(known_vectors);
        cases_of(text, inputs, known_vectors)
    } else {
        dispatched::choose(known_scalar);
        cases_of(text, inputs, known_scalar)
    }
}

fn cases_of<'text>(
    text: &'text [u8],
    inputs: [(&str, u8); 2],
    known: impl Fn(u8, &[u8]) -> usize + Copy + 'text,
) -> Vec<Case<'text>> {
    let cases = inputs.into_iter().flat_map(|(input, byte)| {
        let case = |form, run: Box<dyn Fn() -> u64 + 'text>| Case {
            name: format!("search/{input}/{form}"),
            amount: text.len(),
            run,
        };
        [
            case("direct", Box::new(move || count(text, byte, known))),
            case("static", Box::new(move || count(text, byte, dispatched::by_key))),
            case("pointer", Box::new(move || count(text, byte, dispatched::by_pointer))),
        ]
    });
    cases.collect()
}
