//! The points of the time-sequence graphs: what was sent, what was acknowledged, how far the window reached.

use crate::event::{Direction, Packet};
use crate::segment::{Flags, SeqNumber, TcpOption};
use crate::view::Flow;
use smoltcp::time::Duration;

/// How many points of each kind are kept; of more, every second one, then every fourth, and so on.
const KEPT: usize = 4_000;

/// Both directions of one connection.
#[derive(Debug, Default)]
pub(super) struct Points {
    /// What the peer has sent, and how we acknowledged it.
    pub(super) received: Graph,
    /// What we have sent, and how the peer acknowledged it.
    pub(super) sent: Graph,
}

/// One direction's data.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// The initial sequence number, and the highest position that was seen.
    origin: Option<SeqNumber>,
    highest: u64,
    pub(super) segments: Thinned<Sent>,
    pub(super) again: Thinned<Sent>,
    /// When, the acknowledgment number, the first number beyond the window.
    pub(super) acks: Thinned<(Duration, u64, u64)>,
    /// What the receiver has beyond that, block by block (RFC 2018), when it said so.
    pub(super) blocks: Thinned<Sent>,
    /// The shift count of the receiver's windows, where both offer one.
    shift: Option<u8>,
    pub(super) bytes: u64,
}

/// A segment with something in it: positions count from the initial sequence number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) time: Duration,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A list that never grows beyond bounds: it keeps every `every`-th item.
#[derive(Debug)]
pub(super) struct Thinned<T> {
    items: Vec<T>,
    every: u64,
    seen: u64,
}

impl<T> Default for Thinned<T> {
    fn default() -> Thinned<T> {
        Thinned {
            items: Vec::new(),
            every: 1,
            seen: 0,
        }
    }
}

impl<T> Thinned<T> {
    pub(super) fn push(&mut self, item: T) {
        if self.seen.is_multiple_of(self.every) {
            if self.items.len() == KEPT {
                let mut at = 0;
                self.items.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.every *= 2;
            }
            if self.seen.is_multiple_of(self.every) {
                self.items.push(item);
            }
        }
        self.seen += 1;
    }

    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    /// 1 where everything was kept.
    pub(super) fn every(&self) -> u64 {
        self.every
    }
}

impl Points {
    /// A segment that was not discarded.
    pub(super) fn packet(&mut self, flow: &Flow, time: Duration, packet: &Packet) {
        let Some(segment) = packet.described.tcp() else {
            return;
        };
        if segment.flags.contains(Flags::RST) {
            return;
        }
        let (way, back, own, other) = match packet.direction {
            Direction::In => (&mut self.received, &mut self.sent, flow.irs, flow.iss),
            Direction::Out => (&mut self.sent, &mut self.received, flow.iss, flow.irs),
        };
        way.origin = way.origin.or(own);
        back.origin = back.origin.or(other);
        let is_syn = segment.flags.contains(Flags::SYN);
        if is_syn {
            // The windows of what goes one way are told by segments that go the other way.
            back.shift = segment.window_scale();
        }
        if segment.sequence_len() > 0
            && let Some(from) = way.position(segment.seq)
        {
            let sent = Sent {
                time,
                from,
                to: from + u64::from(segment.sequence_len()),
            };
            way.highest = way.highest.max(sent.to);
            way.bytes += segment.payload.len() as u64;
            if packet.retransmission {
                way.again.push(sent);
            } else {
                way.segments.push(sent);
            }
        }
        if let Some(ack) = segment.acknowledges()
            && let Some(position) = back.position(ack)
        {
            let shift = match (is_syn, back.shift, way.shift) {
                (false, Some(shift), Some(_)) => shift.min(14),
                _ => 0,
            };
            let edge = position + (u64::from(segment.window) << shift);
            back.acks.push((time, position, edge));
            for option in &segment.options {
                if let TcpOption::Sack(blocks) = option {
                    for (left, right) in blocks.as_slice() {
                        let edges = back.position(*left).zip(back.position(*right));
                        // A duplicate that is reported lies below what is acknowledged (RFC 2883).
                        if let Some((from, to)) = edges.filter(|(from, to)| from < to) {
                            back.blocks.push(Sent { time, from, to });
                        }
                    }
                }
            }
        }
    }
}

impl Graph {
    /// How far `number` lies after the initial one; numbers may have wrapped since.
    fn position(&self, number: SeqNumber) -> Option<u64> {
        let origin = self.origin?;
        let highest = origin + self.highest as u32;
        let distance = number.0.wrapping_sub(highest.0) as i32;
        self.highest.checked_add_signed(distance.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_go_on_where_numbers_wrap() {
        let mut graph = Graph {
            origin: Some(SeqNumber(u32::MAX - 1)),
            ..Graph::default()
        };
        assert_eq!(graph.position(SeqNumber(3)), Some(5));
        graph.highest = (1 << 32) + 7;
        assert_eq!(graph.position(SeqNumber(3)), Some((1 << 32) + 5));
        graph.highest = 1;
        assert_eq!(graph.position(SeqNumber(u32::MAX - 9)), None);
    }

    #[test]
    fn a_list_is_thinned_evenly() {
        let mut list = Thinned::default();
        for item in 0..3 * KEPT as u64 {
            list.push(item);
        }
        assert_eq!(list.every(), 4);
        assert!(list.items().len() <= KEPT);
        assert!(
            list.items()
                .iter()
                .enumerate()
                .all(|(at, item)| *item == at as u64 * 4)
        );
    }
}
