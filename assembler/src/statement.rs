//! Splits assembler source into statements as GNU as does.

/// Splits lines into statements. Remembers comments that continue on the next line.
#[derive(Clone, Debug)]
pub(crate) struct Splitter {
    comment: &'static [u8],
    in_comment: bool,
}

/// A statement: labels, then an instruction or a directive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    /// The range of the instruction or directive in its line.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The last of its labels, or empty.
    pub(crate) label: &'a [u8],
    pub(crate) mnemonic: &'a [u8],
    pub(crate) operands: &'a [u8],
}

impl Splitter {
    pub(crate) fn new(comment: &'static [u8]) -> Self {
        Self { comment, in_comment: false }
    }

    /// Calls `visit` with each statement of the next line, which does not contain its end.
    pub(crate) fn split<'a>(&mut self, line: &'a [u8], mut visit: impl FnMut(Statement<'a>)) {
        let mut start = 0;
        let mut at = 0;
        if !self.in_comment && line.trim_ascii_start().starts_with(b"#") {
            return;
        }
        while at < line.len() {
            let rest = &line[at..];
            if self.in_comment {
                match rest.windows(2).position(|two| two == b"*/") {
                    Some(end) => at += end + 2,
                    None => return,
                }
                self.in_comment = false;
                start = at;
                continue;
            }
            match rest[0] {
                b'"' => at += string(rest),
                // A character: `'a`, `'\n`. The character after the quote does not separate statements.
                b'\'' => at += if rest.get(1) == Some(&b'\\') { 3 } else { 2 },
                b';' => {
                    visit(statement(line, start, at));
                    at += 1;
                    start = at;
                }
                b'/' if rest.starts_with(b"/*") => {
                    visit(statement(line, start, at));
                    self.in_comment = true;
                    at += 2;
                }
                _ if rest.starts_with(self.comment) => {
                    return visit(statement(line, start, at));
                }
                _ => at += 1,
            }
        }
        if !self.in_comment {
            visit(statement(line, start, line.len()));
        }
    }
}

/// The length of a string literal with its quotes, or of the rest of the line if it is not closed.
fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The statement between two positions of a line.
fn statement(line: &[u8], start: usize, end: usize) -> Statement<'_> {
    let end = start + line[start..end.max(start)].trim_ascii_end().len();
    let mut found = Statement { end, ..Statement::default() };
    let mut start = start;
    loop {
        start += line[start..end].len() - line[start..end].trim_ascii_start().len();
        let Some((label, length)) = label(&line[start..end]) else { break };
        found.label = label;
        start += length;
    }
    found.start = start;
    let text = &line[start..end];
    let length = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    found.mnemonic = &text[..length];
    found.operands = text[length..].trim_ascii();
    found
}

/// The label at the start of a text, and the length of its definition.
fn label(text: &[u8]) -> Option<(&[u8], usize)> {
    let (name, length) = match text.first()? {
        b'"' => {
            let length = string(text);
            (text.get(1..length.checked_sub(1)?)?, length)
        }
        _ => {
            let length = text.iter().take_while(|&&byte| is_in_name(byte)).count();
            (&text[..length], length)
        }
    };
    let spaces = text[length..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let is_label = !name.is_empty() && text.get(length + spaces) == Some(&b':');
    // `name := value` is not a label.
    let is_label = is_label && text.get(length + spaces + 1) != Some(&b'=');
    is_label.then_some((name, length + spaces + 1))
}

/// Whether an unquoted name may contain this byte.
pub(crate) fn is_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.$".contains(&byte) || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(comment: &'static [u8], lines: &[&str]) -> Vec<[String; 3]> {
        let mut splitter = Splitter::new(comment);
        let mut found = Vec::new();
        for line in lines {
            splitter.split(line.as_bytes(), |statement| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
                let whole = line[statement.start..statement.end].trim().len();
                assert!(whole >= statement.mnemonic.len() + statement.operands.len());
                let parts = [statement.label, statement.mnemonic, statement.operands].map(text);
                if parts.iter().any(|part| !part.is_empty()) {
                    found.push(parts);
                }
            });
        }
        found
    }

    #[test]
    fn lines_are_split_as_the_assembler_does() {
        type Case = (&'static [u8], &'static [&'static str], &'static [[&'static str; 3]]);
        let cases: [Case; 12] = [
            (b"#", &["\tcall\tf"], &[["", "call", "f"]]),
            (b"#", &["a: b:\tcall f # here; not"], &[["b", "call", "f"]]),
            (b"#", &["1:call f;jmp g"], &[["1", "call", "f"], ["", "jmp", "g"]]),
            (b"#", &["# 5 \"a.c\" 1", "#APP"], &[]),
            (b"#", &["\"a b;\": call \"x;y\" ; nop"], &[["a b;", "call", "\"x;y\""], ["", "nop", ""]]),
            (b"#", &[".ascii \"\\\"; call f\"; ret"], &[["", ".ascii", "\"\\\"; call f\""], ["", "ret", ""]]),
            (b"#", &["mov $';, %al; ret"], &[["", "mov", "$';, %al"], ["", "ret", ""]]),
            (b"#", &["nop /* call f", "call g */ ret"], &[["", "nop", ""], ["", "ret", ""]]),
            (b"@", &["bl f(PLT) @ call"], &[["", "bl", "f(PLT)"]]),
            (
                b"//",
                &["bl f // call", "add x0, x0, #1; ret"],
                &[["", "bl", "f"], ["", "add", "x0, x0, #1"], ["", "ret", ""]],
            ),
            (b"#", &["x = 5", "y := 6", "z:"], &[["", "x", "= 5"], ["", "y", ":= 6"], ["z", "", ""]]),
            (b"#", &["\"é\":", "é: nop"], &[["é", "", ""], ["é", "nop", ""]]),
        ];
        for (comment, lines, expected) in cases {
            assert_eq!(split(comment, lines), expected, "{lines:?}");
        }
    }
}
