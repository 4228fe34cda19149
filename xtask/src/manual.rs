//! Section 3 of the manual, which is made of the C headers: their comments are its text.
//!
//! The overview at the top of a header becomes a list, its other paragraphs the description, and each comment
//! directly above public macros and functions the entry of these. So each fact is written once.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::run::root;

/// The headers that people include.
pub const HEADERS: [&str; 3] = ["static_call.h", "static_branch.h", "static_call_registry.h"];

/// A manual page: its name, and its text in the macros of man(7).
#[derive(Debug)]
pub struct Page {
    /// Such as `static_call`.
    pub name: String,
    /// The text.
    pub text: String,
}

/// The pages of all headers.
///
/// # Errors
///
/// If a header cannot be read, or is not written as this expects.
pub fn pages() -> Result<Vec<Page>> {
    HEADERS
        .iter()
        .map(|header| {
            let path = root().join("runtime/include").join(header);
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            page(header, &text).with_context(|| format!("{header}: no manual page can be made of it"))
        })
        .collect()
}

/// Writes the pages of section 3, and that of the wrapper.
///
/// # Errors
///
/// If that fails.
pub fn write(share: &Path) -> Result<()> {
    let write = |place: String, text: &str| {
        let path = share.join("man").join(place);
        let parent = path.parent().expect("it has a directory");
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    for Page { name, text } in pages()? {
        write(format!("man3/{name}.3"), &text)?;
    }
    write("man1/static-call-rustc.1".into(), &wrapper()?)
}

/// The page of `static-call-rustc`, which is written by hand.
///
/// # Errors
///
/// If it cannot be read.
pub fn wrapper() -> Result<String> {
    let path = root().join("rustc-wrapper/static-call-rustc.1.in");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.replace("@VERSION@", env!("CARGO_PKG_VERSION")))
}

/// A line of an overview.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// "keys", "calls" and so on.
    pub group: String,
    /// Macros or functions with their arguments.
    pub names: String,
    /// What they do.
    pub text: String,
}

/// The columns of an overview: a group, then the names, which two spaces separate from the text.
const NAMES: usize = 13;

/// The overview in the lines of a comment.
#[must_use]
pub fn overview(lines: &[String]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines {
        let is_entry = line.len() > NAMES && line.is_char_boundary(NAMES) && line[..NAMES].ends_with("  ");
        let (Some(group), Some(rest)) = (line.get(..NAMES).map(str::trim), line.get(NAMES..)) else {
            continue;
        };
        let starts = ["keys", "calls", "updates", "questions", "branches", "hooks"].contains(&group);
        if !is_entry || !starts && (entries.is_empty() || !group.is_empty()) {
            if !entries.is_empty() && !line.is_empty() {
                break;
            }
            continue;
        }
        if rest.starts_with(' ') {
            let entry = entries.last_mut().expect("a group is first");
            entry.text = [&entry.text, rest.trim()].join(" ").trim().to_owned();
            continue;
        }
        let (names, text) = match rest.split_once("  ") {
            Some(parts) => parts,
            // Long names leave one space.
            None => rest.find(") ").map_or((rest, ""), |end| rest.split_at(end + 1)),
        };
        let group = if starts { group.to_owned() } else { entries.last().expect("it began").group.clone() };
        entries.push(Entry { group, names: names.trim().to_owned(), text: text.trim().to_owned() });
    }
    entries
}

/// The names in an entry of an overview, such as `static_call_at`.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| is_public(word))
}

/// Whether this is a name that the headers give to users.
fn is_public(name: &str) -> bool {
    const STARTS: [&str; 6] =
        ["static_call", "static_branch", "static_key", "STATIC_", "DEFINE_STATIC_", "DECLARE_STATIC_"];
    STARTS.iter().any(|start| name.starts_with(start))
}

/// The lines of the comment at the top, without its frame.
#[must_use]
pub fn head(text: &str) -> Vec<String> {
    let comment = text.strip_prefix("/*").and_then(|text| text.split_once("*/")).map_or("", |(head, _)| head);
    let lines = comment.lines().map(|line| unframed(line).to_owned());
    lines.take_while(|line| !line.starts_with("SPDX")).collect()
}

fn unframed(line: &str) -> &str {
    let line = line.trim_end();
    line.strip_prefix(" * ").or_else(|| line.strip_prefix(" *")).unwrap_or(line).trim_end()
}

/// A comment and what it is about.
#[derive(Debug)]
struct Item {
    text: Vec<String>,
    /// What a user writes, such as `int static_call_seal(void);` or `static_call_fn(key)`.
    forms: Vec<String>,
}

fn page(header: &str, text: &str) -> Result<Page> {
    let name = header.trim_end_matches(".h").to_owned();
    let head = head(text);
    let summary = head.first().and_then(|line| line.split_once(" - "));
    let summary = summary.context("it does not begin with its name and a summary")?.1.trim_end_matches('.');
    let overview = overview(&head);
    let items = items(text, &overview);
    ensure!(!items.is_empty(), "no comment above a public macro or function was found");
    let mut out = Roff::default();
    let version = concat!("static-call ", env!("CARGO_PKG_VERSION"));
    // Without a date, so that the same sources always give the same page.
    out.line(&format!(".TH {} 3 \"\" \"{version}\" static-call", name.to_uppercase()));
    out.line(".SH NAME");
    out.line(&format!("{name} \\- {}", escape(summary)));
    out.line(".SH SYNOPSIS");
    out.line(".nf");
    out.line(&format!(".B #include <{header}>"));
    out.line(".fi");
    out.line(".SH DESCRIPTION");
    out.blocks(&description(&head), true);
    if !overview.is_empty() {
        out.line(".SH OVERVIEW");
        let mut group = "";
        for entry in &overview {
            if entry.group != group {
                group = &entry.group;
                out.line(&format!(".SS {}", capitalized(group)));
            }
            out.tagged(&entry.names, &entry.text);
        }
    }
    out.line(".SH INTERFACE");
    for Item { text, forms } in &items {
        for (number, form) in forms.iter().enumerate() {
            out.line(if number == 0 { ".TP" } else { ".TQ" });
            out.line(&format!("\\fB{}\\fR", escape(form)));
        }
        let start = out.0.len();
        out.blocks(text, false);
        // Paragraphs of an item are indented like its first one.
        let body = out.0.split_off(start).replace(".PP\n", ".IP\n");
        out.0.push_str(body.strip_prefix(".IP\n").unwrap_or(&body));
    }
    out.line(".SH SEE ALSO");
    let others = HEADERS.iter().map(|other| other.trim_end_matches(".h")).filter(|other| *other != name);
    let others: Vec<String> = others.map(|other| format!(".BR {other} (3)")).collect();
    out.line(&format!("{},\n.BR static\\-call\\-inspect (1)", others.join(",\n").replace(")\n", "),\n")));
    Ok(Page { name, text: out.0.replace("(3),,", "(3),").replace("(3),\n", "(3) ,\n") })
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// The top comment without its first line and its overview.
fn description(head: &[String]) -> Vec<String> {
    let is_entry =
        |line: &str| line.len() > NAMES && line.is_char_boundary(NAMES) && line[..NAMES].ends_with("  ");
    let first = head.iter().position(|line| line.trim_start().starts_with("keys  "));
    let mut lines = Vec::new();
    let mut in_overview = false;
    for (number, line) in head.iter().enumerate().skip(1) {
        in_overview = Some(number) == first || in_overview && is_entry(line);
        if !in_overview && line != "Overview" {
            lines.push(line.clone());
        }
    }
    lines
}

/// The comments that are directly above public macros and functions, in their order.
fn items(text: &str, overview: &[Entry]) -> Vec<Item> {
    let lines: Vec<&str> = text.lines().collect();
    let mut items = Vec::new();
    let mut number = text.lines().position(|line| line.starts_with("#ifndef")).unwrap_or_default();
    while number < lines.len() {
        if !lines[number].starts_with("/*") {
            number += 1;
            continue;
        }
        let start = number;
        while number < lines.len() && !lines[number].ends_with("*/") {
            number += 1;
        }
        let comment = lines[start..=number.min(lines.len() - 1)].iter().enumerate().map(|(at, line)| {
            let line = line.strip_suffix("*/").unwrap_or(line);
            if at == 0 { line.trim_start_matches("/*").trim().to_owned() } else { unframed(line).to_owned() }
        });
        let comment: Vec<String> = comment.collect();
        number += 1;
        let mut group: Vec<&str> = Vec::new();
        loop {
            let behind = lines[number.min(lines.len())..].iter();
            group.extend(behind.take_while(|line| !line.is_empty()));
            number += lines[number.min(lines.len())..].iter().take_while(|line| !line.is_empty()).count();
            // Macros without a comment of their own belong to what stands before them.
            let next = lines.get(number + 1).and_then(|line| line.strip_prefix("#define "));
            if group.is_empty() || !next.is_some_and(is_public) {
                break;
            }
            number += 1;
        }
        let forms = forms(&group.join("\n"), overview);
        if !forms.is_empty() {
            items.push(Item { text: comment, forms });
        }
    }
    items
}

/// What a user writes of the macros and functions in these lines.
fn forms(group: &str, overview: &[Entry]) -> Vec<String> {
    let mut forms = Vec::new();
    let joined = group.replace("\\\n", " ");
    let mut statement = String::new();
    for line in joined.lines() {
        if let Some(define) = line.strip_prefix("#define ") {
            statement.clear();
            let name: String =
                define.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if !is_public(&name) {
                // A comment above something of ours is for us.
                if forms.is_empty() {
                    return forms;
                }
                continue;
            }
            let arguments = define[name.len()..].strip_prefix('(').and_then(|rest| rest.split_once(')'));
            let form = arguments.map_or(name.clone(), |(arguments, _)| format!("{name}({arguments})"));
            // The overview says what the dots stand for.
            let start = format!("{name}(");
            let known = overview
                .iter()
                .flat_map(|entry| entry.names.split("), "))
                .find(|form| form.starts_with(&start));
            let named = known.map(|known| format!("{})", known.trim_end_matches(')')));
            let form = if form.contains("...") { named.unwrap_or(form) } else { form };
            if !forms.contains(&form) {
                forms.push(form);
            }
        } else if !line.starts_with('#') {
            statement += line;
            statement.push(' ');
            // A struct or an enum ends in a brace.
            if statement.contains('{') {
                if line.ends_with("};") {
                    let kind: Vec<&str> =
                        statement.split('{').next().unwrap_or_default().split_whitespace().collect();
                    let kind: Vec<&str> = kind.into_iter().filter(|word| !word.starts_with("__")).collect();
                    if kind.last().is_some_and(|name| is_public(name)) {
                        forms.push(kind.join(" "));
                    }
                    statement.clear();
                }
            } else if line.ends_with(';') {
                let declaration: Vec<&str> =
                    statement.split_whitespace().filter(|word| !word.starts_with("__STATIC_CALL_")).collect();
                let declaration = declaration.join(" ");
                let function =
                    declaration.split('(').next().and_then(|start| start.split([' ', '*']).next_back());
                if function.is_some_and(is_public) {
                    // Parameters have reserved names, so that no macro disturbs them.
                    forms.push(declaration.replace("__", ""));
                }
                statement.clear();
            }
        }
    }
    forms
}

/// Text in the macros of man(7).
#[derive(Default)]
struct Roff(String);

fn escape(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
}

/// The same with `code` in bold.
fn prose(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in text.split('`').enumerate() {
        let part = escape(part);
        let _ = if number % 2 == 1 { write!(out, "\\fB{part}\\fR") } else { write!(out, "{part}") };
    }
    out
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// `-EINVAL  why`: what two spaces separate from a text, if that is how a list begins.
fn tag(line: &str) -> Option<(&str, &str)> {
    let (tag, text) = line.trim_start().split_once("  ")?;
    let is_one = !tag.contains(' ')
        && tag
            .trim_start_matches('-')
            .chars()
            .all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit());
    is_one.then(|| (tag, text.trim()))
}

impl Roff {
    fn line(&mut self, line: &str) {
        self.0 += line;
        self.0.push('\n');
    }

    /// Space between paragraphs, unless there is some.
    fn space(&mut self, space: &str) {
        let last = self.0.lines().last().unwrap_or_default();
        if ![".SH", ".SS", ".sp"].iter().any(|start| last.starts_with(start)) {
            self.line(space);
        }
    }

    fn tagged(&mut self, tag: &str, text: &str) {
        self.line(".TP");
        self.line(&format!("\\fB{}\\fR", escape(tag)));
        if !text.is_empty() {
            self.line(&prose(text));
        }
    }

    /// Paragraphs, headings, lists and examples, as comments write them.
    fn blocks(&mut self, lines: &[String], with_headings: bool) {
        let mut number = 0;
        let mut base = 0;
        let mut is_first = true;
        let mut in_list = false;
        while number < lines.len() {
            let line = &lines[number];
            if line.is_empty() {
                number += 1;
                is_first = true;
                continue;
            }
            if in_list && tag(line).is_none() {
                self.line(".RE");
                in_list = false;
            }
            let next = lines.get(number + 1).filter(|next| !next.is_empty());
            if is_first && indent(line) >= 4 {
                // An example, up to a line that is not indented like it.
                let from = indent(line);
                let end = lines[number..].iter().position(|line| !line.is_empty() && indent(line) < from);
                let mut example = &lines[number..end.map_or(lines.len(), |end| number + end)];
                number += example.len();
                while example.last().is_some_and(String::is_empty) {
                    example = &example[..example.len() - 1];
                }
                self.space(".sp");
                self.line(if with_headings { ".RS 4\n.nf" } else { ".RS 11\n.nf" });
                for line in example {
                    self.line(&escape(line.get(from..).unwrap_or_default()).replace('\t', "    "));
                }
                self.line(".fi\n.RE");
                is_first = true;
            } else if with_headings
                && is_first
                && indent(line) == 0
                && next.is_some_and(|next| indent(next) == 2)
                && !line.ends_with([',', '.'])
            {
                self.line(&format!(".SS {}", escape(line.trim())));
                base = 2;
                number += 1;
                is_first = true;
            } else if let Some((tag, text)) = tag(line) {
                let from = indent(line);
                let mut text = text.to_owned();
                number += 1;
                while let Some(more) =
                    lines.get(number).filter(|more| !more.is_empty() && indent(more) > from)
                {
                    text = [&text, more.trim()].join(" ");
                    number += 1;
                }
                // Below an entry, such as the errors of a function.
                if !with_headings && !in_list {
                    self.line(".RS 7");
                    in_list = true;
                }
                self.tagged(tag, &text);
                is_first = lines.get(number).is_none_or(|line| self::tag(line).is_none());
            } else {
                if is_first {
                    base = if indent(line) < base { 0 } else { base };
                    self.space(".PP");
                }
                self.line(&prose(line.trim()));
                number += 1;
                is_first = false;
            }
        }
        if in_list {
            self.line(".RE");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::{Command, Stdio};

    use super::*;

    fn header(name: &str) -> String {
        fs::read_to_string(root().join("runtime/include").join(name)).expect("the header")
    }

    #[test]
    fn each_name_of_an_overview_stands_in_the_page() {
        let mut count = 0;
        for (header_name, page) in HEADERS.iter().zip(pages().expect("the pages")) {
            let entries = overview(&head(&header(header_name)));
            for name in entries.iter().flat_map(|entry| names(&entry.names)) {
                count += 1;
                let interface = page.text.split(".SH INTERFACE").nth(1).expect("the interface");
                let list = page.text.split(".SH OVERVIEW").nth(1).expect("the overview");
                assert!(list.contains(name), "{header_name}: {name} is not in the overview");
                // static_branch.h says it all at its top.
                let is_there = *header_name == "static_branch.h" || interface.contains(name);
                assert!(is_there, "{header_name}: {name} has no entry\n{interface}");
            }
        }
        assert!(count > 30, "only {count} names were found");
    }

    /// Each macro that users may write, and each function, has a comment, and so an entry.
    #[test]
    fn each_public_macro_and_function_has_an_entry() {
        for (header_name, page) in HEADERS.iter().zip(pages().expect("the pages")) {
            let text = header(header_name);
            let defined = text.lines().filter_map(|line| line.strip_prefix("#define ")).filter_map(|line| {
                let name = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
                let takes_arguments = line[name.len()..].starts_with('(');
                (is_public(name) && takes_arguments).then_some(name)
            });
            let defined: BTreeSet<&str> = defined.collect();
            assert!(defined.len() > 3, "{header_name}: {defined:?}");
            let missing: Vec<_> = defined.iter().filter(|name| !page.text.contains(**name)).collect();
            assert!(missing.is_empty(), "{header_name}: {missing:?}");
        }
    }

    #[test]
    fn the_wrappers_page_names_each_variable() {
        let page = wrapper().expect("the page");
        let sources = ["runtime/abi/src/installation.rs"];
        let text = fs::read_to_string(root().join(sources[0])).expect("the names");
        for name in ["PASS", "REQUIRE", "CHAINED_WRAPPER"] {
            let start = format!("const {name}: &str = \"");
            let value = text.split(&start).nth(1).and_then(|rest| rest.split('"').next()).expect(name);
            assert!(page.contains(&format!(".B {value}\n")), "{value}");
        }
    }

    /// mandoc checks the macros, and man-db what groff says of them.
    #[test]
    fn the_pages_have_no_faults() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write(directory.path()).expect("the pages");
        for page in [
            "man3/static_call.3",
            "man3/static_branch.3",
            "man3/static_call_registry.3",
            "man1/static-call-rustc.1",
        ] {
            let page = directory.path().join("man").join(page);
            let mut mandoc = Command::new("mandoc");
            let output =
                mandoc.args(["-Tlint", "-Wwarning"]).arg(&page).output().expect("mandoc is installed");
            let faults = String::from_utf8_lossy(&output.stdout);
            // A page has no date, so that it is always the same.
            let faults: Vec<&str> = faults.lines().filter(|line| !line.contains("missing date")).collect();
            assert!(faults.is_empty(), "{}", faults.join("\n"));
            let mut man = Command::new("man");
            man.args(["--warnings", "-E", "UTF-8", "-l"])
                .arg(&page)
                .env("MANWIDTH", "80")
                .stdin(Stdio::null());
            // The container's man may be one that only says that pages were left out.
            if let Ok(output) = man.output().map_err(|error| error.kind()) {
                assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
}
