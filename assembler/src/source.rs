//! Tracks the source line of each statement.

use std::collections::HashMap;

/// Follows `.file`, `.loc` and the labels of functions.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The compiled file.
    file: String,
    /// The files of the line table, by number.
    files: HashMap<String, String>,
    /// The current file's number and the line.
    line: Option<(String, String)>,
    function: String,
}

impl Source {
    pub(crate) fn function_starts(&mut self, label: &[u8]) {
        self.function = String::from_utf8_lossy(label).into_owned();
        self.line = None;
    }

    pub(crate) fn directive(&mut self, name: &[u8], operands: &[u8]) {
        if name != b".file" && name != b".loc" {
            return;
        }
        let operands = String::from_utf8_lossy(operands);
        let mut words = operands.split_whitespace();
        if name == b".loc" {
            self.line = words.next().zip(words.next()).map(|(file, line)| (file.into(), line.into()));
            return;
        }
        // `.file "name"`, or `.file number "directory" "name" md5 sum`.
        let strings: Vec<&str> = operands.split('"').skip(1).step_by(2).collect();
        let strings = &strings[..strings.len().min(2)];
        let number = words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(name) = strings.last() else { return };
        match number {
            Some(number) => {
                self.files.insert(number.into(), (*name).into());
            }
            None => self.file = (*name).into(),
        }
    }

    /// The file and, with `-g`, the line.
    pub(crate) fn place(&self) -> String {
        match &self.line {
            Some((file, line)) => format!("{}:{line}", self.files.get(file).unwrap_or(&self.file)),
            None => self.file.clone(),
        }
    }

    pub(crate) fn function(&self) -> String {
        self.function.clone()
    }
}

/// Whether a label may name a function: it is neither assembler-local nor a number.
pub(crate) fn is_function(label: &[u8]) -> bool {
    !label.is_empty() && !label.starts_with(b".L") && !label[0].is_ascii_digit()
}
