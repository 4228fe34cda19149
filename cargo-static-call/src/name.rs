//! Readable names and phrases.

use std::fmt::{self, Write};

/// The maximum number of characters of a name.
const LONGEST: usize = 1024;

/// The demangled name of a symbol, without control characters.
#[must_use]
pub fn demangle(symbol: &[u8]) -> String {
    // No real symbol is this long.
    const LONGEST: usize = 1 << 16;
    let symbol = &symbol[..symbol.len().min(LONGEST)];
    let name = String::from_utf8_lossy(symbol);
    let mut text = Text::default();
    if let Some(rust) = rust(&name) {
        let _ = write!(text, "{rust:#}");
        return text.into();
    }
    if name.starts_with("_Z")
        && let Ok(cpp) = cpp_demangle::Symbol::new(&*name)
        // A short symbol can stand for an endless name, which is cut when the text is full.
        && (cpp.structured_demangle(&mut text, &Default::default()).is_ok() || text.is_full())
    {
        return text.into();
    }
    printable(&name)
}

/// Whether this is a symbol that rustc mangled.
#[must_use]
pub fn is_rust(symbol: &[u8]) -> bool {
    str::from_utf8(symbol).is_ok_and(|symbol| rust(symbol).is_some())
}

fn rust(symbol: &str) -> Option<rustc_demangle::Demangle<'_>> {
    // Rust's legacy symbols end in a hash; without one, the symbol is C++'s.
    let is_rust = symbol.starts_with("_R") || symbol.contains("17h");
    rustc_demangle::try_demangle(symbol).ok().filter(|_| is_rust)
}

/// The text with control characters escaped, and cut to the maximum length.
#[must_use]
pub fn printable(name: &str) -> String {
    let mut text = Text::default();
    let _ = text.write_str(name);
    text.into()
}

/// Text with a maximum length, in which control characters are escaped.
#[derive(Debug, Default)]
struct Text {
    text: String,
    count: usize,
}

impl Text {
    fn is_full(&self) -> bool {
        self.count >= LONGEST
    }
}

impl Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for character in more.chars() {
            if self.is_full() {
                return Err(fmt::Error);
            }
            self.count += 1;
            if character.is_control() {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
        }
        Ok(())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.text
    }
}

/// The name and version of a compiler, from what it writes about itself into debug information. That may end
/// with its options.
#[must_use]
pub fn compiler(producer: &[u8]) -> String {
    let producer = String::from_utf8_lossy(&producer[..producer.len().min(4 * LONGEST)]);
    // rustc puts its name behind that of a compiler whose bugs debuggers know.
    let rustc = producer.strip_prefix("clang LLVM (").and_then(|rest| rest.strip_suffix(')'));
    let name = rustc.unwrap_or(&producer);
    let options = [" -", " /"].into_iter().filter_map(|start| name.find(start)).min();
    printable(name[..options.unwrap_or(name.len())].trim())
}

/// `count thing`, or `count things`; `branches`, too.
#[must_use]
pub fn counted(count: usize, thing: &str) -> String {
    let ending = match count {
        1 => "",
        _ if thing.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{count} {thing}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_cpp_c_and_hostile_names() {
        let cases: [(&[u8], &str); 6] = [
            (b"_RNvCskwGfYPst2Cb_3foo3bar", "foo::bar"),
            (b"_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            (b"_ZN2ns3fooEi", "ns::foo(int)"),
            (b"_ZN5outer12_GLOBAL__N_13keyE", "outer::(anonymous namespace)::key"),
            (b"plain", "plain"),
            (b"\x1b[31mred\xff\n", "\\u{1b}[31mred\u{fffd}\\n"),
        ];
        for (symbol, name) in cases {
            assert_eq!(demangle(symbol), name);
        }
        assert!(demangle(&b"_ZN".repeat(1 << 20)).len() < 1 << 16);
    }

    #[test]
    fn legacy_symbols_of_rust_end_in_a_hash() {
        assert!(is_rust(b"_ZN4core3fmt5write17h0123456789abcdefE") && is_rust(b"_RNvCskwGfYPst2Cb_3foo3bar"));
        assert!(!is_rust(b"_ZN4core3fmt5writeE") && !is_rust(b"_ZN2ns3fooEi") && !is_rust(b"plain"));
        assert!(!is_rust(b"_RNvCskwGfYPst2Cb_3foo3bar\xff"));
    }

    #[test]
    fn long_names_are_cut_by_characters() {
        let long = "\u{e9}".repeat(LONGEST + 1);
        assert_eq!(printable(&long), "\u{e9}".repeat(LONGEST));
        assert_eq!(printable(&"\n".repeat(LONGEST + 1)), "\\n".repeat(LONGEST));
    }

    #[test]
    fn compilers_without_their_options() {
        let cases: [(&[u8], &str); 6] = [
            (b"GNU C17 12.2.0 -mtune=generic -march=x86-64 -g -O2", "GNU C17 12.2.0"),
            (b"GNU AS 2.40", "GNU AS 2.40"),
            (b"Debian clang version 19.1.7 (3~deb12u1)", "Debian clang version 19.1.7 (3~deb12u1)"),
            (b"clang version 19.1.7 /usr/lib/llvm-19/bin/clang -O2 -c a.c", "clang version 19.1.7"),
            (
                b"clang LLVM (rustc version 1.95.0 (59807616e 2026-04-14))",
                "rustc version 1.95.0 (59807616e 2026-04-14)",
            ),
            (b"\x1b[31m\xff", "\\u{1b}[31m\u{fffd}"),
        ];
        for (producer, expected) in cases {
            assert_eq!(compiler(producer), expected);
        }
        assert_eq!(compiler(&[b'x'; 1 << 20]).len(), LONGEST);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "call")), ["0 calls", "1 call", "2 calls"]);
    }

    /// Each template's arguments are the previous one, twice, so the name doubles at every level.
    #[test]
    fn names_that_double() {
        let cpp = |levels: usize| {
            let mut name = String::from("_Z1fI1aE1gI1bS_E");
            for level in 0..levels {
                let last = if level == 0 { "_".into() } else { format!("{}_", base_36(level - 1)) };
                name += &format!("1tIS{last}S{last}E");
            }
            name
        };
        let rust = {
            // A tuple of two copies of the previous tuple (a back reference is `B` and a number in base 62).
            let mut name = String::from("_RINvC1a1fTuuE");
            let mut at = 8;
            for _ in 0..40 {
                let start = name.len() - 2;
                let reference =
                    |at: usize| if at == 0 { "B_".into() } else { format!("B{}_", base_62(at - 1)) };
                name += &format!("T{0}{0}E", reference(at));
                at = start;
            }
            name + "E"
        };
        for symbol in [cpp(30), cpp(200), rust] {
            let start = std::time::Instant::now();
            assert!(demangle(symbol.as_bytes()).chars().count() <= LONGEST.max(symbol.len()));
            assert!(start.elapsed().as_millis() < 1000, "{symbol}");
        }
    }

    fn base_36(number: usize) -> String {
        digits(number, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    }

    fn base_62(number: usize) -> String {
        digits(number, b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    }

    fn digits(mut number: usize, digits: &[u8]) -> String {
        let mut text = Vec::new();
        loop {
            text.insert(0, digits[number % digits.len()]);
            number /= digits.len();
            if number == 0 {
                return String::from_utf8(text).expect("ASCII");
            }
        }
    }
}
