//! The one place where packets cross between the wire and the stack.
//!
//! ```text
//!     wire ──▶ arrived() ──▶ stack        every packet crosses once in each direction
//!     wire ◀── departed() ◀── stack       and is told in exactly one event, with its fate
//! ```
//!
//! Packets that could not be written into a caller's buffer when they were made wait here until the caller
//! comes with one.

use crate::event::{Direction, Discard, EventKind, Fate, FlowId, Journal, Packet, PacketId};
use crate::segment::{Described, describe};
use smoltcp::time::Instant;
use std::collections::VecDeque;

/// The link of one engine.
#[derive(Debug, Default)]
pub(crate) struct Link {
    crossed: u64,
    leaving: VecDeque<Vec<u8>>,
}

impl Link {
    /// A packet has come in and is handed to the stack, or discarded before any connection sees it.
    pub(crate) fn arrived(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        flow: Option<FlowId>,
        arrival: Arrival<'_>,
    ) -> PacketId {
        let id = self.next_id();
        if journal.wants_packets() {
            let packet = Packet {
                id,
                direction: Direction::In,
                described: arrival.described.clone(),
                bytes: arrival.bytes.to_vec(),
                fate: arrival.discard.map_or(Fate::Delivered, Fate::Discarded),
                retransmission: arrival.retransmission,
            };
            journal.tell(now, flow, EventKind::Packet(packet));
        }
        id
    }

    /// A packet leaves in the caller's buffer.
    pub(crate) fn departed(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        flow: Option<FlowId>,
        bytes: &[u8],
        retransmission: bool,
    ) -> PacketId {
        let id = self.next_id();
        if journal.wants_packets() {
            let packet = Packet {
                id,
                direction: Direction::Out,
                described: describe(bytes),
                bytes: bytes.to_vec(),
                fate: Fate::Delivered,
                retransmission,
            };
            journal.tell(now, flow, EventKind::Packet(packet));
        }
        id
    }

    /// Keeps a packet that has departed until the caller brings a buffer.
    pub(crate) fn keep(&mut self, bytes: Vec<u8>) {
        self.leaving.push_back(bytes);
    }

    /// The next packet kept, written into `buf`; its length.
    pub(crate) fn next_kept(&mut self, buf: &mut [u8]) -> Option<usize> {
        let bytes = self.leaving.pop_front()?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Some(bytes.len())
    }

    fn next_id(&mut self) -> PacketId {
        self.crossed += 1;
        PacketId(self.crossed)
    }
}

/// A packet that comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) described: &'a Described,
    pub(crate) discard: Option<Discard>,
    pub(crate) retransmission: bool,
}
