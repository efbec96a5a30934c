//! From text to expectations.

mod packet;

pub(in crate::scenario) use packet::bytes;

use super::{Expectation, Line, Moment, Since, What, When, Window};
use crate::state::TcpState;
use smoltcp::time::Duration;
use std::ops::{Range, RangeInclusive};

/// Why a line is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LineError {
    /// Which line of the text, counted from 0.
    pub line: usize,
    /// Which bytes of that line are wrong; none where something is missing.
    pub at: Range<usize>,
    /// What was expected there.
    pub message: String,
}

/// The expectations of a text: a line each, `//` before comments, and braces on lines of their own around lines whose
/// order does not matter. The first line has the number `first`.
///
/// # Errors
/// The first line that can't be understood, with what was expected there.
pub fn parse_lines(text: &str, first: usize) -> Result<Vec<Expectation>, LineError> {
    let mut expectations = Vec::new();
    let mut group: Option<(usize, Vec<Line>)> = None;
    for (index, line) in text.lines().enumerate() {
        let wrong = |at: Range<usize>, message: &str| LineError {
            line: index,
            at,
            message: message.to_owned(),
        };
        let whole = line.len() - line.trim_start().len()..line.trim_end().len();
        match (without_comment(line).trim(), &mut group) {
            ("", _) => {}
            ("{", None) => group = Some((index, Vec::new())),
            ("{", Some(_)) => return Err(wrong(whole, "a group within a group")),
            ("}", Some((_, lines))) if lines.is_empty() => {
                return Err(wrong(whole, "a group without lines"));
            }
            ("}", Some((_, lines))) => {
                expectations.push(Expectation::Next(std::mem::take(lines)));
                group = None;
            }
            ("}", None) => return Err(wrong(whole, "no group begins before this")),
            _ => {
                let parsed =
                    parse_line(line, first + index).map_err(|(at, message)| LineError {
                        line: index,
                        at,
                        message,
                    })?;
                match (&mut group, parsed) {
                    (Some((_, lines)), Expectation::Next(more)) => lines.extend(more),
                    (Some(_), _) => {
                        return Err(wrong(whole, "`never` and `count` stand outside of groups"));
                    }
                    (None, parsed) => expectations.push(parsed),
                }
            }
        }
    }
    match group {
        None => Ok(expectations),
        Some((index, _)) => {
            let brace = text.lines().nth(index).and_then(|line| line.find('{'));
            Err(LineError {
                line: index,
                at: brace.map_or(0..0, |brace| brace..brace + 1),
                message: "this group has no end: expected `}` on a line of its own".to_owned(),
            })
        }
    }
}

/// What is wrong, and where in the line.
type Wrong = (Range<usize>, String);

/// One line that is not empty.
fn parse_line(line: &str, number: usize) -> Result<Expectation, Wrong> {
    let mut words = Words::split(line)?;
    let text = without_comment(line).trim().to_owned();
    if words.take("never") {
        let (flow, what) = what(&mut words)?;
        words.end()?;
        let when = When::ANY;
        return Ok(Expectation::Never(Line {
            text,
            number,
            when,
            flow,
            what,
        }));
    }
    if words.take("count") {
        let Some(last) = words.words.pop() else {
            return Err(words.expected("a packet or state, and how often, for example `in S 1..7`"));
        };
        let counts = count(last.text)
            .ok_or_else(|| last.wrong("expected how often, for example `3`, `1..7` or `1..`"))?;
        let (flow, what) = what(&mut words)?;
        words.end()?;
        let when = When::ANY;
        return Ok(Expectation::Count(
            Line {
                text,
                number,
                when,
                flow,
                what,
            },
            counts,
        ));
    }
    let when = when(&mut words)?;
    let (flow, what) = what(&mut words)?;
    words.end()?;
    Ok(Expectation::Next(vec![Line {
        text,
        number,
        when,
        flow,
        what,
    }]))
}

/// The words of a line. What stands in `<…>`, `"…"` or `[…]` is one.
struct Words<'a> {
    words: Vec<Word<'a>>,
    next: usize,
    len: usize,
}

#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    at: usize,
}

impl Word<'_> {
    fn wrong(&self, message: impl Into<String>) -> Wrong {
        (self.at..self.at + self.text.len(), message.into())
    }
}

impl<'a> Words<'a> {
    fn split(line: &'a str) -> Result<Words<'a>, Wrong> {
        let line = without_comment(line).trim_end();
        let mut words = Vec::new();
        let mut at = 0;
        while let Some(space) = line[at..].find(|letter: char| !letter.is_whitespace()) {
            at += space;
            let rest = &line[at..];
            let len = match rest.chars().next() {
                Some('<') => closing(rest, '>').ok_or((at..line.len(), "`>` is missing".into()))?,
                Some('[') => closing(rest, ']').ok_or((at..line.len(), "`]` is missing".into()))?,
                Some('"') => quoted(rest).ok_or((at..line.len(), "`\"` is missing".into()))?,
                _ => rest
                    .find(|letter: char| letter.is_whitespace() || "<[\"".contains(letter))
                    .unwrap_or(rest.len()),
            };
            words.push(Word {
                text: &rest[..len],
                at,
            });
            at += len;
        }
        Ok(Words {
            words,
            next: 0,
            len: line.len(),
        })
    }

    fn peek(&self) -> Option<Word<'a>> {
        self.words.get(self.next).copied()
    }

    fn next(&mut self) -> Option<Word<'a>> {
        let word = self.peek()?;
        self.next += 1;
        Some(word)
    }

    /// Goes on if the next word is this one.
    fn take(&mut self, text: &str) -> bool {
        let is = self.peek().is_some_and(|word| word.text == text);
        self.next += usize::from(is);
        is
    }

    fn expected(&self, what: &str) -> Wrong {
        match self.peek() {
            Some(word) => word.wrong(format!("expected {what}")),
            None => (self.len..self.len, format!("expected {what}")),
        }
    }

    fn end(&self) -> Result<(), Wrong> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("nothing more")),
        }
    }
}

/// A `//` that is not within quotes begins a comment.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        match letter {
            '"' if before != '\\' => quoted = !quoted,
            '/' if !quoted && before == '/' => return &line[..at - 1],
            _ => {}
        }
        before = letter;
    }
    line
}

fn closing(text: &str, end: char) -> Option<usize> {
    text.find(end).map(|at| at + end.len_utf8())
}

fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return Some(at + 1),
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    None
}

fn when(words: &mut Words<'_>) -> Result<When, Wrong> {
    let Some(word) = words.peek() else {
        return Err(words.expected("a line such as `+0.9..1.3 in S 0:0(0)`"));
    };
    let begins_time = |letter: char| letter.is_ascii_digit() || "+*.".contains(letter);
    if !word.text.starts_with(begins_time) {
        return Ok(When::ANY);
    }
    words.next();
    if word.text == "*" {
        return Ok(When::ANY);
    }
    let (since, text) = match word.text.strip_prefix('+') {
        Some(text) => (Since::Previous, text),
        None => (Since::Start, word.text),
    };
    let expected = "expected a time in seconds, for example `0.2`, `+1`, `+0.9..1.3`, `+200ms..`, \
                    `+syn-retry(1)`, or `*`";
    let window = window(text).ok_or_else(|| word.wrong(expected))?;
    if let Window::Between(Some(Moment::After(from)), Some(Moment::After(to))) = window
        && from > to
    {
        return Err(word.wrong("this window ends before it begins"));
    }
    Ok(When { since, window })
}

pub(in crate::scenario) fn window(text: &str) -> Option<Window> {
    match text.split_once("..") {
        None => Some(Window::Around(moment(text)?)),
        Some(("", "")) => None,
        Some((from, to)) => {
            let bound = |text: &str| match text {
                "" => Some(None),
                text => moment(text).map(Some),
            };
            Some(Window::Between(bound(from)?, bound(to)?))
        }
    }
}

fn moment(text: &str) -> Option<Moment> {
    if let Some(n) = text.strip_prefix("syn-retry(") {
        let n = n.strip_suffix(')')?.parse().ok()?;
        return (1..=127).contains(&n).then_some(Moment::SynRetry(n));
    }
    duration(text).map(Moment::After)
}

/// `1.5`, `1.5s`, `1500ms`, `20us` or `2min`: at most a day.
pub(in crate::scenario) fn duration(text: &str) -> Option<Duration> {
    let units = [
        ("ms", 1e3),
        ("us", 1.0),
        ("µs", 1.0),
        ("min", 60e6),
        ("s", 1e6),
    ];
    let (number, unit) = units
        .iter()
        .find_map(|(unit, micros)| Some((text.strip_suffix(unit)?, *micros)))
        .unwrap_or((text, 1e6));
    let plain = |letter: char| letter.is_ascii_digit() || letter == '.';
    let number: f64 = number.chars().all(plain).then(|| number.parse().ok())??;
    let micros = (number * unit).round();
    (0.0..=86_400e6)
        .contains(&micros)
        .then(|| Duration::from_micros(micros as u64))
}

fn count(text: &str) -> Option<RangeInclusive<u64>> {
    let number = |text: &str| text.parse::<u64>().ok();
    let range = match text.split_once("..") {
        None => number(text)?..=number(text)?,
        Some((from, "")) => number(from)?..=u64::MAX,
        Some(("", to)) => 0..=number(to)?,
        Some((from, to)) => number(from)?..=number(to)?,
    };
    (!range.is_empty()).then_some(range)
}

fn what(words: &mut Words<'_>) -> Result<(Option<u64>, What), Wrong> {
    let mut flow = None;
    if let Some(word) = words.peek()
        && let Some(number) = word.text.strip_prefix('#')
    {
        let number = number.parse().ok().filter(|&number| number > 0);
        let expected = "expected the number of a connection, for example `#1`";
        flow = Some(number.ok_or_else(|| word.wrong(expected))?);
        words.next();
    }
    let what = if words.take("state") {
        What::State(state(words)?)
    } else if words.take("peer") {
        What::Peer(state(words)?)
    } else if words.take("released") {
        What::Released(packet::pattern(words)?)
    } else {
        What::Packet(packet::pattern(words)?)
    };
    Ok((flow, what))
}

fn state(words: &mut Words<'_>) -> Result<TcpState, Wrong> {
    let named = |word: &Word<'_>| {
        TcpState::ALL
            .into_iter()
            .find(|state| state.name() == word.text)
    };
    let state = words.peek().as_ref().and_then(named);
    let state = state.ok_or_else(|| {
        let names = TcpState::ALL.map(TcpState::name);
        words.expected(&format!("a state: {}", names.join(", ")))
    })?;
    words.next();
    Ok(state)
}
