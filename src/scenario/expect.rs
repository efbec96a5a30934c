//! What a scenario expects of the packets and states: the meaning of its lines.

mod parse;
#[cfg(test)]
mod tests;

pub use parse::{LineError, parse_lines};
pub(super) use parse::{bytes, duration, window};

use crate::event::Direction;
use crate::segment::Flags;
use crate::state::TcpState;
use smoltcp::time::Duration;
use std::fmt;
use std::ops::RangeInclusive;

/// One line, or a group of lines in braces whose order does not matter.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// These happen, in any order, after what was expected before: one line as a rule, more where they are grouped.
    Next(Vec<Line>),
    /// This never happens.
    Never(Line),
    /// This happens so often.
    Count(Line, RangeInclusive<u64>),
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The line as it stands in the file, without comment and the space around it.
    pub text: String,
    /// Which line of the file it is, counted from 1.
    pub number: usize,
    /// When; [`When::ANY`] in `never` and `count`.
    pub when: When,
    /// The flow, as ladders number them; `None` for any.
    pub flow: Option<u64>,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A packet crosses the link, or is swallowed or held by it.
    Packet(Pattern),
    /// A packet that was delayed or held goes on.
    Released(Pattern),
    /// Our end enters a state.
    State(TcpState),
    /// The peer enters a state, as far as its segments tell or its kernel says.
    Peer(TcpState),
}

/// The time that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// From when the window counts.
    pub since: Since,
    /// The window; its ends belong to it.
    pub window: Window,
}

impl When {
    /// At any time.
    pub const ANY: When = When {
        since: Since::Previous,
        window: Window::Between(None, None),
    };
}

/// From when times count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// From the first packet of the run.
    Start,
    /// From what was expected before; on the first line, from the first packet.
    Previous,
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// This moment, give or take the scenario's tolerance.
    Around(Moment),
    /// From one moment to another; `None` where there is no bound.
    Between(Option<Moment>, Option<Moment>),
}

/// A point in time, counted as [`Since`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After so long.
    After(Duration),
    /// As long after a SYN as the kernel waits before it sends it again for the so-manieth time, counted from 1.
    SynRetry(u8),
}

/// What must be known of the kernel in order to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The sysctl `net.ipv4.tcp_syn_linear_timeouts`: so many pauses before a SYN is sent again are equally long before
    /// they begin to double (Linux 6.5; 0 before).
    pub syn_linear_timeouts: u32,
}

impl Kernel {
    /// The pause before a SYN is sent again for the `n`th time, counted from 1. The first is the initial retransmission
    /// timeout of one second (RFC 6298, section 2.1).
    pub fn syn_retry(self, n: u8) -> Duration {
        let doublings = u32::from(n)
            .saturating_sub(1)
            .saturating_sub(self.syn_linear_timeouts);
        // TCP_RTO_MAX, include/net/tcp.h.
        Duration::from_secs(
            1u64.checked_shl(doublings)
                .map_or(120, |secs| secs.min(120)),
        )
    }
}

impl Window {
    /// Its bounds in time.
    pub fn bounds(self, kernel: Kernel, tolerance: Duration) -> (Duration, Option<Duration>) {
        let time = |moment| match moment {
            Moment::After(time) => time,
            Moment::SynRetry(n) => kernel.syn_retry(n),
        };
        match self {
            Window::Around(moment) => {
                let at = time(moment);
                let from = at.total_micros().saturating_sub(tolerance.total_micros());
                (Duration::from_micros(from), Some(at + tolerance))
            }
            Window::Between(from, to) => (from.map_or(Duration::ZERO, time), to.map(time)),
        }
    }
}

/// A packet, as far as it is described.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// Which way it goes, seen from our stack.
    pub direction: Direction,
    /// What it says.
    pub body: Body,
    /// Bytes that are somewhere in its payload.
    pub payload: Option<Vec<u8>>,
    /// Its fate in one word: `dropped`.
    pub fate: Option<&'static str>,
    /// Whether a part of it was sent before.
    pub retransmission: Option<bool>,
    /// Why our TCP sends it, in one word: `keep-alive`.
    pub reason: Option<&'static str>,
    /// Its checksum is wrong.
    pub bad_checksum: bool,
}

/// What a packet says, as far as it is described.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Any packet.
    Any,
    /// A TCP segment.
    Tcp(TcpPattern),
    /// A UDP datagram with so many bytes.
    Udp(Number),
    /// An ICMP message of this name; `None` for any.
    Icmp(Option<String>),
}

/// A TCP segment, as far as it is described. Sequence numbers count from the initial ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpPattern {
    /// The bits that must be set; all others must not, but for [`optional`](TcpPattern::optional).
    pub flags: Flags,
    /// The bits that may or may not be set.
    pub optional: Flags,
    /// The first sequence number.
    pub seq: Number,
    /// The first number after the data.
    pub end: Number,
    /// The bytes of data.
    pub len: Number,
    /// The acknowledgment number.
    pub ack: Number,
    /// The window field, not scaled.
    pub window: Number,
    /// The urgent pointer.
    pub urgent: Number,
    /// The options.
    pub options: Option<OptionList>,
}

/// Options in the order in which they stand.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionList {
    /// One after the other; `None` stands for any options, also none at all.
    pub items: Vec<Option<OptionPattern>>,
}

/// A TCP option.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionPattern {
    /// `mss 1460`
    MaxSegmentSize(Number),
    /// `wscale 7`
    WindowScale(Number),
    /// `sackOK`
    SackPermitted,
    /// `sack 5:9 …`; without blocks, any.
    Sack(Vec<(Number, Number)>),
    /// `TS val 10 ecr 0`; `TS` alone for any.
    Timestamps(Number, Number),
    /// `nop`
    Nop,
    /// `eol`
    EndOfList,
    /// `kind-30`
    Other(u8),
}

/// A number that is expected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Number {
    /// `*`, or nothing at all.
    #[default]
    Any,
    /// `5`, or `1..7`.
    In(RangeInclusive<u32>),
}

impl Number {
    /// Whether `value` is one of those.
    pub fn contains(&self, value: u32) -> bool {
        match self {
            Number::Any => true,
            Number::In(range) => range.contains(&value),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Any => f.write_str("*"),
            Number::In(range) if range.start() == range.end() => write!(f, "{}", range.start()),
            Number::In(range) if *range.end() == u32::MAX => write!(f, "{}..", range.start()),
            Number::In(range) => write!(f, "{}..{}", range.start(), range.end()),
        }
    }
}

impl fmt::Display for TcpPattern {
    /// The flags as they are written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.flags != Flags::default() {
            write!(f, "{}", self.flags)?;
        } else if self.optional == Flags::default() {
            return f.write_str("-");
        }
        match self.optional.0 & !self.flags.0 {
            0 => Ok(()),
            rest if rest == ALL_FLAGS.0 & !self.flags.0 => f.write_str("*"),
            rest => Flags(rest)
                .to_string()
                .chars()
                .try_for_each(|letter| write!(f, "{letter}?")),
        }
    }
}

/// All nine control bits.
pub(super) const ALL_FLAGS: Flags = Flags(0x1ff);

impl fmt::Display for OptionList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<")?;
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match item {
                None => f.write_str("...")?,
                Some(option) => write!(f, "{option}")?,
            }
        }
        f.write_str(">")
    }
}

impl fmt::Display for OptionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionPattern::MaxSegmentSize(mss) => write!(f, "mss {mss}"),
            OptionPattern::WindowScale(shift) => write!(f, "wscale {shift}"),
            OptionPattern::SackPermitted => f.write_str("sackOK"),
            OptionPattern::Sack(blocks) => {
                f.write_str("sack")?;
                blocks
                    .iter()
                    .try_for_each(|(left, right)| write!(f, " {left}:{right}"))
            }
            OptionPattern::Timestamps(val, ecr) => write!(f, "TS val {val} ecr {ecr}"),
            OptionPattern::Nop => f.write_str("nop"),
            OptionPattern::EndOfList => f.write_str("eol"),
            OptionPattern::Other(kind) => write!(f, "kind-{kind}"),
        }
    }
}
