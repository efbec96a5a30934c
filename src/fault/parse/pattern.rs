//! Which packets: the words behind a verdict.

use super::line::Line;
use super::{ParseError, value};
use crate::event::Direction;
use crate::fault::rule::{Comparison, Kind, Pattern, Verdict};
use crate::state::TcpState;

/// A pattern while it is read; its parts may stand in any order.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) pattern: Pattern,
    /// What has been given, as each may be given once.
    given: Vec<&'static str>,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Reads one part; `false` where the next word is none.
    pub(super) fn take(&mut self, line: &mut Line<'_>) -> Result<bool, ParseError> {
        if let Some(direction) = direction(line) {
            self.once(line, "one direction")?;
            self.pattern.direction = direction;
        } else if let Some(kind) = kind(line) {
            self.once(line, "one kind of packet")?;
            self.pattern.kind = kind;
        } else if let Some(word) = line.take_if(|word| word.starts_with('#')) {
            self.once(line, "one ordinal")?;
            let expected = "which of them, such as #1, #1..2 or #3..";
            let range = value::range(line, word.from(1), expected)?;
            self.pattern.ordinal = Some(range);
        } else if let Some(retransmission) = retransmission(line) {
            self.once(line, "`retransmission` or `original`, once")?;
            self.pattern.retransmission = Some(retransmission);
        } else if line.take("while").is_some() {
            self.once(line, "`while` only once")?;
            self.pattern.state = Some(state(line)?);
        } else if line.take("after").is_some() {
            self.after(line)?;
        } else if line.take("within").is_some() {
            self.once(line, "`within` only once")?;
            let word = line.expect("a time, such as 500ms")?;
            self.pattern.within = Some(value::some_duration(line, word)?);
        } else if let Some(word) = line.take_if(is_size) {
            self.once(line, "`size` only once")?;
            let (comparison, length) = match &word.text[4..] {
                rest if rest.starts_with('<') => (Comparison::Less, 5),
                rest if rest.starts_with('>') => (Comparison::Greater, 5),
                rest if rest.starts_with('=') => (Comparison::Equal, 5),
                _ => {
                    return Err(line.error(word.range(), "size<BYTES, size>BYTES or size=BYTES"));
                }
            };
            let size = value::number(line, word.from(length), 1..=65_575)?;
            self.pattern.size = Some((comparison, size as usize));
        } else if line.take("chance").is_some() {
            self.once(line, "`chance` only once")?;
            let word = line.expect("a chance, such as 10%")?;
            self.pattern.chance = Some(value::chance(line, word)?);
        } else if line.take("times").is_some() {
            self.once(line, "`times` only once")?;
            let word = line.expect("how often at most")?;
            self.pattern.times = Some(value::number(line, word, 1..=u64::MAX)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The whole; what could never be true is refused.
    pub(super) fn finish(self, line: &Line<'_>) -> Result<Pattern, ParseError> {
        let pattern = self.pattern;
        let refuse = |expected: &str| Err(line.error(line.last(), expected));
        if let (Some(after), Some(within)) = (pattern.after, pattern.within)
            && within <= after
        {
            return refuse("a time `within` that is longer than that of `after`");
        }
        let never_again = matches!(pattern.kind, Kind::Ack | Kind::Rst | Kind::Datagram);
        if never_again && pattern.retransmission == Some(true) {
            return refuse(
                "another kind of packet with `retransmission`: an ACK alone, a RST and a datagram are never one",
            );
        }
        if pattern.kind == Kind::Datagram && pattern.state.is_some() {
            return refuse("segments with `while`: UDP has no states");
        }
        Ok(pattern)
    }

    /// The next word is no part of a pattern.
    pub(super) fn unknown(&self, line: &Line<'_>, verdict: &Verdict) -> ParseError {
        if line.next_contains('=') {
            return line
                .error_here("which packets (only `edit` changes them, and only `set` has knobs)");
        }
        let also = match verdict {
            Verdict::Edit(_) => "a change such as mss=536, ",
            Verdict::Hold(_) => "until, ",
            Verdict::Reset(_) | Verdict::Silence(_) if self.is_empty() => "at STATE, ",
            _ => "",
        };
        line.error_here(format!(
            "{also}in, out, both, a kind of packet (any, segment, SYN, SYN-ACK, handshake-ACK, data, ACK, FIN, RST, \
             datagram), #1..2, retransmission, original, while, after, within, size, chance, times or the end"
        ))
    }

    /// `after 500ms` or `after data 100`.
    fn after(&mut self, line: &mut Line<'_>) -> Result<(), ParseError> {
        if line.take("data").is_some() {
            self.once(line, "`after data` only once")?;
            let word = line.expect("how many bytes of data")?;
            self.pattern.after_data = Some(value::number(line, word, 0..=u64::MAX)?);
        } else {
            self.once(line, "`after` and a time only once")?;
            let word = line.expect("a time such as 500ms, or data and a number of bytes")?;
            self.pattern.after = Some(value::duration(line, word)?);
        }
        Ok(())
    }

    fn once(&mut self, line: &Line<'_>, what: &'static str) -> Result<(), ParseError> {
        if self.given.contains(&what) {
            return Err(line.error(line.last(), what));
        }
        self.given.push(what);
        Ok(())
    }
}

/// `in`, `out` or `both`, where the next word is one.
pub(super) fn direction(line: &mut Line<'_>) -> Option<Option<Direction>> {
    [
        ("in", Some(Direction::In)),
        ("out", Some(Direction::Out)),
        ("both", None),
    ]
    .into_iter()
    .find_map(|(name, direction)| line.take(name).map(|_| direction))
}

/// A state of RFC 9293.
pub(super) fn state(line: &mut Line<'_>) -> Result<TcpState, ParseError> {
    try_state(line).ok_or_else(|| {
        let names = TcpState::ALL.map(TcpState::name).join(", ");
        line.error_here(format!("a state: {names}"))
    })
}

/// A state, where the next word is one.
pub(super) fn try_state(line: &mut Line<'_>) -> Option<TcpState> {
    TcpState::ALL
        .into_iter()
        .find(|state| line.take(state.name()).is_some())
}

fn kind(line: &mut Line<'_>) -> Option<Kind> {
    Kind::ALL
        .into_iter()
        .find(|kind| line.take(kind.name()).is_some())
}

fn retransmission(line: &mut Line<'_>) -> Option<bool> {
    let again = line.take("retransmission").map(|_| true);
    again.or_else(|| line.take("original").map(|_| false))
}

fn is_size(word: &str) -> bool {
    word.get(..4)
        .is_some_and(|name| name.eq_ignore_ascii_case("size"))
}
