//! What a handshake tells, in words. Each sentence is said only where the segments bear it out.

use super::milliseconds;
use crate::event::{Direction, Handshake, Opening};
use crate::segment::{Flags, Segment};

/// Who, how, and the numbers.
pub(super) fn facts(handshake: &Handshake, request: u64) -> Vec<(&'static str, String)> {
    let opened = match handshake.opening {
        Opening::Passive => "by the client: passive open on the server's side",
        Opening::Active => "by tcplab: active open",
    };
    let mut facts = vec![
        ("client", handshake.peer.to_string()),
        ("server", format!("{} (tcplab)", handshake.local)),
        ("connection", handshake.flow.to_string()),
        ("request", format!("{request} on this connection")),
        ("opened", opened.to_owned()),
        (
            "IRS",
            format!("{}, where the client's numbers begin", handshake.irs),
        ),
        (
            "ISS",
            format!("{}, where the server's numbers begin", handshake.iss),
        ),
    ];
    if let [first, .., last] = handshake.steps.as_slice() {
        let took = milliseconds((last.at - first.at).total_micros());
        let count = handshake.steps.len();
        facts.push(("took", format!("{took} ms, {count} segments")));
    }
    facts
}

/// How many digits the numbers of [`facts`] and [`relations`] have less than they could have.
pub(super) fn room(handshake: &Handshake) -> usize {
    let mut room = 0;
    for initial in [handshake.irs, handshake.iss] {
        // In the facts, then twice in the relations.
        for number in [initial, initial, initial + 1] {
            room += LONGEST.saturating_sub(number.to_string().len());
        }
    }
    if let [first, .., last] = handshake.steps.as_slice() {
        let took = milliseconds((last.at - first.at).total_micros());
        room += LONGEST.saturating_sub(took.len());
    }
    room + 5_usize.saturating_sub(handshake.peer.port().to_string().len())
}

/// The longest sequence number, 4294967295, and some 100 s in milliseconds.
const LONGEST: usize = 10;

/// Why the acknowledgment numbers are what they are.
pub(super) fn relations(handshake: &Handshake) -> Vec<String> {
    let mut relations = Vec::new();
    for (direction, sender, receiver, initial) in [
        (Direction::In, "client", "server", handshake.irs),
        (Direction::Out, "server", "client", handshake.iss),
    ] {
        let next = initial + 1;
        let acknowledged = segments(handshake)
            .any(|(way, segment)| way != direction && segment.acknowledges() == Some(next));
        if syn(handshake, direction).is_some() && acknowledged {
            relations.push(format!(
                "ack = seq + 1: the {sender}'s SYN has seq {initial}, the {receiver} acknowledges with ack {next}. \
                 A SYN carries no data, yet it counts one."
            ));
        }
    }
    if segments(handshake)
        .next()
        .is_some_and(|(_, segment)| segment.acknowledges().is_none())
    {
        relations.push(
            "The ack number means something only where the ACK bit is set (the dot in S. and in . alone): \
             the first SYN has none, since there is nothing to acknowledge yet."
                .to_owned(),
        );
    }
    relations
}

/// What the options of the two SYNs came to.
pub(super) fn agreed(handshake: &Handshake) -> Vec<String> {
    let (Some(client), Some(server)) = (
        syn(handshake, Direction::In),
        syn(handshake, Direction::Out),
    ) else {
        return Vec::new();
    };
    // RFC 9293, section 3.7.1: what holds where no MSS is announced.
    let default = if handshake.peer.is_ipv4() { 536 } else { 1220 };
    let mss = |segment: &Segment| match segment.max_segment_size() {
        Some(mss) => mss.to_string(),
        None => format!("{default} (not announced)"),
    };
    let scale = match (client.window_scale(), server.window_scale()) {
        // RFC 7323, section 2.3: a shift above 14 counts as 14.
        (Some(client), Some(server)) => format!(
            "agreed: the client's windows count {} times, the server's {} times, except in SYNs",
            1 << client.min(14),
            1 << server.min(14)
        ),
        (client, server) => not_agreed(client.is_some(), server.is_some()),
    };
    let sack = match (client.sack_permitted(), server.sack_permitted()) {
        (true, true) => "agreed: either end may say which data beyond a gap has arrived".to_owned(),
        (client, server) => not_agreed(client, server),
    };
    vec![
        format!(
            "MSS: the client takes segments with at most {} bytes of data and options, the server {}.",
            mss(client),
            mss(server)
        ),
        format!("Window scale: {scale}."),
        format!("SACK: {sack}."),
    ]
}

fn not_agreed(client: bool, server: bool) -> String {
    match (client, server) {
        (true, _) => "not agreed, only the client offers it",
        (_, true) => "not agreed, only the server offers it",
        _ => "not agreed, neither end offers it",
    }
    .to_owned()
}

fn syn(handshake: &Handshake, direction: Direction) -> Option<&Segment> {
    segments(handshake)
        .find(|(way, segment)| *way == direction && segment.flags.contains(Flags::SYN))
        .map(|(_, segment)| segment)
}

fn segments(handshake: &Handshake) -> impl Iterator<Item = (Direction, &Segment)> {
    let steps = handshake.steps.iter();
    steps.filter_map(|step| Some((step.direction, step.described.tcp()?)))
}
