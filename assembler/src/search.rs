//! Finds a string in a large text.

/// How many places are looked at together: compilers make vector instructions of it.
const TOGETHER: usize = 64;

/// Whether `text` contains `wanted`. Looks for its first, middle and last byte, which are rarely all there.
///
/// Calls nothing of libc, which may not have started (see `start.rs`).
pub(crate) fn has(text: &[u8], wanted: &[u8]) -> bool {
    let [middle, end] = [wanted.len() / 2, wanted.len().saturating_sub(1)];
    let (Some(&last), Some(places)) = (wanted.last(), text.len().checked_sub(end)) else {
        return wanted.is_empty();
    };
    let mut start = 0;
    while start < places {
        let count = TOGETHER.min(places - start);
        let [firsts, middles, lasts] = [0, middle, end].map(|at| &text[start + at..][..count]);
        let is_at = |(&one, (&two, &three)): (&u8, (&u8, &u8))| {
            (one == wanted[0]) & (two == wanted[middle]) & (three == last)
        };
        let found = firsts.iter().zip(middles.iter().zip(lasts));
        if found.map(is_at).fold(false, |any, is_at| any | is_at)
            && (start..start + count)
                .any(|place| text[place..].iter().zip(wanted).all(|(one, other)| one == other))
        {
            return true;
        }
        start += count;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_wherever_it_is() {
        let wanted = b"abcab";
        for before in (0..20).chain(50..70).chain(120..130) {
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
