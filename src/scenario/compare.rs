//! A packet beside what was expected of it, field by field.

use super::expect::{
    ALL_FLAGS, Body as Expected, Number, OptionList, OptionPattern, Pattern, TcpPattern,
};
use crate::event::Packet;
use crate::segment::{Body, Described, Flags, Origin, Segment, TcpOption};
use std::fmt::Display;

/// One thing that was expected of a packet, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name: `ack`.
    pub name: &'static str,
    /// What was expected, as the scenario writes it.
    pub expected: String,
    /// How it is.
    pub actual: String,
    /// Whether that is as expected.
    pub agrees: bool,
}

impl Field {
    pub(super) fn new(
        name: &'static str,
        expected: impl Display,
        actual: impl Display,
        agrees: bool,
    ) -> Field {
        Field {
            name,
            expected: expected.to_string(),
            actual: actual.to_string(),
            agrees,
        }
    }
}

/// Everything that `pattern` expects, beside how it is in `packet`. Relative numbers count from `origin`.
///
/// What counts is the packet as it came out of the link, where a rule has rewritten it.
pub(super) fn compare(pattern: &Pattern, packet: &Packet, origin: Origin) -> Vec<Field> {
    let (described, bytes) = packet.outcome();
    let mut fields = vec![Field::new(
        "direction",
        pattern.direction.name(),
        packet.direction.name(),
        pattern.direction == packet.direction,
    )];
    fields.extend(body(&pattern.body, described, origin));
    if let Some(expected) = &pattern.payload {
        let payload = described.payload().and_then(|range| bytes.get(range));
        let payload = payload.unwrap_or_default();
        let agrees = expected.is_empty()
            || payload
                .windows(expected.len())
                .any(|part| part == expected.as_slice());
        let actual = quoted(payload);
        fields.push(Field::new("payload", quoted(expected), actual, agrees));
    }
    if let Some(expected) = pattern.fate {
        let actual = packet.fate.name();
        fields.push(Field::new("fate", expected, actual, expected == actual));
    }
    if let Some(expected) = pattern.retransmission {
        let word = |retransmission| {
            if retransmission {
                "retransmission"
            } else {
                "new"
            }
        };
        let actual = packet.retransmission;
        fields.push(Field::new(
            "sent",
            word(expected),
            word(actual),
            expected == actual,
        ));
    }
    if let Some(expected) = pattern.reason {
        let actual = packet.reason.map_or("unknown", |reason| reason.name());
        fields.push(Field::new("reason", expected, actual, expected == actual));
    }
    if pattern.bad_checksum {
        let bad = !checksum_ok(described);
        let actual = if bad { "bad" } else { "good" };
        fields.push(Field::new("checksum", "bad", actual, bad));
    }
    fields
}

fn body(expected: &Expected, described: &Described, origin: Origin) -> Vec<Field> {
    let kind = |expected: &str| {
        let actual = match &described.body {
            Body::Tcp(_) => "tcp",
            Body::Udp(_) => "udp",
            Body::Icmp(_) => "icmp",
            Body::Fragment { .. } => "fragment",
            Body::Other { .. } => "other",
            Body::Malformed(_) => "malformed",
        };
        Field::new("protocol", expected, actual, expected == actual)
    };
    match (expected, &described.body) {
        (Expected::Any, _) => Vec::new(),
        (Expected::Tcp(pattern), Body::Tcp(segment)) => tcp(pattern, segment, origin),
        (Expected::Tcp(_), _) => vec![kind("tcp")],
        (Expected::Udp(len), Body::Udp(datagram)) => {
            let actual = datagram.payload.len();
            vec![number("length", len, actual as u32)]
                .into_iter()
                .flatten()
                .collect()
        }
        (Expected::Udp(_), _) => vec![kind("udp")],
        (Expected::Icmp(Some(name)), Body::Icmp(icmp)) => {
            vec![Field::new("message", name, icmp.name, name == icmp.name)]
        }
        (Expected::Icmp(None), Body::Icmp(_)) => Vec::new(),
        (Expected::Icmp(_), _) => vec![kind("icmp")],
    }
}

fn tcp(pattern: &TcpPattern, segment: &Segment, origin: Origin) -> Vec<Field> {
    let seq = origin
        .seq
        .map_or(segment.seq.0, |seq| segment.seq.since(seq));
    let len = segment.payload.len() as u32;
    let flags = Flags(segment.flags.0 & ALL_FLAGS.0);
    let agrees =
        flags.contains(pattern.flags) && flags.0 & !pattern.flags.0 & !pattern.optional.0 == 0;
    let mut fields = vec![Field::new("flags", pattern, flags, agrees)];
    fields.extend(number("seq", &pattern.seq, seq));
    fields.extend(number("end", &pattern.end, seq.wrapping_add(len)));
    fields.extend(number("length", &pattern.len, len));
    match (segment.acknowledges(), &pattern.ack) {
        (_, Number::Any) => {}
        (None, expected) => fields.push(Field::new("ack", expected, "none", false)),
        (Some(ack), expected) => {
            let ack = origin.ack.map_or(ack.0, |origin| ack.since(origin));
            fields.extend(number("ack", expected, ack));
        }
    }
    fields.extend(number("win", &pattern.window, segment.window.into()));
    fields.extend(number("urg", &pattern.urgent, segment.urgent.into()));
    if let Some(expected) = &pattern.options {
        let options: Vec<TcpOption> = segment.options.iter().collect();
        let agrees = options_agree(&expected.items, &options, origin);
        let actual = actual_options(segment, origin);
        fields.push(Field::new("options", expected, actual, agrees));
    }
    fields
}

/// Nothing where anything will do.
fn number(name: &'static str, expected: &Number, actual: u32) -> Option<Field> {
    let agrees = expected.contains(actual);
    (*expected != Number::Any).then(|| Field::new(name, expected, actual, agrees))
}

fn options_agree(expected: &[Option<OptionPattern>], actual: &[TcpOption], origin: Origin) -> bool {
    match (expected, actual) {
        ([], []) => true,
        ([None, rest @ ..], _) => {
            (0..=actual.len()).any(|skipped| options_agree(rest, &actual[skipped..], origin))
        }
        ([Some(pattern), rest @ ..], [option, more @ ..]) => {
            option_agrees(pattern, option, origin) && options_agree(rest, more, origin)
        }
        _ => false,
    }
}

fn option_agrees(pattern: &OptionPattern, option: &TcpOption, origin: Origin) -> bool {
    match (pattern, option) {
        (OptionPattern::MaxSegmentSize(expected), TcpOption::MaxSegmentSize(mss)) => {
            expected.contains((*mss).into())
        }
        (OptionPattern::WindowScale(expected), TcpOption::WindowScale(shift)) => {
            expected.contains((*shift).into())
        }
        (OptionPattern::SackPermitted, TcpOption::SackPermitted)
        | (OptionPattern::Nop, TcpOption::Nop)
        | (OptionPattern::EndOfList, TcpOption::EndOfList) => true,
        (OptionPattern::Sack(expected), TcpOption::Sack(blocks)) => {
            let blocks = blocks.as_slice();
            let edge = |edge: crate::segment::SeqNumber| {
                origin.ack.map_or(edge.0, |origin| edge.since(origin))
            };
            let agrees = |(expected, actual): (&(Number, Number), &(_, _))| {
                expected.0.contains(edge(actual.0)) && expected.1.contains(edge(actual.1))
            };
            expected.is_empty()
                || expected.len() == blocks.len() && expected.iter().zip(blocks).all(agrees)
        }
        (OptionPattern::Timestamps(val, ecr), TcpOption::Timestamps { val: v, ecr: e }) => {
            val.contains(*v) && ecr.contains(*e)
        }
        (
            OptionPattern::Other(expected),
            TcpOption::Unknown { kind, .. } | TcpOption::Malformed { kind },
        ) => expected == kind,
        _ => false,
    }
}

/// The options as the notation prints them.
fn actual_options(segment: &Segment, origin: Origin) -> String {
    let whole = segment.notation(origin).to_string();
    match (whole.find('<'), whole.rfind('>')) {
        (Some(from), Some(to)) => whole[from..=to].to_owned(),
        _ => OptionList { items: Vec::new() }.to_string(),
    }
}

fn checksum_ok(described: &Described) -> bool {
    match &described.body {
        Body::Tcp(segment) => segment.checksum_ok,
        Body::Udp(datagram) => datagram.checksum_ok,
        Body::Icmp(icmp) => icmp.checksum_ok,
        Body::Fragment { .. } | Body::Other { .. } | Body::Malformed(_) => true,
    }
}

/// The longest payload that is shown whole.
const SHOWN: usize = 60;

/// Bytes in quotes, cut where they are many.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}…", &text[..cut]),
    }
}
