//! The page about a connection's handshake: what it says, then how it looks as text and as HTML.

mod facts;
mod html;

use crate::event::{Direction, Handshake, HandshakeStep, Opening};
use crate::segment::Origin;
use crate::state::TcpState;
use smoltcp::time::Instant;
use std::fmt::Write;

/// What the page says.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Label and value.
    facts: Vec<(&'static str, String)>,
    /// The heads of the ladder's sides: the peer, then us.
    sides: (String, String),
    /// Our state before the first step.
    first: TcpState,
    rungs: Vec<Rung>,
    /// How the numbers belong together, in sentences.
    relations: Vec<String>,
    /// What the options of both SYNs came to, in sentences.
    agreed: Vec<String>,
    /// How many digits its numbers have less than they could have.
    room: usize,
}

/// A step of the handshake as a rung of the ladder.
#[derive(Clone, Debug)]
struct Rung {
    /// Milliseconds since the first step.
    time: String,
    direction: Direction,
    /// The lines of the rung: relative numbers on its arrow, below it absolute ones, then the options.
    lines: Vec<String>,
    state: TcpState,
}

const TITLE: &str = "The TCP handshake of this connection";
const INTRODUCTION: &str =
    "These are the segments that opened the connection over which this page came.";
const READING: &str = "Time is in milliseconds since the first segment. On each arrow sequence numbers count from the initial ones, \
     as packetdrill prints them; below it stand the same numbers as the wire carries them. The state at the right \
     is the server's after that segment.";

impl Page {
    /// The page that is asked for by a connection's `request`th request, counted from 1.
    pub(super) fn new(handshake: &Handshake, request: u64) -> Page {
        let start = handshake
            .steps
            .first()
            .map_or(Instant::ZERO, |step| step.at);
        Page {
            facts: facts::facts(handshake, request),
            sides: (
                format!("client {}", handshake.peer),
                format!("tcplab {}", handshake.local),
            ),
            first: match handshake.opening {
                Opening::Passive => TcpState::Listen,
                Opening::Active => TcpState::Closed,
            },
            rungs: handshake
                .steps
                .iter()
                .map(|step| Rung::new(step, handshake, start))
                .collect(),
            relations: facts::relations(handshake),
            agreed: facts::agreed(handshake),
            room: facts::room(handshake),
        }
    }

    /// As plain text. How long it is does not depend on chance, so that the same request is answered with the same segments: the
    /// ladder has room for the longest numbers, and blanks at the end make up for shorter ones elsewhere.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{TITLE}\n\n{INTRODUCTION}\n\n");
        let width = self.facts.iter().map(|(label, _)| label.len()).max();
        for (label, value) in &self.facts {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{label:<width$}  {value}", width = width.unwrap_or(0));
        }
        text.push('\n');
        text.push_str(&self.ladder());
        text.push('\n');
        for sentence in self.relations.iter().chain(&self.agreed) {
            wrap(&mut text, "- ", sentence);
        }
        text.push('\n');
        wrap(&mut text, "", READING);
        let end = text.len() - 1;
        text.insert_str(end, &" ".repeat(self.room));
        text
    }

    /// As a document that needs nothing else.
    pub(super) fn html(&self) -> String {
        html::html(self)
    }

    /// The ladder: peer left, we right.
    fn ladder(&self) -> String {
        let (peer, local) = &self.sides;
        let lines = self.rungs.iter().flat_map(|rung| &rung.lines);
        let widest = lines.map(|line| line.chars().count()).max().unwrap_or(0);
        let widest = widest.max(WIDEST);
        // Between the sides: an arrow's head or tail and a space at either end of the widest line.
        let width = widest + 6;
        let mut text = String::new();
        let _ = writeln!(text, "{:>TIME$}  {peer:<width$}   {local}", "ms");
        let _ = writeln!(text, "{:>TIME$}  │{:width$}│ {}", "", "", self.first);
        for rung in &self.rungs {
            for (number, line) in rung.lines.iter().enumerate() {
                let (time, state) = match number {
                    0 => (rung.time.as_str(), rung.state.name()),
                    _ => ("", ""),
                };
                let row = match (number, rung.direction) {
                    (0, Direction::In) => format!("── {:─<1$}─▶", format!("{line} "), widest + 1),
                    (0, Direction::Out) => format!("◀─ {:─<1$}──", format!("{line} "), widest + 1),
                    _ => format!("   {line:<widest$}   "),
                };
                let _ = writeln!(
                    text,
                    "{}",
                    format!("{time:>TIME$}  │{row}│ {state}").trim_end()
                );
            }
        }
        text
    }
}

/// The widest line of a usual handshake: Linux's options, with the longest timestamps.
const WIDEST: usize = "<mss 1460,sackOK,TS val 4294967295 ecr 4294967295,nop,wscale 10>".len();

/// The width of the ladder's column of times.
const TIME: usize = 9;

impl Rung {
    fn new(step: &HandshakeStep, handshake: &Handshake, start: Instant) -> Rung {
        let origin = match step.direction {
            Direction::In => Origin {
                seq: Some(handshake.irs),
                ack: Some(handshake.iss),
            },
            Direction::Out => Origin {
                seq: Some(handshake.iss),
                ack: Some(handshake.irs),
            },
        };
        let relative = step.described.notation(origin).to_string();
        let absolute = step.described.notation(Origin::default()).to_string();
        let (relative, options) = split_options(&relative);
        let (absolute, _) = split_options(&absolute);
        let lines = [relative, absolute, options];
        Rung {
            time: milliseconds((step.at - start).total_micros()),
            direction: step.direction,
            lines: lines
                .into_iter()
                .filter(|line| !line.is_empty())
                .map(String::from)
                .collect(),
            state: step.state,
        }
    }
}

/// A segment in packetdrill's notation without its options, and those.
fn split_options(notation: &str) -> (&str, &str) {
    match notation.find(" <") {
        Some(at) => (&notation[..at], &notation[at + 1..]),
        None => (notation, ""),
    }
}

/// Appends `sentence` in lines of at most 80 characters, the first one after `bullet`, the others below its text.
fn wrap(text: &mut String, bullet: &str, sentence: &str) {
    let mut line = bullet.to_owned();
    for word in sentence.split(' ') {
        if line.len() > bullet.len() {
            if line.len() + 1 + word.len() > 80 {
                let _ = writeln!(text, "{line}");
                line = " ".repeat(bullet.len());
            } else {
                line.push(' ');
            }
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests;
