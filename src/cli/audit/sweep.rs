//! One good run, played again once for each of its segments and each thing that may happen to it.

use super::lab::Ran;
use super::verdict::Expected;
use super::{Addresses, Case};
use crate::cli::plan::nth_host;
use crate::event::{Direction, Packet};
use crate::fault::Rule;
use crate::segment::{Flags, Segment};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The first host number that is given out.
const FIRST_HOST: u32 = 10;
/// Of a longer run so many segments are taken from its beginning, and as many from its end.
const HALF: usize = 15;
/// Longer than it takes until any first retransmission: the initial timeout is one second (RFC 6298, section 2).
const LATE: &str = "1300ms";

/// A segment, with the words by which a rule finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    direction: Direction,
    kind: &'static str,
    ordinal: u64,
    /// Which of the segments with data it is, and how many bytes it has.
    data: Option<(u64, usize)>,
}

/// The cases, one for each segment and what may happen to it.
pub(super) fn cases(addresses: &Addresses, good: &Ran) -> anyhow::Result<Vec<Case>> {
    let seen = (good.seen.as_ref()).context("nothing was seen of the good run")?;
    let mut spots = spots(&seen.packets);
    let last_data = spots
        .iter()
        .rfind(|spot| spot.direction == Direction::Out && spot.data.is_some())
        .cloned();
    if spots.len() > 2 * HALF {
        spots.drain(HALF..spots.len() - HALF);
    }
    ensure!(!spots.is_empty(), "the good run has no segments of TCP");
    let mut cases = Vec::new();
    for spot in &spots {
        let words = spot.words();
        for (done, rule) in [
            ("dropped", format!("drop {words}")),
            ("delayed", format!("delay {LATE} {words}")),
            ("duplicated", format!("duplicate {words}")),
        ] {
            let case = Case {
                name: format!("{done}-{}", spot.name()),
                expected: Expected::Answers,
                happens: format!("The segment \"{words}\" is {done}."),
                good_client: "It gets its answer all the same, as TCP recovers from that."
                    .to_owned(),
                ..blank()
            };
            cases.push((case, vec![rule]));
        }
    }
    if let Some((spot, (ordinal, len))) =
        last_data.and_then(|spot| Some((spot.clone(), spot.data?)))
    {
        let rules = vec![
            format!("edit out data #{ordinal} truncate={} flags=FPA", len / 2),
            // Nothing that could mend it comes later.
            format!("drop out data #{}..", ordinal + 1),
            "drop out FIN".to_owned(),
        ];
        let case = Case {
            name: format!("cut-off-{}", spot.name()),
            expected: Expected::Fails,
            happens: format!(
                "After {} of the {len} bytes of segment \"out data #{ordinal}\" a FIN comes, and nothing else.",
                len / 2
            ),
            good_client: "It notices that the answer is incomplete, and reports it.".to_owned(),
            ..blank()
        };
        cases.push((case, rules));
    }
    let place = |(host, (mut case, rules)): (u32, (Case, Vec<String>))| {
        let addresses = addresses.own.iter().map(|own| nth_host(*own, host));
        case.addresses = (addresses.collect::<Option<Vec<IpAddr>>>())
            .context("the lab's networks have no room for a sweep")?;
        let rules = rules.iter().map(|rule| rule.parse::<Rule>());
        case.rules = rules.collect::<Result<_, _>>()?;
        Ok(case)
    };
    (FIRST_HOST..).zip(cases).map(place).collect()
}

fn blank() -> Case {
    Case {
        name: String::new(),
        addresses: Vec::new(),
        rules: Vec::new(),
        expected: Expected::Answers,
        happens: String::new(),
        good_client: String::new(),
    }
}

/// The segments of a run, without those that were sent again.
fn spots(packets: &[Packet]) -> Vec<Spot> {
    let mut counts = BTreeMap::new();
    let mut spots = Vec::new();
    let mut acknowledged = false;
    for packet in packets {
        let Some(segment) = packet.described.tcp() else {
            continue;
        };
        let kinds = kinds(segment, packet.direction, &mut acknowledged);
        let way = packet.direction.name();
        let mut ordinal = |kind: &'static str| {
            let count = counts.entry((way, kind)).or_insert(0);
            *count += 1;
            *count
        };
        let counted: Vec<(&'static str, u64)> =
            kinds.iter().map(|kind| (*kind, ordinal(kind))).collect();
        let Some(&(kind, first)) = counted.first() else {
            continue;
        };
        let data = counted.iter().find(|(kind, _)| *kind == "data");
        if !packet.retransmission {
            spots.push(Spot {
                direction: packet.direction,
                kind,
                ordinal: first,
                data: data.map(|(_, ordinal)| (*ordinal, segment.payload.len())),
            });
        }
    }
    spots
}

/// What a segment is in the words of rules, the most telling one first.
fn kinds(segment: &Segment, way: Direction, acknowledged: &mut bool) -> Vec<&'static str> {
    let has = |flag| segment.flags.contains(flag);
    if has(Flags::RST) {
        return vec!["RST"];
    }
    if has(Flags::SYN) {
        return vec![if has(Flags::ACK) { "SYN-ACK" } else { "SYN" }];
    }
    let mut kinds = Vec::new();
    if way == Direction::In && !std::mem::replace(acknowledged, true) {
        kinds.push("handshake-ACK");
    }
    if has(Flags::FIN) {
        kinds.push("FIN");
    }
    if !segment.payload.is_empty() {
        kinds.push("data");
    }
    if has(Flags::ACK) && segment.sequence_len() == 0 {
        kinds.push("ACK");
    }
    kinds
}

impl Spot {
    /// As a rule says it: `out SYN-ACK #1`.
    fn words(&self) -> String {
        format!("{} {} #{}", self.direction.name(), self.kind, self.ordinal)
    }

    /// As a host name can have it: `out-syn-ack-1`.
    fn name(&self) -> String {
        self.words()
            .replace(' ', "-")
            .replace('#', "")
            .to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Config, Engine};
    use crate::event::EventKind;
    use crate::service::echo::echo;
    use crate::sim::{Side, Sim};
    use smoltcp::time::{Duration, Instant};

    #[test]
    fn every_segment_of_a_run_is_named() {
        let mut server = Engine::new(Config::new(["192.0.2.2/24".parse().unwrap()]));
        server.serve_tcp(7, "echo", echo);
        let client = Engine::new(Config::new(["192.0.2.1/24".parse().unwrap()]));
        let mut sim = Sim::new(client, server, Duration::from_millis(10));
        let peer = "192.0.2.2:7".parse().unwrap();
        let hello = sim
            .left()
            .connect_tcp(Instant::ZERO, "hello", None, peer, |conn| async move {
                conn.write_all(b"hello").await?;
                conn.read_up_to(5).await?;
                conn.close().await
            });
        hello.unwrap();
        sim.run_until(Instant::from_secs(1));
        let packets: Vec<Packet> = std::iter::from_fn(|| sim.poll_event())
            .filter(|(side, _)| *side == Side::Right)
            .filter_map(|(_, event)| match event.kind {
                EventKind::Packet(packet) => Some(packet),
                _ => None,
            })
            .collect();
        let spots = spots(&packets);
        let names: Vec<String> = spots.iter().map(Spot::name).collect();
        assert_eq!(
            names[..5],
            [
                "in-syn-1",
                "out-syn-ack-1",
                "in-handshake-ack-1",
                "in-data-1",
                "out-data-1"
            ],
            "{names:?}"
        );
        assert!(names.contains(&"in-fin-1".to_owned()), "{names:?}");
        assert!(names.contains(&"out-fin-1".to_owned()), "{names:?}");
        assert_eq!(spots[4].data, Some((1, 5)));
        for spot in spots {
            format!("drop {}", spot.words()).parse::<Rule>().unwrap();
        }
    }
}
