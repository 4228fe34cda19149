//! Patterns of names: `*` stands for any characters, `?` for one.

/// Whether a name matches a pattern.
#[inline(never)]
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut of_pattern, mut of_name) = (0, 0);
    // What follows the last star, and what it has to match next.
    let mut star: Option<(usize, usize)> = None;
    while of_name < name.len() {
        match pattern.get(of_pattern) {
            Some(b'*') => {
                of_pattern += 1;
                star = Some((of_pattern, of_name));
            }
            Some(b'?') => {
                of_pattern += 1;
                of_name += character(&name[of_name..]);
            }
            Some(&byte) if byte == name[of_name] => (of_pattern, of_name) = (of_pattern + 1, of_name + 1),
            // The star takes one more.
            _ => {
                let Some((behind, next)) = star else { return false };
                star = Some((behind, next + 1));
                (of_pattern, of_name) = (behind, next + 1);
            }
        }
    }
    pattern[of_pattern..].iter().all(|&byte| byte == b'*')
}

/// The bytes of the first character. Names are UTF-8.
fn character(text: &[u8]) -> usize {
    1 + text[1..].iter().take_while(|&&byte| byte & 0xc0 == 0x80).count()
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("*", "", true),
            ("**", "a", true),
            ("?", "", false),
            ("?", "a", true),
            ("?", "ü", true),
            ("??", "ü", false),
            ("?b", "üb", true),
            ("net::*", "net::tcp::TRACE", true),
            ("net::*", "net", false),
            ("net::*", "subnet::TRACE", false),
            ("*::TRACE", "net::tcp::TRACE", true),
            ("*::TRACE", "net::TRACED", false),
            ("*a*b", "aab", true),
            ("*a*b", "aaba", false),
            ("a*b*c", "abxbxc", true),
            ("trace_?", "trace_1", true),
            ("trace_?", "trace_12", false),
            ("[a]", "a", false),
            ("\\*", "*", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} and {name}");
        }
    }

    /// All patterns and names of four letters, against what the definition says.
    #[test]
    fn it_agrees_with_the_definition() {
        fn defined(pattern: &[u8], name: &[u8]) -> bool {
            match pattern.split_first() {
                None => name.is_empty(),
                Some((b'*', rest)) => (0..=name.len()).any(|start| defined(rest, &name[start..])),
                Some((&first, rest)) => name
                    .split_first()
                    .is_some_and(|(&letter, name)| (first == b'?' || first == letter) && defined(rest, name)),
            }
        }
        fn words(letters: &str) -> Vec<String> {
            let mut words = Vec::from([String::new()]);
            let mut last = words.clone();
            for _ in 0..4 {
                let longer = |word: &String| {
                    letters.chars().map(|c| word.clone() + c.encode_utf8(&mut [0; 4])).collect()
                };
                last = last.iter().flat_map(|word| -> Vec<String> { longer(word) }).collect();
                words.extend(last.iter().cloned());
            }
            words
        }
        for pattern in words("ab*?") {
            for name in words("ab") {
                let expected = defined(pattern.as_bytes(), name.as_bytes());
                assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} and {name}");
            }
        }
    }
}
