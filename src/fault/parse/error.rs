//! What is wrong with a line, and where.

use std::fmt;
use unicode_width::UnicodeWidthStr;

/// A line that is no rule. It prints as three lines: what was expected, the line, and a caret under the place.
///
/// ```
/// let error = "drop out SYNACK".parse::<tcplab::fault::Rule>().unwrap_err();
/// assert_eq!((error.line, error.column), (1, 10));
/// assert!(error.to_string().ends_with("\n  drop out SYNACK\n           ^^^^^^"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The number of the line in its file, counted from 1.
    pub line: usize,
    /// The number of the character in the line, counted from 1.
    pub column: usize,
    /// The byte in the line, counted from 0.
    pub offset: usize,
    /// How many bytes from there are meant; none at the line's end.
    pub length: usize,
    /// The line.
    pub text: String,
    /// What was expected, in words that follow "expected".
    pub expected: String,
}

impl ParseError {
    /// What stands at the place; nothing at the line's end.
    pub fn found(&self) -> &str {
        &self.text[self.offset..self.offset + self.length]
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParseError {
            line,
            column,
            expected,
            ..
        } = self;
        write!(f, "line {line}, column {column}: expected {expected}, ")?;
        match self.found() {
            "" => writeln!(f, "found the end of the rule")?,
            found => writeln!(f, "found `{}`", shown(found))?,
        }
        let before = shown(&self.text[..self.offset]).width();
        let under = shown(self.found()).width().max(1);
        writeln!(f, "  {}", shown(&self.text))?;
        write!(f, "  {:before$}{:^<under$}", "", "")
    }
}

/// Whatever would move the cursor shows as one blank.
fn shown(text: &str) -> String {
    text.replace(char::is_control, " ")
}
