//! Names as a person would write them.

/// A symbol's name without what compilers have added, and harmless to a terminal.
#[must_use]
pub fn demangle(symbol: &[u8]) -> String {
    // Mangled names are ASCII; nothing but damage makes one this long.
    const LONGEST: usize = 1 << 16;
    let symbol = &symbol[..symbol.len().min(LONGEST)];
    let name = String::from_utf8_lossy(symbol);
    if let Some(rust) = rust(&name) {
        return printable(&format!("{rust:#}"));
    }
    if name.starts_with("_Z")
        && let Ok(cpp) = cpp_demangle::Symbol::new(&*name)
        && let Ok(cpp) = cpp.demangle()
    {
        return printable(&cpp);
    }
    printable(&name)
}

/// Whether Rust's compiler has made this symbol.
#[must_use]
pub fn is_rust(symbol: &[u8]) -> bool {
    str::from_utf8(symbol).is_ok_and(|symbol| rust(symbol).is_some())
}

fn rust(symbol: &str) -> Option<rustc_demangle::Demangle<'_>> {
    // A path that does not end in a hash is one of C++.
    let is_rust = symbol.starts_with("_R") || symbol.contains("17h");
    rustc_demangle::try_demangle(symbol).ok().filter(|_| is_rust)
}

/// With control characters escaped, and cut where nobody reads on.
#[must_use]
pub fn printable(name: &str) -> String {
    const LONGEST: usize = 1024;
    let mut text = String::new();
    for character in name.chars().take(LONGEST) {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
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
}
