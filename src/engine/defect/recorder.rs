//! What has crossed the door of an engine last, for the report of a defect.

use crate::event::{Direction, PacketHead, Transport};
use crate::stack::table::FlowKey;
use smoltcp::time::Instant;
use std::mem;
use std::net::{IpAddr, SocketAddr};

/// So many packets are kept, of all flows together.
const KEPT: usize = 256;
/// So many bytes of each: an IPv6 header, a TCP header with all options, and a little more.
const HEAD: usize = 112;
/// So many are reported at most.
pub(super) const REPORTED: usize = 16;

/// The beginnings of the last packets, of all flows together: so a flow costs nothing, and a packet a copy of two lines of
/// the cache.
pub(super) struct Recorder {
    heads: Vec<Head>,
    /// Where the next one goes once all places are taken.
    next: usize,
}

struct Head {
    at: Instant,
    len: u32,
    direction: Direction,
    bytes: [u8; HEAD],
}

impl Recorder {
    pub(super) fn new() -> Recorder {
        Recorder {
            heads: Vec::with_capacity(KEPT),
            next: 0,
        }
    }

    #[inline]
    pub(super) fn record(&mut self, at: Instant, direction: Direction, packet: &[u8]) {
        let mut head = Head {
            at,
            len: packet.len() as u32,
            direction,
            bytes: [0; HEAD],
        };
        match packet.first_chunk() {
            Some(bytes) => head.bytes = *bytes,
            None => head.bytes[..packet.len()].copy_from_slice(packet),
        }
        match self.heads.get_mut(self.next) {
            Some(oldest) => *oldest = head,
            None => self.heads.push(head),
        }
        self.next = (self.next + 1) % KEPT;
    }

    /// The last packets of a flow, or of all, the oldest first. The newest is among them if it is `at_hand`.
    pub(super) fn last(&self, key: Option<FlowKey>, at_hand: bool) -> Vec<PacketHead> {
        let mut is_at_hand = at_hand;
        let newest = self.iter().rev().filter(|head| {
            let is_at_hand = mem::take(&mut is_at_hand);
            is_at_hand || key.is_none_or(|key| head.is_of(&key))
        });
        let mut heads: Vec<PacketHead> = newest
            .take(REPORTED)
            .map(|head| PacketHead {
                at: head.at,
                direction: head.direction,
                len: head.len as usize,
                bytes: head.bytes().to_vec(),
            })
            .collect();
        heads.reverse();
        heads
    }

    /// The oldest first.
    fn iter(&self) -> impl DoubleEndedIterator<Item = &Head> {
        let (newer, older) = self.heads.split_at(self.next.min(self.heads.len()));
        older.iter().chain(newer)
    }
}

impl Head {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..HEAD.min(self.len as usize)]
    }

    /// Whether it is one of this flow's. In a fragment but the first, or behind an extension header, that can't be seen.
    fn is_of(&self, key: &FlowKey) -> bool {
        let ends = match self.direction {
            Direction::In => (key.peer, key.local),
            Direction::Out => (key.local, key.peer),
        };
        ends_of(self.bytes()) == Some((key.transport, ends.0, ends.1))
    }
}

/// The transport, the source and the destination in the headers of a packet.
pub(super) fn ends_of(packet: &[u8]) -> Option<(Transport, SocketAddr, SocketAddr)> {
    let (protocol, src, dst, ports): (u8, IpAddr, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 => {
            let src: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            let dst: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            let ports = packet.get(usize::from(packet[0] & 0x0f) * 4..)?;
            let is_first = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff == 0;
            let ports = if is_first { ports } else { &[] };
            (packet[9], src.into(), dst.into(), ports)
        }
        6 => {
            let src: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            let dst: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (packet[6], src.into(), dst.into(), packet.get(40..)?)
        }
        _ => return None,
    };
    let transport = match protocol {
        6 => Transport::Tcp,
        17 => Transport::Udp,
        _ => return None,
    };
    let [a, b, c, d] = *ports.first_chunk()?;
    let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let (src, dst) = (SocketAddr::new(src, from), SocketAddr::new(dst, to));
    Some((transport, src, dst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorder_keeps_the_newest() {
        let mut recorder = Recorder::new();
        for number in 0..KEPT + 10 {
            let packet = vec![number as u8; number];
            recorder.record(Instant::ZERO, Direction::In, &packet);
        }
        let kept: Vec<usize> = recorder.iter().map(|head| head.len as usize).collect();
        let expected: Vec<usize> = (10..KEPT + 10).collect();
        assert_eq!(kept, expected);
        for head in recorder.iter() {
            assert_eq!(
                head.bytes(),
                vec![head.len as u8; HEAD.min(head.len as usize)]
            );
        }
    }
}
