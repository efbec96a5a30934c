//! A line, and how far it has been read.

use super::ParseError;
use std::ops::Range;

/// What is left of a line is its words: what stands between blanks, except those in quotes.
pub(super) struct Line<'a> {
    text: &'a str,
    number: usize,
    /// How many bytes are read.
    at: usize,
    /// Where the word lies that was read last.
    last: Range<usize>,
}

#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// Where it begins in the line.
    pub(super) at: usize,
}

impl<'a> Word<'a> {
    pub(super) fn range(self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    /// What follows its first `bytes`.
    pub(super) fn from(self, bytes: usize) -> Word<'a> {
        Word {
            text: &self.text[bytes..],
            at: self.at + bytes,
        }
    }

    pub(super) fn is(self, name: &str) -> bool {
        self.text.eq_ignore_ascii_case(name)
    }
}

impl<'a> Line<'a> {
    pub(super) fn new(text: &'a str, number: usize) -> Line<'a> {
        Line {
            text,
            number,
            at: 0,
            last: 0..0,
        }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// What has been read.
    pub(super) fn read(&self) -> &'a str {
        &self.text[..self.at]
    }

    /// Where the word lies that was read last.
    pub(super) fn last(&self) -> Range<usize> {
        self.last.clone()
    }

    /// Whether nothing is left but blanks and a comment.
    pub(super) fn is_over(&self) -> bool {
        self.peek().is_none()
    }

    /// The next word, which stays.
    fn peek(&self) -> Option<Word<'a>> {
        let at = self.skip_blanks();
        let rest = &self.text[at..];
        let len = word_len(rest);
        let text = &rest[..len];
        // `#1` is an ordinal; no rule begins with one.
        let comment = text == "#" || text.starts_with('#') && self.read().trim().is_empty();
        (len > 0 && !comment).then_some(Word { text, at })
    }

    /// The next word.
    pub(super) fn expect(&mut self, expected: &str) -> Result<Word<'a>, ParseError> {
        self.take_if(|_| true)
            .ok_or_else(|| self.error_here(expected))
    }

    /// The next word if it is `name`.
    pub(super) fn take(&mut self, name: &str) -> Option<Word<'a>> {
        self.take_if(|word| word.eq_ignore_ascii_case(name))
    }

    /// The next word if it is one of those.
    pub(super) fn take_if(&mut self, is_one: impl FnOnce(&str) -> bool) -> Option<Word<'a>> {
        let word = self.peek().filter(|word| is_one(word.text))?;
        self.advance(word);
        Some(word)
    }

    /// Whether the next word is `name`.
    pub(super) fn is(&self, name: &str) -> bool {
        self.peek().is_some_and(|word| word.is(name))
    }

    pub(super) fn next_contains(&self, letter: char) -> bool {
        self.peek().is_some_and(|word| word.text.contains(letter))
    }

    /// A value of a scope: up to a blank, a comma, or the colon that ends the scope. In numbers that is the first colon,
    /// in addresses the last.
    pub(super) fn scope_value(
        &mut self,
        number: bool,
        expected: &str,
    ) -> Result<Word<'a>, ParseError> {
        let at = self.skip_blanks();
        let rest = &self.text[at..];
        let stop = |c: char| c.is_whitespace() || c == ',' || number && c == ':';
        let mut text = &rest[..rest.find(stop).unwrap_or(rest.len())];
        if !number && text.parse::<std::net::IpAddr>().is_err() {
            text = text.strip_suffix(':').unwrap_or(text);
        }
        if text.is_empty() {
            return Err(self.error_here(expected));
        }
        let word = Word { text, at };
        self.advance(word);
        Ok(word)
    }

    /// A comma or a colon.
    pub(super) fn separator(&mut self) -> Option<char> {
        let at = self.skip_blanks();
        let found = self.text[at..]
            .chars()
            .next()
            .filter(|c| matches!(c, ',' | ':'))?;
        self.at = at + 1;
        Some(found)
    }

    /// The next word can't be, or the line ends too early.
    pub(super) fn error_here(&self, expected: impl Into<String>) -> ParseError {
        let at = match self.peek() {
            Some(word) => word.range(),
            None => self.at..self.at,
        };
        self.error(at, expected)
    }

    pub(super) fn error(&self, at: Range<usize>, expected: impl Into<String>) -> ParseError {
        // Of a text of several lines, the one with the place.
        let begin = self.text[..at.start].rfind('\n').map_or(0, |end| end + 1);
        let line = self.text[begin..].split('\n').next().unwrap_or_default();
        let offset = at.start - begin;
        ParseError {
            line: self.number + self.text[..begin].matches('\n').count(),
            column: line[..offset].chars().count() + 1,
            offset,
            length: at.len().min(line.len() - offset),
            text: line.to_owned(),
            expected: expected.into(),
        }
    }

    fn advance(&mut self, word: Word<'a>) {
        self.last = word.range();
        self.at = self.last.end;
    }

    fn skip_blanks(&self) -> usize {
        self.text.len() - self.text[self.at..].trim_start().len()
    }
}

fn word_len(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if letter.is_whitespace() && !quoted => return at,
            _ => {}
        }
    }
    text.len()
}
