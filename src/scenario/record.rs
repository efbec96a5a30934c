//! A scenario from what has happened, tolerant enough to pass again.
//!
//! What differs from run to run is left out: acknowledgments without data, how data is cut into segments, windows, ports,
//! retransmissions. What stays is who opens, who talks, who closes, and in which order.

use super::check::{Outcome, seconds};
use crate::event::{Direction, Event, EventKind, FlowId, Packet};
use crate::segment::{Body, Flags, Segment};
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};
use std::fmt::Write;

/// States that are entered in every run in the same order.
const STEADY: [TcpState; 3] = [
    TcpState::Established,
    TcpState::CloseWait,
    TcpState::TimeWait,
];
/// A pause that is shorter says nothing.
const PAUSE: Duration = Duration::from_millis(500);
/// A machine may be that slow.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a client says is kept up to this length.
const MOST_OUTPUT: usize = 200;

/// Writes down what happens. It is fed with every event in order.
#[derive(Debug, Default)]
pub struct Recorder {
    lines: Vec<(Instant, FlowId, String)>,
    open: Vec<FlowId>,
    flows: u64,
    /// Whether two flows were open at the same time: then there is no one order.
    overlap: bool,
    syns: u64,
    resets: [bool; 2],
    /// Who has talked last, in the newest flow.
    talks: Option<Direction>,
    /// Who has sent a FIN or a RST, in the newest flow.
    closed: Vec<Direction>,
}

impl Recorder {
    /// Nothing has happened yet.
    pub fn new() -> Recorder {
        Recorder::default()
    }

    /// Takes the next event in.
    pub fn event(&mut self, event: &Event) {
        // What belongs to no flow, such as a SYN to a closed port, has the number 0.
        let flow = event.flow.unwrap_or(FlowId(0));
        match &event.kind {
            EventKind::Opened(_) => {
                self.flows += 1;
                self.overlap |= !self.open.is_empty();
                self.open.push(flow);
                self.talks = None;
                self.closed.clear();
            }
            EventKind::Closed(_) => self.open.retain(|other| *other != flow),
            EventKind::Transition(transition) if STEADY.contains(&transition.to) => {
                // TIME-WAIT does not keep the next connection waiting.
                if transition.to == TcpState::TimeWait {
                    self.open.retain(|other| *other != flow);
                }
                self.push(event.at, flow, format!("state {}", transition.to));
            }
            EventKind::Packet(packet) => {
                if let Some(line) = self.packet(packet) {
                    self.push(event.at, flow, line);
                }
            }
            _ => {}
        }
    }

    /// The file: `command` is what has run, and `outcome` how it has ended.
    pub fn finish(self, command: &[String], outcome: &Outcome) -> String {
        let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
        let limit = outcome.duration + outcome.duration + Duration::from_secs(20);
        let mut file = String::new();
        // Writing into a string does not fail.
        let _ = write!(
            file,
            "about = {}\nlimit = \"{}s\"\n\n[client]\nrun = [{}]\n\n[expect]\nexit = {}\n",
            quoted(&format!("{}, as recorded", command.join(" "))),
            limit.secs() + 1,
            words.join(", "),
            outcome.exit
        );
        let _ = writeln!(file, "duration = \"{}\"", window(outcome.duration));
        if let Some(said) = steady(&outcome.stdout) {
            let _ = writeln!(file, "stdout = {}", quoted(&said));
        }
        let _ = writeln!(file, "lines = '''");
        if !self.overlap {
            let mut before = self.lines.first().map_or(Instant::ZERO, |(at, ..)| *at);
            for (at, flow, line) in &self.lines {
                let time = match *at - before {
                    pause if pause < PAUSE => String::new(),
                    pause => format!("+{}", window(pause)),
                };
                before = *at;
                let number = match self.flows > 1 && flow.0 > 0 {
                    true => format!("{flow} "),
                    false => String::new(),
                };
                let _ = writeln!(file, "  {time:<12}{number}{line}");
            }
        }
        let _ = match self.overlap {
            // Each of them may have to send its SYN again.
            true => writeln!(file, "count in S {}..", self.syns),
            false => writeln!(file, "count in S new {}", self.syns),
        };
        for (direction, reset) in [Direction::In, Direction::Out].into_iter().zip(self.resets) {
            if !reset {
                let _ = writeln!(file, "never {} R*", direction.name());
            }
        }
        file.push_str("'''\n");
        file
    }

    fn push(&mut self, at: Instant, flow: FlowId, line: String) {
        self.lines.push((at, flow, line));
    }

    fn packet(&mut self, packet: &Packet) -> Option<String> {
        let direction = packet.direction;
        let way = direction.name();
        match &packet.described.body {
            Body::Udp(datagram) => Some(format!("{way:<3} udp ({})", datagram.payload.len())),
            Body::Icmp(icmp) => Some(format!("{way:<3} icmp {}", icmp.name)),
            Body::Tcp(segment) if !packet.retransmission => self.segment(direction, segment),
            _ => None,
        }
    }

    fn segment(&mut self, direction: Direction, segment: &Segment) -> Option<String> {
        let way = direction.name();
        let has = |flag| segment.flags.contains(flag);
        if has(Flags::RST) {
            self.resets[direction as usize] = true;
            self.closed.push(direction);
            return Some(format!("{way:<3} R*"));
        }
        if has(Flags::SYN) {
            self.syns += u64::from(direction == Direction::In && !has(Flags::ACK));
            return Some(match has(Flags::ACK) {
                true => format!("{way:<3} S. 0:0(0) ack 1"),
                false => format!("{way:<3} S  0:0(0)"),
            });
        }
        if has(Flags::FIN) {
            self.talks = None;
            self.closed.push(direction);
            return Some(format!("{way:<3} F*"));
        }
        // One line for each turn: how much it says at once is chance. While the ends close, so is the order.
        let begins =
            !segment.payload.is_empty() && self.talks != Some(direction) && self.closed.is_empty();
        begins.then(|| {
            self.talks = Some(direction);
            format!("{way:<3} *  *:*(1..)")
        })
    }
}

/// What is said by a client is expected again where it is short and no number in it may be another one.
fn steady(said: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(said).ok()?;
    let varies = text.chars().any(|letter| letter.is_numeric());
    (said.len() <= MOST_OUTPUT && !varies).then(|| text.to_owned())
}

/// A window around a time that was measured once.
fn window(time: Duration) -> String {
    let to = seconds(Duration::from_secs((time + time + PATIENCE).secs() + 1));
    match time >= PAUSE {
        true => format!(
            "{}..{to}",
            seconds(Duration::from_millis(time.total_millis() / 2))
        ),
        false => format!("..{to}"),
    }
}

/// A basic string of TOML, for which those of JSON are good but for DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}
