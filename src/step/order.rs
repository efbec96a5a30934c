//! What whoever steps says, in words.

use crate::engine::{Break, Copies, Disposal, Stepping};
use crate::event::{FlowId, PacketId};
use crate::fault::{Action, Assignment, ParseError, Rule, Until, Verdict};
use std::fmt;
use std::str::FromStr;

/// What is to be done.
///
/// ```
/// use tcplab::engine::{Disposal, Stepping};
/// use tcplab::event::PacketId;
/// use tcplab::step::Order;
///
/// assert_eq!("".parse(), Ok(Order::Dispose(None, Disposal::Pass)));
/// assert_eq!("d 7".parse(), Ok(Order::Dispose(Some(PacketId(7)), Disposal::Drop)));
/// assert_eq!("n 3".parse(), Ok(Order::Step(Stepping::Let(3))));
/// assert!("c until FIN".parse::<Order>().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// A packet that waits goes on, or not; the oldest where none is named.
    Dispose(Option<PacketId>, Disposal),
    /// Stepping goes on otherwise.
    Step(Stepping),
    /// Copies are dealt with like that.
    Copies(Copies),
    /// To show what waits.
    List,
    /// To show what can be said.
    Help,
}

/// Words that say nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoOrder(String);

impl fmt::Display for NoOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoOrder {}

impl FromStr for Order {
    type Err = NoOrder;

    /// | words | what |
    /// |---|---|
    /// | nothing, `p` | the packet goes on |
    /// | `d` | it is dropped |
    /// | `2` | it goes on twice |
    /// | `dup N` | it goes on, and N copies behind it |
    /// | `e CHANGE...` | it goes on changed, as rules [edit](crate::fault) |
    /// | `n`, `n N` | so many packets go on, those that wait counted |
    /// | `s` | from now on every packet waits |
    /// | `c` | everything goes on |
    /// | `c until WHAT` | until our end enters a STATE, or packets come as rules name them (`FIN`, `out data #2`), or one of a connection: `conn 2` |
    /// | `copies fold` | copies of what waits, or is not answered yet, are counted and go no further |
    /// | `copies pass` | a copy goes on by itself once its packet has gone on |
    /// | `copies hold` | each copy waits, as every packet does |
    /// | `l` | what waits |
    /// | `h`, `?`, `q` | what can be said |
    ///
    /// `p`, `d`, `2`, `dup N` and `e` take a packet's number right behind the word: `d 7`, `dup 1 7`, `e 7 mss=536`.
    fn from_str(text: &str) -> Result<Order, NoOrder> {
        let (word, rest) = first_word(text);
        let dispose = |rest, disposal| match id(rest)? {
            (id, "") => Ok(Order::Dispose(id, disposal)),
            (_, more) => Err(NoOrder(format!(
                "expected no more than a packet's number, found `{more}`"
            ))),
        };
        match word.to_ascii_lowercase().as_str() {
            "" | "p" | "pass" => dispose(rest, Disposal::Pass),
            "d" | "drop" => dispose(rest, Disposal::Drop),
            "2" => dispose(rest, Disposal::Duplicate(1)),
            "dup" | "duplicate" => {
                let (copies, rest) = first_word(rest);
                dispose(rest, Disposal::Duplicate(number(copies, 1, 1000)?))
            }
            "e" | "edit" => {
                let (id, changes) = id(rest)?;
                Ok(Order::Dispose(id, Disposal::Edit(assignments(changes)?)))
            }
            "n" | "next" if rest.is_empty() => Ok(Order::Step(Stepping::Let(1))),
            "n" | "next" => Ok(Order::Step(Stepping::Let(number(rest, 1, u64::MAX)?))),
            "s" | "step" if rest.is_empty() => Ok(Order::Step(Stepping::On)),
            "c" | "continue" if rest.is_empty() => Ok(Order::Step(Stepping::Off)),
            "c" | "continue" => match first_word(rest) {
                (until, what) if until.eq_ignore_ascii_case("until") => {
                    Ok(Order::Step(Stepping::Until(breakpoint(what)?)))
                }
                (word, _) => Err(NoOrder(format!("expected `until` after c, found `{word}`"))),
            },
            "copies" => match rest.to_ascii_lowercase().as_str() {
                "fold" => Ok(Order::Copies(Copies::Fold)),
                "pass" => Ok(Order::Copies(Copies::Pass)),
                "hold" => Ok(Order::Copies(Copies::Hold)),
                _ => Err(NoOrder(format!(
                    "expected `fold`, `pass` or `hold` after `copies`, found `{rest}`"
                ))),
            },
            "l" | "list" => Ok(Order::List),
            "h" | "help" | "?" | "q" => Ok(Order::Help),
            other => Err(NoOrder(format!(
                "`{other}` is no order; h lists those there are"
            ))),
        }
    }
}

/// The changes of an edit, as rules write them: `mss=536 ack+=1`.
///
/// # Errors
/// They can't be read.
pub(super) fn assignments(text: &str) -> Result<Vec<Assignment>, NoOrder> {
    match rule("edit ", text)? {
        Rule {
            action: Action::Judge(Verdict::Edit(assignments), _),
            ..
        } => Ok(assignments),
        // The line begins with `edit`, so no other verdict is there.
        _ => Err(NoOrder(format!("`{text}` changes nothing"))),
    }
}

/// What ends letting everything go on.
fn breakpoint(text: &str) -> Result<Break, NoOrder> {
    let (word, rest) = first_word(text);
    if word.eq_ignore_ascii_case("conn") {
        return Ok(Break::Flow(FlowId(number(rest, 1, u64::MAX)?)));
    }
    match rule("hold any until ", text)?.action {
        Action::Judge(Verdict::Hold(Until::State(state)), _) => Ok(Break::State(state)),
        Action::Judge(Verdict::Hold(Until::Packet(pattern)), _) => Ok(Break::Packet(pattern)),
        _ => Err(NoOrder(format!(
            "expected a state, packets or `conn N` after `until`, found `{text}`"
        ))),
    }
}

/// A rule of which somebody has typed the end.
fn rule(beginning: &str, end: &str) -> Result<Rule, NoOrder> {
    format!("{beginning}{end}")
        .parse()
        .map_err(|error: ParseError| {
            let found = match error.found() {
                "" => "the end".to_owned(),
                found => format!("`{found}`"),
            };
            NoOrder(format!("expected {}, found {found}", error.expected))
        })
}

/// A packet's number at the beginning of `text`, and the rest.
fn id(text: &str) -> Result<(Option<PacketId>, &str), NoOrder> {
    let (word, rest) = first_word(text);
    match word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty() {
        true => Ok((Some(PacketId(number(word, 1, u64::MAX)?)), rest)),
        false => Ok((None, text)),
    }
}

fn number<N: FromStr + PartialOrd + fmt::Display>(
    text: &str,
    least: N,
    most: N,
) -> Result<N, NoOrder> {
    text.parse()
        .ok()
        .filter(|number| (&least..=&most).contains(&number))
        .ok_or_else(|| {
            NoOrder(format!(
                "expected a number from {least} to {most}, found `{text}`"
            ))
        })
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Direction;
    use crate::fault::{Kind, Pattern};
    use crate::state::TcpState;

    #[test]
    fn words_are_orders() {
        let seven = Some(PacketId(7));
        let mss = || Disposal::Edit(vec![Assignment::Mss(Some(536))]);
        let pattern = |direction, kind, ordinal| {
            Order::Step(Stepping::Until(Break::Packet(Box::new(Pattern {
                direction,
                kind,
                ordinal,
                ..Pattern::default()
            }))))
        };
        let state = Stepping::Until(Break::State(TcpState::FinWait2));
        for (text, expected) in [
            ("", Order::Dispose(None, Disposal::Pass)),
            ("  p ", Order::Dispose(None, Disposal::Pass)),
            ("p 7", Order::Dispose(seven, Disposal::Pass)),
            ("D 7", Order::Dispose(seven, Disposal::Drop)),
            ("2", Order::Dispose(None, Disposal::Duplicate(1))),
            ("2 7", Order::Dispose(seven, Disposal::Duplicate(1))),
            ("dup 3", Order::Dispose(None, Disposal::Duplicate(3))),
            ("dup 3 7", Order::Dispose(seven, Disposal::Duplicate(3))),
            ("e mss=536", Order::Dispose(None, mss())),
            ("e 7 mss=536", Order::Dispose(seven, mss())),
            ("n", Order::Step(Stepping::Let(1))),
            ("n 12", Order::Step(Stepping::Let(12))),
            ("s", Order::Step(Stepping::On)),
            ("c", Order::Step(Stepping::Off)),
            ("c until FIN", pattern(None, Kind::Fin, None)),
            (
                "c until out data #2",
                pattern(Some(Direction::Out), Kind::Data, Some(2..=2)),
            ),
            ("c until fin-wait-2", Order::Step(state)),
            (
                "c until conn 2",
                Order::Step(Stepping::Until(Break::Flow(FlowId(2)))),
            ),
            ("copies pass", Order::Copies(Copies::Pass)),
            ("COPIES Hold ", Order::Copies(Copies::Hold)),
            ("copies fold", Order::Copies(Copies::Fold)),
            ("l", Order::List),
            ("q", Order::Help),
            ("?", Order::Help),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn other_words_say_what_is_wrong() {
        for (text, expected) in [
            ("x", "`x` is no order; h lists those there are"),
            (
                "d seven",
                "expected no more than a packet's number, found `seven`",
            ),
            (
                "d 7 8",
                "expected no more than a packet's number, found `8`",
            ),
            ("dup", "expected a number from 1 to 1000, found ``"),
            ("dup 1001", "expected a number from 1 to 1000, found `1001`"),
            (
                "n x",
                "expected a number from 1 to 18446744073709551615, found `x`",
            ),
            (
                "copies",
                "expected `fold`, `pass` or `hold` after `copies`, found ``",
            ),
            (
                "copies 3",
                "expected `fold`, `pass` or `hold` after `copies`, found `3`",
            ),
            ("c now", "expected `until` after c, found `now`"),
            (
                "c until hand",
                "expected a state, packets or `conn N` after `until`, found `hand`",
            ),
        ] {
            assert_eq!(
                text.parse::<Order>(),
                Err(NoOrder(expected.into())),
                "{text:?}"
            );
        }
        for text in [
            "e",
            "e mss",
            "e 7",
            "c until",
            "c until conn x",
            "c until NOWHERE",
        ] {
            let error = text.parse::<Order>().unwrap_err().to_string();
            assert!(error.starts_with("expected "), "{text:?}: {error}");
        }
    }
}
