//! Text in aligned columns, in colours, and within the width of a terminal.

use std::borrow::Cow;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How a report is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// How many lines of a long list are printed.
    pub length: Length,
    /// The columns of the terminal, within which names are shortened. None: nothing is shortened.
    pub width: Option<usize>,
    /// Whether the text has the escape sequences of colours.
    pub has_color: bool,
}

/// How many lines of a long list are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// The first lines of each list.
    Short,
    /// Every line.
    Full,
}

impl Length {
    pub(crate) fn lines(self) -> usize {
        match self {
            Self::Short => 20,
            Self::Full => usize::MAX,
        }
    }
}

/// What a file or a pipe gets: all of each name, and no colours.
impl From<Length> for Presentation {
    fn from(length: Length) -> Self {
        Self { length, width: None, has_color: false }
    }
}

/// What a text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Plain,
    Title,
    Name,
    Good,
    Doubtful,
    Bad,
    Faint,
}

impl Role {
    /// Only the sixteen colours that every theme of a terminal chooses for itself.
    const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Title => Style::new().bold(),
            Self::Name => AnsiColor::Cyan.on_default(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Doubtful => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

impl Presentation {
    /// The text in its colour.
    pub(crate) fn paint(&self, role: Role, text: &str) -> String {
        let style = role.style();
        if self.has_color && !style.is_plain() && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// A paragraph whose first line starts with `start`, which the others are indented by. It is broken
    /// between words to fit into the terminal.
    pub(crate) fn paragraph(&self, start: &str, role: Role, text: &str) -> String {
        let width = self.width.unwrap_or(usize::MAX);
        let indent = start.width();
        let mut lines = vec![String::new()];
        let mut used = indent;
        for word in text.split(' ') {
            let line = lines.last_mut().expect("there is one");
            if used + 1 + word.width() > width && !line.is_empty() {
                lines.push(word.to_owned());
                used = indent + word.width();
            } else {
                used += word.width() + usize::from(!line.is_empty());
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        let mut out = String::new();
        for (number, line) in lines.iter().enumerate() {
            let start = if number == 0 { start.to_owned() } else { " ".repeat(indent) };
            out += &format!("{start}{}\n", self.paint(role, line));
        }
        out
    }
}

/// A text that is at most this wide: what is too much is left out of its middle. The end tells more about a
/// path than the start.
pub(crate) fn shorten(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return text.into();
    }
    let rest = width.saturating_sub(1);
    let fits = |part: &mut dyn Iterator<Item = char>, most: usize| {
        let mut used = 0;
        let taken = part.take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= most
        });
        taken.map(char::len_utf8).sum::<usize>()
    };
    let start = fits(&mut text.chars(), rest / 3);
    let end = fits(&mut text.chars().rev(), rest - text[..start].width());
    format!("{}\u{2026}{}", &text[..start], &text[text.len() - end..]).into()
}

/// What is in a row and a column.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    role: Role,
    is_number: bool,
}

/// A text in a colour.
pub(crate) fn cell(role: Role, text: impl Into<String>) -> Cell {
    Cell { text: text.into(), role, is_number: false }
}

/// A number. Zeros are less visible.
pub(crate) fn number(number: usize) -> Cell {
    let role = if number == 0 { Role::Faint } else { Role::Plain };
    Cell { text: number.to_string(), role, is_number: true }
}

/// A number in words or in a colour.
pub(crate) fn figure(role: Role, text: impl Into<String>) -> Cell {
    Cell { text: text.into(), role, is_number: true }
}

/// Rows of cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    titles: Vec<String>,
    rows: Vec<(Vec<Cell>, Option<String>)>,
}

/// A column is never narrower than this because of others.
const NARROWEST: usize = 6;
/// Where nothing is shortened, longer texts do not move the columns behind them.
const WIDEST: usize = 60;

impl Table {
    pub(crate) fn new(titles: &[&str]) -> Self {
        Self { titles: titles.iter().map(|&title| title.to_owned()).collect(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.rows.push((row.into_iter().collect(), None));
    }

    /// A sentence below the last row.
    pub(crate) fn note(&mut self, note: String) {
        if let Some((_, place)) = self.rows.last_mut() {
            *place = Some(note);
        }
    }

    pub(crate) fn print(&self, presentation: &Presentation) -> String {
        let columns = self.rows.iter().map(|(row, _)| row.len()).max().unwrap_or_default();
        let is_number = |column: usize| {
            self.rows.first().and_then(|(row, _)| row.get(column)).is_some_and(|cell| cell.is_number)
        };
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|(row, _)| row.get(column)).map(|cell| cell.text.width());
            let title = self.titles.get(column).map_or(0, |title| title.width());
            cells.max().unwrap_or_default().max(title)
        };
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        match presentation.width {
            Some(width) => fit(&mut widths, &(0..columns).map(is_number).collect::<Vec<_>>(), width),
            None => widths.iter_mut().for_each(|width| *width = (*width).min(WIDEST)),
        }
        let mut out = String::new();
        if !self.titles.is_empty() {
            let title = |(column, title): (usize, &String)| Cell {
                text: title.clone(),
                role: Role::Faint,
                is_number: is_number(column),
            };
            let titles: Vec<Cell> = self.titles.iter().enumerate().map(title).collect();
            out += &line(&titles, &widths, presentation);
        }
        for (row, note) in &self.rows {
            out += &line(row, &widths, presentation);
            if let Some(note) = note {
                out += &presentation.paragraph("      ", Role::Doubtful, note);
            }
        }
        out
    }
}

fn line(row: &[Cell], widths: &[usize], presentation: &Presentation) -> String {
    let mut out = String::from(" ");
    let last = row.iter().rposition(|cell| !cell.text.is_empty());
    for (column, (cell, &width)) in row.iter().zip(widths).enumerate().take(last.map_or(0, |last| last + 1)) {
        let text = match presentation.width {
            Some(_) => shorten(&cell.text, width),
            None => cell.text.as_str().into(),
        };
        let space = " ".repeat(width.saturating_sub(text.width()));
        let text = presentation.paint(cell.role, &text);
        let _ = match (cell.is_number, last == Some(column)) {
            (true, _) => write!(out, " {space}{text} "),
            (false, true) => write!(out, " {text}"),
            (false, false) => write!(out, " {text}{space} "),
        };
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

/// Makes columns narrower until a line fits: the widest ones first, and none with numbers.
fn fit(widths: &mut [usize], is_number: &[bool], width: usize) {
    // Each column has a space on both sides, and the line one before them; the last column's is not printed.
    let frame = 2 * widths.len();
    let sum = |widths: &[usize]| widths.iter().sum::<usize>() + frame;
    while sum(widths) > width {
        let columns = 0..widths.len();
        let widest = columns.filter(|&column| !is_number[column]).max_by_key(|&column| widths[column]);
        match widest {
            Some(column) if widths[column] > NARROWEST => widths[column] -= 1,
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_middle() {
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("static_call::private::load", 13), "stat\u{2026}te::load");
        assert_eq!(shorten("anything", 1), "\u{2026}");
        // A character that takes two columns is not cut in half.
        assert_eq!(
            shorten("\u{6f22}\u{5b57}\u{6f22}\u{5b57}\u{6f22}\u{5b57}", 7),
            "\u{6f22}\u{2026}\u{6f22}\u{5b57}"
        );
        for width in 1..20 {
            let text = shorten("a::\u{6f22}\u{5b57}::\u{e9}::b\u{301}::end", width).into_owned();
            assert!(text.width() <= width, "{width}: {text}");
        }
    }

    fn table() -> Table {
        let mut table = Table::new(&["key", "target", "calls"]);
        table.row([cell(Role::Name, "net::RECEIVE"), cell(Role::Plain, "net::fast::receive"), number(7)]);
        table.row([cell(Role::Name, "LOG"), cell(Role::Plain, "off"), number(1234)]);
        table.note("one two three four five six".into());
        table
    }

    #[test]
    fn a_pipe_gets_whole_names_in_columns_without_colours() {
        let text = table().print(&Length::Full.into());
        let expected = "  key           target              calls\n  \
                        net::RECEIVE  net::fast::receive      7\n  \
                        LOG           off                  1234\n      \
                        one two three four five six\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 23..60 {
            let presentation = Presentation { length: Length::Full, width: Some(width), has_color: false };
            let text = table().print(&presentation);
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
            // Numbers are never cut.
            assert!(text.contains("1234"), "{width}:\n{text}");
        }
        let narrow = Presentation { length: Length::Full, width: Some(30), has_color: false };
        assert!(
            table().print(&narrow).contains("net\u{2026}ECEIVE  ne\u{2026}eceive"),
            "{}",
            table().print(&narrow)
        );
    }

    #[test]
    fn colours_do_not_move_columns() {
        let plain = Presentation { length: Length::Full, width: Some(40), has_color: false };
        let colored = table().print(&Presentation { has_color: true, ..plain });
        assert!(colored.contains("\u{1b}[36mLOG\u{1b}[0m"), "{colored:?}");
        assert_eq!(anstream::adapter::strip_str(&colored).to_string(), table().print(&plain));
    }

    #[test]
    fn sentences_are_broken_between_words() {
        let presentation = Presentation { length: Length::Full, width: Some(12), has_color: false };
        let text = presentation.paragraph("  - ", Role::Plain, "aa bbb cccc longer-than-this d");
        assert_eq!(text, "  - aa bbb\n    cccc\n    longer-than-this\n    d\n");
        let unlimited = Presentation { width: None, ..presentation };
        assert_eq!(unlimited.paragraph("- ", Role::Plain, "a b c"), "- a b c\n");
    }
}
