//! Finds a string in a large text.

/// Whether `text` contains `wanted` (Horspool's algorithm, which usually advances by the length of `wanted`).
pub(crate) fn has(text: &[u8], wanted: &[u8]) -> bool {
    let Some(last) = wanted.len().checked_sub(1) else { return true };
    let mut skips = [wanted.len(); 256];
    for (index, &byte) in wanted[..last].iter().enumerate() {
        skips[usize::from(byte)] = last - index;
    }
    let mut start = 0;
    while let Some(&byte) = text.get(start + last) {
        if byte == wanted[last] && text[start..].starts_with(wanted) {
            return true;
        }
        start += skips[usize::from(byte)];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_wherever_it_is() {
        let wanted = b"abcab";
        for before in 0..20 {
            for filler in [b'a', b'b', b'c', b'x'] {
                let mut text = vec![filler; before];
                text.extend(wanted);
                assert!(has(&text, wanted));
                assert!(!has(&text[..text.len() - 1], wanted));
                text.extend([filler; 7]);
                assert!(has(&text, wanted));
            }
        }
        assert!(has(b"", b"") && !has(b"", b"a"));
    }
}
