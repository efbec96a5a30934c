//! What a program prints, as lines of text: a terminal as simple as can be.
//!
//! Line feed, carriage return, backspace and tab do what they say. Of the control sequences (ECMA-48) only
//! "erase in line" is obeyed; colours and everything else are left out, so nothing that a program prints can harm the
//! screen around it.

use std::collections::VecDeque;
use unicode_width::UnicodeWidthChar;

/// How many lines are kept.
const LINES: usize = 2_000;
/// A line longer than that many characters is broken.
const LONGEST: usize = 4_000;
/// Columns between two tab stops.
const TAB: usize = 8;

/// The lines that a program has printed.
#[derive(Debug, Default)]
pub(super) struct Output {
    finished: VecDeque<String>,
    /// The line that is being written, and where the next character goes.
    line: Vec<char>,
    column: usize,
    /// The bytes of a character that is not complete yet.
    partial: Vec<u8>,
    escape: Escape,
}

/// How far a control sequence has come.
#[derive(Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// After ESC.
    Begun,
    /// After ESC and `[`, with the parameters so far.
    Control(String),
    /// After ESC and one of `]PX^_`: text that ends with BEL or ESC `\`.
    Text,
    /// After ESC and one of `()#%` and the like: one more character belongs to it.
    One,
}

impl Output {
    /// Takes in what was printed; characters may be split between two calls.
    pub(super) fn print(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.partial);
        let mut rest = bytes.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    text.chars().for_each(|char| self.char(char));
                    return;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    String::from_utf8_lossy(good)
                        .chars()
                        .for_each(|char| self.char(char));
                    match error.error_len() {
                        Some(len) => {
                            self.char(char::REPLACEMENT_CHARACTER);
                            rest = &bad[len..];
                        }
                        None => {
                            self.partial = bad.to_vec();
                            return;
                        }
                    }
                }
            }
        }
    }

    /// The last rows, oldest first, as they fit a pane of `width` columns and `height` rows, leaving out the newest `skip`.
    pub(super) fn rows(&self, width: usize, height: usize, skip: usize) -> Vec<String> {
        let current: String = self.line.iter().collect();
        let current = (!current.is_empty()).then_some(&current);
        let lines = self.finished.iter().chain(current).rev();
        let mut rows: Vec<String> = lines
            .flat_map(|line| fold(line, width).into_iter().rev())
            .skip(skip)
            .take(height)
            .collect();
        rows.reverse();
        rows
    }

    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        self.finished.len() + 1
    }

    /// The column in which the next character is printed, counted in characters as wide as they are.
    pub(super) fn cursor(&self) -> usize {
        let before = &self.line[..self.column.min(self.line.len())];
        before.iter().filter_map(|char| char.width()).sum()
    }

    /// Whether nothing is printed yet below the last row.
    pub(super) fn at_new_line(&self) -> bool {
        self.line.is_empty()
    }

    fn char(&mut self, char: char) {
        match std::mem::take(&mut self.escape) {
            Escape::None => self.plain(char),
            Escape::Begun => {
                self.escape = match char {
                    '[' => Escape::Control(String::new()),
                    ']' | 'P' | 'X' | '^' | '_' => Escape::Text,
                    ' '..='/' => Escape::One,
                    _ => Escape::None,
                }
            }
            Escape::Control(parameters) => self.control(parameters, char),
            Escape::Text => match char {
                '\x07' => {}
                '\x1b' => self.escape = Escape::Begun,
                _ => self.escape = Escape::Text,
            },
            Escape::One => {}
        }
    }

    fn control(&mut self, mut parameters: String, char: char) {
        match char {
            '\x1b' => self.escape = Escape::Begun,
            ' '..='?' => {
                // Nothing that is obeyed has long parameters.
                if parameters.len() < 16 {
                    parameters.push(char);
                }
                self.escape = Escape::Control(parameters);
            }
            'K' => match parameters.as_str() {
                "" | "0" => self.line.truncate(self.column),
                "2" => self.line.clear(),
                _ => {}
            },
            _ => {}
        }
    }

    fn plain(&mut self, char: char) {
        match char {
            '\x1b' => self.escape = Escape::Begun,
            '\n' => {
                let line = std::mem::take(&mut self.line);
                self.finished.push_back(line.into_iter().collect());
                self.column = 0;
                if self.finished.len() > LINES {
                    self.finished.pop_front();
                }
            }
            '\r' => self.column = 0,
            '\x08' => self.column = self.column.saturating_sub(1),
            '\t' => {
                for _ in self.column % TAB..TAB {
                    self.put(' ');
                }
            }
            _ if char.width().is_none_or(|width| width == 0) => {}
            _ => self.put(char),
        }
    }

    fn put(&mut self, char: char) {
        if self.column >= LONGEST {
            self.plain('\n');
        }
        if self.line.len() < self.column {
            self.line.resize(self.column, ' ');
        }
        match self.line.get_mut(self.column) {
            Some(place) => *place = char,
            None => self.line.push(char),
        }
        self.column += 1;
    }
}

/// Breaks a line at the edge of the pane.
fn fold(line: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut used = 0;
    for char in line.chars() {
        let columns = char.width().unwrap_or(0);
        if used + columns > width.max(2) {
            rows.push(String::new());
            used = 0;
        }
        used += columns;
        if let Some(row) = rows.last_mut() {
            row.push(char);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_becomes_lines() {
        #[rustfmt::skip]
        let cases: [(&[&[u8]], &[&str]); 13] = [
            (&[b"one\ntwo"], &["one", "two"]),
            (&[b"one\r\ntwo\r\n"], &["one", "two"]),
            (&[b"  5 %\r 10 %"], &[" 10 %"]),
            (&[b"abc\x08\x08X"], &["aXc"]),
            (&[b"a\tb\t\tc"], &["a       b               c"]),
            (&["请输入".as_bytes()], &["请输入"]),
            (&[&"请".as_bytes()[..2], &"请".as_bytes()[2..]], &["请"]),
            (&[b"\xffok"], &["\u{fffd}ok"]),
            (&[b"\x1b[1;31mred\x1b[0m"], &["red"]),
            (&[b"\x1b[3", b"1mred"], &["red"]),
            (&[b"long line\rx\x1b[K"], &["x"]),
            (&[b"\x1b]0;title\x07text\x1b(B\x1b=!"], &["text!"]),
            (&[b"bell\x07\0"], &["bell"]),
        ];
        for (printed, expected) in cases {
            let mut output = Output::default();
            printed.iter().for_each(|bytes| output.print(bytes));
            assert_eq!(output.rows(80, 10, 0), expected, "{printed:?}");
        }
    }

    #[test]
    fn the_newest_rows_are_shown() {
        let mut output = Output::default();
        output.print("一二三四五\n1\n2\n3".as_bytes());
        assert_eq!(output.rows(6, 3, 0), ["1", "2", "3"]);
        assert_eq!(output.rows(6, 3, 2), ["一二三", "四五", "1"]);
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let mut output = Output::default();
        for _ in 0..LINES + 10 {
            output.print(b"line\n");
        }
        output.print(&vec![b'x'; 3 * LONGEST]);
        assert!(output.len() <= LINES + 1);
        assert!(output.line.len() <= LONGEST);
    }
}
